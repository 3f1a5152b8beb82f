//! curl through the proxy to nginx, on HTTP/2 on both sides.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::support::{Bed, TestCa};

/// nginx with HTTP/2 over TLS on a port of its own. Ends when dropped.
struct Nginx {
    dir: tempfile::TempDir,
    port: u16,
    _child: Child,
}

impl Nginx {
    /// `None` where there is no nginx.
    async fn start(ca: &TestCa) -> Self {
        let dir = tempfile::Builder::new().prefix("larder-test-").tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("www/up")).unwrap();
        // As root, nginx would serve as another user.
        std::fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(root.join("www/up"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let (certificate, key) = ca.identity(root);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log; events {{ worker_connections 512; }}
             http {{
               log_format own '$connection $server_protocol $request_method $uri $status $request_length';
               access_log {root}/access.log own; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
               fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
               server {{
                 listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams 256; keepalive_requests 10000;
                 ssl_certificate {certificate}; ssl_certificate_key {key}; root {root}/www;
                 location /up/ {{ dav_methods PUT; client_max_body_size 100m; }}
                 location /small/ {{ dav_methods PUT; client_max_body_size 1k; }}
               }}
             }}",
            root = root.display(),
            certificate = certificate.display(),
            key = key.display(),
        );
        std::fs::write(root.join("nginx.conf"), config).unwrap();
        let mut child = Command::new("nginx")
            .arg("-p")
            .arg(root)
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("tests/run installs nginx");
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "nginx ended");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Self { dir, port, _child: child }
    }

    fn www(&self) -> PathBuf {
        self.dir.path().join("www")
    }

    /// Connection, protocol, method, path, status and bytes received of each request.
    fn log(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.dir.path().join("access.log")).unwrap();
        text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    async fn bed(&self, ca: &TestCa) -> Bed {
        let file = ca.file(self.dir.path());
        let bed = Bed::new(|config| {
            config.extra_roots.push(file);
            config.connect_ports.push(self.port);
        })
        .await;
        std::fs::write(self.dir.path().join("larder.pem"), bed.proxy.ca_certificate_pem()).unwrap();
        bed
    }

    async fn curl(&self, bed: &Bed, args: &[&str]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "--proxy"]).arg(format!("http://{}", bed.addr()));
        command.arg("--cacert").arg(self.dir.path().join("larder.pem")).args(args);
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn file(dir: &Path, name: &str, size: usize) -> PathBuf {
    let path = dir.join(name);
    let bytes: Vec<u8> = (0..size).map(|index| u8::try_from(index * 7 % 251).unwrap()).collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_downloads_share_one_connection_on_each_side() {
    let ca = TestCa::new();
    let nginx = Nginx::start(&ca).await;
    let mut bed = nginx.bed(&ca).await;
    for index in 0..200 {
        file(&nginx.www(), &index.to_string(), 50_000 + index);
    }
    let out = nginx.dir.path().join("out");
    let url = format!("https://localhost:{}/[0-199]", nginx.port);
    let output = out.join("#1").display().to_string();
    let args = [
        "--http2",
        "--parallel",
        "--parallel-max",
        "200",
        "--create-dirs",
        "-o",
        &output,
        "-w",
        "%{http_version} %{http_code}\n",
        &url,
    ];
    let said = nginx.curl(&bed, &args).await;
    assert_eq!(said.lines().filter(|line| *line == "2 200").count(), 200, "{said}");
    for index in 0..200 {
        let (got, sent) =
            (std::fs::read(out.join(index.to_string())), std::fs::read(nginx.www().join(index.to_string())));
        assert!(got.unwrap() == sent.unwrap(), "{index} differs");
        let flow = bed.flow().await;
        assert_eq!((&*flow.version, flow.status, flow.aborted), ("HTTP/2.0", 200, false));
    }
    let log = nginx.log();
    assert_eq!(log.len(), 200);
    assert!(log.iter().all(|line| line[0] == log[0][0] && line[1] == "HTTP/2.0"), "{:?}", log[0]);
}

/// curl asks for leave before it sends a megabyte and more, and nginx refuses what is too large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_uploads_where_it_may_and_is_told_where_not() {
    let ca = TestCa::new();
    let nginx = Nginx::start(&ca).await;
    let mut bed = nginx.bed(&ca).await;
    let size = 20 << 20;
    let body = file(nginx.dir.path(), "body", size).display().to_string();
    for version in ["--http1.1", "--http2"] {
        for (place, code, sent) in [("up", "201", size), ("up", "204", size), ("small", "413", 0)] {
            let url = format!("https://localhost:{}/{place}/x", nginx.port);
            let form = "%{http_code} %{size_upload}";
            let said = nginx
                .curl(&bed, &[version, "--expect100-timeout", "10", "-o", "/dev/null", "-w", form, "-T", &body, &url])
                .await;
            let flow = bed.flow().await;
            if version == "--http1.1" {
                assert_eq!(said, format!("{code} {sent}"));
                assert_eq!((flow.bytes_received, flow.aborted), (sent as u64, false), "{}", flow.why);
            } else {
                assert!(said.starts_with(code), "{said}");
            }
        }
        let stored = nginx.www().join("up/x");
        assert!(std::fs::read(&stored).unwrap() == std::fs::read(&body).unwrap(), "what was stored differs");
        std::fs::remove_file(stored).unwrap();
    }
}
