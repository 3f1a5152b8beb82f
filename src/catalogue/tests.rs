use std::fs;

use proptest::prelude::*;

use super::builtin::Unpacked;
use super::discover::{Card, Origin, discover, preview};
use super::evaluate::{Evaluated, Request, evaluate};
use super::field::{FieldKind, ValueSource};
use super::wizard::{Placement, placement, propose, variable_file};
use super::write::{Change, Existing, NewFile, Side, write};
use super::*;
use crate::template::hcl::value::{Kind, Type, Value};

/// A project in a directory of its own.
struct Project {
    directory: tempfile::TempDir,
    around: Around,
}

impl Project {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let around = Around {
            cwd: directory.path().to_owned(),
            env: BTreeMap::new(),
            user_templates: None,
            packer_version: "1.16.0".to_owned(),
            now: || Timestamp::UNIX_EPOCH,
            check: |_| Diagnostics::default(),
        };
        Self { directory, around }
    }

    fn file(self, name: &str, content: &str) -> Self {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, content).expect("a file");
        self
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).expect(name)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.around.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn evaluate(&self, path: &str, typed: &[(&str, &str)]) -> Evaluated {
        evaluate(&self.around, &Request { path: path.into(), typed: pairs(typed), ..Request::default() })
    }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

const FORM: &str = r#"
variable "image_name" {
  type        = string
  default     = "ubuntu"
  description = "Name of the image."
}
variable "cpus" {
  type    = number
  default = 4
  validation {
    condition     = var.cpus > 0
    error_message = "At least one is needed."
  }
}
variable "efi" {
  type    = bool
  default = true
}
variable "mirror" {
  default = "one"
  validation {
    condition     = contains(["one", "two"], var.mirror)
    error_message = "The mirror is one or two."
  }
}
variable "key" { type = string }
variable "password" {
  type      = string
  default   = "hunter22"
  sensitive = true
}
variable "packages" {
  type    = list(string)
  default = ["a", "b"]
}
source "file" "x" {
  content = "${var.image_name} ${var.key} ${var.password}"
  target  = "output/${var.image_name}"
}
build {
  sources = ["source.file.x"]
  provisioner "shell-local" {
    name   = "say"
    inline = ["true"]
  }
  post-processor "checksum" {}
}
"#;

fn form() -> Project {
    Project::new().file("image.pkr.hcl", FORM)
}

#[test]
fn fields_are_as_the_template_declares_them() {
    let found = form().env("PKR_VAR_cpus", "2").evaluate("image.pkr.hcl", &[]);
    let kinds: Vec<_> = found.fields.iter().map(|field| (field.name.as_str(), &field.kind)).collect();
    let choices = FieldKind::Choice(vec!["one".to_owned(), "two".to_owned()]);
    let expected = [
        ("image_name", &FieldKind::Text),
        ("cpus", &FieldKind::Number),
        ("efi", &FieldKind::Bool),
        ("mirror", &choices),
        ("key", &FieldKind::Text),
        ("password", &FieldKind::Text),
        ("packages", &FieldKind::Expression),
    ];
    assert_eq!(kinds, expected);
    let field = |name: &str| found.fields.iter().find(|field| field.name == name).expect(name);
    assert_eq!((field("cpus").from.clone(), field("cpus").text.as_str()), (ValueSource::Environment, "2"));
    assert_eq!(field("cpus").rules, ["At least one is needed."]);
    assert_eq!((field("image_name").from.clone(), field("image_name").text.as_str()), (ValueSource::Default, "ubuntu"));
    assert_eq!((field("key").from.clone(), field("key").is_required()), (ValueSource::Missing, true));
    assert_eq!(field("packages").text, r#"["a", "b"]"#);
    assert_eq!((field("password").text.as_str(), field("password").default.as_deref()), ("", Some("")));
    assert_eq!(found.builds[0].steps, ["file", "shell-local (say)", "checksum"]);
    assert_eq!(found.builds[0].output.as_deref(), Some("output/ubuntu"));
    // The only thing wrong is what a form is there to ask for.
    assert_eq!(found.problems.len(), 1);
    assert!(found.problems[0].is_missing && found.problems[0].field.as_deref() == Some("key"));
}

#[test]
fn what_is_typed_goes_before_all_else_and_is_checked() {
    let project = form().file("image.pkrvars.hcl", "image_name = \"of-the-file\"\n");
    let request = Request {
        path: "image.pkr.hcl".into(),
        var_files: vec!["image.pkrvars.hcl".into()],
        typed: pairs(&[("cpus", "0"), ("mirror", "three"), ("packages", "[1"), ("efi", "perhaps"), ("key", "k")]),
        ..Request::default()
    };
    let found = evaluate(&project.around, &request);
    let of = |name: &str| found.of_field(name).map(|problem| problem.message.clone()).collect::<Vec<_>>();
    assert_eq!(of("cpus"), ["At least one is needed."]);
    assert_eq!(of("mirror"), ["The mirror is one or two."]);
    assert_eq!(of("packages").len(), 1, "{:?}", found.problems);
    assert!(of("efi")[0].contains("a bool is required"), "{:?}", found.problems);
    assert!(of("key").is_empty() && of("image_name").is_empty());
    assert_eq!((found.errors(), found.others().count()), (4, 0));
    let name = &found.fields[0];
    assert_eq!((name.from.text().as_str(), name.text.as_str()), ("image.pkrvars.hcl", "of-the-file"));
    assert_eq!(found.builds[0].output.as_deref(), Some("output/of-the-file"));
}

#[test]
fn options_made_of_one_variable_are_that_variables_concern() {
    let mut project = form();
    project.around.check = |plan| {
        let mut found = Diagnostics::default();
        let body = &plan.builds[0].source.body;
        let (evaluated, _) = body.evaluate(&crate::template::DecodeEnv::default());
        let target = evaluated.entries.iter().find(|entry| entry.name == "target").expect("a target");
        found.push(crate::template::diagnostic::Diagnostic::error("no such format").at(target.item.span));
        let content = evaluated.entries.iter().find(|entry| entry.name == "content").expect("content");
        found.push(crate::template::diagnostic::Diagnostic::error("too many").at(content.item.span));
        found
    };
    let found = project.evaluate("image.pkr.hcl", &[("key", "k")]);
    assert_eq!(found.of_field("image_name").map(|problem| &*problem.message).collect::<Vec<_>>(), ["no such format"]);
    assert_eq!(found.others().map(|problem| &*problem.message).collect::<Vec<_>>(), ["too many"]);
}

#[test]
fn the_variable_file_holds_what_differs_and_nothing_sensitive() {
    let project = form().env("PKR_VAR_cpus", "2");
    let typed = [("cpus", "4"), ("image_name", "ubuntu"), ("key", "a ${b}"), ("password", "s3cret"), ("efi", "false")];
    let found = project.evaluate("image.pkr.hcl", &typed);
    // 4 is the default, but the environment says otherwise.
    let expected = "cpus = 4\nefi  = false\nkey  = \"a $${b}\"\n# password is sensitive: set PKR_VAR_password\n";
    assert_eq!(found.variables, expected);
    assert_eq!(found.not_written, ["password"]);
    assert_eq!(found.errors(), 0, "{:?}", found.problems);
    assert!(!format!("{found:?}").contains("s3cret") && !format!("{found:?}").contains("hunter22"));
}

#[test]
fn what_the_file_sets_already_is_kept_unless_typed_over() {
    let project = form().file("image.auto.pkrvars.hcl", "key = \"old\"\ncpus = 8\nimage_name = \"mine\"\n");
    let request = Request {
        path: ".".into(),
        typed: pairs(&[("cpus", "4"), ("image_name", "yours")]),
        target: Some("image.auto.pkrvars.hcl".into()),
        ..Request::default()
    };
    let found = evaluate(&project.around, &request);
    assert_eq!(found.variables, "image_name = \"yours\"\nkey        = \"old\"\n");
}

#[test]
fn secrets_are_not_in_problems() {
    let project = Project::new().file(
        "t.pkr.hcl",
        "variable \"token\" {\n  type = number\n  sensitive = true\n}\nsource \"null\" \"x\" {}\nbuild { sources = [\"null.x\"] }",
    );
    let found = project.evaluate("t.pkr.hcl", &[("token", "not-a-number-77")]);
    assert_eq!(found.errors(), 1);
    assert!(!format!("{found:?}").contains("not-a-number-77"), "{found:?}");
}

#[test]
fn a_broken_template_is_listed_with_what_is_wrong() {
    let project = Project::new()
        .file("broken/a.pkr.hcl", "# Meant to be something.\nsource \"null\" {\n")
        .file("package.json", "{\"name\": \"x\"}")
        .file(
            "legacy.json",
            "{\"description\": \"An old one.\", \"builders\": [{\"type\": \"null\"}], \"variables\": {\"a\": null}}",
        )
        .file("node_modules/x/a.pkr.hcl", FORM)
        .file("sub/a.pkr.hcl", FORM);
    let unpacked = Unpacked::new(project.directory.path()).expect("unpacked");
    let cards = discover(&project.around, &unpacked);
    let mine: Vec<&Card> = cards.iter().filter(|card| card.origin == Origin::Here).collect();
    let names: Vec<_> = mine.iter().map(|card| card.name.as_str()).collect();
    let unpacked_name = unpacked.path("x").parent().expect("a parent").file_name().expect("a name").to_owned();
    assert!(!names.contains(&&*unpacked_name.to_string_lossy()), "{names:?}");
    assert_eq!(names, ["broken", "legacy", "sub"]);
    assert!(!mine[0].problems.is_empty() && mine[0].description == "Meant to be something.");
    assert_eq!(
        (mine[1].builders.as_slice(), mine[1].required.as_slice()),
        (&["null".to_owned()][..], &["a".to_owned()][..])
    );
    assert_eq!(mine[1].description, "An old one.");
    assert_eq!((mine[2].variables, mine[2].problems.len()), (7, 0));
    let built_in: Vec<_> = cards.iter().filter(|card| card.origin == Origin::BuiltIn).collect();
    assert_eq!(built_in.len(), builtin::TEMPLATES.len());
    for card in built_in {
        assert!(card.problems.is_empty() && !card.description.is_empty() && card.builders == ["rootfs"], "{card:?}");
        let preview = preview(&project.around, card);
        assert!(preview.problems.is_empty() && preview.builds[0].output.is_some(), "{preview:?}");
    }
}

#[test]
fn files_of_one_directory_are_one_template_or_several() {
    let one = Project::new()
        .file("web/variables.pkr.hcl", "variable \"a\" { default = \"x\" }")
        .file("web/web.pkr.hcl", "# A web server.\nsource \"null\" \"x\" {}\nbuild { sources = [\"null.x\"] }")
        .file("many/a.pkr.hcl", FORM)
        .file("many/b.pkr.hcl", FORM)
        .file("top.pkr.hcl", "source \"null\" \"x\" {}\nbuild { sources = [\"null.x\"] }");
    let unpacked = Unpacked::new(&std::env::temp_dir()).expect("unpacked");
    let cards = discover(&one.around, &unpacked);
    let mine = cards.iter().filter(|card| card.origin == Origin::Here);
    let mine: Vec<_> = mine.map(|card| (card.name.clone(), card.path.display().to_string(), card.variables)).collect();
    let expected =
        [("a", "many/a.pkr.hcl", 7), ("b", "many/b.pkr.hcl", 7), ("top", "top.pkr.hcl", 0), ("web", "web", 1)];
    assert_eq!(mine, expected.map(|(name, path, count)| (name.to_owned(), path.to_owned(), count)));
}

fn built_in(project: &Project, name: &str) -> (Unpacked, Card) {
    let unpacked = Unpacked::new(&std::env::temp_dir()).expect("unpacked");
    let card = discover(&project.around, &unpacked).into_iter().find(|card| card.name == name).expect(name);
    (unpacked, card)
}

#[test]
fn a_built_in_template_is_copied_with_its_variables_and_builds_from_there() {
    let project = Project::new();
    let (_unpacked, card) = built_in(&project, "debian-rootfs");
    let placement = placement(&card);
    assert_eq!(placement, Placement::Copy("debian-rootfs".into()));
    let typed = pairs(&[("suite", "bookworm")]);
    let request = Request { path: card.path.clone(), typed: typed.clone(), ..Request::default() };
    let evaluated = evaluate(&project.around, &request);
    let proposal = propose(&project.around, &card, &placement, &typed, &evaluated).expect("a proposal");
    assert!(!proposal.replaces() && proposal.files.iter().all(|(_, change)| *change == Change::New));
    assert_eq!(proposal.write(&project.around, Existing::Refuse).expect("written").len(), 7);
    assert_eq!(project.read("debian-rootfs/debian-rootfs.auto.pkrvars.hcl"), "suite = \"bookworm\"\n");
    assert_eq!((proposal.template.as_path(), proposal.var_files.len()), (std::path::Path::new("debian-rootfs"), 0));
    // Read back by the same evaluator, from the place it was written to.
    let written = project.evaluate("debian-rootfs", &[]);
    assert_eq!(written.errors(), 0, "{:?}", written.problems);
    let suite = written.fields.iter().find(|field| field.name == "suite").expect("a field");
    assert_eq!(suite.from, ValueSource::File("debian-rootfs/debian-rootfs.auto.pkrvars.hcl".to_owned()));
    assert_eq!(written.builds[0].downloads, ["packages of bookworm"]);
}

#[test]
fn in_place_only_variables_are_written_and_named_where_they_must_be() {
    let project = form();
    let unpacked = Unpacked::new(&std::env::temp_dir()).expect("unpacked");
    let card = discover(&project.around, &unpacked).remove(0);
    let placement = placement(&card);
    assert_eq!((card.name.as_str(), &placement), ("image", &Placement::InPlace));
    let typed = pairs(&[("key", "k"), ("password", "s3cret")]);
    let evaluated = project.evaluate("image.pkr.hcl", &[("key", "k"), ("password", "s3cret")]);
    let proposal = propose(&project.around, &card, &placement, &typed, &evaluated).expect("a proposal");
    assert_eq!(proposal.var_files, [PathBuf::from("image.pkrvars.hcl")]);
    assert_eq!(proposal.vars, [("password".to_owned(), "s3cret".to_owned())]);
    assert_eq!(proposal.write(&project.around, Existing::Refuse).expect("written").len(), 1);
    assert!(!project.read("image.pkrvars.hcl").contains("s3cret"));
    assert_eq!(variable_file(&card, &placement, evaluated.language), (PathBuf::from("image.pkrvars.hcl"), false));
}

#[test]
fn a_variable_file_that_was_written_before_is_read_into_the_form() {
    let project = form().file("image.pkrvars.hcl", "key = \"old\"\ncpus = 8\n");
    let target = Some(PathBuf::from("image.pkrvars.hcl"));
    let request =
        Request { path: "image.pkr.hcl".into(), target, typed: pairs(&[("cpus", "9")]), ..Request::default() };
    let found = evaluate(&project.around, &request);
    let key = found.fields.iter().find(|field| field.name == "key").expect("a field");
    assert_eq!((key.from.text().as_str(), key.text.as_str()), ("image.pkrvars.hcl", "old"));
    assert_eq!(found.variables, "cpus = 9\nkey  = \"old\"\n");
}

#[test]
fn a_variable_without_a_type_has_that_of_its_default() {
    let text = "variable \"n\" { default = 5 }\nvariable \"l\" { default = [\"a\"] }\nvariable \"x\" {}\n";
    let project = Project::new().file("t.pkr.hcl", text);
    let found = project.evaluate("t.pkr.hcl", &[("n", "7"), ("l", "[\"b\", \"c\"]"), ("x", "7")]);
    assert_eq!(found.variables, "n = 7\nl = [\"b\", \"c\"]\nx = \"7\"\n");
    assert_eq!(project.evaluate("t.pkr.hcl", &[("n", "5"), ("x", "y")]).variables, "x = \"y\"\n");
    let found = project.evaluate("t.pkr.hcl", &[("n", "many"), ("l", "[\"b\"")]);
    assert_eq!((found.of_field("n").count(), found.of_field("l").count()), (1, 1), "{:?}", found.problems);
}

#[test]
fn files_in_the_way_are_named_and_nothing_is_written() {
    let project = Project::new().file("t/template.pkr.hcl", "mine\n").file("t/same", "x");
    let directory = project.directory.path().join("t");
    let new = |path: &str, content: &str| NewFile { path: path.into(), content: content.into(), mode: 0o644 };
    let files = [new("same", "x"), new("scripts/a.sh", "new"), new("template.pkr.hcl", "theirs\n")];
    let error = write(&directory, &files, Existing::Refuse).expect_err("one is in the way");
    assert!(error.to_string().contains("t/template.pkr.hcl") && !error.to_string().contains("same"), "{error}");
    assert!(!directory.join("scripts").exists() && project.read("t/template.pkr.hcl") == "mine\n");
    let Change::Differs(lines) = write::change(&directory, &files[2]) else { panic!("it differs") };
    assert_eq!(
        lines.iter().map(|line| (line.side, &*line.text)).collect::<Vec<_>>(),
        [(Side::Old, "mine"), (Side::New, "theirs")]
    );
    assert_eq!(write(&directory, &files, Existing::Replace).expect("written").len(), 2);
    assert_eq!((project.read("t/template.pkr.hcl"), project.read("t/scripts/a.sh")), ("theirs\n".into(), "new".into()));
    let error = write(&directory, &[new("../x", "")], Existing::Replace).expect_err("outside");
    assert!(error.to_string().contains("../x"), "{error}");
}

#[test]
fn what_cannot_be_written_whole_is_not_written_in_part() {
    let project = Project::new().file("t/blocked", "a file where a directory must be");
    let directory = project.directory.path().join("t");
    let new = |path: &str| NewFile { path: path.into(), content: b"x".to_vec(), mode: 0o644 };
    assert!(write(&directory, &[new("first/a"), new("blocked/b")], Existing::Replace).is_err());
    let left: Vec<_> =
        fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["blocked"]);
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof![any::<String>(), "[$%{}\"\\\\a\n\t]{0,12}", "(\\$|%)*\\{x\\}"];
    let leaf = prop_oneof![
        text.prop_map(Value::string),
        any::<bool>().prop_map(Value::bool),
        any::<i64>().prop_map(Value::from),
        Just(Value::new(Kind::Null(Type::Dynamic))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::tuple),
            prop::collection::btree_map("[a-z_$ \"{-]{1,6}|true|for|null", inner, 0..4).prop_map(Value::object),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_literal_is_read_back_as_the_same_value(value in values()) {
        let text = format!("v = {}\n", literal::literal(&value));
        let project = Project::new()
            .file("t.pkr.hcl", "variable \"v\" { type = any }\n")
            .file("v.pkrvars.hcl", &text);
        let request = Request { path: "t.pkr.hcl".into(), var_files: vec!["v.pkrvars.hcl".into()], ..Request::default() };
        let loaded = evaluate::load_template(&project.around, &request, crate::template::Depth::Whole);
        prop_assert!(!loaded.diagnostics.has_errors(), "{text}{:?}", loaded.diagnostics);
        let read = loaded.template.expect("a template").variables["v"].value.clone();
        prop_assert!(read.equals(&value) == Some(true), "{text}{read:?}");
    }
}
