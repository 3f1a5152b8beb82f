//! What the proxy has the kernel do, seen from outside by strace.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::larder::Larder;
use crate::server::{Server, answer_once};

/// The calls of a running proxy, as strace writes them, while something is done.
fn calls_while(server: &Server, traced: &str, act: impl FnOnce()) -> String {
    let (path, id) = (server.larder.dir().join("calls"), server.id().to_string());
    let mut command = Command::new("strace");
    command.args(["-f", "-e", traced, "-p", &id, "-o"]).arg(&path).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut strace = command.spawn().expect("tests/run installs strace");
    let mut said = BufReader::new(strace.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("attached")), "strace is attached");
    act();
    kill_process(Pid::from_child(&strace), Signal::INT).unwrap();
    said.for_each(drop);
    strace.wait().unwrap();
    fs::read_to_string(path).unwrap()
}

#[test]
fn stored_bodies_go_to_plain_connections_by_the_kernel_and_little_waits_there() {
    const SIZE: usize = 1 << 20;
    let (url, origin) = answer_once(SIZE);
    let server = Server::with(Larder::new(), &[], |command| {
        command.env("NO_PROXY", "*");
    });
    let ask = || {
        let answer = server.curl(&["-o", "/dev/null", &url]);
        assert_eq!((answer.exit, answer.status), (0, 200), "{answer:?}");
    };
    let outcome = || {
        ask();
        server.flow()["outcome"].clone()
    };
    assert_eq!(outcome(), "MISS");
    origin.join().unwrap();
    // Who comes before it is stored joins the fetch.
    assert!((0..1000).any(|_| outcome() == "HIT"), "it is stored");
    let calls = calls_while(&server, "trace=sendfile,setsockopt", ask);
    let sent =
        |line: &str| line.contains("sendfile(").then(|| line.rsplit_once("= ")?.1.parse::<usize>().ok()).flatten();
    assert_eq!(calls.lines().filter_map(sent).sum::<usize>(), SIZE, "{calls}");
    let limited = |line: &str| line.contains("TCP_NOTSENT_LOWAT, [65536]") && line.ends_with("= 0");
    assert_eq!(calls.lines().filter(|line| limited(line)).count(), 1, "{calls}");
}
