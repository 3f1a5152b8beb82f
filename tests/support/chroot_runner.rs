//! Runs commands in a root file system by unshare(1) and chroot(8): enough for tests run as root.

use std::path::PathBuf;
use std::process::Stdio;

use async_trait::async_trait;
use larder::builder::rootfs::debian::RootRunner;
use larder::error::{Context as _, Result};
use tokio::process::Command;

/// Mounts exist only in the child's own mount namespace and end with it; /dev is a tmpfs with nodes of its own.
const SCRIPT: &str = r#"
set -e
root=$1; shift
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=0755,nosuid tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
exec chroot "$root" /usr/bin/env -i "$@"
"#;

pub(crate) struct ChrootRunner {
    pub(crate) root: PathBuf,
}

#[async_trait]
impl RootRunner for ChrootRunner {
    async fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<i32> {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--propagation",
                "private",
                "--",
                "sh",
                "-c",
                SCRIPT,
                "sh",
            ])
            .arg(&self.root)
            .args(env.iter().map(|(name, value)| format!("{name}={value}")))
            .args(argv)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let status = command.status().await.context(|| "cannot run unshare".to_owned())?;
        Ok(status.code().unwrap_or(128))
    }
}
