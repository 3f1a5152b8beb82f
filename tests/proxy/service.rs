//! `larder proxy` as a service: who may use it, what it tells, and how it changes and ends while it is used.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::clients::{apt, private_with};
use crate::larder::{Larder, Run};
use crate::repository::Repository;
use crate::server::{Server, read_head};

const LIMIT: Duration = Duration::from_mins(1);
const DEB: &str = "debian/pool/main/t/tiny/tiny_1.0_all.deb";
/// With letters that a URL has to write otherwise.
const PASSWORD: &str = "s3:cr@t";
const LOGIN: &str = "ci:s3%3Acr%40t";

/// A file of users as `larder proxy passwd` writes it.
pub(crate) fn users(larder: &Larder) -> PathBuf {
    let path = larder.dir().join("users");
    let mut command = larder.command(["proxy", "passwd", "users", "ci"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    let _ = Run::of(child.wait_with_output().unwrap()).expect(0);
    path
}

/// The address for metrics and health, as it is told.
fn admin(server: &Server) -> String {
    let line = server.usage.iter().find_map(|line| line.strip_prefix("Metrics and health at "));
    line.expect("it says where metrics are").to_owned()
}

fn ask(url: &str, args: &[&str]) -> (u16, String) {
    let output = Command::new("curl").args(["-sS", "--noproxy", "*", "-w", "\n%{http_code}", url]).args(args).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn metric(page: &str, sample: &str) -> u64 {
    let found = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {sample} in {page}")).parse().unwrap()
}

#[track_caller]
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "it does not come about");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_is_open_by_accident() {
    let larder = Larder::new();
    let users = users(&larder);
    let open = |args: &[&str]| {
        let run = larder.run(["proxy"].iter().chain(args)).expect(1);
        run.stderr
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let text = open(&["--listen", "127.0.0.1:0", "--listen", address]);
        for part in
            ["can be reached from other machines", "hint: name the networks", "--users-file", "hint: or listen on"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let text = open(&["--listen", "0.0.0.0:0", "--client", "0.0.0.0/0"]);
    assert!(text.contains("the whole internet") && text.contains("an open proxy"), "{text}");
    let text = open(&["--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"]);
    assert!(text.contains("admin_clients"), "{text}");
    for (args, part) in [
        (["--client", "10.0.0.1/8"], "do you mean 10.0.0.0/8?"),
        (["--listen", "localhost:1"], "is no address"),
        (["--users-file", "none"], "cannot read the users"),
    ] {
        let text = open(&args);
        assert!(text.contains(part), "{part}: {text}");
    }
    fs::write(&users, "ci:$apr1$x$y\n").unwrap();
    let text = open(&["--users-file", users.to_str().unwrap()]);
    assert!(text.contains("line 1: the password of ci is not hashed with bcrypt") && !text.contains("apr1"), "{text}");
}

/// Runs a script in a network of its own, with an address of a private network and one of the internet.
fn in_a_network(larder: &Larder, script: &str) -> Run {
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    let network = "set -e; ip link set lo up
        for address in 10.77.0.5 10.88.0.5 203.0.113.5; do ip addr add $address/32 dev lo; done";
    command.args(["--net", "bash", "-c", &format!("{network}\n{script}")]).env("LARDER", env!("CARGO_BIN_EXE_larder"));
    Run::of(command.output().unwrap())
}

#[test]
fn clients_of_the_network_reach_what_they_may_and_nothing_of_the_machine() {
    let larder = Larder::new();
    larder.write("secret", "of this machine");
    let script = r#"
        python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1 & origin=$!
        $LARDER proxy -q --listen 0.0.0.0:3142 --client ci=10.77.0.0/24 --access-log access.log 2>notes & proxy=$!
        trap 'kill $origin $proxy; wait' EXIT
        for n in $(seq 500); do grep -q GIT_SSL notes && curl -s -o /dev/null http://127.0.0.1:8080/ && break; sleep 0.1; done
        ask() { curl -s -o answer -w "%{http_code} %{exitcode}\n" -x http://$1:3142 --noproxy '' $2 || true; }
        for url in http://127.0.0.1:8080/secret http://localhost:8080/secret http://10.77.0.5:8080/ http://2130706433:8080/secret \
            http://[::1]:8080/ http://[::ffff:127.0.0.1]:8080/ http://169.254.169.254/ http://0.0.0.0:8080/ http://10.77.0.5:3142/
        do ask 10.77.0.5 $url; grep -q 'of this machine' answer && echo LEAKED; done
        for port in 22 25 6379; do curl -s -o /dev/null -w "%{http_connect}\n" -x http://10.77.0.5:3142 https://192.0.2.9:$port/ || true; done
        echo others; ask 10.88.0.5 http://127.0.0.1:8080/secret; cat answer; rm -f answer
        ask 203.0.113.5 http://127.0.0.1:8080/secret; ask 127.0.0.1 http://127.0.0.1:8080/secret
    "#;
    let run = in_a_network(&larder, script).expect(0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines[..9], ["403 0"; 9], "{}{}", run.stdout, run.stderr);
    assert_eq!(lines[9..12], ["403"; 3], "{}", run.stdout);
    assert_eq!(lines[12..14], ["others", "403 0"], "{}", run.stdout);
    assert!(lines[14].contains("10.88.0.5 is in none of the networks"), "{}", run.stdout);
    // From the internet: no answer at all. This machine itself is not among the clients either.
    assert!(lines[15] == "000 52" || lines[15] == "000 56", "{}", run.stdout);
    assert_eq!(lines[16], "403 0", "{}", run.stdout);
    let log = fs::read_to_string(larder.dir().join("access.log")).unwrap();
    let flows: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(flows.iter().all(|flow| flow["client"] == "10.77.0.5" && flow["network"] == "ci"), "{log}");
    assert!(flows.len() >= 12, "{log}");
}

#[test]
fn real_clients_log_in_by_the_url_of_the_proxy() {
    let repository = Repository::start();
    let larder = Larder::new();
    let (file, log) = (users(&larder), larder.dir().join("access.log"));
    let args =
        ["--users-file", file.to_str().unwrap(), "--access-log", log.to_str().unwrap(), "--admin", "127.0.0.1:0"];
    let mut server = private_with(&repository, larder, &args);
    let plain = format!("http://deb.example.org/{DEB}");
    let hidden = format!("https://secure.example.org/{DEB}");
    let answer = server.curl(&[&plain]);
    assert_eq!((answer.status, answer.body.contains("put user and password into its URL")), (407, true), "{answer:?}");
    let answer = server.curl(&["-o", "/dev/null", &hidden]);
    assert_eq!(answer.exit, 56, "{answer:?}");
    server.log_in(LOGIN);
    for url in [&plain, &hidden] {
        for way in ["--proxy-basic", "--proxy-anyauth"] {
            let answer = server.curl(&["-o", "/dev/null", way, url]);
            assert_eq!((answer.exit, answer.status), (0, 200), "{url} {way}: {answer:?}");
        }
    }
    let root = server.larder.dir().join("apt");
    let source = "deb [trusted=yes] http://deb.example.org/debian stable main\n";
    let _ = server.run(&mut apt(&root, source, &["update"])).expect(0);
    let _ = server.run(apt(&root, source, &["download", "tiny"]).current_dir(&root)).expect(0);
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-cache-dir", "--no-deps", "-d", "wheels"]);
    pip.args(["--index-url", "https://pypi.example.org/simple/", "tiny-wheel"]);
    let _ = server.run(&mut pip).expect(0);
    // Whether there is such a repository does not matter: the answer is the origin's.
    let mut git = Command::new("git");
    let run = server.run(git.args(["ls-remote", "https://secure.example.org/none.git"]));
    assert!(run.stderr.contains("not found"), "{}", run.stderr);
    let mut npm = Command::new("npm");
    npm.args([
        "view",
        "tiny",
        "--registry",
        "http://deb.example.org/none/",
        "--no-update-notifier",
        "--fetch-retries=0",
    ]);
    let run = server.run(&mut npm);
    assert!(run.stderr.contains("404"), "{}", run.stderr);
    server
        .larder
        .write("crate/Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\n[dependencies]\ntiny = \"1\"\n");
    server.larder.write("crate/src/lib.rs", "");
    let config = "[source.crates-io]\nreplace-with = \"none\"\n[source.none]\nregistry = \"sparse+https://secure.example.org/none/\"\n";
    server.larder.write("crate/.cargo/config.toml", config);
    let mut cargo = Command::new("cargo");
    server.larder.settle(&mut cargo);
    let directory = server.larder.dir().join("crate");
    let home = server.larder.dir().join("cargo");
    let kept = std::env::var_os("RUSTUP_HOME")
        .unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".rustup").into());
    cargo.arg("generate-lockfile").current_dir(&directory).env("CARGO_HOME", home).env("RUSTUP_HOME", kept);
    for name in ["http_proxy", "https_proxy", "CARGO_HTTP_PROXY"] {
        cargo.env(name, &server.url);
    }
    cargo.env("CARGO_HTTP_CAINFO", &server.bundle).env_remove("no_proxy").env_remove("NO_PROXY");
    let run = Run::of(cargo.output().unwrap());
    assert!(run.stderr.contains("config.json not found in registry"), "{}", run.stderr);

    let page = ask(&format!("{}/metrics", admin(&server)), &[]).1;
    assert!(metric(&page, "larder_logins_total{result=\"known\"}") > 5, "{page}");
    assert_eq!(metric(&page, "larder_logins_total{result=\"checked\"}"), 1, "{page}");
    assert_eq!(metric(&page, "larder_logins_total{result=\"wrong\"}"), 0, "{page}");
    until(|| fs::read_to_string(&log).unwrap().contains("none/config.json"));
    let text = fs::read_to_string(&log).unwrap();
    let flows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for part in ["tiny_wheel", "none.git", "none/config.json", "/none/tiny"] {
        let flow = flows.iter().find(|flow| flow["url"].as_str().unwrap().contains(part));
        let flow = flow.unwrap_or_else(|| panic!("{part} in {text}"));
        assert_eq!((&flow["user"], &flow["client"]), (&"ci".into(), &"127.0.0.1".into()), "{flow}");
    }
    assert!(!text.contains("cr@t") && !text.contains("cr%40t") && !text.contains("Basic "), "{text}");
}

#[test]
fn a_file_of_apache_is_taken_and_changed() {
    let larder = Larder::new();
    let made = Command::new("htpasswd").args(["-nbB", "dev", PASSWORD]).output().unwrap();
    let path = larder.write("users", &String::from_utf8(made.stdout).unwrap());
    let mut server = Server::start(larder, &["--users-file", path.to_str().unwrap()]);
    let url = "http://127.0.0.1:1/";
    assert_eq!(server.curl(&[url]).status, 407);
    let open = server.url.clone();
    server.log_in("dev:s3%3Acr%40t");
    assert_eq!(server.curl(&[url]).status, 403, "who has logged in reaches nothing of this machine");
    // Another user is added, and heeded after SIGHUP.
    users(&server.larder);
    server.url = open;
    server.log_in(LOGIN);
    assert_eq!(server.curl(&[url]).status, 407);
    server.signal(Signal::HUP);
    server.note("are in force");
    assert_eq!(server.curl(&[url]).status, 403);
    let verified = Command::new("htpasswd").args(["-vb"]).arg(&path).args(["ci", PASSWORD]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn metrics_are_as_prometheus_wants_them_and_only_for_who_means_them() {
    let repository = Repository::start();
    let server = private_with(&repository, Larder::new(), &["--admin", "127.0.0.1:0"]);
    let url = format!("http://deb.example.org/{DEB}");
    let admin = admin(&server);
    for _ in 0..2 {
        assert_eq!(server.curl(&["-o", "/dev/null", &url]).status, 200);
        server.flow();
        // Who comes before it is stored joins the fetch.
        until(|| metric(&ask(&format!("{admin}/metrics"), &[]).1, "larder_cache_entries") == 1);
    }
    let (status, page) = ask(&format!("{admin}/metrics"), &[]);
    assert_eq!(status, 200);
    let mut check = Command::new("promtool");
    let mut check = check.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let _ = Run::of(check.wait_with_output().unwrap()).expect(0);
    assert_eq!(metric(&page, r#"larder_requests_total{outcome="HIT",class="package"}"#), 1, "{page}");
    assert_eq!(metric(&page, r#"larder_request_duration_seconds_count{outcome="MISS"}"#), 1, "{page}");
    assert_eq!(metric(&page, "larder_cache_entries"), 1, "{page}");
    let (cache, upstream) =
        (r#"larder_read_bytes_total{source="cache"}"#, r#"larder_read_bytes_total{source="upstream"}"#);
    assert_eq!(metric(&page, cache), metric(&page, upstream), "{page}");
    assert_eq!(metric(&page, r#"larder_mirror_up{name="deb.example.org",mirror="MIRROR"}"#.replace("MIRROR", &format!("{}/", repository.http())).as_str()), 1);
    // What is there is what the reference says.
    let named = |text: &str| {
        text.lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = larder::cli::serve::catalogue::METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    let mut found = named(&page);
    found.sort();
    let mut expected = all;
    expected.sort();
    assert_eq!(found, expected);
    let (status, health) = ask(&format!("{admin}/healthz"), &[]);
    assert_eq!((status, health.trim()), (200, r#"{"status":"ok","problems":[]}"#));
    for path in ["/livez", "/readyz", "/ca.pem"] {
        assert_eq!(ask(&format!("{admin}{path}"), &[]).0, 200, "{path}");
    }
    // A page that has this address for its own name reads nothing, and nothing is here to be changed.
    let rebound = ask(&format!("{admin}/metrics"), &["-H", "Host: evil.example.net"]);
    assert_eq!((rebound.0, rebound.1.contains("larder_")), (421, false));
    assert_eq!(ask(&format!("{admin}/metrics"), &["-X", "POST"]).0, 405);
    assert_eq!(ask(&format!("{admin}/none"), &[]).0, 404);
    let headers =
        ask(&format!("{admin}/metrics"), &["-D", "-", "-o", "/dev/null", "-H", "Origin: http://evil.example.net"]).1;
    assert!(!headers.to_lowercase().contains("access-control"), "{headers}");
    // The proxy's own address has none of it.
    let (status, text) = ask(&format!("{}/metrics", server.url), &[]);
    assert_eq!((status, text.contains("larder_requests")), (400, false), "{text}");
}

#[test]
fn a_log_that_is_moved_is_begun_anew_and_a_full_disk_stops_nothing() {
    let repository = Repository::start();
    let larder = Larder::new();
    let (log, moved) = (larder.dir().join("access.log"), larder.dir().join("access.log.1"));
    let args = ["--access-log", log.to_str().unwrap(), "--admin", "127.0.0.1:0"];
    let server = private_with(&repository, larder, &args);
    let url = format!("http://deb.example.org/{DEB}");
    let fetch = || assert_eq!(server.curl(&["-o", "/dev/null", &url]).status, 200);
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    fetch();
    until(|| lines(&log) == 1);
    fs::rename(&log, &moved).unwrap();
    server.signal(Signal::USR1);
    until(|| {
        fetch();
        lines(&log) > 0
    });
    let admin = admin(&server);
    // No room is left.
    fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    server.signal(Signal::USR1);
    until(|| {
        fetch();
        metric(&ask(&format!("{admin}/metrics"), &[]).1, r#"larder_log_lines_total{result="lost"}"#) > 0
    });
    let (status, health) = ask(&format!("{admin}/healthz"), &[]);
    assert!(status == 200 && health.contains("degraded") && health.contains("No space left"), "{health}");
    server.note("is not written");
    // There is room again.
    fs::remove_file(&log).unwrap();
    server.signal(Signal::USR1);
    until(|| {
        fetch();
        lines(&log) > 0
    });
    server.note("is written again");
    for line in fs::read_to_string(&log).unwrap().lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    server.terminate();
    let (code, notes) = server.wait();
    assert_eq!(code, Some(0));
    assert!(notes.iter().any(|note| note.contains("lines of the access log are missing")), "{notes:?}");
}

#[test]
fn settings_are_read_anew_and_wrong_ones_are_not_taken() {
    let repository = Repository::start();
    let larder = Larder::new();
    let settings = |text: &str| larder.write(".config/larder/config.toml", text);
    settings("[proxy]\nadmin = [\"127.0.0.1:0\"]\n");
    let file = larder.dir().join(".config/larder/config.toml");
    let server = private_with(&repository, larder, &[]);
    let url = format!("http://deb.example.org/{DEB}");
    let status = || server.curl(&["-o", "/dev/null", &url]).status;
    assert_eq!(status(), 200);
    let admin = admin(&server);
    fs::write(&file, "[proxy]\nadmin = [\"127.0.0.1:0\"]\ndeny = [\"deb.example.org\"]\n").unwrap();
    assert_eq!(status(), 200);
    server.signal(Signal::HUP);
    server.note("are in force");
    assert_eq!(status(), 403);
    for wrong in [
        "[proxy]\ndeny = [\"a/b\"]\n",
        "[proxy\n",
        "[proxy]\nclients = [\"10.0.0.1/8\"]\n",
        "[rules]\n\"(\" = \"plain\"\n",
    ] {
        fs::write(&file, wrong).unwrap();
        server.signal(Signal::HUP);
        server.note("stay in force");
        assert_eq!(status(), 403, "{wrong}");
        let health = ask(&format!("{admin}/healthz"), &[]).1;
        assert!(health.contains("degraded") && health.contains("settings"), "{health}");
    }
    fs::write(&file, "[proxy]\nadmin = [\"127.0.0.2:0\"]\n").unwrap();
    server.signal(Signal::HUP);
    server.note("proxy.admin is another now; that needs a new start");
    assert_eq!(status(), 200);
    let page = ask(&format!("{admin}/metrics"), &[]).1;
    assert_eq!(metric(&page, r#"larder_reloads_total{result="refused"}"#), 4);
    assert_eq!(metric(&page, "larder_reload_success"), 1);
}

/// Starts `larder proxy` with a listening socket as a service manager hands it over.
fn with_socket(larder: &Larder, socket: &TcpListener, notify: &Path) -> Child {
    let script = format!("export LISTEN_PID=$$; exec \"$LARDER\" proxy --quiet 3<&{}", socket.as_raw_fd());
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty()).unwrap();
    let mut command = Command::new("bash");
    larder.settle(&mut command);
    command.args(["-c", &script]).env("LARDER", env!("CARGO_BIN_EXE_larder")).env("NO_PROXY", "*");
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "proxy").env("NOTIFY_SOCKET", notify);
    command.env("WATCHDOG_USEC", "200000").stderr(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn another_process_takes_over_and_no_connection_is_refused() {
    let (larder, origin) = (Larder::new(), TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let url = format!("http://{}/x", origin.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in origin.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                read_head(&mut stream);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
            });
        }
    });
    let path = larder.dir().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(LIMIT)).unwrap();
    let told = |wanted: &str| {
        let mut buffer = [0; 1000];
        loop {
            let length = notify.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if String::from_utf8_lossy(&buffer[..length]).starts_with(wanted) {
                return;
            }
        }
    };
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let first = with_socket(&larder, &socket, &path);
    told("READY=1");
    told("WATCHDOG=1");
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (failed, failures) = channel();
    thread::scope(|scope| {
        for _ in 0..4 {
            let failed = failed.clone();
            scope.spawn(|| {
                let failed = failed;
                while !stop.load(Ordering::Relaxed) {
                    let ask = || -> std::io::Result<String> {
                        let mut stream = TcpStream::connect(address)?;
                        stream.set_read_timeout(Some(LIMIT))?;
                        write!(stream, "GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
                        let mut text = String::new();
                        stream.read_to_string(&mut text)?;
                        Ok(text)
                    };
                    match ask() {
                        Ok(text) if text.ends_with("hello") => {}
                        other => failed.send(format!("{other:?}")).unwrap(),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut current = first;
        for _ in 0..3 {
            let before = asked.load(Ordering::Relaxed);
            until(|| asked.load(Ordering::Relaxed) > before + 50);
            let next = with_socket(&larder, &socket, &path);
            told("READY=1");
            rustix::process::kill_process(rustix::process::Pid::from_child(&current), Signal::TERM).unwrap();
            told("STOPPING=1");
            assert!(current.wait().unwrap().success());
            current = next;
        }
        let before = asked.load(Ordering::Relaxed);
        until(|| asked.load(Ordering::Relaxed) > before + 50);
        stop.store(true, Ordering::Relaxed);
        rustix::process::kill_process(rustix::process::Pid::from_child(&current), Signal::TERM).unwrap();
        assert!(current.wait().unwrap().success());
    });
    let failures: Vec<String> = failures.try_iter().collect();
    assert!(failures.is_empty(), "{} of {}: {:?}", failures.len(), asked.load(Ordering::Relaxed), failures.first());
}

#[test]
fn a_unix_socket_serves_and_goes_with_the_proxy() {
    let larder = Larder::new();
    let path = larder.dir().join("proxy.sock");
    let mut command = larder.command(["proxy", "-q", "--listen"]);
    let mut child = command.arg(format!("unix:{}", path.display())).stderr(Stdio::null()).spawn().unwrap();
    until(|| path.exists());
    let ask = || {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).ok()?;
        stream.write_all(b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.starts_with("HTTP/1.1 502 ").then_some(())
    };
    until(|| ask().is_some());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!path.exists());
}
