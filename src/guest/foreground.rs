//! Programs of the host in the foreground of a terminal, as a shell runs them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::termios::OptionalActions;

/// Runs a program with the terminal as its input, output and error, and its keys: Ctrl-C is the program's alone. Waits
/// for its end (its exit status, or 128 + signal), and gives the terminal back as it was. Blocks.
pub fn run(argv: &[String], env: &BTreeMap<String, String>, terminal: &OwnedFd) -> io::Result<i32> {
    let (name, arguments) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let attributes = rustix::termios::tcgetattr(terminal)?;
    let owner = rustix::termios::tcgetpgrp(terminal)?;
    let stream = || terminal.try_clone().map(Stdio::from);
    let mut child = Command::new(name)
        .args(arguments)
        .envs(env)
        .stdin(stream()?)
        .stdout(stream()?)
        .stderr(stream()?)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let foreground = rustix::process::Pid::from_child(&child);
    if let Err(error) = give(terminal, foreground) {
        child.kill()?;
        child.wait()?;
        return Err(error);
    }
    let status = wait(group);
    let taken = give(terminal, owner);
    let restored = rustix::termios::tcsetattr(terminal, OptionalActions::Now, &attributes);
    taken?;
    restored?;
    status
}

/// Makes a process group the one that the terminal's keys are for.
fn give(terminal: impl AsFd, group: rustix::process::Pid) -> io::Result<()> {
    // Who does so from the background is stopped, unless it does not hear of it.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTTOU);
    let mut before = SigSet::empty();
    nix::sys::signal::pthread_sigmask(nix::sys::signal::SigmaskHow::SIG_BLOCK, Some(&signals), Some(&mut before))?;
    let given = rustix::termios::tcsetpgrp(terminal, group);
    before.thread_set_mask()?;
    Ok(given?)
}

fn wait(group: Pid) -> io::Result<i32> {
    loop {
        match waitpid(group, Some(WaitPidFlag::WUNTRACED)) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(status),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(128 + signal as i32),
            // Ctrl-Z, which leads nowhere here; or it looked at the terminal before it had it.
            Ok(WaitStatus::Stopped(..)) => drop(killpg(group, Signal::SIGCONT)),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
