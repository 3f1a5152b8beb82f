//! The HTTP cache tests (npm `http-cache-tests`), which judge caches by RFC 9111, against the real program.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha512};

use crate::certificates::TestCa;
use crate::larder::Larder;
use crate::server::Server;

/// Name, version and integrity of each package.
const PACKAGES: &str = include_str!("../conformance/packages.txt");
/// Tests that do not pass, and why.
const EXPECTED: &str = include_str!("../conformance/expected.json");
/// Fewest of the `optimal` tests that pass.
const OPTIMAL: usize = 84;

#[derive(Debug, Deserialize)]
struct Judged {
    kind: String,
    outcome: String,
    detail: String,
}

/// The unpacked packages, fetched from the registry the first time, and checked.
fn packages() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("http-cache-tests-{}", &hex::encode(Sha512::digest(PACKAGES))[..16]);
    let place = home.join(name);
    if place.exists() {
        return place;
    }
    let scratch = tempfile::Builder::new().prefix("packages-").tempdir_in(home).unwrap();
    for line in PACKAGES.lines() {
        let [name, version, integrity] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let mut npm = Command::new("npm");
        npm.args(["pack", &format!("{name}@{version}"), "--silent", "--no-update-notifier"]).current_dir(&scratch);
        let run = npm.output().expect("npm starts (Debian: apt install nodejs npm)");
        assert!(run.status.success(), "{npm:?}: {}", String::from_utf8_lossy(&run.stderr));
        let archive = scratch.path().join(format!("{name}-{version}.tgz"));
        let digest = Sha512::digest(fs::read(&archive).unwrap());
        let found = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(digest));
        assert_eq!(found, integrity, "{name}");
        let target = scratch.path().join("unpacked").join(name);
        fs::create_dir_all(&target).unwrap();
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(&target).arg("--strip-components=1");
        assert!(tar.status().unwrap().success(), "{tar:?}");
    }
    // Another test may have been faster.
    if fs::rename(scratch.path().join("unpacked"), &place).is_err() {
        assert!(place.exists(), "cannot make {}", place.display());
    }
    place
}

/// Runs the suite through a fresh proxy.
fn run(protocol: &str) -> BTreeMap<String, Judged> {
    let packages = packages();
    let larder = Larder::new();
    let ca = TestCa::new();
    let identity = ca.identity(larder.dir(), "origin", &["suite.test"], false);
    let ca = ca.file(larder.dir());
    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/run.mjs"));
    node.arg(packages.join("http-cache-tests")).arg(packages.join("undici")).arg(protocol);
    node.arg(identity.certificate).arg(identity.key).env_remove("ONLY_TEST");
    node.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = node.spawn().expect("node starts (Debian: apt install nodejs npm)");
    let mut stdout = BufReader::new(node.stdout.take().unwrap());
    let mut port = String::new();
    stdout.read_line(&mut port).unwrap();
    let mut args = vec!["--ca-file".to_owned(), ca.to_str().unwrap().to_owned()];
    if protocol == "https" {
        args.push(format!("--upstream-proxy=http://127.0.0.1:{}", port.trim()));
    }
    let server = Server::with(larder, &args.iter().map(String::as_str).collect::<Vec<_>>(), |command| {
        // What the machine's own network needs leads nowhere here.
        for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"] {
            command.env_remove(name);
        }
    });
    writeln!(node.stdin.take().unwrap(), "{}\n{}", server.url, server.bundle).unwrap();
    let mut answer = String::new();
    stdout.read_to_string(&mut answer).unwrap();
    assert!(node.wait().unwrap().success(), "{answer}");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn check(protocol: &str) {
    let expected: BTreeMap<String, String> = serde_json::from_str(EXPECTED).unwrap();
    let judged = run(protocol);
    let passes = |test: &Judged| matches!(test.outcome.as_str(), "pass" | "yes");
    let count = |kind: &str| {
        let all: Vec<_> = judged.values().filter(|test| test.kind == kind).collect();
        (all.iter().filter(|test| passes(test)).count(), all.len())
    };
    let (required, optimal, checks) = (count("required"), count("optimal"), count("check"));
    eprintln!("{protocol}: required {required:?}, optimal {optimal:?}, check {checks:?}");
    assert_eq!((required.1, optimal.1, checks.1), (165, 95, 90), "every test is judged");
    let mut wrong = Vec::new();
    for (name, test) in &judged {
        let Judged { kind, outcome, detail } = test;
        if !passes(test) && (kind == "required" || outcome == "dependency") {
            wrong.push(format!("{name} ({kind}) must pass: {outcome}: {detail}"));
        } else if !passes(test) && !expected.contains_key(name) {
            wrong.push(format!("{name} ({kind}) does not pass and is not listed: {outcome}: {detail}"));
        } else if passes(test) && expected.contains_key(name) {
            wrong.push(format!("{name} ({kind}) passes, though it is listed"));
        }
    }
    for name in expected.keys().filter(|name| !judged.contains_key(*name)) {
        wrong.push(format!("{name} is listed, and there is no such test"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(optimal.0 >= OPTIMAL, "only {optimal:?} of the optimal tests pass");
}

#[test]
fn the_http_cache_tests_pass_plain() {
    check("http");
}

#[test]
fn the_http_cache_tests_pass_intercepted() {
    check("https");
}
