use super::*;
use crate::template::source_map::SourceMap;

fn parsed(text: &str) -> (Option<Node>, Vec<String>) {
    let mut sources = SourceMap::default();
    let file = sources.add("t.json", text);
    let mut diagnostics = Diagnostics::default();
    let node = parse(file, text, &mut diagnostics);
    (node, diagnostics.iter().map(|diagnostic| diagnostic.one_line(&sources)).collect())
}

fn to_serde(node: &Node) -> serde_json::Value {
    match &node.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(value) => (*value).into(),
        Kind::Number(text) => serde_json::from_str(text).expect("a number"),
        Kind::String(text) => text.clone().into(),
        Kind::Array(elements) => elements.iter().map(to_serde).collect(),
        Kind::Object(members) => members
            .iter()
            .map(|member| (member.name.clone(), to_serde(&member.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[test]
fn values_have_their_places() {
    let text = "{\"a\": [1, \"x\\u00e9\\ud83d\\ude00\"], \"b\": null}";
    let node = parsed(text).0.unwrap();
    let Kind::Object(members) = &node.kind else { panic!("{node:?}") };
    assert_eq!(&text[members[0].name_span.start..members[0].name_span.end], "\"a\"");
    let Kind::Array(elements) = &members[0].value.kind else { panic!("{node:?}") };
    assert_eq!(&text[elements[0].span.start..elements[0].span.end], "1");
    assert_eq!(elements[1].kind, Kind::String("xé😀".to_owned()));
    assert_eq!(&text[members[1].value.span.start..members[1].value.span.end], "null");
}

#[test]
fn names_given_twice_are_found_at_any_depth() {
    let (node, found) = parsed("{\n \"a\": [{\"b\": 1,\n \"b\": 2}],\n \"a\": 3}");
    assert!(node.is_some());
    assert_eq!(
        found,
        [
            "t.json:3:2: error: `b` is given twice: an object has each name once (remove one of them)",
            "t.json:4:2: error: `a` is given twice: an object has each name once (remove one of them)",
        ]
    );
}

#[test]
fn what_is_not_json_says_why() {
    for (text, expected) in [
        ("", "1:1: error: the file is empty (a template is a JSON object: { … })"),
        ("{\"a\": 1,}", "1:8: error: there is a comma after the last value (remove the comma)"),
        ("[1, 2,\n]", "1:6: error: there is a comma after the last value (remove the comma)"),
        ("{\"a\": 1\n \"b\": 2}", "2:2: error: `,` or `}` is expected here (is a comma missing before it?)"),
        ("{\"a\" 1}", "1:6: error: `:` after the name is expected here"),
        ("{\"a\": [1, 2", "1:12: error: `,` or `]` is expected here"),
        (
            "{a: 1}",
            "1:2: error: a name in double quotes is expected here (an object is written { \"name\": value, … })",
        ),
        ("{\"a\": 'x'}", "1:7: error: a value is expected here (strings are written in double quotes)"),
        (
            "{\"a\": yes}",
            "1:7: error: a value is expected here (strings are written in double quotes; the only words are true, false and null)",
        ),
        (
            "{\"a\": \"x\n\"}",
            "1:7: error: a string does not end on its line (close it by a quote; a line break within it is written \\n)",
        ),
        ("{\"a\": \"x", "1:7: error: a string is not closed (close it by a quote)"),
        (
            "{\"a\": \"C:\\dir\"}",
            "1:10: error: this escape does not exist in JSON (a backslash itself is written \\\\)",
        ),
        ("// x\n{}", "1:1: error: JSON has no comments (at the root of a template, write \"_comment\": \"…\")"),
        ("{} {}", "1:4: error: there is something after the end of the JSON value"),
        ("{\"a\": 01}", "1:7: error: this is not a number (a number with a leading zero is a string)"),
        (
            "source \"null\" \"a\" {}",
            "1:1: error: a value is expected here: a template of this name is JSON, and begins with `{` (a template in HCL2 must be in a file named *.pkr.hcl)",
        ),
    ] {
        let (node, found) = parsed(text);
        assert!(node.is_none(), "{text}");
        assert_eq!(found, [format!("t.json:{expected}")]);
    }
}

#[test]
fn nesting_too_deep_is_an_error() {
    let (_, found) = parsed(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(found, ["t.json:1:102: error: the JSON nests too deep"]);
}

#[test]
fn a_byte_order_mark_is_skipped_and_half_a_surrogate_pair_replaced() {
    let (node, found) = parsed("\u{feff}\"\\ud800x\\udc00\"");
    assert_eq!((node.unwrap().kind, found), (Kind::String("\u{fffd}x\u{fffd}".to_owned()), vec![]));
}

proptest::proptest! {
    /// The same is JSON, and means the same, as for another parser.
    #[test]
    fn agrees_with_serde(text in "([\\[\\]{},: \n\t]|\"|\\\\[nu\"/x]|00e9|a|-|\\.|0|12|e|E\\+|true|null|\u{1}|é|//){0,16}") {
        let (ours, found) = parsed(&text);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        proptest::prop_assert_eq!(ours.is_some(), theirs.is_ok(), "{} {:?} {:?}", text, found, theirs);
        if let (Some(ours), Ok(theirs)) = (ours, theirs) {
            proptest::prop_assert_eq!(to_serde(&ours), theirs);
        }
    }
}
