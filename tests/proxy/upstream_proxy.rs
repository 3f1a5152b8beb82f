//! A real squid, with user and password, as the only way out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::clients::from_cache;
use crate::larder::{Larder, is_root};
use crate::repository::{Daemon, Repository, free_port};
use crate::server::Server;

/// Where Debian puts squid's helpers.
const CHECKER: &str = "/usr/lib/squid/basic_ncsa_auth";
const DEB: &str = "debian/pool/main/t/tiny/tiny_1.0_all.deb";

/// A squid that alone knows the address of `origin.example.org`.
pub(crate) struct Squid {
    directory: TempDir,
    _daemon: Daemon,
    pub(crate) port: u16,
}

impl Squid {
    /// Asks for `larder` and `se:cret@1` by Basic.
    fn start() -> Self {
        Self::asking(&[], |root| {
            let hash = Command::new("openssl").args(["passwd", "-apr1", "se:cret@1"]).output().unwrap();
            fs::write(root.join("users"), format!("larder:{}", String::from_utf8(hash.stdout).unwrap())).unwrap();
            format!("auth_param basic program {CHECKER} {}/users", root.display())
        })
    }

    /// With the schemes that these lines of its configuration name; its helpers have these variables.
    pub(crate) fn asking(env: &[(&str, &Path)], schemes: impl FnOnce(&Path) -> String) -> Self {
        let directory = tempfile::Builder::new().prefix("larder-squid-").tempdir().unwrap();
        let root = directory.path();
        // squid gives up root.
        fs::set_permissions(root, fs::Permissions::from_mode(0o777)).unwrap();
        let schemes = schemes(root);
        fs::write(root.join("hosts"), "127.0.0.1 origin.example.org\n").unwrap();
        let port = free_port();
        let text = format!(
            "http_port 127.0.0.1:{port}
             {schemes}
             acl known proxy_auth REQUIRED
             http_access allow known
             http_access deny all
             cache deny all
             hosts_file {root}/hosts
             access_log stdio:{root}/access.log
             cache_log {root}/cache.log
             pid_filename none
             coredump_dir {root}
             shutdown_lifetime 0 seconds
            ",
            root = root.display()
        );
        let text: Vec<_> = text.lines().map(str::trim).collect();
        fs::write(root.join("squid.conf"), text.join("\n")).unwrap();
        let mut command = Command::new("squid");
        // A name of its own: squids of one name share files in /dev/shm, also those that a killed one has left.
        command.arg("-n").arg(format!("larder{port}")).arg("-N").arg("-f").arg(root.join("squid.conf"));
        command.envs(env.iter().copied());
        Self { _daemon: Daemon::start(&mut command, port), directory, port }
    }

    /// Its URL with this user information.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("http://{user}@127.0.0.1:{}", self.port)
    }

    /// The lines of its log that are requests, once there are this many; tunnels are logged when they end.
    pub(crate) fn log(&self, lines: usize) -> Vec<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let text = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
            let found: Vec<_> =
                text.lines().filter(|line| !line.contains("error:transaction-end")).map(str::to_owned).collect();
            if found.len() >= lines {
                return found;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A squid that is missing is a test that fails.
pub(crate) fn ready() -> bool {
    assert!(fs::exists(CHECKER).unwrap_or_default(), "there is no squid: install squid-openssl");
    is_root()
}

const USER: &str = "larder:se%3Acret%401";

#[test]
fn everything_goes_by_the_upstream_proxy() {
    if !ready() {
        return;
    }
    let (squid, repository) = (Squid::start(), Repository::start());
    let plain = format!("http://origin.example.org:{}/{DEB}", repository.http_port());
    let mirror = format!("secure.example.org=https://origin.example.org:{}/", repository.https_port());
    let ca = repository.ca().to_str().unwrap();
    let args = ["--upstream-proxy", &squid.url(USER), "--ca-file", ca, "--mirror", &mirror];
    let server = Server::start(Larder::new(), &args);
    for url in [&plain, &format!("https://secure.example.org/{DEB}")] {
        for stored in [false, true] {
            let answer = server.curl(&["-o", "/dev/null", url]);
            assert_eq!((answer.exit, answer.status), (0, 200), "{url}: {answer:?}");
            let flow = server.flow();
            assert_eq!(from_cache(&flow), stored, "{flow}");
            assert!(!flow.to_string().contains("cret"), "{flow}");
            if !stored {
                let route = flow["route"].as_str().unwrap();
                assert!(route.contains(&format!("proxy http://127.0.0.1:{}", squid.port)), "{flow}");
            }
        }
    }
    drop(server);
    let log = squid.log(3);
    assert_eq!(log.len(), 3, "{log:?}");
    assert!(log[0].contains("TCP_DENIED/407"), "it is asked once: {log:?}");
    assert!(log[1].contains(&format!("GET {plain} larder ")), "{log:?}");
    assert!(log[2].contains(&format!("CONNECT origin.example.org:{} larder ", repository.https_port())), "{log:?}");
}

#[test]
fn a_wrong_password_is_named() {
    if !ready() {
        return;
    }
    let squid = Squid::start();
    for (user, advice) in
        [("larder:wrong@", "password in its URL is wrong"), ("", "put user and password into its URL")]
    {
        let url = format!("http://{user}127.0.0.1:{}", squid.port);
        let server = Server::start(Larder::new(), &["--upstream-proxy", &url]);
        for url in ["http://origin.example.org/x.deb", "https://origin.example.org/x.deb"] {
            let answer = server.curl(&[url]);
            assert_eq!(answer.status, 502, "{answer:?}");
            for part in [advice, "407", "offers Basic"] {
                assert!(answer.body.contains(part), "{part}: {answer:?}");
            }
            assert!(!answer.body.contains("wrong@"), "{answer:?}");
            let flow = server.flow();
            assert!(flow["why"].as_str().unwrap().contains(advice), "{flow}");
        }
    }
}

#[test]
fn the_environment_names_the_proxy_and_what_is_near() {
    if !ready() {
        return;
    }
    let (squid, repository) = (Squid::start(), Repository::start());
    let server = Server::with(Larder::new(), &[], |command| {
        for name in ["http_proxy", "HTTPS_PROXY"] {
            command.env(name, squid.url(USER));
        }
        command.env_remove("https_proxy").env_remove("NO_PROXY").env("no_proxy", "127.0.0.0/8");
    });
    let far = format!("http://origin.example.org:{}/{DEB}", repository.http_port());
    for (url, route) in [(far, "proxy "), (format!("{}/{DEB}", repository.http()), "direct")] {
        assert_eq!(server.curl(&["-o", "/dev/null", &url]).status, 200, "{url}");
        let flow = server.flow();
        assert!(flow["route"].as_str().unwrap().starts_with(route), "{flow}");
    }
    drop(server);
    let log = squid.log(2);
    assert_eq!(log.iter().filter(|line| !line.contains("TCP_DENIED/407")).count(), 1, "{log:?}");
}

#[test]
fn a_registry_through_squid() {
    if !ready() {
        return;
    }
    let squid = Squid::start();
    let server = Server::start(Larder::new(), &["--upstream-proxy", &squid.url(USER)]);
    for round in 0..2 {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--no-cache-dir", "--no-deps", "-d", "wheels", "six==1.16.0"]);
        let _ = server.run(&mut pip).expect(0);
        let flows = server.flows_until("http://127.0.0.1:1/mark");
        let package: Vec<_> = flows.iter().filter(|flow| flow["class"] == "package").collect();
        assert!(!package.is_empty(), "{flows:?}");
        assert_eq!(package.iter().all(|flow| flow["bytes_upstream"] == 0), round == 1, "{flows:?}");
        let _ = fs::remove_dir_all(server.larder.dir().join("wheels"));
    }
    drop(server);
    let log = squid.log(3);
    let denied = log.iter().filter(|line| line.contains("TCP_DENIED/407")).count();
    assert_eq!(denied, 1, "{log:?}");
    assert_eq!(log.iter().filter(|line| line.contains(" larder ")).count(), log.len() - denied, "{log:?}");
    assert!(log.iter().any(|line| line.contains("CONNECT ")), "{log:?}");
}
