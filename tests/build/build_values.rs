//! `build.*`: unknown when a template is validated, known to a provisioner in the guest.

use crate::busybox;
use crate::support::{Larder, is_root};

const TEMPLATE: &str = r#"
source "rootfs" "t" {
  base   = "root"
  output = "image"
}

build {
  sources = ["source.rootfs.t"]

  provisioner "shell" {
    environment_vars = ["RUN=${build.PackerRunUUID}"]
    inline = [
      "echo \"${build.User}@${build.Host} by ${build.ConnType}\" >/values",
      "echo \"run of ${length(build.PackerRunUUID)}: $RUN\" >>/values",
    ]
  }
  post-processor "shell-local" {
    inline = ["test \"$(tail -n 1 image/values)\" = \"run of 36: ${build.PackerRunUUID}\""]
  }
}
"#;

#[test]
fn build_values_reach_the_guest() {
    if !is_root() {
        return;
    }
    let larder = Larder::new();
    busybox::root(&larder.dir().join("root"));
    larder.write("t.pkr.hcl", TEMPLATE);
    let _ = larder.run(["validate", "t.pkr.hcl"]).expect(0);
    let _ = larder.run(["build", "t.pkr.hcl"]).expect(0);
    let values = std::fs::read_to_string(larder.dir().join("image/values")).unwrap();
    assert!(values.starts_with("root@localhost by rootfs\nrun of 36: "), "{values}");
}
