//! What `larder proxy` tells, and what it keeps to itself.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use rustix::process::Signal;

use crate::clients::private_with;
use crate::larder::{Larder, Run};
use crate::repository::Repository;
use crate::server::Server;
use crate::service::users;

const LIMIT: Duration = Duration::from_mins(1);
/// Nothing listens there.
const URL: &str = "http://127.0.0.1:1/";

#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come about");
        thread::sleep(Duration::from_millis(10));
    }
}

fn admin(server: &Server) -> String {
    let line = server.usage.iter().find_map(|line| line.strip_prefix("Metrics and health at "));
    line.expect("it says where metrics are").to_owned()
}

fn page(url: &str) -> String {
    let output = Command::new("curl").args(["-sS", "--fail", "--noproxy", "*", url]).output().unwrap();
    Run::of(output).expect(0).stdout
}

#[test]
fn the_access_log_goes_where_the_settings_read_last_say() {
    let larder = Larder::new();
    let [first, second] = ["first.log", "second.log"].map(|name| larder.dir().join(name));
    let text = format!("[proxy]\naccess_log = \"{}\"\n", first.display());
    let file = larder.write(".config/larder/config.toml", &text);
    let server = Server::start(larder, &[]);
    let ask = || assert_eq!(server.curl(&[URL]).status, 502);
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    ask();
    until(|| lines(&first) == 1);
    let write = |line: String| fs::write(&file, format!("[proxy]\n{line}")).unwrap();
    write(format!("access_log = \"{}\"\n", second.display()));
    server.signal(Signal::HUP);
    server.note("are in force");
    ask();
    until(|| lines(&second) == 1);
    // A place that cannot be had changes nothing.
    write("access_log = \"/proc/none/x.log\"\n".to_owned());
    server.signal(Signal::HUP);
    server.note("stay in force");
    ask();
    until(|| lines(&second) == 2);
    // None any more; and one again.
    write(String::new());
    server.signal(Signal::HUP);
    server.note("are in force");
    ask();
    write(format!("access_log = \"{}\"\n", first.display()));
    server.signal(Signal::HUP);
    server.note("are in force");
    ask();
    until(|| lines(&first) == 2);
    assert_eq!(lines(&second), 2);
}

fn sample(page: &str, name: &str, proxy: &str, more: &str) -> Option<f64> {
    let begin = format!("{name}{{proxy=\"{proxy}\"{more}}} ");
    page.lines().find_map(|line| line.strip_prefix(&begin)).map(|value| value.parse().unwrap())
}

#[test]
fn proxies_upstream_are_in_the_metrics_by_their_redacted_names() {
    let origin = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = origin.local_addr().unwrap();
    let parent = Server::start(Larder::new(), &[]);
    // Refuses who does not log in.
    let strict = Larder::new();
    let file = users(&strict);
    let strict = Server::start(strict, &["--users-file", file.to_str().unwrap()]);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let wrong = strict.url.replace("http://", "http://ci:geheim@");
    let ways = format!("http://u:geheim@{dead} {wrong} {}", parent.url);
    let args = ["--upstream-proxy", &ways, "--no-proxy", "none.example.org", "--admin", "127.0.0.1:0"];
    let server = Server::start(Larder::new(), &args);
    let admin = admin(&server);
    let before = page(&format!("{admin}/metrics"));
    let dead = format!("http://{dead}");
    for proxy in [&dead, &strict.url, &parent.url] {
        assert_eq!(sample(&before, "larder_upstream_up", proxy, ""), Some(1.0), "{before}");
        assert_eq!(sample(&before, "larder_upstream_latency_seconds", proxy, ""), None, "{before}");
        assert_eq!(sample(&before, "larder_upstream_failures_total", proxy, ",phase=\"tls\""), Some(0.0), "{before}");
    }
    let answering = thread::spawn(move || {
        let (mut stream, _) = origin.accept().unwrap();
        crate::server::read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    });
    let answer = server.curl(&[&format!("http://{target}/x")]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"), "{answer:?}");
    answering.join().unwrap();
    let after = page(&format!("{admin}/metrics"));
    assert_eq!(sample(&after, "larder_upstream_up", &dead, ""), Some(0.0), "{after}");
    assert_eq!(sample(&after, "larder_upstream_failures_total", &dead, ",phase=\"connect\""), Some(1.0), "{after}");
    assert_eq!(sample(&after, "larder_upstream_up", &strict.url, ""), Some(0.0), "{after}");
    assert_eq!(sample(&after, "larder_upstream_failures_total", &strict.url, ",phase=\"login\""), Some(1.0), "{after}");
    assert_eq!(sample(&after, "larder_upstream_up", &parent.url, ""), Some(1.0), "{after}");
    assert!(sample(&after, "larder_upstream_latency_seconds", &parent.url, "") > Some(0.0), "{after}");
    assert!(!after.contains("geheim"), "{after}");
    let mut check = Command::new("promtool");
    let mut check = check.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(after.as_bytes()).unwrap();
    let _ = Run::of(check.wait_with_output().unwrap()).expect(0);
}

/// Every file below a directory.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn the_key_of_the_ca_and_passwords_are_in_no_output() {
    const PASSWORD: &str = "s3:cr@t";
    let repository = Repository::start();
    let larder = Larder::new();
    let (file, log) = (users(&larder), larder.dir().join("access.log"));
    let debug = larder.dir().join("debug.log");
    let mirror = format!("deb.example.org={}/", repository.http());
    let args = ["proxy", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--mirror", &mirror];
    let mut command = larder.command(args);
    command.args(["--users-file", file.to_str().unwrap(), "--access-log", log.to_str().unwrap()]);
    command.env("LARDER_LOG", "trace").env("PACKER_LOG_PATH", &debug).env("NO_PROXY", "*");
    let (out, said) = (larder.dir().join("out"), larder.dir().join("said"));
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&said).unwrap());
    let mut child = command.spawn().unwrap();
    let line = |begin: &str| {
        let mut found = None;
        until(|| {
            let text = fs::read_to_string(&said).unwrap();
            found = text.lines().find_map(|line| line.strip_prefix(begin).map(str::to_owned));
            found.is_some()
        });
        found.unwrap()
    };
    let (url, admin) = (line("Listening on "), line("Metrics and health at "));
    let bundle = line("  CA='");
    let proxy = |login: &str, args: &[&str]| {
        let mut curl = Command::new("curl");
        larder.settle(&mut curl);
        curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "", "--cacert"]);
        curl.args([bundle.split('\'').next().unwrap(), "-x", &url, "--proxy-user", login]).args(args);
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    };
    let right = format!("ci:{PASSWORD}");
    assert_eq!(proxy(&right, &["http://deb.example.org/debian/pool/main/t/tiny/tiny_1.0_all.deb"]), "200");
    assert_eq!(proxy(&right, &["https://deb.example.org/debian/pool/main/t/tiny/tiny_1.0_all.deb"]), "200");
    assert_eq!(proxy(&right, &["https://127.0.0.1:443/"]), "403");
    assert_eq!(proxy("ci:a-wrong-guess", &["http://deb.example.org/"]), "407");
    let pages: Vec<String> = ["metrics", "healthz", "ca.pem", ""].map(|name| page(&format!("{admin}/{name}"))).to_vec();
    let cmdline = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());

    let all = files(larder.dir()).into_iter().chain(files(&larder.state())).chain(files(larder.cache()));
    let all: BTreeSet<PathBuf> = all.collect();
    let (keys, others): (Vec<PathBuf>, Vec<PathBuf>) =
        all.into_iter().partition(|path| path.starts_with(larder.state().join("ca")) && path.ends_with("ca.pem"));
    assert_eq!(keys.len(), 1, "{keys:?}");
    let pem = fs::read_to_string(&keys[0]).unwrap();
    let inner = pem.split("PRIVATE KEY-----").nth(1).unwrap().trim_end_matches("-----END ").replace('\n', "");
    let base64 = &base64::engine::general_purpose::STANDARD;
    let der = base64.decode(&inner).unwrap();
    // The private number itself stands behind the head of PKCS#8; whatever comes around it.
    let number = der[36..68].to_vec();
    let needles: Vec<(&str, Vec<u8>)> = vec![
        ("the head of a key", b"PRIVATE KEY".to_vec()),
        ("the key in base64", inner.as_bytes()[52..84].to_vec()),
        ("the key in DER", number.clone()),
        ("the key in hex", hex::encode(&number).into_bytes()),
        ("the key in capital hex", hex::encode_upper(&number).into_bytes()),
        ("the key as an array", format!("{:?}", &number[..8]).trim_matches(['[', ']']).as_bytes().to_vec()),
        ("the password", PASSWORD.as_bytes().to_vec()),
        ("the password in a URL", b"s3%3Acr%40t".to_vec()),
        ("the password in base64", base64.encode(&right).into_bytes()),
        ("a wrong password", b"a-wrong-guess".to_vec()),
        ("a wrong password in base64", base64.encode("ci:a-wrong-guess").into_bytes()),
    ];
    let mut outputs: Vec<(String, Vec<u8>)> =
        others.iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    outputs.extend(pages.into_iter().map(|page| ("a page".to_owned(), page.into_bytes())));
    outputs.push(("the command line".to_owned(), cmdline));
    assert!(outputs.iter().any(|(name, bytes)| name.ends_with("debug.log") && bytes.len() > 1000), "it was verbose");
    for (what, needle) in &needles {
        for (name, bytes) in &outputs {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{what} is in {name}");
        }
    }
    let found = |needle: &[u8]| pem.as_bytes().windows(needle.len()).any(|window| window == needle);
    assert!(found(&needles[0].1) && found(&inner.as_bytes()[..64]), "what is looked for is what is there");
}

#[test]
fn no_core_of_the_proxy_is_written() {
    let larder = Larder::new();
    let mut command = Command::new("bash");
    larder.settle(&mut command);
    let script = "ulimit -c unlimited && exec \"$LARDER\" proxy -q --listen 127.0.0.1:0";
    let said = larder.dir().join("said");
    command.args(["-c", script]).env("LARDER", env!("CARGO_BIN_EXE_larder")).stdout(Stdio::null());
    command.stderr(fs::File::create(&said).unwrap());
    let mut child = command.spawn().unwrap();
    until(|| fs::read_to_string(&said).unwrap().contains("Listening on "));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::QUIT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(3), false));
}

#[test]
fn real_clients_get_what_they_may_where_others_may_come() {
    // Behind rules everybody is held to what a guest is; what the settings name is for all.
    let repository = Repository::start();
    let larder = Larder::new();
    let file = users(&larder);
    let mut server = private_with(&repository, larder, &["--users-file", file.to_str().unwrap()]);
    server.log_in("ci:s3%3Acr%40t");
    let answer = server.curl(&["-o", "/dev/null", "http://deb.example.org/debian/pool/main/t/tiny/tiny_1.0_all.deb"]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = server.curl(&[&format!("{}/debian/pool/main/t/tiny/tiny_1.0_all.deb", repository.http())]);
    assert!(answer.status == 403 && answer.body.contains("loopback"), "{answer:?}");
}
