//! What clients may take of the whole program: descriptors and memory; and what ends it (`docs/reference/limits.md`).

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::larder::Larder;
use crate::server::{Server, read_head};

/// Asks for a URL by the proxy, on a connection that stays.
fn ask(server: &Server, url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    let host = url.split('/').nth(2).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // One that is turned away may be so before it has asked: it finds out as it reads.
    let _ = write!(stream, "GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream
}

fn direct(command: &mut std::process::Command) {
    command.env("NO_PROXY", "*");
}

/// Descriptors run out: who is at work goes on, who comes is told or turned away, it is said once, and it passes.
#[test]
fn short_of_descriptors_what_is_under_way_goes_on() {
    let server = Server::with(Larder::new(), &[], direct);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = |name: &str| format!("http://{}/pool/main/x/{name}_1_all.deb", listener.local_addr().unwrap());
    let mut working = ask(&server, &url("first"));
    let (mut first, _) = listener.accept().unwrap();
    read_head(&mut first);
    server.limit_descriptors(server.open_descriptors() + 40);
    let idle: Vec<TcpStream> = (0..200).map(|_| ask(&server, &url("idle"))).collect();
    server.note("file descriptors are short");
    let mut told = 0;
    for mut client in idle {
        let mut answer = String::new();
        // One that was let in waits for the origin; nobody answers those.
        client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let _ = client.read_to_string(&mut answer);
        told += usize::from(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "));
    }
    assert!(told > 0, "nobody was told to come back");
    // The download under way is finished and stored, and its client may ask for more: a way upstream, and a file.
    for mut stream in [Some(first), None] {
        let mut stream = stream.take().unwrap_or_else(|| {
            write!(working, "GET {0} HTTP/1.1\r\nHost: x\r\n\r\n", url("second")).unwrap();
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                if read_head(&mut stream).contains("second") {
                    break stream;
                }
            }
        });
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; 200_000]).unwrap();
        let head = read_head(&mut working);
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("stored"), "{head}");
        working.read_exact(&mut vec![0; 200_000]).unwrap();
    }
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while server.curl(&[&url("first")]).status != 200 {
        assert!(std::time::Instant::now() < deadline, "it does not recover");
    }
    // Fetches outlive their clients: those that nobody answers end with their origin.
    drop(listener);
    server.terminate();
    let (code, notes) = server.wait();
    assert_eq!(code, Some(0));
    assert!(!notes.iter().any(|note| note.contains("descriptors are short")), "{notes:?}");
}

/// Not even one is left to accept with: it waits, and says so once.
#[test]
fn without_any_descriptor_it_waits_and_says_so_once() {
    let server = Server::with(Larder::new(), &[], direct);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/pool/main/x/x_1_all.deb", listener.local_addr().unwrap());
    let origin = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    });
    server.limit_descriptors(3);
    let mut waiting = ask(&server, &url);
    server.note("cannot accept connections for now");
    server.limit_descriptors(1024);
    assert!(read_head(&mut waiting).starts_with("HTTP/1.1 200 "));
    origin.join().unwrap();
    drop(waiting);
    server.terminate();
    let (code, notes) = server.wait();
    assert_eq!(code, Some(0));
    assert!(!notes.iter().any(|note| note.contains("cannot accept")), "{notes:?}");
}

#[test]
fn a_limit_of_descriptors_that_is_too_low_is_said() {
    let low = Server::with(Larder::new(), &[], |command| {
        let program = command.get_program().to_owned();
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let variables: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        let directory = command.get_current_dir().map(ToOwned::to_owned);
        *command = std::process::Command::new("prlimit");
        command.arg("--nofile=512:512").arg(program).args(arguments);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    });
    assert!(low.usage.iter().any(|line| line.contains("512 file descriptors")), "{:?}", low.usage);
}

/// Of a body that nobody reads only a little is in memory: what is stored is on the disk, the rest waits at its origin.
#[test]
fn a_body_that_nobody_reads_takes_no_memory() {
    const SIZE: usize = 256 << 20;
    for (control, stored) in [("max-age=3600", true), ("no-store", false)] {
        let server = Server::with(Larder::new(), &[], direct);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/disk.iso", listener.local_addr().unwrap());
        let origin = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            read_head(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nCache-Control: {control}\r\n\r\n").unwrap();
            let chunk = vec![7; 1 << 20];
            (0..SIZE >> 20).for_each(|_| stream.write_all(&chunk).unwrap());
        });
        let before = server.memory_peak();
        let mut client = ask(&server, &url);
        assert!(read_head(&mut client).starts_with("HTTP/1.1 200 "));
        if stored {
            // All of it has gone to the disk, though its client has read nothing.
            origin.join().unwrap();
        }
        let mut buffer = vec![0; 1 << 20];
        let mut left = SIZE;
        while left > 0 {
            let count = client.read(&mut buffer).unwrap();
            assert!(count > 0, "{left} bytes are missing");
            left -= count;
        }
        let grown = server.memory_peak() - before;
        assert!(grown < 64, "{control}: it took {grown} MB for a body of {} MB", SIZE >> 20);
    }
}

#[test]
fn a_second_signal_ends_what_is_under_way() {
    let server = Server::with(Larder::new(), &[], direct);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut client = ask(&server, &format!("http://{}/x", listener.local_addr().unwrap()));
    let (_never_answers, _) = listener.accept().unwrap();
    server.terminate();
    server.note("under way");
    server.terminate();
    let _ = client.read_to_end(&mut Vec::new());
    assert_eq!(server.wait().0, Some(0));
}
