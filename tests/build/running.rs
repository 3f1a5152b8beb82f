//! A `larder` that is under way, followed by its events.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

/// A run with `--ui=json`.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: std::process::ChildStderr,
    /// Those read so far.
    pub(crate) events: Vec<Value>,
    said: String,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) events: Vec<Value>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().unwrap();
        Self { child, stdout, stderr, events: Vec::new(), said: String::new() }
    }

    /// Reads events up to the first for which `is` holds.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        while let Some(event) = self.next() {
            if is(&event) {
                return event;
            }
        }
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        panic!("the run ended before what was waited for: {:#?}\n{stderr}", self.events);
    }

    /// Reads events up to the start of a step.
    #[track_caller]
    pub(crate) fn wait_for_step(&mut self, name: &str) {
        self.wait_for(|event| event["type"] == "step-started" && event["step"] == name);
    }

    /// Reads events up to a line that a provisioner writes.
    #[track_caller]
    pub(crate) fn wait_for_line(&mut self, line: &str) {
        self.wait_for(|event| event["line"] == line);
    }

    /// Reads standard error up to a text.
    #[track_caller]
    pub(crate) fn wait_for_note(&mut self, text: &str) {
        let mut byte = [0];
        while !self.said.contains(text) {
            assert_eq!(self.stderr.read(&mut byte).unwrap(), 1, "standard error ended: {}", self.said);
            self.said.push(char::from(byte[0]));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// As the terminal does at Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> Ended {
        while self.next().is_some() {}
        self.stderr.read_to_string(&mut self.said).unwrap();
        let status = self.child.wait().unwrap();
        Ended { code: status.code(), events: self.events, stderr: self.said }
    }

    /// The next event. One cut short, as by a kill, is passed over.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        self.events.push(event.clone());
        Some(event)
    }
}
