//! The proof that an image keeps no trace of the proxy, its CA or its credentials.
//!
//! Every regular file is read whole, and what it packs is unpacked and read too (zip and jar, gzip, xz, zstd, ar
//! archives such as `.deb`, one in another up to a depth); tar needs no unpacking. Names, link targets and extended
//! attributes are read as well. What cannot be read into (an encrypted key store, a compression unknown here, a bomb)
//! is listed as skipped, never passed over in silence.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio_util::sync::CancellationToken;

use super::layers::{Entry, Layers};
use crate::error::{Context, Error, Exit, Result};

mod needle;
mod unpack;

pub use needle::{Look, Needles};

/// What a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The CA certificate, or anything else with its public key in it, as bytes (DER, key stores).
    Certificate,
    /// The same in base64: PEM with lines of any length, a key in PEM, a key store in a text.
    CertificateBase64,
    /// A PEM text that was itself encoded in base64.
    PemBase64,
    /// The CA's fingerprint in hexadecimal.
    Fingerprint,
    /// The words in the CA's subject that are made anew for each CA.
    Canary,
    /// The proxy's address or URL.
    Address,
    /// A token or password of the build.
    Secret,
    /// A path that exists in the guest only during the build.
    Path,
}

/// One trace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path in the image.
    pub path: PathBuf,
    /// Names of the archive members it is inside of, the outermost first; empty for the file itself.
    pub inside: Vec<String>,
    /// What was found.
    pub kind: Kind,
    /// Where: the offset in the file or member, or `name`, `link target`, `attribute NAME`.
    pub place: String,
}

/// Something that was not read into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Path in the image.
    pub path: PathBuf,
    /// As in [`Finding::inside`].
    pub inside: Vec<String>,
    /// Why.
    pub reason: String,
}

/// The result of a scan.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Files, directories, links and devices seen.
    pub entries: u64,
    /// Bytes read, unpacked ones included.
    pub bytes: u64,
    /// How long it took.
    pub duration: Duration,
    /// The first of each kind in each file or member.
    pub findings: Vec<Finding>,
    /// What was not read into.
    pub skipped: Vec<Skipped>,
}

/// What a scan may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes that one file may unpack to, all in it counted.
    pub unpacked: u64,
    /// Bytes of a packed member that may be held in memory to be unpacked in turn.
    pub held: u64,
    /// How deep archives in archives are followed.
    pub depth: usize,
    /// Threads; 0 for one a core.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked: 4 << 30, held: 128 << 20, depth: 3, threads: 0 }
    }
}

impl Report {
    /// Fails with exit code 5 if there are findings; the message names them all.
    pub fn verdict(&self) -> Result<()> {
        if self.findings.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = self.findings.iter().map(|finding| format!("\n  {finding}")).collect();
        let message = format!("the image holds traces of the build's proxy:{}", places.concat());
        Err(Error::new(message)
            .hint("remove them in a provisioner, or accept a place that is meant to have them with --allow-trace=PATH")
            .exit(Exit::Trace))
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/{}", self.path.display())?;
        for member in &self.inside {
            write!(f, " > {member}")?;
        }
        let what = match self.kind {
            Kind::Certificate => "Larder's CA certificate or key",
            Kind::CertificateBase64 => "Larder's CA certificate or key in base64 (PEM)",
            Kind::PemBase64 => "Larder's CA certificate as PEM in base64",
            Kind::Fingerprint => "the fingerprint of Larder's CA",
            Kind::Canary => "the name of Larder's CA",
            Kind::Address => "the address of the proxy",
            Kind::Secret => "a token of the build",
            Kind::Path => "a path of the build",
        };
        write!(f, ": {what} ({})", self.place)
    }
}

/// Scans the merged tree. `progress` is called with the entries done so far, from any thread.
pub fn scan(
    tree: &Layers,
    needles: &Needles,
    limits: &Limits,
    cancel: &CancellationToken,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Report> {
    let started = std::time::Instant::now();
    let mut scan = Scan::new(needles, limits, cancel);
    let mut files = Vec::new();
    let mut entries = 0;
    tree.walk(&mut |entry| {
        stop_if(cancel)?;
        entries += 1;
        scan.names(entry)?;
        if entry.metadata.is_file() && entry.metadata.len() > 0 {
            files.push((entry.metadata.len(), entry.path.clone(), entry.source.clone()));
        }
        Ok(true)
    })?;
    // The largest first, so that no thread is left alone with one at the end.
    files.sort_by(|a, b| b.cmp(a));
    scan.run(&files, entries, progress)?;
    scan.report(entries, started.elapsed())
}

/// Scans one file of the host, such as a finished archive or disk image, under the name `shown`.
pub fn scan_file(
    file: &Path,
    shown: &Path,
    needles: &Needles,
    limits: &Limits,
    cancel: &CancellationToken,
) -> Result<Report> {
    let started = std::time::Instant::now();
    let scan = Scan::new(needles, limits, cancel);
    scan.run(&[(0, shown.to_owned(), file.to_owned())], 1, &|_, _| {})?;
    scan.report(1, started.elapsed())
}

fn stop_if(cancel: &CancellationToken) -> Result<()> {
    if cancel.is_cancelled() { Err(Error::new("the scan for traces was cancelled")) } else { Ok(()) }
}

struct Scan<'a> {
    needles: &'a Needles,
    limits: &'a Limits,
    cancel: &'a CancellationToken,
    bytes: AtomicU64,
    found: Mutex<(Vec<Finding>, Vec<Skipped>)>,
}

impl<'a> Scan<'a> {
    fn new(needles: &'a Needles, limits: &'a Limits, cancel: &'a CancellationToken) -> Self {
        Self { needles, limits, cancel, bytes: AtomicU64::new(0), found: Mutex::default() }
    }

    fn names(&mut self, entry: &Entry) -> Result<()> {
        let name = entry.path.file_name().unwrap_or_default();
        self.small(entry, name.as_bytes(), "name");
        if entry.metadata.is_symlink() {
            let target = std::fs::read_link(&entry.source)
                .context(|| format!("cannot read the link {}", entry.source.display()))?;
            self.small(entry, target.as_os_str().as_bytes(), "link target");
        }
        if entry.metadata.is_file() || entry.metadata.is_dir() {
            let attributes = super::xattr::list(&entry.source)
                .context(|| format!("cannot read the attributes of {}", entry.source.display()))?;
            for (name, value) in attributes {
                self.small(entry, &value, &format!("attribute {}", name.to_string_lossy()));
            }
        }
        Ok(())
    }

    fn small(&self, entry: &Entry, bytes: &[u8], place: &str) {
        for (kind, _) in self.needles.find_all(bytes) {
            self.finding(Finding { path: entry.path.clone(), inside: Vec::new(), kind, place: place.to_owned() });
        }
    }

    fn run(&self, files: &[(u64, PathBuf, PathBuf)], entries: u64, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<()> {
        let threads = match self.limits.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some((_, path, source)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.file(path, source) {
                            failure.lock().expect("no thread panics holding it").get_or_insert(error);
                            next.store(files.len(), Ordering::Relaxed);
                        }
                        let done = next.load(Ordering::Relaxed).min(files.len());
                        progress(done as u64, entries.max(files.len() as u64));
                    }
                });
            }
        });
        failure.into_inner().expect("no thread panics holding it").map_or(Ok(()), Err)
    }

    fn file(&self, path: &Path, source: &Path) -> Result<()> {
        stop_if(self.cancel)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd =
            rustix::fs::open(source, flags, Mode::empty()).context(|| format!("cannot open {}", source.display()))?;
        let mut file = unpack::Unpack::new(self, path);
        file.top(File::from(fd)).context(|| format!("cannot read {}", source.display()))?;
        stop_if(self.cancel)
    }

    fn finding(&self, finding: Finding) {
        self.found.lock().expect("no thread panics holding it").0.push(finding);
    }

    fn skipped(&self, skipped: Skipped) {
        self.found.lock().expect("no thread panics holding it").1.push(skipped);
    }

    fn report(self, entries: u64, duration: Duration) -> Result<Report> {
        stop_if(self.cancel)?;
        let (mut findings, mut skipped) = self.found.into_inner().expect("no thread panics holding it");
        findings.sort();
        skipped.sort();
        Ok(Report { entries, bytes: self.bytes.into_inner(), duration, findings, skipped })
    }

    /// Reads all of `reader` and calls `found` with the first place of each kind.
    fn stream(&self, mut reader: impl Read, mut found: impl FnMut(Kind, u64)) -> io::Result<u64> {
        let overlap = self.needles.longest().saturating_sub(1);
        let mut buffer = vec![0; (256 << 10) + overlap];
        let (mut kept, mut offset, mut total) = (0, 0_u64, 0_u64);
        let mut seen = Vec::new();
        loop {
            if self.cancel.is_cancelled() {
                return Ok(total);
            }
            let count = fill(&mut reader, &mut buffer[kept..])?;
            let end = kept + count;
            if count > 0 {
                for (kind, at) in self.needles.find_all(&buffer[..end]) {
                    if !seen.contains(&kind) {
                        seen.push(kind);
                        found(kind, offset + at as u64);
                    }
                }
            }
            total += count as u64;
            self.bytes.fetch_add(count as u64, Ordering::Relaxed);
            if end < buffer.len() {
                return Ok(total);
            }
            buffer.copy_within(end - overlap..end, 0);
            offset += (end - overlap) as u64;
            kept = overlap;
        }
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
