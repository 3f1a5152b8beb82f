//! Larder's Debian bootstrap beside mmdebstrap's, from the host's own mirror. Needs root, mmdebstrap and the network:
//! `cargo nextest run --test debian --run-ignored all`.
//!
//! The differences allowed, and why, are in docs/reference/debian-bootstrap.md.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, helpers included, that reports timings")]

#[path = "support/chroot_runner.rs"]
mod chroot_runner;
#[path = "support/plain_http.rs"]
mod plain_http;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use chroot_runner::ChrootRunner;
use futures_util::future::BoxFuture;
use larder::builder::rootfs::debian::{Bootstrap, DebianOptions, DebianSpec, Host, RootRunner as _};
use larder::download::{Downloader, Transport};
use larder::engine::component::Say;
use larder_proxy::body::Body;
use sha2::Digest as _;

/// Paths that may differ: in one tree only, or in content. A trailing slash takes in all below.
const ALLOWED: &[&str] = &[
    // The bootstrapping host's own, which mmdebstrap copies.
    "etc/resolv.conf",
    "etc/hostname",
    // Device nodes: the guest has a /dev of its own, and the kernel makes one at boot.
    "dev/",
    // The date of the last password change is the day of the build.
    "etc/shadow",
    // What tools keep of the state before, which depends on the order they ran in.
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/.pwd.lock",
    "var/cache/debconf/",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    // apt's own, of a run that Larder does not need.
    "var/cache/apt/archives/lock",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/lock",
    "var/lib/apt/lists/partial",
];

/// Files whose lines may come in another order: whoever is configured first comes first.
const SORTED: &[&str] = &["etc/shells", "var/lib/apt/extended_states"];

struct Plain(plain_http::PlainHttp);

impl Transport for Plain {
    fn request(&self, request: http::Request<Body>) -> BoxFuture<'_, http::Response<Body>> {
        Box::pin(self.0.send(request))
    }
}

struct Quiet;

impl Say for Quiet {
    fn say(&self, text: &str) {
        println!("==> {text}");
    }
    fn stdout(&self, line: &str) {
        println!("{line}");
    }
    fn stderr(&self, line: &str) {
        println!("{line}");
    }
    fn warn(&self, text: &str) {
        println!("warning: {text}");
    }
    fn progress(&self, _: &str, _: u64, _: Option<u64>) {}
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

fn spec(suite: &str, include: &[&str]) -> DebianSpec {
    let options = DebianOptions {
        suite: Some(suite.to_owned()),
        include: include.iter().map(|name| (*name).to_owned()).collect(),
        // Test machines' clocks and mirrors may both stand still.
        check_valid_until: Some(false),
        ..DebianOptions::default()
    };
    Host::read(Path::new("/")).resolve(&options).unwrap()
}

/// Bootstraps into `root` and prints how long each phase took.
async fn ours(spec: &DebianSpec, root: &Path, scratch: &Path) {
    let downloader = Downloader::new(Arc::new(Plain(plain_http::PlainHttp::default())));
    let now = jiff::Timestamp::now();
    let work = Bootstrap { spec, root, scratch, downloader: &downloader, ui: &Quiet, now };
    let runner = ChrootRunner { root: root.to_owned() };
    let start = Instant::now();
    let resolved = work.resolve().await.unwrap();
    let (resolve, start) = (start.elapsed(), Instant::now());
    let unpacked = work.fetch_and_unpack(&resolved).await.unwrap();
    let (unpack, start) = (start.elapsed(), Instant::now());
    let done = work.configure(resolved, unpacked, &runner).await.unwrap();
    let configure = start.elapsed();
    println!(
        "{} packages; resolve {resolve:.2?}, fetch and unpack {unpack:.2?}, configure {configure:.2?}, in all {:.2?}",
        done.packages.len(),
        resolve + unpack + configure
    );
}

fn theirs(spec: &DebianSpec, root: &Path) {
    let source =
        format!("deb {} {} {}", spec.mirror.as_str().trim_end_matches('/'), spec.suite, spec.components.join(" "));
    let include = spec.include.join(",");
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--format=directory", "--quiet"]);
    if !include.is_empty() {
        command.arg(format!("--include={include}"));
    }
    let start = Instant::now();
    let status = command.arg(&spec.suite).arg(root).arg(source).status().unwrap();
    assert!(status.success(), "mmdebstrap failed");
    println!("mmdebstrap in {:.2?}", start.elapsed());
}

/// What can differ of a file: kind and mode, owner, content.
fn describe(path: &Path) -> String {
    let meta = path.symlink_metadata().unwrap();
    let content = if SORTED.iter().any(|sorted| path.ends_with(sorted)) {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join(" ")
    } else if meta.is_symlink() {
        path.read_link().unwrap().display().to_string()
    } else if meta.is_file() {
        hex::encode(sha2::Sha256::digest(std::fs::read(path).unwrap()))
    } else {
        String::new()
    };
    format!("{:o} {}:{} {content}", meta.mode(), meta.uid(), meta.gid())
}

fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            found.insert(path.display().to_string(), describe(&root.join(&path)));
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

fn is_allowed(path: &str) -> bool {
    ALLOWED.iter().any(|allowed| path == *allowed || (allowed.ends_with('/') && path.starts_with(allowed)))
}

/// The status of packages without the order of conffiles and the like mattering: dpkg's own view of it.
async fn installed(root: &Path) -> String {
    let runner = ChrootRunner { root: root.to_owned() };
    let command = "dpkg-query -W -f '${binary:Package} ${Version} ${Architecture} ${db:Status-Status}\\n' > /tmp/list && \
                   dpkg --audit && dpkg --verify > /tmp/verify";
    let env = [("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LC_ALL", "C.UTF-8")];
    let status = runner.run(&["/bin/sh", "-c", command], &env).await.unwrap();
    assert_eq!(status, 0, "dpkg finds fault with {}", root.display());
    let list = std::fs::read_to_string(root.join("tmp/list")).unwrap();
    assert_eq!(std::fs::read_to_string(root.join("tmp/verify")).unwrap(), "");
    std::fs::remove_file(root.join("tmp/list")).unwrap();
    std::fs::remove_file(root.join("tmp/verify")).unwrap();
    list
}

async fn compare(suite: &str, include: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (our_root, their_root) = (folder.path().join("ours"), folder.path().join("theirs"));
    std::fs::create_dir(&our_root).unwrap();
    let spec = spec(suite, include);
    ours(&spec, &our_root, folder.path()).await;
    theirs(&spec, &their_root);
    assert_eq!(installed(&our_root).await, installed(&their_root).await);
    let (our_tree, their_tree) = (tree(&our_root), tree(&their_root));
    let mut differences = Vec::new();
    for path in our_tree.keys().chain(their_tree.keys().filter(|path| !our_tree.contains_key(*path))) {
        let (our_file, their_file) = (our_tree.get(path), their_tree.get(path));
        if our_file != their_file && is_allowed(path) {
            println!("allowed: {path}: ours {our_file:?}, theirs {their_file:?}");
        } else if our_file != their_file {
            differences.push(format!("{path}\n    ours   {our_file:?}\n    theirs {their_file:?}"));
            let text = |root: &Path| std::fs::read_to_string(root.join(path)).unwrap_or_default();
            differences.extend([text(&our_root), text(&their_root)].map(|text| text.chars().take(500).collect()));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, mmdebstrap and the network"]
async fn bookworm_is_mmdebstraps() {
    compare("bookworm", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, mmdebstrap and the network"]
async fn trixie_is_mmdebstraps() {
    compare("trixie", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, mmdebstrap and the network"]
async fn with_included_packages() {
    compare("bookworm", &["openssh-server", "iproute2", "ca-certificates", "sudo"]).await;
}
