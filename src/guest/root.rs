//! The root file system of a guest and what is mounted in it, all in the guest's own mount namespace.
//!
//! The root's own content is not trusted: nothing is mounted or written through a symbolic link in it, but below `/run`,
//! which is a fresh file system by then.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use serde::{Deserialize, Serialize};

use super::namespace;

/// Where a guest's root comes from and where what it writes goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// Layers over each other.
    Overlay {
        /// Read-only layers, the top one first.
        lowers: Vec<PathBuf>,
        /// Takes what the guest writes.
        upper: PathBuf,
        /// Empty directory on `upper`'s file system, for the kernel.
        work: PathBuf,
    },
    /// One directory, written in place.
    Plain {
        /// The directory.
        directory: PathBuf,
    },
}

/// Why a root could not be made.
#[derive(Debug)]
pub(super) struct RootError {
    pub(super) what: String,
    pub(super) error: io::Error,
    /// Whether it was the overlay mount that the kernel refused; a copy may take its place.
    pub(super) overlay_refused: bool,
}

/// What had to be made in the root to mount on, to be removed at the end. Paths from the root, parents first.
#[derive(Debug, Default)]
pub(super) struct Targets {
    made: Vec<PathBuf>,
}

type Outcome<T> = Result<T, RootError>;

trait What<T> {
    fn what(self, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: Into<io::Error>> What<T> for Result<T, E> {
    fn what(self, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| RootError { what: what(), error: error.into(), overlay_refused: false })
    }
}

/// Mounts the root at `mount_at`, fills it and moves into it. The calling process is alone in its mount namespace,
/// its umask is 0, and it is already in the guest's process, network and IPC namespaces.
pub(super) fn enter(root: &Root, mount_at: &Path, resolv_conf: &str) -> Outcome<Targets> {
    mount_root(root, mount_at)?;
    let top = open_directory(CWD, mount_at).what(|| format!("open {}", mount_at.display()))?;
    let mut targets = Targets::default();
    let hide = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    targets.mount(&top, "proc", "proc", hide, "")?;
    match targets.mount(&top, "sys", "sysfs", hide | MountFlags::RDONLY, "") {
        // It shows a network, and so is refused to a user namespace that does not own the one it is in.
        Err(refused) if refused.error.kind() == io::ErrorKind::PermissionDenied => {
            targets.mount(&top, "sys", "tmpfs", hide | MountFlags::RDONLY, "mode=0755,size=64k")?;
        }
        mounted => drop(mounted?),
    }
    let dev = targets.mount(&top, "dev", "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, "mode=0755,size=64k")?;
    fill_dev(&dev).what(|| "fill /dev".to_owned())?;
    let run = targets.mount(&top, "run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=0755")?;
    fill_run(&run).what(|| "fill /run".to_owned())?;
    targets.name_service(&top, &run, resolv_conf).what(|| "set up name resolution".to_owned())?;
    pivot(&top).what(|| "move into the root".to_owned())?;
    guard_proc().what(|| "guard /proc".to_owned())?;
    guard_sys().what(|| "guard /sys".to_owned())?;
    Ok(targets)
}

fn mount_root(root: &Root, mount_at: &Path) -> Outcome<()> {
    match root {
        Root::Overlay { lowers, upper, work } => mount_overlay(lowers, upper, work, mount_at),
        Root::Plain { directory } => {
            rustix::mount::mount_bind(directory, mount_at).what(|| format!("bind {}", directory.display()))?;
            namespace::restrict_mount(mount_at, MountFlags::NODEV).what(|| format!("remount {}", mount_at.display()))
        }
    }
}

/// Mounts an overlay. Layers are named by descriptor: that keeps the option string short, needs no quoting, and shows
/// the guest no path of the host.
pub(super) fn mount_overlay(lowers: &[PathBuf], upper: &Path, work: &Path, mount_at: &Path) -> Outcome<()> {
    let open = |path: &Path| open_directory(CWD, path).what(|| format!("open the layer {}", path.display()));
    let lowers = lowers.iter().map(|path| open(path)).collect::<Outcome<Vec<_>>>()?;
    let (upper, work) = (open(upper)?, open(work)?);
    let lower_names: Vec<String> = lowers.iter().map(by_descriptor).collect();
    let options = format!(
        "userxattr,lowerdir={},upperdir={},workdir={}",
        lower_names.join(":"),
        by_descriptor(&upper),
        by_descriptor(&work)
    );
    let mount = |options: String| {
        let options = CString::new(options).expect("built from numbers");
        rustix::mount::mount("overlay", mount_at, "overlay", MountFlags::NODEV, options.as_c_str())
    };
    // A layer is scratch until its image is exported, so nothing in it need be synced while the guest runs, nor when it
    // ends. Kernels before 5.10 do not know the option.
    mount(format!("volatile,{options}")).or_else(|_| mount(options)).map_err(|error| RootError {
        what: "mount the layers over each other".to_owned(),
        error: error.into(),
        overlay_refused: true,
    })
}

impl Targets {
    /// Mounts a file system on a directory at the top of the root, and opens it.
    fn mount(&mut self, top: &OwnedFd, name: &str, kind: &str, flags: MountFlags, options: &str) -> Outcome<OwnedFd> {
        let options = CString::new(options).expect("options are ours");
        let target = self.directory(top, name).what(|| format!("make /{name}"))?;
        rustix::mount::mount(kind, by_descriptor(&target), kind, flags, options.as_c_str())
            .what(|| format!("mount /{name}"))?;
        open_directory(top, Path::new(name)).what(|| format!("open /{name}"))
    }

    /// A directory of the root, made if it is missing.
    fn directory(&mut self, top: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        match rustix::fs::mkdirat(top, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => self.made.push(name.into()),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        open_directory(top, Path::new(name))
    }

    /// Gives the root a resolv.conf, and a hosts file if it has none, without changing it.
    fn name_service(&mut self, top: &OwnedFd, run: &OwnedFd, resolv_conf: &str) -> io::Result<()> {
        self.directory(top, "etc")?;
        self.bind_file(top, run, "resolv.conf", resolv_conf)?;
        if matches!(rustix::fs::statat(top, "etc/hosts", AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT)) {
            let name = rustix::system::uname();
            let name = name.nodename().to_string_lossy();
            let content = format!("127.0.0.1 localhost {name}\n::1 localhost ip6-localhost ip6-loopback\n");
            self.bind_file(top, run, "hosts", &content)?;
        }
        Ok(())
    }

    fn bind_file(&mut self, top: &OwnedFd, run: &OwnedFd, name: &str, content: &str) -> io::Result<()> {
        let source = format!(".larder-{name}");
        write_new(run, &source, content)?;
        let path = Path::new("etc").join(name);
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let target = match rustix::fs::openat2(top, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::NOENT) => {
                // A link to a file that a service would make under /run: be that service.
                if let Ok(link) = rustix::fs::readlinkat(top, &path, Vec::new()) {
                    return serve_link(run, Path::new(OsStr::from_bytes(link.as_bytes())), content);
                }
                write_new(top, &path, "")?;
                self.made.push(path.clone());
                open_beneath(top, &path, OFlags::PATH)?
            }
            target => target?,
        };
        let source = open_beneath(run, Path::new(&source), OFlags::PATH)?;
        Ok(rustix::mount::mount_bind(by_descriptor(&source), by_descriptor(&target))?)
    }

    /// Takes out again what was made to mount on. Called by init, alone in the guest by then, with `/` as the root.
    /// What the guest has put there in the meantime stays, and is reported.
    pub(super) fn remove(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for path in self.made.iter().rev() {
            let path = Path::new("/").join(path);
            // Not a mount point if it was never mounted on (/etc).
            let _ = rustix::mount::unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
            if let Err(error) = remove_empty(&path) {
                problems.push(format!("{}: {error}", path.display()));
            }
        }
        problems
    }
}

fn remove_empty(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    match () {
        () if metadata.is_dir() => match fs::remove_dir(path) {
            // In use by now, so no longer ours to remove.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => result,
        },
        () if metadata.is_file() && metadata.len() == 0 => fs::remove_file(path),
        () => Ok(()),
    }
}

/// Writes `content` where a link in `/etc` leads, if that is below `/run`.
fn serve_link(run: &OwnedFd, link: &Path, content: &str) -> io::Result<()> {
    let mut parts: Vec<&OsStr> = if link.is_absolute() { Vec::new() } else { vec!["etc".as_ref()] };
    for component in link.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => drop(parts.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let [first, directories @ .., name] = parts.as_slice() else { return Ok(()) };
    if *first != "run" {
        return Ok(());
    }
    let mut directory = run.try_clone()?;
    for part in directories {
        match rustix::fs::mkdirat(&directory, *part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        directory = open_directory(&directory, Path::new(part))?;
    }
    write_new(&directory, Path::new(name), content)
}

fn write_new(directory: &OwnedFd, path: impl AsRef<Path>, content: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = fs::File::from(open_with_mode(directory, path.as_ref(), flags, 0o644)?);
    file.write_all(content.as_bytes())
}

/// The devices every program may expect; see null(4), full(4), random(4), tty(4).
const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

fn fill_dev(dev: &OwnedFd) -> io::Result<()> {
    for (name, major, minor) in DEVICES {
        let mode = Mode::from_raw_mode(0o666);
        match rustix::fs::mknodat(dev, *name, FileType::CharacterDevice, mode, rustix::fs::makedev(*major, *minor)) {
            Ok(()) => {}
            // A user namespace may not make devices; the host's own, one by one, do as well.
            Err(Errno::PERM) => {
                write_new(dev, name, "")?;
                let target = open_beneath(dev, Path::new(name), OFlags::PATH)?;
                rustix::mount::mount_bind(format!("/dev/{name}"), by_descriptor(&target))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    for (name, target) in DEVICE_LINKS {
        rustix::fs::symlinkat(*target, dev, *name)?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount_below(dev, "pts", "devpts", flags, c"newinstance,ptmxmode=0666,mode=0620,gid=5")?;
    mount_below(dev, "shm", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=1777")
}

fn mount_below(directory: &OwnedFd, name: &str, kind: &str, flags: MountFlags, options: &CStr) -> io::Result<()> {
    rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o755))?;
    let target = open_directory(directory, Path::new(name))?;
    Ok(rustix::mount::mount(kind, by_descriptor(&target), kind, flags, options)?)
}

fn fill_run(run: &OwnedFd) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(run, "lock", Mode::from_raw_mode(0o1777))?)
}

/// Makes `top` the root of the mount namespace and lets go of the old one.
fn pivot(top: &OwnedFd) -> io::Result<()> {
    rustix::process::fchdir(top)?;
    rustix::process::pivot_root(".", ".")?;
    // The old root now lies over the new one.
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}

/// Hidden altogether: what they show is the host's.
const MASKED_IN_PROC: &[&str] =
    &["kcore", "keys", "key-users", "timer_list", "timer_stats", "sched_debug", "latency_stats", "kmsg", "vmcore"];

/// Makes everything in `/proc` that is not about a process read-only: the id of the guest's root is the host's, and
/// some of these files ask for nothing more.
fn guard_proc() -> io::Result<()> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        let is_process = name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if is_process || kind.is_symlink() {
            continue;
        }
        if MASKED_IN_PROC.iter().any(|masked| name == *masked) {
            rustix::mount::mount_bind("/dev/null", &path)?;
        } else if kind.is_dir() || is_writable(&path)? {
            make_read_only(&path)?;
        }
    }
    Ok(())
}

fn is_writable(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(path)?.mode() & 0o222 != 0)
}

fn make_read_only(path: &Path) -> io::Result<()> {
    rustix::mount::mount_bind(path, path)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    namespace::restrict_mount(path, MountFlags::RDONLY | flags)
}

/// Covers what `/sys` shows of the host's firmware and power meters.
fn guard_sys() -> io::Result<()> {
    for path in ["/sys/firmware", "/sys/devices/virtual/powercap"] {
        if Path::new(path).is_dir() {
            rustix::mount::mount("tmpfs", path, "tmpfs", MountFlags::RDONLY, c"size=0")?;
        }
    }
    Ok(())
}

/// A path that leads to what the descriptor refers to, whatever its name.
fn by_descriptor(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

fn open_directory(base: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    if path.is_absolute() {
        // A path of the host, chosen by Larder.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        return Ok(rustix::fs::openat(base, path, flags, Mode::empty())?);
    }
    open_beneath(base, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Opens a path relative to `base` that passes no symbolic link.
fn open_beneath(base: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open_with_mode(base, path, flags, 0)
}

fn open_with_mode(base: impl AsFd, path: &Path, flags: OFlags, mode: u32) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(base, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode), resolve)?)
}
