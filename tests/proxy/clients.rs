//! Real clients, twice each: the second time comes from the cache.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::larder::Larder;
use crate::repository::Repository;
use crate::server::Server;

const DEB: &str = "debian/pool/main/t/tiny/tiny_1.0_all.deb";
/// Marks a place in the list of flows.
const MARK: &str = "http://mark.example.org/mark";

/// A proxy for which `*.example.org` is the repository, and nothing else is near.
pub(crate) fn private(repository: &Repository) -> Server {
    private_with(repository, Larder::new(), &[])
}

/// The same with more options.
pub(crate) fn private_with(repository: &Repository, larder: Larder, more: &[&str]) -> Server {
    let mirrors = [
        format!("deb.example.org={}/", repository.http()),
        format!("secure.example.org={}/", repository.https()),
        format!("pypi.example.org={}/", repository.https()),
        format!("mark.example.org={}/", repository.http()),
    ];
    let ca = repository.ca().to_str().unwrap();
    let mut args = vec!["--ca-file", "/etc/ssl/certs/ca-certificates.crt", "--ca-file", ca];
    args.extend(mirrors.iter().flat_map(|mirror| ["--mirror", mirror]));
    args.extend(more);
    Server::with(larder, &args, |command| {
        command.env("NO_PROXY", "*");
    })
}

/// Whether upstream was not asked for it; a fetch may still be on its way into the store, and is joined then.
pub(crate) fn from_cache(flow: &Value) -> bool {
    flow["outcome"] == "HIT" || flow["outcome"] == "COALESCED"
}

fn upstream(flows: &[Value]) -> u64 {
    flows.iter().filter_map(|flow| flow["bytes_upstream"].as_u64()).sum()
}

#[test]
fn curl_over_http_https_and_http2() {
    let repository = Repository::start();
    let server = private(&repository);
    for (url, option, version, intercepted) in [
        (format!("http://deb.example.org/{DEB}"), "--http1.1", "HTTP/1.1", false),
        (format!("https://secure.example.org/{DEB}"), "--http1.1", "HTTP/1.1", true),
        (format!("https://pypi.example.org/{DEB}"), "--http2", "HTTP/2.0", true),
    ] {
        for stored in [false, true] {
            let answer = server.curl(&[option, "-o", "/dev/null", &url]);
            assert_eq!((answer.exit, answer.status), (0, 200), "{url}: {answer:?}");
            let flow = server.flow();
            assert_eq!(from_cache(&flow), stored, "{flow}");
            assert_eq!(flow["http_version"], version, "{flow}");
            assert_eq!(flow["intercepted"], intercepted, "{flow}");
            assert_eq!((&flow["class"], &flow["url"]), (&"package".into(), &url.as_str().into()), "{flow}");
            assert_eq!(flow["bytes_upstream"] == 0, stored, "{flow}");
        }
    }
    assert_eq!(repository.served(DEB), 3);
    let (code, _) = {
        server.terminate();
        server.wait()
    };
    assert_eq!(code, Some(0));
}

/// apt with every directory below `root`.
pub(crate) fn apt(root: &Path, source: &str, args: &[&str]) -> Command {
    for directory in ["lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("sources.list"), source).unwrap();
    let at = |name: &str| root.join(name).display().to_string();
    let mut command = Command::new("apt-get");
    for (name, value) in [
        ("Dir::State::lists", at("lists")),
        ("Dir::Cache", at("cache")),
        ("Dir::Etc", at("etc")),
        ("Dir::Etc::sourcelist", at("sources.list")),
        ("Dir::Etc::sourceparts", "/dev/null".to_owned()),
        ("APT::Sandbox::User", "root".to_owned()),
        ("Acquire::Languages", "none".to_owned()),
    ] {
        command.arg("-o").arg(format!("{name}={value}"));
    }
    command.args(args);
    command
}

#[test]
fn apt_twice_with_a_private_repository() {
    let repository = Repository::start();
    let server = private(&repository);
    let source = "deb [trusted=yes] http://deb.example.org/debian stable main\n";
    let first = server.larder.dir().join("first");
    let _ = server.run(&mut apt(&first, source, &["update"])).expect(0);
    let _ = server.run(apt(&first, source, &["download", "tiny"]).current_dir(&first)).expect(0);
    let flows = server.flows_until(MARK);
    assert!(flows.iter().any(|flow| flow["url"] == format!("http://deb.example.org/{DEB}")), "{flows:?}");
    // The same again: the client has it all, and the index is confirmed upstream, each time.
    let again = server.run(&mut apt(&first, source, &["update"])).expect(0);
    assert!(again.stdout.contains("Hit:"), "{}", again.stdout);
    let flows = server.flows_until(MARK);
    assert!(flows.iter().any(|flow| flow["outcome"] == "REVALIDATED" && flow["status"] == 304), "{flows:?}");
    assert_eq!(upstream(&flows), upstream_of_missing(&flows), "{flows:?}");
    // Another client, with nothing yet.
    let second = server.larder.dir().join("second");
    let _ = server.run(&mut apt(&second, source, &["update"])).expect(0);
    let _ = server.run(apt(&second, source, &["download", "tiny"]).current_dir(&second)).expect(0);
    let flows = server.flows_until(MARK);
    assert_eq!(upstream(&flows), upstream_of_missing(&flows), "{flows:?}");
    assert_eq!((repository.served(DEB), repository.served("by-hash")), (1, 1));
}

/// Bytes of answers such as 404, which carry nothing that lasts.
fn upstream_of_missing(flows: &[Value]) -> u64 {
    flows.iter().filter(|flow| flow["status"] == 404).filter_map(|flow| flow["bytes_upstream"].as_u64()).sum()
}

#[test]
fn apt_twice_with_the_mirror_of_the_host() {
    let server = Server::start(Larder::with_shared_cache(), &[]);
    let mut source = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let parts: Vec<_> = parts.map(|part| part.path()).filter(|path| path.extension().is_some()).collect();
    let root = server.larder.dir().join("apt");
    for part in &parts {
        let into = root.join("etc/sources.list.d");
        fs::create_dir_all(&into).unwrap();
        fs::copy(part, into.join(part.file_name().unwrap())).unwrap();
    }
    source.push('\n');
    for round in 0..2 {
        let mut command = apt(&root, &source, &["update"]);
        command.arg("-o").arg(format!("Dir::Etc::sourceparts={}", root.join("etc/sources.list.d").display()));
        command.args(["-o", "Dir::Etc::trusted=/etc/apt/trusted.gpg"]);
        command.args(["-o", "Dir::Etc::trustedparts=/etc/apt/trusted.gpg.d"]);
        let run = server.run(&mut command).expect(0);
        let flows = server.flows_until("http://127.0.0.1:1/mark");
        let hash = |flow: &&Value| flow["url"].as_str().is_some_and(|url| url.contains("/by-hash/"));
        assert!(!flows.is_empty(), "{}", run.stdout);
        if round == 1 {
            assert_eq!(flows.iter().filter(hash).filter(|flow| !from_cache(flow)).count(), 0, "{flows:?}");
        }
        let _ = fs::remove_dir_all(root.join("lists"));
    }
}

#[test]
fn pip_twice() {
    let repository = Repository::start();
    let server = private(&repository);
    let venv = server.larder.dir().join("venv");
    assert!(Command::new("python3").args(["-m", "venv"]).arg(&venv).status().unwrap().success());
    for round in 0..2 {
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--no-cache-dir", "--disable-pip-version-check", "--force-reinstall", "tiny-wheel"]);
        pip.args(["--index-url", "https://pypi.example.org/simple/"]);
        let _ = server.run(&mut pip).expect(0);
        let flows = server.flows_until(MARK);
        assert_eq!(flows.len(), 2, "{flows:?}");
        assert!(flows.iter().all(|flow| flow["intercepted"] == true), "{flows:?}");
        assert_eq!(upstream(&flows) == 0, round == 1, "{flows:?}");
    }
    assert_eq!((repository.served(".whl"), repository.served("/simple/")), (1, 1));
    let hello = Command::new(venv.join("bin/python")).args(["-c", "import tiny_wheel"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&hello.stdout), "hello from the wheel\n");
}

#[test]
fn npm_twice() {
    if Command::new("npm").arg("--version").output().is_err() {
        eprintln!("skipped: there is no npm");
        return;
    }
    let server = Server::start(Larder::new(), &[]);
    for round in 0..2 {
        let mut npm = Command::new("npm");
        npm.args(["pack", "left-pad@1.3.0", "--no-update-notifier", "--cache"]);
        npm.arg(server.larder.dir().join(format!("npm-{round}")));
        let _ = server.run(&mut npm).expect(0);
        let flows = server.flows_until("http://127.0.0.1:1/mark");
        let of = |class: &str| flows.iter().filter(|flow| flow["class"] == class).cloned().collect::<Vec<_>>();
        assert_eq!((of("package").len(), of("other").len()), (1, 0), "{flows:?}");
        assert!(!of("index").is_empty(), "{flows:?}");
        assert_eq!(upstream(&of("package")) == 0, round == 1, "{flows:?}");
    }
}
