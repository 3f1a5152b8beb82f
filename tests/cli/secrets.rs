//! Sensitive values are never shown.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Larder;
use super::support::Run;

const SECRET: &str = "correct horse battery";
const SECOND_LINE: &str = "staple of the second line";

const TEMPLATE: &str = r#"
variable "secret" {
  type      = string
  sensitive = true
}
variable "lines" {
  type      = string
  sensitive = true
}
source "file" "x" {
  content = "nothing"
  target  = "made of ${var.secret}.txt"
}
build {
  sources = ["file.x"]
  provisioner "shell-local" {
    environment_vars = ["SECRET=${var.secret}", "LINES=${var.lines}"]
    inline = [
      "echo \"out $SECRET\"",
      "echo \"err $SECRET\" >&2",
      "echo \"encoded $(printf %s \"$SECRET\" | base64)\"",
      "printf 'in two '; printf 'correct horse'; sleep 0.1; echo ' battery'",
      "echo \"$LINES\"",
      "echo finished",
    ]
  }
  post-processor "checksum" {
    checksum_types = ["md5"]
    output         = "sum.{{.ChecksumType}}"
  }
  post-processor "shell-local" {
    inline = ["echo ${var.secret} >&2", "exit 1"]
  }
}
"#;

fn everything_below(directory: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            everything_below(&entry.path(), into);
        } else {
            into.extend(fs::read(entry.path()).unwrap());
        }
    }
}

fn assert_hidden(text: &str, what: &str) {
    for secret in [SECRET, SECOND_LINE, &BASE64_STANDARD.encode(SECRET)] {
        assert!(!text.contains(secret), "{what} shows {secret:?}:\n{text}");
    }
}

#[test]
fn nothing_shows_a_sensitive_value() {
    for ui in ["plain", "json", "quiet"] {
        let larder = Larder::new();
        larder.write("t.pkr.hcl", TEMPLATE);
        let args = ["build", "--ui", ui, "-var"];
        let values = [format!("secret={SECRET}"), "-var".to_owned(), format!("lines=first line of it\n{SECOND_LINE}")];
        let run = Run::of(larder.command(args).args(values).arg("t.pkr.hcl").output().unwrap()).expect(1);
        let mut kept = Vec::new();
        everything_below(&larder.state().join("logs"), &mut kept);
        let log = String::from_utf8(kept).unwrap();
        assert!(log.contains("out <sensitive>") && log.contains("err <sensitive>"), "{log}");
        assert!(log.contains("encoded <sensitive>") && log.contains("finished"), "{log}");
        assert_hidden(&log, "the log");
        assert_hidden(&run.stdout, &format!("standard output of --ui={ui}"));
        assert_hidden(&run.stderr, &format!("standard error of --ui={ui}"));
    }
}

/// Neither inspection nor an error about the value shows it.
#[test]
fn inspection_and_errors_do_not_show_it() {
    let larder = Larder::new();
    larder.write(
        "t.pkr.hcl",
        "variable \"number\" {\n  type = number\n  sensitive = true\n  default = 1\n}\nvariable \"text\" {\n  sensitive \
         = true\n  default = \"\"\n  validation {\n    condition = length(var.text) < 3\n    error_message = \"Too \
         long.\"\n  }\n}\nsource \"null\" \"x\" {\n  communicator = \"none\"\n}\nbuild {\n  sources = [\"null.x\"]\n}\n",
    );
    larder.write("secret.pkrvars.hcl", &format!("text = \"{SECRET}\"\n"));
    for args in [
        vec!["inspect".to_owned(), "t.pkr.hcl".to_owned(), "-var-file=secret.pkrvars.hcl".to_owned()],
        vec!["validate".to_owned(), "t.pkr.hcl".to_owned(), "-var-file=secret.pkrvars.hcl".to_owned()],
        vec!["validate".to_owned(), "t.pkr.hcl".to_owned(), format!("-var=number={SECRET}")],
        vec!["validate".to_owned(), "t.pkr.hcl".to_owned(), format!("-var=text={SECRET}")],
        vec!["validate".to_owned(), "t.pkr.hcl".to_owned(), format!("-var=txt={SECRET}")],
    ] {
        let run = larder.run(&args).expect(1);
        assert_hidden(&run.stdout, &format!("{args:?}"));
        assert_hidden(&run.stderr, &format!("{args:?}"));
    }
}
