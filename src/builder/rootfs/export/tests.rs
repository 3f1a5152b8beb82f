use std::ffi::OsStr;
use std::process::Command;

use rustix::fs::{Mode, makedev, mknodat};

use super::super::archive::tests::{listing, sample};
use super::*;

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
        let what =
            Export { tree: &self.tree, target: &target, format: Format::of_name(&target), force, exclude: &exclude };
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
        assert_eq!(written.entries as usize, expected.len());
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
        let what =
            Export { tree: &bench.tree, target: &target, format: Format::of_name(&target), force: true, exclude: &[] };
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

#[test]
fn what_is_excluded_is_left_out_with_all_in_it() {
    let bench = bench();
    let target = bench.target("image");
    let exclude = [PathBuf::from("etc"), PathBuf::from("null")];
    let what =
        Export { tree: &bench.tree, target: &target, format: Format::Directory, force: false, exclude: &exclude };
    export(&what, &CancellationToken::new(), &mut |_| {}).unwrap();
    let mut names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["capable", "fifo", "hidden", "long-link"]);
}

#[test]
fn formats_go_by_name_or_option() {
    let of = |name: &str| Format::of_name(Path::new(name));
    assert_eq!([of("a.tar"), of("a.TGZ"), of("a.tar.zst")], [Format::Tar, Format::TarGz, Format::TarZst]);
    assert_eq!([of("a"), of("a.tar/"), of("v1.2")], [Format::Directory, Format::Tar, Format::Directory]);
    assert_eq!(Format::from_option("tar.gz"), Some(Format::TarGz));
    assert_eq!(Format::from_option("zip"), None);
}
