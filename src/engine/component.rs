//! The traits that builders, communicators, provisioners and post-processors implement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::artifact::Artifact;
use super::asker::Pause;
use super::clamp::Clamp;
use super::host::Host;
use super::shell::{GuestShell, ShellSpec};
use crate::error::{Error, Result};
use crate::event::{Mark, TraceLine};

/// Exit status that stands for "the connection was lost while the command ran" (Packer's sentinel).
pub const EXIT_DISCONNECTED: i32 = 2_300_218;

/// A line (or part of one) that a command wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes from standard output.
    Stdout(Vec<u8>),
    /// Bytes from standard error.
    Stderr(Vec<u8>),
}

/// Runs commands and moves files in a guest.
#[async_trait]
pub trait Communicator: Send + Sync {
    /// Runs a command line by the guest's shell (`/bin/sh -c`), sends what it writes to `output` as it comes,
    /// and returns its exit status (128 + signal when killed by one). Ends the command, and fails, when
    /// `cancel` fires. Dropping `output`'s receiver does not end the command.
    async fn run(&self, command: &str, output: mpsc::Sender<Output>, cancel: &CancellationToken) -> Result<i32>;

    /// Writes `content` to the file at `destination`, replacing it, with the given mode.
    async fn upload(&self, content: Content<'_>, destination: &str, mode: u32) -> Result<()>;

    /// Copies a directory as rsync does: with a trailing slash on `source` its contents, without it the directory.
    async fn upload_dir(&self, source: &str, destination: &str) -> Result<()>;

    /// Copies the guest's file to the host, replacing it as a whole.
    async fn download(&self, source: &str, destination: &Path) -> Result<()>;

    /// Copies a guest's directory to the host, as [`Communicator::upload_dir`] does the other way.
    async fn download_dir(&self, source: &str, destination: &Path) -> Result<()>;

    /// Opens a shell in the guest, in a terminal of the guest's own, for somebody to sit at.
    async fn shell(&self, spec: ShellSpec) -> Result<GuestShell> {
        let _ = spec;
        Err(Error::new("this kind of guest offers no shell"))
    }

    /// Facts provisioners may use, such as `Host`, `User`, `ConnType`: the `build.*` values of this connection.
    fn generated_data(&self) -> BTreeMap<String, String>;
}

/// What to upload.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Bytes in memory.
    Bytes(&'a [u8]),
    /// A file of the host.
    File(&'a Path),
}

/// Says things to the person watching one build. Cheap to clone; implemented over the event stream.
pub trait Say: Send + Sync {
    /// A message of Larder's own about what it does: `==> name: text`.
    fn say(&self, text: &str);
    /// A line a guest or child process wrote to standard output.
    fn stdout(&self, line: &str);
    /// A line a guest or child process wrote to standard error.
    fn stderr(&self, line: &str);
    /// Something the user should look at that does not fail the build.
    fn warn(&self, text: &str);
    /// Progress of something long: `done` of `total` bytes or items, if known. Not kept in logs.
    fn progress(&self, what: &str, done: u64, total: Option<u64>);
    /// The result of searching an image for traces of the proxy.
    fn scanned(&self, result: ScanResult) {
        let _ = result;
    }
    /// A step begins: the lines kept of the one before are forgotten.
    fn step_begins(&self) {}
    /// The last lines that were said since the step began.
    fn last_lines(&self) -> Vec<String> {
        Vec::new()
    }
    /// Waits while the consumers of the event stream are far behind. Called by whatever relays much output.
    fn ready(&self) -> futures_util::future::BoxFuture<'_, ()>;
}

/// What was read of an image to search it for traces of the proxy, and what was found.
#[derive(Clone, Debug, Default)]
pub struct ScanResult {
    /// Files, directories, links and devices seen.
    pub entries: u64,
    /// Bytes read, unpacked ones included.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
    /// What was found.
    pub traces: Vec<TraceLine>,
    /// What was not read into, each with why.
    pub skipped: Vec<String>,
}

/// A shared [`Say`].
pub type Ui = Arc<dyn Say>;

/// What a component is given to work with.
#[derive(Clone)]
pub struct Context {
    /// Where to say things.
    pub ui: Ui,
    /// Fires when the work is to end: the run was cancelled, or a timeout passed.
    pub cancel: CancellationToken,
    /// `name` of the source: Packer's `PACKER_BUILD_NAME`.
    pub build_name: String,
    /// Type of the builder: Packer's `PACKER_BUILDER_TYPE`.
    pub builder_type: String,
    /// UUID of the run: Packer's `PACKER_RUN_UUID`.
    pub run_uuid: String,
    /// Whether `-force` was given: existing output may be replaced.
    pub force: bool,
    /// Whether `-debug` was given.
    pub debug: bool,
    /// Waits for a person to say that the build goes on (breakpoints); `None` where there is nobody to ask.
    pub pause: Option<Pause>,
    /// Starts commands of the host.
    pub host: Arc<dyn Host>,
    /// Environment that leads a child process of the host (`shell-local`) through the proxy.
    pub host_env: BTreeMap<String, String>,
    /// The `build.*` values, `ID`, `Host` and what the builder generated.
    pub generated: BTreeMap<String, String>,
    /// The latest time that what is made may hold (`SOURCE_DATE_EPOCH`).
    pub clamp: Clamp,
    /// In what the build is by now not made as its template says.
    pub marks: Vec<Mark>,
    /// Directory for scratch files on the host, shared by the builds of the run and removed at its end.
    pub scratch: PathBuf,
}

/// A unit of work of a builder: shown, timed, and undone in reverse order.
#[async_trait]
pub trait Step: Send + Sync {
    /// Name shown, such as `bootstrap` or `export`.
    fn name(&self) -> String;
    /// Does the work. Must return soon after `context.cancel` fires.
    async fn run(&mut self, context: &Context) -> Result<()>;
    /// Undoes what a failed `run` did, as far as it would stand in the way of another.
    async fn reset(&mut self, context: &Context) -> Result<()> {
        let _ = context;
        Ok(())
    }
    /// Undoes what must not stay, after success and failure alike; called once if `run` was called.
    async fn cleanup(&mut self, context: &Context) {
        let _ = context;
    }
}

/// Makes a machine, lets provisioners work in it, and turns it into an artifact.
#[async_trait]
pub trait Builder: Send + Sync {
    /// Steps up to a machine that provisioners can work in. Called once.
    fn start_steps(&mut self) -> Vec<Box<dyn Step>>;

    /// Readies the machine for the provisioner in place `index` (shown as `label`) and returns the way to reach
    /// it; `None` where the builder has no machine (`null` with no communicator, `file`).
    async fn open(&mut self, index: usize, label: &str, context: &Context) -> Result<Option<Arc<dyn Communicator>>>;

    /// Ends what [`Builder::open`] began, also if that failed. What the provisioner wrote is kept, or thrown away.
    async fn close(&mut self, keep: bool, context: &Context) -> Result<()>;

    /// Throws away what the provisioners from place `index` on wrote, so that they can run again. Nothing is open.
    async fn rewind(&mut self, index: usize, context: &Context) -> Result<()> {
        let _ = (index, context);
        Ok(())
    }

    /// Whether there is something to look at when the build is ended without clean-up.
    fn can_leave(&self) -> bool {
        false
    }

    /// Ends what runs, and leaves the files of the machine as they are, with what is open. Says how to look at them,
    /// in lines for people.
    async fn leave(&mut self, context: &Context) -> Vec<String> {
        let _ = context;
        Vec::new()
    }

    /// Steps from a provisioned machine to the finished image. Called after the last provisioner, each time that it
    /// has run.
    fn finish_steps(&mut self) -> Vec<Box<dyn Step>>;

    /// What was made; `None` for a builder that makes nothing.
    fn artifact(&mut self) -> Option<Artifact>;

    /// Frees the machine when provisioning has failed or been cancelled and steps are being undone.
    async fn abandon(&mut self, context: &Context) {
        let _ = context;
    }
}

/// A script that a component runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptText {
    /// A path as in the template, or `inline`.
    pub name: String,
    /// What is in it.
    pub text: Vec<u8>,
}

/// What is to run in the place of a component's scripts, in their order: a file, or `None` for the script itself.
pub type Replaced = Vec<Option<PathBuf>>;

/// Works in a guest (or on the host, for `shell-local`).
#[async_trait]
pub trait Provisioner: Send + Sync {
    /// The scripts that it runs, for a person to edit; none if it runs none.
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        Ok(Vec::new())
    }

    /// Runs edited copies in the place of scripts from now on.
    fn replace_scripts(&mut self, replaced: Replaced) {
        let _ = replaced;
    }

    /// Does the work. `communicator` is `None` where the builder has no machine.
    async fn provision(&self, context: &Context, communicator: Option<&dyn Communicator>) -> Result<()>;
}

/// The error of a provisioner that needs a machine where the builder has none.
pub fn needs_communicator(provisioner: &str) -> Error {
    Error::new(format!("the {provisioner} provisioner needs a machine to work in, and this build has none"))
        .hint("restrict it with `only`, or use shell-local to run something on the host")
}

/// What a post-processor returns.
#[derive(Clone, Debug)]
pub struct PostProcessed {
    /// The artifact for the next in the chain; `None` ends the chain.
    pub artifact: Option<Artifact>,
    /// Whether the input artifact is kept unless the user says otherwise.
    pub keep_input: bool,
    /// Whether the input is kept whatever the user says.
    pub force_keep: bool,
}

/// Turns an artifact into another.
#[async_trait]
pub trait PostProcessor: Send + Sync {
    /// The scripts that it runs, for a person to edit; none if it runs none.
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        Ok(Vec::new())
    }

    /// Runs edited copies in the place of scripts from now on.
    fn replace_scripts(&mut self, replaced: Replaced) {
        let _ = replaced;
    }

    /// Does the work on the artifact before it in the chain.
    async fn post_process(&self, context: &Context, input: &Artifact) -> Result<PostProcessed>;
}
