//! The command line as a user meets it: the real binary, in a home of its own.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test's helpers fail by panicking")]

#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../support/pty.rs"]
mod pty;
#[path = "../support/schema.rs"]
mod schema;
#[path = "../support/larder.rs"]
mod support;

mod ask;
mod config;
mod console;
mod data;
mod docs;
mod doctor;
mod errors;
mod events;
mod fmt;
mod help;
mod history;
mod machine;
mod mirrors;
mod new;
mod proxy_check;
mod remote;
mod run;
mod secrets;
mod settings;
mod shipped;

use support::{Larder, Run};

/// A null and a file build with every part that needs no guest.
const TEMPLATE: &str = r#"
variable "who" {
  type        = string
  default     = "world"
  description = "Whom to greet."
}

locals {
  greeting = "hello ${var.who}"
}

source "null" "nothing" {
  communicator = "none"
}

source "file" "note" {
  content = "${local.greeting}\n"
  target  = "note.txt"
}

build {
  name        = "demo"
  description = "Two builds."
  sources     = ["source.null.nothing", "source.file.note"]

  provisioner "shell-local" {
    name   = "greet"
    inline = ["echo \"$PACKER_BUILD_NAME by $PACKER_BUILDER_TYPE\""]
  }

  post-processors {
    post-processor "checksum" {
      checksum_types = ["sha256"]
      output         = "{{.BuildName}}.{{.ChecksumType}}"
    }
    post-processor "manifest" {
      strip_path = true
    }
  }
}
"#;

/// A home with [`TEMPLATE`] in it.
fn demo() -> Larder {
    let larder = Larder::new();
    larder.write("demo.pkr.hcl", TEMPLATE);
    larder
}

/// Everything a command said, with what differs from run to run replaced.
fn shown(larder: &Larder, run: &Run) -> String {
    let text = format!("exit code {}\n--- stdout ---\n{}--- stderr ---\n{}", run.code, run.stdout, run.stderr);
    let mut text = text.replace(larder.dir().to_str().unwrap(), "[DIR]");
    for (pattern, replacement) in [
        (r"\d{8}T\d{6}-[0-9a-f]{6}", "[RUN]"),
        (r"\d+\.\d+ s\b", "[TIME]"),
        (r"shell-local-\w{6}", "shell-local-[RANDOM]"),
        (r"(?m)^1\d{9},", "[NOW],"),
    ] {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    text
}

/// Compares everything a command says with the snapshot of this name.
macro_rules! assert_shown {
    ($name:expr, $larder:expr, $args:expr) => {{
        let run = $larder.run($args);
        insta::assert_snapshot!($name, $crate::shown(&$larder, &run));
    }};
}
pub(crate) use assert_shown;
