//! `larder console` fed through standard input: every result is printed, whatever fails between.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use larder::template::Language;
use larder::template::line::is_open;

use crate::expressions::{Case, NEWER, TABLE, cases, folder};
use crate::support::{Larder, Run};

/// Runs the console in `folder` with this standard input: a pipe, or else a file.
fn console(larder: &Larder, folder: &Path, args: &[&str], input: &str, pipe: bool) -> Run {
    let mut command = larder.command(["console"].iter().chain(args));
    command.current_dir(folder);
    if !pipe {
        let path = larder.write("input", input);
        return Run::of(command.stdin(File::open(path).unwrap()).output().unwrap());
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let run = Run::of(child.wait_with_output().unwrap());
    let _ = writer.join().unwrap();
    run
}

/// What the console says of each case, as one process says it of all; those that leave something open get one each.
fn results(cases: &[Case]) -> Vec<Option<String>> {
    let larder = Larder::new();
    let template = &["template.pkr.hcl"];
    let open = |case: &Case| is_open(Language::Hcl2, case.expression);
    let lines = cases.iter().enumerate().filter(|(_, case)| !open(case));
    let lines = lines.flat_map(|(number, case)| [case.expression.to_owned(), format!("\"@@{number}@@\"")]);
    let input = lines.collect::<Vec<_>>().join("\n");
    let run = console(&larder, &folder(), template, &input, true).expect(1);
    let mut rest = run.stdout.as_str();
    let mut results = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let shown = if open(case) {
            console(&larder, &folder(), template, case.expression, false).stdout
        } else {
            let (shown, after) = rest.split_once(&format!("@@{number}@@\n")).unwrap();
            rest = after;
            shown.to_owned()
        };
        results.push(shown.strip_suffix('\n').map(str::to_owned));
    }
    results
}

#[test]
fn a_thousand_expressions_give_what_packer_gives() {
    let mut same = 0;
    for table in [TABLE, NEWER] {
        let mut cases = cases(table);
        // What time it is the console does not take from the test.
        cases.retain(|case| !case.expression.starts_with("legacy_"));
        let mut wrong = Vec::new();
        for (case, shown) in cases.iter().zip(results(&cases)) {
            // What the table excuses may be as Packer has it.
            if shown.as_deref() == case.expected() || (case.is_excused() && shown == case.theirs) {
                same += 1;
            } else {
                wrong.push(format!("{}\n  expected {:?}\n  got      {shown:?}", case.expression, case.expected()));
            }
        }
        assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
    eprintln!("{same} expressions give in the console what they are to give");
    assert!(same >= 1_000, "only {same}");
}

const HCL: &str = r#"
variable "name" {
  default = "web"
}

variable "missing" {
  type = string
}

variable "password" {
  default   = "hunter2"
  sensitive = true
}

locals {
  list   = ["a", "b"]
  secret = "x-${var.password}"
}
"#;

const LINES: &str = r#"# a comment, and an empty line

upper(var.name)
[
  for x in local.list :

  "${x}-${var.name}" # within
]
<<-EOT
    two ${var.name}
      lines
  EOT
var.nmae
element(local.list, "x")
{ a = var.missing, b = var.password, c = local.secret }
base64encode(var.password)
variables
1 +
exit
"not reached"
"#;

fn shown(run: &Run) -> String {
    format!("exit code {}\n--- stdout ---\n{}--- stderr ---\n{}", run.code, run.stdout, run.stderr)
}

#[test]
fn every_line_is_evaluated_and_errors_point_into_it() {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", HCL);
    let run = console(&larder, larder.dir(), &["t.pkr.hcl"], LINES, true);
    insta::assert_snapshot!("lines_of_a_pipe", shown(&run));
    // As with Packer, a file whose lines fail is no failure.
    let from_file = console(&larder, larder.dir(), &["t.pkr.hcl"], LINES, false).expect(0);
    assert_eq!((&from_file.stdout, &from_file.stderr), (&run.stdout, &run.stderr));
    assert_eq!(console(&larder, larder.dir(), &["t.pkr.hcl"], "1\n", true).expect(0).stdout, "1\n");
    // What is still open at the end is an error.
    let run = console(&larder, larder.dir(), &["t.pkr.hcl"], "[1,\n2\n", true).expect(1);
    assert_eq!(run.stdout, "");
    let found = &run.stderr;
    assert!(found.contains("<stdin>:"), "{found}");
}

const JSON: &str = r#"{
  "variables": {"a": "1", "needed": null, "password": "hunter2", "b": "{{user `a`}}x"},
  "sensitive-variables": ["password"],
  "builders": [{"type": "null"}]
}"#;

const GO_LINES: &str = "{{user `a`}} {{user `b`}}|{{user `needed`}}|{{user `password`}}
abc {{upper `x`}}
1+1
{{upper `x`
{{uper `x`}}
{{.Foo}}
variables
exit
2
";

#[test]
fn lines_of_a_legacy_template_are_go_templates() {
    let larder = Larder::new();
    larder.write("t.json", JSON);
    let run = console(&larder, larder.dir(), &["t.json"], GO_LINES, true);
    insta::assert_snapshot!("lines_of_go_templates", shown(&run));
}

#[test]
fn there_is_a_console_without_a_template() {
    let larder = Larder::new();
    let in_hcl = console(&larder, larder.dir(), &["-config-type=hcl2"], "1 + 1\nvar\npath.root\nbuild\n", true);
    assert_eq!(in_hcl.expect(0).stdout, "2\n{}\n.\n<unknown>\n");
    // As with Packer, it is one of legacy JSON if nothing is said.
    let in_json = console(&larder, larder.dir(), &["-var", "x=y"], "1 + 1 {{user `x`}}\n", true);
    assert_eq!(in_json.expect(0).stdout, "1 + 1 y\n");
    let refused = console(&larder, larder.dir(), &["-config-type=hcl2", "-var", "x=y"], "1\n", true).expect(1);
    assert!(refused.stderr.contains("there is no template that declares"), "{}", refused.stderr);
    let refused = console(&larder, larder.dir(), &["-"], "1\n", true).expect(1);
    assert!(refused.stderr.contains("give the template as a file"), "{}", refused.stderr);
}

#[test]
fn a_template_with_errors_has_no_console() {
    let larder = Larder::new();
    larder.write("t.pkr.hcl", "locals {\n  a = nope.b\n}\n");
    let run = console(&larder, larder.dir(), &["t.pkr.hcl"], "1\n", true).expect(1);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("t.pkr.hcl:2:7"), "{}", run.stderr);
}

#[test]
fn what_is_too_long_or_no_text_ends_it() {
    let larder = Larder::new();
    let long = format!("\"{}\"\n", "x".repeat(2 << 20));
    let run = console(&larder, larder.dir(), &["-config-type=hcl2"], &long, true).expect(1);
    assert!(run.stderr.contains("line 1 of standard input is longer than"), "{}", run.stderr);
    let open = "[\n\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\n".repeat(20_000);
    let run = console(&larder, larder.dir(), &["-config-type=hcl2"], &open, false).expect(1);
    assert!(run.stderr.contains("error:") && run.stderr.len() < 10_000, "{}", run.stderr);
    let open = format!("[\n{}", "[\n],\n".repeat(20_000));
    let run = console(&larder, larder.dir(), &["-config-type=hcl2"], &open, false).expect(1);
    assert!(run.stderr.contains("what begins in line 1 of standard input is too long"), "{}", run.stderr);
}
