use std::fs;
use std::os::unix::fs::symlink;

use super::super::tar_writer::{Content, TarWriter};
use super::*;
use crate::guest::rooted::Attributes;

fn options() -> Options {
    Options { limits: Limits::default(), times: true, exclude: globset::GlobSet::empty(), lines: 20 }
}

fn lines(a: &Path, b: &Path, options: &Options) -> Vec<String> {
    let found = compare(a, b, options, &CancellationToken::new()).unwrap();
    let line = |one: &Difference| {
        let changes: Vec<String> = one.changes.iter().map(|c| format!("{} {}>{}", c.of, c.a, c.b)).collect();
        format!("{:?} {}: {}", one.what, one.path, changes.join(", "))
    };
    found.differences.iter().map(line).collect()
}

#[test]
fn every_kind_of_change_is_seen() {
    let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for (directory, target, text) in [(&a, "x", "one\n"), (&b, "y", "two\n")] {
        let path = |name: &str| directory.path().join(name);
        fs::write(path("content"), text).unwrap();
        fs::write(path("same"), "s").unwrap();
        symlink(target, path("link")).unwrap();
    }
    fs::write(a.path().join("type"), "").unwrap();
    fs::create_dir(b.path().join("type")).unwrap();
    fs::hard_link(b.path().join("same"), b.path().join("twin")).unwrap();
    fs::write(a.path().join("twin"), "s").unwrap();
    fs::write(a.path().join("gone"), "").unwrap();
    fs::write(b.path().join("new"), "").unwrap();
    rustix::fs::chmod(b.path().join("same"), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    rustix::fs::chmod(a.path().join("same"), rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
    rustix::fs::chmod(a.path().join("twin"), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
    let without_times = Options { times: false, ..options() };
    assert_eq!(
        lines(a.path(), b.path(), &without_times),
        [
            "Changed content: content 4 bytes>4 bytes",
            "Removed gone: ",
            "Changed link: target x>y",
            "Added new: ",
            "Changed same: mode 0644>0755",
            "Changed twin: link >same",
            "Changed type: type file>directory",
        ]
    );
    for (directory, seconds) in [(&a, 5), (&b, 6)] {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        fs::File::open(directory.path().join("content")).unwrap().set_modified(time).unwrap();
    }
    let seen = lines(a.path(), b.path(), &options());
    let expected = "content: time 1970-01-01T00:00:05Z>1970-01-01T00:00:06Z, content 4 bytes>4 bytes";
    assert!(seen.iter().any(|line| line.ends_with(expected)), "{seen:?}");
    assert!(lines(a.path(), a.path(), &options()).is_empty());
}

#[test]
fn hostile_archives_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let attributes = Attributes { mode: 0o644, uid: 0, gid: 0, mtime: (0, 0) };
    let write = |name: &str, entries: &[(&str, Content<'_>)]| {
        let mut tar = TarWriter::new(Vec::new());
        for (path, content) in entries {
            let size = if let Content::File(size) = content { *size } else { 0 };
            tar.entry(Path::new(path), &attributes, &[], *content, &mut io::repeat(0).take(size)).unwrap();
        }
        let path = directory.path().join(name);
        fs::write(&path, tar.finish().unwrap()).unwrap();
        path
    };
    let good = write("good.tar", &[("a", Content::File(1))]);
    let refused = |path: &Path, options: &Options| {
        let error = compare(&good, path, options, &CancellationToken::new()).unwrap_err();
        crate::error::chain(&error)
    };
    let up = write("up.tar", &[("a/../../b", Content::File(1))]);
    assert!(refused(&up, &options()).contains(".."));
    let nothing = write("nothing.tar", &[("b", Content::HardLink(Path::new("/etc/passwd")))]);
    assert!(refused(&nothing, &options()).contains("hard link to nothing"));
    let bomb = write("bomb.tar", &[("b", Content::File(100_000))]);
    let small = Options { limits: Limits { bytes: 50_000, entries: 2 }, ..options() };
    assert!(refused(&bomb, &small).contains("more than the limit"));
    let many = write("many.tar", &[("a", Content::Fifo), ("b", Content::Fifo), ("c", Content::Fifo)]);
    assert!(refused(&many, &small).contains("more than 2 entries"));
    let mut cut = fs::read(&good).unwrap();
    cut.truncate(600);
    fs::write(directory.path().join("cut.tar"), cut).unwrap();
    assert!(refused(&directory.path().join("cut.tar"), &options()).contains("ends in the middle"));
}

#[test]
fn an_archive_packed_with_bzip2_is_unpacked() {
    let directory = tempfile::tempdir().unwrap();
    let [tree, packed] = ["tree", "x.tar.bz2"].map(|name| directory.path().join(name));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "content").unwrap();
    let status = std::process::Command::new("tar").arg("-cjf").arg(&packed).arg("-C").arg(&tree).arg(".").status();
    assert!(status.unwrap().success());
    assert_eq!(lines(&tree, &packed, &Options { times: false, ..options() }), [""; 0]);
    fs::write(tree.join("file"), "Content").unwrap();
    let changed = lines(&tree, &packed, &Options { times: false, ..options() });
    assert_eq!(changed, ["Changed file: content 7 bytes>7 bytes"]);
}
