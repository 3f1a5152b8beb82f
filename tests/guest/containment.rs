use std::fs;

use crate::bed::{Bed, possible, run};

/// What of the host a guest must not change: its mounts, and the names and modes of what matters.
fn host() -> String {
    let mut state = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for directory in ["/dev", "/sys", "/proc/sys/kernel"] {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| format!("{:?}", entry.unwrap().path())).collect();
        names.sort();
        state.push_str(&names.join("\n"));
    }
    state.push_str(&fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap());
    state.push_str(&fs::read_to_string("/proc/sys/kernel/hostname").unwrap());
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_root_is_refused_what_reaches_the_host() {
    if !possible() {
        return;
    }
    let before = host();
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    for line in [
        "echo x > /proc/sys/kernel/core_pattern",
        "echo x > /proc/sys/net/ipv4/ip_forward",
        "echo b > /proc/sysrq-trigger",
        "echo x > /sys/kernel/uevent_helper",
        "mknod /tmp/disk b 254 0 && head -c1 /tmp/disk",
        "mknod /dev/disk b 8 0 && head -c1 /dev/disk",
        "mknod /tmp/mem c 1 1 && head -c1 /tmp/mem",
        "mount -t tmpfs none /mnt || mount -t proc none /tmp",
        "mount -o remount,rw /proc/sys",
        "unshare -m true",
        "unshare -U true",
        "unshare -n true",
        "hostname other",
        "chroot /proc/1/root /bin/true",
        "ls /proc/1/fd/",
        "cat /proc/1/environ",
        "test -s /proc/kcore",
        "python3 -c 'import socket; socket.socket(40, socket.SOCK_STREAM)'",
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'",
        // keyctl(KEYCTL_GET_KEYRING_ID, the user's own, 0)
        "python3 -c 'import ctypes,sys; sys.exit(ctypes.CDLL(None).syscall(250, 0, -4, 0) < 0)'",
        // delete_module
        "python3 -c 'import ctypes,sys; sys.exit(ctypes.CDLL(None).syscall(176, b\"x\", 0) != 0)'",
        // clone(CLONE_NEWUSER)
        "python3 -c 'import ctypes,sys; r=ctypes.CDLL(None).syscall(56, 0x10000011, 0, 0, 0, 0); sys.exit(r < 0)'",
        "kill -9 1 && test ! -d /proc/1",
    ] {
        let (status, output) = run(&guest, line).await;
        assert_ne!(status, 0, "{line}: {output}");
        assert_ne!(status, 127, "{line}: {output}");
    }
    assert_eq!(host(), before, "while the guest runs");
    guest.shutdown().await.unwrap();
    assert_eq!(host(), before, "after the guest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_has_what_programs_expect() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    for line in [
        "echo x > /dev/null && test -c /dev/zero -a -c /dev/full -a -c /dev/random -a -c /dev/tty",
        "head -c 10 /dev/urandom | wc -c | grep -q 10",
        "echo x > /dev/stderr && cat < /dev/null",
        "python3 -c 'import pty; pty.openpty()'",
        "touch /dev/shm/x /run/x /run/lock/x /tmp/x",
        "chown 1000:1000 /tmp/x && chmod 4755 /tmp/x",
        "python3 -c 'import os; os.setgid(1000); os.setuid(1000); open(\"/dev/stdout\", \"w\").write(\"x\")'",
        "grep -q 'nameserver 192.0.2.1' /etc/resolv.conf && grep -q localhost /etc/hosts",
        "test $(hostname) = larder",
        "grep -q '^NoNewPrivs:.*0' /proc/self/status",
        "grep -q '^SigBlk:.0000000000000000' /proc/self/status && grep -q '^SigIgn:.0000000000000000' /proc/self/status",
        "test $(ls /proc/self/fd | wc -l) -eq 4",
    ] {
        let (status, output) = run(&guest, line).await;
        assert_eq!(status, 0, "{line}: {output}");
    }
    let (_, capabilities) = run(&guest, "grep ^Cap /proc/self/status").await;
    let bounding = capabilities.lines().find(|line| line.starts_with("CapBnd")).unwrap();
    assert_eq!(bounding.split_whitespace().nth(1), Some("00000000a00405fb"));
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mount_points_made_for_the_guest_are_not_in_its_layer() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    assert_eq!(run(&guest, "echo kept > /tmp/file").await.0, 0);
    let shutdown = guest.shutdown().await.unwrap();
    assert!(shutdown.problems.is_empty(), "{:?}", shutdown.problems);
    bed.layers.keep().unwrap();
    let layer = bed.layers.finished().last().unwrap().clone();
    for name in ["proc", "sys", "dev", "run", "etc/resolv.conf", "etc/hosts"] {
        assert!(layer.join(name).symlink_metadata().is_err(), "{name} is in the layer");
    }
    assert_eq!(fs::read(layer.join("tmp/file")).unwrap(), b"kept\n");

    // What one guest wrote, the next one sees; what it wrote to /run, it does not.
    let guest = bed.communicator().await;
    assert_eq!(run(&guest, "cat /tmp/file").await, (0, "kept\n".to_owned()));
    guest.shutdown().await.unwrap();
}
