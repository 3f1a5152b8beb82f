use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::template::diagnostic::{Diagnostics, Severity};
use crate::template::go::engine::InterpolateContext;
use crate::template::hcl::value::{Number, Type};
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
        #[replaced("greeting")]
        old: String,
        #[sensitive]
        password: Option<String>,
        #[values("low", "high")]
        level: String = "low".to_owned(),
        #[conflicts("other")]
        one: String,
        other: String,
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
    decode_in(&InterpolateContext::default(), entries)
}

fn decode_in(
    interpolate: &InterpolateContext,
    entries: Vec<(&str, Content)>,
) -> (Decoded<TestConfig>, Diagnostics, Secrets) {
    let secrets = Secrets::default();
    let context = DecodeContext { owner: "the ansible-local provisioner", interpolate, secrets: &secrets };
    let (decoded, diagnostics) = decode(&body(entries), context);
    (decoded, diagnostics, secrets)
}

fn decoded(entries: Vec<(&str, Content)>) -> Decoded<TestConfig> {
    let (decoded, diagnostics, _) = decode_test(entries);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    decoded
}

/// As in a legacy template.
fn legacy(entries: Vec<(&str, Content)>) -> (Decoded<TestConfig>, Vec<String>) {
    let interpolate = InterpolateContext { user: Some(BTreeMap::new()), ..InterpolateContext::default() };
    let (decoded, diagnostics, _) = decode_in(&interpolate, entries);
    (decoded, diagnostics.iter().map(|found| found.summary.clone()).collect())
}

fn tuple(values: impl IntoIterator<Item = Value>) -> Content {
    Content::Value(Value::tuple(values.into_iter().collect()))
}

fn object(entries: &[(&str, Value)]) -> Value {
    Value::object(entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
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
fn values_are_converted_as_hcl_does() {
    let config = decoded(vec![
        ("destination", value(7)),
        ("inline", tuple(["a,b".into(), 1.into()])),
        ("valid_exit_codes", tuple(["3".into(), 4.into()])),
        ("skip_clean", value("true")),
        ("retries", value("12")),
        ("wait", value("1m")),
        ("type", Content::Value(Value::bool(true))),
        ("greeting", value("hi")),
    ])
    .config;
    assert_eq!((config.destination.as_str(), config.inline), ("7", vec!["a,b".to_owned(), "1".to_owned()]));
    assert_eq!(config.valid_exit_codes, [3, 4]);
    assert!(config.skip_clean);
    assert_eq!((config.retries, config.wait), (12, Some(Duration::from_mins(1))));
    assert_eq!((config.r#type.as_str(), config.common.greeting.as_str()), ("true", "hi"));
    for (name, wrong) in [
        ("inline", value("a")),
        ("skip_clean", value("True")),
        ("skip_clean", value(1)),
        ("skip_clean", value("")),
        ("retries", value("")),
        ("retries", value("0x10")),
        ("retries", Content::Value(Value::bool(true))),
        ("retries", Content::Value(Value::number(Number::float(1.5).expect("finite")))),
        ("env", tuple([])),
        ("Greeting", value("hi")),
    ] {
        let found = errors(vec![("destination", value("d")), (name, wrong.clone())]);
        assert_eq!(found.len(), 1, "{name}: {wrong:?}: {found:?}");
    }
}

/// Each as Packer 1.6.6 takes it.
#[test]
fn legacy_values_are_decoded_weakly() {
    let (decoded, found) = legacy(vec![
        ("destination", Content::Value(Value::bool(true))),
        ("inline", value("{{ upper `a` }},b")),
        ("execute_command", value("{{ .Path }}")),
        ("valid_exit_codes", tuple(["0x10".into(), Value::bool(true), "-017".into(), "".into()])),
        ("skip_clean", value(2)),
        ("retries", Content::Value(Value::number(Number::float(1.5).expect("finite")))),
        ("env", tuple([object(&[("a", 1.into())]), object(&[("b", "2".into())])])),
        ("many", Content::Value(object(&[("name", "n".into())]))),
    ]);
    assert_eq!(found, [""; 0]);
    let config = decoded.config;
    assert_eq!((config.destination.as_str(), config.retries, config.skip_clean), ("1", 1, true));
    assert_eq!(config.inline, ["A", "b"]);
    assert_eq!(config.execute_command.as_deref(), Some("{{ .Path }}"));
    assert_eq!(config.valid_exit_codes, [16, 1, -15, 0]);
    assert_eq!(config.env.into_iter().collect::<Vec<_>>(), [("a".into(), "1".into()), ("b".into(), "2".to_owned())]);
    assert_eq!(config.many.len(), 1);
    for (name, wrong) in [
        ("skip_clean", value("yes")),
        ("skip_clean", tuple([])),
        ("retries", value("1.5")),
        ("retries", value("_1")),
        ("retries", tuple([])),
        ("destination", tuple([])),
        ("env", tuple([1.into()])),
    ] {
        let mut entries = vec![("destination", value("d"))];
        entries.retain(|(set, _)| *set != name);
        entries.push((name, wrong));
        assert_eq!(legacy(entries).1.len(), 1, "{name}");
    }
}

#[test]
fn parts_of_an_object_are_decoded_weakly_in_hcl_too() {
    let overridden = |name: &str, content: Content| {
        let item = Item { span: span(90), content };
        Entry { name: name.into(), name_span: span(90), item }
    };
    let (secrets, interpolate) = (Secrets::default(), InterpolateContext::default());
    let context = DecodeContext { owner: "the test provisioner", interpolate: &interpolate, secrets: &secrets };
    let mut body = body(vec![("destination", value("d"))]);
    body.replace([overridden("inline", value("a,b")), overridden("skip_clean", value(1))]);
    let (decoded, diagnostics) = decode::<TestConfig>(&body, context);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!((decoded.config.inline, decoded.config.skip_clean), (vec!["a".to_owned(), "b".to_owned()], true));
}

#[test]
fn hostile_bodies_end_in_a_few_diagnostics() {
    let commas = ",".repeat(1 << 20);
    let (_, found) = legacy(vec![("destination", value("d")), ("inline", value(commas.as_str()))]);
    assert_eq!(found, ["wrong type for `inline`"]);
    let names: Vec<String> = (0..10_000).map(|number| format!("destinatio{number}")).collect();
    let mut entries: Vec<(&str, Content)> = names.iter().map(|name| (name.as_str(), value("x"))).collect();
    entries.push(("destination", value("d")));
    assert_eq!(errors(entries).len(), 100);
}

#[test]
fn what_is_out_of_use_is_told_with_its_fixer() {
    let hint = |is_legacy: bool, name: &str| {
        let user = is_legacy.then(BTreeMap::new);
        let interpolate = InterpolateContext { user, ..InterpolateContext::default() };
        let (_, diagnostics, _) = decode_in(&interpolate, vec![("destination", value("d")), (name, value("x"))]);
        let found: Vec<_> = diagnostics.iter().cloned().collect();
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].severity, found[0].summary.clone(), found[0].hint.clone().unwrap_or_default())
    };
    let (severity, summary, repair) = hint(true, "galaxycommand");
    assert_eq!((severity, summary.as_str()), (Severity::Error, "`galaxycommand` is out of use"));
    assert_eq!(repair, "`larder fix` repairs it (the fixer galaxy-command)");
    let (severity, summary, repair) = hint(false, "old");
    assert_eq!((severity, summary.as_str()), (Severity::Warning, "`old` is deprecated"));
    assert_eq!(repair, "write `greeting` in its place");
    assert_eq!(hint(false, "galaxycommand").1, "`galaxycommand` is out of use");
    // Of builders, and no provisioner has had it.
    assert_eq!(hint(false, "ssh_disable_agent").1, "unknown option `ssh_disable_agent`");
}

#[test]
fn options_that_exclude_each_other_are_told_once_and_those_that_are_empty_do_not_count() {
    let both = |one: Content, other: Content| errors(vec![("destination", value("d")), ("one", one), ("other", other)]);
    assert_eq!(both(value("a"), value("b")), [("`other` cannot be used together with `one`".to_owned(), 20)]);
    for empty in [value(""), tuple([]), Content::Value(Value::bool(false)), Content::Value(Value::null())] {
        assert_eq!(both(value("a"), empty.clone()).len(), usize::from(empty_is_wrong(&empty)), "{empty:?}");
    }
}

/// Whether a string option cannot be this at all.
fn empty_is_wrong(content: &Content) -> bool {
    matches!(content, Content::Value(value) if value.elements().is_some())
}

#[test]
fn texts_that_are_not_among_those_there_are_get_a_hint() {
    let (_, diagnostics, _) = decode_test(vec![("destination", value("d")), ("level", value("hihg"))]);
    let found = diagnostics.iter().next().expect("an error");
    assert_eq!(
        (found.summary.as_str(), found.hint.as_deref()),
        ("wrong value for `level`", Some("did you mean \"high\"?"))
    );
    assert_eq!(decoded(vec![("destination", value("d")), ("level", value("low"))]).config.level, "low");
}

#[test]
fn options_that_are_sensitive_are_secrets_unless_another_tells_them() {
    let (_, _, secrets) = decode_test(vec![("destination", value("d")), ("password", value("{{ upper `pw` }}"))]);
    assert_eq!(secrets.values(), ["PW"]);
    let (_, _, secrets) = decode_test(vec![("destination", value("open")), ("password", value("open"))]);
    assert_eq!(secrets.values(), [""; 0]);
    let (_, _, secrets) = decode_test(vec![("destination", value("d")), ("password", value("vagrant"))]);
    assert_eq!(secrets.values(), [""; 0]);
    let marked = Content::Value(Value::string("vagrant").mark(true));
    let (_, _, secrets) = decode_test(vec![("destination", value("d")), ("password", marked)]);
    assert_eq!(secrets.values(), ["vagrant"], "whoever says that it is one gets it hidden");
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
        (inline.ty.to_string().as_str(), inline.help.as_str()),
        ("list of string", "Commands.\n\nJoined by newlines.")
    );
    let wait = schema.option("wait").expect("described");
    assert_eq!(wait.default.as_deref(), Some("\"1m20s\""));
    assert!(schema.option("destination").is_some_and(|option| option.traits.required));
    assert!(schema.option("limits").is_some_and(|option| option.nested.is_some() && option.mode == Mode::Block));
    assert!(schema.option("type").is_some() && schema.option("greeting").is_some());
}
