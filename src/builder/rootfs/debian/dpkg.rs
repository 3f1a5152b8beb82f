//! Writes what dpkg and apt keep about packages, as if dpkg had unpacked them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode, Timespec, Timestamps};

use super::closure::Chosen;
use super::control::ControlFile;
use super::deb::{Folder, Unpacked, apply_folder};
use super::root_dir::{RootDir, create_file};
use super::spec::DebianSpec;

const ADMIN: &str = "var/lib/dpkg";

/// Makes the folders that dpkg, apt and scripts expect, before anything is unpacked (those mmdebstrap makes).
pub(super) fn prepare(root: &RootDir) -> io::Result<()> {
    let apt = ["etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "var/cache/apt"];
    let more = ["var/lib/apt/lists/partial", "var/log/apt", "etc/dpkg/dpkg.cfg.d", "tmp"];
    let dpkg = ["triggers", "info", "alternatives", "updates", "parts"].map(|name| format!("{ADMIN}/{name}"));
    for folder in apt.iter().chain(&more).map(Path::new).chain(dpkg.iter().map(Path::new)) {
        root.create_folders(folder)?;
    }
    apply_folder(root, &Folder { path: PathBuf::from("tmp"), mode: 0o1777, uid: 0, gid: 0 })
}

/// Makes the links of a merged /usr, so that nothing is unpacked beside it.
pub(super) fn merge_usr(root: &RootDir) -> io::Result<()> {
    for name in ["bin", "sbin", "lib"] {
        let target = format!("usr/{name}");
        root.create_folders(Path::new(&target))?;
        root.symlink(&target, name)?;
    }
    Ok(())
}

/// Writes dpkg's database. `packages` are sorted by name.
pub(super) fn write_database(root: &RootDir, packages: &[Unpacked], architecture: &str) -> io::Result<()> {
    root.write(&format!("{ADMIN}/arch"), format!("{architecture}\n").as_bytes(), 0o644)?;
    root.write(&format!("{ADMIN}/info/format"), b"1\n", 0o644)?;
    let mut status = String::new();
    for package in packages {
        let name = package.control.info_name();
        let list = package.list.iter().fold(String::new(), |list, path| list + path + "\n");
        root.write(&format!("{ADMIN}/info/{name}.list"), list.as_bytes(), 0o644)?;
        for file in &package.control.files {
            write_info(root, &format!("{name}.{}", file.name), file)?;
        }
        status.push_str(&package.control.status());
        status.push('\n');
    }
    root.write(&format!("{ADMIN}/status"), status.as_bytes(), 0o644)?;
    write_triggers(root, packages)?;
    settle_folders(root, packages)
}

fn write_info(root: &RootDir, name: &str, file: &ControlFile) -> io::Result<()> {
    let folder = root.folder(Path::new(ADMIN).join("info").as_path())?;
    let mut written = create_file(folder.as_fd(), name.as_ref())?;
    io::Write::write_all(&mut written, &file.content)?;
    fs::fchmod(&written, Mode::from_raw_mode(file.mode))?;
    let time = Timespec { tv_sec: i64::try_from(file.mtime).unwrap_or(0), tv_nsec: 0 };
    Ok(fs::futimens(&written, &Timestamps { last_access: time, last_modification: time })?)
}

/// Who waits for what: triggers on paths in one file, named ones in a file each. Nothing is pending: every package is
/// about to be configured, after all have been unpacked.
fn write_triggers(root: &RootDir, packages: &[Unpacked]) -> io::Result<()> {
    let mut on_paths = String::new();
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for package in packages {
        for (trigger, no_wait) in package.control.interests() {
            let who = format!("{}{}", package.control.info_name(), if no_wait { "/noawait" } else { "" });
            if trigger.starts_with('/') {
                on_paths.extend([&trigger, " ", &who, "\n"]);
            } else if !trigger.contains('/') {
                named.entry(trigger).or_default().extend([&who, "\n"]);
            }
        }
    }
    root.write(&format!("{ADMIN}/triggers/Unincorp"), b"", 0o644)?;
    root.write(&format!("{ADMIN}/triggers/File"), on_paths.as_bytes(), 0o644)?;
    for (trigger, who) in named {
        root.write(&format!("{ADMIN}/triggers/{trigger}"), who.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Packages unpack side by side, so a folder has the mode of whichever came first. Where they do not agree, the first
/// by name decides, so that two runs give the same tree.
fn settle_folders(root: &RootDir, packages: &[Unpacked]) -> io::Result<()> {
    let mut first: HashMap<&Path, &Folder> = HashMap::new();
    let mut disputed: Vec<&Folder> = Vec::new();
    for folder in packages.iter().flat_map(|package| &package.folders) {
        match first.get(folder.path.as_path()) {
            None => {
                first.insert(&folder.path, folder);
            }
            Some(known) if *known != folder => disputed.push(known),
            Some(_) => {}
        }
    }
    disputed.into_iter().try_for_each(|folder| apply_folder(root, folder))
}

/// Writes apt's source of the archive and, as apt does, which packages were installed only for others' sake.
pub(super) fn write_apt(root: &RootDir, spec: &DebianSpec, chosen: &[Chosen]) -> io::Result<()> {
    if !root.exists("etc/apt") {
        return Ok(());
    }
    root.write("etc/apt/sources.list", source_line(root, spec).as_bytes(), 0o644)?;
    if !root.exists("etc/fstab") {
        root.write("etc/fstab", b"# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", 0o644)?;
    }
    let automatic: Vec<&Chosen> = chosen.iter().filter(|package| package.automatic).collect();
    if automatic.is_empty() {
        return Ok(());
    }
    let states = automatic.iter().fold(String::new(), |text, package| {
        // apt writes the native architecture for `all` too.
        text + &format!("Package: {}\nArchitecture: {}\nAuto-Installed: 1\n\n", package.name, spec.architecture)
    });
    root.write("var/lib/apt/extended_states", states.as_bytes(), 0o644)
}

/// A line of sources.list(5), without the credentials of the mirror's URL. The keyring is named only where the root's
/// apt does not trust the archive's keys anyway, and holds the keyring.
fn source_line(root: &RootDir, spec: &DebianSpec) -> String {
    let mut mirror = spec.mirror.clone();
    // Both fail only for URLs that cannot have a host.
    let _ = mirror.set_username("");
    let _ = mirror.set_password(None);
    let trusts_itself = root.folder(Path::new("etc/apt/trusted.gpg.d")).is_ok_and(|folder| {
        let entries = fs::Dir::read_from(&folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_bytes().to_vec())
            .any(|name| name.ends_with(b".asc") || name.ends_with(b".gpg"))
    });
    let keyring = spec.keyrings.iter().filter_map(|keyring| keyring.path.as_deref()?.to_str());
    let keyring =
        keyring.filter(|path| !trusts_itself && root.exists(path)).map(|path| format!("[signed-by={path}] ")).next();
    format!(
        "deb {}{} {} {}\n",
        keyring.unwrap_or_default(),
        mirror.as_str().trim_end_matches('/'),
        spec.suite,
        spec.components.join(" ")
    )
}
