use super::*;
use crate::template::hcl::syntax::parser::parse;
use crate::template::hcl::syntax::shape;
use crate::template::json::parse::parse_repeated;

/// The tree of a JSON text, and what is wrong with it.
fn read(text: &str) -> (Body, Vec<String>) {
    let mut sources = SourceMap::default();
    let file = sources.add("t.pkr.json", text);
    let mut diagnostics = Diagnostics::default();
    let root = parse_repeated(file, text, &mut diagnostics).expect("it is JSON");
    let body = body(&root, &sources, &mut diagnostics);
    (body, diagnostics.iter().map(|found| found.one_line(&sources)).collect())
}

const JSON: &str = r#"{
  "//": "in JSON",
  "packer": {"required_version": ">= 1.7", "required_plugins": {"x": {"version": "1"}}},
  "variable": {
    "name": {"type": "list(string)", "default": ["a", null, true, 1.50], "//": "whom"},
    "other": {"validation": [{"condition": "${var.list[0] > 0}"}]}
  },
  "locals": [{"a": "hello ${var.name}"}, {"b": "$${x} \"\\q\n", "c": {"k-${d}": {}}}],
  "source": {"null": {"web": {"dynamic": {"disk": {"for_each": [], "content": {"size": 1}}}}, "db": [{}, {}]}},
  "build": {
    "sources": ["source.null.web"],
    "provisioner": [{"shell": {"inline": ["%{ if a }b%{ endif }"]}}, {"file": [{"a": 1}, {"b": 2}]}],
    "post-processors": [{"post-processor": [{"checksum": {}}]}],
    "dynamic": {"provisioner": {"labels": ["shell"], "content": {}}},
    "post-processor": null
  }
}"#;

const HCL: &str = r#"
packer {
  required_version = ">= 1.7"
  required_plugins {
    x = { "version" = "1" }
  }
}
variable "name" {
  type    = list(string)
  default = ["a", null, true, 1.50]
}
variable "other" {
  validation { condition = "${var.list[0] > 0}" }
}
locals { a = "hello ${var.name}" }
locals {
  b = "$${x} \"\\q\n"
  c = { "k-${d}" = {} }
}
source "null" "web" {
  dynamic "disk" {
    for_each = []
    content { size = 1 }
  }
}
source "null" "db" {}
source "null" "db" {}
build {
  sources = ["source.null.web"]
  provisioner "shell" { inline = ["%{ if a }b%{ endif }"] }
  provisioner "file" { a = 1 }
  provisioner "file" { b = 2 }
  post-processors {
    post-processor "checksum" {}
  }
  dynamic "provisioner" {
    labels = ["shell"]
    content {}
  }
}
"#;

#[test]
fn the_tree_is_that_of_the_same_template_in_hcl() {
    let (body, wrong) = read(JSON);
    assert_eq!(wrong, Vec::<String>::new());
    let mut diagnostics = Diagnostics::default();
    let file = SourceMap::default().add("t.pkr.hcl", HCL);
    let native = parse(file, HCL, &mut diagnostics);
    assert!(diagnostics.is_empty());
    // Keys in HCL that are plain strings are those of JSON.
    assert_eq!(shape::body(&body), shape::body(&native));
}

#[test]
fn places_are_those_in_the_json() {
    for (text, expected) in [
        (r#"{"locals": {"a": "x ${1 +}"}}"#, "t.pkr.json:1:26: error: a value is needed here: found `}`"),
        // Where characters are escaped, it is only known in which string.
        (r#"{"locals": {"a": "\n ${1 +}"}}"#, "t.pkr.json:1:18: error: a value is needed here: found `}`"),
        (r#"{"locals": {"a": "${b"}}"#, "t.pkr.json:1:19: error: this `${` is not closed"),
        (r#"{"locals": {"a": "%{ if b }"}}"#, "t.pkr.json:1:19: error: this `%{ if }` has no `%{ endif }`"),
        (r#"{"locals": {"${a": 1}}"#, "t.pkr.json:1:13: error: this cannot be the name of an option or block"),
        (r#"{"locals": {"a": {"${b": 1}}}"#, "t.pkr.json:1:20: error: this `${` is not closed"),
        (r#"{"locals": {"a": 1, "a": 2}}"#, "t.pkr.json:1:21: error: `a` is given twice"),
        (r#"{"locals": {"a": {"b": 1, "b": 2}}}"#, "t.pkr.json:1:27: error: `b` is given twice"),
        (r#"{"source": {"null": {"a": 1}}}"#, "t.pkr.json:1:27: error: `source` must be an object: found a number"),
        (r#"{"variable": {"a": {"type": "list(]"}}}"#, "t.pkr.json:1:35: error: a value is needed here: found `]`"),
        (r"[1]", "t.pkr.json:1:2: error: a template must be an object: found a number"),
    ] {
        let (_, wrong) = read(text);
        assert!(wrong.len() == 1 && wrong[0].starts_with(expected), "{text}\n{wrong:#?}");
    }
    let text = r#"{"locals": {"a": "x ${b.c} y"}}"#;
    let (body, _) = read(text);
    let value = &body.blocks[0].body.attributes[0].value;
    let mut places = Vec::new();
    shape::each(value, &mut |expr| places.push(text[expr.span.start..expr.span.end].to_owned()));
    assert_eq!(places, ["\"x ${b.c} y\"", "b.c", "b"]);
}
