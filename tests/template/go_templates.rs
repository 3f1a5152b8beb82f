//! Go templates, beside what Packer 1.6.6 and Go 1.19 made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder::template::go::engine::{FunctionSet, InterpolateContext, render};
use larder::template::go::{Failure, Functions, Options, Program, Signature, Struct, Type, Value};

/// What Packer's console said. It breaks long lines of errors, so blanks in them are one.
const PACKER: &str = include_str!("oracle/go-1.6.6.jsonl");
/// What Go's `text/template` said, with [`data`] and [`Few`] functions.
const GO: &str = include_str!("oracle/go-1.19.jsonl");

fn records(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn one_blank(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Compares every record with what `made` gives, an error in Go's words.
fn compare(records: &[serde_json::Value], made: impl Fn(&str) -> Result<String, String>) {
    let mut wrong = Vec::new();
    for record in records {
        let template = record["template"].as_str().unwrap();
        let made = made(template);
        let same = match (&made, record["output"].as_str(), record["error"].as_str()) {
            (Ok(text), Some(expected), None) => text == expected,
            (Err(error), None, Some(expected)) => one_blank(error) == one_blank(expected),
            _ => false,
        };
        if !same {
            wrong.push(format!("{template}\n  theirs: {record}\n  ours: {made:?}"));
        }
    }
    eprintln!("{} of {} templates are rendered as recorded", records.len() - wrong.len(), records.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn templates_are_rendered_as_packer_does() {
    let user = [("aa", "1"), ("bb", "12"), ("cc", "x-y-z")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = InterpolateContext {
        template_dir: "/t".to_owned(),
        cwd: "/c".to_owned(),
        now: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        user: Some(user.into_iter().collect()),
        functions: FunctionSet::Core,
        ..InterpolateContext::default()
    };
    let records = records(PACKER);
    assert!(records.len() >= 370);
    compare(&records, |text| render(text, &context).map_err(|error| error.error().go_text()));
}

#[test]
fn data_is_used_as_by_go() {
    let records = records(GO);
    assert!(records.len() >= 75);
    let options = Options { limit: 1 << 20, keeps_fields: None };
    compare(&records, |text| {
        let program = Program::parse("root", text, &|name| Few.signature(name).is_some());
        let rendered = program.and_then(|program| program.render(&data(), &Few, options));
        rendered.map(|rendered| rendered.text).map_err(|error| error.go_text())
    });
}

fn map(entries: Vec<(&str, Value)>) -> BTreeMap<String, Value> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn data() -> Value {
    let object = |entries| Value::Map(Arc::new(map(entries)));
    let list = |elements: &[&str]| Value::List(elements.iter().map(|text| Value::from(*text)).collect());
    let known = Struct {
        type_name: "struct { HTTPIP string; HTTPPort string }".to_owned(),
        fields: map(vec![("HTTPIP", "ip".into()), ("HTTPPort", "port".into())]),
    };
    object(vec![
        ("Name", "n".into()),
        ("Empty", "".into()),
        ("N", Value::Int(3)),
        ("F", Value::Float(1.5)),
        ("B", Value::Bool(true)),
        ("L", list(&["a", "b"])),
        ("M", object(vec![("k", "v".into()), ("a", "b".into())])),
        ("X", object(vec![("y", object(vec![("z", "deep".into())]))])),
        ("E", list(&[])),
        ("S", Value::Struct(Arc::new(known))),
        ("Mix", Value::List([Value::Int(1), "a".into(), Value::Nil].into())),
    ])
}

/// The few functions that the recorded templates use beside Go's own.
struct Few;

impl Functions for Few {
    fn signature(&self, name: &str) -> Option<Signature> {
        (name == "upper").then_some(Signature { parameters: &[Type::Text], variadic: None })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
        match arguments {
            [Value::Text(text)] => Ok(text.to_uppercase().into()),
            _ => Err(format!("{name} takes a text").into()),
        }
    }
}
