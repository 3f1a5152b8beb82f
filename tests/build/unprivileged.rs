//! Builds of an ordinary user, by subordinate ids.
//!
//! The user exists only in a mount namespace of each command, where files that name it lie over those of `/etc`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::busybox;
use crate::host::{self, assert_nothing_left};
use crate::running::Running;
use crate::support::{Larder, Run, is_root};

/// Ids that nothing else here has.
const ID: u32 = 54_321;
const RANGE: &str = "lardertest:700000:65536";

/// A user's machine with a base in `base.tar`.
struct User {
    larder: Larder,
    program: PathBuf,
}

impl User {
    fn new() -> Self {
        let larder = Larder::new();
        // Of a place the user can reach.
        let program = larder.dir().join("larder");
        fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
        base(&larder);
        Self { larder, program }
    }

    fn write(&self, name: &str, content: &str) {
        self.larder.write(name, content);
    }

    /// What `larder` with these arguments is as the user, with these lines in `/etc/subuid` and `/etc/subgid`, and the
    /// words of `wrapper` before it.
    fn command_with(&self, ranges: (&str, &str), wrapper: &[&str], arguments: &[&str]) -> Command {
        let etc = self.larder.dir().join("etc");
        let _ = fs::create_dir(&etc);
        let account = |file: &str, line: &str| {
            let path = format!("/etc/{file}");
            fs::write(etc.join(file), fs::read_to_string(path).unwrap_or_default() + line + "\n").unwrap();
        };
        account("passwd", &format!("lardertest:x:{ID}:{ID}::{}:/bin/sh", self.larder.dir().display()));
        account("group", &format!("lardertest:x:{ID}:"));
        account("subuid", ranges.0);
        account("subgid", ranges.1);
        self.own();
        let before = format!(
            "for file in passwd group subuid subgid; do mount --bind etc/$file /etc/$file; done\n\
             exec setpriv --reuid {ID} --regid {ID} --clear-groups {} \"$@\"",
            wrapper.join(" ")
        );
        let mut command = host::with_mounts(&self.larder, &before, &[]);
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        // The program in the user's reach takes the place of the one of the tests.
        let mut own = Command::new(command.get_program());
        let words: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        own.args(&words[..words.len() - 1]).arg(&self.program).args(arguments);
        own.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        own.current_dir(self.larder.dir());
        own
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_with((RANGE, RANGE), &[], arguments)
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    /// Gives the user what root has made for it.
    fn own(&self) {
        let mut pending = vec![self.larder.dir().to_owned()];
        while let Some(path) = pending.pop() {
            let status = path.symlink_metadata().unwrap();
            if status.uid() == 0 {
                chown(&path, Some(ID), Some(ID)).unwrap();
            }
            if status.is_dir() {
                pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }
}

/// A small root with what only root can make: devices, a file capability, several owners.
fn base(larder: &Larder) {
    let tree = larder.dir().join("base");
    busybox::root(&tree);
    let mut archive = tar::Builder::new(fs::File::create(larder.dir().join("base.tar")).unwrap());
    archive.follow_symlinks(false);
    archive.mode(tar::HeaderMode::Deterministic);
    archive.append_dir_all(".", &tree).unwrap();
    fs::remove_dir_all(tree).unwrap();
    let mut add = |name: &str, kind, owner: u64, mode, device: (u32, u32), data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        header.set_mtime(1);
        header.set_device_major(device.0).unwrap();
        header.set_device_minor(device.1).unwrap();
        archive.append_data(&mut header, name, data).unwrap();
    };
    let (file, directory) = (tar::EntryType::Regular, tar::EntryType::Directory);
    add("dev/null", tar::EntryType::Char, 0, 0o666, (1, 3), b"");
    add("srv", directory, 33, 0o2750, (0, 0), b"");
    add("srv/disk", tar::EntryType::Block, 6, 0o660, (8, 0), b"");
    add("srv/random", tar::EntryType::Char, 0, 0o644, (1, 9), b"");
    add("srv/pipe", tar::EntryType::Fifo, 1000, 0o600, (0, 0), b"");
    add("srv/nobody", file, 65_534, 0o4755, (0, 0), b"nobody's");
    // cap_net_raw+ep, version 2.
    let capability: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    archive.append_pax_extensions([("SCHILY.xattr.security.capability", capability)]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(4);
    archive.append_data(&mut header, "srv/ping", &b"ping"[..]).unwrap();
    archive.into_inner().unwrap().flush().unwrap();
}

const TEMPLATE: &str = r#"
source "rootfs" "t" {
  base   = "base.tar"
  output = "out/t.tar"
}

build {
  sources = ["source.rootfs.t"]

  provisioner "shell" {
    inline = [
      "id -u", "cat /srv/nobody >/dev/null",
      "echo made >/etc/made", "chown 1234:4321 /etc/made", "chmod 4755 /etc/made",
      "mkdir -m 700 /secret", "chown 65535 /secret", "mv /srv/random /srv/renamed", "mv /srv/ping /secret/ping",
      "rm /bin/false"
    ]
  }

  provisioner "shell-local" {
    inline = ["echo local $(id -u) $(id -g) $(cat /proc/self/uid_map)", "echo wrong >&2", "exit 0"]
  }

  post-processor "checksum" {}
}
"#;

#[test]
fn the_image_of_a_user_is_that_of_root() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.write("t.pkr.hcl", TEMPLATE);
    let before = host::state(&user.larder);
    // A private umask is nobody's business but the user's.
    let wrapper = ["sh", "-c", "'umask 077; exec \"$@\"'", "sh"];
    let run = user.command_with((RANGE, RANGE), &wrapper, &["build", "t.pkr.hcl"]).output().unwrap();
    let run = Run::of(run).expect(0);
    let host_map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let host_map = host_map.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(run.stdout.contains(&format!("rootfs.t: local {ID} {ID} {host_map}\n")), "{}", run.stdout);
    assert!(run.stdout.contains("rootfs.t: 0\n"), "{}", run.stdout);
    assert_nothing_left(&user.larder);
    assert_eq!(host::state(&user.larder), before);
    assert_all_are_the_users(user.larder.dir());
    let theirs = fs::read(user.larder.dir().join("out/t.tar")).unwrap();

    let root = Larder::new();
    base(&root);
    root.write("t.pkr.hcl", TEMPLATE);
    let run = root.command(["build", "t.pkr.hcl"]).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
    let _ = Run::of(run).expect(0);
    let image = fs::read(root.dir().join("out/t.tar")).unwrap();
    assert!(image == theirs, "{:#?}", list(&image).iter().zip(list(&theirs)).find(|(a, b)| **a != *b));

    let all = list(&image).join("\n");
    for entry in [
        "./dev/null Char 0:0 666 1,3",
        "./srv/renamed Char",
        "./srv/disk Block 6:6 660 8,0",
        "./secret/ Directory 65535",
    ] {
        assert!(all.contains(entry), "{entry}\n{all}");
    }
    assert!(all.contains("./secret/ping Regular 0:0 755 0,0 1 4 Ok(SCHILY.xattr.security.capability"), "{all}");
    assert!(!all.contains("larder"), "{all}");
}

#[track_caller]
fn assert_all_are_the_users(directory: &Path) {
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        let status = path.symlink_metadata().unwrap();
        assert_eq!((status.uid(), status.gid()), (ID, ID), "{}", path.display());
        if status.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// What an archive holds, a line an entry.
fn list(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let line = |entry: tar::Entry<'_, &[u8]>| {
        let mut entry = entry;
        let extensions: Vec<String> = entry.pax_extensions().unwrap().map_or_else(Vec::new, |all| {
            all.map(|one| one.map(|one| format!("{:?}={:?}", one.key(), one.value_bytes())).unwrap()).collect()
        });
        let header = entry.header();
        let device = (header.device_major().unwrap().unwrap_or(0), header.device_minor().unwrap().unwrap_or(0));
        format!(
            "{} {:?} {}:{} {:o} {},{} {} {} {}",
            entry.path().unwrap().display(),
            header.entry_type(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.mode().unwrap(),
            device.0,
            device.1,
            header.mtime().unwrap(),
            header.size().unwrap(),
            extensions.join(" ").replace("\"SCHILY", "SCHILY")
        )
    };
    archive.entries().unwrap().map(|entry| line(entry.unwrap())).collect()
}

const SLOW: &str = r#"
source "rootfs" "t" {
  base   = "base.tar"
  output = "out/t.tar"
}

build {
  sources = ["source.rootfs.t"]

  provisioner "shell" {
    inline = ["mkdir -m 700 /sub", "chown 1000:1000 /sub", "echo x >/sub/x", "chown 33:33 /sub/x"]
  }

  provisioner "shell-local" {
    inline = ["echo ready", "sleep 1000 & sleep 1000"]
  }
}
"#;

/// The process of Larder's that works inside the mapping: a child of `outside`.
fn inside(outside: u32) -> u32 {
    let parent = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let mapped = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(9).any(|part| part == b"\0__mapped"))
    };
    all.filter(|pid: &u32| parent(*pid) == Some(outside)).find(mapped).expect("there is a process inside")
}

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[track_caller]
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_is_left_of_a_user_whose_builds_are_killed() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.write("t.pkr.hcl", SLOW);
    let temporary = user.larder.dir().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let begun = || {
        let mut command = user.command(&["build", "--ui=json", "t.pkr.hcl"]);
        let mut running = Running::start(command.env("TMPDIR", &temporary));
        running.wait_for_line("ready");
        running
    };
    // Interrupted as by a terminal: both processes get the signal, and clean up once.
    let running = begun();
    kill(inside(running.pid()), Signal::INT);
    running.signal(Signal::INT);
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert_nothing_left(&user.larder);

    // The one outside is gone: the one inside cleans up by itself.
    let running = begun();
    running.signal(Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.code, None);
    wait_until("processes are left", || host::processes(&user.larder).is_empty());
    assert_nothing_left(&user.larder);

    // The one inside is gone: the files of many owners are left, and removed on request.
    let running = begun();
    kill(inside(running.pid()), Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stderr.contains("larder cleanup"), "{}", ended.stderr);
    let run = user.run(&["ps"]).expect(0);
    assert!(run.stdout.contains("dead") && run.stdout.contains("scratch"), "{run:?}");
    let run = user.run(&["cleanup"]).expect(0);
    assert!(run.stdout.contains("removed"), "{run:?}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{run:?}");
    wait_until("processes are left", || host::processes(&user.larder).is_empty());
    assert_nothing_left(&user.larder);
}

#[test]
fn what_keeps_a_user_from_building_is_said_before_anything_starts() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.write("t.pkr.hcl", TEMPLATE);
    user.write("file.pkr.hcl", "source \"file\" \"f\" {\n  content = \"x\"\n  target = \"f\"\n}\nbuild {\n  sources = [\"source.file.f\"]\n}\n");
    let inside = ["unshare", "--map-root-user", "--map-auto"];
    let forbidden = "sh -euc 'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --reuid 5 --regid 5 --clear-groups \"$@\"' sh";
    let forbidden: Vec<&str> = inside.into_iter().chain([forbidden]).collect();
    let (both, few) = ((RANGE, RANGE), (RANGE, "lardertest:9:1000"));
    let cases = [
        (("", RANGE), &[][..], "/etc/subuid has no ids for lardertest", "usermod --add-subuids"),
        (few, &[], "/etc/subgid has only 1000 ids", "usermod --add-subuids"),
        (both, &["env", "PATH=/nowhere"], "newuidmap and newgidmap are not installed", "install uidmap"),
        (both, &["setpriv", "--no-new-privs"], "no_new_privs", "no-new-privileges"),
        (both, &["unshare", "--map-root-user"], "has no id 1", "65536"),
        (both, &forbidden, "user.max_user_namespaces is 0", "sysctl user.max_user_namespaces="),
    ];
    for (ranges, wrapper, cause, remedy) in cases {
        let run = Run::of(user.command_with(ranges, wrapper, &["build", "t.pkr.hcl"]).output().unwrap());
        assert_eq!(run.code, 1, "{cause}: {run:?}");
        assert!(run.stderr.contains(cause) && run.stderr.contains(remedy), "{cause}: {run:?}");
        assert_eq!(run.stdout, "", "{cause}");
        assert!(!user.larder.dir().join("out").exists());
    }
    // What needs no ids needs none of this.
    let run = user.command_with(("", ""), &["setpriv", "--no-new-privs"], &["build", "file.pkr.hcl"]).output().unwrap();
    let _ = Run::of(run).expect(0);
    let run = user.command_with(("", ""), &[], &["validate", "t.pkr.hcl"]).output().unwrap();
    let _ = Run::of(run).expect(0);
}

#[test]
fn a_directory_of_a_user_is_replaced_and_built_on() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.write(
        "t.pkr.hcl",
        &TEMPLATE.replace("out/t.tar", "out/tree").replace("  post-processor \"checksum\" {}\n", ""),
    );
    let run = user.run(&["build", "t.pkr.hcl"]).expect(0);
    assert!(run.stdout.contains("unshare --map-root-user --map-auto"), "{}", run.stdout);
    let tree = user.larder.dir().join("out/tree");
    let owner = |path: &str| tree.join(path).symlink_metadata().unwrap().uid();
    assert_eq!((owner("etc/passwd"), owner("etc/made"), owner("secret")), (ID, 701_233, 765_534));
    let _ = user.run(&["build", "--force", "t.pkr.hcl"]).expect(0);

    let again = "source \"rootfs\" \"t\" {\n  base = \"out/tree\"\n  output = \"again.tar\"\n}\n\
                 build {\n  sources = [\"source.rootfs.t\"]\n}\n";
    user.write("again.pkr.hcl", again);
    let again_run = user.run(&["build", "again.pkr.hcl"]).expect(0);
    let all = list(&fs::read(user.larder.dir().join("again.tar")).unwrap()).join("\n");
    assert!(all.contains("./etc/made Regular 1234:4321 4755") && all.contains("./srv/disk Block 6:6"), "{all}");

    // A group that is not the user's becomes `nogroup`, and that is said.
    assert!(!again_run.stdout.contains("nogroup"), "{again_run:?}");
    chown(tree.join("etc/passwd"), Some(ID), Some(ID + 1)).unwrap();
    let run = user.run(&["build", "--force", "again.pkr.hcl"]).expect(0);
    assert!(run.stdout.contains("1 files or directories of") && run.stdout.contains("nogroup"), "{run:?}");

    // A tree of somebody else's would become nobody's.
    user.write("other.pkr.hcl", &again.replace("out/tree", "/usr/share/doc/bash"));
    let run = user.run(&["build", "--force", "other.pkr.hcl"]).expect(1);
    assert!(run.stdout.contains("its owner is not one of the user's ids"), "{run:?}");
}

#[test]
fn ranges_of_ids_are_joined_and_a_log_and_warnings_are_of_both_processes() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.write("t.pkr.hcl", TEMPLATE);
    user.write("larder.toml", "net = \"offline\"\nupstream_proxy = \"http://127.0.0.1:9\"\n");
    let halves = "lardertest:700000:32768\nlardertest:900000:32768";
    let mut command = user.command_with((halves, halves), &[], &["build", "t.pkr.hcl"]);
    command.envs([("LARDER_LOG", "debug"), ("PACKER_LOG_PATH", "larder.log")]);
    let run = Run::of(command.output().unwrap()).expect(0);
    let owners = list(&fs::read(user.larder.dir().join("out/t.tar")).unwrap()).join("\n");
    assert!(
        owners.contains("./etc/made Regular 1234:4321") && owners.contains("./secret/ Directory 65535"),
        "{owners}"
    );
    assert_eq!(run.stderr.matches("is not trusted").count(), 1, "{}", run.stderr);
    let log = fs::read(user.larder.dir().join("larder.log")).unwrap();
    assert!(log.starts_with(b"20") && !log.contains(&0), "{}", String::from_utf8_lossy(&log));
    assert_eq!(String::from_utf8_lossy(&log).matches("for templates of Packer").count(), 1);
}

#[test]
fn an_interruption_while_ids_are_mapped_is_called_one() {
    if !is_root() {
        return;
    }
    let user = User::new();
    user.write("t.pkr.hcl", TEMPLATE);
    let programs = user.larder.dir().join("programs");
    fs::create_dir(&programs).unwrap();
    for name in ["newuidmap", "newgidmap"] {
        // What a terminal does: all of the process group.
        fs::write(programs.join(name), "#!/bin/sh\nkill -INT 0\nsleep 10\n").unwrap();
        chown(programs.join(name), Some(0), Some(0)).unwrap();
    }
    let path = format!("PATH={}:/usr/bin:/bin", programs.display());
    let mut command = user.command_with((RANGE, RANGE), &["env", &path], &["build", "t.pkr.hcl"]);
    for name in ["newuidmap", "newgidmap"] {
        chown(programs.join(name), Some(0), Some(0)).unwrap();
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o4755)).unwrap();
    }
    command.process_group(0);
    let run = Run::of(command.output().unwrap()).expect(1);
    assert!(run.stderr.contains("interrupted before the work had begun"), "{run:?}");
    assert!(!run.stderr.contains("refused") && !run.stderr.contains("ended early"), "{run:?}");
    assert_nothing_left(&user.larder);
}

#[test]
fn a_user_is_asked_and_edits_as_the_user() {
    if !is_root() {
        return;
    }
    let user = User::new();
    let block = "  provisioner \"shell\" {\n    inline = [\"false\"]\n  }\n}\n";
    let source = "source \"rootfs\" \"t\" {\n  base   = \"base.tar\"\n  output = \"t.tar\"\n}\n";
    user.write("t.pkr.hcl", &format!("{source}build {{\n  sources = [\"source.rootfs.t\"]\n{block}"));
    user.write("editor", "id -u > edited-by\nsed -i 's/^false/true/' \"$1\"\n");
    let mut command = user.command(&["build", "--ui=plain", "-on-error=ask", "t.pkr.hcl"]);
    command.env("EDITOR", "sh editor");
    let pty = crate::pty::Pty::start(&command, 180, 60);
    pty.wait_for("[e] edit the script, then retry");
    pty.wait_for("retry succeeds)?");
    pty.keys("e\n");
    assert_eq!(pty.end(), 0, "{}", pty.screen());
    assert!(pty.screen().contains("ran an edited copy of inline"), "{}", pty.screen());
    assert_eq!(fs::read_to_string(user.larder.dir().join("edited-by")).unwrap(), format!("{ID}\n"));
    drop(pty);
    assert_nothing_left(&user.larder);
}

/// The process that the shell knows is not the one that has the terminal.
#[test]
fn a_user_who_stops_larder_from_outside_gets_the_terminal_back() {
    if !is_root() {
        return;
    }
    let user = User::new();
    let block = "  provisioner \"shell\" {\n    inline = [\"false\"]\n  }\n}\n";
    let source = "source \"rootfs\" \"t\" {\n  base   = \"base.tar\"\n  output = \"t.tar\"\n}\n";
    user.write("t.pkr.hcl", &format!("{source}build {{\n  sources = [\"source.rootfs.t\"]\n{block}"));
    let shell = ["sh", "-c", "'exec bash --norc --noprofile -i'"];
    let mut command = user.command_with((RANGE, RANGE), &shell, &[]);
    command.env("PS1", "prompt# ").env("LANG", "C.UTF-8").env_remove("CI");
    let pty = crate::pty::Pty::start(&command, 80, 24);
    pty.wait_for("prompt#");
    pty.keys(&format!("{} build --ui=tui t.pkr.hcl\r", user.program.display()));
    pty.wait_alternate(true);
    pty.wait_for("asks");
    let shell = pty.pid().as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    let job = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
    let job = job.and_then(Pid::from_raw).expect("the shell has a job");
    for _ in 0..2 {
        kill_process(job, Signal::TSTP).unwrap();
        pty.wait_for("Stopped");
        assert!(!pty.is_alternate(), "the terminal is given back first");
        pty.keys("echo still $((40 + 2)); fg\r");
        pty.wait_written("still 42");
        pty.wait_alternate(true);
        pty.wait_for("rootfs.t");
    }
    pty.keys("\x03");
    pty.wait_alternate(false);
    pty.wait_until("the shell's prompt", |screen| screen.trim_end().ends_with("prompt#"));
    pty.keys("exit\r");
    pty.end();
    pty.assert_restored();
    drop(pty);
    assert_nothing_left(&user.larder);
}
