//! A private server: a tiny apt repository (`/debian`) and a tiny package index (`/simple`), served by nginx.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part")]
#![allow(clippy::allow_attributes, reason = "an unfulfilled `expect` would fail in the targets that use all of it")]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::TestCa;

/// Names the TLS server has certificates for, beside 127.0.0.1.
const NAMES: [&str; 2] = ["*.example.org", "127.0.0.1"];

/// The server; ends when dropped.
pub struct Repository {
    directory: TempDir,
    nginx: Daemon,
    http: u16,
    https: u16,
    ca: PathBuf,
}

impl Repository {
    pub fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// The same with more: `prepare` puts files below the directory, and returns the locations for nginx.
    pub fn start_with(prepare: impl FnOnce(&Path) -> String) -> Self {
        let directory = tempfile::Builder::new().prefix("larder-test-").tempdir().unwrap();
        let root = directory.path();
        // squid, where it is the way here, has a user of its own.
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        make(root, &[]);
        let locations = prepare(root);
        let ca = TestCa::new();
        let identity = ca.identity(root, "server", &NAMES, false);
        let ca = ca.file(root);
        let (http, https) = (free_port(), free_port());
        let text = format!(
            "daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log;
             events {{}}
             http {{
               access_log {root}/access.log; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
               fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               types {{ text/html html; }}
               server {{
                 listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl http2;
                 ssl_certificate {certificate}; ssl_certificate_key {key};
                 root {root}/www; index index.html;
                 {locations}
               }}
             }}",
            root = root.display(),
            certificate = identity.certificate.display(),
            key = identity.key.display(),
        );
        let config = root.join("nginx.conf");
        fs::write(&config, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(root).arg("-c").arg(&config).args(["-e", "stderr"]);
        let nginx = Daemon::start(&mut command, http);
        Self { directory, nginx, http, https, ca }
    }

    /// The apt repository's next state: this version of its package in place of the last. What is named by its digest
    /// stays, as in Debian's.
    pub fn publish(&self, version: &str) {
        make(self.directory.path(), &[version]);
    }

    /// `http://127.0.0.1:PORT`.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// `https://127.0.0.1:PORT`.
    pub fn https(&self) -> String {
        format!("https://127.0.0.1:{}", self.https)
    }

    pub fn http_port(&self) -> u16 {
        self.http
    }

    pub fn https_port(&self) -> u16 {
        self.https
    }

    /// The CA of the server's certificate.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The folder of what is served.
    pub fn served_from(&self) -> PathBuf {
        self.directory.path().join("www")
    }

    /// How many requests for paths with this part the server has answered with a whole body.
    pub fn served(&self, part: &str) -> usize {
        let log = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(part) && line.contains("\" 200 ")).count()
    }
}

fn make(root: &Path, version: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/repository.py");
    let made = Command::new("python3").arg(script).arg(root).args(version).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A server in the foreground, ended when dropped.
pub struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until it accepts connections.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "{command:?} ended early");
            assert!(Instant::now() < deadline, "{command:?} does not listen on port {port}");
            thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on now; for servers that cannot be handed a socket.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
