//! A `larder proxy` that runs beside a test, and how it starts and stops.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::larder::{Larder, Run};

const LIMIT: Duration = Duration::from_mins(1);

/// A running `larder proxy --json`; killed when dropped.
pub(crate) struct Server {
    pub(crate) larder: Larder,
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// What it printed about itself.
    pub(crate) usage: Vec<String>,
    /// The host's certificates with Larder's.
    pub(crate) bundle: String,
    notes: Receiver<String>,
    flows: Receiver<String>,
}

impl Server {
    pub(crate) fn start(larder: Larder, args: &[&str]) -> Self {
        Self::with(larder, args, |_| ())
    }

    pub(crate) fn with(larder: Larder, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut command = larder.command(["proxy", "--listen", "127.0.0.1:0", "--json"].iter().chain(args));
        change(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let flows = lines(child.stdout.take().unwrap());
        let notes = lines(child.stderr.take().unwrap());
        let usage: Vec<String> = (0..5).map_while(|_| notes.recv_timeout(LIMIT).ok()).collect();
        let url = usage.iter().find_map(|line| line.strip_prefix("Listening on ")).expect("it says where it listens");
        let bundle = usage.iter().find_map(|line| line.strip_prefix("  CA='")?.split('\'').next()).unwrap();
        Self { url: url.to_owned(), bundle: bundle.to_owned(), larder, child, usage, notes, flows }
    }

    /// curl by way of the proxy: status and body, or curl's exit code where that is not 0.
    pub(crate) fn curl(&self, args: &[&str]) -> Curl {
        Curl::of(self.curl_command(args).output().unwrap())
    }

    pub(crate) fn curl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("curl");
        self.larder.settle(&mut command);
        command
            .args(["-sS", "-x", &self.url, "--noproxy", "", "--cacert", &self.bundle, "-w", "\n%{http_code}"])
            .args(args);
        command
    }

    /// Any command, with the variables that the proxy prints.
    pub(crate) fn run(&self, command: &mut Command) -> Run {
        self.lead(command);
        Run::of(command.output().unwrap())
    }

    /// A command that is led here; more may be added to its variables.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.lead(&mut command);
        command
    }

    fn lead(&self, command: &mut Command) {
        self.larder.settle(command);
        for name in ["http_proxy", "https_proxy"] {
            command.env(name, &self.url);
        }
        let bundled = ["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "npm_config_cafile"];
        for name in bundled.into_iter().chain(["GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO"]) {
            command.env(name, &self.bundle);
        }
        command.env_remove("no_proxy").env_remove("NO_PROXY");
    }

    /// The next flow to end.
    #[track_caller]
    pub(crate) fn flow(&self) -> Value {
        serde_json::from_str(&self.flows.recv_timeout(LIMIT).expect("a flow ends")).unwrap()
    }

    /// All flows that have ended, up to one for this URL, asked for to mark the place.
    pub(crate) fn flows_until(&self, mark: &str) -> Vec<Value> {
        let _ = self.curl(&[mark]);
        let mut flows = Vec::new();
        loop {
            let flow = self.flow();
            if flow["url"] == mark {
                return flows;
            }
            flows.push(flow);
        }
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Most memory it has had, in MB.
    pub(crate) fn memory_peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Descriptors it has open.
    pub(crate) fn open_descriptors(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count() as u64
    }

    /// Sets how many descriptors it may have from now on.
    pub(crate) fn limit_descriptors(&self, count: u64) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Some(Pid::from_child(&self.child));
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(count), maximum: Some(1024) }).unwrap();
    }

    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until a SIGSTOP has stopped it.
    #[track_caller]
    pub(crate) fn wait_until_stopped(&self) {
        let path = format!("/proc/{}/stat", self.child.id());
        let deadline = Instant::now() + LIMIT;
        while !fs::read_to_string(&path).unwrap().rsplit(')').next().unwrap().starts_with(" T") {
            assert!(Instant::now() < deadline, "it does not stop");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The next thing it says that has this in it.
    #[track_caller]
    pub(crate) fn note(&self, part: &str) -> String {
        loop {
            let note = self.notes.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("it does not say {part}"));
            if note.contains(part) {
                return note;
            }
        }
    }

    /// Has clients log in.
    pub(crate) fn log_in(&mut self, login: &str) {
        self.url = self.url.replace("http://", &format!("http://{login}@"));
    }

    /// Waits for the end: the exit code, and what it said.
    pub(crate) fn wait(mut self) -> (Option<i32>, Vec<String>) {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.notes.iter().collect());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the proxy does not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// An origin that answers once, with a body of so many bytes that may be stored: its URL, and the thread it runs on.
pub(crate) fn answer_once(size: usize) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/disk.iso", listener.local_addr().unwrap());
    let origin = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nCache-Control: max-age=3600\r\n\r\n").unwrap();
        let chunk = vec![7; 1 << 20];
        (0..size).step_by(chunk.len()).for_each(|at| stream.write_all(&chunk[..chunk.len().min(size - at)]).unwrap());
    });
    (url, origin)
}

/// What curl came to.
#[derive(Debug)]
pub(crate) struct Curl {
    pub(crate) exit: i32,
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Curl {
    pub(crate) fn of(output: Output) -> Self {
        let Output { status: ended, stdout, .. } = output;
        let text = String::from_utf8_lossy(&stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        let exit = ended.code().unwrap_or(-1);
        Self { exit, status: status.parse().unwrap_or(0), body: body.to_owned() }
    }
}

#[test]
fn it_says_in_six_lines_how_to_use_it() {
    let server = Server::start(Larder::new(), &[]);
    let text = server.usage.join("\n");
    for part in ["http_proxy", "https_proxy", "CURL_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(fs::read_to_string(&server.bundle).unwrap().contains("BEGIN CERTIFICATE"));
    let (ca, bundle) = (server.bundle.replace("ca-bundle", "ca"), fs::read_to_string(&server.bundle).unwrap());
    assert!(bundle.ends_with(&fs::read_to_string(ca).unwrap()));
    server.terminate();
    let (code, notes) = server.wait();
    assert_eq!(code, Some(0), "{notes:?}");
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn a_download_under_way_is_finished_before_it_ends() {
    const HALF: usize = 100_000;
    let server = Server::with(Larder::new(), &[], |command| {
        command.env("NO_PROXY", "*");
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/pool/main/x/x_1_all.deb", listener.local_addr().unwrap());
    let (go, gone) = channel::<()>();
    let origin = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 2 * HALF).unwrap();
        stream.write_all(&vec![b'a'; HALF]).unwrap();
        gone.recv().unwrap();
        stream.write_all(&vec![b'b'; HALF]).unwrap();
    });
    let mut client = server.curl_command(&["-N", &url]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = client.stdout.take().unwrap();
    let mut first = vec![0; HALF];
    out.read_exact(&mut first).unwrap();
    server.terminate();
    server.note("under way");
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let deadline = Instant::now() + LIMIT;
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "it still accepts connections");
        thread::sleep(Duration::from_millis(10));
    }
    go.send(()).unwrap();
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), HALF + "\n200".len());
    assert!(client.wait().unwrap().success());
    origin.join().unwrap();
    let flow = server.flow();
    assert_eq!((flow["bytes_sent"].as_u64(), &flow["aborted"]), (Some(2 * HALF as u64), &Value::Bool(false)));
    assert_eq!(server.wait().0, Some(0));
}

pub(crate) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}
