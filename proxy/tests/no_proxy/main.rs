//! `docs/reference/no-proxy.md` tells the truth about curl, about Go, and about Larder.
#![expect(clippy::unwrap_used, reason = "a peer of a test that fails ends the test")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use larder_proxy::upstream::route::NoProxy;
use url::Url;

/// A line of the table.
#[derive(Debug)]
struct Row {
    list: String,
    host: String,
    port: u16,
    curl: String,
    go: String,
    larder: String,
}

impl Row {
    fn url(&self) -> String {
        format!("http://{}:{}/", self.host, self.port)
    }
}

fn table() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/no-proxy.md");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [list, host, port, curl, go, larder] = cells[..] else { panic!("{line}") };
        let code = |cell: &str| cell.trim_matches('`').replace("\\t", "\t");
        Row {
            list: code(list),
            host: code(host),
            port: port.parse().unwrap(),
            curl: curl.to_owned(),
            go: go.to_owned(),
            larder: larder.to_owned(),
        }
    };
    let rows: Vec<Row> = lines.map(row).collect();
    assert!(rows.len() >= 60, "{}", rows.len());
    rows
}

/// Fails with every row whose word is not the one found.
fn compare(column: fn(&Row) -> &str, found: impl Fn(&Row) -> Option<String>) {
    let mut wrong = Vec::new();
    let mut asked = 0;
    for row in table() {
        let Some(found) = found(&row) else { continue };
        asked += 1;
        let said = column(&row);
        assert!(matches!(said, "direct" | "proxy"), "{row:?}");
        if said != found {
            wrong.push(format!("{:?} for {}: the table says {said}, but it is {found}", row.list, row.url()));
        }
    }
    assert!(asked >= 60, "{asked}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn larder_does_what_the_table_says() {
    compare(
        |row| &row.larder,
        |row| {
            // As it comes from a client: the name in ASCII.
            let url = Url::parse(&row.url()).unwrap();
            let host = url.host_str().unwrap().trim_matches(['[', ']']).to_owned();
            let direct = NoProxy::parse(&row.list).matches(&host, row.port);
            Some(if direct { "direct" } else { "proxy" }.to_owned())
        },
    );
}

/// A server that answers every request with a status and no more; its port.
fn server(status: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let (mut head, mut piece) = (Vec::new(), [0; 1024]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(read @ 1..) => head.extend_from_slice(&piece[..read]),
                    _ => break,
                }
            }
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn curl_does_what_the_table_says() {
    let version = Command::new("curl").arg("--version").output().expect("curl is missing: apt-get install curl");
    let is_7_88 = String::from_utf8_lossy(&version.stdout).starts_with("curl 7.88");
    let (proxy, origin) = (server("502 From the proxy"), server("200 From the origin"));
    compare(
        |row| row.curl.trim_end_matches(" ¹"),
        |row| {
            if row.curl.ends_with('¹') && !is_7_88 {
                return None;
            }
            let output = Command::new("curl")
                .args(["-q", "-s", "-g", "-o", "/dev/null", "-m", "60", "-w", "%{http_code} %{http_connect}"])
                // Every host is the origin; and with a proxy, a tunnel to it is asked for.
                .args(["--connect-to", &format!("::127.0.0.1:{origin}"), &row.url()])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                // curl reads names with other letters than ASCII's by the locale.
                .env("LC_ALL", "C.UTF-8")
                .env("http_proxy", format!("http://127.0.0.1:{proxy}"))
                .env("NO_PROXY", &row.list)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let word = match said.split_once(' ').unwrap() {
                ("200", _) => "direct",
                ("502", _) | (_, "502") => "proxy",
                _ => panic!("{row:?}: {said} {}", output.status),
            };
            Some(word.to_owned())
        },
    );
}

#[test]
fn go_does_what_the_table_says() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("net_http");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_proxy/net_http.go"))
        .env("GO111MODULE", "off")
        .env("GOCACHE", directory.path().join("cache"))
        .output()
        .expect("go is missing: apt-get install golang-go");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    compare(
        |row| &row.go,
        |row| {
            let output = Command::new(&program)
                .arg(row.url())
                .env_clear()
                .env("HTTP_PROXY", "http://127.0.0.1:9")
                .env("NO_PROXY", &row.list)
                .output()
                .unwrap();
            Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        },
    );
}
