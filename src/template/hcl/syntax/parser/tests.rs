mod probes;
mod recovery;

use crate::template::hcl::syntax::shape::{self, shape};
use proptest::prelude::*;

use super::*;
use crate::template::hcl::syntax::ast::ExprKind;
use crate::template::source_map::SourceMap;

/// A text read by `parse`, what is reported of it, and the file it is in.
fn read_by<T>(text: &str, parse: fn(FileId, &str, &mut Diagnostics) -> T) -> (T, Diagnostics, SourceMap) {
    let mut sources = SourceMap::default();
    let file = sources.add("t", text);
    let mut diagnostics = Diagnostics::default();
    (parse(file, text, &mut diagnostics), diagnostics, sources)
}

/// What is reported of a text: `line:column summary`.
fn reported(text: &str) -> Vec<String> {
    let (_, diagnostics, sources) = read_by(text, parse);
    let place = |span: Option<Span>| sources.line_column(span.expect("every error has a place"));
    diagnostics
        .iter()
        .map(|found| (place(found.span), found))
        .map(|((line, column), found)| format!("{line}:{column} {}", found.summary))
        .collect()
}

/// An expression that is free of errors, in the form of [`shape`].
#[track_caller]
fn expression(text: &str) -> String {
    let (expr, diagnostics, sources) = read_by(text, parse_expression);
    assert!(diagnostics.is_empty(), "{text}: {}", diagnostics.render(&sources, 100, false));
    shape(&expr.expect("there is no error"))
}

#[test]
fn operators_bind_as_tightly_as_they_should() {
    for (text, expected) in [
        ("1 + 2 * 3 - 4", "(- (+ 1 (* 2 3)) 4)"),
        ("a || b && c == d < e + f", "(|| a (&& b (== c (< d (+ e f)))))"),
        ("a ? b : c ? d : e", "(? a b (? c d e))"),
        ("a ? b ? c : d : e", "(? a (? b c d) e)"),
        ("-a.b[0] + !c", "(+ (neg (get a .b [0])) (not c))"),
        ("- - 1", "(neg (neg 1))"),
        ("(1 +\n 2) % 3", "(% (paren (+ 1 2)) 3)"),
        ("1e5", "1e5"),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn steps_go_into_values() {
    for (text, expected) in [
        ("a.b[\"c\"].0.d", "(get a .b [\"c\"] [0] .d)"),
        ("a[*].b[0].c", "(get a [*](.b [0] .c))"),
        ("a[*][*].b", "(get a [*]([*](.b)))"),
        ("a.*.b.0[1].c", "(get a [*](.b [0]) [1] .c)"),
        ("a.b.*", "(get a .b [*]())"),
        ("f(1, 2,\n3...)[0]", "(get (f 1 2 3 ...) [0])"),
        ("[1][0]", "(get [1] [0])"),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn collections_hold_values() {
    for (text, expected) in [
        ("[]", "[]"),
        ("[1, [2],\n]", "[1 [2]]"),
        ("{}", "{}"),
        ("{ a = 1, \"b\" : 2\n (c) = 3\n\n d.e = 4, true = 5 }", "{a=1 \"b\"=2 (paren c)=3 (get d .e)=4 true=5}"),
        ("[for x in y : x]", "[for x in y : x]"),
        ("[for k, v in y : k if v]", "[for k,v in y : k if v]"),
        ("{for k, v in y : k => v... if v}", "{for k,v in y : k => v ... if v}"),
        ("{\n for x in y : x => x\n}", "{for x in y : x => x}"),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn templates_are_read_into_their_parts() {
    for (text, expected) in [
        (r#""""#, r#""""#),
        (r#""a\n\t\"\\\u00e9\U0001F44D""#, "\"a\n\t\"\\é👍\""),
        (r#""$${a} %%{b} $ % $$ $$${""#, r#""${a} %{b} $ % $$ $${""#),
        (r#""${a}""#, "(t ${a})"),
        (r#""${a}b${"c${d}"}""#, r#"(t ${a} "b" ${(t "c" ${d})})"#),
        (r#""a ${~ b ~} c""#, r#"(t "a" ${b} "c")"#),
        (r#""${ a ~} ""#, r#"(t ${a} "")"#),
        (r#""%{ if a }b%{ else }c%{ endif }""#, r#"(t %if(a (t "b") (t "c")))"#),
        (r#""x%{ for a, b in c ~} \n%{~ endfor }y""#, r#"(t "x" %for(a,b c (t "")) "y")"#),
        (r#""%{ if a }\"%{ endif }""#, r#"(t %if(a (t """)))"#),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn heredocs_are_trimmed_a_line_at_a_time_and_dedented_afterwards() {
    for (text, expected) in [
        ("<<E\n  a\n b\n  E\n", "\"  a\n b\n\""),
        ("<<-E\n  a\n\n    b\n\tc\n E\n", "\" a\n\n   b\nc\n\""),
        ("<<-E\n  a\n \n  b\nE\n", "\"a\n \nb\n\""),
        ("<<-E\n  ${a}\n   b\nE\n", "(t \"\" ${a} \"\n b\n\")"),
        ("<<-E\n${a}\n  b\nE\n", "(t ${a} \"\n  b\n\")"),
        ("<<-E\r\n  a\r\n  b\r\nE\r\n", "\"a\r\nb\r\n\""),
        ("<<E\n\\n \"a\" $${b} %%{c}\nE\n", "\"\\n \"a\" ${b} %{c}\n\""),
        ("<<E\nE\n", "\"\""),
        ("<<E\n${a}\nE\n", "(t ${a} \"\n\")"),
        ("<<E\na\n  ${~ b ~}\n  c\nE\n", "(t \"a\n\" ${b} \"  c\n\")"),
        (
            "<<-E\n    %{ for x in l ~}\n    item ${x}\n    %{ endfor ~}\n    end\n    E\n",
            "(t \"\" %for(x l (t \"    item \" ${x} \"\n\")) \"    end\n\")",
        ),
    ] {
        assert_eq!(expression(text), expected, "{text}");
    }
}

#[test]
fn bodies_hold_attributes_and_blocks() {
    let text = "\u{feff}a = 1 # c\nb \"x\" y {\n  c = 2\n  d { e = 3 }\n  f {}\n}\n/* g */ h = 4";
    let (body, diagnostics, sources) = read_by(text, parse);
    assert!(diagnostics.is_empty());
    assert_eq!(shape::body(&body), "a=1 h=4 b \"x\" \"y\" {c=2 d {e=3} f {}}");
    let block = &body.blocks[0];
    assert_eq!(sources.slice(block.header), "b \"x\" y");
    assert_eq!(sources.slice(block.labels[0].span), "\"x\"");
    assert!(sources.slice(block.span).starts_with("b \"x\"") && sources.slice(block.span).ends_with('}'));
    assert!(sources.slice(block.body.span).starts_with("{\n") && sources.slice(block.body.span).ends_with('}'));
    assert_eq!(sources.slice(body.attribute("h").expect("it is there").span), "h = 4");
    assert_eq!(body.blocks_of("b").count(), 1);
}

#[test]
fn every_expression_lies_where_it_says() {
    let text = "a = f(-x.y[0], [for k, v in {a = 1, (b) = \"c${d ? e : g}h\"} : v if !k])\n\
                b = <<-E\n  %{ if a + 1 == 2 }${b}%{ endif }\n  E\nc = \"${[1, 2]}\" /* d */\n";
    let (body, diagnostics, sources) = read_by(text, parse);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(&sources, 100, false));
    let mut count = 0;
    for attribute in &body.attributes {
        shape::each(&attribute.value, &mut |expr| {
            count += 1;
            // The line that ends a heredoc has an end.
            assert_eq!(expression(&format!("{}\n", sources.slice(expr.span))), shape(expr));
        });
    }
    assert!(count > 25, "{count}");
}

// === Limits ===

#[test]
fn nesting_is_bounded() {
    for (open, close) in [
        ("[", "]"),
        ("(", ")"),
        ("{a=", "}"),
        ("f(", ")"),
        ("-", ""),
        ("!", ""),
        ("\"${", "}\""),
        ("\"%{if ", "}%{endif}\""),
        ("1+", ""),
        ("1?", ":1"),
        ("1?1:", ""),
        ("[for x in ", ":x]"),
        ("a[", "]"),
    ] {
        let text = |depth: usize| format!("a = {}1{}\n", open.repeat(depth), close.repeat(depth));
        assert_eq!(reported(&text(25)), Vec::<String>::new(), "{open}");
        let found = reported(&text(100_000));
        assert!(found.iter().any(|error| error.ends_with("this is nested too deeply")), "{open}: {found:?}");
    }
    // Each level of brackets could be as high as all the chains in it together.
    let chains = format!("a = {}1{}\n", "(".repeat(60), format!("{})", "+1".repeat(60)).repeat(60));
    assert_eq!(reported(&chains).len(), 1);
    assert_eq!(reported(&format!("a = 1{}\n", "+1".repeat(150))), Vec::<String>::new());
    assert!(reported(&format!("{}\n", "a {\n".repeat(100_000)))[0].ends_with("this is nested too deeply"));
    assert!(reported(&format!("a = b{}", "[*]".repeat(100_000)))[0].ends_with("this is nested too deeply"));
    assert!(reported(&format!("a = \"{}\"", "%{if x}".repeat(100_000)))[0].ends_with("this is nested too deeply"));
    assert_eq!(reported(&format!("a = b{}", ".c".repeat(100_000))), Vec::<String>::new());
}

#[test]
fn time_is_bounded() {
    let texts = [
        "a = \"${\n".repeat(20_000),
        "a = <<E\n".repeat(20_000),
        "a = <<E\n${\n".repeat(20_000),
        "a = \"\n".repeat(50_000),
        "a = \"\nx \"\n".repeat(50_000),
        "/*".repeat(200_000),
        "a = [".repeat(50_000),
        "a {\n".repeat(100) + &"x y\n".repeat(50_000),
        format!("a = [{}]\n", "1 ".repeat(100_000)),
        format!("a = <<E\n{}E\n", "x\n".repeat(300_000)),
        format!("a = <<E\n{}\nE\n", "${x}".repeat(200_000)),
        format!("a = {}\n", "/**/".repeat(200_000)),
        (0..100_000).map(|n| format!("a{n} = 1")).collect::<Vec<_>>().join("\n"),
    ];
    for text in texts {
        let started = std::time::Instant::now();
        let errors = reported(&text).len();
        assert!(errors <= MAX_ERRORS + 1, "{errors}");
        let (seconds, start) = (started.elapsed().as_secs(), text.get(..20));
        assert!(seconds < 20, "{seconds} s: {start:?}");
    }
}

#[test]
fn long_texts_are_refused() {
    assert_eq!(reported(&" ".repeat(MAX_TEXT + 1)), ["1:1 the file is too long"]);
}

proptest! {
    /// Whatever is in a text, every error has its place there, and what is left of the tree is where it says.
    #[test]
    fn any_text_is_read(text in r#"([a1 \n"]|[={}\[\](),.?:]|\$\{|%\{|if |for |in |x |<<E\n|E\n|\\|~|é|#|/\*|\*/|[-+!*&|]){0,80}"#) {
        let (body, diagnostics, sources) = read_by(&text, parse);
        for found in &diagnostics {
            let span = found.span.expect("a place");
            prop_assert!(span.start <= span.end && text.get(span.start..span.end).is_some(), "{:?}", found);
            found.render(&sources, 80, false);
        }
        for attribute in &body.attributes {
            prop_assert!(text.get(attribute.span.start..attribute.span.end).is_some());
            let mut errors = 0;
            shape::each(&attribute.value, &mut |expr| {
                assert!(text.get(expr.span.start..expr.span.end).is_some());
                errors += usize::from(expr.kind == ExprKind::Error);
            });
            prop_assert!(errors == 0 || diagnostics.has_errors());
        }
    }
}
