//! Servers that are started, measured, and ended with the benchmark, however it ends.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;

use crate::Result;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A server in a process group of its own, ended with all its children when this is dropped.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

/// How to start a server.
pub(crate) struct Start<'a> {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
    /// Whom it runs as, if not as the benchmark.
    pub(crate) user: Option<&'a str>,
    pub(crate) env: Vec<(&'a str, String)>,
    /// Where its output goes.
    pub(crate) folder: &'a Path,
}

impl Start<'_> {
    /// Starts it, so that the kernel ends it where the benchmark is killed. `setpriv` says that to the kernel, and changes
    /// the user before: a process that does so later loses it.
    pub(crate) fn run(self) -> Result<Running> {
        let output = self.folder.join("output");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = self.user {
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]);
        }
        let writes = File::create(&output)?;
        command
            .arg("--")
            .args(&self.command)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(self.env)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(writes.try_clone()?)
            .stderr(writes)
            .process_group(0);
        let child = command.spawn().map_err(|error| format!("setpriv (of util-linux) does not start: {error}"))?;
        Ok(Running { name: self.name, child, output })
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens on a port of the loopback.
    pub(crate) async fn listens(&mut self, port: u16) -> Result<()> {
        self.until(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await
    }

    /// Waits for something, as long as the process lives.
    pub(crate) async fn until(&mut self, holds: impl AsyncFn() -> bool) -> Result<()> {
        let begun = Instant::now();
        while !holds().await {
            let ended = self.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let said = fs::read_to_string(&self.output).unwrap_or_default();
                let what = ended.map_or("is not ready".to_owned(), |status| format!("ended with {status}"));
                return Err(format!("{} {what}; is it installed? It said: {said}", self.name).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may be gone.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// What a process and all below it have used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Time of the processor, in user and kernel mode.
    pub(crate) cpu: Duration,
    /// Memory, in bytes. What processes share counts for each.
    pub(crate) resident: u64,
    /// The most memory that the first process ever had.
    pub(crate) peak: u64,
}

pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Processes come and go meanwhile.
        if let Some(fields) = stat(pid) {
            parents.insert(pid, fields);
        }
    }
    let mut ticks = 0;
    let mut resident = 0;
    for (&each, fields) in &parents {
        let mut ancestor = each;
        while ancestor != pid && ancestor != 0 {
            ancestor = parents.get(&ancestor).map_or(0, |fields| fields.parent);
        }
        if ancestor == pid {
            ticks += fields.ticks;
            resident += status(each, "VmRSS:").unwrap_or(0);
        }
    }
    let cpu = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    Ok(Usage { cpu, resident, peak: status(pid, "VmHWM:").ok_or("a server has ended")? })
}

struct Stat {
    parent: u32,
    /// Of its own, and of children that have ended.
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before may have blanks and parentheses in it.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ticks })
}

fn status(pid: u32, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// A port that nothing listens on now. It is below those that the kernel gives to connections, of which a benchmark makes
/// many; and apt-cacher-ng takes none above 32767.
pub(crate) fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() % 10_000;
    for _ in 0..10_000 {
        let port = 20_000 + (first + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % 10_000;
        let port = u16::try_from(port)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no port from 20000 to 29999 is free".into())
}
