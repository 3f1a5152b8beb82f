//! What the engine is given to run: components made, options read, closures over what only `cli` knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::component::{Builder, Context, PostProcessor, Provisioner};
use super::on_error::OnError;
use crate::error::Result;

/// The `build.*` values known when a component is made.
pub type Generated = BTreeMap<String, String>;

/// Makes a component right before it runs, when the `build.*` values are known.
pub type Make<T> = Arc<MakeWith<T>>;

/// Told the step under way.
pub type OnStep = Arc<dyn Fn(Option<&str>) + Send + Sync>;

/// Tells what is on the machine.
pub type Leftovers = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Makes the `build.*` values known to a component.
type MakeWith<T> = dyn Fn(&Generated) -> Result<Box<T>> + Send + Sync;

/// One build, ready to run.
pub struct BuildJob {
    /// Name shown, and the key of events: `[build.]type.name`.
    pub name: Arc<str>,
    /// Makes and finishes the machine.
    pub builder: Box<dyn Builder>,
    /// Run in order.
    pub provisioners: Vec<ProvisionerJob>,
    /// Runs when a step before it failed.
    pub error_cleanup: Option<ProvisionerJob>,
    /// Chains; each starts from the builder's artifact.
    pub post_processors: Vec<Vec<PostProcessorJob>>,
    /// What components are given; its `cancel` is replaced by the step's own.
    pub context: Context,
    /// Told the step under way, so that flows are attributed to it.
    pub on_step: OnStep,
    /// Where the build's log is written.
    pub log: PathBuf,
    /// What stays on the machine if nothing is cleaned up now, for `-on-error=abort`.
    pub leftovers: Leftovers,
}

/// A provisioner of a build.
#[derive(Clone)]
pub struct ProvisionerJob {
    /// Name shown, such as `shell` or `shell (install tools)`.
    pub label: String,
    /// Waited before it runs, each time.
    pub pause_before: Duration,
    /// How often it may run again after it failed.
    pub max_retries: u32,
    /// How long one run may take, the pause apart (Packer ignores it beside `pause_before`; Larder does not).
    pub timeout: Option<Duration>,
    /// Whether the build goes on after it failed.
    pub continue_on_error: bool,
    /// Makes it.
    pub make: Make<dyn Provisioner>,
}

/// A post-processor of a chain.
#[derive(Clone)]
pub struct PostProcessorJob {
    /// Name shown: the name given, or the type.
    pub label: String,
    /// What the user says of the input artifact.
    pub keep_input: Option<bool>,
    /// Makes it.
    pub make: Make<dyn PostProcessor>,
}

/// Removes a file or directory tree of an artifact that is not kept.
pub type Remove = Arc<dyn Fn(&Path) -> Result<()> + Send + Sync>;

/// Does what a retry needs beforehand: what upstream said earlier in the run may have been mended since.
pub type BeforeRetry = Arc<dyn Fn() + Send + Sync>;

/// What holds for all builds of a run.
#[derive(Clone)]
pub struct RunOptions {
    /// Id of the run.
    pub run: String,
    /// What happens when a step fails.
    pub on_error: OnError,
    /// Whether somebody answers questions: breakpoints and `-debug` wait for them.
    pub attended: bool,
    /// How long the question of a failure waits for an answer; `None` for without end.
    pub ask_timeout: Option<Duration>,
    /// `cache` or `offline`.
    pub net: String,
    /// Removes artifacts that are not kept.
    pub remove: Remove,
    /// Called before a step is tried again.
    pub before_retry: BeforeRetry,
    /// How long a clean-up may take.
    pub cleanup_limit: Duration,
}
