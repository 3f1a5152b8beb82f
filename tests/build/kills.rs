use std::path::Path;
use std::process::Command;

use crate::image;
use crate::support::{Larder, Run, is_root};

/// Short, but with downloads and every kind of step but a bootstrap.
const TEMPLATE: &str = r#"
variable "output" {
  type = string
}

variable "variant" {
  type        = string
  description = "Not used: the script's other template has it."
}

source "rootfs" "t" {
  base   = "@BASE@"
  output = var.output
}

build {
  sources = ["source.rootfs.t"]

  provisioner "shell" {
    inline = ["apt-get update -q", "apt-get install -y -q --no-install-recommends zstd"]
  }

  post-processor "checksum" {}
}
"#;

#[test]
fn builds_killed_at_random_points_leave_a_sound_cache_and_nothing_else() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    let template = larder.write("t.pkr.hcl", &TEMPLATE.replace("@BASE@", image::small().to_str().unwrap()));
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/long/kills"));
    larder.settle(&mut command);
    // A program of its own: the script looks for what runs it.
    let program = larder.dir().join("larder");
    std::fs::copy(env!("CARGO_BIN_EXE_larder"), &program).unwrap();
    let run = Run::of(command.arg("3").arg(template).env("LARDER", program).output().unwrap()).expect(0);
    assert!(run.stdout.contains("cache sound, nothing left, the next build succeeded"), "{run:?}");
}
