//! Caches that cannot be used: said clearly, with what to do.

use std::fs;
use std::process::Command;

use super::*;
use crate::support::is_root;

#[track_caller]
fn refused(run: &Run, words: &[&str]) {
    assert_eq!(run.code, 1, "{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn a_newer_format() {
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB]).expect(0);
    let index = rusqlite::Connection::open(larder.cache().join("v1/index.sqlite")).unwrap();
    index.pragma_update(None, "user_version", 99).unwrap();
    index.pragma_update(None, "application_id", 0x4c61_7200 + 99).unwrap();
    drop(index);
    refused(&fetch(&larder, &origin, &[DEB]), &["version 99", "hint: use the newer Larder"]);
    refused(&larder.run(["cache", "ls"]), &["version 99", "hint: use the newer Larder"]);
    refused(&larder.run(["cache", "verify", "--repair"]), &["version 99", "hint: use the newer Larder"]);
}

#[test]
fn a_file_in_its_place() {
    let (larder, origin) = (Larder::new(), origin());
    fs::write(larder.cache(), "").unwrap();
    refused(&fetch(&larder, &origin, &[DEB]), &["cannot make the directory", "hint: "]);
}

/// Runs a command with something mounted, in a mount namespace that ends with it.
fn with_mount(larder: &Larder, mount: &str, command: &str) -> Run {
    let mut shell = Command::new("unshare");
    larder.settle(&mut shell);
    shell.env("LARDER", env!("CARGO_BIN_EXE_larder"));
    shell.args(["--mount", "--propagation", "private", "sh", "-c", &format!("{mount} && {{ {command}; }}")]);
    Run::of(shell.output().unwrap())
}

#[test]
fn a_read_only_cache() {
    if !is_root() {
        return;
    }
    let (larder, origin) = (Larder::new(), origin());
    let _ = fetch(&larder, &origin, &[DEB]).expect(0);
    let mount = "mount --bind \"$LARDER_CACHE_DIR\" \"$LARDER_CACHE_DIR\" && \
                 mount -o remount,bind,ro \"$LARDER_CACHE_DIR\"";
    let mirror = origin.mirror();
    let build = format!("\"$LARDER\" build --ui=plain --mirror {mirror}");
    let run = with_mount(&larder, mount, &format!("{build} fetch.pkr.hcl")).expect(0);
    assert_eq!(run.stderr.matches("downloads go on without it").count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("Read-only file system"), "{}", run.stderr);
    // Where all must come from the cache, there is nothing to go on with.
    refused(
        &with_mount(&larder, mount, &format!("{build} --net=offline fetch.pkr.hcl")),
        &["cannot write to", "Read-only file system", "hint: choose a cache directory that this user may write"],
    );
    refused(
        &with_mount(&larder, mount, "\"$LARDER\" cache ls"),
        &["hint: choose a cache directory that this user may write"],
    );
    assert_eq!(outcomes(&fetch(&larder, &origin, &[DEB]).expect(0)), ["HIT"], "and it is as it was");
}

/// A whole build of a root file system whose cache has hardly any room.
#[test]
fn a_full_disk_costs_the_cache_and_not_the_build() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    fs::create_dir(larder.cache()).unwrap();
    larder.write(
        "root.pkr.hcl",
        "source \"rootfs\" \"small\" {\n  debian { variant = \"essential\" }\n  output = \"root\"\n}\n\
         build {\n  sources = [\"source.rootfs.small\"]\n}\n",
    );
    let run = with_mount(
        &larder,
        "mount -t tmpfs -o size=12M tmpfs \"$LARDER_CACHE_DIR\"",
        "\"$LARDER\" build --ui=plain root.pkr.hcl && \"$LARDER\" cache verify",
    )
    .expect(0);
    assert!(larder.dir().join("root/etc/debian_version").exists());
    assert_eq!(run.stderr.matches("downloads go on without it").count(), 1, "{}", run.stderr);
    assert!(run.stdout.trim_end().ends_with("sound"), "{}", run.stdout);
}
