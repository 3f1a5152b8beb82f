//! What both benchmarks begin and end with.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::OnceLock;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// Runs a benchmark on this thread, until it ends or is told to: then all that it has started is dropped, and so ended.
pub(crate) fn run(benchmark: impl Future<Output = Result<()>>) -> Result<()> {
    // One thread: servers started here end with it (see `Start`), and clients leave a core to them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = benchmark => ended,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            _ = terminate.recv() => Err("told to end".into()),
        }
    })
}

/// A folder that servers of other users can read in, removed when this is dropped.
pub(crate) fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("larder-bench.").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// Says on standard error how far it is, with the seconds since it first did.
pub(crate) fn progress(text: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let elapsed = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    #[expect(clippy::print_stderr, reason = "a benchmark says how far it is")]
    {
        eprintln!("{elapsed:>4} s  {text}");
    }
}

pub(crate) fn print(text: &str) {
    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    {
        println!("{text}");
    }
}
