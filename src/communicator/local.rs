//! Commands on the host, started by this process.

use async_trait::async_trait;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use crate::engine::host::{Host, HostCommand, HostEnd, HostProcess};
use crate::error::{Context as _, Error, Result};
use crate::guest::{exit_code, foreground};

/// Starts commands of the host from this process, and so with its ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct Here;

#[async_trait]
impl Host for Here {
    async fn start(&self, command: HostCommand) -> Result<HostProcess> {
        let (name, arguments) = command.argv.split_first().ok_or_else(|| Error::new("no command was given"))?;
        let mut child = Command::new(name)
            .args(arguments)
            .envs(&command.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context(|| format!("cannot run {name}"))?;
        let streams = child.stdout.take().zip(child.stderr.take());
        let (stdout, stderr) = streams.ok_or_else(|| Error::new("the command's output is not to be had"))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let end = Box::new(Running { name: name.clone(), child, group, ended: false });
        Ok(HostProcess { stdout: Box::new(stdout), stderr: Box::new(stderr), end })
    }

    async fn attend(&self, command: HostCommand, terminal: OwnedFd) -> Result<i32> {
        let name = command.argv.first().cloned().unwrap_or_default();
        let ended = tokio::task::spawn_blocking(move || foreground::run(&command.argv, &command.env, &terminal)).await;
        ended.context(|| format!("{name} was given up"))?.context(|| format!("cannot run {name}"))
    }
}

struct Running {
    name: String,
    child: Child,
    group: Option<Pid>,
    ended: bool,
}

impl Running {
    fn signal_now(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

#[async_trait]
impl HostEnd for Running {
    async fn wait(&mut self) -> Result<i32> {
        let status = self.child.wait().await.context(|| format!("cannot wait for {}", self.name))?;
        self.ended = true;
        Ok(exit_code(status))
    }

    async fn signal(&mut self, signal: Signal) {
        self.signal_now(signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What a command that has ended left in the background stays.
        if !self.ended {
            self.signal_now(Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn shell(line: &str) -> HostProcess {
        let argv = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
        Here.start(HostCommand { argv, env: BTreeMap::from([("SAID".to_owned(), "hello".to_owned())]) }).await.unwrap()
    }

    #[tokio::test]
    async fn both_streams_and_the_status_arrive() {
        let mut process = shell("echo $SAID; echo wrong >&2; exit 3").await;
        assert_eq!(process.end.wait().await.unwrap(), 3);
        let (mut out, mut err) = (String::new(), String::new());
        process.stdout.read_to_string(&mut out).await.unwrap();
        process.stderr.read_to_string(&mut err).await.unwrap();
        assert_eq!((out.as_str(), err.as_str()), ("hello\n", "wrong\n"));
        assert_eq!(shell("kill -9 $$").await.end.wait().await.unwrap(), 137);
    }

    #[tokio::test]
    async fn dropped_it_ends_with_its_whole_group() {
        let mut process = shell("sleep 1000 & echo $!; wait").await;
        let mut pid = [0; 16];
        let length = process.stdout.read(&mut pid).await.unwrap();
        let pid = std::str::from_utf8(&pid[..length]).unwrap().trim().to_owned();
        drop(process);
        // Killed, it is there until it has died, and then until whoever adopted it has noticed.
        let alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while alive() {
            assert!(std::time::Instant::now() < deadline, "{pid} still runs");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
