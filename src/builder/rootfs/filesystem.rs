//! Images of file systems, made by the programs of the file systems' own projects.

use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::FileType;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::archive::{self, Progress, Written, stop_if};
use super::config::Problem;
use super::export::Format;
use super::tape::Tape;
use super::tar_writer::TarWriter;
use super::tree_writer::TreeWriter;
use crate::engine::clamp::{self, Clamp};
use crate::engine::place;
use crate::error::{Context as _, Error, Result};
use crate::guest::device::Device;
use crate::guest::layers::Layers;
use crate::guest::rooted::Attributes;
use crate::guest::xattr;
use crate::pack::Stoppable;

crate::config! {
    /// An image of a file system, for the formats `squashfs` and `ext4`.
    pub struct FilesystemConfig {
        /// Size of an ext4 file system, such as `2G`; by default what the tree needs, and a quarter more.
        size: Option<String>,
        /// Label of an ext4 file system, of up to 16 bytes.
        label: Option<String>,
        /// UUID of an ext4 file system.
        uuid: Option<String>,
        /// What a squashfs is packed with: `gzip`, `lz4`, `lzo`, `xz` or `zstd`.
        compression: String = "zstd".to_owned(),
    }
}

impl FilesystemConfig {
    /// What is wrong with the options.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut check = |fine: bool, option: &'static str, message: String, hint: &str| {
            if !fine {
                found.push(Problem { option, message, hint: hint.to_owned() });
            }
        };
        if let Some(size) = &self.size {
            let message = format!("{size:?} is no size");
            check(bytes(size).is_some(), "filesystem.size", message, "write it as 512M or 2G; at least 1M");
        }
        if let Some(label) = &self.label {
            let fine = label.len() <= 16 && !label.contains('\0');
            check(fine, "filesystem.label", format!("{label:?} is too long"), "use up to 16 bytes");
        }
        if let Some(uuid) = &self.uuid {
            let hint = "write it as 8-4-4-4-12 hex digits";
            check(Uuid::parse_str(uuid).is_ok(), "filesystem.uuid", format!("{uuid:?} is no UUID"), hint);
        }
        let known = ["gzip", "lz4", "lzo", "xz", "zstd"].contains(&self.compression.as_str());
        let message = format!("unknown compression {:?}", self.compression);
        check(known, "filesystem.compression", message, "it is one of gzip, lz4, lzo, xz and zstd");
        found
    }
}

/// A number of bytes: `64M`, `2G`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(1 << shift)?;
    (bytes >= 1 << 20).then_some(bytes)
}

/// The program that makes images of the format, if one is needed; an error if it is not there, or too old.
pub(super) fn check_program(format: Format) -> Result<()> {
    match format {
        Format::Squashfs => {
            let said = said("mksquashfs", "-version", "squashfs-tools", "a squashfs image")?;
            let version = said.split_whitespace().nth(2).unwrap_or_default();
            let parts: Vec<u32> = version.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
            if parts < vec![4, 5, 1] {
                return Err(Error::new(format!("mksquashfs {version} cannot read tar archives well: 4.5.1 can"))
                    .hint("install squashfs-tools 4.5.1 or newer, or choose another `format`"));
            }
        }
        Format::Ext4 => drop(said("mke2fs", "-V", "e2fsprogs", "an ext4 image")?),
        _ => {}
    }
    Ok(())
}

/// The first line of what a program says of its version.
fn said(name: &str, option: &str, package: &str, what: &str) -> Result<String> {
    let output = Command::new(program(name)).arg(option).stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        Error::new(format!("{name} is needed for {what}, and cannot be run"))
            .caused_by(error)
            .hint(format!("run `sudo apt-get install {package}`, or choose another `format`"))
    })?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
}

/// Where it is: administrators' programs are not on everybody's path.
fn program(name: &str) -> PathBuf {
    let beside = ["/usr/sbin", "/sbin"].into_iter().map(|directory| Path::new(directory).join(name));
    beside.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
}

/// An image of a file system to write.
pub(super) struct Image<'a> {
    pub(super) tree: &'a Layers,
    pub(super) config: &'a FilesystemConfig,
    /// Tells images of one time apart.
    pub(super) name: &'a str,
    pub(super) clamp: Clamp,
    /// A path for scratch files, where nothing is yet.
    pub(super) scratch: &'a Path,
    /// Whether files of the tree may stand for devices, which cannot be made here.
    pub(super) stand_ins: bool,
}

/// A device node that is made in the image itself.
struct Node {
    path: PathBuf,
    device: Device,
    attributes: Attributes,
}

/// Writes the image. On an error, or when `cancel` fires, nothing is left and the target is as it was.
pub(super) fn write(
    image: &Image<'_>,
    target: &Path,
    format: Format,
    force: bool,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<()> {
    place::file(target, force, cancel, |file| match format {
        Format::Squashfs => image.squashfs(file.path(), cancel, progress),
        _ => image.ext4(file.path(), cancel, progress),
    })
}

impl Image<'_> {
    /// The tree goes in as a tar archive: so owners, times, attributes and devices are the tree's, whoever we are.
    fn squashfs(&self, path: &Path, cancel: &CancellationToken, progress: Progress<'_>) -> Result<()> {
        let root = Attributes::from(&self.tree.root()?.entry(PathBuf::new())?.metadata).clamped(self.clamp);
        let mut command = Command::new(program("mksquashfs"));
        command.arg("-").arg(path).args(["-tar", "-noappend", "-no-progress", "-quiet"]);
        command.args(["-comp", &self.config.compression, "-root-mode", &format!("{:o}", root.mode)]);
        // Version 4.5.1 takes owner and time of the root from nowhere when it reads an archive; later ones do.
        command.args(["-root-uid", &root.uid.to_string(), "-root-gid", &root.gid.to_string()]);
        // It refuses the variable beside an option for a time.
        if let Some(seconds) = self.clamp.seconds() {
            command.env(clamp::VARIABLE, seconds.to_string());
        } else {
            command.env_remove(clamp::VARIABLE);
            command.args(["-root-time", &root.mtime.0.clamp(0, u32::MAX.into()).to_string()]);
        }
        command.stdin(Stdio::piped());
        let mut running = Running::start(command)?;
        let input = running.child.stdin.take().ok_or_else(|| Error::new("mksquashfs has no input"))?;
        let fed = self.feed(BufWriter::with_capacity(1 << 20, input), cancel, progress);
        running.wait(cancel)?;
        // What the program says of its end tells more than that its input is closed.
        running.finish("mksquashfs")?;
        fed
    }

    fn feed(&self, output: impl std::io::Write, cancel: &CancellationToken, progress: Progress<'_>) -> Result<()> {
        let mut tape = Tape::new(TarWriter::new(Stoppable::new(output, cancel)).clamped(self.clamp), "");
        self.tree.walk(&mut |entry| {
            stop_if(cancel)?;
            if !entry.path.as_os_str().is_empty() {
                tape.add(entry).context(|| format!("cannot add {}", entry.source.display()))?;
                progress(tape.written);
            }
            Ok(true)
        })?;
        tape.finish().and_then(|mut output| output.flush()).context(|| "cannot write the end of it".to_owned())
    }

    /// The tree is copied first: mke2fs takes one directory, and only its newest versions an archive.
    fn ext4(&self, path: &Path, cancel: &CancellationToken, progress: Progress<'_>) -> Result<()> {
        fs::create_dir(self.scratch).context(|| format!("cannot make {}", self.scratch.display()))?;
        let result = self.ext4_from_copy(path, cancel, progress);
        crate::guest::reap::remove_tree(self.scratch)?;
        result
    }

    fn ext4_from_copy(&self, path: &Path, cancel: &CancellationToken, progress: Progress<'_>) -> Result<()> {
        let writer = TreeWriter::new(self.scratch).context(|| "cannot copy the tree".to_owned())?;
        let nodes = self.nodes(cancel)?;
        let apart: Vec<PathBuf> = nodes.iter().map(|node| node.path.clone()).collect();
        let mut written = archive::copy(self.tree, writer.clamped(self.clamp), &apart, None, cancel, progress)?;
        written.entries += nodes.len() as u64;
        let size = match &self.config.size {
            Some(size) => bytes(size).unwrap_or_default(),
            None => needed(&Layers::new([self.scratch.to_owned()]), written)?,
        };
        let mut command = Command::new(program("mke2fs"));
        command.args(["-t", "ext4", "-q", "-F", "-b", "4096", "-I", "256"]).arg("-d").arg(self.scratch);
        command.args(["-N", &(written.entries + written.entries / 4 + 1024).to_string()]);
        if let Some(label) = &self.config.label {
            command.args(["-L", label]);
        }
        let uuid = self.config.uuid.clone().or_else(|| self.fixed_uuid());
        let mut extended = vec!["lazy_itable_init=0".to_owned(), "lazy_journal_init=0".to_owned()];
        if let Some(uuid) = uuid {
            command.args(["-U", &uuid]);
            extended.push(format!("hash_seed={uuid}"));
        }
        command.args(["-E", &extended.join(",")]).arg(path).arg(format!("{}k", size >> 10)).stdin(Stdio::null());
        if let Some(seconds) = self.clamp.seconds() {
            command.env("E2FSPROGS_FAKE_TIME", seconds.to_string()).env(clamp::VARIABLE, seconds.to_string());
        }
        let mut running = Running::start(command)?;
        running.wait(cancel)?;
        let made = running.finish("mke2fs");
        made.map_err(|error| error.hint("if it does not fit, set `size` in the block `filesystem`"))?;
        self.mend(path, &nodes)
    }

    /// The devices of the tree, which cannot be in everybody's copy of it. Root's are made in the same way, so that the
    /// image is the same.
    fn nodes(&self, cancel: &CancellationToken) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        self.tree.walk(&mut |entry| {
            stop_if(cancel)?;
            let metadata = &entry.metadata;
            let device = if self.stand_ins && metadata.is_file() && metadata.size() == 0 {
                let xattrs = xattr::list(&entry.source);
                Device::of(&xattrs.context(|| format!("cannot read {}", entry.source.display()))?)
            } else {
                let device = Device::new(FileType::from_raw_mode(metadata.mode()), metadata.rdev());
                device.filter(|device| self.stand_ins || is_small(*device))
            };
            if let Some(device) = device {
                let attributes = Attributes::from(metadata).clamped(self.clamp);
                nodes.push(Node { path: entry.path.clone(), device, attributes });
            }
            Ok(true)
        })?;
        Ok(nodes)
    }

    /// With a fixed time, what would be random goes by the name of the build.
    fn fixed_uuid(&self) -> Option<String> {
        let seconds = self.clamp.seconds()?;
        let name = format!("larder ext4 {} {seconds}", self.name);
        Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string())
    }

    /// Gives the root directory what mke2fs has not given it, and makes devices.
    fn mend(&self, path: &Path, nodes: &[Node]) -> Result<()> {
        let root = Attributes::from(&self.tree.root()?.entry(PathBuf::new())?.metadata).clamped(self.clamp);
        let mut command = Command::new(program("debugfs"));
        let mut script = set("<2>", 0o040_000, &root);
        for node in nodes {
            script += &make(node)?;
        }
        if let Some(seconds) = self.clamp.seconds() {
            command.env("E2FSPROGS_FAKE_TIME", seconds.to_string());
        }
        command.args(["-w", "-f", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
        let mut running = Running::start(command)?;
        if let Some(mut input) = running.child.stdin.take() {
            // What it says of its end tells more.
            let _ = input.write_all(script.as_bytes());
        }
        // It ends well whatever became of its commands, which say nothing on standard error when all is well.
        let said = running.finish("debugfs")?;
        match said.lines().find(|line| !line.trim().is_empty() && !line.starts_with("debugfs ")) {
            Some(line) => Err(Error::new(format!("debugfs failed: {line}"))),
            None => Ok(()),
        }
    }
}

/// Commands of debugfs that set what an inode has.
fn set(inode: &str, kind: u32, attributes: &Attributes) -> String {
    let fields = [
        ("mode", format!("0{:o}", kind | attributes.mode)),
        ("uid", attributes.uid.to_string()),
        ("gid", attributes.gid.to_string()),
        ("mtime", format!("@{}", attributes.mtime.0)),
    ];
    fields.map(|(name, value)| format!("sif {inode} {name} {value}\n")).concat()
}

/// Whether debugfs takes the number.
fn is_small(device: Device) -> bool {
    device.number.0.max(device.number.1) <= 65_535
}

/// Commands of debugfs that make a device.
fn make(node: &Node) -> Result<String> {
    let unsound = || {
        let path = node.path.to_string_lossy();
        Error::new(format!("the device {path:?} cannot be in an ext4 image: its name is not plain text"))
            .hint("rename it in a provisioner, or choose another `format`")
    };
    let text = node.path.to_str().filter(|path| !path.contains(char::is_control)).ok_or_else(unsound)?;
    let (parent, name) = text.rsplit_once('/').unwrap_or(("", text));
    // Quotes are doubled (ss of e2fsprogs).
    let [path, parent, name] = [text, parent, name].map(|text| text.replace('"', "\"\""));
    let Device { block, number: (major, minor) } = node.device;
    if !is_small(node.device) {
        return Err(Error::new(format!("the device /{text} ({major}:{minor}) cannot be in an ext4 image made here"))
            .hint("its number is above 65535: build as root, or choose another `format`"));
    }
    let (letter, kind) = if block { ('b', 0o060_000) } else { ('c', 0o020_000) };
    let path = format!("\"/{path}\"");
    let time = node.attributes.mtime.0;
    let times = ["atime", "ctime", "crtime"].map(|field| format!("sif {path} {field} @{time}\n")).concat();
    let made = format!("cd \"/{parent}\"\nmknod \"{name}\" {letter} {major} {minor}\n");
    Ok(made + &set(&path, kind, &node.attributes) + &times)
}

/// Bytes of an ext4 file system that holds the tree and has some room: blocks, inodes, a journal.
fn needed(tree: &Layers, written: Written) -> Result<u64> {
    let mut data = 0;
    tree.walk(&mut |entry| {
        data += (entry.metadata.size().div_ceil(4096) + 1) * 4096;
        Ok(true)
    })?;
    let total = data + (written.entries + 1024) * 2 * 256 + (64 << 20);
    Ok((total + total / 4).next_multiple_of(1 << 20))
}

/// A program that is under way; ended when it is given up.
struct Running {
    child: Child,
    /// Reads what it says.
    errors: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context(|| format!("cannot run {name}"))?;
        let errors = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                // What was read up to a failure is better than nothing.
                let _ = stderr.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Ok(Self { child, errors })
    }

    /// Waits for the program, or for the build to be cancelled.
    fn wait(&mut self, cancel: &CancellationToken) -> Result<()> {
        while self.child.try_wait().context(|| "cannot wait for a program".to_owned())?.is_none() {
            stop_if(cancel)?;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits for the program, and fails as it did, or gives what it said.
    fn finish(mut self, name: &str) -> Result<String> {
        let status = self.child.wait().context(|| format!("cannot wait for {name}"))?;
        let said = self.errors.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        if status.success() {
            return Ok(said);
        }
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(5)..].join("; ");
        Err(Error::new(format!("{name} failed ({status}): {last}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests;
