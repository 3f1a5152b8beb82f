//! Faults of the network: each is told to the client and in the flow, and leaves nothing in the cache.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::certificates::{Identity, TestCa, self_signed};
use crate::larder::{Larder, Run, is_root};
use crate::repository::free_port;
use crate::server::{Curl, Server, read_head};

/// An origin that goes wrong in the way its path names.
struct Origin {
    port: u16,
    over: Arc<(Mutex<bool>, Condvar)>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let over: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let waits = over.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let waits = waits.clone();
                thread::spawn(move || misbehave(stream, &waits));
            }
        });
        Self { port, over }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap() = true;
        self.over.1.notify_all();
    }
}

fn misbehave(mut stream: TcpStream, over: &(Mutex<bool>, Condvar)) {
    let head = read_head(&mut stream);
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789";
    let stall = || drop(over.1.wait_while(over.0.lock().unwrap(), |over| !*over));
    // The other side may be gone already.
    let _ = match head.split(' ').nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default() {
        "stall-head" => {
            stall();
            Ok(())
        }
        "stall-body" => stream.write_all(announced).map(|()| stall()),
        "short" => stream.write_all(announced),
        "chunked" => stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        "garbage" => stream.write_all(b"\x00\x01\x02 this is not HTTP\r\n\r\n"),
        "closes" => Ok(()),
        _ => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    };
}

fn faulty_server(args: &[&str]) -> Server {
    Server::with(Larder::new(), args, |command| {
        command.env("NO_PROXY", "*").env("LARDER_UPSTREAM_TIMEOUT", "1");
    })
}

/// Asks for all URLs at once; answers and flows in their order.
fn ask(server: &Server, urls: &[String]) -> Vec<(Curl, serde_json::Value)> {
    let clients: Vec<_> = urls
        .iter()
        .map(|url| server.curl_command(&[url]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let answers: Vec<_> = clients.into_iter().map(|client| Curl::of(client.wait_with_output().unwrap())).collect();
    let flows: Vec<_> = urls.iter().map(|_| server.flow()).collect();
    let flow = |url: &String| flows.iter().find(|flow| flow["url"] == *url).unwrap().clone();
    answers.into_iter().zip(urls).map(|(answer, url)| (answer, flow(url))).collect()
}

fn nothing_is_stored(server: &Server) {
    let run = server.larder.run(["cache", "ls", "--json"]).expect(0);
    assert!(!run.stdout.contains("http"), "{}", run.stdout);
    let _ = server.larder.run(["cache", "verify"]).expect(0);
}

#[test]
fn origins_that_fail_before_the_answer() {
    let origin = Origin::start();
    let server = faulty_server(&[]);
    let closed = free_port();
    let cases = [
        (format!("http://127.0.0.1:{}/pool/a/stall-head", origin.port), 504, "gave no answer within"),
        (format!("http://127.0.0.1:{}/pool/a/garbage", origin.port), 502, "gave no proper answer"),
        (format!("http://127.0.0.1:{}/pool/a/closes", origin.port), 502, "gave no proper answer"),
        (format!("http://127.0.0.1:{closed}/x.deb"), 502, "cannot connect to 127.0.0.1"),
        ("http://no-such-name.invalid/x.deb".to_owned(), 502, "no address for no-such-name.invalid"),
    ];
    let urls: Vec<_> = cases.iter().map(|(url, ..)| url.clone()).collect();
    for ((answer, flow), (url, status, text)) in ask(&server, &urls).into_iter().zip(&cases) {
        assert_eq!((answer.exit, answer.status), (0, *status), "{url}: {answer:?}");
        assert!(answer.body.starts_with("larder: ") && answer.body.contains(text), "{url}: {answer:?}");
        assert!(answer.body.len() < 400 && answer.body.lines().count() == 1, "{url}: {answer:?}");
        assert_eq!(flow["outcome"], "ERROR", "{flow}");
        assert!(flow["why"].as_str().unwrap().contains(text), "{flow}");
    }
    nothing_is_stored(&server);
}

#[test]
fn origins_that_fail_within_the_body() {
    let origin = Origin::start();
    let server = faulty_server(&[]);
    let cases = [("stall-body", "sent nothing for 1 s"), ("short", "broke off"), ("chunked", "broke off")];
    let url = |name: &str| format!("http://127.0.0.1:{}/pool/main/{name}", origin.port);
    let urls: Vec<_> = cases.iter().map(|(name, _)| url(name)).collect();
    for ((answer, flow), (name, why)) in ask(&server, &urls).into_iter().zip(cases) {
        assert_ne!(answer.exit, 0, "{name}: a short body must not look whole: {answer:?}");
        assert_eq!((&flow["outcome"], &flow["aborted"]), (&"ERROR".into(), &true.into()), "{name}: {flow}");
        assert!(flow["why"].as_str().unwrap().contains(why), "{name}: {flow}");
        assert_eq!(flow["digest"], serde_json::Value::Null, "{name}: {flow}");
    }
    nothing_is_stored(&server);
}

/// `openssl s_server`, which answers any request; ended when dropped.
struct Tls(Child);

impl Tls {
    fn start(identity: &Identity, port: u16) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}"), "-cert"]);
        command.arg(&identity.certificate).arg("-key").arg(&identity.key);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn origins_whose_certificate_is_not_valid() {
    let directory = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let root = ca.file(directory.path());
    let at = directory.path();
    let cases = [
        ("wrong", ca.identity(at, "wrong", &["other.example.org"], false), "not valid"),
        ("old", ca.identity(at, "old", &["127.0.0.1"], true), "expired"),
        ("own", self_signed(at, "own", &["127.0.0.1"]), "not trusted here"),
        ("good", ca.identity(at, "good", &["127.0.0.1"], false), ""),
    ];
    let mut args = vec!["--ca-file".to_owned(), root.display().to_string()];
    let mut servers = Vec::new();
    for (name, identity, _) in &cases {
        let port = free_port();
        servers.push(Tls::start(identity, port));
        args.extend(["--mirror".to_owned(), format!("{name}.example.org=https://127.0.0.1:{port}/")]);
    }
    let server = faulty_server(&args.iter().map(String::as_str).collect::<Vec<_>>());
    // Listening, once it answers at all.
    let url = |name: &str| format!("https://{name}.example.org/x.deb");
    while server.curl(&[&url("good")]).status != 200 {
        let flow = server.flow();
        assert!(flow["why"].as_str().unwrap().contains("refused"), "{flow}");
    }
    let _ = server.flow();
    let bad = &cases[..3];
    let urls: Vec<_> = bad.iter().map(|(name, ..)| url(name)).collect();
    for ((answer, flow), (name, _, text)) in ask(&server, &urls).into_iter().zip(bad) {
        assert_eq!((answer.exit, answer.status), (0, 502), "{name}: {answer:?}");
        assert!(answer.body.contains("no TLS connection to") && answer.body.contains(text), "{name}: {answer:?}");
        assert_eq!((&flow["outcome"], &flow["intercepted"]), (&"ERROR".into(), &true.into()), "{flow}");
        let listed = server.larder.run(["cache", "ls", "--json", name]).expect(0);
        assert!(!listed.stdout.contains("example.org"), "{}", listed.stdout);
    }
}

#[test]
fn a_command_is_told_of_each_fault_at_its_end() {
    if !is_root() {
        return;
    }
    let origin = Origin::start();
    let larder = Larder::new();
    let mirror = format!("--mirror=x.example.org=http://127.0.0.1:{}/", origin.port);
    for name in ["short", "garbage"] {
        let url = format!("http://x.example.org/pool/main/{name}");
        let mut command = larder.command(["exec", &mirror, "--", "curl", "-sS", "-o", "/dev/null", &url]);
        let run = Run::of(command.env("NO_PROXY", "*").output().unwrap());
        assert!(run.stderr.contains(&format!("ERROR GET {url}: ")), "{}", run.stderr);
    }
}

#[test]
fn a_build_lists_what_an_empty_cache_lacks() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    larder.write(
        "x.pkr.hcl",
        "source \"rootfs\" \"x\" {\n  debian {}\n  output = \"x\"\n}\nbuild {\n  sources = [\"source.rootfs.x\"]\n}\n",
    );
    let run = larder.run(["build", "--ui=plain", "--net=offline", "x.pkr.hcl"]).expect(4);
    let (_, report) = run.stdout.split_once("==> Not in the cache, and the run was offline").expect("a table");
    assert!(report.contains("rootfs.x") && report.contains("/InRelease"), "{report}");
    assert!(report.contains("bootstrap") && report.contains("  larder build x.pkr.hcl\n"), "{report}");
}

#[test]
fn without_a_network_commands_of_the_host_still_reach_the_proxy() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let curl = "curl -s -o answer -w %{http_code} http://x.example.org/a.deb > status; cat answer";
    larder.write(
        "x.pkr.hcl",
        &format!(
            "source \"null\" \"x\" {{\n  communicator = \"none\"\n}}\nbuild {{\n  sources = [\"source.null.x\"]\n  \
             provisioner \"shell-local\" {{\n    inline = [\"{}\"]\n  }}\n}}\n",
            curl.replace("%{", "%%{")
        ),
    );
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    command.args(["--net", env!("CARGO_BIN_EXE_larder"), "build", "--net=offline", "x.pkr.hcl"]);
    let run = Run::of(command.output().unwrap());
    let status = fs::read_to_string(larder.dir().join("status")).unwrap_or_default();
    assert_eq!(status, "403", "{run:?}");
    assert!(run.stdout.contains("x.example.org/a.deb"), "{run:?}");
}

#[test]
fn offline_nothing_is_asked() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mirror = format!("deb.example.org=http://{}/", listener.local_addr().unwrap());
    let server = faulty_server(&["--net", "offline", "--mirror", &mirror, "--tunnel", "tunnel.example.org"]);
    let answer = server.curl(&["http://deb.example.org/pool/main/x/x_1_all.deb"]);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("offline") && answer.body.contains("x_1_all.deb"), "{answer:?}");
    let flow = server.flow();
    assert_eq!((&flow["outcome"], &flow["offline_miss"]), (&"DENIED".into(), &true.into()), "{flow}");
    assert_eq!(server.curl(&["https://tunnel.example.org/"]).exit, 56);
    let flow = server.flow();
    assert_eq!((&flow["outcome"], &flow["offline_miss"]), (&"DENIED".into(), &true.into()), "{flow}");
    assert!(listener.accept().is_err(), "the mirror was asked");
}
