//! A root file system made of programs of this machine, and a guest on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use larder::communicator::rootfs::RootfsCommunicator;
use larder::engine::component::{Communicator as _, Output};
use larder::guest::gateway::{Gateway, GatewayListeners, GatewaySpec};
use larder::guest::launch::{Guest, GuestSpec};
use larder::guest::layer::Layers;
use larder::guest::record::Record;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The program with the hidden subcommands.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_larder").into()
}

/// Programs the tests run in the guest.
const PROGRAMS: &[&str] = &[
    "sh", "cat", "ls", "mkdir", "rm", "ln", "sleep", "touch", "chmod", "chown", "id", "mknod", "mount", "readlink",
    "stat", "unshare", "head", "dd", "python3", "bash", "setsid", "env", "hostname", "grep", "insmod", "chroot",
    "true", "test", "yes", "wc", "tty", "stty",
];

/// False, and says why, where guests cannot be tried.
pub(crate) fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

/// Everything of one build's guest.
pub(crate) struct Bed {
    /// Removes the directory at the end, if it is this bed's own.
    owned: Option<TempDir>,
    pub(crate) directory: PathBuf,
    pub(crate) record: Option<Arc<Record>>,
    pub(crate) gateway: Gateway,
    pub(crate) listeners: GatewayListeners,
    pub(crate) layers: Layers,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut bed = Self::at(scratch.path()).await;
        bed.owned = Some(scratch);
        bed
    }

    /// A bed in a directory that is there and stays there.
    pub(crate) async fn at(directory: &Path) -> Self {
        let base = directory.join("base");
        make_root(&base);
        let layers = directory.join("layers");
        fs::create_dir(&layers).unwrap();
        fs::create_dir(directory.join("mnt")).unwrap();
        let mut gateway = Gateway::create(GatewaySpec { program: program() }).await.unwrap();
        let listeners = gateway.listeners().unwrap();
        let layers = Layers::new(base, layers, &program()).await.unwrap();
        Self { owned: None, directory: directory.to_owned(), record: None, gateway, listeners, layers }
    }

    /// Starts a guest on a new layer.
    pub(crate) async fn guest(&mut self) -> Guest {
        let root = self.layers.begin().await.unwrap();
        let mut spec = GuestSpec::new(root, self.directory.join("mnt"));
        spec.record = self.record.clone();
        spec.program = program();
        Guest::start(&self.gateway, spec).await.unwrap()
    }

    /// A communicator on a guest that shares the host's network.
    pub(crate) async fn in_host_network(&mut self) -> Arc<RootfsCommunicator> {
        let root = self.layers.begin().await.unwrap();
        let mut spec = GuestSpec::new(root, self.directory.join("mnt"));
        spec.program = program();
        RootfsCommunicator::new(Guest::start(None, spec).await.unwrap(), BTreeMap::new())
    }

    /// A communicator on a new guest.
    pub(crate) async fn communicator(&mut self) -> Arc<RootfsCommunicator> {
        RootfsCommunicator::new(self.guest().await, BTreeMap::new())
    }
}

/// Runs a command line, and returns its status and what it wrote to both streams.
pub(crate) async fn run(communicator: &RootfsCommunicator, line: &str) -> (i32, String) {
    let (sender, mut receiver) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let (status, output) = tokio::join!(communicator.run(line, sender, &cancel), async {
        let mut all = Vec::new();
        while let Some(Output::Stdout(bytes) | Output::Stderr(bytes)) = receiver.recv().await {
            all.extend(bytes);
        }
        String::from_utf8_lossy(&all).into_owned()
    });
    (status.unwrap(), output)
}

/// Copies the programs, and the libraries they name, into a tree with the usual directories.
fn make_root(root: &Path) {
    for directory in ["usr/bin", "usr/sbin", "usr/lib", "etc", "tmp", "root", "home"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        symlink(target, root.join(link)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\n").unwrap();
    let mut files = BTreeSet::new();
    for name in PROGRAMS {
        let found =
            ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].iter().map(|at| Path::new(at).join(name)).find(|p| p.exists());
        let Some(found) = found else { continue };
        let program = found.canonicalize().unwrap();
        copy(&program, &root.join("usr/bin").join(name));
        libraries(&program, &mut files);
    }
    // Python's own library, and the libraries of its compiled modules.
    if let Ok(output) =
        Command::new("/usr/bin/python3").args(["-c", "import os; print(os.path.dirname(os.__file__))"]).output()
    {
        let library = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let target = root.join(library.strip_prefix("/").unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        for part in ["encodings", "collections", "re", "json", "importlib", "ctypes", "lib-dynload"] {
            fs::create_dir_all(&target).unwrap();
            if library.join(part).exists() {
                let status = Command::new("cp").arg("-a").arg(library.join(part)).arg(&target).status().unwrap();
                assert!(status.success());
            }
        }
        for entry in fs::read_dir(&library).unwrap() {
            let entry = entry.unwrap();
            if entry.path().extension().is_some_and(|extension| extension == "py") {
                copy(&entry.path(), &target.join(entry.file_name()));
            }
        }
    }
    for file in files {
        let relative = file.strip_prefix("/").unwrap();
        let relative = if relative.starts_with("lib") || relative.starts_with("lib64") {
            Path::new("usr").join(relative)
        } else {
            relative.to_owned()
        };
        copy(&file, &root.join(relative));
    }
}

fn libraries(program: &Path, into: &mut BTreeSet<PathBuf>) {
    let output = Command::new("ldd").arg(program).output().unwrap();
    for word in String::from_utf8(output.stdout).unwrap().split_whitespace() {
        if word.starts_with('/') {
            into.insert(PathBuf::from(word.trim_end_matches(':')));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}
