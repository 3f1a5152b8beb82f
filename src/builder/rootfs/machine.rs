//! The guest of a build between its steps: its network, its layers, and the provisioner's guest that is open.

use std::collections::BTreeMap;
use std::fs;
use std::io::Seek as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_proxy::identity::Client;
use larder_proxy::proxy::Proxy;

use super::normalise::{self, Origin};
use super::oci::Stage;
use super::steps::blocking;
use crate::communicator::rootfs::RootfsCommunicator;
use crate::download::Downloader;
use crate::engine::component::{Communicator, Context};
use crate::error::{Context as _, Error, Result, chain};
use crate::guest::authority::Authority;
use crate::guest::journal::Journal;
use crate::guest::launch::{Guest, GuestSpec, Shutdown};
use crate::guest::layer::{self, Kind};
use crate::guest::layers::Layers;
use crate::guest::network::{Egress, Network};
use crate::guest::record::{Entry, Record};
use crate::guest::root::Root;
use crate::guest::{mapping, reap, reexec, tools, trust};

/// What the builder is given by the program around it.
#[derive(Clone)]
pub struct Services {
    /// The proxy that every download goes through.
    pub proxy: Proxy,
    /// Whom this build's flows are attributed to.
    pub client: Client,
    /// Larder's own downloads for this build.
    pub downloader: Downloader,
    /// The run's record of what it has on the machine.
    pub record: Arc<Record>,
    /// Bundle of the host, for guests that have none of their own yet.
    pub host_bundle: Arc<Vec<u8>>,
    /// What is asked of guests' networks.
    pub egress: Egress,
    /// Whether something that cannot be fetched leaves the rest to be tried.
    pub keep_going: bool,
    /// Set where a guest's network turns out to be held by settings alone.
    pub observed: Arc<AtomicBool>,
    /// Paths in the image (globs) whose traces are accepted.
    pub allow_trace: Vec<String>,
    /// `host:port` of the proxy for commands of the host, which must not be in the image either.
    pub host_address: String,
    /// Directory of the files that lead such commands to the CA, with a final slash.
    pub host_directory: String,
}

/// State that the steps of a build share.
pub(super) struct Machine {
    pub(super) services: Services,
    pub(super) scratch: PathBuf,
    pub(super) hostname: String,
    authority: Authority,
    network: Option<Network>,
    layers: Option<layer::Layers>,
    open: Option<Open>,
    /// What made each layer, and in which place it is among the provisioners (the base in none).
    made_by: Vec<(Option<usize>, String)>,
    next_mount: u32,
}

/// A guest with a provisioner in it.
struct Open {
    communicator: Arc<RootfsCommunicator>,
    /// The provisioner's place and name.
    provisioner: (usize, String),
    /// What the provisioner writes to.
    layer: PathBuf,
    /// Layers below the trust layer.
    below: Layers,
    journal: Journal,
    trust_layer: Option<PathBuf>,
}

impl Machine {
    pub(super) fn new(services: Services, scratch: PathBuf, hostname: String) -> Result<Self> {
        let authority = Authority::from_pem(services.proxy.ca_certificate_pem())?;
        Ok(Self {
            services,
            scratch,
            hostname,
            authority,
            network: None,
            layers: None,
            open: None,
            made_by: vec![(None, "base".to_owned())],
            next_mount: 0,
        })
    }

    pub(super) fn base(&self) -> PathBuf {
        self.scratch.join("base")
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(super) async fn join_network(&mut self) -> Result<()> {
        let Services { egress, proxy, client, .. } = &self.services;
        let network = Network::of(*egress, proxy, client.clone()).await?;
        self.services.observed.fetch_or(network.why_observed().is_some(), Ordering::Relaxed);
        self.network = Some(network);
        Ok(())
    }

    pub(super) fn network(&self) -> Result<&Network> {
        self.network.as_ref().ok_or_else(|| Error::new("the build has no network yet"))
    }

    /// Makes the base final: what comes after is written to layers above it.
    pub(super) async fn stack(&mut self) -> Result<()> {
        let directory = self.scratch.join("layers");
        fs::create_dir(&directory).context(|| format!("cannot make {}", directory.display()))?;
        self.layers = Some(layer::Layers::new(self.base(), directory, &reexec::this_program()).await?);
        Ok(())
    }

    /// The finished image as a tree.
    pub(super) fn tree(&self) -> Result<Layers> {
        let layers = self.layers.as_ref().ok_or_else(no_layers)?;
        Ok(view(layers))
    }

    /// The image after the base and after each provisioner.
    pub(super) fn stages(&self) -> Result<Vec<Stage>> {
        let layers = self.layers.as_ref().ok_or_else(no_layers)?;
        let finished = layers.finished();
        let tree = |index: usize| match layers.kind() {
            Kind::Overlay => Layers::new(&finished[..=index]),
            Kind::Copy => Layers::new(&finished[index..=index]),
        };
        Ok(self
            .made_by
            .iter()
            .enumerate()
            .map(|(index, (_, made_by))| Stage { tree: tree(index), made_by: made_by.clone() })
            .collect())
    }

    /// Starts a guest on `root`.
    pub(super) async fn guest(&mut self, root: Root) -> Result<Guest> {
        self.next_mount += 1;
        let mount_at = self.scratch.join(format!("root{}", self.next_mount));
        fs::create_dir(&mount_at).context(|| format!("cannot make {}", mount_at.display()))?;
        let mut spec = GuestSpec::new(root, mount_at);
        spec.hostname.clone_from(&self.hostname);
        spec.record = Some(self.services.record.clone());
        Guest::start(self.network()?.gateway(), spec).await.map_err(Into::into)
    }

    /// Opens a layer and a guest on it, which trusts the proxy's CA, for the provisioner of this place and name.
    pub(super) async fn open(&mut self, index: usize, label: &str, context: &Context) -> Result<Arc<dyn Communicator>> {
        let layers = self.layers.as_mut().ok_or_else(no_layers)?;
        let below = view(layers);
        let kind = layers.kind();
        let root = layers.begin().await?;
        let layer = match &root {
            Root::Overlay { upper, .. } => upper.clone(),
            Root::Plain { directory } => directory.clone(),
        };
        let (root, journal, trust_layer) = self.install_trust(root, &below, kind)?;
        let guest = self.guest(root).await?;
        let environment = self.settle(&guest, &below).await;
        let settings = environment.as_ref().cloned().unwrap_or_default();
        let communicator =
            RootfsCommunicator::new(guest, settings.into_iter().chain(context.clamp.variable()).collect());
        let provisioner = (index, label.to_owned());
        self.open = Some(Open { communicator: communicator.clone(), provisioner, layer, below, journal, trust_layer });
        environment?;
        if kind == Kind::Copy {
            context.ui.warn("overlay mounts are refused here, so each provisioner works on a whole copy of the image");
        }
        Ok(communicator)
    }

    /// Puts the CA above the layers so far, in a layer that is never exported (or, where there are no layers, in the
    /// copy that the provisioner writes to).
    fn install_trust(&self, root: Root, below: &Layers, kind: Kind) -> Result<(Root, Journal, Option<PathBuf>)> {
        match (kind, root) {
            (Kind::Overlay, Root::Overlay { mut lowers, upper, work }) => {
                let name = upper.file_name().unwrap_or_default().to_string_lossy().replace("layer", "trust");
                let directory = upper.with_file_name(name);
                layer::make_like(&upper, &directory).context(|| format!("cannot make {}", directory.display()))?;
                let journal = trust::install(below, &directory, &self.authority)?;
                lowers.insert(0, directory.clone());
                Ok((Root::Overlay { lowers, upper, work }, journal, Some(directory)))
            }
            (_, Root::Plain { directory } | Root::Overlay { upper: directory, .. }) => {
                let journal = trust::install(&Layers::new([directory.clone()]), &directory, &self.authority)?;
                Ok((Root::Plain { directory }, journal, None))
            }
        }
    }

    /// Writes the files that tools are pointed to, and returns the environment that does so.
    async fn settle(&self, guest: &Guest, below: &Layers) -> Result<BTreeMap<String, String>> {
        let proxy = self.network()?.proxy_url();
        let settings = tools::Settings {
            directory: tools::GUEST_DIRECTORY,
            proxy: proxy.as_deref(),
            no_proxy: &[],
            // Where connections reach the proxy by themselves, the system's store of certificates is enough.
            java: proxy.is_some(),
        };
        let own = trust::guest_bundle(below)?;
        let wgetrc = trust::guest_wgetrc(below)?;
        let sources = tools::Sources {
            ca: self.services.proxy.ca_certificate_pem(),
            bundle: own.as_deref().unwrap_or(&self.services.host_bundle),
            wgetrc: &wgetrc,
        };
        let archive =
            packed(&tools::files(&settings, &sources)).context(|| "cannot pack the guest's settings".to_owned())?;
        guest.unpack(archive.as_fd(), settings.directory).await?;
        Ok(tools::environment(&settings))
    }

    /// Ends the provisioner's guest, takes the CA out of what it wrote, and keeps the layer or throws it away.
    pub(super) async fn close(&mut self, keep: bool, context: &Context) -> Result<()> {
        let ended = self.end(context).await;
        if let (true, Ok(Some(open))) = (keep, &ended)
            && let Err(error) = self.keep(open, context)
        {
            self.discard()?;
            return Err(error);
        }
        // What is no longer open was kept; a guest that did not start has a layer, too.
        self.discard()?;
        ended.map(drop)
    }

    /// Ends the guest of the provisioner, and removes what only the guest needed.
    async fn end(&mut self, context: &Context) -> Result<Option<Open>> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let ended = open.communicator.shutdown().await.map(|shutdown| tell(&shutdown, context));
        if let Some(directory) = &open.trust_layer {
            reap::remove_tree(directory)?;
        }
        ended.map(|()| Some(open))
    }

    fn discard(&mut self) -> Result<()> {
        match &mut self.layers {
            Some(layers) => tokio::task::block_in_place(|| layers.discard()),
            None => Ok(()),
        }
    }

    /// Keeps what the provisioner wrote, without the CA.
    fn keep(&mut self, open: &Open, context: &Context) -> Result<()> {
        let layers = self.layers.as_mut().ok_or_else(no_layers)?;
        let nothing = Layers::new(Vec::new());
        let below = if open.trust_layer.is_some() { &open.below } else { &nothing };
        let restored = trust::restore(below, &open.layer, &self.authority, &open.journal)?;
        for (path, why) in &restored.left {
            context.ui.warn(&format!("{}: the CA of the build could not be taken out: {why}", path.display()));
        }
        let whole = layers.kind() == Kind::Copy;
        normalise(&open.layer, &open.below, whole, Origin::Written, context)?;
        layers.keep()?;
        let (index, label) = open.provisioner.clone();
        self.made_by.push((Some(index), label));
        Ok(())
    }

    /// Throws away the layers of the provisioners from place `index` on.
    pub(super) fn rewind(&mut self, index: usize) -> Result<()> {
        let Some(layers) = &mut self.layers else { return Ok(()) };
        let before = |made_by: &Option<usize>| made_by.is_none_or(|place| place < index);
        let count = self.made_by.iter().take_while(|(made_by, _)| before(made_by)).count();
        tokio::task::block_in_place(|| layers.truncate(count))?;
        self.made_by.truncate(count);
        Ok(())
    }

    /// Throws the base away, for a step that makes it again.
    pub(super) async fn reset_base(&mut self) -> Result<()> {
        self.layers = None;
        let (base, layers) = (self.base(), self.scratch.join("layers"));
        blocking(move || {
            reap::remove_tree(&base)?;
            reap::remove_tree(&layers)?;
            make_base(&base)
        })
        .await
    }

    /// Ends what runs and leaves the files, with what the provisioner that failed wrote. Says how to look at them.
    pub(super) async fn leave(&mut self, context: &Context) -> Vec<String> {
        match self.end(context).await {
            Ok(Some(_)) => {
                if let Some(Err(error)) = self.layers.as_mut().map(layer::Layers::keep) {
                    context.ui.warn(&chain(&error));
                }
            }
            Ok(None) => {}
            Err(error) => context.ui.warn(&chain(&error)),
        }
        self.network = None;
        if self.scratch.symlink_metadata().is_err() {
            return Vec::new();
        }
        let lines = self.how_to_look();
        for text in &lines {
            if let Err(error) = self.services.record.add(&Entry::Note { text: text.clone() }) {
                context.ui.warn(&chain(&error));
            }
        }
        lines
    }

    fn how_to_look(&self) -> Vec<String> {
        let shown = |path: &Path| quoted(&path.display().to_string());
        let map = if mapping::is_inside() { " --map-root-user --map-auto" } else { "" };
        let base = self.base();
        let tree = self.layers.as_ref().map(view);
        let command = match tree.as_ref().map(Layers::directories) {
            Some(several @ [_, _, ..]) => {
                let lower: Vec<_> = several.iter().rev().map(|path| path.display().to_string()).collect();
                let options = quoted(&format!("ro,userxattr,lowerdir={}", lower.join(":")));
                let line = format!("mount -t overlay larder -o {options} /mnt && cd /mnt && exec sh");
                format!("unshare --mount{map} sh -c {}", quoted(&line))
            }
            Some([one]) if !map.is_empty() => {
                format!("unshare{map} sh -c {}", quoted(&format!("cd {}; exec sh", shown(one))))
            }
            Some([one]) => format!("ls {}", shown(one)),
            _ if !map.is_empty() => format!("unshare{map} ls {}", shown(&base)),
            _ => format!("ls {}", shown(&base)),
        };
        vec![
            format!("The files of the guest are kept in {}", self.scratch.display()),
            format!("To look at them: {command}"),
            "To remove them: larder cleanup".to_owned(),
        ]
    }

    /// Takes out of the base what tells when and where it was made.
    pub(super) fn normalise_base(&self, origin: Origin, context: &Context) -> Result<()> {
        normalise(&self.base(), &Layers::new(Vec::new()), false, origin, context)
    }

    /// Ends whatever is running, for a build that is given up.
    pub(super) async fn abandon(&mut self, context: &Context) {
        if let Err(error) = self.close(false, context).await {
            context.ui.warn(&chain(&error));
        }
        self.network = None;
    }
}

/// The files as a tar archive, rewound.
fn packed(files: &[tools::RunFile]) -> std::io::Result<fs::File> {
    let mut archive = tar::Builder::new(tempfile::tempfile()?);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, file.name, file.content.as_slice())?;
    }
    let mut file = archive.into_inner()?;
    file.rewind()?;
    Ok(file)
}

fn normalise(layer: &Path, below: &Layers, whole: bool, origin: Origin, context: &Context) -> Result<()> {
    let told = tokio::task::block_in_place(|| normalise::normalise(layer, below, whole, origin, context.clamp))?;
    for told in &told {
        context.ui.warn(told);
    }
    Ok(())
}

/// Says what was left running in a guest that was shut down.
pub(super) fn tell(shutdown: &Shutdown, context: &Context) {
    if !shutdown.leftovers.is_empty() {
        let names: Vec<_> = shutdown.leftovers.iter().map(|left| format!("{} ({})", left.name, left.pid)).collect();
        context.ui.say(&format!("Ended what was left running: {}", names.join(", ")));
    }
    for problem in &shutdown.problems {
        context.ui.warn(problem);
    }
}

fn view(layers: &layer::Layers) -> Layers {
    match layers.kind() {
        Kind::Overlay => Layers::new(layers.finished()),
        Kind::Copy => Layers::new(layers.finished().last().cloned().into_iter().collect::<Vec<_>>()),
    }
}

fn no_layers() -> Error {
    Error::new("the build has no root file system yet")
}

/// Text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:".contains(letter);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Makes the directory of the base: the image's root, whatever the umask of whoever builds it.
pub(super) fn make_base(base: &Path) -> Result<()> {
    let readable = fs::Permissions::from_mode(0o755);
    let made = fs::create_dir(base).and_then(|()| fs::set_permissions(base, readable));
    made.context(|| format!("cannot make {}", base.display()))
}

/// Removes the build's scratch tree.
pub(super) fn remove_scratch(record: &Record, scratch: &Path) -> Result<()> {
    if scratch.symlink_metadata().is_err() {
        return Ok(());
    }
    record.remove_tree(scratch)
}
