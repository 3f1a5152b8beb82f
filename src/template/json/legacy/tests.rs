use super::*;
use crate::template::load::tests::{Case, case};

crate::config! {
    /// A component for tests.
    struct Any {
        /// Text.
        text: String,
        /// More text.
        more: Vec<String>,
        /// How often.
        count: Option<i64>,
        /// Whether.
        on: bool,
        /// How long.
        wait: std::time::Duration,
        /// By name.
        env: BTreeMap<String, String>,
    }
}

fn legacy(text: &str) -> Case {
    let mut case = case("").file("t.json", text);
    case.options.path = "t.json".into();
    case
}

const TEMPLATE: &str = r#"{
  "_comment": "all there is",
  "description": "A test.",
  "min_packer_version": "1.6.0",
  "variables": {"suite": "trixie", "image": "{{user `suite`}}-{{user `size`}}", "size": 10, "who": "{{env `WHO`}}"},
  "builders": [
    {"type": "null", "name": "b-{{user `suite`}}", "text": "{{user `image`}} {{build_name}}", "count": "7", "ON": "true"},
    {"type": "file"},
    {"type": "null", "name": "a", "text": 5, "more": "one", "wait": "2s", "env": {"A": "{{user `who`}}"}}
  ],
  "provisioners": [
    {"type": "shell", "only": ["b-{{user `suite`}}"], "pause_before": "5s", "max_retries": "{{user `size`}}", "timeout": "1m",
     "override": {"b-{{user `suite`}}": {"count": 3}}, "count": 1}
  ],
  "error-cleanup-provisioner": {"type": "shell-local"},
  "post-processors": [
    "compress",
    [{"type": "checksum", "name": "sums", "keep_input_artifact": true}, "manifest"]
  ],
  "push": {"name": "gone"}
}"#;

#[test]
fn a_template_becomes_the_model_of_hcl2() {
    let mut case = legacy(TEMPLATE);
    case.options.env.insert("WHO".into(), "me".into());
    let template = case.template();
    let build = &template.builds[0];
    assert_eq!(template.language, Language::LegacyJson);
    assert_eq!(build.description, "A test.");
    let ids: Vec<_> = build.sources.iter().map(|source| (source.id(), source.builder_type.as_str())).collect();
    assert_eq!(ids, [("a".to_owned(), "null"), ("b-trixie".to_owned(), "null"), ("file".to_owned(), "file")]);
    let env = |source: &BuildSource| DecodeEnv {
        builder_type: Some(source.builder_type.clone()),
        source_name: Some(source.name.clone()),
        ..DecodeEnv::default()
    };
    let decoded: Vec<Any> = build
        .sources
        .iter()
        .take(2)
        .map(|source| {
            let (decoded, diagnostics) = source.body.decode::<Any>(&env(source));
            assert!(diagnostics.is_empty(), "{diagnostics:?}");
            decoded.config
        })
        .collect();
    assert_eq!((decoded[0].text.as_str(), decoded[0].more.as_slice()), ("5", &["one".to_owned()][..]));
    assert_eq!((decoded[0].wait.as_secs(), decoded[0].env["A"].as_str()), (2, "me"));
    assert_eq!(decoded[1].text, "trixie-10 b-trixie");
    assert_eq!((decoded[1].count, decoded[1].on), (Some(7), true));
    let shell = &build.provisioners[0];
    assert_eq!(shell.only, ["b-{{user `suite`}}"]);
    assert_eq!((shell.pause_before.as_secs(), shell.max_retries, shell.timeout.unwrap().as_secs()), (5, 10, 60));
    let overrides = shell.overrides.get(&build.sources[1].short_id()).cloned();
    let (decoded, _) = shell.body.decode::<Any>(&DecodeEnv { overrides, ..DecodeEnv::default() });
    assert_eq!(decoded.config.count, Some(3));
    assert_eq!(build.error_cleanup.as_ref().unwrap().kind, "shell-local");
    let chains: Vec<Vec<&str>> =
        build.post_processors.iter().map(|chain| chain.iter().map(|block| block.kind.as_str()).collect()).collect();
    assert_eq!(chains, [vec!["compress"], vec!["checksum", "manifest"]]);
    let sums = &build.post_processors[1][0];
    assert_eq!((sums.name.as_deref(), sums.keep_input_artifact), (Some("sums"), Some(true)));
}

fn value(case: Case, name: &str) -> String {
    case.template().variables[name].value.scalar_text().unwrap()
}

#[test]
fn later_values_win() {
    let text = r#"{"variables": {"a": "default", "b": null}, "builders": []}"#;
    let with = || {
        let mut case =
            legacy(text).file("1.json", r#"{"a": "first", "b": 1}"#).file("2.json", r#"{"a": "{{upper `second`}}"}"#);
        case.options.var_files = vec!["1.json".into(), "2.json".into()];
        case
    };
    assert_eq!(value(with(), "a"), "SECOND");
    assert_eq!(value(with(), "b"), "1");
    assert_eq!(value(with().var("a", "last {{user `extra`}}").var("extra", "one"), "a"), "last one");
}

#[test]
fn values_are_rendered_one_after_the_other() {
    let text = r#"{"variables": {
        "a": "{{user `b`}}{{.HTTPIP}}", "b": "[{{user `c`}}]", "c": "{{isotime \"2006\"}}",
        "d": "{{`{{user`}} `e`}}", "e": "{{if .X}}x{{end}}{{template_dir}}"}}"#;
    assert_eq!(value(legacy(text), "a"), "[1970]{{.HTTPIP}}");
    assert_eq!(value(legacy(text), "d"), "/w");
}

#[test]
fn secrets_are_kept() {
    let loaded = legacy(r#"{"variables": {"p": "{{upper `hunter2`}}", "q": null}, "sensitive-variables": ["p", "q"]}"#)
        .var("q", "tr0ub4dor")
        .load();
    assert_eq!(loaded.secrets.values(), ["tr0ub4dor", "HUNTER2"]);
    assert!(loaded.template.unwrap().variables["p"].value.is_sensitive());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, expected) in [
        ("[]", "1:1: error: a template must be an object: found an array"),
        (
            r#"{"provisoners": []}"#,
            "1:2: error: unknown key `provisoners`: a template has no such key at its root (did you mean `provisioners`?)",
        ),
        (r#"{"_c": 1}"#, "1:8: error: the comment `_c` must be a string: found a number"),
        (r#"{"builders": {}}"#, "1:14: error: `builders` must be an array: found an object"),
        (r#"{"builders": [{"name": "x"}]}"#, "1:15: error: a builder needs a `type` (add \"type\": \"…\")"),
        (
            r#"{"builders": [{"type": "null"}, {"type": "file", "name": "null"}]}"#,
            "1:58: error: there are two builders named `null` (give one of them another \"name\")",
        ),
        (
            r#"{"provisioners": [{"type": "shell", "pause_before": 5}]}"#,
            "1:53: error: wrong value for `pause_before`: expected a duration (add a unit: \"5s\")",
        ),
        (
            r#"{"builders": [{"type": "null"}], "provisioners": [{"type": "shell", "only": ["nul"]}]}"#,
            "1:78: error: there is no builder `nul` (did you mean `null`?)",
        ),
        (
            r#"{"builders": [{"type": "null"}], "provisioners": [{"type": "shell", "override": {"x": {}}}]}"#,
            "1:82: error: there is no builder `x` (builders are: null)",
        ),
        (
            r#"{"provisioners": [{"type": "shell", "override": []}]}"#,
            "1:49: error: `override` must be an object: found an array",
        ),
        (
            r#"{"post-processors": [["a", ["b"]]]}"#,
            "1:28: error: a chain of post-processors cannot hold another (list them in one array, or make it a chain of its own)",
        ),
        (
            r#"{"min_packer_version": "9"}"#,
            "1:24: error: the template needs version 9: this program behaves as version 1.16.0 (change min_packer_version if the template works all the same)",
        ),
        (
            r#"{"variables": {"a": null}}"#,
            "1:16: error: the variable `a` has no value: its default is null, so a value must be given (give one: -var 'a=…', or -var-file)",
        ),
        (r#"{"variables": {"a": ["b"]}}"#, "1:21: error: the variable `a` must be a string: found an array"),
        (
            r#"{"variables": {"a": "{{user `b`}}", "b": "{{user `c`}}", "c": "{{user `b`}}"}}"#,
            "1:42: error: variables use each other in a circle: b -> c -> b (give one of them a value that does not depend on the others)",
        ),
        (
            r#"{"variables": {"a": "{{user `b`}}"}}"#,
            "1:21: error: there is no variable `b`: the value of `a` uses it (add it to `variables`, or give it: -var 'b=…')",
        ),
        (
            r#"{"variables": {"a": "{{aws_secretsmanager}}"}}"#,
            "1:21: error: cannot render the value of the variable `a`: aws_secretsmanager: secret name must be provided (or give the value by other ways: -var, a -var-file, {{env `NAME`}})",
        ),
        (
            r#"{"builders": [{"type": "null", "text": ["{{user `a`}}"]}]}"#,
            "1:41: warning: there is no user variable `a`: it is taken to be empty (add it to `variables`, or give it: -var 'a=…')",
        ),
        (
            r#"{"sensitive-variables": ["a"]}"#,
            "1:26: warning: there is no variable `a` to keep secret (declare it in `variables`, or remove it here)",
        ),
        (
            r#"{"variables": {"a": "1", "a": "2"}}"#,
            "1:26: error: `a` is given twice: an object has each name once (remove one of them)",
        ),
    ] {
        assert_eq!(legacy(text).errors(), [format!("t.json:{expected}")], "{text}");
    }
}

#[test]
fn inspecting_needs_no_values() {
    let mut case = legacy(
        r#"{"variables": {"a": null, "b": "{{user `c`}}"}, "builders": [{"type": "null", "name": "{{user `a`}}"}]}"#,
    );
    case.options.depth = Depth::Declared;
    let template = case.template();
    assert_eq!(template.builds[0].sources[0].name, "{{user `a`}}");
    assert_eq!(template.variables["a"].default, None);
}

#[test]
fn a_template_is_read_from_standard_input() {
    let mut case = case("");
    case.options.path = "-".into();
    case.options.stdin = Some(b"{\"builders\": [{}]}".to_vec());
    assert_eq!(case.errors(), ["<stdin>:1:15: error: a builder needs a `type` (add \"type\": \"…\")"]);
}
