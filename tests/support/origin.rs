//! An origin on a port of the loopback: it does as the test says, and counts what it is asked for.

#![allow(dead_code, reason = "each test target uses its own part")]
#![allow(clippy::allow_attributes, reason = "an unfulfilled `expect` would fail in the targets that use all of it")]

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Serves until the test ends. Every answer closes its connection.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Origin {
    /// `answer` writes the answer to a request for a path, head and body.
    pub(crate) fn start(answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let (answer, counts) = (Arc::new(answer), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, counts) = (answer.clone(), counts.clone());
                std::thread::spawn(move || {
                    let mut stream = stream;
                    let Some(path) = path_of(&stream) else { return };
                    *counts.lock().unwrap().entry(path.clone()).or_default() += 1;
                    // A client that has gone is not the origin's concern.
                    let _ = answer(&path, &mut stream);
                });
            }
        });
        Self { address, requests }
    }

    /// Serves these bodies, by path.
    pub(crate) fn serving(files: &[(&str, &str, Vec<u8>)]) -> Self {
        let files: BTreeMap<String, (String, Vec<u8>)> = files
            .iter()
            .map(|(path, fields, body)| ((*path).to_owned(), ((*fields).to_owned(), body.clone())))
            .collect();
        Self::start(move |path, stream| match files.get(path) {
            Some((fields, body)) => {
                head(stream, fields, body.len())?;
                stream.write_all(body)
            }
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        })
    }

    /// How often each path was asked for.
    pub(crate) fn requests(&self) -> BTreeMap<String, usize> {
        self.requests.lock().unwrap().clone()
    }

    /// The rule that leads a public name here.
    pub(crate) fn mirror(&self) -> String {
        format!("example.org=http://{}", self.address)
    }
}

/// Writes the head of a 200; `fields` are whole lines.
pub(crate) fn head(stream: &mut TcpStream, fields: &str, length: usize) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{fields}\r\n")
}

fn path_of(stream: &TcpStream) -> Option<String> {
    let mut path = None;
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if line.is_empty() {
            return path;
        }
        path.get_or_insert(line.split(' ').nth(1)?.to_owned());
    }
    None
}
