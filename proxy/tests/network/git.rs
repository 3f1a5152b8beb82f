//! git over HTTPS, to its own `git http-backend`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio_util::io::ReaderStream;

use crate::support::{Bed, TestCa};

type Body = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

/// Serves the repositories below `root` over TLS: one process of `git http-backend` for each request, by CGI.
async fn serve(ca: &TestCa, root: PathBuf) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = ca.acceptor("localhost", &[b"h2", b"http/1.1"]);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, root) = (acceptor.clone(), root.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| cgi(root.clone(), request));
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    port
}

async fn cgi(root: PathBuf, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let field = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_PROJECT_ROOT", &root).env("GIT_HTTP_EXPORT_ALL", "1").env("REMOTE_USER", "test");
    command.env("HOME", &root).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("PATH_INFO", parts.uri.path()).env("QUERY_STRING", parts.uri.query().unwrap_or_default());
    command.env("REQUEST_METHOD", parts.method.as_str()).env("CONTENT_TYPE", field("content-type"));
    command.env("HTTP_CONTENT_ENCODING", field("content-encoding")).env("GIT_PROTOCOL", field("git-protocol"));
    let length = field("content-length");
    if !length.is_empty() {
        command.env("CONTENT_LENGTH", length);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    tokio::spawn(async move {
        let mut frames = BodyStream::new(body);
        while let Some(Ok(frame)) = frames.next().await {
            if let Ok(data) = frame.into_data()
                && input.write_all(&data).await.is_err()
            {
                break;
            }
        }
        drop(input);
        child.wait().await.unwrap();
    });
    let mut output = BufReader::new(output);
    let mut response = Response::new(());
    loop {
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name == "Status" {
            *response.status_mut() = value[..3].parse().unwrap();
        } else {
            let name: HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    let body = StreamBody::new(ReaderStream::new(output).map(|chunk| chunk.map(Frame::data)));
    Ok(response.map(|()| BodyExt::boxed(body)))
}

async fn git(bed: &Bed, dir: &Path, args: &[&str]) {
    let ca = dir.join("larder.pem");
    std::fs::write(&ca, bed.proxy.ca_certificate_pem()).unwrap();
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "http.lowSpeedTime=30"])
        .args(args)
        .current_dir(dir)
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_SSL_CAINFO", ca)
        .env("https_proxy", format!("http://{}", bed.addr()))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Pushes in chunks, gzipped questions and all, and clones what was pushed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_is_what_is_cloned() {
    let ca = TestCa::new();
    let dir = tempfile::tempdir().unwrap();
    let port = serve(&ca, dir.path().join("served")).await;
    let file = ca.file(dir.path());
    let mut bed = Bed::new(|config| {
        config.cache_dir = Some(dir.path().join("cache"));
        config.extra_roots.push(file);
        config.connect_ports.push(port);
    })
    .await;
    let root = dir.path();
    git(&bed, root, &["init", "-q", "--bare", "served/r.git"]).await;
    git(&bed, root, &["init", "-q", "-b", "main", "work"]).await;
    // Many branches make the question long enough to be gzipped; noise makes the pack large.
    let work = root.join("work");
    let mut noise = vec![0; 5 << 20];
    aws_lc_rs::rand::fill(&mut noise).unwrap();
    std::fs::write(work.join("noise"), &noise).unwrap();
    git(&bed, &work, &["add", "noise"]).await;
    git(&bed, &work, &["commit", "-qm", "one"]).await;
    for index in 0..40 {
        git(&bed, &work, &["commit", "-q", "--allow-empty", "-m", &index.to_string()]).await;
    }
    let url = format!("https://localhost:{port}/r.git");
    // More than the buffer holds is sent in chunks.
    git(&bed, &work, &["-c", "http.postBuffer=65536", "push", "-q", &url, "main"]).await;
    for copy in ["one", "two"] {
        git(&bed, root, &["clone", "-q", "-b", "main", &url, copy]).await;
        assert!(std::fs::read(root.join(copy).join("noise")).unwrap() == noise, "the clone differs");
    }
    git(&bed, &root.join("one"), &["fetch", "-q"]).await;
    let mut pushed = 0;
    while !bed.proxy.in_flight().is_empty() {
        tokio::task::yield_now().await;
    }
    while let Some(flow) = bed.ended() {
        assert!(flow.status == 200 && !flow.aborted, "{flow:?}");
        pushed = pushed.max(flow.bytes_received);
    }
    assert!(pushed > 5 << 20, "{pushed}");
}
