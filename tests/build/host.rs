//! What a run must leave as it was, and what it must not leave.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::Larder;

/// Samples of what guests must not change: `/dev`, `/sys`, kernel parameters, the mount table (but for what other tests
/// mount in their own temporary directories).
pub(crate) fn state(larder: &Larder) -> String {
    let mut text = String::new();
    for directory in ["/dev", "/sys", "/sys/class/net", "/sys/block", "/sys/kernel"] {
        let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            // A process that ends takes its entries along.
            let Ok(status) = path.symlink_metadata() else { continue };
            let line = (status.mode(), status.uid(), status.gid(), status.rdev());
            writeln!(text, "{} {line:?}", path.display()).unwrap();
        }
    }
    for name in ["hostname", "core_pattern", "modprobe", "sysrq", "randomize_va_space", "panic", "pid_max"] {
        let value = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
        write!(text, "{name} = {value}").unwrap();
    }
    for name in ["net/ipv4/ip_forward", "net/ipv4/icmp_echo_ignore_all", "vm/swappiness", "fs/protected_hardlinks"] {
        let value = fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default();
        write!(text, "{name} = {value}").unwrap();
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let others = |line: &&str| {
        let point = line.split(' ').nth(4).map(Path::new).unwrap();
        point != Path::new("/tmp") && point.starts_with("/tmp") && !point.starts_with(larder.dir())
    };
    text.extend(mounts.lines().filter(|line| !others(line)).flat_map(|line| [line, "\n"]));
    text
}

/// Fails the test if something of this Larder's is left: records, scratch trees, processes.
#[track_caller]
pub(crate) fn assert_nothing_left(larder: &Larder) {
    for name in ["runs", "scratch"] {
        let left: Vec<_> = fs::read_dir(larder.state().join(name))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        assert_eq!(left, Vec::<std::path::PathBuf>::new());
    }
    assert_eq!(processes(larder), Vec::<String>::new());
}

/// Processes of this Larder's, the guests' inits among them: its directory is in their environment.
pub(crate) fn processes(larder: &Larder) -> Vec<String> {
    let mark = larder.dir().as_os_str().as_encoded_bytes();
    let has_mark = |path: &Path| {
        fs::read(path.join("environ")).is_ok_and(|environ| environ.windows(mark.len()).any(|part| part == mark))
    };
    fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("environ").exists() && has_mark(path))
        .map(|path| fs::read_to_string(path.join("cmdline")).unwrap_or_default())
        .filter(|command| !command.is_empty())
        .collect()
}

/// A command of the host that runs in a mount namespace of its own, after the shell line `before`.
pub(crate) fn with_mounts(larder: &Larder, before: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    command
        .args(["--mount", "--propagation", "private", "sh", "-eu", "-c"])
        .arg(format!("{before}\nexec \"$@\""))
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_larder"))
        .args(arguments);
    command
}
