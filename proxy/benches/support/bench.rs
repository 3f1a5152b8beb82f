//! What both benchmarks begin and end with.

use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// What a benchmark leaves free on a disk.
const SPARE: u64 = 1 << 30;

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

/// Refuses to begin what would fill the disk, which others use too.
pub(crate) fn need_room(folder: &Path, bytes: u64) -> Result<()> {
    let found = rustix::fs::statvfs(folder)?;
    let free = found.f_bavail * found.f_frsize;
    if free > bytes + SPARE {
        return Ok(());
    }
    let (needed, free) = ((bytes + SPARE) >> 20, free >> 20);
    Err(format!("needs {needed} MiB in {}, which has {free} free: set TMPDIR, or ask for less", folder.display())
        .into())
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
