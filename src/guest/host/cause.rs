//! Why the machine refuses something, and the command that mends it.

use std::io;
use std::path::PathBuf;

use nix::libc;
use rustix::thread::CapabilitySet;

use crate::error::Error;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user namespace.
    User,
    /// A network namespace.
    Network,
    /// A mount namespace, or a mount in it.
    Mount,
}

impl Kind {
    /// The kernel's limit on how many there may be, as `sysctl` names it.
    pub fn limit(self) -> &'static str {
        match self {
            Self::User => "user.max_user_namespaces",
            Self::Network => "user.max_net_namespaces",
            Self::Mount => "user.max_mnt_namespaces",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::User => "user namespaces",
            Self::Network => "network namespaces",
            Self::Mount => "mount namespaces",
        }
    }
}

/// Software that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Docker, or what behaves as it does.
    Docker,
    /// Podman.
    Podman,
    /// Any other.
    Other,
}

/// Why namespaces, or what is done in them, are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The limit on namespaces of a kind is 0.
    Forbidden(Kind),
    /// The limit on namespaces of a kind is used up.
    UsedUp(Kind, u64),
    /// `kernel.unprivileged_userns_clone` is 0, as on older Debian.
    UnprivilegedClone,
    /// AppArmor gives programs without a profile of their own no rights in user namespaces, as on Ubuntu from 23.10.
    AppArmor {
        /// Path of the program that needs a profile.
        program: PathBuf,
    },
    /// A container's filter of system calls, or its missing capabilities.
    Container {
        /// What runs it.
        container: Container,
        /// Whether this process is its root, or another user of it.
        root: bool,
    },
    /// Root without CAP_NET_ADMIN, which a network of its own takes.
    NoNetAdmin(Option<Container>),
    /// Root without CAP_SYS_ADMIN, outside of a known container.
    NotCapable,
    /// The file system `/proc` cannot be mounted, since parts of this one are covered.
    ProcCovered(Container),
    /// The kernel was built without it.
    NotInKernel(Kind),
    /// The user has no subordinate ids.
    NoSubordinateIds {
        /// Name of the user, or the id where it has no name.
        user: String,
        /// The file that has no line for the user: `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// First id of a range that is free.
        free: u32,
    },
    /// The user has subordinate ids, but too few.
    TooFewSubordinateIds {
        /// Name of the user, or the id where it has no name.
        user: String,
        /// The file: `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// How many there are.
        count: u32,
        /// First id of a range that is free.
        free: u32,
    },
    /// The user namespace that this process is in, such as a container's, has too few ids itself.
    OwnMapTooSmall {
        /// The file that says so: `/proc/self/uid_map` or `/proc/self/gid_map`.
        file: &'static str,
        /// The first id that is missing.
        lacks: u32,
    },
    /// The programs that map subordinate ids are not installed.
    NoNewuidmap,
    /// They are, but are neither set-user-id root nor carry the capability.
    NewuidmapNotPrivileged {
        /// Path of the program.
        program: PathBuf,
    },
    /// This process may not gain rights by running such a program.
    NoNewPrivileges,
    /// They refused to map the ids.
    MapRefused {
        /// Path of the program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// None that is known.
    Unknown(String),
}

/// What is known of the machine when something has been refused. Read from `/proc` and `/run` below a root, so that
/// other machines can be thought of.
#[derive(Clone, Debug)]
pub struct Facts {
    root: PathBuf,
    /// Path of the running program, for a profile.
    program: PathBuf,
    /// Whether the process may do what root may: it has CAP_SYS_ADMIN.
    pub capable: bool,
    /// Whether it may set networks up: it has CAP_NET_ADMIN.
    pub net_capable: bool,
    /// Whether the user is root by id.
    pub root_id: bool,
}

impl Facts {
    /// This machine.
    pub fn read() -> Self {
        Self {
            root: PathBuf::from("/"),
            program: std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| PathBuf::from("larder")),
            capable: is_capable(),
            net_capable: has(CapabilitySet::NET_ADMIN),
            root_id: rustix::process::geteuid().is_root(),
        }
    }

    /// A kernel parameter that is a number.
    pub fn number(&self, sysctl: &str) -> Option<u64> {
        let path = self.root.join("proc/sys").join(sysctl.replace('.', "/"));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    /// What runs the container this is in, if it is one.
    pub fn container(&self) -> Option<Container> {
        let there = |path: &str| self.root.join(path).exists();
        if there("run/.containerenv") {
            return Some(Container::Podman);
        }
        if there(".dockerenv") {
            return Some(Container::Docker);
        }
        there("run/systemd/container").then_some(Container::Other)
    }

    /// Why a namespace, or a mount in one, was refused with `error`.
    pub fn cause(&self, kind: Kind, error: &io::Error) -> Cause {
        // Namespaces of a user are made inside a user namespace: what refuses that refuses all.
        let kinds: &[Kind] = if self.capable { &[kind] } else { &[Kind::User, kind] };
        if let Some(forbidden) = kinds.iter().find(|kind| self.number(kind.limit()) == Some(0)) {
            return Cause::Forbidden(*forbidden);
        }
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EUSERS) => Cause::UsedUp(kind, self.number(kind.limit()).unwrap_or_default()),
            Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EAFNOSUPPORT) => Cause::NotInKernel(kind),
            Some(libc::EPERM | libc::EACCES) if kind == Kind::Network && self.capable && !self.net_capable => {
                Cause::NoNetAdmin(self.container())
            }
            Some(libc::EPERM | libc::EACCES | libc::EROFS) => self.refused(error),
            _ => Cause::Unknown(error.to_string()),
        }
    }

    fn refused(&self, error: &io::Error) -> Cause {
        if !self.root_id && self.number("kernel.unprivileged_userns_clone") == Some(0) {
            return Cause::UnprivilegedClone;
        }
        if let Some(container) = self.container() {
            return Cause::Container { container, root: self.root_id };
        }
        if !self.capable && self.number("kernel.apparmor_restrict_unprivileged_userns") == Some(1) {
            return Cause::AppArmor { program: self.program.clone() };
        }
        if self.root_id && !self.capable {
            return Cause::NotCapable;
        }
        Cause::Unknown(error.to_string())
    }
}

/// Whether this process has CAP_SYS_ADMIN.
pub fn is_capable() -> bool {
    has(CapabilitySet::SYS_ADMIN)
}

fn has(capability: CapabilitySet) -> bool {
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

impl Cause {
    /// Its name, for programs: it does not change.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden",
            Self::UsedUp(..) => "used-up",
            Self::UnprivilegedClone => "unprivileged-userns-clone",
            Self::AppArmor { .. } => "apparmor",
            Self::Container { .. } => "container",
            Self::NoNetAdmin(_) => "no-net-admin",
            Self::NotCapable => "not-capable",
            Self::ProcCovered(_) => "proc-covered",
            Self::NotInKernel(_) => "not-in-kernel",
            Self::NoSubordinateIds { .. } => "no-subordinate-ids",
            Self::TooFewSubordinateIds { .. } => "too-few-subordinate-ids",
            Self::OwnMapTooSmall { .. } => "own-map-too-small",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::MapRefused { .. } => "map-refused",
            Self::NoNewuidmap => "no-newuidmap",
            Self::NewuidmapNotPrivileged { .. } => "newuidmap-not-privileged",
            Self::Unknown(_) => "unknown",
        }
    }

    /// What is so, in a line.
    pub fn finding(&self) -> String {
        match self {
            Self::Forbidden(kind) => format!("{} are forbidden: {} is 0", kind.name(), kind.limit()),
            Self::UsedUp(kind, most) => {
                format!("no more {} may be made: the limit {} ({most}) is used up", kind.name(), kind.limit())
            }
            Self::UnprivilegedClone => {
                "only root may make user namespaces: kernel.unprivileged_userns_clone is 0".into()
            }
            Self::AppArmor { .. } => "AppArmor gives this program no rights in a user namespace \
                 (kernel.apparmor_restrict_unprivileged_userns is 1)"
                .into(),
            Self::Container { .. } => "this container may not make namespaces or mounts".into(),
            Self::NoNetAdmin(_) => "this root lacks CAP_NET_ADMIN".into(),
            Self::NotCapable => "this root lacks CAP_SYS_ADMIN".into(),
            Self::ProcCovered(_) => "parts of /proc are covered here, so the kernel mounts no other".into(),
            Self::NotInKernel(kind) => format!("this kernel has no {}", kind.name()),
            Self::NoSubordinateIds { user, file, .. } => format!("{file} has no ids for {user}"),
            Self::TooFewSubordinateIds { user, file, count, .. } => format!(
                "{file} has only {count} ids for {user}: an image could have no owner above {count}, and \
                 `nobody` is 65534"
            ),
            Self::OwnMapTooSmall { file, lacks } => {
                format!("the user namespace this runs in (a container?) has no id {lacks}; see {file}")
            }
            Self::NoNewPrivileges => "newuidmap gains no rights here: no_new_privs is set for this process".into(),
            Self::MapRefused { program, said } => format!("{} refused to map the ids: {said}", program.display()),
            Self::NoNewuidmap => "newuidmap and newgidmap are not installed".into(),
            Self::NewuidmapNotPrivileged { program } => {
                format!("{} is not set-user-id root, so it may map no ids", program.display())
            }
            Self::Unknown(error) => error.clone(),
        }
    }

    /// The commands (or what else there is to do) that mend it, the better one first.
    pub fn remedies(&self) -> Vec<String> {
        match self {
            Self::Forbidden(kind) | Self::UsedUp(kind, _) => vec![format!("sudo sysctl {}=15000", kind.limit())],
            Self::UnprivilegedClone => vec!["sudo sysctl kernel.unprivileged_userns_clone=1".into()],
            Self::AppArmor { program } => vec![
                format!(
                    "printf 'abi <abi/4.0>,\\nprofile larder %s flags=(unconfined) {{ userns, }}\\n' '{}' | \
                     sudo tee /etc/apparmor.d/larder && sudo apparmor_parser -r /etc/apparmor.d/larder",
                    program.display()
                ),
                "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0".into(),
            ],
            Self::Container { container, root: true } | Self::NoNetAdmin(Some(container)) => container.flags_for_root(),
            Self::Container { container, root: false } | Self::ProcCovered(container) => container.flags_for_users(),
            Self::NoNetAdmin(None) => vec!["run it with CAP_NET_ADMIN".into()],
            Self::NotCapable => vec!["run it with CAP_SYS_ADMIN, or as a user that has subordinate ids".into()],
            Self::NotInKernel(_) => vec!["use a kernel that has them".into()],
            Self::NoSubordinateIds { user, free, .. } | Self::TooFewSubordinateIds { user, free, .. } => {
                let last = free.saturating_add(65_535);
                vec![format!("sudo usermod --add-subuids {free}-{last} --add-subgids {free}-{last} {user}")]
            }
            Self::OwnMapTooSmall { .. } => {
                vec!["run Larder outside of it, or give the container the ids, 65536 of them at least".into()]
            }
            Self::NoNewPrivileges => vec![
                "start the container without --security-opt no-new-privileges, the service with NoNewPrivileges=no"
                    .into(),
            ],
            Self::MapRefused { .. } => vec![
                "compare `id` with the user's line in /etc/passwd, and `getsubids $USER` with /etc/subuid".into(),
                "in a container without CAP_SYS_ADMIN: give newuidmap and newgidmap of its image the capabilities \
                 cap_setuid=ep and cap_setgid=ep (setcap) in place of the set-user-id bit"
                    .into(),
            ],
            Self::NoNewuidmap => vec!["sudo apt-get install uidmap   # elsewhere: shadow-utils, shadow".into()],
            Self::NewuidmapNotPrivileged { program } => {
                let group = program.with_file_name("newgidmap");
                vec![format!("sudo chmod u+s {} {}", program.display(), group.display())]
            }
            Self::Unknown(_) => Vec::new(),
        }
    }

    /// An error that says so, after what was being done, with a hint for each remedy.
    pub fn error(&self, doing: &str) -> Error {
        let error = Error::new(format!("{doing}: {}", self.finding()));
        self.remedies().into_iter().fold(error, Error::hint)
    }
}

impl Container {
    /// Options that let the root of a container build.
    fn flags_for_root(self) -> Vec<String> {
        let narrow = "--cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined --security-opt \
                      apparmor=unconfined";
        match self {
            Self::Docker => vec![format!("docker run {narrow} …"), "docker run --privileged …".into()],
            Self::Podman => vec![format!("podman run {narrow} …"), "podman run --privileged …".into()],
            Self::Other => {
                vec!["give it CAP_SYS_ADMIN and CAP_NET_ADMIN, and take its filter of system calls off".into()]
            }
        }
    }

    /// Options that let other users of it build, and users of user namespaces in it.
    fn flags_for_users(self) -> Vec<String> {
        let open = "--security-opt seccomp=unconfined --security-opt apparmor=unconfined";
        match self {
            Self::Docker => vec![format!("docker run {open} --security-opt systempaths=unconfined …")],
            Self::Podman => vec![format!("podman run {open} --security-opt unmask=ALL …")],
            Self::Other => vec!["take its filter of system calls off, and leave /proc uncovered".into()],
        }
    }
}

/// Facts of a machine that exists only below `root`.
#[cfg(test)]
pub(super) fn facts_below(root: &std::path::Path, root_id: bool, capable: bool) -> Facts {
    Facts { root: root.to_owned(), program: "/usr/bin/larder".into(), capable, net_capable: capable, root_id }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn set(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn error(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn each_refusal_has_its_cause() {
        let user = |files: &[(&str, &str)], kind, code| {
            let machine = tempfile::tempdir().unwrap();
            for (file, text) in files {
                set(machine.path(), file, text);
            }
            facts_below(machine.path(), false, false).cause(kind, &error(code))
        };
        let none = ("proc/sys/user/max_user_namespaces", "0\n");
        assert_eq!(user(&[none], Kind::User, libc::ENOSPC), Cause::Forbidden(Kind::User));
        assert_eq!(user(&[none], Kind::Network, libc::EPERM), Cause::Forbidden(Kind::User));
        let none = ("proc/sys/user/max_net_namespaces", "0\n");
        assert_eq!(user(&[none], Kind::Network, libc::ENOSPC), Cause::Forbidden(Kind::Network));
        let few = ("proc/sys/user/max_net_namespaces", "3\n");
        assert_eq!(user(&[few], Kind::Network, libc::ENOSPC), Cause::UsedUp(Kind::Network, 3));
        let debian = ("proc/sys/kernel/unprivileged_userns_clone", "0\n");
        assert_eq!(user(&[debian], Kind::User, libc::EPERM), Cause::UnprivilegedClone);
        let ubuntu = ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
        let found = user(&[ubuntu], Kind::User, libc::EACCES);
        assert_eq!(found.name(), "apparmor");
        assert!(found.remedies()[0].contains("'/usr/bin/larder'"), "{found:?}");
        assert_eq!(
            user(&[(".dockerenv", "")], Kind::User, libc::EPERM),
            Cause::Container { container: Container::Docker, root: false }
        );
        assert_eq!(
            user(&[("run/.containerenv", "")], Kind::User, libc::EPERM),
            Cause::Container { container: Container::Podman, root: false }
        );
        assert_eq!(user(&[], Kind::User, libc::EINVAL), Cause::NotInKernel(Kind::User));
        assert_eq!(user(&[], Kind::User, libc::EPERM).name(), "unknown");
    }

    #[test]
    fn root_is_not_told_to_lift_what_holds_for_users() {
        let machine = tempfile::tempdir().unwrap();
        set(machine.path(), "proc/sys/user/max_user_namespaces", "0");
        set(machine.path(), "proc/sys/kernel/unprivileged_userns_clone", "0");
        let facts = facts_below(machine.path(), true, true);
        assert_eq!(facts.cause(Kind::Network, &error(libc::ENOSPC)).name(), "used-up");
        let facts = facts_below(machine.path(), true, false);
        fs::remove_file(machine.path().join("proc/sys/user/max_user_namespaces")).unwrap();
        assert_eq!(facts.cause(Kind::Network, &error(libc::EPERM)), Cause::NotCapable);
    }

    #[test]
    fn every_known_cause_has_a_remedy() {
        let program = PathBuf::from("/usr/bin/newuidmap");
        for cause in [
            Cause::Forbidden(Kind::User),
            Cause::UsedUp(Kind::Mount, 1),
            Cause::UnprivilegedClone,
            Cause::Container { container: Container::Other, root: true },
            Cause::NoNetAdmin(None),
            Cause::NotCapable,
            Cause::ProcCovered(Container::Docker),
            Cause::NotInKernel(Kind::Network),
            Cause::NoSubordinateIds { user: "ann".into(), file: "/etc/subuid", free: 100_000 },
            Cause::NoNewuidmap,
            Cause::NewuidmapNotPrivileged { program },
        ] {
            assert!(!cause.remedies().is_empty(), "{cause:?}");
            assert!(!cause.finding().is_empty(), "{cause:?}");
        }
        let ids = Cause::NoSubordinateIds { user: "ann".into(), file: "/etc/subuid", free: 165_536 };
        assert_eq!(ids.remedies(), ["sudo usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann"]);
    }
}
