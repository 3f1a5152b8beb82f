//! Runs the packages' scripts in the root, with services kept from starting, and tidies up after them.

use async_trait::async_trait;

use super::control::Control;
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

/// Runs preinst scripts in the order given, then lets dpkg configure everything.
pub(super) async fn run_scripts(
    root: &RootDir,
    preinsts: &[&Control],
    dpkg_version: &str,
    runner: &dyn RootRunner,
) -> Result<()> {
    hold_services(root).context(|| "cannot keep services from starting in the root".to_owned())?;
    let result = scripts(preinsts, dpkg_version, runner).await;
    // Also after a failure: the root may be kept to look into.
    let released = release_services(root).context(|| "cannot undo what kept services from starting".to_owned());
    result.and(released)
}

async fn scripts(preinsts: &[&Control], dpkg_version: &str, runner: &dyn RootRunner) -> Result<()> {
    for control in preinsts {
        let script = format!("/var/lib/dpkg/info/{}.preinst", control.info_name());
        let mut env = ENVIRONMENT.to_vec();
        env.extend([
            ("DPKG_MAINTSCRIPT_PACKAGE", control.package.as_str()),
            ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "1"),
            ("DPKG_MAINTSCRIPT_ARCH", control.architecture.as_str()),
            ("DPKG_MAINTSCRIPT_NAME", "preinst"),
            ("DPKG_MAINTSCRIPT_DEBUG", "0"),
            ("DPKG_RUNNING_VERSION", dpkg_version),
            ("DPKG_ADMINDIR", "/var/lib/dpkg"),
            ("DPKG_ROOT", ""),
        ]);
        let status = runner.run(&[&script, "install"], &env).await?;
        if status != 0 {
            return Err(Error::new(format!(
                "the preinst script of {} {} ended with status {status}",
                control.package, control.version
            ))
            .hint("its output is above; leave the package out, or take the suite's newer state"));
        }
    }
    let argv = ["dpkg", "--force-depends", "--force-unsafe-io", "--configure", "-a"];
    let status = runner.run(&argv, ENVIRONMENT).await?;
    if status == 0 {
        return Ok(());
    }
    Err(Error::new(format!("dpkg could not configure all packages: status {status}"))
        .hint("its output above names the package and why"))
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
    root.empty_folder("run", &["lock"])?;
    root.empty_folder("tmp", &[])?;
    root.empty_folder("var/cache/apt/archives", &["partial", "lock"])?;
    root.empty_folder("var/lib/apt/lists", &["partial", "lock"])
}
