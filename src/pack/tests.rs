use std::process::{Command, Stdio};

use super::*;

const CODECS: [(Codec, &str); 6] = [
    (Codec::Gzip, "gzip -dc"),
    (Codec::Bgzf, "gzip -dc"),
    (Codec::Lz4, "lz4 -dc"),
    (Codec::Xz, "xz -dc"),
    (Codec::Bzip2, "bzip2 -dc"),
    (Codec::Zstd, "zstd -dcq"),
];

fn packed(codec: Codec, threads: usize, bytes: &[u8]) -> Vec<u8> {
    // The lowest level has the smallest blocks.
    let mut packer = Packer::new(Vec::new(), Some(codec), codec.level(Some(1)), threads).unwrap();
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Some text and some noise, in turns.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..length)
        .map(|index| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if index >> 16 & 1 == 0 { b"larder "[index % 7] } else { state.to_be_bytes()[0] }
        })
        .collect()
}

/// What the program that everybody uses makes of it.
fn unpacked(command: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child =
        Command::new("sh").args(["-c", command]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{command}");
    output.stdout
}

#[test]
fn the_usual_programs_unpack_every_format() {
    for length in [0, 1, 100_000, 4_500_000] {
        let sample = sample(length);
        for (codec, command) in CODECS {
            let packed = packed(codec, 3, &sample);
            assert!(unpacked(command, &packed) == sample, "{codec:?} of {length} bytes");
            assert!(length < 4_500_000 || packed.len() < length * 6 / 10, "{codec:?}: {}", packed.len());
        }
    }
}

#[test]
fn the_number_of_threads_shows_nowhere() {
    let sample = sample(4_500_000);
    for (codec, _) in CODECS {
        let expected = packed(codec, 1, &sample);
        assert!(packed(codec, 5, &sample) == expected, "{codec:?}");
    }
}

#[test]
fn a_failed_output_fails_the_packer() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (codec, _) in CODECS {
        let mut packer = Packer::new(Full, Some(codec), codec.level(None), 2).unwrap();
        let written = packer.write_all(&sample(1_000_000));
        let error = written.and_then(|()| packer.finish().map(drop)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{codec:?}");
    }
}
