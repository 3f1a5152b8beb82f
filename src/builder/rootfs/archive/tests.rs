use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;

use tar::{EntryType, Header};

use super::*;

/// One entry, as raw as a test may want it.
fn raw(kind: u8, name: &[u8], link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(kind));
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_mode(0o755);
    for field in [Header::set_uid, Header::set_gid, Header::set_mtime] {
        field(&mut header, 0);
    }
    header.set_size(content.len() as u64);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    header.set_cksum();
    let padding = content.len().next_multiple_of(512) - content.len();
    [header.as_bytes(), content, &vec![0; padding]].concat()
}

fn record(text: &str) -> Vec<u8> {
    raw(b'x', b"PaxHeader", b"", text.as_bytes())
}

fn ended(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

/// A directory `tree` to unpack into, in a directory that must not get anything else.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tree")).unwrap();
        Self { directory }
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    fn unpack(&self, archive: &[u8]) -> Result<Written> {
        let limits = Limits { bytes: 20 << 20, entries: 1000 };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(archive).unwrap();
        unpack(file.path(), &self.tree(), &limits, &CancellationToken::new(), &mut |_| {})
    }
}

fn text(error: &Error) -> String {
    crate::error::chain(error)
}

#[test]
fn hostile_archives_are_refused_and_reach_nothing() {
    let file = |name: &[u8]| raw(b'0', name, b"", b"x");
    let many = ended(&(0..1001).map(|n| file(format!("f{n}").as_bytes())).collect::<Vec<_>>());
    let mut wrong_sum = ended(&[file(b"a")]);
    wrong_sum[100] ^= 1;
    let bomb = zstd::encode_all(ended(&[raw(b'0', b"big", b"", &vec![0; 21 << 20])]).as_slice(), 3).unwrap();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("parent", ended(&[file(b"../out")]), "`..`"),
        ("parent inside", ended(&[file(b"a/../../out")]), "`..`"),
        ("hard link out", ended(&[raw(b'1', b"a", b"../../etc/passwd", b"")]), "`..`"),
        ("hard link to directory", ended(&[raw(b'5', b"d", b"", b""), raw(b'1', b"a", b"d", b"")]), "directory"),
        ("whiteout", ended(&[raw(b'3', b"etc", b"", b"")]), "0/0"),
        ("root is a file", ended(&[file(b".")]), "root"),
        ("root is a link", ended(&[raw(b'2', b".", b"/etc", b"")]), "root"),
        ("empty link", ended(&[raw(b'2', b"a", b"", b"")]), "link to nothing"),
        ("sparse", ended(&[raw(b'S', b"a", b"", b"x")]), "sparse"),
        ("pax sparse", ended(&[record("22 GNU.sparse.major=1\n"), file(b"a")]), "sparse"),
        ("unknown type", ended(&[raw(b'V', b"a", b"", b"")]), "type"),
        ("pax and long name", ended(&[record("10 path=a\n"), raw(b'L', b"l", b"", b"b\0"), file(b"c")]), "both"),
        ("pax length", ended(&[record("99 path=a\n"), file(b"c")]), "PAX"),
        ("pax no length", ended(&[record("path=a\n"), file(b"c")]), "PAX"),
        ("pax nul", ended(&[record("12 path=a\0b\n"), file(b"c")]), "NUL"),
        ("global size", ended(&[raw(b'g', b"g", b"", b"10 size=9\n"), file(b"c")]), "global"),
        ("huge record", ended(&[raw(b'L', b"l", b"", &vec![b'a'; 5 << 20]), file(b"c")]), "4 MiB"),
        ("pax size", ended(&[record("15 size=999999\n"), file(b"c")]), "ends in the middle"),
        ("pax enormous size", ended(&[record("29 size=18446744073709551615\n"), file(b"a")]), "not a number"),
        ("pax size that overflows", ended(&[record("28 size=9223372036854775807\n"), file(b"a")]), "not a number"),
        ("truncated header", file(b"a")[..700].to_vec(), "ends in the middle"),
        ("no end", file(b"a"), "ends in the middle"),
        ("checksum", wrong_sum, "checksum"),
        ("empty", vec![0; 1024], "empty"),
        ("rubbish", b"<html>not found</html>".repeat(50), "neither a tar"),
        ("short", b"hi".to_vec(), "neither a tar"),
        ("too many", many, "more than 1000"),
        ("bomb", bomb, "bomb"),
    ];
    for (name, archive, expected) in cases {
        let bench = Bench::new();
        let error = bench.unpack(&archive).expect_err(name);
        assert!(text(&error).contains(expected), "{name}: {}", text(&error));
        assert_eq!(fs::read_dir(bench.directory.path()).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn links_in_an_archive_lead_nowhere_outside() {
    for target in ["/", "../..", "/proc/self/cwd", "../../../../../../.."] {
        let bench = Bench::new();
        let outside = bench.directory.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let through = format!("l{}", outside.display());
        let archive = ended(&[
            raw(b'2', b"l", target.as_bytes(), b""),
            raw(b'0', b"l/escaped", b"", b"x"),
            raw(b'0', format!("{through}/deep").as_bytes(), b"", b"x"),
            raw(b'2', b"f", outside.join("new").as_os_str().as_bytes(), b""),
            raw(b'0', b"f", b"", b"replaces the link"),
        ]);
        // It may fail or stay inside; it may not write elsewhere.
        let _ = bench.unpack(&archive);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{target}");
        assert_eq!(fs::read_dir(bench.directory.path()).unwrap().count(), 2, "{target}");
        assert!(!Path::new("/escaped").exists());
    }
}

#[test]
fn later_entries_take_the_place_of_earlier_ones() {
    let bench = Bench::new();
    let archive = ended(&[
        raw(b'5', b"usr/lib", b"", b""),
        raw(b'2', b"lib", b"usr/lib", b""),
        raw(b'5', b"lib/", b"", b""),
        raw(b'0', b"lib/a", b"", b"first"),
        raw(b'0', b"/usr/lib/a", b"", b"second"),
        raw(b'1', b"b", b"lib/a", b""),
        raw(b'0', b"dir-as-file/", b"", b""),
    ]);
    let written = bench.unpack(&archive).unwrap();
    assert_eq!(written, Written { entries: 7, bytes: 11, foreign_groups: 0 });
    assert_eq!(fs::read_link(bench.tree().join("lib")).unwrap(), Path::new("usr/lib"));
    assert_eq!(fs::read(bench.tree().join("b")).unwrap(), b"second");
    assert!(bench.tree().join("dir-as-file").is_dir());
}

/// A tree with one of everything.
pub(in crate::builder::rootfs) fn sample(root: &Path) {
    fs::create_dir_all(root.join("etc/deep")).unwrap();
    fs::write(root.join("etc/plain"), "content").unwrap();
    fs::hard_link(root.join("etc/plain"), root.join("etc/twin")).unwrap();
    symlink("../nowhere", root.join("etc/link")).unwrap();
    fs::write(root.join("etc").join("n".repeat(150)), vec![7; 1 << 20]).unwrap();
    symlink("t".repeat(180), root.join("long-link")).unwrap();
    fs::write(root.join("capable"), "#!").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("null"),
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o666),
        null,
    )
    .unwrap();
    std::os::unix::fs::chown(root.join("etc/deep"), Some(33), Some(65534)).unwrap();
    fs::set_permissions(root.join("etc/deep"), fs::Permissions::from_mode(0o2751)).unwrap();
    std::os::unix::fs::chown(root.join("capable"), Some(3_000_000), Some(5)).unwrap();
    fs::set_permissions(root.join("capable"), fs::Permissions::from_mode(0o4755)).unwrap();
    // CAP_NET_RAW, and a byte that is a line end.
    let capability = [1, 0, 0, 2, 0x0a, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    xattr::set(&root.join("capable"), OsStr::new("security.capability"), &capability).unwrap();
    xattr::set(&root.join("etc/deep"), OsStr::new("user.note"), b"a\nb=c").unwrap();
    let old = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: old, last_modification: old };
    let long = format!("etc/{}", "n".repeat(150));
    for path in [long.as_str(), "capable", "fifo", "etc/plain", "etc/link", "etc/deep", "null", "etc", ""] {
        rustix::fs::utimensat(rustix::fs::CWD, root.join(path), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

/// Everything there is to know of a tree, a line an entry; times in seconds.
pub(in crate::builder::rootfs) fn listing(tree: &Layers) -> Vec<String> {
    let mut lines = Vec::new();
    let mut first: HashMap<u64, PathBuf> = HashMap::new();
    tree.walk(&mut |entry| {
        let metadata = &entry.metadata;
        let twin = first.entry(metadata.ino()).or_insert_with(|| entry.path.clone()).display().to_string();
        let link = fs::read_link(&entry.source).unwrap_or_default();
        let content = if metadata.is_file() { fs::read(&entry.source).unwrap() } else { Vec::new() };
        let digest = <sha2::Sha256 as sha2::Digest>::digest(content);
        lines.push(format!(
            "{} {:o} {}:{} {} {} {link:?} {twin} {} {:?}",
            entry.path.display(),
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.rdev(),
            hex::encode(&digest[..4]),
            if metadata.is_symlink() { Vec::new() } else { xattr::list(&entry.source).unwrap() },
        ));
        Ok(true)
    })
    .unwrap();
    lines
}

#[test]
fn a_copied_directory_is_the_same() {
    let bench = Bench::new();
    let from = bench.directory.path().join("from");
    fs::create_dir(&from).unwrap();
    sample(&from);
    let cancel = CancellationToken::new();
    let written = copy_directory(&from, &bench.tree(), &cancel, &mut |_| {}).unwrap();
    assert_eq!(listing(&Layers::new([bench.tree()])), listing(&Layers::new([from.clone()])));
    assert_eq!(written.entries, 11);
    let inside = from.join("etc/deep");
    let error = copy_directory(&from, &inside, &cancel, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("into itself"));
    cancel.cancel();
    assert!(copy_directory(&from, &bench.tree(), &cancel, &mut |_| {}).is_err());
}

#[test]
fn archives_of_gnu_tar_unpack_to_the_same() {
    let bench = Bench::new();
    let from = bench.directory.path().join("from");
    fs::create_dir(&from).unwrap();
    sample(&from);
    let formats: [&[&str]; 6] = [
        &["--format=pax", "--xattrs", "--xattrs-include=*", "-c"],
        &["--format=pax", "--xattrs", "--xattrs-include=*", "-cz"],
        &["--format=pax", "--xattrs", "--xattrs-include=*", "-cJ"],
        &["--format=pax", "--xattrs", "--xattrs-include=*", "-cj"],
        &["--format=pax", "--xattrs", "--xattrs-include=*", "-c", "--zstd"],
        &["--format=gnu", "-c"],
    ];
    for arguments in formats {
        let bench = Bench::new();
        let output = Command::new("tar").args(arguments).arg("-C").arg(&from).arg(".").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        bench.unpack(&output.stdout).unwrap();
        let (mut made, mut expected) = (listing(&Layers::new([bench.tree()])), listing(&Layers::new([from.clone()])));
        if arguments.contains(&"--format=gnu") {
            for line in made.iter_mut().chain(&mut expected) {
                *line = line.split(" [").next().unwrap().to_owned();
            }
        }
        assert_eq!(made, expected, "{arguments:?}");
    }
    assert!(fs::symlink_metadata(from.join("null")).unwrap().file_type().is_char_device());
}

#[test]
fn names_of_attributes_are_any() {
    let from = tempfile::tempdir_in("/var/tmp").unwrap();
    let names = ["user.a=b=c", "user.50%", "user.%3D"];
    fs::write(from.path().join("file"), "").unwrap();
    for name in names {
        xattr::set(&from.path().join("file"), OsStr::new(name), b"=\n\0\xff").unwrap();
    }
    let tree = Layers::new([from.path().to_owned()]);
    let mut tape = crate::builder::rootfs::tape::Tape::new(super::super::tar_writer::TarWriter::new(Vec::new()), "");
    tree.walk(&mut |entry| tape.add(entry).map(|()| true).context(String::new)).unwrap();
    let archive = tape.finish().unwrap();
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| directory.path().join(name));
    for path in [&ours, &theirs] {
        fs::create_dir(path).unwrap();
    }
    let packed = directory.path().join("x.tar");
    fs::write(&packed, archive).unwrap();
    unpack(&packed, &ours, &Limits::default(), &CancellationToken::new(), &mut |_| {}).unwrap();
    let mut command = Command::new("tar");
    command.args(["--xattrs", "--xattrs-include=*", "-xf"]).arg(&packed).arg("-C").arg(&theirs);
    assert!(command.status().unwrap().success());
    let expected = xattr::list(&from.path().join("file")).unwrap();
    assert_eq!(expected.len(), 3);
    for path in [ours, theirs] {
        assert_eq!(xattr::list(&path.join("file")).unwrap(), expected, "{}", path.display());
    }
}

#[test]
fn holes_of_files_stay_holes() {
    let bench = Bench::new();
    let from = bench.directory.path().join("from");
    fs::create_dir(&from).unwrap();
    let file = File::create(from.join("sparse")).unwrap();
    let data = vec![7; 70_000];
    std::os::unix::fs::FileExt::write_all_at(&file, &data, 3 << 30).unwrap();
    file.set_len(1 << 40).unwrap();
    copy_directory(&from, &bench.tree(), &CancellationToken::new(), &mut |_| {}).unwrap();
    let copy = File::open(bench.tree().join("sparse")).unwrap();
    let metadata = copy.metadata().unwrap();
    assert_eq!(metadata.len(), 1 << 40);
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    let mut read = vec![0; data.len() + 1];
    std::os::unix::fs::FileExt::read_exact_at(&copy, &mut read, 3 << 30).unwrap();
    assert!(read[..data.len()] == data && read[data.len()] == 0);
}

#[test]
fn a_long_name_cut_at_a_slash_is_a_file() {
    let name = format!("{}/file", "d".repeat(99));
    let start = &name.as_bytes()[..100];
    assert_eq!(start.last(), Some(&b'/'));
    let archive =
        ended(&[record(&format!("114 path={name}\n")), raw(b'0', start, b"", b"x"), raw(b'0', b"b", b"", b"y")]);
    let bench = Bench::new();
    assert_eq!(bench.unpack(&archive).unwrap().entries, 2);
    assert_eq!(fs::read(bench.tree().join(name)).unwrap(), b"x");
}
