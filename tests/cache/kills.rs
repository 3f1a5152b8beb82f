//! `larder proxy` killed with SIGKILL at random moments, under load, with eviction on: nothing partial is served, the
//! cache is sound each time, its sums are right, and it starts at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::*;

const CLIENTS: u64 = 6;

fn path_of(number: u64) -> String {
    match number % 4 {
        0 => format!("/debian/dists/stable/{number}/Packages"),
        1 => format!("/files/{number}"),
        _ => format!("/debian/pool/main/p/p{number}_1.0_all.deb"),
    }
}

fn body(number: u64) -> Vec<u8> {
    let size = 500 + (number * 7919) % 150_000;
    (0..size).map(|at| u8::try_from((at * 31 + number * 17 + at / 256) % 256).unwrap()).collect()
}

struct Proxy {
    child: Child,
    address: String,
    started: Duration,
}

impl Proxy {
    fn start(larder: &Larder, origin: &Origin) -> Self {
        let begun = Instant::now();
        let mut command = larder.command(["proxy", "--listen", "127.0.0.1:0", "--mirror", &origin.mirror()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("Listening on http://").map(str::to_owned));
        // What it says later must have somewhere to go.
        std::thread::spawn(move || lines.for_each(drop));
        let mut proxy = Self { child, address: address.expect("it says where it listens"), started: Duration::ZERO };
        assert!(proxy.get(0), "it serves");
        proxy.started = begun.elapsed();
        proxy
    }

    /// Fetches; `false` where the connection broke. What is whole must be right.
    fn get(&self, number: u64) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return false };
        let request = format!(
            "GET http://example.org{} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n",
            path_of(number)
        );
        let mut answer = Vec::new();
        if stream.write_all(request.as_bytes()).is_err() || stream.read_to_end(&mut answer).is_err() {
            return false;
        }
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let received = &answer[end + 4..];
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let expected = body(number);
        assert_eq!(length, Some(expected.len()), "{number}: {head}");
        assert!(expected.starts_with(received), "{number}: wrong bytes");
        received.len() == expected.len()
    }
}

fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { bytes_below(&entry.path()) } else { size(&entry.path()) }).sum()
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

fn json(larder: &Larder, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&larder.run(arguments).expect(0).stdout).unwrap()
}

/// Keeps clients busy until the proxy is killed; how many answers came whole.
fn load_and_kill(proxy: &mut Proxy, round: u64, pause: Duration) -> u64 {
    let (stop, whole) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (proxy, stop, whole) = (&*proxy, &stop, &whole);
            scope.spawn(move || {
                for step in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let number = (round * 13 + client * 5 + step * step) % 60;
                    whole.fetch_add(u64::from(proxy.get(number)), Ordering::Relaxed);
                }
            });
        }
        // It is at work; then comes a random moment.
        while whole.load(Ordering::Relaxed) < CLIENTS {
            std::thread::yield_now();
        }
        std::thread::sleep(pause);
        rustix::process::kill_process(rustix::process::Pid::from_child(&proxy.child), rustix::process::Signal::KILL)
            .unwrap();
        stop.store(true, Ordering::Relaxed);
    });
    proxy.child.wait().unwrap();
    whole.into_inner()
}

#[test]
fn killed_under_load() {
    let kills: u64 = std::env::var("LARDER_TEST_KILLS").ok().map_or(12, |count| count.parse().unwrap());
    let paths: Vec<String> = (0..60).map(path_of).collect();
    let files: Vec<(&str, &str, Vec<u8>)> = paths
        .iter()
        .zip(0..)
        .map(|(path, number)| (path.as_str(), "Cache-Control: max-age=600\r\nETag: \"1\"\r\n", body(number)))
        .collect();
    let (larder, origin) = (Larder::new(), Origin::serving(&files));
    larder.write(".config/larder/config.toml", "[cache]\nmax_size = \"1500k\"\n");
    let content: PathBuf = larder.cache().join("v1/content-v2");
    let (mut slowest, mut served) = (Duration::ZERO, 0);
    for round in 0..kills {
        let mut proxy = Proxy::start(&larder, &origin);
        slowest = slowest.max(proxy.started);
        // Spread over the first moments and the first evictions.
        let pause = Duration::from_micros((round * 7_919_117) % 200_000);
        served += load_and_kill(&mut proxy, round, pause);
        let (report, stats) =
            (json(&larder, &["cache", "verify", "--json"]), json(&larder, &["cache", "stats", "--json"]));
        assert_eq!((&report["sound"], &report["rows"]), (&true.into(), &0.into()), "round {round}: {report}");
        assert_eq!(report["bytes"], stats["bytes"], "round {round}");
        assert_eq!(stats["damage"], serde_json::json!([]), "round {round}");
        let stray: u64 =
            report["unreferenced"].as_array().unwrap().iter().map(|path| size(Path::new(path.as_str().unwrap()))).sum();
        assert_eq!(bytes_below(&content) - stray, stats["bytes"].as_u64().unwrap(), "round {round}");
    }
    // The next to start puts in order what the last one left.
    let mut proxy = Proxy::start(&larder, &origin);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (on_disk, stats) = (bytes_below(&content), json(&larder, &["cache", "stats", "--json"]));
        let noted = stats["bytes"].as_u64().unwrap();
        if on_disk.abs_diff(noted) * 100 <= on_disk {
            break;
        }
        assert!(Instant::now() < deadline, "{on_disk} bytes are stored, and {noted} are noted");
        std::thread::sleep(Duration::from_millis(50));
    }
    proxy.child.kill().unwrap();
    proxy.child.wait().unwrap();
    println!("{kills} kills, {served} whole answers, slowest start {slowest:?}");
    // On a machine that other tests keep busy, a time says little.
    let alone = std::env::var_os("LARDER_TEST_KILLS").is_some();
    let most = Duration::from_secs(if alone { 2 } else { 20 });
    assert!(slowest < most, "{slowest:?}");
}
