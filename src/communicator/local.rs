//! Commands on the host, for `shell-local`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::component::Output;
use crate::error::{Context as _, Error, Result};
use crate::guest::exit_code;

/// How long a cancelled command has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// A command to run on the host.
#[derive(Clone, Debug)]
pub struct HostCommand {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Added to Larder's own environment.
    pub env: BTreeMap<String, String>,
    /// Working directory; Larder's own by default.
    pub directory: Option<PathBuf>,
}

/// Runs a command in a process group of its own, with no input, sends what it writes to `output` as it comes, and
/// returns its exit status (128 + signal when killed by one). When `cancel` fires the whole group is ended and this
/// fails. Output written by what the command left in the background after its own end is not waited for.
pub async fn run(command: &HostCommand, output: mpsc::Sender<Output>, cancel: &CancellationToken) -> Result<i32> {
    let (name, arguments) = command.argv.split_first().ok_or_else(|| Error::new("no command was given"))?;
    let mut builder = tokio::process::Command::new(name);
    builder.args(arguments).envs(&command.env).process_group(0).kill_on_drop(true);
    builder.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(directory) = &command.directory {
        builder.current_dir(directory);
    }
    let mut child = builder.spawn().context(|| format!("cannot run {name}"))?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let streams = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = streams.ok_or_else(|| Error::new("the command's output is not to be had"))?;

    let mut relay = std::pin::pin!(async {
        let (out, err) = (output.clone(), output);
        tokio::join!(relay(stdout, out, Output::Stdout), relay(stderr, err, Output::Stderr));
    });
    let mut relayed = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.context(|| format!("cannot wait for {name}"))?,
            () = &mut relay, if !relayed => relayed = true,
            () = cancel.cancelled() => {
                group.signal(Signal::SIGTERM);
                let _ = tokio::time::timeout(GRACE, child.wait()).await;
                group.signal(Signal::SIGKILL);
                let _ = child.wait().await;
                return Err(Error::new(format!("{name} was ended: the build was cancelled")));
            }
        }
    };
    while !relayed {
        // As long as there is something to pass on; a background process may keep the pipes open for ever.
        tokio::select! {
            () = &mut relay => relayed = true,
            () = tokio::time::sleep(Duration::from_millis(200)) => break,
            () = cancel.cancelled() => break,
        }
    }
    group.0 = None;
    Ok(exit_code(status))
}

/// A process group that is killed when this is dropped early.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

async fn relay(mut from: impl AsyncRead + Unpin, to: mpsc::Sender<Output>, wrap: fn(Vec<u8>) -> Output) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            return;
        }
        let _ = to.send(wrap(buffer[..length].to_vec())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> HostCommand {
        let argv = ["/bin/sh", "-c", line].map(str::to_owned).to_vec();
        HostCommand { argv, env: BTreeMap::from([("SAID".to_owned(), "hello".to_owned())]), directory: None }
    }

    #[tokio::test]
    async fn returns_status_and_both_streams() {
        let (sender, mut receiver) = mpsc::channel(100);
        let command = shell("echo $SAID; echo wrong >&2; exit 3");
        assert_eq!(run(&command, sender, &CancellationToken::new()).await.unwrap(), 3);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(output) = receiver.recv().await {
            match output {
                Output::Stdout(bytes) => out.extend(bytes),
                Output::Stderr(bytes) => err.extend(bytes),
            }
        }
        assert_eq!((out.as_slice(), err.as_slice()), (&b"hello\n"[..], &b"wrong\n"[..]));
    }

    #[tokio::test]
    async fn a_signal_counts_128_and_more() {
        let (sender, _receiver) = mpsc::channel(1);
        assert_eq!(run(&shell("kill -9 $$"), sender, &CancellationToken::new()).await.unwrap(), 137);
    }

    #[tokio::test]
    async fn cancelling_ends_the_whole_group() {
        let (sender, mut receiver) = mpsc::channel(10);
        let cancel = CancellationToken::new();
        let command = shell("sleep 1000 & echo $!; wait");
        let running = run(&command, sender, &cancel);
        let (result, pid) = tokio::join!(running, async {
            let Some(Output::Stdout(bytes)) = receiver.recv().await else { panic!("no output") };
            cancel.cancel();
            String::from_utf8(bytes).unwrap().trim().to_owned()
        });
        result.unwrap_err();
        // Killed, it is there until it has died, and then until whoever adopted it has noticed.
        let alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while alive() {
            assert!(std::time::Instant::now() < deadline, "{pid} still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
