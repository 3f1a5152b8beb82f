//! Fetches the chosen packages side by side, and unpacks each as soon as it has been checked.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio_util::task::TaskTracker;

use super::closure::Chosen;
use super::deb::{self, Layout, Unpacked};
use super::root_dir::RootDir;
use super::spec::DebianSpec;
use crate::download::{Algorithm, Checksum, Downloader};
use crate::engine::component::Say;
use crate::error::{Context as _, Error, Result};

/// Packages fetched at a time; apt's pipeline is 10 deep.
const AT_ONCE: usize = 8;

/// How it is gone about.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    /// Told how far it has come.
    pub(super) ui: &'a dyn Say,
    /// Whether all are tried, though one has failed.
    pub(super) keep_going: bool,
}

/// Fetches to `scratch` and unpacks into `root`; the result is sorted by name.
pub(super) async fn fetch_and_unpack(
    spec: &DebianSpec,
    chosen: &[Chosen],
    scratch: &Path,
    root: Arc<RootDir>,
    layout: Layout,
    downloader: &Downloader,
    manner: Manner<'_>,
) -> Result<Vec<Unpacked>> {
    let total: u64 = chosen.iter().map(|package| package.size).sum();
    let done = AtomicU64::new(0);
    // The largest first, so that none is left over at the end while the other places are idle.
    let mut order: Vec<Chosen> = chosen.to_vec();
    order.sort_by_key(|package| std::cmp::Reverse(package.size));
    let unpacking = TaskTracker::new();
    let work = stream::iter(order).map(|package| {
        let (root, done, unpacking) = (root.clone(), &done, &unpacking);
        async move {
            let unpacked = one(spec, &package, scratch, root, layout, downloader, unpacking).await?;
            let so_far = done.fetch_add(package.size, Ordering::Relaxed) + package.size;
            manner.ui.progress("packages", so_far, Some(total));
            Ok::<_, Error>(unpacked)
        }
    });
    let work = work.buffer_unordered(AT_ONCE);
    let unpacked: Result<Vec<Unpacked>> =
        if manner.keep_going { all_or_failed(work.collect().await) } else { work.try_collect().await };
    // Threads cannot be called back: whoever removes the root after a failure must not meet them at work in it.
    unpacking.close();
    unpacking.wait().await;
    let mut unpacked = unpacked?;
    unpacked.sort_by(|a, b| a.control.package.cmp(&b.control.package));
    Ok(unpacked)
}

/// All of them, or one error for all that failed.
fn all_or_failed(results: Vec<Result<Unpacked>>) -> Result<Vec<Unpacked>> {
    let count = results.len();
    let (done, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let mut failed: Vec<Error> = failed.into_iter().filter_map(Result::err).collect();
    match failed.len() {
        0 => Ok(done.into_iter().flatten().collect()),
        1 => Err(failed.remove(0)),
        several => {
            let first = failed.remove(0);
            Err(Error::new(format!("{several} of {count} packages could not be had")).caused_by(first))
        }
    }
}

async fn one(
    spec: &DebianSpec,
    package: &Chosen,
    scratch: &Path,
    root: Arc<RootDir>,
    layout: Layout,
    downloader: &Downloader,
    unpacking: &TaskTracker,
) -> Result<Unpacked> {
    let url = format!("{}{}", spec.mirror, package.filename);
    let checksum = Checksum::new(Algorithm::Sha256, &package.sha256)
        .context(|| format!("the archive's list has a damaged digest for {}", package.name))?;
    let path = scratch.join(format!("{}.deb", package.name));
    let download = downloader.get_to_file_within(&url, &path, Some(&checksum), package.size).await;
    let download = download.map_err(|error| {
        let local = error.is_local();
        let shown = Error::from(error);
        let hint = "the mirror may be in the middle of an update: try again, then try another `mirror`";
        if local { shown } else { shown.hint(hint) }
    })?;
    if download.bytes != package.size {
        return Err(Error::new(format!(
            "{url} has {} bytes, and the archive's list says {}",
            download.bytes, package.size
        )));
    }
    let file = path.clone();
    let unpacked = unpacking.spawn_blocking(move || deb::unpack(&file, &root, layout)).await;
    let unpacked = unpacked.context(|| format!("cannot unpack {}", package.name))??;
    // Leaving the file would cost space only; the scratch folder is removed as a whole.
    let _ = std::fs::remove_file(&path);
    if unpacked.control.package != package.name || unpacked.control.version != package.version {
        return Err(Error::new(format!(
            "{url} holds {} {}, and the archive's list says {} {}",
            unpacked.control.package, unpacked.control.version, package.name, package.version
        )));
    }
    Ok(unpacked)
}
