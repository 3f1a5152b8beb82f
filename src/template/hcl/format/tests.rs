use proptest::prelude::*;

use super::format;

/// What is written, and what Packer 1.6.6 makes of it.
const CASES: &[(&str, &str)] = &[
    ("a=1   # c1\nbbb   =    2 # c2\n", "a   = 1 # c1\nbbb = 2 # c2\n"),
    ("c = [1,2,\n3 ]\nd={a=1,b:2}\n", "c = [1, 2,\n3]\nd = { a = 1, b : 2 }\n"),
    ("e = { for k,v in x : k=>v... if v!=\"\" }\n", "e = { for k, v in x : k => v... if v != \"\" }\n"),
    ("f = a?b:c\ng = -1+ -2 -3\nh = !a&&b||c\n", "f = a ? b : c\ng = -1 + -2 - 3\nh = ! a && b || c\n"),
    ("i = foo( 1,2 , 3... )\nj = x [ 0 ] . y [*] .z.*.q\n", "i = foo(1, 2, 3...)\nj = x[0].y[*].z.*.q\n"),
    ("k = \"${ a }-${b}%{ if x }y%{ else }z%{ endif }\"\n", "k = \"${a}-${b}%{if x}y%{else}z%{endif}\"\n"),
    ("k = \"a${b} ${ {a=1} }${~c~}%{if d}${e}%{endif}\"\n", "k = \"a${b} ${ { a = 1 } }${~c~}%{if d}${e}%{endif}\"\n"),
    ("l = <<EOT\n  ${ a   }\n    text\nEOT\n", "l = <<EOT\n  ${a}\n    text\nEOT\n"),
    ("block \"a\"   b   {\nx=1\nyyyy=2\n\nz = 3\n}\n", "block \"a\" b {\n  x    = 1\n  yyyy = 2\n\n  z = 3\n}\n"),
    ("a {\n  # own line\n/* inline */ w = /* mid */ 4\n}\n", "a {\n  # own line\n  /* inline */ w = /* mid */ 4\n}\n"),
    ("nested { }\nnested{\nq=1\n}\n", "nested {}\nnested {\n  q = 1\n}\n"),
    ("call = f(a,\nb,\n  c)\n", "call = f(a,\n  b,\nc)\n"),
    ("a = f({\nb = 1\n})\nc = 2\n", "a = f({\n  b = 1\n})\nc = 2\n"),
    ("s = {\n\"a\" = 1\nbbb  = 2\n(c) = 3\n}\n", "s = {\n  \"a\" = 1\n  bbb = 2\n  (c) = 3\n}\n"),
    ("a = {\n\"日本\" = 1\nbb = 2\n}\n", "a = {\n  \"日本\" = 1\n  bb   = 2\n}\n"),
    ("a=1\r\n\r\n  bbb=2 # x\r\n", "a = 1\r\n\r\nbbb = 2 # x\r\n"),
    ("a = 1 \t \n\t\n  \nb { \t\n} # x", "a = 1\n\n\nb {\n} # x"),
    ("a = 1\n\t  ", "a = 1\n   "),
    ("\u{feff}a=1", "a = 1"),
    ("tab\t=\t1", "tab = 1"),
    ("a = 1/* x\n y */\nb /* z */ = 2/* q */#g\n", "a         = 1 /* x\n y */\nb /* z */ = 2 /* q */ #g\n"),
    ("l = {\n a = <<EOT\nfoo\nEOT\n bbb = 1 #c\n}\n", "l = {\n  a   = <<EOT\nfoo\nEOT\n  bbb = 1 #c\n}\n"),
    ("a = [for x in[1]: x]\n", "a = [for x in [1] : x]\n"),
    ("a = x [0] [1]. b\nb = [1] [0]\nc = 1 [0]\n", "a = x[0][1].b\nb = [1][0]\nc = 1[0]\n"),
    ("a = 1-1\nb = a - 1\nc = (-1)\nd = [ -1, - 2 ]\n", "a = 1 - 1\nb = a - 1\nc = (-1)\nd = [-1, -2]\n"),
    ("", ""),
];

#[test]
fn texts_become_what_packer_makes_of_them() {
    for (text, expected) in CASES {
        assert_eq!(format(text).unwrap(), *expected, "{text}");
    }
}

/// Packer's `fmt` joins them, and breaks the template.
#[test]
fn two_indexes_do_not_become_a_number() {
    assert_eq!(format("a = x.0 .1\nb = x.0 . e1\nc = x.0 . f\n").unwrap(), "a = x.0 .1\nb = x.0 .e1\nc = x.0.f\n");
}

#[test]
fn what_takes_too_much_room_is_refused() {
    let text = format!("{}=1\n{}", "a".repeat(1 << 20), "b=1\n".repeat(1 << 10));
    assert_eq!(format(&text), None);
    assert_eq!(format(&" ".repeat(super::MAX_TEXT + 1)), None);
}

/// Pieces of which anything may be put together.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a", "bb", "é", "日本", "in", "for", "if", "1", "2.5", "1e5", "\"", "\"x\"", "${", "%{", "}", "~}", "{", "[",
        "]", "(", ")", "<<EOT\n", "<<-EOT\n", "EOT\n", "  EOT\n", "=", "==", "=>", "!", "-", "+", "*", "/", ".", "...",
        ",", ":", "?", "# c\n", "// c\n", "/* c */", "/*", "*/", "\n", "\r\n", "\r", " ", "  ", "\t", "$", "\\", "&",
        "'", "`", "\u{feff}", "\u{301}", "👍🏽",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

fn without_blanks(text: &str) -> String {
    text.replace([' ', '\t'], "")
}

proptest! {
    #[test]
    fn only_blanks_change(text in soup()) {
        let kept = text.strip_prefix('\u{feff}').unwrap_or(&text);
        prop_assert_eq!(without_blanks(&format(&text).unwrap()), without_blanks(kept));
    }
}
