//! The steps of the `rootfs` builder.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::archive;
use super::debian::{Bootstrap, DebianOptions, DebianSpec, Host, Resolved};
use super::machine::{Machine, make_base, remove_scratch, tell};
use super::normalise::Origin;
use super::runner::GuestRunner;
use crate::download::{Checksum, ChecksumSpec};
use crate::engine::component::{Context, ScanResult, Step};
use crate::engine::ui::duration;
use crate::error::{Context as _, Error, Result, chain};
use crate::event::TraceLine;
use crate::guest::root::Root;
use crate::guest::tools;
use crate::guest::trace::{self, Limits, Look, Needles};

/// The names of steps.
pub(super) const PREPARE: &str = "prepare";
pub(super) const BASE: &str = "base";
pub(super) const SCAN: &str = "scan";

/// What the steps of a build share. They run one after another, so nobody waits for it.
pub(super) type Shared = Arc<Mutex<Machine>>;

/// Runs blocking work off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context(|| "the work was given up".to_owned())?
}

/// Makes the scratch tree and the network; undone last.
pub(super) struct Prepare {
    pub(super) machine: Shared,
}

#[async_trait]
impl Step for Prepare {
    fn name(&self) -> String {
        PREPARE.to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let mut machine = self.machine.lock().await;
        machine.services.record.make_tree(&machine.scratch)?;
        make_base(&machine.base())?;
        machine.join_network().await?;
        match machine.network()?.why_observed() {
            None => context.ui.say("Egress is enforced: the guest reaches the proxy and nothing else"),
            Some(why) => context.ui.warn(&format!(
                "Egress is observed: the guest shares this machine's network, and is led to the proxy by settings that \
                 a program may ignore; {why}"
            )),
        }
        Ok(())
    }

    async fn reset(&mut self, context: &Context) -> Result<()> {
        self.cleanup(context).await;
        Ok(())
    }

    async fn cleanup(&mut self, context: &Context) {
        let mut machine = self.machine.lock().await;
        machine.abandon(context).await;
        let (record, scratch) = (machine.services.record.clone(), machine.scratch.clone());
        if let Err(error) = blocking(move || remove_scratch(&record, &scratch)).await {
            context.ui.warn(&format!("cannot remove the build's scratch files: {}", chain(&error)));
        }
    }
}

/// Begins with a directory.
pub(super) struct FromDirectory {
    pub(super) machine: Shared,
    pub(super) source: PathBuf,
}

#[async_trait]
impl Step for FromDirectory {
    fn name(&self) -> String {
        BASE.to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let mut machine = self.machine.lock().await;
        let (source, base, cancel) = (self.source.clone(), machine.base(), context.cancel.clone());
        let ui = context.ui.clone();
        context.ui.say(&format!("Copying {}", source.display()));
        let written = blocking(move || {
            archive::copy_directory(&source, &base, &cancel, &mut |done| ui.progress("copied", done.bytes, None))
        })
        .await?;
        if written.foreign_groups > 0 {
            context.ui.warn(&format!(
                "{} files or directories of {} have a group that is not one of the user's ids: in the image it is \
                 `nogroup` (as a base, an archive may have any groups)",
                written.foreign_groups,
                self.source.display()
            ));
        }
        machine.normalise_base(Origin::Given, context)?;
        machine.stack().await
    }

    async fn reset(&mut self, _context: &Context) -> Result<()> {
        self.machine.lock().await.reset_base().await
    }
}

/// Begins with an archive, of the host or fetched.
pub(super) struct FromArchive {
    pub(super) machine: Shared,
    pub(super) source: Source,
    pub(super) checksum: Option<String>,
}

/// Where an archive is.
pub(super) enum Source {
    File(PathBuf),
    Url(String),
}

#[async_trait]
impl Step for FromArchive {
    fn name(&self) -> String {
        BASE.to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let mut machine = self.machine.lock().await;
        let downloader = machine.services.downloader.clone().with_cancel(context.cancel.clone());
        let name = match &self.source {
            Source::File(path) => path.display().to_string(),
            Source::Url(url) => url.clone(),
        };
        let checksum = match &self.checksum {
            Some(text) => {
                let spec = ChecksumSpec::parse(text).context(|| "cannot read `base_checksum`".to_owned())?;
                downloader.resolve_checksum(&spec, &name).await?
            }
            None => None,
        };
        let file = match &self.source {
            Source::File(path) => {
                if let Some(checksum) = checksum {
                    let path = path.clone();
                    blocking(move || check_file(&checksum, &path)).await?;
                }
                path.clone()
            }
            Source::Url(url) => {
                context.ui.say(&format!("Fetching {url}"));
                let target = machine.scratch.join("base.archive");
                downloader.get_to_file(url, &target, checksum.as_ref()).await?;
                target
            }
        };
        context.ui.say(&format!("Unpacking {name}"));
        let (base, cancel, ui) = (machine.base(), context.cancel.clone(), context.ui.clone());
        blocking(move || {
            let mut progress = |done: archive::Written| ui.progress("unpacked", done.bytes, None);
            archive::unpack(&file, &base, &archive::Limits::default(), &cancel, &mut progress)
        })
        .await?;
        machine.normalise_base(Origin::Given, context)?;
        machine.stack().await
    }

    async fn reset(&mut self, _context: &Context) -> Result<()> {
        self.machine.lock().await.reset_base().await
    }
}

/// Compares a file of the host with its checksum.
fn check_file(checksum: &Checksum, path: &Path) -> Result<()> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = fs::File::open(path).context(cannot)?;
    let mut hasher = checksum.algorithm.hasher();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).context(cannot)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let actual = hasher.finalize();
    if checksum.matches(&actual) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{} is not what its checksum says: expected {checksum}, found {}",
        path.display(),
        hex::encode(actual)
    ))
    .hint("fetch it again, or correct `base_checksum`"))
}

/// What the steps of a bootstrap hand on.
pub(super) struct BootstrapState {
    pub(super) options: DebianOptions,
    pub(super) spec: Option<DebianSpec>,
    pub(super) resolved: Option<Resolved>,
    pub(super) unpacked: Option<super::debian::bootstrap::UnpackedRoot>,
}

/// A phase of a bootstrap.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    Resolve,
    Unpack,
    Configure,
}

impl Phase {
    /// All, in order.
    pub(super) const ALL: [Self; 3] = [Self::Resolve, Self::Unpack, Self::Configure];

    /// The name of its step.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Resolve => "bootstrap: resolve",
            Self::Unpack => "bootstrap: fetch and unpack",
            Self::Configure => "bootstrap: configure",
        }
    }
}

/// One phase of a bootstrap of Debian.
pub(super) struct Debian {
    pub(super) machine: Shared,
    pub(super) state: Arc<Mutex<BootstrapState>>,
    pub(super) phase: Phase,
}

#[async_trait]
impl Step for Debian {
    fn name(&self) -> String {
        self.phase.name().to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let mut machine = self.machine.lock().await;
        let mut state = self.state.lock().await;
        let state = &mut *state;
        if state.spec.is_none() {
            state.spec = Some(Host::read("/".as_ref()).resolve(&state.options)?);
        }
        let spec = state.spec.clone().ok_or_else(out_of_order)?;
        let downloader = machine.services.downloader.clone().with_cancel(context.cancel.clone());
        let (root, scratch) = (machine.base(), machine.scratch.clone());
        let work = Bootstrap {
            spec: &spec,
            root: &root,
            scratch: &scratch,
            downloader: &downloader,
            ui: &*context.ui,
            keep_going: machine.services.keep_going,
            now: jiff::Timestamp::now(),
        };
        match self.phase {
            Phase::Resolve => state.resolved = Some(work.resolve().await?),
            Phase::Unpack => {
                let resolved = state.resolved.as_ref().ok_or_else(out_of_order)?;
                state.unpacked = Some(work.fetch_and_unpack(resolved).await?);
            }
            Phase::Configure => {
                let resolved = state.resolved.clone().ok_or_else(out_of_order)?;
                // Scripts that have run cannot be undone: the second time, the packages are unpacked anew.
                let unpacked = match state.unpacked.take() {
                    Some(unpacked) => unpacked,
                    None => work.fetch_and_unpack(&resolved).await?,
                };
                let guest = machine.guest(Root::Plain { directory: root.clone() }).await?;
                let runner = GuestRunner::new(&guest, context);
                let configured = work.configure(resolved, unpacked, &runner).await;
                let shutdown = guest.shutdown().await;
                configured?;
                tell(&shutdown?, context);
                machine.normalise_base(Origin::Written, context)?;
                machine.stack().await?;
            }
        }
        Ok(())
    }

    async fn reset(&mut self, _context: &Context) -> Result<()> {
        match self.phase {
            Phase::Resolve => Ok(()),
            Phase::Unpack | Phase::Configure => self.machine.lock().await.reset_base().await,
        }
    }
}

fn out_of_order() -> Error {
    Error::new("the phases of the bootstrap ran out of order")
}

/// Searches the finished image for what must not be in it.
pub(super) struct Scan {
    pub(super) machine: Shared,
}

#[async_trait]
impl Step for Scan {
    fn name(&self) -> String {
        SCAN.to_owned()
    }

    async fn run(&mut self, context: &Context) -> Result<()> {
        let machine = self.machine.lock().await;
        let services = &machine.services;
        let addresses = [machine.network()?.address(), services.host_address.clone()];
        let look = Look {
            authority: Some(machine.authority()),
            canaries: &[services.proxy.ca_canary().to_owned()],
            addresses: &addresses,
            secrets: &[],
            paths: &[format!("{}/", tools::GUEST_DIRECTORY), services.host_directory.clone()],
        };
        let needles = Needles::new(&look)?;
        let (tree, cancel) = (machine.tree()?, context.cancel.clone());
        let mut report =
            blocking(move || trace::scan(&tree, &needles, &Limits::default(), &cancel, &|_, _| {})).await?;
        let accepted = accept(&mut report, &machine.services.allow_trace)?;
        context.ui.scanned(figures(&report, &accepted));
        for finding in &accepted {
            context.ui.warn(&format!("accepted by --allow-trace: {finding}"));
        }
        for skipped in &report.skipped {
            context.ui.warn(&format!("not scanned: /{}: {}", skipped.path.display(), skipped.reason));
        }
        context.ui.say(&result(&report, accepted.len()));
        report.verdict()
    }
}

fn figures(report: &trace::Report, accepted: &[trace::Finding]) -> ScanResult {
    let line = |finding: &trace::Finding, accepted| TraceLine {
        path: Path::new("/").join(&finding.path),
        description: finding.to_string(),
        accepted,
    };
    let found = report.findings.iter().map(|finding| line(finding, false));
    ScanResult {
        entries: report.entries,
        bytes: report.bytes,
        duration: report.duration,
        traces: found.chain(accepted.iter().map(|finding| line(finding, true))).collect(),
        skipped: report.skipped.iter().map(|one| format!("/{}: {}", one.path.display(), one.reason)).collect(),
    }
}

/// The scan in one line: what was found, and what was read to know it.
fn result(report: &trace::Report, accepted: usize) -> String {
    let found = match (report.findings.len(), accepted) {
        (0, 0) => "No trace of the proxy".to_owned(),
        (found, 0) => format!("Traces of the proxy in {found} places"),
        (found, accepted) => format!("Traces of the proxy in {found} places, and in {accepted} accepted ones"),
    };
    let took = duration(report.duration);
    let megabytes = report.bytes / 1_000_000;
    let read =
        format!("{found}; read {} entries, {megabytes} MB with what is packed in them, in {took}", report.entries);
    if report.skipped.is_empty() { read } else { format!("{read}; {} could not be read into", report.skipped.len()) }
}

/// Takes the findings out whose path matches one of the globs, and returns them.
fn accept(report: &mut trace::Report, allowed: &[String]) -> Result<Vec<trace::Finding>> {
    let mut globs = globset::GlobSetBuilder::new();
    for pattern in allowed {
        let pattern = pattern.trim_start_matches('/');
        let glob = globset::Glob::new(pattern).context(|| format!("--allow-trace: {pattern:?} is not a pattern"))?;
        globs.add(glob);
    }
    let globs = globs.build().context(|| "--allow-trace: too many patterns".to_owned())?;
    let (accepted, found) = std::mem::take(&mut report.findings).into_iter().partition(|f| globs.is_match(&f.path));
    report.findings = found;
    Ok(accepted)
}
