//! What is wrong with a template, and with the values for it.

use super::{Larder, assert_shown};

#[test]
fn templates_that_are_not_there() {
    let larder = Larder::new();
    larder.write("empty/notes.txt", "");
    larder.write("packer.json", "{}");
    assert_shown!("missing_template", larder, ["build", "nowhere.pkr.hcl"]);
    assert_shown!("directory_without_templates", larder, ["validate", "empty"]);
    assert_shown!("legacy_template", larder, ["validate", "packer.json"]);
}

#[test]
fn syntax_errors_of_two_blocks() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        "variable \"a\" {\n  default =\n}\n\nsource \"null\" \"x\" {}\n\nbuild {\n  sources = [\"null.x\"\n}\n",
    );
    assert_shown!("syntax_errors", larder, ["validate", "t.pkr.hcl"]);
    assert_shown!("syntax_errors_alone", larder, ["validate", "-syntax-only", "t.pkr.hcl"]);
}

/// What is found while evaluating and what components find are told together, in the order of the file.
#[test]
fn semantic_errors_all_at_once() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        r#"variable "needed" {
  type = string
}
variable "count" {
  type    = number
  default = "many"
}
locals {
  a = local.b
  b = "${local.a}!"
  c = var.nowhere
}
source "null" "x" {
  comunicator = "none"
}
source "nul" "y" {}
source "file" "z" {
  content = ["a"]
}
build {
  sources = ["source.null.x", "source.nul.y", "source.file.z", "source.null.w"]
  provisioner "shel" {
    inline = ["true"]
  }
  provisioner "shell-local" {
    inlin = ["true"]
  }
  provisioner "sleep" {
    duration = "5 bananas"
  }
  post-processor "manifst" {}
}
"#,
    );
    assert_shown!("semantic_errors", larder, ["validate", "t.pkr.hcl"]);
    let build = larder.run(["build", "t.pkr.hcl"]).expect(1);
    assert_eq!(build.stderr, larder.run(["validate", "t.pkr.hcl"]).stderr);
    // What is declared is looked at, as by Packer, and nothing of what is built.
    let syntax = larder.run(["validate", "-syntax-only", "t.pkr.hcl"]).expect(1).stderr;
    assert!(syntax.starts_with("error: the default of `count` does not fit its type\n"), "{syntax}");
    assert_eq!(syntax.matches("error:").count(), 2, "{syntax}");
}

#[test]
fn values_for_variables() {
    let larder = super::demo();
    larder.write("undeclared.pkrvars.hcl", "whom = \"all\"\n");
    larder.write("broken.pkrvars.hcl", "who = [\n");
    larder.write("wrong.pkrvars.hcl", "who = [\"a\"]\n");
    assert_shown!("undeclared_var", larder, ["validate", "-var", "whoo=x", "demo.pkr.hcl"]);
    assert_shown!("var_without_value", larder, ["validate", "-var", "who", "demo.pkr.hcl"]);
    assert_shown!("missing_var_file", larder, ["validate", "-var-file=nowhere.pkrvars.hcl", "demo.pkr.hcl"]);
    assert_shown!("undeclared_in_file", larder, ["validate", "-var-file=undeclared.pkrvars.hcl", "demo.pkr.hcl"]);
    assert_shown!("broken_var_file", larder, ["validate", "-var-file=broken.pkrvars.hcl", "demo.pkr.hcl"]);
    assert_shown!("wrong_in_file", larder, ["validate", "-var-file=wrong.pkrvars.hcl", "demo.pkr.hcl"]);
}

#[test]
fn a_selection_of_nothing() {
    let larder = super::demo();
    assert_shown!("only_nothing", larder, ["build", "-only=*.missing", "demo.pkr.hcl"]);
    assert_shown!("except_everything", larder, ["build", "-except=*", "demo.pkr.hcl"]);
}
