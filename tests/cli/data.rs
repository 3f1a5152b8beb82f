//! Data sources, and the names of sources, as the program has them.

use super::{Larder, Run, assert_shown};

const TEMPLATE: &str = r#"
variable "how" { default = "none" }
data "null" "how" { input = var.how }
locals {
  how = data.null.how.output
}
source "null" "web" { communicator = local.how }
build {
  source "null.web" { name = "front" }
  provisioner "shell-local" {
    inline = ["echo \"${local.how} on ${source.name}, built as $PACKER_BUILD_NAME or {{ build_name }}\""]
  }
}
"#;

fn is_valid(run: &Run) {
    assert_eq!((run.code, run.stdout.as_str()), (0, "The configuration is valid.\n"), "{}", run.stderr);
}

#[test]
fn data_sources_are_read_where_it_is_asked_for() {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", TEMPLATE);
    is_valid(&larder.run(["validate", "t.pkr.hcl"]));
    is_valid(&larder.run(["validate", "-evaluate-datasources", "t.pkr.hcl"]));
    let bad = ["validate", "-var", "how=telepathy", "t.pkr.hcl"];
    is_valid(&larder.run(bad));
    let run = larder.run(["validate", "-evaluate-datasources", "-var", "how=telepathy", "t.pkr.hcl"]).expect(1);
    assert!(run.stderr.contains("unknown communicator `telepathy`"), "{}", run.stderr);
    let run = larder.run(["build", "t.pkr.hcl"]).expect(0);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("none on front, built as web or web"), "{said}");
}

#[test]
fn what_cannot_be_read_is_told_with_what_to_do() {
    let larder = Larder::new();
    let text = "data \"http\" \"page\" { urll = \"x\" }\ndata \"host-info\" \"this\" {}\n\
                locals {\n  a = data.http.page.bdy\n  b = data.host-info.this.anything\n}\n";
    larder.write("wrong.pkr.hcl", text);
    assert_shown!("data_wrong", larder, ["validate", "wrong.pkr.hcl"]);
    let text = "data \"http\" \"page\" { url = \"http://127.0.0.1:1/\" }\nsource \"null\" \"x\" { communicator = \"none\" }\n\
                build {\n  sources = [\"null.x\"]\n  provisioner \"shell-local\" { inline = [data.http.page.body] }\n}\n";
    larder.write("page.pkr.hcl", text);
    is_valid(&larder.run(["validate", "page.pkr.hcl"]));
    assert_shown!("data_not_read", larder, ["build", "page.pkr.hcl"]);
}
