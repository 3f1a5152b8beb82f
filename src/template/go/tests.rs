use std::sync::Arc;

use super::*;

/// No functions beside Go's own.
struct None0;

impl Functions for None0 {
    fn signature(&self, _: &str) -> Option<Signature> {
        None
    }

    fn call(&self, name: &str, _: &[Value]) -> Result<Value, Failure> {
        Err(format!("there is no {name}").into())
    }
}

fn run(text: &str, data: &Value) -> Result<Rendered, Box<Error>> {
    Program::parse("t", text, &|_| false)?.render(data, &None0, Options { limit: 1 << 20, keeps_fields: None })
}

#[test]
fn an_error_has_its_place_and_its_parts() {
    let error = run("a\nbä{{ len 3 }}", &Value::Nil).expect_err("a number has no length");
    assert_eq!(error.go_text(), "template: t:2:6: executing \"t\" at <len 3>: error calling len: len of type int");
    assert_eq!((error.line, error.at), (2, 7));
    assert_eq!(error.kind, ErrorKind::Call { function: "len".to_owned(), failure: "len of type int".into() });
    let error = run("{{\n\n\"x }}", &Value::Nil).expect_err("it is not closed");
    assert_eq!(error.go_text(), "template: t:3: unterminated quoted string in action started at t:1");
}

#[test]
fn a_value_that_knows_its_fields_tells_of_them() {
    let known = Struct { type_name: "struct { A string }".to_owned(), fields: [("A".to_owned(), "x".into())].into() };
    let data = Value::Struct(Arc::new(known));
    assert_eq!(run("{{ .A }}", &data).expect("there is one").text, "x");
    let error = run("{{ .B }}", &data).expect_err("there is none");
    assert_eq!(
        error.go_text(),
        "template: t:1:3: executing \"t\" at <.B>: can't evaluate field B in type struct { A string }"
    );
    assert!(matches!(error.kind, ErrorKind::UnknownField { known, .. } if known == ["A"]));
}

#[test]
fn literals_are_quoted_and_unquoted_as_in_go() {
    for (text, quoted) in [
        ("a\"\\\n\t\r", r#""a\"\\\n\t\r""#),
        ("\u{7}\u{8}\u{c}\u{b}\u{0}\u{7f}", r#""\a\b\f\v\x00\x7f""#),
        ("é\u{301}😀", "\"é\u{301}😀\""),
        ("\u{a0}\u{200b}\u{feff}\u{10ffff}", r#""\u00a0\u200b\ufeff\U0010ffff""#),
    ] {
        assert_eq!(quote::quote(text), quoted);
        assert_eq!(quote::unquote(quoted).as_deref(), Some(text));
    }
    assert_eq!(quote::unquote("`a\r\n\\n`").as_deref(), Some("a\n\\n"));
    for wrong in [r#""\z""#, r#""\x4""#, r#""\ud800""#, r#""\'""#, r#""\400""#, "\"a\nb\"", "\"", "'a'b'"] {
        assert_eq!(quote::unquote(wrong), None, "{wrong}");
    }
}

#[test]
fn what_is_hostile_ends_soon() {
    let lists = |depth: usize| {
        let list = (0..100).map(Value::Int).collect::<Vec<_>>();
        let data = Value::List(list.into());
        run(&format!("{}x{}", "{{ range $ }}".repeat(depth), "{{ end }}".repeat(depth)), &data)
    };
    assert!(lists(2).is_ok());
    for depth in [4, 5_000] {
        assert_eq!(lists(depth).expect_err("it is too much").kind, ErrorKind::TooLarge, "{depth}");
    }
    for text in [
        "{{ define `t` }}{{ template `t` }}{{ template `t` }}{{ end }}{{ template `t` }}".to_owned(),
        "{{.}}".repeat(200_000),
        "{{ else if }}".repeat(10),
        format!("{{{{ if 1 }}}}{}", "{{ else if 1 }}".repeat(10_000)),
        format!("{{{{ {}", "(".repeat(1_000_000)),
        format!("{{{{ $x := `{}` }}}}{}", "a".repeat(1 << 16), "{{ $x = print $x $x }}".repeat(100)),
        format!("{{{{ {} }}}}", "len ".repeat(400_000)),
        "{{ printf `%[1]*[1]d%[1]*[1]d` 9999999999 }}{{ index }}".to_owned(),
    ] {
        let start: String = text.chars().take(60).collect();
        assert!(run(&text, &Value::Nil).is_err(), "{start}");
    }
}
