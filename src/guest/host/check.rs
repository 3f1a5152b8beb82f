//! The list of what `larder doctor` looks at, and what a look may find.

use serde::Serialize;

use super::cause::Cause;

/// How a check turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Builds work, but something is less, or slower, or not there for other uses.
    Warning,
    /// Builds do not work.
    Problem,
}

/// Something that is looked at.
#[derive(Debug)]
pub struct Check {
    /// Its name, for people and programs: it does not change.
    pub name: &'static str,
    /// What is looked at, and how.
    pub help: &'static str,
    /// What its absence means: the worst it can say.
    pub worst: Status,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the check.
    pub check: &'static str,
    /// How it turned out.
    pub status: Status,
    /// What is so, in a line.
    pub found: String,
    /// Name of the cause, where it is one of [`Cause`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// What to do about it, each by itself: commands, the better one first.
    pub remedies: Vec<String>,
}

const fn check(name: &'static str, worst: Status, help: &'static str) -> Check {
    Check { name, help, worst }
}

/// All checks, in the order they are shown.
pub static CHECKS: &[Check] = &[
    check("kernel", Status::Problem, "Version of the kernel: 5.9 or newer (close_range, openat2)"),
    check("open-files", Status::Problem, "Limit of open files of a process"),
    check(
        "user-namespace",
        Status::Problem,
        "As root not needed; as a user one is made, and a mount namespace in it. Sysctls, AppArmor, containers",
    ),
    check(
        "subordinate-ids",
        Status::Problem,
        "As root not needed; as a user: 65536 ids in /etc/subuid and /etc/subgid, newuidmap and newgidmap",
    ),
    check("mount-namespace", Status::Problem, "A mount namespace is made, a tmpfs mounted in it, and made its root"),
    check(
        "network-namespace",
        Status::Warning,
        "The network of a build is made: two namespaces, a veth pair, the proxy's sockets. Without it egress is `observed`",
    ),
    check("proc", Status::Problem, "/proc is mounted for a process namespace of its own"),
    check("devices", Status::Problem, "A node for /dev is made by mknod, or bound from the host's, and written to"),
    check(
        "overlay",
        Status::Warning,
        "An overlay is mounted in the state directory. Without it each provisioner works on a copy",
    ),
    check("state-dir", Status::Problem, "The state directory can be written, locks files, and has room"),
    check("cache-dir", Status::Problem, "The cache directory can be written, is on a local file system, and has room"),
    check("temp-dir", Status::Problem, "TMPDIR can be written, and has room"),
    check("clock", Status::Problem, "The time: not before this program was built, and the upstream's to five minutes"),
    check(
        "upstream",
        Status::Problem,
        "The configured upstream proxy, a configured mirror or the host's package mirror answers",
    ),
    check("mirrors", Status::Problem, "Each mirror of the settings answers, with its roots and credentials"),
    check("roots", Status::Problem, "The system's certificate authorities, SSL_CERT_FILE, and the files of `ca_files`"),
    check("programs", Status::Warning, "Programs for some outputs: mksquashfs, mke2fs"),
    check("kvm", Status::Warning, "/dev/kvm can be opened. No builder of this version uses it"),
    check("docker", Status::Warning, "A Docker Engine answers on its socket. No builder of this version uses it"),
];

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, found)
    }

    /// Something is less.
    pub fn warning(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Warning, found)
    }

    /// Builds do not work.
    pub fn problem(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Problem, found)
    }

    /// A known cause.
    pub fn of(check: &'static str, status: Status, cause: &Cause) -> Self {
        let mut finding = Self::new(check, status, cause.finding());
        finding.cause = Some(cause.name());
        finding.remedies = cause.remedies();
        finding
    }

    fn new(check: &'static str, status: Status, found: impl Into<String>) -> Self {
        debug_assert!(CHECKS.iter().any(|known| known.name == check), "{check} is not in the table");
        Self { check, status, found: found.into(), cause: None, remedies: Vec::new() }
    }

    /// Adds what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// Adds what comes of it.
    #[must_use]
    pub fn so(mut self, consequence: &str) -> Self {
        self.found.push_str("; ");
        self.found.push_str(consequence);
        self
    }
}
