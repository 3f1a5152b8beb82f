use std::path::Path;

use super::*;
use crate::template::files::HostFiles;
use crate::template::hcl::convert::to_json;
use crate::template::hcl::syntax::parser::parse_expression;
use crate::template::source_map::SourceMap;

fn scope() -> Scope<'static> {
    let text = |pairs: &[(&str, Value)]| {
        Value::object(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    Scope::new(BTreeMap::from([
        (
            "var".to_owned(),
            text(&[
                ("name", "web".into()),
                ("secret", Value::string("s3cret").mark(true)),
                ("later", Value::unknown(Type::String)),
                ("list", Value::strings(["a", "b", "c"])),
                ("none", Value::null()),
                ("objects", Value::tuple(vec![text(&[("id", 1.into())]), text(&[("id", 2.into())])])),
            ]),
        ),
        ("map".to_owned(), text(&[("b", 2.into()), ("a", 1.into())])),
        ("later".to_owned(), Value::unknown(Type::list(Type::String))),
    ]))
}

pub(crate) fn eval(text: &str) -> Result<Value, Box<Diagnostic>> {
    let (value, mut found) = evaluated(text);
    if found.is_empty() { Ok(value) } else { Err(Box::new(found.remove(0))) }
}

/// The value, and all that is wrong.
fn evaluated(text: &str) -> (Value, Vec<Diagnostic>) {
    evaluated_within(text, &Work::default())
}

fn evaluated_within(text: &str, work: &Work) -> (Value, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let file = sources.add("test", text);
    let env = FunctionEnv {
        files: &HostFiles,
        cwd: Path::new("/nonexistent"),
        now: "2023-11-14T22:13:20Z".parse().expect("a time"),
        allowed: functions::Allowed::All,
        answers: None,
    };
    let mut found = Diagnostics::default();
    let value = match parse_expression(file, text, &mut found) {
        Some(expr) => Evaluator { env: &env, work }.eval(&expr, &scope(), &mut found),
        None => Value::null(),
    };
    (value, found.into_iter().collect())
}

fn json(text: &str) -> String {
    let value = eval(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    to_json(&value).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn expressions_give_what_hcl_gives() {
    for (text, expected) in [
        ("1 + 2 * 3", "7"),
        ("10 / 4", "2.5"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("\"n${123456789012345678901234567890 + 1}\"", "\"n123456789012345678901234567891\""),
        ("\"3\" + 1", "4"),
        ("1 == \"1\"", "false"),
        ("[1] == [\"1\"]", "false"),
        ("null == null", "true"),
        ("false && nope", "false"),
        ("true || nope", "true"),
        ("!false", "true"),
        ("true ? 1 : \"x\"", "\"1\""),
        ("true ? 1 : nope", "1"),
        ("\"${1 + 1}x\"", "\"2x\""),
        ("\"${[1]}\"", "[1]"),
        ("\"$${x} %%{y}\"", "\"${x} %{y}\""),
        ("\"a\\n\\u00e4\"", "\"a\\nä\""),
        ("\"%{ if true }yes%{ else }no%{ endif }\"", "\"yes\""),
        ("\"%{ for x in [1, 2] ~}  ${x},%{ endfor }\"", "\"1,2,\""),
        ("\"a ${~ \"b\" ~} c\"", "\"abc\""),
        ("<<EOT\na\n  b\nEOT\n", "\"a\\n  b\\n\""),
        ("<<-EOT\n    a\n      b\n    EOT\n", "\"a\\n  b\\n\""),
        ("[for x in var.list : upper(x) if x != \"b\"]", "[\"A\",\"C\"]"),
        ("{for k, v in map : v => k}", "{\"1\":\"a\",\"2\":\"b\"}"),
        ("{for x in [\"a\", \"b\", \"a\"] : x => 1...}", "{\"a\":[1,1],\"b\":[1]}"),
        ("var.objects[*].id", "[1,2]"),
        ("var.objects.*.id", "[1,2]"),
        ("var.none[*]", "[]"),
        ("var.name[*]", "[\"web\"]"),
        ("var.list[1]", "\"b\""),
        ("var.list[\"1\"]", "\"b\""),
        ("var.list.2", "\"c\""),
        ("map[\"a\"]", "1"),
        ("{ (var.name) = 1, \"b\" = 2 }", "{\"b\":2,\"web\":1}"),
        ("max([1, 5, 3]...)", "5"),
        ("try(var.list[9], \"d\")", "\"d\""),
        ("can(var.nope)", "false"),
        ("[var.none, 1]", "[null,1]"),
    ] {
        assert_eq!(json(text), expected, "{text}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    for (text, expected) in [
        ("1 / 0", "division by zero"),
        ("7 % 0", "division by zero"),
        ("nope", "there is no `nope` here"),
        ("var.nam", "there is no variable `nam`"),
        ("uper(\"a\")", "there is no function `uper`"),
        ("\"${var.none}x\"", "null cannot be put into a string"),
        ("\"${var.list}x\"", "a list cannot be put into a string"),
        ("var.list[3]", "the index is out of range"),
        ("var.list.name", "a list has no attribute `name`"),
        ("true ? [1] : {a = 1}", "the two results of the condition are of different types"),
        ("{for x in [1, 1] : x => x}", "two elements have the same key"),
        ("\"x\" + 1", "this cannot be used with `+`"),
        ("null ? 1 : 2", "a condition cannot be null"),
        ("try(nope)", "none of the arguments of `try` can be evaluated"),
    ] {
        assert_eq!(eval(text).expect_err(text).summary, expected, "{text}");
    }
}

#[test]
fn errors_point_at_their_place_and_suggest() {
    let error = eval("1 + var.nam").expect_err("undeclared");
    let span = error.span.expect("a place");
    assert!(span.start >= 4, "{span:?}");
    assert_eq!(error.hint.as_deref(), Some("did you mean `name`?"));
}

#[test]
fn unknown_values_make_results_unknown() {
    for text in ["var.later", "\"x${var.later}\"", "upper(var.later)", "var.later == \"x\"", "[for x in later : x]"] {
        assert!(eval(text).expect(text).is_unknown(), "{text}");
    }
    assert_eq!(json("length([var.later, 1]) == 2 || true"), "true");
    assert_eq!(json("false && var.later == \"\""), "false");
}

#[test]
fn sensitive_values_make_results_sensitive() {
    for text in [
        "var.secret",
        "\"x${var.secret}\"",
        "upper(var.secret)",
        "var.secret == \"x\"",
        "var.secret == \"x\" ? 1 : 2",
        "[for x in [1] : x if var.secret != \"\"]",
        "{ (var.secret) = 1 }",
        "jsonencode([var.secret])",
        "[var.secret][0]",
        "[for x in [var.secret] : x][0]",
        "sha256(var.secret)",
    ] {
        assert!(eval(text).expect(text).contains_sensitive(), "{text}");
    }
    assert!(!eval("var.name").expect("known").contains_sensitive());
}

#[test]
fn hostile_expressions_end_in_a_diagnostic() {
    let nested = "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : 1]]]";
    assert!(eval(nested).expect_err("too much work").summary.contains("too much work"));
    assert!(eval("range(1000000000)").is_err());
    let long = "[for a in range(1000) : [for b in range(1000) : convert(1e300, string)]]";
    assert!(eval(long).expect_err("too much work").summary.contains("too much work"));
    assert!(eval("indent(1000000000, \"a\\nb\")").is_err());
    assert!(eval("9 * 1e4000 * 1e4000").is_err());
    assert!(eval(&format!("{}1", "!".repeat(5000))).is_err());
}

proptest::proptest! {
    #[test]
    fn any_expression_evaluates_or_fails(
        text in "(var|map|list|name|\\.|\\[|\\]|\\(|\\)|\\{|\\}|\"|\\$\\{|%\\{|if|for|x|in|:|=>|\\*|/|%|-|\\+|1|0|0\\.5|,|\\?|upper|length|element|null|true| |==|&&|!|~|\\n|<<E\\n|E\\n){1,16}",
    ) {
        let _ = eval(&text);
    }

    #[test]
    fn functions_take_any_arguments(
        name in proptest::sample::select(functions::names().collect::<Vec<_>>()),
        arguments in proptest::collection::vec(
            proptest::sample::select(vec!["null", "-1", "0", "1.5", "99999999999", "\"\"", "\"a\"", "\"10.0.0.0/8\"", "\"%d\"", "[]", "[1, \"a\"]", "[[]]", "{}", "{a = 1}", "true", "var.later", "var.secret"]),
            0..5,
        ),
    ) {
        let _ = eval(&format!("{name}({})", arguments.join(", ")));
    }
}

#[test]
fn all_that_is_wrong_is_told_and_nothing_that_follows_from_it() {
    for (text, expected) in [
        (
            "[nope, nada, 1 + true]",
            vec!["there is no `nope` here", "there is no `nada` here", "this cannot be used with `+`"],
        ),
        ("upper(nope) + lower(nada.x[0].y)", vec!["there is no `nope` here", "there is no `nada` here"]),
        ("{ (nope) = nada }", vec!["there is no `nope` here", "there is no `nada` here"]),
        (
            "\"${nope}-${[]}-%{ if nada }%{ endif }\"",
            vec!["there is no `nope` here", "a tuple cannot be put into a string", "there is no `nada` here"],
        ),
        ("[for x in [1, 2, 3] : nope]", vec!["there is no `nope` here"]),
        ("[for x in [{}, {a = 1}] : [x.a, x.b]]", vec!["`x` has no attribute `a`", "`x` has no attribute `b`"]),
        // What is not chosen may be wrong, and so may both while it is not known which is.
        ("true ? 1 : nope", vec![]),
        ("var.later == \"\" ? nope : nada", vec![]),
        ("nope ? nada : 1", vec!["there is no `nope` here"]),
        ("\"%{ if true }a%{ else }${nope}%{ endif }\"", vec![]),
        ("\"%{ if var.later == \"\" }${nope}%{ endif }\"", vec![]),
        ("nope || true", vec![]),
        ("nope && false", vec![]),
        ("nope || false", vec!["there is no `nope` here"]),
        ("false || nope", vec!["there is no `nope` here"]),
        ("var.later == \"\" || nope", vec![]),
        ("nope || nada", vec!["there is no `nope` here", "there is no `nada` here"]),
        ("try(nope, 1)", vec![]),
        ("[try(nope), nada]", vec!["none of the arguments of `try` can be evaluated", "there is no `nada` here"]),
        ("{ var.name = 1 }", vec!["it is not clear what this key is"]),
        ("{ (var.name) = 1 }", vec![]),
    ] {
        let found: Vec<String> = evaluated(text).1.into_iter().map(|one| one.summary).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_round_that_fails_is_named() {
    let detail = |text: &str| eval(text).expect_err(text).detail.unwrap_or_default();
    assert_eq!(detail("[for k, x in {a = {}} : [k, x.b]]"), "where k is \"a\" and x is an object");
    assert_eq!(
        detail("[for x in [var.secret] : x + 1]"),
        "a number is required, and the string is not one, where x is sensitive"
    );
    assert_eq!(detail("\"%{ for i in [0] }${1 / i}%{ endfor }\""), "where i is 0");
    assert_eq!(detail("[for x in [1] : nope]"), "");
}

#[test]
fn types_of_what_is_not_known_are_checked() {
    for (text, expected) in [
        ("[for x in var.later : x]", "a string cannot be gone over by `for`"),
        ("var.later.x", "a string has no attribute `x`"),
        ("var.later[0]", "a string cannot be indexed"),
        ("later.x", "a list(string) has no attribute `x`"),
        ("later[\"x\"]", "an index of a list must be a number"),
        ("later[0].y", "a string has no attribute `y`"),
        ("\"${later}x\"", "a list(string) cannot be put into a string"),
        ("length(later) + \"x\"", "this cannot be used with `+`"),
    ] {
        assert_eq!(eval(text).expect_err(text).summary, expected, "{text}");
    }
    for (text, ty) in [
        ("later[0]", "string"),
        ("later[*]", "list(string)"),
        ("length(later)", "number"),
        ("[for x in later : x]", "any"),
        ("var.later == \"x\"", "bool"),
        ("true ? var.later : null", "string"),
    ] {
        assert_eq!(eval(text).expect(text).ty().to_string(), ty, "{text}");
    }
}

#[test]
fn too_much_work_is_told_even_where_errors_are_not() {
    let endless = "[for a in range(100) : [for b in range(100) : [for c in range(100) : 1]]]";
    for text in [
        format!("try({endless}, 1)"),
        format!("can({endless})"),
        format!("true || {endless} == []"),
        format!("true ? 1 : {endless}"),
    ] {
        let (_, found) = evaluated_within(&text, &Work::up_to(10_000));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].summary.contains("too much work"), "{text}: {found:?}");
    }
}

#[test]
fn the_highest_tree_is_evaluated() {
    let sum = vec!["1"; 190].join(" + ");
    assert_eq!(json(&sum), "190");
    let nested = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(eval(&nested).expect("it is not too deep").depth(), 60);
}

#[test]
fn marks_are_those_of_all_that_decides() {
    for text in [
        "true || var.secret == \"\"",
        "var.secret == \"\" && false",
        "can(var.secret + 1) ? 1 : 2",
        "\"%{ if var.secret == \"\" }%{ endif }\"",
    ] {
        let sensitive = eval(text).expect(text).contains_sensitive();
        assert_eq!(sensitive, !text.starts_with("can"), "{text}");
    }
}
