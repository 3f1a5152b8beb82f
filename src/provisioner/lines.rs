//! Relays what a command writes to the person watching, line by line.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::component::{Communicator, Output, Say};
use crate::error::Result;

/// Longest line shown as one, in bytes. What is longer is cut into several.
const MAX_LINE: usize = 32 * 1024;

/// Chunks of output that may wait before the command is held back.
const CHANNEL: usize = 64;

/// Runs a command in the guest and relays what it writes. Returns its exit status.
pub async fn run(
    communicator: &dyn Communicator,
    command: &str,
    ui: &dyn Say,
    cancel: &CancellationToken,
) -> Result<i32> {
    let (sender, receiver) = mpsc::channel(CHANNEL);
    let (status, ()) = tokio::join!(communicator.run(command, sender, cancel), relay(receiver, ui));
    status
}

/// Says every line that comes until the senders are gone. Waits where the consumers of events are far behind, so
/// that the bounded channel, and behind it the command, is held back.
pub async fn relay(mut receiver: mpsc::Receiver<Output>, ui: &dyn Say) {
    let mut stdout = Lines::default();
    let mut stderr = Lines::default();
    while let Some(output) = receiver.recv().await {
        ui.ready().await;
        match output {
            Output::Stdout(bytes) => stdout.push(&bytes, |line| ui.stdout(line)),
            Output::Stderr(bytes) => stderr.push(&bytes, |line| ui.stderr(line)),
        }
    }
    stdout.finish(|line| ui.stdout(line));
    stderr.finish(|line| ui.stderr(line));
}

/// Cuts a stream of bytes into the lines Packer would show.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes bytes in; gives each line that is whole to `line`.
    pub fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.append(&bytes[..at], &mut line);
            line(&shown(&std::mem::take(&mut self.pending)));
            bytes = &bytes[at + 1..];
        }
        self.append(bytes, &mut line);
    }

    /// Gives the last line, if it did not end in a newline.
    pub fn finish(self, mut line: impl FnMut(&str)) {
        if !self.pending.is_empty() {
            line(&shown(&self.pending));
        }
    }

    fn append(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&str)) {
        while self.pending.len() + bytes.len() > MAX_LINE {
            let (now, later) = bytes.split_at(MAX_LINE - self.pending.len());
            self.pending.extend_from_slice(now);
            // A progress meter overwrites one line for ever: only what follows the last return would be shown.
            if let Some(at) = self.pending[..self.pending.len() - 1].iter().rposition(|byte| *byte == b'\r') {
                self.pending.drain(..=at);
            } else {
                let cut = character_boundary(&self.pending);
                line(&shown(&self.pending[..cut]));
                self.pending.drain(..cut);
            }
            bytes = later;
        }
        self.pending.extend_from_slice(bytes);
    }
}

/// Where to cut so that no UTF-8 character is torn apart; the whole length if that cannot be.
fn character_boundary(bytes: &[u8]) -> usize {
    match std::str::from_utf8(&bytes[bytes.len().saturating_sub(4)..]) {
        Err(error) if error.error_len().is_none() => bytes.len().saturating_sub(4) + error.valid_up_to(),
        _ => {
            let start = bytes.iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(bytes.len());
            let whole = std::str::from_utf8(&bytes[start..]).is_ok();
            if whole || start == 0 { bytes.len() } else { start }
        }
    }
}

/// A line as shown: trimmed at the right, without what a carriage return overwrote, invalid UTF-8 replaced.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let trimmed = text.trim_end();
    trimmed.rsplit('\r').next().unwrap_or(trimmed).to_owned()
}

/// Sleeps, unless cancelled before: then returns false.
pub async fn sleep(duration: Duration, cancel: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(duration) => true,
        () = cancel.cancelled() => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut out = Vec::new();
        let mut splitter = Lines::default();
        for chunk in chunks {
            splitter.push(chunk, |line| out.push(line.to_owned()));
        }
        splitter.finish(|line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn lines_are_shown_as_packer_shows_them() {
        for (chunks, expected) in [
            (&[b"a\nb\n" as &[u8]] as &[&[u8]], &["a", "b"] as &[&str]),
            (&[b"a", b"b\n", b"c"], &["ab", "c"]),
            (&[b"a\r\n"], &["a"]),
            (&[b"10%\r20%\r30%\r\n"], &["30%"]),
            (&[b"trailing \t\n\n  x\n"], &["trailing", "", "  x"]),
            (&[b"\xff\xfea\n"], &["\u{fffd}\u{fffd}a"]),
            (&[b"\xc3", b"\xa4\n"], &["ä"]),
            (&[], &[]),
        ] {
            assert_eq!(lines(chunks), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let long = "ä".repeat(MAX_LINE);
        let out = lines(&[long.as_bytes()]);
        assert!(out.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(out.concat(), long);
        let odd = format!("x{}", "€".repeat(MAX_LINE));
        assert_eq!(lines(&[odd.as_bytes()]).concat(), odd);
        let bytes = vec![0xff_u8; MAX_LINE * 3];
        assert_eq!(lines(&[&bytes]).concat().chars().count(), bytes.len());
    }

    #[test]
    fn a_meter_without_newline_takes_no_memory() {
        let mut splitter = Lines::default();
        for _ in 0..100_000 {
            splitter.push(b"\r 50% of a file", |line| panic!("showed {line}"));
            assert!(splitter.pending.len() <= MAX_LINE);
        }
        let mut last = String::new();
        splitter.finish(|line| last = line.to_owned());
        assert_eq!(last, " 50% of a file");
    }
}
