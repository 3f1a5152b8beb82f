//! Egress where no network namespace can be had, or none is asked for: through the proxy by settings, and said.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::support::{Larder, Run, is_root};
use crate::{busybox, host, origin};

/// A template with one provisioner of one line, on a root of one program.
fn template(larder: &Larder, line: &str) {
    busybox::root(&larder.dir().join("root"));
    let text = format!(
        "source \"rootfs\" \"t\" {{\n  base   = \"root\"\n  output = \"t.tar\"\n}}\n\
         build {{\n  sources = [\"source.rootfs.t\"]\n  provisioner \"shell\" {{\n    inline = [{line:?}]\n  }}\n}}\n"
    );
    larder.write("t.pkr.hcl", &text);
}

/// Larder as the root of a user namespace with all the ids of a system, in which `before` has been run.
fn in_namespace(larder: &Larder, before: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    let mut child = command
        // The shell gets the rights of the root it has become when it is run anew.
        .args(["-U", "sh", "-euc", "echo ready; read go; exec sh -euc \"$@\"", "sh"])
        .arg(format!("{before}\nexec \"$@\""))
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_larder"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut ready = String::new();
    output.read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{}/{map}", child.id()), "0 0 65536\n").unwrap();
    }
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut stdout = String::new();
    std::io::Read::read_to_string(&mut output, &mut stdout).unwrap();
    let run = Run::of(child.wait_with_output().unwrap());
    Run { stdout, ..run }
}

const NO_NETWORKS: &str = "echo 0 >/proc/sys/user/max_net_namespaces";

#[test]
fn a_build_falls_back_to_it_and_says_why_and_what_mends_it() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    template(&larder, "env | grep ^http_proxy=; echo $(cat /proc/self/mounts | grep -c ' /sys ')");
    let run = in_namespace(&larder, NO_NETWORKS, &["build", "--ui=json", "t.pkr.hcl"]).expect(0);
    let warned =
        run.stdout.lines().find(|line| line.contains("Egress is observed")).unwrap_or_else(|| panic!("{run:?}"));
    assert!(warned.contains("user.max_net_namespaces is 0"), "{warned}");
    assert!(warned.contains("sudo sysctl user.max_net_namespaces=15000"), "{warned}");
    assert!(run.stdout.contains("http_proxy=http://127.0.0.1:"), "{run:?}");
    assert!(larder.dir().join("t.tar").exists());
    host::assert_nothing_left(&larder);
}

#[test]
fn where_enforced_is_demanded_there_is_no_fall_back() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    template(&larder, "true");
    let run = in_namespace(&larder, NO_NETWORKS, &["build", "--egress=enforced", "t.pkr.hcl"]).expect(1);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("user.max_net_namespaces"), "{run:?}");
    assert!(!larder.dir().join("t.tar").exists());
    host::assert_nothing_left(&larder);
}

#[test]
fn the_address_it_has_in_the_guest_must_not_be_in_the_image() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    template(&larder, "echo $http_proxy >/etc/saved");
    let run = larder.run(["build", "--ui=plain", "--egress", "observed", "t.pkr.hcl"]).expect(5);
    assert!(format!("{}{}", run.stdout, run.stderr).contains("etc/saved"), "{run:?}");
    assert!(!larder.dir().join("t.tar").exists());
}

#[test]
fn a_command_goes_through_the_proxy_by_settings() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let mirror = format!("public.example.org=http://{}/", origin::serve());
    for url in ["http://public.example.org/a", "https://public.example.org/a"] {
        let run = in_namespace(
            &larder,
            NO_NETWORKS,
            &["exec", "--mirror", &mirror, "--", "curl", "-sS", "--fail", "--max-time", "60", url],
        );
        // The namespace shares the network of the test, and so reaches its origin.
        let run = run.expect(0);
        assert_eq!(run.stdout, "origin /a");
        assert!(run.stderr.contains("Egress is observed"), "{run:?}");
        assert!(run.stderr.contains("user.max_net_namespaces is 0"), "{run:?}");
    }
    let run = larder.run(["exec", "-q", "--egress=observed", "--", "sh", "-c", "exit 7"]).expect(7);
    assert!(run.stderr.contains("it was asked for"), "{run:?}");
    host::assert_nothing_left(&larder);
}
