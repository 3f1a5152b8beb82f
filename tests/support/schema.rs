//! Checks events against their schema, with a validator that is not of our making.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::Run;

/// Reads events from standard input. Stricter than the promise: what the schema does not name is an error, too.
const VALIDATOR: &str = r#"
import json, sys
from jsonschema import Draft202012Validator, FormatChecker

schema = json.load(open(sys.argv[1]))
schema["unevaluatedProperties"] = False
for definition in schema["$defs"].values():
    if "properties" in definition:
        definition["additionalProperties"] = False
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, format_checker=FormatChecker())
wrong = 0
for number, line in enumerate(sys.stdin, 1):
    for error in validator.iter_errors(json.loads(line)):
        print(f"event {number}: {error.message} at {list(error.absolute_path)}: {line.strip()}")
        for inner in error.context or []:
            print(f"    {inner.message} at {list(inner.absolute_path)}")
        wrong += 1
sys.exit(1 if wrong else 0)
"#;

/// Fails the test unless every event is as `docs/reference/events.schema.json` has it, and numbers have no gaps.
#[track_caller]
pub(crate) fn assert_valid_events(run: &Run) {
    for (index, event) in run.events().iter().enumerate() {
        assert_eq!(event["seq"], index + 1, "{event}");
    }
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/events.schema.json");
    // Debian's own Python: it has Debian's packages.
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", VALIDATOR])
        .arg(schema)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(run.stdout.as_bytes()).unwrap();
    let _ = Run::of(python.wait_with_output().unwrap()).expect(0);
}
