//! `larder fmt`: what it prints, what it writes, and what it ends with.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Stdio;

use super::support::Run;
use super::{Larder, assert_shown};

const UNFORMATTED: &str = "build{\nsources=[\"null.a\" ]\nname=\"b\"   # c\n}\n";
const FORMATTED: &str = "build {\n  sources = [\"null.a\"]\n  name    = \"b\" # c\n}\n";

/// A folder of files in canonical form and not.
fn files() -> Larder {
    let larder = Larder::new();
    larder.write("t/a.pkr.hcl", UNFORMATTED);
    larder.write("t/b.pkr.hcl", FORMATTED);
    larder.write("t/c.pkrvars.hcl", "a=1");
    larder.write("t/d.hcl", UNFORMATTED);
    larder.write("t/e.pkr.json", "{}");
    larder.write("t/below/f.pkr.hcl", UNFORMATTED);
    larder
}

fn read(larder: &Larder, name: &str) -> String {
    fs::read_to_string(larder.dir().join(name)).unwrap()
}

#[test]
fn files_are_rewritten_and_named() {
    let larder = files();
    let run = larder.run(["fmt", "t"]).expect(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("t/a.pkr.hcl\nt/c.pkrvars.hcl\n", ""));
    assert_eq!(read(&larder, "t/a.pkr.hcl"), FORMATTED);
    assert_eq!(read(&larder, "t/c.pkrvars.hcl"), "a = 1");
    assert_eq!(read(&larder, "t/d.hcl"), UNFORMATTED);
    assert_eq!(read(&larder, "t/below/f.pkr.hcl"), UNFORMATTED);
    assert_eq!(larder.run(["fmt", "-recursive", "t"]).expect(0).stdout, "t/below/f.pkr.hcl\n");
    assert_eq!(read(&larder, "t/below/f.pkr.hcl"), FORMATTED);
    assert_eq!(larder.run(["fmt", "-check", "-recursive", "t"]).expect(0).stdout, "");
}

#[test]
fn differences_are_shown_and_nothing_is_written() {
    let larder = files();
    assert_shown!("fmt_check", larder, ["fmt", "-check", "t"]);
    assert_shown!("fmt_diff", larder, ["fmt", "-write=false", "-diff", "t"]);
    assert_eq!(read(&larder, "t/a.pkr.hcl"), UNFORMATTED);
    assert_eq!(read(&larder, "t/c.pkrvars.hcl"), "a=1");
}

#[test]
fn a_file_keeps_its_mode_and_a_link_its_place() {
    let larder = files();
    let file = larder.dir().join("t/a.pkr.hcl");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("t/a.pkr.hcl", larder.dir().join("link.pkr.hcl")).unwrap();
    assert_eq!(larder.run(["fmt", "link.pkr.hcl"]).expect(0).stdout, "link.pkr.hcl\n");
    assert!(larder.dir().join("link.pkr.hcl").is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), FORMATTED);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(larder.dir().join("t")).unwrap().count(), 6, "nothing is left behind");
}

fn piped(larder: &Larder, args: &[&str], input: &str) -> Run {
    let mut command = larder.command(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

#[test]
fn standard_input_goes_to_standard_output() {
    let larder = Larder::new();
    assert_eq!(piped(&larder, &["fmt", "-"], UNFORMATTED).expect(0).stdout, FORMATTED);
    assert_eq!(piped(&larder, &["fmt", "-"], FORMATTED).expect(0).stdout, FORMATTED);
    assert_eq!(piped(&larder, &["fmt", "-"], "a=1").expect(0).stdout, "a = 1");
    assert_eq!(piped(&larder, &["fmt", "-check", "-"], UNFORMATTED).expect(3).stdout, "");
    assert_eq!(piped(&larder, &["fmt", "-check", "-"], FORMATTED).expect(0).stdout, "");
    let broken = piped(&larder, &["fmt", "-"], "a = \n").expect(1);
    assert!(broken.stdout.is_empty() && broken.stderr.contains("standard input has an error"), "{}", broken.stderr);
}

#[test]
fn what_is_broken_is_told_and_the_rest_is_formatted() {
    let larder = files();
    larder.write("t/aa.pkr.hcl", "build {\n");
    larder.write("t/ab.pkr.hcl", "source \"null\" \"a\" {\n  x y\n}\n");
    let run = larder.run(["fmt", "-check", "t"]).expect(1);
    assert_eq!(run.stdout, "t/a.pkr.hcl\nt/c.pkrvars.hcl\n");
    assert!(run.stderr.contains("t/aa.pkr.hcl has an error"), "{}", run.stderr);
    assert!(run.stderr.contains("--> t/ab.pkr.hcl:2:"), "{}", run.stderr);
    assert!(run.stderr.contains("t/ab.pkr.hcl has an error"), "{}", run.stderr);
    fs::write(larder.dir().join("t/aa.pkr.hcl"), b"a = \"\xff\"\n").unwrap();
    assert!(larder.run(["fmt", "t/aa.pkr.hcl"]).expect(1).stderr.contains("no text in UTF-8"));
}

#[test]
fn other_files_are_refused() {
    let larder = files();
    assert_shown!("fmt_other_name", larder, ["fmt", "t/d.hcl"]);
    assert_shown!("fmt_json", larder, ["fmt", "t/e.pkr.json"]);
    assert_shown!("fmt_nothing_there", larder, ["fmt", "t/x.pkr.hcl"]);
    assert!(larder.run(["fmt"]).expect(1).stderr.contains("<TEMPLATE>"));
}

/// What comes with Larder is an example to others.
#[test]
fn templates_that_come_with_larder_are_in_canonical_form() {
    let larder = Larder::new();
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let run = larder.run(["fmt".as_ref(), "-check".as_ref(), "-recursive".as_ref(), templates.as_os_str()]).expect(0);
    assert_eq!(run.stdout, "");
}
