//! The image of a bootstrap beside that of `mmdebstrap --mode=root`: the same packages, and the same files, modes,
//! owners, times, links and contents, but for a list of differences.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use larder::builder::rootfs::debian::{DebianOptions, DebianSpec, Host};
use sha2::{Digest as _, Sha256};

use super::support::{Larder, is_root};

/// Paths that only one of the trees has, or that differ in kind, mode, owner or content, and why
/// (docs/reference/debian-bootstrap.md). A trailing slash takes in all below.
const ALLOWED: &[(&str, &str)] = &[
    ("etc/resolv.conf", "mmdebstrap copies the host's"),
    ("etc/hostname", "mmdebstrap copies the host's"),
    ("dev/", "a guest has a /dev of its own, and a kernel makes one at boot"),
    ("etc/passwd-", "the state before, removed"),
    ("etc/group-", "the state before, removed"),
    ("etc/shadow-", "the state before, removed"),
    ("etc/gshadow-", "the state before, removed"),
    ("etc/subuid-", "the state before, removed"),
    ("etc/subgid-", "the state before, removed"),
    ("etc/.pwd.lock", "a lock, removed"),
    ("var/cache/debconf/config.dat-old", "the state before, removed"),
    ("var/cache/debconf/templates.dat-old", "the state before, removed"),
    ("var/lib/dpkg/status-old", "the state before, removed"),
    ("var/lib/dpkg/diversions-old", "the state before, removed"),
    ("var/lib/dpkg/statoverride-old", "the state before, removed"),
    ("var/cache/apt/archives/lock", "apt did not run"),
    ("var/cache/apt/archives/partial", "apt gives it to _apt when it runs"),
    ("var/lib/apt/lists/lock", "apt did not run"),
    ("var/lib/apt/lists/partial", "apt gives it to _apt when it runs"),
    ("usr/bin/gunzip", "usrmerge copies the two names of one file, and has nothing to do here"),
    ("usr/bin/uncompress", "usrmerge copies the two names of one file, and has nothing to do here"),
    ("etc/ssh/ssh_host_ecdsa_key", "made at random"),
    ("etc/ssh/ssh_host_ecdsa_key.pub", "made at random"),
    ("etc/ssh/ssh_host_ed25519_key", "made at random"),
    ("etc/ssh/ssh_host_ed25519_key.pub", "made at random"),
    ("etc/ssh/ssh_host_rsa_key", "made at random"),
    ("etc/ssh/ssh_host_rsa_key.pub", "made at random"),
];

/// Files whose lines may come in another order: whoever is configured first comes first.
const SORTED: &[&str] = &["etc/shells", "var/lib/apt/extended_states"];

/// What younger files have as their time is when they were made.
const YOUNG: Duration = Duration::from_hours(1);

/// The host's own suite, as CI has it.
#[test]
fn the_hosts_suite_is_mmdebstraps() {
    if can_compare() {
        compare(None, &[]);
    }
}

#[test]
#[ignore = "minutes: run by tests/long/parity"]
fn bookworm_with_packages_is_mmdebstraps() {
    if can_compare() {
        compare(Some("bookworm"), &["openssh-server", "iproute2", "ca-certificates", "sudo"]);
    }
}

#[test]
#[ignore = "minutes: run by tests/long/parity"]
fn trixie_is_mmdebstraps() {
    if can_compare() {
        compare(Some("trixie"), &[]);
    }
}

#[test]
#[ignore = "minutes: run by tests/long/parity"]
fn trixie_with_packages_is_mmdebstraps() {
    if can_compare() {
        compare(Some("trixie"), &["openssh-server", "iproute2", "ca-certificates", "sudo"]);
    }
}

fn can_compare() -> bool {
    if !is_root() {
        return false;
    }
    let there = Command::new("mmdebstrap").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("skipped: needs mmdebstrap");
    }
    there
}

fn compare(suite: Option<&str>, include: &[&str]) {
    // Test machines' clocks and mirrors may both stand still.
    let options = DebianOptions {
        suite: suite.map(str::to_owned),
        include: include.iter().map(|&name| name.to_owned()).collect(),
        check_valid_until: Some(false),
        ..DebianOptions::default()
    };
    let spec = Host::read(Path::new("/")).resolve(&options).unwrap();
    let larder = Larder::with_shared_cache();
    let ours = ours(&larder, suite, include);
    let theirs = theirs(&larder, &spec);
    let (our_list, their_list) = (installed(&ours), installed(&theirs));
    assert_eq!(our_list, their_list);
    println!(
        "{}: {} packages, the same",
        spec.suite,
        our_list.lines().filter(|line| line.contains(" installed ")).count()
    );
    compare_trees(&tree(&ours), &tree(&theirs));
}

/// Builds with the real program, and prints what the bootstrap's steps took.
fn ours(larder: &Larder, suite: Option<&str>, include: &[&str]) -> PathBuf {
    let suite = suite.map_or_else(String::new, |suite| format!("suite = {suite:?}\n"));
    larder.write(
        "parity.pkr.hcl",
        &format!(
            "source \"rootfs\" \"parity\" {{\n  debian {{\n    {suite}    variant = \"minbase\"\n    include = {include:?}\n    \
             check_valid_until = false\n  }}\n  output = \"ours\"\n  format = \"directory\"\n}}\n\
             build {{ sources = [\"source.rootfs.parity\"] }}\n"
        ),
    );
    let start = Instant::now();
    let run = larder.run(["build", "--ui=plain", "parity.pkr.hcl"]).expect(0);
    println!("larder in {:.2?}", start.elapsed());
    run.stdout.lines().filter(|line| line.contains("bootstrap: ")).for_each(|line| println!("{line}"));
    larder.dir().join("ours")
}

fn theirs(larder: &Larder, spec: &DebianSpec) -> PathBuf {
    let root = larder.dir().join("theirs");
    let source =
        format!("deb {} {} {}", spec.mirror.as_str().trim_end_matches('/'), spec.suite, spec.components.join(" "));
    let mut command = Command::new("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--format=directory", "--quiet"]);
    command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    if !spec.include.is_empty() {
        command.arg(format!("--include={}", spec.include.join(",")));
    }
    let start = Instant::now();
    let status = command.arg(&spec.suite).arg(&root).arg(source).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "mmdebstrap failed");
    println!("mmdebstrap in {:.2?}", start.elapsed());
    // The option above is left in the tree, though only to fetch with.
    let _ = fs::remove_file(root.join("etc/apt/apt.conf.d/99mmdebstrap"));
    root
}

/// What dpkg says is installed; it must find no fault either.
fn installed(root: &Path) -> String {
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(root).arg(program).args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("dpkg", &["--audit"]), "");
    assert_eq!(run("dpkg", &["--verify"]), "");
    run("dpkg-query", &["-W", "-f", "${binary:Package} ${Version} ${Architecture} ${db:Status-Status} ${Conffiles}\\n"])
}

/// All that can be said of a file.
#[derive(Clone, Debug, PartialEq)]
struct Described {
    /// Type and mode, owner, and the number of names.
    inode: String,
    content: String,
    /// Extended attributes, file capabilities among them.
    attributes: Vec<(OsString, Vec<u8>)>,
    /// The time of modification, unless it is that of the build.
    modified: Option<i64>,
}

fn describe(path: &Path, name: &str) -> Described {
    let meta = path.symlink_metadata().unwrap();
    let kind = meta.file_type();
    let content = if kind.is_symlink() {
        path.read_link().unwrap().display().to_string()
    } else if kind.is_file() {
        content(path, name)
    } else if kind.is_char_device() || kind.is_block_device() {
        meta.rdev().to_string()
    } else {
        String::new()
    };
    // How many folders a folder has follows from what is compared anyway.
    let names = if kind.is_dir() { 0 } else { meta.nlink() };
    let modified = meta.modified().unwrap();
    let old = !kind.is_dir() && SystemTime::now().duration_since(modified).is_ok_and(|age| age > YOUNG);
    Described {
        inode: format!("{:o} {}:{} {names}", meta.mode(), meta.uid(), meta.gid()),
        content,
        attributes: attributes(path),
        modified: old.then(|| meta.mtime()),
    }
}

fn content(path: &Path, name: &str) -> String {
    let bytes = fs::read(path).unwrap();
    let text = || String::from_utf8(bytes.clone()).unwrap();
    if SORTED.contains(&name) {
        let text = text();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        return lines.join("\n");
    }
    if name == "etc/shadow" {
        // The third field is the day of the build.
        let line = |line: &str| {
            line.split(':').enumerate().filter(|(n, _)| *n != 2).map(|(_, field)| field).collect::<Vec<_>>().join(":")
        };
        return text().lines().map(line).collect::<Vec<_>>().join("\n");
    }
    hex::encode(Sha256::digest(&bytes))
}

fn attributes(path: &Path) -> Vec<(OsString, Vec<u8>)> {
    use std::os::unix::ffi::OsStringExt as _;
    let mut names = vec![0_u8; 64 * 1024];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap_or(0);
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
        value.truncate(length);
        found.push((OsString::from_vec(name.to_vec()), value));
    }
    found.sort();
    found
}

fn tree(root: &Path) -> BTreeMap<String, Described> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.display().to_string();
            let described = describe(&root.join(&path), &name);
            found.insert(name, described);
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            }
        }
    }
    found.insert(".".to_owned(), describe(root, "."));
    found
}

fn allowed(path: &str) -> Option<&'static str> {
    let takes_in = |allowed: &str| path == allowed || (allowed.ends_with('/') && path.starts_with(allowed));
    ALLOWED.iter().find(|(allowed, _)| takes_in(allowed)).map(|(_, why)| *why)
}

fn compare_trees(ours: &BTreeMap<String, Described>, theirs: &BTreeMap<String, Described>) {
    let mut differences = Vec::new();
    let mut reasons: HashMap<&str, usize> = HashMap::new();
    let mut files = 0;
    for path in ours.keys().chain(theirs.keys().filter(|path| !ours.contains_key(*path))) {
        let (our_file, their_file) = (ours.get(path), theirs.get(path));
        files += usize::from(our_file.is_some_and(|file| file.content.len() == 64));
        if our_file == their_file {
            continue;
        }
        match allowed(path) {
            Some(why) => *reasons.entry(why).or_default() += 1,
            None => differences.push(format!("{path}\n    ours   {our_file:?}\n    theirs {their_file:?}")),
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    println!("{} paths, of which {files} files by content: the same but for {reasons:?}", ours.len());
}
