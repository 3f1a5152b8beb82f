//! A template in legacy JSON builds what the same template in HCL2 builds.

use std::fs;

use crate::busybox::{host, root};
use crate::support::{Larder, is_root};

const JSON: &str = r#"{
  "variables": {"word": "hello", "line": "{{user `word`}} {{user `name`}}", "name": null},
  "builders": [
    {"type": "rootfs", "name": "image", "base": "base", "output": "out/{{build_name}}.tar"},
    {"type": "null", "name": "nothing"}
  ],
  "provisioners": [
    {"type": "shell", "only": ["image"], "environment_vars": "LINE={{user `line`}}",
     "inline": ["echo \"$LINE by $PACKER_BUILD_NAME\" >/etc/line"]},
    {"type": "shell-local", "pause_before": "10ms", "inline": "echo '{{user `line`}}' on {{build_name}} {{build_type}}",
     "override": {"nothing": {"inline": ["echo nothing"]}}}
  ],
  "post-processors": [[{"type": "checksum", "only": ["image"], "checksum_types": "sha256", "output": "out/{{.BuildName}}.sum"}]]
}"#;

const HCL: &str = r#"
variable "word" { default = "hello" }
variable "name" { type = string }
locals { line = "${var.word} ${var.name}" }
source "rootfs" "image" {
  base   = "base"
  output = "out/{{build_name}}.tar"
}
source "null" "nothing" {}
build {
  sources = ["source.rootfs.image", "source.null.nothing"]
  provisioner "shell" {
    only             = ["rootfs.image"]
    environment_vars = ["LINE=${local.line}"]
    inline           = ["echo \"$LINE by $PACKER_BUILD_NAME\" >/etc/line"]
  }
  provisioner "shell-local" {
    pause_before = "10ms"
    inline       = ["echo '${local.line}' on ${source.name} ${source.type}"]
    override     = { nothing = { inline = ["echo nothing"] } }
  }
  post-processors {
    post-processor "checksum" {
      only           = ["rootfs.image"]
      checksum_types = ["sha256"]
      output         = "out/{{.BuildName}}.sum"
    }
  }
}
"#;

/// What the build printed, and what it made.
fn built(template: &str) -> (Vec<String>, Vec<u8>) {
    let larder = Larder::new();
    root(&larder.dir().join("base"));
    larder.write("base/etc/hostname", "host\n");
    host(larder.dir(), "find base -exec touch -hd @1000000000 {} +");
    larder.write(template, if template.ends_with("json") { JSON } else { HCL });
    let run = larder.run(["build", "-color=false", "-var", "name=world", template]).expect(0);
    let lines = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("    "))
        .map(|line| line.trim_start().replace("rootfs.image:", "image:").replace("null.nothing:", "nothing:"));
    let mut lines: Vec<String> = lines.filter(|line| line.contains(": ")).collect();
    lines.sort();
    host(
        larder.dir(),
        "test \"$(tar -xOf out/image.tar ./etc/line)\" = 'hello world by image'
         test \"$(cut -f1 out/image.sum)\" = \"$(sha256sum <out/image.tar | cut -d' ' -f1)\"
         mkdir tree && tar -C tree -xf out/image.tar
         (cd tree && find . | sort && find . -type f -exec sha256sum {} + | sort) >listing",
    );
    (lines, fs::read(larder.dir().join("listing")).unwrap())
}

#[test]
fn both_languages_build_the_same() {
    if !is_root() {
        return;
    }
    let (json_lines, json) = built("t.json");
    let (hcl_lines, hcl) = built("t.pkr.hcl");
    assert_eq!(json_lines, ["image: hello world on image rootfs", "nothing: nothing"]);
    assert_eq!(json_lines, hcl_lines);
    assert_eq!(String::from_utf8_lossy(&json), String::from_utf8_lossy(&hcl));
}

/// Kinds of components there are none of in Larder are named, and the rest is checked all the same.
#[test]
fn components_that_are_not_there_are_named() {
    let larder = Larder::new();
    larder.write(
        "t.json",
        r#"{"builders": [{"type": "virtualbox-iso"}, {"type": "lxc"}, {"type": "null"}],
            "provisioners": [{"type": "goss", "tests": "x.yml"}]}"#,
    );
    let _ = larder.run(["validate", "-syntax-only", "t.json"]).expect(0);
    let _ = larder.run(["inspect", "t.json"]).expect(0);
    for command in ["validate", "build"] {
        let run = larder.run([command, "t.json"]).expect(1);
        for missing in ["builder `virtualbox-iso`", "builder `lxc`", "provisioner `goss`"] {
            assert!(run.stderr.contains(&format!("Larder does not have the {missing} yet")), "{}", run.stderr);
        }
    }
}
