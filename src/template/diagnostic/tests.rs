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
