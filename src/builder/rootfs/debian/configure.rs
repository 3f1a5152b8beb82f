//! Runs the packages' scripts in the root, with services kept from starting, and tidies up after them.

use async_trait::async_trait;

use super::control::Control;
use super::deb::{Folder, apply_folder};
use super::root_dir::RootDir;
use crate::error::{Context as _, Error, Result};

/// Runs commands with the root file system as `/`.
#[async_trait]
pub trait RootRunner: Send + Sync {
    /// Runs `argv` as the root's superuser with just this environment, relays what it writes, and returns its exit
    /// status (128 + signal when killed by one). `/proc` and a `/dev` with null, zero, random, urandom and tty are
    /// there; standard input is empty.
    async fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<i32>;
}

/// What keeps questions from being asked, and scripts from depending on who runs them.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/root"),
    ("LC_ALL", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
];

/// Where dpkg has the control part of a package that it is about to unpack.
const STAGE: &str = "var/lib/dpkg/tmp.ci";
const POLICY: &str = "usr/sbin/policy-rc.d";
const START_STOP: &str = "sbin/start-stop-daemon";
const START_STOP_REAL: &str = "sbin/start-stop-daemon.REAL";
/// Answers "not allowed" to whatever would start a service (policy-rc.d).
const POLICY_SCRIPT: &[u8] = b"#!/bin/sh\nexit 101\n";
const START_STOP_SCRIPT: &[u8] =
    b"#!/bin/sh\necho \"start-stop-daemon does nothing while the image is being made\" >&2\n";

/// What would make two builds differ or belongs to the machine that built: removed.
const UNWANTED: &[&str] = &[
    "var/log/dpkg.log",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/log/apt/eipp.log.xz",
    "var/log/alternatives.log",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
];

/// Runs the scripts of `first`, the essential packages, and then those of the rest, as mmdebstrap does by way of
/// `dpkg --install` and apt: packages that are not essential may count on all that are.
pub(super) async fn run_scripts(
    root: &RootDir,
    first: &[&Control],
    second: &[&Control],
    runner: &dyn RootRunner,
) -> Result<()> {
    hold_services(root).context(|| "cannot keep services from starting in the root".to_owned())?;
    let result = Scripts { root, runner, dpkg_version: dpkg_version(first) }.run(first, second).await;
    // Also after a failure: the root may be kept to look into.
    let released = release_services(root).context(|| "cannot undo what kept services from starting".to_owned());
    result.and(released)
}

fn dpkg_version<'a>(packages: &[&'a Control]) -> &'a str {
    packages.iter().find(|control| control.package == "dpkg").map_or("", |control| control.version.as_str())
}

struct Scripts<'a> {
    root: &'a RootDir,
    runner: &'a dyn RootRunner,
    dpkg_version: &'a str,
}

impl Scripts<'_> {
    async fn run(&self, first: &[&Control], second: &[&Control]) -> Result<()> {
        // The others need base-passwd's users.
        let (base, others): (Vec<&Control>, _) = first.iter().partition(|control| control.package == "base-passwd");
        for control in base.into_iter().chain(others) {
            self.preinst(control).await?;
        }
        let names: Vec<String> = first.iter().map(|control| control.info_name()).collect();
        let mut arguments = vec!["--force-depends", "--configure"];
        arguments.extend(names.iter().map(String::as_str));
        self.dpkg(&arguments).await?;
        for control in second {
            self.preinst(control).await?;
        }
        self.dpkg(&["--configure", "-a"]).await
    }

    async fn preinst(&self, control: &Control) -> Result<()> {
        if !control.has("preinst") {
            return Ok(());
        }
        let not_ready = || format!("cannot get the preinst script of {} ready", control.package);
        self.stage(control).context(not_ready)?;
        let mut env = ENVIRONMENT.to_vec();
        env.extend([
            ("DPKG_MAINTSCRIPT_PACKAGE", control.package.as_str()),
            ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
            ("DPKG_MAINTSCRIPT_ARCH", control.architecture.as_str()),
            ("DPKG_MAINTSCRIPT_NAME", "preinst"),
            ("DPKG_MAINTSCRIPT_DEBUG", "0"),
            ("DPKG_RUNNING_VERSION", self.dpkg_version),
            ("DPKG_ADMINDIR", "/var/lib/dpkg"),
            ("DPKG_ROOT", ""),
            ("PERL_DL_NONLAZY", "1"),
        ]);
        let status = self.runner.run(&[&format!("/{STAGE}/preinst"), "install"], &env).await?;
        self.unstage().context(not_ready)?;
        if status == 0 {
            return Ok(());
        }
        Err(Error::new(format!(
            "the preinst script of {} {} ended with status {status}",
            control.package, control.version
        ))
        .hint("its output is above; leave the package out, or take the suite's newer state"))
    }

    /// Lays the control part where dpkg would have it while the script runs: debconf looks there for whose questions
    /// are asked, and which.
    fn stage(&self, control: &Control) -> std::io::Result<()> {
        self.unstage()?;
        let text = format!("{}\n", control.text);
        self.root.write(&format!("{STAGE}/control"), text.as_bytes(), 0o644)?;
        control
            .files
            .iter()
            .try_for_each(|file| self.root.write(&format!("{STAGE}/{}", file.name), &file.content, file.mode))
    }

    fn unstage(&self) -> std::io::Result<()> {
        self.root.empty_folder(STAGE, &[])?;
        self.root.remove_folder(STAGE)
    }

    async fn dpkg(&self, arguments: &[&str]) -> Result<()> {
        let argv = [&["dpkg", "--force-unsafe-io"], arguments].concat();
        match self.runner.run(&argv, ENVIRONMENT).await? {
            0 => Ok(()),
            status => Err(Error::new(format!("dpkg could not configure all packages: status {status}"))
                .hint("its output above names the package and why")),
        }
    }
}

fn hold_services(root: &RootDir) -> std::io::Result<()> {
    root.write(POLICY, POLICY_SCRIPT, 0o755)?;
    if root.exists(START_STOP) {
        root.rename(START_STOP, START_STOP_REAL)?;
        root.write(START_STOP, START_STOP_SCRIPT, 0o755)?;
    }
    Ok(())
}

fn release_services(root: &RootDir) -> std::io::Result<()> {
    root.remove(POLICY)?;
    if root.exists(START_STOP_REAL) {
        root.rename(START_STOP_REAL, START_STOP)?;
    }
    Ok(())
}

/// Leaves the tree as a fresh image should be.
pub(super) fn tidy(root: &RootDir) -> std::io::Result<()> {
    UNWANTED.iter().try_for_each(|path| root.remove(path))?;
    // Empty, it is filled at the first boot (machine-id(5)).
    if root.exists("etc/machine-id") {
        root.write("etc/machine-id", b"", 0o644)?;
    }
    root.empty_folder("run", &[])?;
    // base-files made it while another /run was mounted there.
    if root.exists("var/lock") {
        let lock = Folder { path: "run/lock".into(), mode: 0o1777, uid: 0, gid: 0 };
        root.create_folders(&lock.path)?;
        apply_folder(root, &lock)?;
    }
    root.empty_folder("tmp", &[])?;
    root.empty_folder("var/cache/apt/archives", &["partial", "lock"])?;
    root.empty_folder("var/lib/apt/lists", &["partial", "lock"])
}
