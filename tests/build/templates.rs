//! The templates that come with Larder: valid, described, and doing what their descriptions say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::image;
use crate::support::{Larder, Run, is_root};

fn templates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")
}

/// A user's machine with the templates in its working directory.
fn larder() -> Larder {
    let larder = Larder::with_shared_cache();
    std::os::unix::fs::symlink(templates(), larder.dir().join("templates")).unwrap();
    larder
}

/// Variables that a template says it has, as `inspect` lists them.
fn variables(inspection: &Run) -> Vec<String> {
    let names = inspection.stdout.lines().filter_map(|line| line.strip_prefix("var.")?.split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_template_is_valid_and_described() {
    let mut seen = 0;
    for entry in fs::read_dir(templates()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("templates/{name}");
        let larder = larder();
        // What `archive-rootfs` begins with.
        larder.write("output-debian-rootfs/rootfs.tar.zst", "");
        let inspection = larder.run(["inspect", &path]).expect(0);
        assert!(larder.run(["validate", &path]).expect(0).stderr.is_empty());
        let readme = fs::read_to_string(templates().join(&name).join("README.md")).unwrap();
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
        assert!(readme.contains(&format!("larder build templates/{name}\n")), "{name}");
        for variable in variables(&inspection) {
            assert!(readme.contains(&format!("| `{variable}` |")), "{name}: {variable}");
        }
        seen += 1;
    }
    assert!(seen >= 3);
}

/// Requests for each package, and answers of upstream with a body.
fn packages(run: &Run) -> BTreeMap<String, (usize, usize)> {
    let mut found = BTreeMap::<_, (usize, usize)>::new();
    for event in run.events().iter().filter(|event| event["type"] == "flow") {
        let flow = &event["flow"];
        let url = flow["url"].as_str().unwrap();
        if Path::new(url).extension().is_some_and(|suffix| suffix == "deb") {
            let counts = found.entry(url.to_owned()).or_default();
            counts.0 += 1;
            counts.1 += usize::from(flow["bytes_upstream"].as_u64() > Some(0));
        }
    }
    found
}

#[test]
fn two_builds_share_what_both_need() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let build = ["build", "--ui=json", "-var", "directory=out", "templates/two-builds"];
    let run = larder.run(build).expect(0);
    let packages = packages(&run);
    let asked_for = |times| packages.values().filter(|counts| counts.0 == times).count();
    assert!(asked_for(2) > 50 && asked_for(1) > 5 && asked_for(1) + asked_for(2) == packages.len(), "{packages:?}");
    assert!(packages.values().all(|counts| counts.1 <= 1), "{packages:?}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(larder.dir().join("out/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["builds"].as_array().unwrap().len(), 2);
    for (name, own) in [("web", "nginx-light"), ("database", "sqlite3")] {
        let archive = larder.dir().join(format!("out/{name}.tar.zst"));
        let read = |file: &str| {
            let output = std::process::Command::new("tar").arg("-xOf").arg(&archive).arg(file).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(read("./etc/role"), format!("{name}\n"));
        let installed = read("./etc/packages");
        for package in ["curl", "nginx-light", "sqlite3"] {
            let expected = package == "curl" || package == own;
            assert_eq!(installed.contains(&format!("\n{package}\t")), expected, "{name}: {package}");
        }
    }
}

#[test]
fn archive_rootfs_begins_with_the_archive_of_debian_rootfs() {
    if !is_root() {
        return;
    }
    let larder = larder();
    let base = larder.dir().join("output-debian-rootfs/rootfs.tar.zst");
    fs::create_dir(base.parent().unwrap()).unwrap();
    let image = image::small();
    let digest = hex::encode(Sha256::digest(fs::read(&image).unwrap()));
    std::os::unix::fs::symlink(&image, &base).unwrap();
    let checksum = larder.write("output-debian-rootfs/rootfs.tar.zst.sha256", "");
    for (line, code) in [("0".repeat(64), 1), (digest, 0)] {
        fs::write(&checksum, format!("{line}  rootfs.tar.zst\n")).unwrap();
        let run = larder.run(["build", "--ui=plain", "templates/archive-rootfs"]).expect(code);
        assert_eq!(run.stdout.contains("is now a worker."), code == 0, "{run:?}");
        assert_eq!(larder.dir().join("output-archive-rootfs/rootfs.tar.zst").exists(), code == 0);
    }
}
