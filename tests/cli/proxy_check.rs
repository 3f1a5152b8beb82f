//! `larder proxy check` and what `larder doctor` says of the same, against peers that answer as told.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use super::Larder;
use super::support::Run;

const URL: &str = "http://packages.example.org/x.deb";
const REFUSED: &str = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"";

/// Answers every request on a loopback port with this head.
fn answering(head: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(format!("{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
        }
    });
    address
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Larder with nothing of the host's network settings.
fn run(larder: &Larder, args: &[&str]) -> Run {
    let mut command = larder.command(args);
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"] {
        command.env_remove(name);
    }
    Run::of(command.env("COLUMNS", "80").output().unwrap())
}

/// What is shown, without what differs from run to run; every line fits.
#[track_caller]
fn shown(larder: &Larder, run: &Run, proxy: SocketAddr) -> String {
    for line in run.stdout.lines() {
        assert!(line.chars().count() <= 80 || line.contains(larder.dir().to_str().unwrap()), "{line}");
    }
    let text: String = run.stdout.lines().map(|line| without_time(line) + "\n").collect();
    // A folder's name is long, and where lines break depends on it.
    let text = text.split("    or: keep").next().unwrap();
    text.replace(&proxy.port().to_string(), "PORT")
}

/// The line with `T` for how long something took.
fn without_time(line: &str) -> String {
    let Some((before, after)) = line.split_once(" ms") else { return line.to_owned() };
    let before = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end();
    format!("{before} T ms{after}")
}

fn told(larder: &Larder, args: &[&str]) -> Value {
    let run = run(larder, &[&["proxy", "check", "--json", URL], args].concat());
    let told: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    assert_eq!(run.code == 0, told[0]["works"] == true, "{run:?}");
    told[0].clone()
}

/// What doctor finds of the way, with the same settings.
fn doctor(larder: &Larder, args: &[&str]) -> Value {
    // A mirror, so that what is asked for is known here.
    let mirror = ["doctor", "--json", "--mirror", "public.example.org=http://packages.example.org/"];
    let run = run(larder, &[&mirror, args].concat());
    let told: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"));
    told["checks"].as_array().unwrap().iter().find(|check| check["check"] == "upstream").unwrap().clone()
}

#[test]
fn a_way_that_works_is_shown_step_by_step() {
    let larder = Larder::new();
    let proxy = answering("HTTP/1.1 200 OK");
    let run = run(&larder, &["proxy", "check", URL, "--upstream-proxy", &format!("http://{proxy}")]).expect(0);
    insta::assert_snapshot!(shown(&larder, &run, proxy));
}

/// Each wrong setting has its name, its words, and a command that mends it; doctor says the same.
#[test]
fn each_wrong_setting_is_told() {
    let larder = Larder::new();
    let (asks, refuses) = (answering(REFUSED), answering("HTTP/1.1 403 Forbidden"));
    let with = |user: &str, address: SocketAddr| format!("http://{user}{address}");
    for (proxy, cause, word) in [
        (with("", asks), "no-credentials", "407"),
        (with("me:s3cret@", asks), "wrong-credentials", "407"),
        (with("", nobody()), "proxy-down", "cannot be reached"),
        ("http://proxy.invalid:3128".to_owned(), "proxy-unknown", "no address for proxy.invalid"),
    ] {
        let args = ["--upstream-proxy", &proxy];
        let told = told(&larder, &args);
        let failed = &told["failed"];
        assert_eq!(failed["cause"], cause, "{told}");
        assert!(failed["why"].as_str().unwrap().contains(word), "{told}");
        assert!(failed["next"][0].as_str().unwrap().starts_with("larder proxy check http://packages"), "{told}");
        assert!(!told.to_string().contains("s3cret"), "{told}");
        assert!(told["asked"][0]["rule"].as_str().unwrap().contains("--upstream-proxy"), "{told}");
        let found = doctor(&larder, &args);
        assert_eq!(found["status"], "problem", "{found}");
        assert!(found["found"].as_str().unwrap().contains(word), "{found}");
        assert!(found["remedies"][0].as_str().unwrap().starts_with("larder proxy check http://"), "{found}");
    }
    // An answer is an answer, whoever gives it to a plain request.
    assert_eq!(told(&larder, &["--upstream-proxy", &with("", refuses)])["status"], 403);
}

#[test]
fn a_list_of_near_hosts_that_swallows_one_is_named() {
    let larder = Larder::new();
    let proxy = answering("HTTP/1.1 200 OK");
    larder.write("larder.toml", &format!("upstream_proxy = \"http://{proxy}\"\nno_proxy = [\"example.org\"]\n"));
    let _ = run(&larder, &["config", "trust"]).expect(0);
    let told = told(&larder, &[]);
    assert_eq!(told["failed"]["cause"], "no-proxy", "{told}");
    let why = told["failed"]["why"].as_str().unwrap();
    assert!(why.contains("`no_proxy`") && why.contains("larder.toml"), "{told}");
    assert_eq!(told["failed"]["next"][0], format!("larder proxy check {URL} --no-proxy ''"));
    // And that command works.
    let _ = run(&larder, &["proxy", "check", URL, "--no-proxy", ""]).expect(0);
}

#[test]
fn a_proxy_that_asks_for_a_password_is_shown() {
    let larder = Larder::new();
    let proxy = answering(REFUSED);
    let url = format!("http://{proxy}");
    let args = ["proxy", "check", "https://packages.example.org/", "--upstream-proxy", &url];
    let run = run(&larder, &args).expect(1);
    insta::assert_snapshot!(shown(&larder, &run, proxy));
}

#[test]
fn what_is_no_url_is_refused() {
    let larder = Larder::new();
    for url in ["ftp://example.org/", "http://u:p@example.org/", "https://"] {
        let run = run(&larder, &["proxy", "check", url]).expect(1);
        assert!(run.stderr.contains("hint: "), "{run:?}");
    }
    let offline = run(&larder, &["proxy", "check", URL, "--net", "offline"]).expect(1);
    assert!(offline.stderr.contains("`net` is offline"), "{offline:?}");
}
