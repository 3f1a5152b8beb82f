//! What the user is told when a bootstrap cannot be done, and that nothing is left of it.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use pgp::composed::SignedPublicKey;
use pgp::ser::Serialize as _;

use super::archive::{self, Archive, Made};
use super::support::{Larder, Run, is_root};

const PACKAGES: &[Made<'_>] = &[("base", "Essential: yes\n", 1000), ("editor", "Depends: base\n", 1000)];

/// The attributes of a `debian` block that a case changes.
struct Case<'a> {
    suite: &'a str,
    mirror: &'a str,
    keyring: &'a [u8],
    include: &'a str,
}

impl<'a> Case<'a> {
    fn of(archive: &'a Archive) -> Self {
        Self { suite: "test", mirror: &archive.url, keyring: &archive.keyring, include: "" }
    }
}

/// A fresh Larder with a template of the case.
fn larder(case: &Case<'_>) -> Larder {
    let larder = Larder::new();
    fs::write(larder.dir().join("keyring.gpg"), case.keyring).unwrap();
    let Case { suite, mirror, include, .. } = case;
    larder.write(
        "fault.pkr.hcl",
        &format!(
            "source \"rootfs\" \"fault\" {{\n  debian {{\n    suite = {suite:?}\n    mirror = {mirror:?}\n    \
             variant = \"essential\"\n    include = [{include}]\n    keyring = \"keyring.gpg\"\n    \
             architecture = \"amd64\"\n  }}\n  output = \"image.tar\"\n}}\n\
             build {{ sources = [\"source.rootfs.fault\"] }}\n"
        ),
    );
    larder
}

/// The archive is on this machine: no proxy of the host's stands between.
fn direct(command: &mut Command) -> &mut Command {
    ["http_proxy", "https_proxy", "HTTPS_PROXY"].iter().fold(command, |command, name| command.env_remove(name))
}

/// Builds, which must fail and say all of `expected`.
#[track_caller]
fn fails(case: &Case<'_>, expected: &[&str]) {
    let larder = larder(case);
    let run = Run::of(direct(&mut larder.command(["build", "--ui=plain", "fault.pkr.hcl"])).output().unwrap());
    check(&larder, &run, expected);
    assert_eq!(held(&larder), Vec::<String>::new());
}

#[track_caller]
fn check(larder: &Larder, run: &Run, expected: &[&str]) {
    let said = format!("{}{}", run.stdout, run.stderr);
    assert_eq!(run.code, 1, "{said}");
    for part in expected {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert!(!larder.dir().join("image.tar").exists());
    let listed = larder.run(["ps", "--json"]).expect(0);
    assert_eq!(listed.stdout.trim(), "[]");
    let _ = larder.run(["cache", "verify"]).expect(0);
}

/// What a run left in the state directory besides its log.
fn held(larder: &Larder) -> Vec<String> {
    let entries = |name: &str| fs::read_dir(larder.state().join(name)).into_iter().flatten().flatten();
    ["scratch", "runs"].iter().flat_map(|name| entries(name)).map(|entry| entry.path().display().to_string()).collect()
}

#[test]
fn unreachable_mirror() {
    if !is_root() {
        return;
    }
    // Bound and closed: nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mirror = format!("http://{closed}/debian");
    let archive = Archive::new(PACKAGES, "");
    fails(&Case { mirror: &mirror, ..Case::of(&archive) }, &["127.0.0.1", "Connection refused", "mirror"]);
}

#[test]
fn unknown_suite() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "");
    let no_suite = "has no suite `tset`";
    fails(&Case { suite: "tset", ..Case::of(&archive) }, &[no_suite, "check the spelling of `suite`"]);
}

#[test]
fn wrong_keyring() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "");
    let other = SignedPublicKey::from(archive::key()).to_bytes().unwrap();
    let expected = ["InRelease", "the keyring does not hold this key", "keyring.gpg"];
    fails(&Case { keyring: &other, ..Case::of(&archive) }, &expected);
}

#[test]
fn altered_release() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "");
    archive.alter("InRelease", |content| {
        let text = String::from_utf8(std::mem::take(content)).unwrap();
        *content = text.replace("Codename: test", "Codename: evil").into_bytes();
    });
    fails(&Case::of(&archive), &["InRelease", "signature"]);
}

#[test]
fn expired_release() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "Valid-Until: Sat, 01 Jan 2022 00:00:00 UTC\n");
    fails(&Case::of(&archive), &["InRelease", "2022", "check_valid_until"]);
}

#[test]
fn altered_package_list() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "");
    archive.alter("by-hash", |content| content[0] ^= 1);
    fails(&Case::of(&archive), &["by-hash", "sha256"]);
}

#[test]
fn altered_package() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "");
    archive.alter("base_1_amd64.deb", |content| *content.last_mut().unwrap() ^= 1);
    fails(&Case::of(&archive), &["pool/base_1_amd64.deb", "sha256", "mirror"]);
}

#[test]
fn missing_package_file() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(&[("base", "Essential: yes\n", 1000), ("gone", "Essential: yes\n", 1000)], "");
    archive.remove("pool/gone_1_amd64.deb");
    fails(&Case::of(&archive), &["pool/gone_1_amd64.deb", "404"]);
}

#[test]
fn misspelt_package() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(PACKAGES, "");
    let expected = ["the archive has no package `editro`", "did you mean `editor`?"];
    fails(&Case { include: "\"editro\"", ..Case::of(&archive) }, &expected);
}

/// A small tmpfs is the state directory, in a mount namespace that ends with the command.
#[test]
fn no_room_to_unpack() {
    if !is_root() {
        return;
    }
    let archive = Archive::new(&[("base", "Essential: yes\n", 48 * 1024 * 1024)], "");
    let larder = larder(&Case::of(&archive));
    fs::create_dir(larder.state()).unwrap();
    let script = "mount -t tmpfs -o size=16m tmpfs \"$LARDER_STATE_DIR\" && \"$@\"; code=$?
        find \"$LARDER_STATE_DIR/scratch\" \"$LARDER_STATE_DIR/runs\" -mindepth 1 >&2 || exit 99
        exit $code";
    let mut command = Command::new("unshare");
    larder.settle(&mut command);
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_larder")]);
    let run = Run::of(direct(command.args(["build", "--ui=plain", "fault.pkr.hcl"])).output().unwrap());
    check(&larder, &run, &["cannot unpack base", "No space left on device", "free some space"]);
    assert!(!run.stderr.contains("/state/"), "left behind: {}", run.stderr);
}
