//! Texts with several errors: each is found once, and nothing that only follows from another.

use super::reported;

/// Texts, and the lines that errors are in.
const CASES: &[(&str, &[usize])] = &[
    ("locals {\n a = 1\n b = \n c = = 2\n d = [1 2]\n e = {a 1}\n}\n", &[3, 4, 5, 6]),
    ("locals {\n a = \"x\n b = 2\n c = ]\n}\n", &[2, 4]),
    ("locals {\n a = \"${foo\"\n b = ]\n}\nsource \"x\" \"y\" {\n a = \"${\"\n b = ]\n}\n", &[2, 3, 6, 7]),
    ("locals { a = 1\n b = 2\n c = }\n", &[1, 3]),
    ("locals {\n a = \"one\n   two three\"\n b = ]\n}\n", &[2, 4]),
    ("locals {\n a = <<EOT\n x ${foo\n EOT\n b = )\n}\n", &[4, 5]),
    ("locals {\n a = <<EOT\n x ${\"foo}\n EOT\n b = )\n}\n", &[3, 5]),
    ("locals {\n a = <<EOT\n x\n}\nbuild {\n x y\n}\n", &[2, 6]),
    ("source \"a\" \"b\" {\n x {\n  a = 1\n}\nbuild {\n b = []\n}\nlocals {\n a = ;\n}\n", &[1, 9]),
    ("source \"a\" \"b\" {\n x {\n  a = 1\n}\nsource \"c\" \"d\" {\n x {\n}\nbuild {\n}\n", &[1, 5]),
    ("locals {\n a = [\n \"x\",\n \"y\n b = 2\n c = ]\n}\nbuild {}\n", &[4, 6]),
    ("locals {\n a = [\n  \"x,\n  \"y\",\n  1 +,\n ]\n}\n", &[3, 5]),
    ("locals {\n a = foo(1, 2\n b = ]\n}\nbuild {\n x\n}\n", &[2, 3, 6]),
    ("locals {\n a = {\n  b = 1\n}\nbuild {\n x\n}\n", &[1, 6]),
    ("locals {\n a = {\n b = 1 c = 2\n d e\n f = \n  = 3\n g = 4\n }\n h = ?\n}\n", &[3, 4, 5, 6, 9]),
    ("locals {\n x = [\n {\n  a = 1\n },\n {\n  b = 2\n \n ]\n y = ]\n}\nbuild {\n x = ]\n}\n", &[6, 10, 13]),
    ("locals {\n a = jsonencode({\n b = \"x\n c = 1\n })\n d = ]\n}\n", &[3, 6]),
    ("locals {\n a = f(1..., 2)\n b = f(1 2)\n c = f(,)\n d = [,]\n e = [1,,2]\n}\n", &[2, 3, 4, 5, 6]),
    ("locals {\n a = \"${1 +} ${2 -}\"\n b = \"%{ if x }\\q\"\n}\n", &[2, 2, 3]),
    ("}\na = 1\n}\nb = ]\n", &[1, 3, 4]),
    ("a {\n b = 'x'\n c : 1\n d\n \"e\" = 1\n 1f = 1\n g = 1 }\nh = ]\n", &[2, 3, 4, 5, 6, 7, 8]),
    ("a = 1\na = ]\na = 2\n", &[2, 2, 3]),
];

#[test]
fn every_error_is_found_once() {
    for (text, lines) in CASES {
        let found = reported(text);
        let at: Vec<usize> =
            found.iter().map(|error| error.split(':').next().expect("a line").parse().expect("a number")).collect();
        assert_eq!(at, *lines, "{text}\n{found:#?}");
    }
}

#[test]
fn what_is_whole_is_there() {
    let text = "locals {\n a = ]\n b = 2\n c {\n  d = 'x'\n  e = 3\n }\n}\nf = 4\n";
    let (body, ..) = super::read_by(text, super::parse);
    assert_eq!(super::shape::body(&body), "f=4 locals {a=error b=2 c {d=error e=3}}");
}

#[test]
fn errors_are_so_many_and_no_more() {
    let found = reported(&"a b\n".repeat(1000));
    assert_eq!(found.len(), super::MAX_ERRORS + 1);
    assert_eq!(found.last().expect("there are some"), "51:1 there are more errors from here on");
}
