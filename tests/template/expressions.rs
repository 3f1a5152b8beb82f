//! Expressions beside what Packer 1.6.6 says of them. `tests/long/expressions` records it, and tells of the marks.

use std::collections::BTreeMap;
use std::path::Path;

use larder::template::diagnostic::Diagnostics;
use larder::template::files::HostFiles;
use larder::template::hcl::eval::{Evaluator, Work};
use larder::template::hcl::functions::{Allowed, FunctionEnv};
use larder::template::hcl::scope::Scope;
use larder::template::hcl::show::show;
use larder::template::hcl::syntax::parser::parse_expression;
use larder::template::hcl::value::Value;
use larder::template::source_map::SourceMap;

pub(crate) const TABLE: &str = include_str!("expressions.txt");
/// Functions that version does not have, with what is known of their results, and where from.
pub(crate) const NEWER: &str = include_str!("functions-newer.txt");

/// The names of `expressions/template.pkr.hcl`.
const NAMES: &[(&str, &[(&str, &str)])] = &[
    (
        "var",
        &[
            ("name", "\"web\""),
            ("list", "convert([\"a\", \"b\", \"c\"], list(string))"),
            ("numbers", "convert([3, 1, 2, 1], set(number))"),
            ("map", "convert({ b = \"2\", a = \"1\" }, map(string))"),
            ("none", "convert(null, string)"),
            ("nothing", "convert(null, list(string))"),
            ("flag", "true"),
        ],
    ),
    (
        "local",
        &[
            ("pair", "[\"x\", 1]"),
            ("objects", "[{ id = 1, tags = [\"a\", \"b\"] }, { id = 2, tags = [] }]"),
            ("nested", "{ a = { b = { c = \"deep\" } }, list = [[1, 2], [3]] }"),
            ("empty", "{}"),
        ],
    ),
    ("path", &[("root", "\".\"")]),
];

pub(crate) fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/template/expressions")
}

fn evaluate(text: &str, scope: &Scope<'_>) -> Result<Value, String> {
    let mut sources = SourceMap::default();
    let file = sources.add("expression", text);
    let folder = folder();
    let env = FunctionEnv {
        files: &HostFiles,
        cwd: &folder,
        now: "2023-11-14T22:13:20Z".parse().expect("a time"),
        allowed: Allowed::All,
        answers: None,
    };
    let mut found = Diagnostics::default();
    let value = match parse_expression(file, text, &mut found) {
        Some(expr) => Evaluator { env: &env, work: &Work::default() }.eval(&expr, scope, &mut found),
        None => Value::null(),
    };
    match found.errors().next() {
        Some(error) => Err(format!("{}: {}", error.summary, error.detail.as_deref().unwrap_or_default())),
        None => Ok(value),
    }
}

fn scope() -> Scope<'static> {
    let empty = Scope::default();
    let group = |names: &[(&str, &str)]| -> BTreeMap<String, Value> {
        names.iter().map(|(name, text)| ((*name).to_owned(), evaluate(text, &empty).expect(text))).collect()
    };
    Scope::new(NAMES.iter().map(|(root, names)| ((*root).to_owned(), Value::object(group(names)))).collect())
}

/// An expression of the table, and what is said of it.
#[derive(Default)]
pub(crate) struct Case {
    pub(crate) expression: &'static str,
    /// Packer's result; none if it fails.
    pub(crate) theirs: Option<String>,
    /// Where the result is known from, if not from Packer 1.6.6.
    source: Option<&'static str>,
    /// Why Larder's result is another.
    reason: Option<&'static str>,
    /// Larder's result where it is another; none if it fails.
    ours: Option<String>,
}

impl Case {
    /// Whether it differs from Packer for a reason.
    pub(crate) fn is_excused(&self) -> bool {
        self.reason.is_some()
    }

    /// What Larder is to show; none if it is to fail.
    pub(crate) fn expected(&self) -> Option<&str> {
        if self.reason.is_some() { self.ours.as_deref() } else { self.theirs.as_deref() }
    }
}

pub(crate) fn cases(table: &'static str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let add = |result: &mut Option<String>, line: &str| {
        let line = line.strip_prefix(' ').unwrap_or(line);
        match result {
            Some(text) => *text += &format!("\n{line}"),
            None => *result = Some(line.to_owned()),
        }
    };
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let last = cases.last_mut();
        match (line.as_bytes()[0], last) {
            (b'|', Some(case)) => add(&mut case.theirs, &line[1..]),
            (b'>', Some(case)) => add(&mut case.ours, &line[1..]),
            (b'~', Some(case)) => case.reason = Some(line[1..].trim()),
            (b'!', Some(_)) => {}
            (b'@', Some(case)) => case.source = Some(line[1..].trim()),
            _ => cases.push(Case { expression: line, ..Case::default() }),
        }
    }
    cases
}

#[test]
fn expressions_give_what_packer_gives() {
    let scope = scope();
    let cases = cases(TABLE);
    let (mut same, mut on_purpose, mut wrong) = (0, 0, Vec::new());
    for case in &cases {
        let result = evaluate(case.expression, &scope);
        let shown = result.as_ref().ok().map(show);
        let expected = case.expected();
        if shown.as_deref() != expected {
            let ours = result.map_or_else(|error| format!("fails: {error}"), |value| show(&value));
            wrong.push(format!("{}\n  expected {expected:?}\n  got      {ours:?}", case.expression));
        } else if case.reason.is_some() {
            on_purpose += 1;
        } else {
            same += 1;
        }
        // A reason that no longer holds must not stay.
        assert!(case.reason.is_none() || case.ours != case.theirs, "{}: it is the same", case.expression);
    }
    eprintln!("{same} of {} expressions give what Packer 1.6.6 gives, {on_purpose} differ on purpose", cases.len());
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same >= 1_000, "only {same}");
}

#[test]
fn newer_functions_give_what_their_sources_say() {
    let scope = scope();
    let cases = cases(NEWER);
    let mut wrong = Vec::new();
    for case in &cases {
        assert!(case.source.is_some_and(|source| !source.is_empty()), "{}: no source", case.expression);
        let result = evaluate(case.expression, &scope);
        if result.as_ref().ok().map(show) != case.theirs {
            let ours = result.map_or_else(|error| format!("fails: {error}"), |value| show(&value));
            wrong.push(format!("{}\n  expected {:?}\n  got      {ours:?}", case.expression, case.theirs));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases.len() >= 60, "{} rows", cases.len());
}
