//! Runs the `larder` binary in a place of its own: home, cache, state and environment of the test's making.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part")]
#![allow(clippy::allow_attributes, reason = "an unfulfilled `expect` would fail in the targets that use all of it")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Variables of the host that a real network may need: where the certificates of its TLS inspection are, and its proxy.
const PASSED_ON: [&str; 9] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "LLVM_PROFILE_FILE",
    "RUST_BACKTRACE",
];

/// A user's machine, as far as Larder sees it.
pub struct Larder {
    home: TempDir,
    cache: PathBuf,
}

impl Larder {
    /// A fresh one, with an empty cache.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("larder-test-").tempdir().unwrap();
        let cache = home.path().join("cache");
        Self { home, cache }
    }

    /// A fresh one that shares its cache with the other tests, so that what they all need is fetched once.
    pub fn with_shared_cache() -> Self {
        let mut larder = Self::new();
        larder.cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shared-cache");
        larder
    }

    /// Another machine, as it were, that has the same cache.
    pub fn beside(&self) -> Self {
        let mut larder = Self::new();
        larder.cache.clone_from(&self.cache);
        larder
    }

    /// The working directory of commands.
    pub fn dir(&self) -> &Path {
        self.home.path()
    }

    pub fn cache(&self) -> &Path {
        &self.cache
    }

    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Writes a file below the working directory.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `larder` with these arguments, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        self.settle(&mut command);
        command.args(args);
        command
    }

    /// Gives any command the same surroundings.
    pub fn settle(&self, command: &mut Command) {
        command
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir())
            .env("LARDER_CACHE_DIR", &self.cache)
            .env("LARDER_STATE_DIR", self.state())
            .current_dir(self.dir())
            .stdin(Stdio::null());
    }

    /// Runs `larder` to its end.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        Run::of(self.command(args).output().unwrap())
    }
}

/// A command that has ended.
#[must_use]
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Fails the test unless the command ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The events of a run with `--ui=json`.
    #[track_caller]
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// The proxy's totals for a class of content, from the last event of a run with `--ui=json`.
    #[track_caller]
    pub fn totals(&self, class: &str) -> serde_json::Value {
        let events = self.events();
        let last = events.last().expect("a run has events");
        assert_eq!(last["type"], "run-finished");
        last["totals"]["classes"][class].clone()
    }
}

/// Whether the test runs as root, as guests need; says so if not.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}
