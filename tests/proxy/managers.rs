//! Real clients behind a repository manager of the shape of Artifactory: nginx, with a password and a certificate of its
//! own, before files and Debian's registry. Another mirror, dead or failing, stands before it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::TestCa;
use crate::larder::Larder;
use crate::repository::{Daemon, free_port};
use crate::server::Server;

const PASSWORD: &str = "s3cret:x";
const MARK: &str = "http://mark.example.org/mark";

struct Manager {
    directory: TempDir,
    _nginx: Daemon,
    _registry: Daemon,
    url: String,
    ca: std::path::PathBuf,
}

fn made(command: &mut Command) {
    let made = command.output().unwrap();
    assert!(made.status.success(), "{command:?}: {}", String::from_utf8_lossy(&made.stderr));
}

impl Manager {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("larder-test-").tempdir().unwrap();
        let root = directory.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        let (port, registry) = (free_port(), free_port());
        let url = format!("https://127.0.0.1:{port}");
        let script = |name: &str| format!("{}/tests/support/{name}", env!("CARGO_MANIFEST_DIR"));
        made(Command::new("python3").arg(script("repository.py")).arg(root));
        let npm = format!("{url}/artifactory/api/npm/npm");
        made(Command::new("python3").arg(script("manager.py")).arg(root).arg(npm));
        let hash = Command::new("openssl").args(["passwd", "-apr1", PASSWORD]).output().unwrap();
        fs::write(root.join("users"), format!("ci:{}", String::from_utf8(hash.stdout).unwrap())).unwrap();
        let ca = TestCa::new();
        let identity = ca.identity(root, "server", &["127.0.0.1"], false);
        let text = format!(
            "daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log;
             events {{}}
             http {{
               access_log {root}/access.log; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
               fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               types {{ text/html html; }}
               server {{
                 listen 127.0.0.1:{port} ssl http2;
                 ssl_certificate {certificate}; ssl_certificate_key {key};
                 auth_basic manager; auth_basic_user_file {root}/users;
                 location /artifactory/api/pypi/pypi/ {{ alias {root}/www/; index index.html; }}
                 location /artifactory/deb/ {{ alias {root}/www/debian/; }}
                 location = /artifactory/api/npm/npm/tiny {{
                   default_type application/json; alias {root}/npm/packument.json;
                 }}
                 location /artifactory/api/npm/npm/tiny/-/ {{ alias {root}/npm/; }}
                 location /artifactory/api/docker/hub/v2/ {{ proxy_pass http://127.0.0.1:{registry}/v2/; }}
                 location /broken/ {{ auth_basic off; return 503; }}
               }}
             }}",
            root = root.display(),
            certificate = identity.certificate.display(),
            key = identity.key.display(),
        );
        fs::write(root.join("nginx.conf"), text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(root).arg("-c").arg(root.join("nginx.conf")).args(["-e", "stderr"]);
        let nginx = Daemon::start(&mut command, port);
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}/registry\nhttp:\n  addr: 127.0.0.1:{registry}\n",
            root.display()
        );
        fs::write(root.join("registry.yml"), config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(root.join("registry.yml")).stderr(std::process::Stdio::null());
        let running = Daemon::start(&mut command, registry);
        let mut push = Command::new("skopeo");
        push.args(["--insecure-policy", "copy", "--dest-tls-verify=false", "-q"]);
        push.arg(format!("oci:{}/image:1", root.display())).arg(format!("docker://127.0.0.1:{registry}/hub/tiny:1"));
        made(push.env("no_proxy", "127.0.0.1").env("NO_PROXY", "127.0.0.1"));
        Self { _nginx: nginx, _registry: running, url, ca: ca.file(root), directory }
    }

    /// Settings with this manager for every name; another mirror comes before it.
    fn settings(&self) -> String {
        let closed = free_port();
        let mut text = format!("[mirrors]\n\"mark.example.org\" = \"http://127.0.0.1:{closed}/\"\n");
        for (name, path, first) in [
            ("npm.example.org", "artifactory/api/npm/npm/", format!("http://127.0.0.1:{closed}/")),
            ("pypi.example.org", "artifactory/api/pypi/pypi/", format!("{}/broken/", self.url)),
            ("deb.example.org/debian/", "artifactory/deb/", format!("{}/broken/", self.url)),
            ("registry.example.org", "artifactory/api/docker/hub/", format!("http://127.0.0.1:{closed}/")),
        ] {
            let (url, ca) = (&self.url, self.ca.display());
            text.push_str(&format!(
                "[[mirrors.\"{name}\"]]\nurl = \"{first}\"\nca_file = \"{ca}\"\n\
                 [[mirrors.\"{name}\"]]\nurl = \"{url}/{path}\"\nca_file = \"{ca}\"\nuser = \"ci\"\npassword_file = \"~/password\"\n"
            ));
        }
        text
    }

    fn proxy(&self) -> Server {
        let larder = Larder::new();
        larder.write(".config/larder/config.toml", &self.settings());
        larder.write("password", &format!("{PASSWORD}\n"));
        Server::with(larder, &["--net", "cache"], |command| {
            command.env("NO_PROXY", "*");
        })
    }

    /// Whole bodies that have left, of paths with this part.
    fn served(&self, part: &str) -> usize {
        let log = fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(part) && line.contains("\" 200 ")).count()
    }
}

fn told_nothing(flows: &[Value]) {
    let text = serde_json::to_string(flows).unwrap();
    assert!(!text.contains("s3cret") && !text.contains("Y2k6"), "{text}");
}

#[test]
fn npm_pip_and_apt_behind_a_manager() {
    let manager = Manager::start();
    let server = manager.proxy();
    if Command::new("npm").arg("--version").output().is_ok() {
        for round in 0..2 {
            let at = server.larder.dir().join(format!("npm-{round}"));
            fs::create_dir_all(&at).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["install", "tiny", "--no-update-notifier", "--no-audit", "--no-fund"]);
            npm.args(["--registry", "https://npm.example.org/", "--prefix"]).arg(&at);
            npm.arg("--cache").arg(at.join("cache"));
            let _ = server.run(&mut npm).expect(0);
            let lock = fs::read_to_string(at.join("package-lock.json")).unwrap();
            assert!(lock.contains("\"https://npm.example.org/tiny/-/tiny-1.0.0.tgz\""), "{lock}");
            assert!(!lock.contains("127.0.0.1"), "{lock}");
        }
        assert_eq!(manager.served("tiny-1.0.0.tgz"), 1);
        let flows = server.flows_until(MARK);
        told_nothing(&flows);
        let route = flows[0]["route"].as_str().unwrap();
        assert!(route.starts_with(&format!("mirror {}/artifactory/api/npm/npm/", manager.url)), "{route}");
        assert!(route.contains("cannot connect"), "{route}");
    } else {
        eprintln!("skipped: there is no npm");
    }
    for round in 0..2 {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--no-cache-dir", "--disable-pip-version-check", "tiny-wheel", "-d"]);
        pip.arg(server.larder.dir().join(format!("pip-{round}")));
        pip.args(["--index-url", "https://pypi.example.org/simple/"]);
        let _ = server.run(&mut pip).expect(0);
    }
    assert_eq!(manager.served(".whl"), 1);
    told_nothing(&server.flows_until(MARK));
    apt(&server, &server.larder.dir().join("apt"));
    assert_eq!(manager.served("tiny_1.0_all.deb"), 1);
    let flows = server.flows_until(MARK);
    assert!(flows.iter().all(|flow| flow["url"].as_str().unwrap().starts_with("http://deb.example.org/")), "{flows:?}");
    server.terminate();
    let (code, notes) = server.wait();
    assert_eq!(code, Some(0));
    let notes = notes.join("\n");
    assert!(notes.contains("is passed over for 2 s") && notes.contains("artifactory/deb/: "), "{notes}");
    assert!(!notes.contains("s3cret"), "{notes}");
}

fn apt(server: &Server, root: &Path) {
    let source = "deb [trusted=yes] http://deb.example.org/debian stable main\n";
    let _ = server.run(&mut crate::clients::apt(root, source, &["update"])).expect(0);
    let _ = server.run(crate::clients::apt(root, source, &["download", "tiny"]).current_dir(root)).expect(0);
}

#[test]
fn skopeo_behind_a_manager() {
    let manager = Manager::start();
    let server = manager.proxy();
    for round in 0..2 {
        let into = server.larder.dir().join(format!("image-{round}"));
        let mut pull = Command::new("skopeo");
        pull.args(["--insecure-policy", "copy", "-q", "docker://registry.example.org/hub/tiny:1"]);
        pull.arg(format!("dir:{}", into.display()));
        let _ = server.run(&mut pull).expect(0);
        assert!(into.join("manifest.json").exists());
    }
    assert_eq!(manager.served("/blobs/"), 2, "configuration and layer, once each");
    let flows = server.flows_until(MARK);
    told_nothing(&flows);
    assert!(flows.iter().all(|flow| flow["status"] != 401), "{flows:?}");
}
