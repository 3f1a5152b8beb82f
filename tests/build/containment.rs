use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use rustix::process::Signal;

use crate::host;
use crate::image::{inline, script, template};
use crate::running::Running;
use crate::support::{Larder, is_root};

/// Every line must fail, and not for want of the program.
const REFUSED: &str = r#"#!/bin/sh
set -u
python() { /usr/bin/python3 -c "import os, socket, ctypes; libc = ctypes.CDLL(None, use_errno=True); $1" 2>&1; }
while read -r line; do
  [ -n "$line" ] || continue
  said=$( (eval "$line") 2>&1)
  status=$?
  case $status in
    0) echo "not refused: $line: $said"; exit 1 ;;
    127) echo "no such program: $line: $said"; exit 1 ;;
  esac
done <<'LINES'
echo 1 >/proc/sys/kernel/sysrq
echo /tmp/x >/proc/sys/kernel/core_pattern
echo /tmp/x >/proc/sys/kernel/modprobe
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/vm/drop_caches
echo b >/proc/sysrq-trigger
echo x >/sys/kernel/uevent_helper
echo x >/sys/power/state
mknod /tmp/disk b @MAJOR@ @MINOR@ && head -c 1 /tmp/disk >/dev/null
mknod /dev/disk b @MAJOR@ @MINOR@ && head -c 1 /dev/disk >/dev/null
mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem >/dev/null
mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg >/dev/null
mknod /tmp/fuse c 10 229 && cat </tmp/fuse
test -e /dev/kmsg -o -e /dev/mem -o -e @DISK@
test -s /proc/kcore
mount -t tmpfs none /mnt
mount -t proc none /mnt
mount --bind / /mnt
mount -o remount,rw /sys
mount -o remount,rw /proc/sys
umount /proc/sys
umount -l /proc
unshare -m true
unshare -U true
chroot /proc/1/root true
modprobe loop && lsmod | grep -q no-such
insmod /tmp/refused.ko
sysctl_file=/proc/sys/kernel/domainname; echo x >$sysctl_file
ls /proc/1/root/
readlink /proc/1/exe
kill -9 1 && test ! -d /proc/1
python 'r = libc.syscall(313, os.open("/bin/sh", os.O_RDONLY), b"", 0); raise SystemExit(r != 0)'
python 'r = libc.syscall(175, b"x" * 100, 100, b""); raise SystemExit(r != 0)'
python 'r = libc.syscall(176, b"loop", 0); raise SystemExit(r != 0)'
python 'r = libc.syscall(246, 0, 0, 0, 0, 0); raise SystemExit(r != 0)'
python 'r = libc.syscall(321, 0, b"\0" * 128, 128); raise SystemExit(r < 0)'
python 'r = libc.syscall(298, b"\0" * 128, 0, -1, -1, 0); raise SystemExit(r < 0)'
python 'r = libc.syscall(101, 16, 1, 0, 0); raise SystemExit(r != 0)'
python 'r = libc.sethostname(b"x", 1); raise SystemExit(r != 0)'
python 'os.setxattr("/tmp", "trusted.x", b"x")'
python 'open("/proc/1/mem", "rb")'
python 'socket.socket(socket.AF_UNIX).connect("@RUN@")'
python 'socket.socket(socket.AF_UNIX).connect("@TMP@")'
python 'socket.socket(socket.AF_UNIX).connect("\0@ABSTRACT@")'
python 'socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket")'
python 'socket.socket(socket.AF_UNIX).connect("/var/run/docker.sock")'
grep -F @ABSTRACT@ /proc/net/unix
LINES
echo "all refused"
"#;

/// The disk that holds the host's root, or any other.
fn disk() -> (String, u32, u32) {
    let text = fs::read_to_string("/proc/partitions").unwrap();
    let line = text.lines().find(|line| line.split_whitespace().next().is_some_and(|word| word.parse::<u32>().is_ok()));
    let words: Vec<_> = line.expect("a machine has a disk").split_whitespace().collect();
    (format!("/dev/{}", words[3]), words[0].parse().unwrap(), words[1].parse().unwrap())
}

#[test]
fn a_guest_is_refused_what_reaches_the_host_and_changes_nothing_of_it() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let here = tempfile::Builder::new().prefix("larder-socket-").tempdir_in("/run").unwrap();
    let sockets = [here.path().join("s"), larder.dir().join("s")];
    let name = format!("larder-test-{}", larder.dir().metadata().unwrap().ino());
    let mut listeners: Vec<_> = sockets.iter().map(|path| UnixListener::bind(path).unwrap()).collect();
    listeners.push(UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
    let (disk, major, minor) = disk();
    let text = REFUSED
        .replace("@MAJOR@", &major.to_string())
        .replace("@MINOR@", &minor.to_string())
        .replace("@DISK@", &disk)
        .replace("@RUN@", sockets[0].to_str().unwrap())
        .replace("@TMP@", sockets[1].to_str().unwrap())
        .replace("@ABSTRACT@", &name);
    larder.write("refused.sh", &text);
    let blocks = script("refused", "refused.sh");
    larder.write("t.pkr.hcl", &template(&blocks));
    let before = host::state(&larder);
    let run = larder.run(["build", "--ui=json", "t.pkr.hcl"]).expect(0);
    assert_eq!(host::state(&larder), before, "after a build");
    assert!(run.events().iter().any(|event| event["line"] == "all refused"));
    for listener in listeners {
        listener.set_nonblocking(true).unwrap();
        listener.accept().unwrap_err();
    }
    host::assert_nothing_left(&larder);
}

#[test]
fn a_build_killed_while_provisioning_leaves_what_cleanup_finds_and_the_host_as_it_was() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let line = "exec 3>/tmp/open; setsid sh -c 'while :; do echo x >&3; echo x >/run/x; done' & echo going; wait";
    larder.write("t.pkr.hcl", &template(&inline("busy", line)));
    let before = host::state(&larder);
    let mut running = Running::start(&mut larder.command(["build", "--ui=json", "t.pkr.hcl"]));
    running.wait_for_line("going");
    assert_eq!(host::state(&larder), before, "while provisioning");
    running.signal(Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.code, None);

    let listed = larder.run(["ps"]).expect(0);
    assert!(listed.stdout.contains("dead") && listed.stdout.contains("scratch"), "{listed:?}");
    let _ = larder.run(["cleanup"]).expect(0);
    host::assert_nothing_left(&larder);
    assert_eq!(host::state(&larder), before, "after a kill");
    assert!(!larder.dir().join("t.tar").exists());
}
