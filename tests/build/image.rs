//! A small Debian root, built once in a run of the tests, for templates that begin with `base`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::support::Larder;

const TEMPLATE: &str = r#"
source "rootfs" "small" {
  debian {
    variant = "apt"
    include = ["ca-certificates", "curl", "kmod", "mount", "python3-minimal"]
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
    // Another template is another image.
    let digest = Sha256::digest(TEMPLATE).iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    let image = directory.join(format!("small-root-{digest}.tar"));
    let lock = File::create(directory.join("small-root.lock")).unwrap();
    lock.lock().unwrap();
    if !image.exists() {
        let larder = Larder::with_shared_cache();
        larder.write("small.pkr.hcl", TEMPLATE);
        let _ = larder.run(["build", "--ui=plain", "small.pkr.hcl"]).expect(0);
        // Copied beside it first: a half-written image must not look finished.
        let part = directory.join("small-root.part");
        fs::copy(larder.dir().join("small.tar"), &part).unwrap();
        fs::rename(part, &image).unwrap();
    }
    image
}

/// A template with one build, `rootfs.t`, on the small root, whose provisioners are `blocks`.
pub(crate) fn template(blocks: &str) -> String {
    format!(
        "source \"rootfs\" \"t\" {{\n  base   = \"{}\"\n  output = \"t.tar\"\n}}\n\
         build {{\n  sources = [\"source.rootfs.t\"]\n{blocks}\n}}\n",
        small().display()
    )
}

/// A shell provisioner that runs the script `file` of the template's directory.
pub(crate) fn script(name: &str, file: &str) -> String {
    format!("  provisioner \"shell\" {{\n    name   = \"{name}\"\n    script = \"${{path.root}}/{file}\"\n  }}\n")
}

/// A shell provisioner of one line.
pub(crate) fn inline(name: &str, line: &str) -> String {
    format!("  provisioner \"shell\" {{\n    name   = \"{name}\"\n    inline = [{line:?}]\n  }}\n")
}
