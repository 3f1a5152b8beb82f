//! A small Debian root, built once in a run of the tests, for templates that begin with `base`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::support::Larder;

const TEMPLATE: &str = r#"
source "rootfs" "small" {
  debian {
    variant = "apt"
    include = ["curl", "python3-minimal"]
  }
  output = "small.tar"
}

build {
  sources = ["source.rootfs.small"]
}
"#;

/// The archive. The first test that asks builds it; the others, of other processes too, wait for it.
pub(crate) fn small() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let image = directory.join("small.tar");
    let lock = File::create(directory.join("small.lock")).unwrap();
    lock.lock().unwrap();
    if !image.exists() {
        let larder = Larder::with_shared_cache();
        larder.write("small.pkr.hcl", TEMPLATE);
        let _ = larder.run(["build", "--ui=plain", "small.pkr.hcl"]).expect(0);
        // Copied beside it first: a half-written image must not look finished.
        let part = directory.join("small.part");
        fs::copy(larder.dir().join("small.tar"), &part).unwrap();
        fs::rename(part, &image).unwrap();
    }
    image
}

#[test]
fn a_small_root_builds() {
    if crate::support::is_root() {
        assert!(small().metadata().unwrap().len() > 10_000_000);
    }
}
