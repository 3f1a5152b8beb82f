//! The machine sleeps in mid-download. Afterwards the connections are dead: closed by the other side, or silent for good.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::process::Signal;

use crate::larder::Larder;
use crate::server::{Curl, Server, read_head};

const HALF: usize = 300_000;

fn body() -> Vec<u8> {
    (0..2 * HALF).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

/// Sends the first half to whoever asks first, and the rest to whoever asks for it. In between the proxy falls asleep; the
/// first connection is closed meanwhile, or stays and nothing comes any more.
fn serve(listener: &TcpListener, said: &Sender<&str>, asleep: &Receiver<()>, closes: bool) -> String {
    let (mut first, _) = listener.accept().unwrap();
    read_head(&mut first);
    let fields = "ETag: \"1\"\r\nCache-Control: max-age=600\r\nConnection: close\r\n";
    write!(first, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n", 2 * HALF).unwrap();
    first.write_all(&body()[..HALF]).unwrap();
    said.send("half").unwrap();
    asleep.recv().unwrap();
    let first: Option<TcpStream> = if closes { None } else { Some(first) };
    said.send("over").unwrap();
    let (mut second, _) = listener.accept().unwrap();
    let asked = read_head(&mut second);
    let range = format!("Content-Range: bytes {HALF}-{}/{}\r\n", 2 * HALF - 1, 2 * HALF);
    write!(second, "HTTP/1.1 206 Partial Content\r\nContent-Length: {HALF}\r\n{range}{fields}\r\n").unwrap();
    second.write_all(&body()[HALF..]).unwrap();
    drop(first);
    asked.to_ascii_lowercase()
}

#[test]
fn a_download_under_way_goes_on_after_the_machine_has_slept() {
    for closes in [true, false] {
        let server = Server::with(Larder::new(), &[], |command| {
            command.env("NO_PROXY", "*").env("LARDER_UPSTREAM_TIMEOUT", "1");
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/pool/main/x/x_1_all.deb", listener.local_addr().unwrap());
        let (says, said) = channel();
        let (falls, asleep) = channel();
        let origin = thread::spawn(move || serve(&listener, &says, &asleep, closes));
        let out = server.larder.dir().join("out");
        let mut client = server.curl_command(&["-o", out.to_str().unwrap(), &url]);
        let client = client.stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(said.recv(), Ok("half"));
        server.signal(Signal::STOP);
        server.wait_until_stopped();
        falls.send(()).unwrap();
        assert_eq!(said.recv(), Ok("over"));
        server.signal(Signal::CONT);
        let answer = Curl::of(client.wait_with_output().unwrap());
        assert_eq!((answer.exit, answer.status), (0, 200), "closes: {closes}");
        assert!(std::fs::read(&out).unwrap() == body(), "closes: {closes}");
        let asked = origin.join().unwrap();
        assert!(asked.contains(&format!("range: bytes={HALF}-")) && asked.contains("if-range: \"1\""), "{asked}");
        assert_eq!(server.flow()["outcome"], "MISS");
        assert_eq!(server.curl(&["-o", out.to_str().unwrap(), &url]).status, 200);
        assert_eq!(server.flow()["outcome"], "HIT");
        let _ = server.larder.run(["cache", "verify"]).expect(0);
    }
}
