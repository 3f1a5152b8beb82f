//! `larder doctor`: its form, and what it says of machines that refuse things.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use larder::guest::host::check::CHECKS;

use super::Larder;
use super::support::{Run, is_root};

/// Doctor as JSON: its exit code and its findings by name.
struct Told {
    code: i32,
    json: serde_json::Value,
}

impl Told {
    fn of(run: &Run) -> Self {
        Self { code: run.code, json: serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}")) }
    }

    #[track_caller]
    fn status(&self, check: &str) -> (&str, &str) {
        let checks = self.json["checks"].as_array().unwrap();
        let found = checks.iter().find(|found| found["check"] == check).unwrap();
        (found["status"].as_str().unwrap(), found["found"].as_str().unwrap())
    }
}

/// Answers every request on a loopback port with these lines.
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

#[test]
fn every_check_is_made_once_and_in_order() {
    let larder = Larder::new();
    let told = Told::of(&larder.run(["doctor", "--json", "--net", "offline"]));
    let names: Vec<_> = told.json["checks"].as_array().unwrap().iter().map(|found| found["check"].clone()).collect();
    let known: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names, known);
    assert_eq!(told.code == 0, told.json["builds_work"] == true);
    assert_eq!(told.json["version"], 1);
}

#[test]
fn its_lines_fit_80_columns() {
    let larder = Larder::new();
    let mut command = larder.command(["doctor", "--net", "offline"]);
    let run = Run::of(command.env("COLUMNS", "80").output().unwrap());
    assert!(run.stdout.lines().count() > CHECKS.len(), "{run:?}");
    for line in run.stdout.lines() {
        // A path is not broken.
        assert!(line.chars().count() <= 80 || line.contains(larder.dir().to_str().unwrap()), "{line}");
    }
}

#[test]
fn a_proxy_that_wants_a_password_is_explained() {
    let larder = Larder::new();
    let proxy = answering("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"");
    let proxy = format!("http://{proxy}");
    let mirror = ["--mirror", "public.example.org=http://mirror.example.org/"];
    let told = Told::of(&larder.run(["doctor", "--json", "--upstream-proxy", &proxy].iter().chain(&mirror)));
    let (status, found) = told.status("upstream");
    assert_eq!((told.code, status), (1, "problem"));
    assert!(found.contains("asks for authentication (407, offers Basic)"), "{found}");
}

#[test]
fn a_clock_that_differs_from_the_mirrors_is_told() {
    let larder = Larder::new();
    let mirror = answering("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT");
    let mirror = format!("public.example.org=http://{mirror}/");
    let told = Told::of(&larder.run(["doctor", "--json", "--mirror", &mirror]));
    assert_eq!(told.status("upstream").0, "ok");
    let (status, found) = told.status("clock");
    assert_eq!((told.code, status), (1, "problem"));
    assert!(found.contains("1994-11-06 08:49 UTC upstream"), "{found}");
}

#[test]
fn directories_and_certificates_that_cannot_be_used_are_told() {
    let larder = Larder::new();
    larder.write("file", "");
    let run = larder.run(["doctor", "--json", "--net=offline", "--ca-file=absent.pem", "--state-dir=file/state"]);
    let told = Told::of(&run);
    assert_eq!((told.code, told.status("state-dir").0), (1, "problem"));
    assert!(told.status("roots").1.contains("absent.pem"), "{run:?}");
}

/// Larder as a user without capabilities, in a user namespace in which `before` has been run.
fn as_user(larder: &Larder, before: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    command
        .args(["-U", "--map-user=1000", "--map-group=1000", "--keep-caps", "sh", "-euc"])
        .arg(format!("{before}\nexec setpriv --ambient-caps=-all --inh-caps=-all \"$@\""))
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_larder"))
        .args(arguments);
    Run::of(command.env("COLUMNS", "80").output().unwrap())
}

#[test]
fn forbidden_namespaces_are_told_with_what_mends_it() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let before = "echo 0 >/proc/sys/user/max_user_namespaces";
    let run = as_user(&larder, before, &["doctor", "--net", "offline"]).expect(1);
    let about = |text: &str| {
        let lines = text.lines().skip_while(|line| !line.contains("user-namespace")).take(3);
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(about(&run.stdout), @r"
    problem  user-namespace     user namespaces are forbidden:
                                user.max_user_namespaces is 0
      mend: sudo sysctl user.max_user_namespaces=15000
    ");
    let told = Told::of(&as_user(&larder, before, &["doctor", "--json", "--net", "offline"]));
    let cause = told.json["checks"].as_array().unwrap().iter().find(|found| found["check"] == "user-namespace");
    assert_eq!(cause.unwrap()["cause"], "forbidden");
    assert_eq!(told.status("subordinate-ids").0, "problem");
}
