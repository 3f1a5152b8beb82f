use super::*;

fn sh(directory: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-euc", line]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A tree of what archives trip over.
fn sample() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    sh(
        directory.path(),
        "mkdir -p tree/etc tree/bin; cd tree; echo a >etc/a; ln etc/a etc/hard; ln -s a etc/soft; chmod 640 etc/a
         chown 7:70000 etc/a; mknod null c 1 3; mkfifo pipe; head -c 3000000 /dev/urandom >bin/big; chmod 4755 bin/big
         setcap cap_net_raw+ep bin/big 2>/dev/null ||
           python3 -c 'import os; os.setxattr(\"bin/big\", \"user.x\", b\"y\")'
         chmod 711 .; chown 3:4 .; find . -exec touch -h -d @1500000000 {} +",
    );
    directory
}

fn write_to(directory: &Path, name: &str, config: &FilesystemConfig) -> Result<()> {
    let tree = Layers::new([directory.join("tree")]);
    let (scratch, stand_ins) = (directory.join("scratch"), true);
    let image = Image { tree: &tree, config, name: "t", clamp: Clamp::at(1_600_000_000), scratch: &scratch, stand_ins };
    let target = directory.join(name);
    write(&image, &target, Format::of_name(&target), false, &CancellationToken::new(), &mut |_| {})
}

/// What a listing has of everything: type, mode, owner, time, link, and a digest.
const LOOK: &str = "stat -c %a .; find . -mindepth 1 -printf '%P %y %m %U:%G %Ts %l %n\\n' | sort
    sha256sum bin/big etc/hard; getfattr -d -m - bin/big 2>/dev/null || :";

#[test]
fn a_squashfs_holds_the_tree() {
    if check_program(Format::Squashfs).is_err() || !rustix::process::geteuid().is_root() {
        return;
    }
    let sample = sample();
    let config = FilesystemConfig::default();
    write_to(sample.path(), "x.squashfs", &config).unwrap();
    sh(sample.path(), "unsquashfs -q -no-progress -d back x.squashfs >&2");
    assert_eq!(sh(&sample.path().join("back"), LOOK), sh(&sample.path().join("tree"), LOOK));
    write_to(sample.path(), "y.squashfs", &config).unwrap();
    sh(sample.path(), "cmp x.squashfs y.squashfs");
}

#[test]
fn an_ext4_holds_the_tree() {
    if check_program(Format::Ext4).is_err() || !rustix::process::geteuid().is_root() {
        return;
    }
    let sample = sample();
    let config = FilesystemConfig { label: Some("provisions".to_owned()), ..FilesystemConfig::default() };
    write_to(sample.path(), "x.ext4", &config).unwrap();
    let path = sample.path();
    sh(path, "e2fsck -fn x.ext4");
    let stat = |file: &str| sh(path, &format!("debugfs -R 'stat {file}' x.ext4 2>/dev/null"));
    let root = stat("/");
    assert!(root.contains("Mode:  0711") && root.contains("User:     3   Group:     4"), "{root}");
    let file = stat("/etc/hard");
    assert!(file.contains("User:     7   Group: 70000") && file.contains("Links: 2"), "{file}");
    assert!(file.contains("mtime: 0x59682f00"), "{file}");
    assert!(stat("/null").contains("Type: character special"));
    let super_block = sh(path, "dumpe2fs -h x.ext4 2>/dev/null");
    assert!(super_block.contains("Filesystem volume name:   provisions"), "{super_block}");
    let uuid = image_uuid(path);
    assert!(super_block.contains(&uuid), "{super_block}");
    assert!(!path.join("scratch").exists());

    let small = FilesystemConfig { size: Some("1M".to_owned()), ..config };
    let error = write_to(path, "y.ext4", &small).unwrap_err();
    let text = crate::error::chain(&error);
    assert!(text.contains("mke2fs failed"), "{text}");
    assert_eq!(sh(path, "ls -A"), "tree\nx.ext4\n");
}

#[test]
fn what_stands_for_a_device_is_one_in_an_ext4_and_overlays_leave_no_trace() {
    if check_program(Format::Ext4).is_err() || !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir_in("/var/tmp").unwrap();
    let path = directory.path();
    sh(
        path,
        "mkdir -p tree/dev upper/gone tree/a upper/a; echo x >tree/file; echo y >tree/a/below; mknod upper/file c 0 0
         : >\"tree/dev/a \\\"b\"; : >tree/disk; chmod 620 tree/disk; chown 3:70000 tree/disk; touch -d @1500000000 tree/disk",
    );
    for (file, value) in [("dev/a \"b", "c 5:7000"), ("disk", "b 259:1")] {
        xattr::set(&path.join("tree").join(file), std::ffi::OsStr::new("user.larder.device"), value.as_bytes())
            .unwrap();
    }
    xattr::set(&path.join("upper/a"), std::ffi::OsStr::new("user.overlay.opaque"), b"y").unwrap();
    let tree = Layers::new(["tree", "upper"].map(|name| path.join(name)));
    let image = |target: &str| {
        let (scratch, config) = (path.join("scratch"), FilesystemConfig::default());
        let clamp = Clamp::at(1_600_000_000);
        let image = Image { tree: &tree, config: &config, name: "t", clamp, scratch: &scratch, stand_ins: true };
        write(&image, &path.join(target), Format::Ext4, false, &CancellationToken::new(), &mut |_| {}).unwrap();
    };
    image("x.ext4");
    sh(path, "e2fsck -fn x.ext4");
    let stat = |file: &str| sh(path, &format!("debugfs -R 'stat \"{file}\"' x.ext4 2>&1"));
    let disk = stat("/disk");
    for expected in ["Type: block", "Mode:  0620", "User:     3   Group: 70000", "259:01", "mtime: 0x59682f00"] {
        assert!(disk.contains(expected), "{expected}: {disk}");
    }
    let console = stat("/dev/a \"\"b");
    assert!(console.contains("Type: character") && console.contains("5:7000"), "{console}");
    assert!(!disk.contains("larder"), "{disk}");
    assert!(stat("/file").contains("not found") && stat("/a/below").contains("not found"));
    assert!(!stat("/a").contains("overlay"), "{}", stat("/a"));
}

fn image_uuid(directory: &Path) -> String {
    let tree = Layers::new([directory.join("tree")]);
    let config = FilesystemConfig::default();
    let clamp = Clamp::at(1_600_000_000);
    Image { tree: &tree, config: &config, name: "t", clamp, scratch: directory, stand_ins: false }.fixed_uuid().unwrap()
}

#[test]
fn sizes_and_names_are_checked() {
    for (size, expected) in
        [("1M", Some(1 << 20)), ("2G", Some(2 << 30)), ("1K", None), ("G", None), ("-1G", None), ("2é", None)]
    {
        assert_eq!(bytes(size), expected, "{size}");
    }
    let wrong = FilesystemConfig {
        size: Some("big".to_owned()),
        label: Some("seventeen letters".to_owned()),
        uuid: Some("x".to_owned()),
        compression: "brotli".to_owned(),
    };
    let options: Vec<_> = wrong.problems().into_iter().map(|problem| problem.option).collect();
    assert_eq!(options, ["filesystem.size", "filesystem.label", "filesystem.uuid", "filesystem.compression"]);
}
