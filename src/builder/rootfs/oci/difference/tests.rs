use std::ffi::OsStr;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::*;

fn sh(directory: &Path, line: &str) {
    let output = Command::new("sh").args(["-euc", line]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The differences, one a line: `+ path` and `- path`.
fn differences(below: &Layers, now: &Layers, clamp: Clamp) -> String {
    let mut found = Vec::new();
    difference(below, now, clamp, &CancellationToken::new(), &mut |change| {
        found.push(match change {
            Change::Present(entry) => format!("+{}", entry.path.display()),
            Change::Removed(path) => format!("-{}", path.display()),
        });
        Ok(())
    })
    .unwrap();
    found.join(" ")
}

const BASE: &str = "mkdir -p base/etc base/dir/sub base/full base/links; cd base
    echo a >etc/a; echo b >etc/b; echo c >dir/sub/c; echo f >file; echo 1 >full/1; echo 2 >full/2; ln -s etc/a soft
    echo l >links/one; ln links/one links/two; find . -exec touch -h -d @1000 {} +";

/// What a guest does, and what that is in an overlay's upper layer.
fn bench() -> (tempfile::TempDir, [Layers; 3]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    sh(path, BASE);
    sh(
        path,
        "cp -a base copy; cd copy; rm etc/a; echo B >etc/b; rm -r dir; echo now-a-file >dir; rm file; mkdir file
         echo in >file/in; rm full/*; echo 3 >full/3; ln -sf etc/b soft; ln etc/b etc/b2
         touch -d @1000 . etc full links etc/b etc/b2 dir file file/in full/3; touch -h -d @1000 soft",
    );
    sh(
        path,
        "mkdir -p upper/etc upper/file upper/full; cd upper; echo B >etc/b; ln etc/b etc/b2; echo now-a-file >dir
         echo in >file/in; echo 3 >full/3; ln -s etc/b soft; find . -exec touch -h -d @1000 {} +",
    );
    let upper = path.join("upper");
    mknodat(CWD, upper.join("etc/a"), FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    mknodat(CWD, upper.join("etc/never"), FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    for opaque in ["file", "full"] {
        xattr::set(&upper.join(opaque), OsStr::new("user.overlay.opaque"), b"y").unwrap();
    }
    sh(path, "touch -d @1000 upper/etc upper/file upper/full");
    let [base, copy] = ["base", "copy"].map(|name| Layers::new([path.join(name)]));
    let overlay = Layers::new([path.join("base"), upper]);
    (directory, [base, copy, overlay])
}

#[test]
fn overlays_and_copies_give_the_same_layer() {
    let (_directory, [base, copy, overlay]) = bench();
    let expected = "+ +dir +etc -etc/a +etc/b +etc/b2 +file +file/in +full -full/1 -full/2 +full/3 +soft";
    assert_eq!(differences(&base, &copy, Clamp::default()), expected);
    assert_eq!(differences(&base, &overlay, Clamp::default()), expected);
    assert_eq!(differences(&base, &base, Clamp::default()), "");
}

#[test]
fn and_back() {
    let (_directory, [base, copy, _]) = bench();
    let expected = "+ +dir +dir/sub +dir/sub/c +etc +etc/a +etc/b -etc/b2 +file +full +full/1 +full/2 -full/3 +soft";
    assert_eq!(differences(&copy, &base, Clamp::default()), expected);
}

#[test]
fn only_what_is_other_is_in_a_layer() {
    let directory = tempfile::tempdir().unwrap();
    sh(directory.path(), BASE);
    for (what, expected) in [
        ("true", ""),
        ("chmod 600 etc/a", "+ +etc +etc/a"),
        ("touch -d @1000 etc/a", ""),
        ("echo x >etc/a; touch -d @1000 etc/a", "+ +etc +etc/a"),
        ("touch etc", "+ +etc"),
        ("chmod 700 dir/sub", "+ +dir +dir/sub"),
        // What were names of one file are two files now.
        ("cp -p links/one x; mv x links/one; touch -d @1000 links .", "+ +links +links/one +links/two"),
        (
            "setfattr -n user.x -v y etc/b || python3 -c 'import os; os.setxattr(\"etc/b\", \"user.x\", b\"y\")'",
            "+ +etc +etc/b",
        ),
        // No archive holds a socket.
        ("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'; touch -d @1000 .", ""),
    ] {
        sh(directory.path(), &format!("rm -rf copy; cp -a base copy; cd copy; {what}"));
        let [base, copy] = ["base", "copy"].map(|name| Layers::new([directory.path().join(name)]));
        assert_eq!(differences(&base, &copy, Clamp::default()), expected, "{what}");
    }
    // Times beyond the limit are one.
    sh(directory.path(), "rm -rf copy; cp -a base copy; cd copy; touch etc etc/a");
    let [base, copy] = ["base", "copy"].map(|name| Layers::new([directory.path().join(name)]));
    assert_eq!(differences(&base, &copy, Clamp::at(1000)), "");
}
