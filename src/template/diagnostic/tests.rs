use super::*;

fn example() -> (SourceMap, Diagnostic) {
    let mut sources = SourceMap::default();
    let file = sources.add("web.pkr.hcl", "a = 1\nprovisioner \"shell\" {\n  inlin = [\"x\"]\n}\n");
    let start = sources.text(file).find("inlin").expect("in text");
    let diagnostic = Diagnostic::error("unknown option `inlin`")
        .at(Span::new(file, start..start + 5))
        .detail("the shell provisioner has no such option")
        .hint("did you mean `inline`?");
    (sources, diagnostic)
}

#[test]
fn a_code_frame_shows_place_cause_and_hint() {
    let (sources, diagnostic) = example();
    insta::assert_snapshot!(diagnostic.render(&sources, 100, false), @r#"
    error: unknown option `inlin`
     --> web.pkr.hcl:3:3
      |
    3 |   inlin = ["x"]
      |   ^^^^^ the shell provisioner has no such option
      |
      = help: did you mean `inline`?
    "#);
}

#[test]
fn one_line_starts_with_the_place() {
    let (sources, diagnostic) = example();
    assert_eq!(
        diagnostic.one_line(&sources),
        "web.pkr.hcl:3:3: error: unknown option `inlin`: the shell provisioner has no such option \
         (did you mean `inline`?)"
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let sources = SourceMap::default();
    let frame = Diagnostic::error("bad \u{1b}[31m name").render(&sources, 80, false);
    assert!(!frame.contains('\u{1b}'), "{frame:?}");
}

#[test]
fn any_span_renders() {
    let mut sources = SourceMap::default();
    let file = sources.add("x", "\u{feff}ä\r\n\r\nö");
    for start in 0..12 {
        for end in 0..14 {
            let _ = Diagnostic::error("x").at(Span { file, start, end }).render(&sources, 80, true);
        }
    }
}

#[test]
fn suggestions_are_near() {
    let names = ["inline", "script", "scripts", "execute_command"];
    assert_eq!(did_you_mean("inlin", names), Some("inline"));
    assert_eq!(did_you_mean("scirpt", names), Some("script"));
    assert_eq!(did_you_mean("destination", names), None);
}

#[test]
fn errors_tell_the_values_they_come_from() {
    let mut sources = SourceMap::default();
    let text = "a = element(var.list, local.n + var.password)\nb = var.unset.x";
    let file = sources.add("web.pkr.hcl", text);
    let object = |entries: Vec<(&str, Value)>| {
        Value::object(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let variables = object(vec![
        ("list", Value::strings(["a", "b"])),
        ("password", Value::string("hunter2").mark(true)),
        ("unset", Value::unknown(crate::template::hcl::value::Type::Dynamic)),
    ]);
    let names = [("var".to_owned(), variables), ("local".to_owned(), object(vec![("n", 7.into())]))].into();
    let mut found = Diagnostics::default();
    let end = text.find('\n').expect("two lines");
    found.push(Diagnostic::error("no such element").at(Span::new(file, 4..end)));
    found.push(Diagnostic::error("not known").at(Span::new(file, end + 5..text.len())));
    found.push(Diagnostic::warning("old").at(Span::new(file, 4..end)));
    found.add_values(&sources, &names);
    let frames = found.render(&sources, 100, false);
    let note = "= note: with var.list = [\"a\", \"b\"], local.n = 7, var.password = <sensitive>";
    // Neither what is not known, nor what is no error.
    assert_eq!((frames.matches(note).count(), frames.matches("note:").count()), (1, 1), "{frames}");
    let shown = serde_json::to_value(found.findings(&sources)).expect("JSON");
    assert_eq!(shown[0]["values"][2], serde_json::json!({ "name": "var.password", "value": "<sensitive>" }));
    assert_eq!((shown[0]["bytes"].clone(), shown[1]["line"].clone()), (serde_json::json!([4, end]), 2.into()));
    assert!(found.iter().next().expect("three").one_line(&sources).contains("with var.list = "));
}
