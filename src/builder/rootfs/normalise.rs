//! Takes out of what a build wrote the traces of when and where it ran, for images that are to be the same each time.
//!
//! Only with a time that images are held to (`SOURCE_DATE_EPOCH`), and only in files that are known: what a template's
//! own commands make different is theirs to mend, and `larder diff` shows it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{Timespec, Timestamps};

use super::archive;
use super::pyc;
use super::tree_writer::{Meta, TreeWriter};
use crate::engine::clamp::Clamp;
use crate::error::{Context, Result};
use crate::guest::jks::KeyStore;
use crate::guest::layers::{Entry, Layers};
use crate::guest::rooted::{Attributes, Links, Rooted};
use crate::guest::xattr;

/// Largest file that is rewritten.
const SIZE_LIMIT: u64 = 16 << 20;

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The layer is as if it had never been written: what is below shows again, if anything is.
    Forget,
    /// The same, but where nothing is below it is left empty.
    Empty,
    /// The time of the source in byte-code is no later than the clamp, as will be that of the source itself.
    ByteCode,
    /// The days of last changes in `shadow` are no later than the clamp.
    Days,
    /// The dates of a Java key store's entries are no later than the clamp.
    KeyDates,
    /// Nothing, but the user is told.
    Warn,
}

/// One kind of leftover.
struct Row {
    action: Action,
    /// Globs of paths from the root.
    paths: &'static [&'static str],
    /// Why; for [`Action::Warn`], what the user is told.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by people, and by the test of the guide"))]
    why: &'static str,
}

/// All of them. `docs/guide/reproducible.md` has the same list.
const ROWS: &[Row] = &[
    Row {
        action: Action::Forget,
        paths: &[
            "var/log/dpkg.log",
            "var/log/alternatives.log",
            "var/log/apt/{history.log,term.log,eipp.log.xz}",
            "var/log/bootstrap.log",
            "var/log/fontconfig.log",
            "var/log/{dnf,dnf.librepo,dnf.rpm,hawkey,yum,apk,pacman,zypper}.log",
            "var/log/journal/**",
        ],
        why: "logs of the build: each line has its time",
    },
    Row {
        action: Action::Forget,
        paths: &["var/cache/ldconfig/aux-cache", "var/cache/apt/{pkgcache,srcpkgcache}.bin"],
        why: "caches with inode numbers and times, which their programs make anew",
    },
    Row {
        action: Action::Forget,
        paths: &[
            "etc/{passwd,group,shadow,gshadow,subuid,subgid}-",
            "var/lib/dpkg/{status,available,diversions,statoverride}-old",
            "var/cache/debconf/{config,templates,passwords}.dat-old",
        ],
        why: "copies of what was there before the last change",
    },
    Row {
        action: Action::Forget,
        paths: &["var/lib/systemd/{random-seed,credential.secret}", "var/lib/{urandom/,}random-seed"],
        why: "random, and secret: no two machines are to share it; made anew at boot",
    },
    Row {
        action: Action::Forget,
        paths: &["root/.wget-hsts", "home/*/.wget-hsts"],
        why: "wget's record of when it was where",
    },
    Row {
        action: Action::Empty,
        paths: &["etc/machine-id"],
        why: "random; empty, it is filled at the first boot (machine-id(5))",
    },
    Row { action: Action::Forget, paths: &["var/lib/dbus/machine-id"], why: "random; dbus takes that of /etc" },
    Row {
        action: Action::ByteCode,
        paths: &["**/*.py[co]"],
        why: "the time of the source, by which Python knows that it fits",
    },
    Row { action: Action::Days, paths: &["etc/shadow"], why: "the day of the last change of a password" },
    Row {
        action: Action::KeyDates,
        paths: &["etc/ssl/certs/java/cacerts", "etc/pki/**/java/cacerts"],
        why: "the date of each entry",
    },
];

/// What the user is told of, whether or not the image is to be reproducible.
const SECRETS: &[Row] = &[Row {
    action: Action::Warn,
    paths: &["etc/ssh/ssh_host_*_key", "etc/ssl/private/*.key"],
    why: "a private key made during the build, which all machines made from the image will share",
}];

/// Where a tree comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody else made it, and it is what it is, but for what must fit the times that will be written.
    Given,
    /// The build wrote it.
    Written,
}

/// Normalises `layer`, which lies above `below`, or is a whole copy of it with changes. Returns what the user is to be
/// told.
pub(super) fn normalise(
    layer: &Path,
    below: &Layers,
    whole: bool,
    origin: Origin,
    clamp: Clamp,
) -> Result<Vec<String>> {
    let rows: Vec<&Row> = match (origin, clamp.seconds()) {
        (Origin::Given, None) => return Ok(Vec::new()),
        (Origin::Given, Some(_)) => ROWS.iter().filter(|row| row.action == Action::ByteCode).collect(),
        (Origin::Written, None) => SECRETS.iter().collect(),
        (Origin::Written, Some(_)) => ROWS.iter().chain(SECRETS).collect(),
    };
    let (globs, actions) = matcher(&rows)?;
    let mut found: Vec<(Entry, Action)> = Vec::new();
    Layers::new([layer.to_owned()]).walk(&mut |entry| {
        if entry.metadata.is_file() {
            let (path, source, metadata) = (entry.path.clone(), entry.source.clone(), entry.metadata.clone());
            let matched = globs.matches(&entry.path).first().map(|&row| actions[row]);
            found.extend(matched.map(|action| (Entry { path, source, metadata }, action)));
        }
        Ok(true)
    })?;
    let tree = Rooted::open(layer, Links::Refuse).context(|| format!("cannot open {}", layer.display()))?;
    let work = Normalising { tree, layer, below, whole, latest: clamp.seconds().unwrap_or(u32::MAX) };
    let mut told = Vec::new();
    for (entry, action) in &found {
        work.apply(entry, *action).context(|| format!("cannot normalise /{}", entry.path.display()))?;
        if *action == Action::Warn {
            told.push(format!(
                "/{} is a private key made during the build: all machines made from this image will share it",
                entry.path.display()
            ));
        }
    }
    Ok(told)
}

/// The globs of all rows, and the action of each.
fn matcher(rows: &[&Row]) -> Result<(GlobSet, Vec<Action>)> {
    let mut globs = GlobSetBuilder::new();
    let mut actions = Vec::new();
    for row in rows {
        for path in row.paths {
            let glob = GlobBuilder::new(path).literal_separator(true).empty_alternates(true).build();
            globs.add(glob.context(|| format!("{path} is not a pattern"))?);
            actions.push(row.action);
        }
    }
    Ok((globs.build().context(|| "too many patterns".to_owned())?, actions))
}

struct Normalising<'a> {
    tree: Rooted,
    layer: &'a Path,
    below: &'a Layers,
    /// Whether the layer holds all that is below, too.
    whole: bool,
    latest: u32,
}

impl Normalising<'_> {
    fn apply(&self, entry: &Entry, action: Action) -> io::Result<()> {
        match action {
            // Emptied files are the same each time, and somebody's choice.
            Action::Forget if entry.metadata.len() > 0 => self.forget(&entry.path).map(drop),
            Action::Empty if self.is_machine_id(&entry.path)? => {
                if !self.forget(&entry.path)? {
                    self.tree.replace(&entry.path, b"", &Attributes::from(&entry.metadata))?;
                }
                Ok(())
            }
            Action::ByteCode => byte_code(entry, self.latest),
            Action::Days => self.rewrite(&entry.path, |content| days(content, self.latest / 86_400)),
            Action::KeyDates => self.rewrite(&entry.path, |content| {
                let mut store = KeyStore::parse(content).ok()?;
                store.clamp_dates(u64::from(self.latest) * 1000).then(|| store.to_bytes())
            }),
            Action::Forget | Action::Empty | Action::Warn => Ok(()),
        }
    }

    /// Takes away what the layer has of the name; whether something is below.
    fn forget(&self, path: &Path) -> io::Result<bool> {
        let old = self.below.find(path)?.filter(|old| old.metadata.is_file());
        self.tree.remove(path)?;
        // In a layer of its own that lets the lower one show; a whole copy needs it back.
        if let (true, Some(old)) = (self.whole, &old) {
            let meta = Meta { attributes: Attributes::from(&old.metadata), xattrs: xattr::list(&old.source)? };
            let mut writer = TreeWriter::new(self.layer)?;
            writer.clone_file(path, &meta, &mut archive::open(&old.source)?)?;
        }
        Ok(old.is_some())
    }

    /// What systemd-machine-id-setup writes, and not `uninitialized` or a comment.
    fn is_machine_id(&self, path: &Path) -> io::Result<bool> {
        let content = self.tree.read(path, SIZE_LIMIT)?.map(|(content, _)| content).unwrap_or_default();
        let content = content.trim_ascii_end();
        Ok(content.len() == 32 && content.iter().all(u8::is_ascii_hexdigit))
    }

    /// Replaces the content by what `change` makes of it, if anything; owner, mode and time stay.
    fn rewrite(&self, path: &Path, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> io::Result<()> {
        let Some((content, attributes)) = self.tree.read(path, SIZE_LIMIT)? else { return Ok(()) };
        match change(&content) {
            Some(changed) => self.tree.replace(path, &changed, &attributes),
            None => Ok(()),
        }
    }
}

/// Clamps the time in byte-code where it stands, so that links to the file stay; the file's own time does, too.
fn byte_code(entry: &Entry, latest: u32) -> io::Result<()> {
    let mut start = [0; pyc::LONGEST];
    let file = archive::open(&entry.source)?;
    let mut length = 0;
    while let count @ 1.. = file.read_at(&mut start[length..], length as u64)? {
        length += count;
    }
    let Some(changed) = pyc::clamped(&start[..length], latest) else { return Ok(()) };
    let file = OpenOptions::new().write(true).custom_flags(nix::libc::O_NOFOLLOW).open(&entry.source)?;
    file.write_all_at(&changed, 0)?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let metadata = &entry.metadata;
    let last_modification = time(metadata.mtime(), metadata.mtime_nsec());
    Ok(rustix::fs::futimens(&file, &Timestamps { last_access: last_modification, last_modification })?)
}

/// `shadow` with no day of a last change (shadow(5), the third field) after `latest`; `None` if there is none.
fn days(content: &[u8], latest: u32) -> Option<Vec<u8>> {
    let clamped = |line: &[u8]| {
        let mut fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        let day: u32 = std::str::from_utf8(fields.get(2)?).ok()?.parse().ok()?;
        let latest = latest.to_string();
        *fields.get_mut(2)? = latest.as_bytes();
        (fields.len() == 9 && day > latest.parse().ok()?).then(|| fields.join(&b':'))
    };
    let mut changed = false;
    let lines: Vec<Vec<u8>> = content
        .split(|&byte| byte == b'\n')
        .map(|line| clamped(line).inspect(|_| changed = true).unwrap_or_else(|| line.to_vec()))
        .collect();
    changed.then(|| lines.join(&b'\n'))
}

#[cfg(test)]
mod tests;
