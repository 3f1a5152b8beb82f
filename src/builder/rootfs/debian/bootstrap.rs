//! The phases of a bootstrap, each of which is shown and timed on its own.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use super::closure::{Chosen, solve};
use super::configure::{RootRunner, run_scripts, tidy};
use super::control::Control;
use super::deb::{Layout, Unpacked};
use super::packages::{self, Index};
use super::release::Release;
use super::root_dir::RootDir;
use super::spec::DebianSpec;
use super::{dpkg, fetch, version};
use crate::download::Downloader;
use crate::engine::component::Say;
use crate::error::{Context as _, Error, Result};

/// What all phases work with.
#[derive(Clone, Copy)]
pub struct Bootstrap<'a> {
    /// What is to be made.
    pub spec: &'a DebianSpec,
    /// Where: a folder, empty at first, that the caller owns and removes after a failure.
    pub root: &'a Path,
    /// Folder for packages on their way, on a file system with room for the largest few.
    pub scratch: &'a Path,
    /// Fetches everything.
    pub downloader: &'a Downloader,
    /// Told what is being done.
    pub ui: &'a dyn Say,
    /// Whether one package that cannot be fetched leaves the others to be tried, so that all are told of at once.
    pub keep_going: bool,
    /// The time signatures and expiry are held against.
    pub now: Timestamp,
}

/// What is to be installed.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Sorted by name.
    pub packages: Vec<Chosen>,
    /// The code name the archive gives the suite.
    pub codename: Option<String>,
}

/// A root with all packages unpacked and none configured.
#[derive(Debug)]
pub struct UnpackedRoot {
    packages: Vec<Unpacked>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Bootstrapped {
    /// Sorted by name.
    pub packages: Vec<Chosen>,
    /// The suite asked for.
    pub suite: String,
    /// The archive's name of it.
    pub codename: Option<String>,
    /// Where from.
    pub mirror: Url,
}

/// Makes a root file system: all phases one after another.
pub async fn bootstrap(work: Bootstrap<'_>, runner: &dyn RootRunner) -> Result<Bootstrapped> {
    let resolved = work.resolve().await?;
    let unpacked = work.fetch_and_unpack(&resolved).await?;
    work.configure(resolved, unpacked, runner).await
}

impl Bootstrap<'_> {
    /// Fetches and checks the archive's index, and works out which packages to install.
    pub async fn resolve(&self) -> Result<Resolved> {
        let release = Release::fetch(self.spec, self.downloader, self.now).await?;
        let lists = packages::fetch(self.spec, &release, self.downloader).await?;
        let spec = self.spec.clone();
        let solve = move || solve(&Index::new(&lists), &spec.architecture, spec.variant, &spec.include);
        let packages =
            tokio::task::spawn_blocking(solve).await.context(|| "cannot work out the packages".to_owned())??;
        let bytes: u64 = packages.iter().map(|package| package.size).sum();
        self.ui.say(&format!(
            "{} packages, {} MB, of {} from {}",
            packages.len(),
            bytes.div_ceil(1_000_000),
            self.spec.suite,
            self.spec.mirror.host_str().unwrap_or_default()
        ));
        Ok(Resolved { packages, codename: release.codename })
    }

    /// Fetches the packages, unpacks them, and writes what dpkg keeps about them.
    pub async fn fetch_and_unpack(&self, resolved: &Resolved) -> Result<UnpackedRoot> {
        let cannot = |what: &str| format!("cannot {what} {}", self.root.display());
        let root = RootDir::open(self.root).context(|| cannot("open the root"))?;
        dpkg::prepare(&root).map_err(|error| no_room(&cannot("lay out the root"), error))?;
        let layout = layout(&resolved.packages);
        if layout == Layout::Merged {
            dpkg::merge_usr(&root).map_err(|error| no_room(&cannot("lay out the root"), error))?;
        }
        let scratch = tempfile::Builder::new().prefix("debs-").tempdir_in(self.scratch);
        let scratch = scratch.context(|| format!("cannot make a folder in {}", self.scratch.display()))?;
        let root = Arc::new(root);
        let packages = fetch::fetch_and_unpack(
            self.spec,
            &resolved.packages,
            scratch.path(),
            root.clone(),
            layout,
            self.downloader,
            fetch::Manner { ui: self.ui, keep_going: self.keep_going },
        )
        .await?;
        dpkg::write_database(&root, &packages, &self.spec.architecture)
            .map_err(|error| no_room(&cannot("write the package database of"), error))?;
        Ok(UnpackedRoot { packages })
    }

    /// Runs the packages' scripts, sets up apt and tidies up.
    pub async fn configure(
        &self,
        resolved: Resolved,
        unpacked: UnpackedRoot,
        runner: &dyn RootRunner,
    ) -> Result<Bootstrapped> {
        let root = RootDir::open(self.root).context(|| format!("cannot open the root {}", self.root.display()))?;
        let first: HashSet<&str> = resolved.packages.iter().filter(|p| p.first).map(|p| p.name.as_str()).collect();
        let (first, second): (Vec<&Control>, Vec<&Control>) =
            unpacked.packages.iter().map(|p| &p.control).partition(|control| first.contains(control.package.as_str()));
        run_scripts(&root, &first, &second, runner).await?;
        // Only now are apt's conffiles, its trusted keys among them, in their place.
        dpkg::write_apt(&root, self.spec, &resolved.packages)
            .map_err(|error| no_room(&format!("cannot set up apt in {}", self.root.display()), error))?;
        tidy(&root).context(|| format!("cannot tidy up {}", self.root.display()))?;
        Ok(Bootstrapped {
            packages: resolved.packages,
            suite: self.spec.suite.clone(),
            codename: resolved.codename,
            mirror: self.spec.mirror.clone(),
        })
    }
}

/// Merged where a package of the set says so: usrmerge or its stand-in, or a base-files that holds the links itself
/// (Debian 13).
fn layout(packages: &[Chosen]) -> Layout {
    let says_so = |package: &Chosen| match package.name.as_str() {
        "usrmerge" | "usr-is-merged" => true,
        "base-files" => version::compare(&package.version, "13").is_ge(),
        _ => false,
    };
    if packages.iter().any(says_so) { Layout::Merged } else { Layout::Apart }
}

fn no_room(what: &str, error: std::io::Error) -> Error {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let shown = Error::new(what).caused_by(error);
    if full { shown.hint("free some space on that file system, or build elsewhere") } else { shown }
}
