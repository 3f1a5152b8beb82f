use std::io::Write as _;

use bytes::Buf as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A connection, and its other side.
async fn connection() -> (Direct, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(listener.accept(), TcpStream::connect(listener.local_addr().unwrap()));
    (Direct::new(near.unwrap().0, Arc::<Taking>::default()), far.unwrap())
}

/// Bytes of which each tells where it is.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]).collect()
}

fn file(bytes: &[u8]) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Arc::new(file)
}

/// As hyper does: all slices at once, as often as it takes.
async fn write_all(to: &mut Direct, mut slices: Vec<Bytes>) -> io::Result<()> {
    while !slices.is_empty() {
        let vectored: Vec<IoSlice<'_>> = slices.iter().map(|slice| IoSlice::new(slice)).collect();
        let mut count = to.write_vectored(&vectored).await?;
        while count > 0 {
            let taken = count.min(slices[0].len());
            slices[0].advance(taken);
            count -= taken;
            if slices[0].is_empty() {
                slices.remove(0);
            }
        }
    }
    Ok(())
}

async fn read_all(mut from: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn memory_and_files_arrive_in_their_order() {
    let (mut near, far) = connection().await;
    let received = tokio::spawn(read_all(far));
    let (one, other) = (pattern(3 * PIECE), pattern(70_000));
    let (one_file, other_file) = (file(&one), file(&other));
    let mut expected = Vec::new();
    // More than the socket's buffers hold, and so in many writes, some of which end within a piece.
    for round in 0_u8..20 {
        let head = Bytes::from(vec![round; 100 + usize::from(round)]);
        let mut slices = vec![head.clone()];
        expected.extend_from_slice(&head);
        for (file, bytes, from, count) in
            [(&one_file, &one, 0, PIECE), (&other_file, &other, 5, 60_000), (&one_file, &one, PIECE as u64 + 7, PIECE)]
        {
            slices.push(near.outbox().stand_in(file.clone(), from, from + count as u64));
            let from = usize::try_from(from).unwrap();
            expected.extend_from_slice(&bytes[from..from + count]);
            slices.push(Bytes::from_static(b"\r\n"));
            expected.extend_from_slice(b"\r\n");
        }
        write_all(&mut near, slices).await.unwrap();
    }
    assert!(near.outbox().lock().is_empty());
    drop(near);
    assert!(received.await.unwrap() == expected);
}

#[tokio::test]
async fn a_slow_reader_is_waited_for() {
    let (mut near, mut far) = connection().await;
    let bytes = pattern(PIECE);
    let from = file(&bytes);
    let writing = tokio::spawn(async move {
        for _ in 0..64 {
            let slice = near.outbox().stand_in(from.clone(), 0, PIECE as u64);
            write_all(&mut near, vec![slice]).await.unwrap();
        }
    });
    let mut seen = 0;
    let mut part = vec![0; 10_000];
    while seen < 64 * PIECE {
        let wanted = part.len().min(64 * PIECE - seen);
        far.read_exact(&mut part[..wanted]).await.unwrap();
        for (at, byte) in part[..wanted].iter().enumerate() {
            assert!(*byte == bytes[(seen + at) % PIECE], "at {}", seen + at);
        }
        seen += wanted;
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
    assert_eq!(far.read(&mut part).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_not_in_order_or_not_there_is_an_error() {
    let bytes = pattern(1000);
    let wrongs: [fn(&Outbox, Arc<File>) -> Bytes; 5] = [
        // A stand-in of nothing, of a part, of more, and of what is behind another.
        |_, _| Bytes::from_static(&STAND_IN[..10]),
        |outbox, file| outbox.stand_in(file, 0, 1000).slice(..999),
        |outbox, file| outbox.stand_in(file, 0, 1000).slice(1..),
        |outbox, file| {
            let _first = outbox.stand_in(file.clone(), 0, 10);
            outbox.stand_in(file, 10, 30)
        },
        // A file that is shorter.
        |outbox, file| outbox.stand_in(file, 1000, 1001),
    ];
    for (number, wrong) in wrongs.iter().enumerate() {
        let (mut near, far) = connection().await;
        let slice = wrong(near.outbox(), file(&bytes));
        let head = Bytes::from_static(b"head");
        write_all(&mut near, vec![head, slice]).await.expect_err(&number.to_string());
        drop(near);
        assert_eq!(read_all(far).await, b"head", "{number}");
    }
}

#[tokio::test]
async fn who_is_gone_is_an_error_and_no_signal() {
    let (mut near, far) = connection().await;
    drop(far);
    let from = file(&pattern(PIECE));
    let broken = loop {
        let slice = near.outbox().stand_in(from.clone(), 0, PIECE as u64);
        if let Err(error) = write_all(&mut near, vec![Bytes::from_static(b"head"), slice]).await {
            break error;
        }
    };
    assert!(matches!(broken.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{broken}");
}

#[tokio::test]
async fn a_file_that_the_kernel_does_not_send_is_copied() {
    let (near, far) = connection().await;
    let bytes = pattern(200_000);
    let piece = Piece { file: file(&bytes), begin: 100, at: 1100, end: 200_000 };
    near.stream.writable().await.unwrap();
    let sent = near.stream.try_io(Interest::WRITABLE, || piece.copy(&near.stream)).unwrap();
    assert!((1..=COPIED).contains(&sent));
    drop(near);
    assert!(read_all(far).await == bytes[1100..1100 + sent]);
}

#[tokio::test]
async fn without_pieces_it_is_a_plain_connection() {
    let (mut near, mut far) = connection().await;
    near.write_all(b"there").await.unwrap();
    far.write_all(b"back").await.unwrap();
    let mut bytes = [0; 4];
    near.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"back");
    near.shutdown().await.unwrap();
    assert_eq!(read_all(far).await, b"there");
}
