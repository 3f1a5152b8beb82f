use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::super::record::{Entry, Record};
use super::*;

#[test]
fn removes_a_tree_and_follows_no_link_out_of_it() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "x").unwrap();
    let tree = scratch.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::write(tree.join("a/b/file"), "x").unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    remove_tree(&tree).unwrap();
    assert!(!tree.exists());
    assert!(outside.join("kept").exists());
    remove_tree(&tree).unwrap();
}

#[test]
fn a_link_in_place_of_the_tree_is_removed_and_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("kept"), "x").unwrap();
    symlink(scratch.path(), scratch.path().join("tree")).unwrap();
    remove_tree(&scratch.path().join("tree")).unwrap();
    assert!(scratch.path().join("kept").exists());
}

#[test]
fn removes_what_is_nested_deeper_than_descriptors_last() {
    let scratch = tempfile::tempdir().unwrap();
    let tree = scratch.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let mut at = rustix::fs::open(&tree, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, "d", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    }
    remove_tree(&tree).unwrap();
    assert!(!tree.exists());
}

#[test]
fn reads_mount_points_with_escapes() {
    let line = b"36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime - ext3 /dev/root rw";
    assert_eq!(mount_point(line).unwrap(), Path::new("/a b\\c"));
    assert_eq!(mount_point(b""), None);
}

#[test]
fn finds_mounts_at_and_below_a_path_only() {
    assert!(mount_inside(Path::new("/proc")).unwrap().is_some());
    assert!(mount_inside(Path::new("/")).unwrap().is_some());
    assert_eq!(mount_inside(Path::new("/pro")).unwrap(), None);
}

#[test]
fn refuses_a_tree_with_a_mount() {
    let error = remove_tree(Path::new("/proc")).unwrap_err();
    assert!(error.to_string().contains("/proc is mounted in it"), "{error}");
}

#[test]
fn cleans_up_after_a_dead_run_and_not_a_living_one() {
    let state = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let held = Record::create(state.path(), "run", "test", SystemTime::UNIX_EPOCH).unwrap();
    let tree = scratch.path().join("tree");
    held.make_tree(&tree).unwrap();
    fs::write(tree.join("file"), "x").unwrap();
    let mut child = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    held.add(&Entry::process(child.id(), "sleeper")).unwrap();

    let run = list(state.path()).unwrap().remove(0);
    let error = cleanup(&run).unwrap_err();
    assert!(error.to_string().contains("still under way"), "{error}");
    assert!(tree.exists());

    drop(held);
    let cleaned = cleanup(&run).unwrap();
    assert_eq!(cleaned.processes, [(child.id(), "sleeper".to_owned())]);
    assert_eq!(cleaned.trees, std::slice::from_ref(&tree));
    assert!(!tree.exists());
    assert!(!child.wait().unwrap().success());
    assert_eq!(list(state.path()).unwrap(), []);
}

#[test]
fn a_process_ends_with_its_children() {
    let state = tempfile::tempdir().unwrap();
    let held = Record::create(state.path(), "run", "test", SystemTime::UNIX_EPOCH).unwrap();
    // As a guest's launcher does, it waits for the one process it has started.
    let mut parent = Command::new("sh")
        .args(["-c", "sleep 1000 & echo $!; wait"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let child: u32 = line.trim().parse().unwrap();
    assert_eq!(super::parent(child), Some(parent.id()));
    held.add(&Entry::process(parent.id(), "launcher")).unwrap();
    drop(held);
    cleanup(&list(state.path()).unwrap().remove(0)).unwrap();
    parent.wait().unwrap();
    // Nobody may have collected it yet; it runs no more.
    let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}
