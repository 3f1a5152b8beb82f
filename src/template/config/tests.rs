use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::template::diagnostic::Diagnostics;
use crate::template::go::engine::InterpolateContext;
use crate::template::hcl::value::Type;
use crate::template::secrets::Secrets;
use crate::template::source_map::SourceMap;

crate::config! {
    /// Limits of a script.
    pub(super) struct LimitsConfig {
        /// How long it may run.
        timeout: Option<Duration>,
        #[required]
        name: String,
    }
}

crate::config! {
    /// Options every test component has.
    pub(super) struct CommonConfig {
        /// Said at the start.
        greeting: String = "hello".to_owned(),
    }
}

crate::config! {
    /// Runs scripts
    /// in the guest.
    pub(super) struct TestConfig {
        /// Commands.
        ///
        /// Joined by newlines.
        inline: Vec<String>,
        #[required]
        destination: String,
        execute_command: Option<String> as raw,
        valid_exit_codes: Vec<i64> = vec![0],
        skip_clean: bool,
        retries: u16,
        wait: Option<Duration> = Some(Duration::from_secs(80)),
        env: BTreeMap<String, String>,
        limits: Option<LimitsConfig> as block,
        many: Vec<LimitsConfig> as block,
        r#type: String,
        common: CommonConfig as flatten,
    }
}

fn span(at: usize) -> Span {
    let file = SourceMap::default().add("test", "");
    Span::new(file, at..at + 1)
}

fn entry(index: usize, name: &str, content: Content) -> Entry {
    Entry { name: name.into(), name_span: span(index * 10), item: Item { span: span(index * 10 + 5), content } }
}

fn body(entries: Vec<(&str, Content)>) -> EvaluatedBody {
    let entries = entries.into_iter().enumerate().map(|(index, (name, content))| entry(index, name, content));
    EvaluatedBody { header: span(1000), entries: entries.collect() }
}

fn value(value: impl Into<Value>) -> Content {
    Content::Value(value.into())
}

fn decode_test(entries: Vec<(&str, Content)>) -> (Decoded<TestConfig>, Diagnostics, Secrets) {
    let (secrets, interpolate) = (Secrets::default(), InterpolateContext::default());
    let context = DecodeContext { owner: "the test provisioner", interpolate: &interpolate, secrets: &secrets };
    let (decoded, diagnostics) = decode(&body(entries), context);
    (decoded, diagnostics, secrets)
}

fn decoded(entries: Vec<(&str, Content)>) -> Decoded<TestConfig> {
    let (decoded, diagnostics, _) = decode_test(entries);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    decoded
}

fn errors(entries: Vec<(&str, Content)>) -> Vec<(String, usize)> {
    let (_, diagnostics, _) = decode_test(entries);
    diagnostics.iter().map(|d| (d.summary.clone(), d.span.map_or(0, |span| span.start))).collect()
}

#[test]
fn defaults_hold_unless_set() {
    let config = decoded(vec![("destination", value("/tmp"))]).config;
    assert_eq!(config.destination, "/tmp");
    assert_eq!(config.valid_exit_codes, [0]);
    assert_eq!(config.wait, Some(Duration::from_secs(80)));
    assert_eq!(config.common.greeting, "hello");
    assert!(config.limits.is_none() && !config.skip_clean);
}

#[test]
fn values_are_decoded_weakly() {
    let config = decoded(vec![
        ("destination", value(7)),
        ("inline", value("a,b")),
        ("valid_exit_codes", Content::Value(Value::tuple(vec!["3".into(), 4.into()]))),
        ("skip_clean", value("true")),
        ("retries", value("12")),
        ("wait", value("1m")),
        ("type", value("x")),
        ("greeting", value("hi")),
    ])
    .config;
    assert_eq!((config.destination.as_str(), config.inline), ("7", vec!["a,b".to_owned()]));
    assert_eq!(config.valid_exit_codes, [3, 4]);
    assert!(config.skip_clean);
    assert_eq!((config.retries, config.wait), (12, Some(Duration::from_mins(1))));
    assert_eq!((config.r#type.as_str(), config.common.greeting.as_str()), ("x", "hi"));
}

#[test]
fn every_error_is_reported_at_its_place() {
    assert_eq!(
        errors(vec![
            ("inlin", value("x")),
            ("retries", value(-1)),
            ("wait", value(5)),
            ("skip_clean", Content::Value(Value::tuple(vec![]))),
            ("env", value("x")),
        ]),
        [
            ("unknown option `inlin`".to_owned(), 0),
            ("`destination` is required, but not set".to_owned(), 1000),
            ("wrong type for `skip_clean`".to_owned(), 35),
            ("wrong value for `retries`".to_owned(), 15),
            ("wrong value for `wait`".to_owned(), 25),
            ("wrong type for `env`".to_owned(), 45),
        ]
    );
}

#[test]
fn nested_blocks_decode_and_report_by_path() {
    let inner = || Content::Block(body(vec![("name", value("n")), ("timeout", value("1s"))]));
    let config = decoded(vec![("destination", value("d")), ("limits", inner()), ("many", inner()), ("many", inner())]);
    assert_eq!(config.config.limits.and_then(|limits| limits.timeout), Some(Duration::from_secs(1)));
    assert_eq!(config.config.many.len(), 2);
    assert!(config.spans.contains_key("limits.timeout"));
    let found = errors(vec![
        ("destination", value("d")),
        ("limits", Content::Block(body(vec![("name", Content::Value(Value::tuple(vec![])))]))),
    ]);
    assert_eq!(found, [("wrong type for `limits.name`".to_owned(), 5)]);
}

#[test]
fn unknown_values_leave_the_default_and_are_recorded() {
    let decoded = decoded(vec![
        ("destination", Content::Value(Value::unknown(Type::String))),
        ("inline", Content::Value(Value::tuple(vec![Value::unknown(Type::Dynamic)]))),
    ]);
    assert!(decoded.is_unknown("destination") && decoded.is_unknown("inline"));
    assert!(decoded.is_set("destination") && !decoded.is_unknown("wait"));
}

#[test]
fn strings_are_rendered_unless_raw_and_null_is_not_set() {
    let config = decoded(vec![
        ("destination", value("{{ upper `a` }}")),
        ("execute_command", value("{{ .Path }}")),
        ("wait", Content::Value(Value::null())),
    ]);
    assert_eq!(config.config.destination, "A");
    assert_eq!(config.config.execute_command.as_deref(), Some("{{ .Path }}"));
    assert!(!config.is_set("wait"));
    let (_, diagnostics, _) = decode_test(vec![("destination", value("{{ .Nope }}"))]);
    let first = diagnostics.iter().next().expect("a warning");
    assert_eq!(first.summary, "there is no field `.Nope` in `destination`");
    assert!(!diagnostics.has_errors());
}

#[test]
fn sensitive_strings_are_collected() {
    let (decoded, _, secrets) = decode_test(vec![
        ("destination", Content::Value(Value::string("hunter2").mark(true))),
        ("inline", Content::Value(Value::tuple(vec!["open".into(), Value::string("s3cret").mark(true)]))),
    ]);
    assert_eq!(decoded.config.destination, "hunter2");
    assert_eq!(secrets.values(), ["hunter2", "s3cret"]);
}

#[test]
fn the_schema_describes_every_option() {
    let schema = TestConfig::schema();
    assert_eq!(schema.help, "Runs scripts in the guest.");
    let inline = schema.option("inline").expect("described");
    assert_eq!(
        (inline.type_name.as_str(), inline.help.as_str()),
        ("list of string", "Commands.\n\nJoined by newlines.")
    );
    let wait = schema.option("wait").expect("described");
    assert_eq!(wait.default.as_deref(), Some("\"1m20s\""));
    assert!(schema.option("destination").is_some_and(|option| option.required));
    assert!(schema.option("limits").is_some_and(|option| option.nested.is_some() && option.mode == Mode::Block));
    assert!(schema.option("type").is_some() && schema.option("greeting").is_some());
}
