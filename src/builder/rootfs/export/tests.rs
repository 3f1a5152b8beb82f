use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::super::archive::tests::{listing, sample};
use super::*;
use crate::guest::xattr;

struct Bench {
    directory: tempfile::TempDir,
    tree: Layers,
}

/// The sample tree with a layer over it that removes, replaces and adds.
fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let [base, upper] = ["base", "upper"].map(|name| directory.path().join(name));
    fs::create_dir(&base).unwrap();
    sample(&base);
    fs::create_dir_all(base.join("hidden/below")).unwrap();
    fs::create_dir_all(upper.join("hidden")).unwrap();
    fs::create_dir_all(upper.join("etc")).unwrap();
    fs::write(upper.join("etc/new"), "new").unwrap();
    fs::write(base.join("gone"), "").unwrap();
    mknodat(CWD, upper.join("gone"), FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    xattr::set(&upper.join("hidden"), OsStr::new("user.overlay.opaque"), b"y").unwrap();
    fs::create_dir(directory.path().join("out")).unwrap();
    Bench { tree: Layers::new([base, upper]), directory }
}

impl Bench {
    fn target(&self, name: &str) -> PathBuf {
        self.directory.path().join("out").join(name)
    }

    fn export(&self, name: &str, force: bool) -> Result<Written> {
        let target = self.target(name);
        let exclude = [PathBuf::from("etc/excluded")];
        let what = Export {
            tree: &self.tree,
            target: &target,
            format: Format::of_name(&target),
            force,
            exclude: &exclude,
            clamp: Clamp::default(),
        };
        export(&what, &CancellationToken::new(), &mut |_| {})
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.directory.path().join("out"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn every_format_holds_the_merged_tree() {
    let bench = bench();
    let expected = listing(&bench.tree);
    for name in ["image", "image.tar", "image.tar.gz", "image.tar.zst"] {
        let written = bench.export(name, false).unwrap();
        assert_eq!(written.entries, expected.len() as u64);
        let mut made = bench.target(name);
        if name != "image" {
            // GNU tar is the judge of what we wrote.
            let unpacked = tempfile::tempdir_in(bench.directory.path()).unwrap().keep();
            let output = Command::new("tar")
                .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-p", "-xf"])
                .arg(&made)
                .arg("-C")
                .arg(&unpacked)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            made = unpacked;
        }
        assert_eq!(listing(&Layers::new([made])), expected, "{name}");
    }
    let compared = Command::new("tar")
        .args(["--compare", "--numeric-owner", "-f"])
        .arg(bench.target("image.tar"))
        .arg("-C")
        .arg(bench.target("image"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&compared.stdout), "", "{}", String::from_utf8_lossy(&compared.stderr));
    assert_eq!(bench.names(), ["image", "image.tar", "image.tar.gz", "image.tar.zst"]);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let bench = bench();
    for name in ["tar", "tar.gz", "tar.zst"] {
        let contents = ["one", "two"].map(|stem| {
            let name = format!("{stem}.{name}");
            bench.export(&name, false).unwrap();
            fs::read(bench.target(&name)).unwrap()
        });
        assert_eq!(contents[0], contents[1], "{name}");
    }
}

#[test]
fn what_exists_is_replaced_only_by_force() {
    let bench = bench();
    for name in ["image", "image.tar"] {
        bench.export(name, false).unwrap();
        let error = bench.export(name, false).unwrap_err();
        let text = crate::error::chain(&error);
        assert!(text.contains("exists already") && !error.hints().is_empty(), "{text}");
        let marker = bench.target("image").join("marker");
        fs::write(&marker, "").unwrap();
        bench.export(name, true).unwrap();
        assert_eq!(marker.exists(), name == "image.tar");
    }
    fs::remove_file(bench.target("image.tar")).unwrap();
    fs::create_dir(bench.target("image.tar")).unwrap();
    assert!(crate::error::chain(&bench.export("image.tar", true).unwrap_err()).contains("is a directory"));
    assert_eq!(bench.names(), ["image", "image.tar"]);
}

#[test]
fn a_cancelled_export_leaves_what_was_there() {
    let bench = bench();
    for name in ["image", "image.tar.gz", "image.tar.zst"] {
        let target = bench.target(name);
        if name == "image" {
            fs::create_dir(&target).unwrap();
        } else {
            fs::write(&target, "old").unwrap();
        }
        let cancel = CancellationToken::new();
        let what = Export {
            tree: &bench.tree,
            target: &target,
            format: Format::of_name(&target),
            force: true,
            exclude: &[],
            clamp: Clamp::default(),
        };
        let mut stop = |done: Written| {
            if done.entries == 5 {
                cancel.cancel();
            }
        };
        assert!(export(&what, &cancel, &mut stop).is_err(), "{name}");
        assert!(name == "image" || fs::read_to_string(&target).unwrap() == "old");
    }
    assert_eq!(bench.names(), ["image", "image.tar.gz", "image.tar.zst"]);
    assert_eq!(fs::read_dir(bench.target("image")).unwrap().count(), 0);
}

/// Cancels when it has been given some bytes, and does not want to be given many more.
struct Canceller {
    cancel: CancellationToken,
    given: usize,
}

impl Write for Canceller {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.given += bytes.len();
        if self.given > 1 << 20 {
            self.cancel.cancel();
        }
        assert!(self.given < 1 << 24, "it goes on");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn cancelling_takes_effect_within_a_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::File::create(directory.path().join("huge")).unwrap().set_len(1 << 40).unwrap();
    let tree = Layers::new([directory.path().to_owned()]);
    let (target, clamp) = (PathBuf::from("x.tar"), Clamp::default());
    let what = Export { tree: &tree, target: &target, format: Format::Tar, force: false, exclude: &[], clamp };
    let cancel = CancellationToken::new();
    let output = Canceller { cancel: cancel.clone(), given: 0 };
    assert!(tape(&what, output, &cancel, &mut |_| {}).is_err());
}

#[test]
fn what_is_excluded_is_left_out_with_all_in_it() {
    let bench = bench();
    let target = bench.target("image");
    let exclude = [PathBuf::from("etc"), PathBuf::from("null")];
    let what = Export {
        tree: &bench.tree,
        target: &target,
        format: Format::Directory,
        force: false,
        exclude: &exclude,
        clamp: Clamp::default(),
    };
    export(&what, &CancellationToken::new(), &mut |_| {}).unwrap();
    let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["capable", "fifo", "hidden", "long-link"]);
}

#[test]
fn formats_go_by_name_or_option() {
    let of = |name: &str| Format::of_name(Path::new(name));
    assert_eq!([of("a.tar"), of("a.TGZ"), of("a.tar.zst")], [Format::Tar, Format::TarGz, Format::TarZst]);
    assert_eq!([of("a.oci"), of("a.oci.tar")], [Format::Oci, Format::OciArchive]);
    assert_eq!([of("a"), of("a.tar/"), of("v1.2")], [Format::Directory, Format::Tar, Format::Directory]);
    assert_eq!(Format::from_option("tar.gz"), Some(Format::TarGz));
    assert_eq!(Format::from_option("oci-archive"), Some(Format::OciArchive));
    assert_eq!(Format::from_option("zip"), None);
}

/// By hand, in `unshare -m`: `mount -t tmpfs -o size=600k none /mnt`, then with `LARDER_SMALL=/mnt`.
#[test]
#[ignore = "needs a file system that is too small"]
fn what_does_not_fit_leaves_nothing() {
    let bench = bench();
    let small = PathBuf::from(std::env::var_os("LARDER_SMALL").expect("a small file system"));
    for name in ["image", "image.tar", "image.tar.gz", "image.tar.zst"] {
        let noise: Vec<u8> = (0..2_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        fs::write(bench.directory.path().join("upper/noise"), noise).unwrap();
        let target = small.join(name);
        let what = Export {
            tree: &bench.tree,
            target: &target,
            format: Format::of_name(&target),
            force: false,
            exclude: &[],
            clamp: Clamp::default(),
        };
        let text = crate::error::chain(&export(&what, &CancellationToken::new(), &mut |_| {}).unwrap_err());
        println!("{text}");
        assert!(text.contains("No space left") && text.contains(name), "{text}");
        assert_eq!(fs::read_dir(&small).unwrap().count(), 0);
    }
}

/// By hand: `LARDER_TREE=/a/debian/tree cargo nextest run --run-ignored only given_tree`.
#[test]
#[ignore = "exports a tree that is given, and says how long it takes"]
fn a_given_tree_survives_every_format() {
    let tree = PathBuf::from(std::env::var_os("LARDER_TREE").expect("a tree"));
    let layers = Layers::new([tree.clone()]);
    let expected = listing(&layers);
    let directory = tempfile::tempdir_in(tree.parent().unwrap()).unwrap();
    let cancel = CancellationToken::new();
    for name in ["image", "image.tar", "image.tar.gz", "image.tar.zst"] {
        let target = directory.path().join(name);
        let what = Export {
            tree: &layers,
            target: &target,
            format: Format::of_name(&target),
            force: false,
            exclude: &[],
            clamp: Clamp::default(),
        };
        let started = std::time::Instant::now();
        let written = export(&what, &cancel, &mut |_| {}).unwrap();
        let exported = started.elapsed();
        let size = fs::metadata(&target).unwrap().len();
        if name == "image" {
            println!("{name}: {written:?} in {exported:?}");
            assert_eq!(listing(&Layers::new([target])), expected);
            continue;
        }
        let compared =
            Command::new("tar").args(["--compare", "--numeric-owner", "-f"]).arg(&target).arg("-C").arg(&tree).output();
        let compared = compared.unwrap();
        let text = String::from_utf8_lossy(&compared.stdout).into_owned();
        let differences: Vec<_> = text.lines().filter(|line| !line.ends_with("Mod time differs")).collect();
        assert_eq!(differences, [""; 0], "{}", String::from_utf8_lossy(&compared.stderr));
        let back = directory.path().join("back");
        fs::create_dir(&back).unwrap();
        let started = std::time::Instant::now();
        archive::unpack(&target, &back, &archive::Limits::default(), &cancel, &mut |_| {}).unwrap();
        println!("{name}: {size} bytes in {exported:?}, unpacked in {:?}", started.elapsed());
        assert_eq!(listing(&Layers::new([back.clone()])), expected);
        fs::remove_dir_all(back).unwrap();
    }
}

#[test]
fn with_a_clamp_the_image_does_not_tell_when_it_was_made() {
    let epoch = 1_600_000_000;
    let mut made = Vec::new();
    for later in [1_700_000_000, 1_800_000_000] {
        let bench = bench();
        let time = |path: &str, seconds| {
            let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: 5 };
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            let path = bench.directory.path().join(path);
            rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
        };
        bench
            .tree
            .walk(&mut |entry| {
                time(entry.source.strip_prefix(bench.directory.path()).unwrap().to_str().unwrap(), later);
                Ok(true)
            })
            .unwrap();
        time("upper/etc/new", epoch - 10);
        let mut images = Vec::new();
        for name in ["image", "image.tar", "image.tar.gz", "image.tar.zst"] {
            let target = bench.target(name);
            let what = Export {
                tree: &bench.tree,
                target: &target,
                format: Format::of_name(&target),
                force: false,
                exclude: &[],
                clamp: Clamp::at(u32::try_from(epoch).unwrap()),
            };
            export(&what, &CancellationToken::new(), &mut |_| {}).unwrap();
            images.push(match name {
                "image" => listing(&Layers::new([target.clone()])).join("\n").into_bytes(),
                _ => fs::read(&target).unwrap(),
            });
        }
        let seconds = |path: &str| fs::metadata(bench.target(path)).unwrap().mtime();
        assert_eq!([seconds("image/etc/new"), seconds("image"), seconds("image/etc")], [epoch - 10, epoch, epoch]);
        made.push(images);
    }
    assert!(made[0] == made[1]);
}
