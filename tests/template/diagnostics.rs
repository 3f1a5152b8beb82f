//! `larder validate --json`: what is wrong with a template, for programs.

use crate::support::Larder;

const BROKEN: &str = r#"variable "list" {
  default = ["a", "b"]
}

variable "password" {
  default   = "hunter2"
  sensitive = true
}

variable "list" {}

locals {
  third  = var.list[2]
  joined = "ä${parseint(var.password, 10)}"
}

source "null" "n" {}

build {
  sources = ["null.m"]
}
"#;

/// What `validate --json` prints of a template: the object, and the exit code.
fn report(larder: &Larder, args: &[&str]) -> (serde_json::Value, i32) {
    let run = larder.run(["validate", "--json"].iter().chain(args));
    assert_eq!(run.stderr, "");
    assert!(!run.stdout.contains("hunter2"), "{}", run.stdout);
    (serde_json::from_str(&run.stdout).unwrap(), run.code)
}

#[test]
fn every_error_is_in_it_with_its_place() {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", BROKEN);
    let (report, code) = report(&larder, &["t.pkr.hcl"]);
    assert_eq!((code, &report["valid"]), (1, &false.into()));
    // Places are those of the text.
    for found in report["diagnostics"].as_array().unwrap() {
        let bytes: Vec<usize> = serde_json::from_value(found["bytes"].clone()).unwrap();
        let (before, after) = (&BROKEN[..bytes[0]], &BROKEN[..bytes[1]]);
        let place = |text: &str| {
            let line = text.matches('\n').count() + 1;
            (line, text.lines().last().filter(|_| !text.ends_with('\n')).unwrap_or("").chars().count() + 1)
        };
        let field = |name: &str| usize::try_from(found[name].as_u64().unwrap()).unwrap();
        assert_eq!((field("line"), field("column")), place(before), "{found}");
        assert_eq!((field("end_line"), field("end_column")), place(after), "{found}");
    }
    insta::assert_snapshot!("report", serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn a_valid_template_has_an_empty_list() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        "source \"null\" \"n\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.n\"]\n}\n",
    );
    for args in [&["t.pkr.hcl"][..], &["-syntax-only", "t.pkr.hcl"]] {
        let (report, code) = report(&larder, args);
        assert_eq!((code, &report["valid"], &report["diagnostics"]), (0, &true.into(), &serde_json::json!([])));
        assert_eq!(report["syntax_only"], args.len() == 2);
    }
    // A warning makes it no less valid.
    larder.write("w.pkrvars.hcl", "undeclared = 1\n");
    let (report, code) = report(&larder, &["-var-file=w.pkrvars.hcl", "t.pkr.hcl"]);
    assert_eq!((code, &report["warnings"], &report["errors"]), (0, &1.into(), &0.into()), "{report}");
}

#[test]
fn what_has_no_place_is_in_it_too() {
    let larder = Larder::new();
    let (absent, code) = report(&larder, &["absent.pkr.hcl"]);
    assert_eq!((code, &absent["errors"]), (1, &1.into()));
    assert!(absent["diagnostics"][0].get("file").is_none(), "{absent}");
    // Errors of syntax, in both languages; a build that `-only` does not find.
    larder.write("t.pkr.hcl", "locals {\n  a = [1 2]\n  b = 'x'\n}\n");
    assert_eq!(report(&larder, &["-syntax-only", "t.pkr.hcl"]).0["errors"], 2);
    larder.write("t.json", "{\"builders\": [{\"type\": \"null\"},]}");
    let (json, _) = report(&larder, &["t.json"]);
    assert_eq!((&json["diagnostics"][0]["file"], &json["diagnostics"][0]["line"]), (&"t.json".into(), &1.into()));
    larder.write("n.json", "{\"builders\": [{\"type\": \"null\"}]}");
    let (none, code) = report(&larder, &["-only=nothing", "n.json"]);
    assert_eq!((code, &none["errors"]), (1, &1.into()), "{none}");
}
