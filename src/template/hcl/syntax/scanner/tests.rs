use proptest::prelude::*;

use super::*;

/// The kinds and texts of the tokens, but for the end.
fn scanned(text: &str) -> String {
    let tokens = scan(text);
    let shown = |token: &Token| format!("{:?} {:?}", token.kind, token.text(text));
    tokens[..tokens.len() - 1].iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[test]
fn names_and_numbers() {
    assert_eq!(scanned("a-b _c é1 日本"), r#"Identifier "a-b", Identifier "_c", Identifier "é1", Identifier "日本""#);
    assert_eq!(
        scanned("1.5e+10 1e 1... x.0.1"),
        r#"Number "1.5e+10", Number "1", Identifier "e", Number "1", Ellipsis "...", Identifier "x", Dot ".", Number "0.1""#
    );
    assert_eq!(scanned("1.2.3 -1"), r#"Number "1.2.3", Minus "-", Number "1""#);
}

#[test]
fn operators_are_as_long_as_can_be() {
    assert_eq!(scanned("a=>b"), r#"Identifier "a", Arrow "=>", Identifier "b""#);
    assert_eq!(scanned("a==!b"), r#"Identifier "a", EqualOp "==", Bang "!", Identifier "b""#);
    assert_eq!(scanned("&&&;"), r#"And "&&", Invalid "&", Invalid ";""#);
}

#[test]
fn comments_have_their_end_of_line() {
    assert_eq!(
        scanned("# a\r\n//b\n/* c\n*/ /*"),
        r##"Comment "# a\r\n", Comment "//b\n", Comment "/* c\n*/", Invalid "/*""##
    );
}

#[test]
fn strings_hold_code_that_holds_strings() {
    assert_eq!(
        scanned(r#""a${b["c"]}%{~if{}~}\"$${d""#),
        r#"OpenQuote "\"", QuotedText "a", Interpolation "${", Identifier "b", OpenBracket "[", OpenQuote "\"", QuotedText "c", CloseQuote "\"", CloseBracket "]", SequenceEnd "}", Directive "%{~", Identifier "if", OpenBrace "{", CloseBrace "}", SequenceEnd "~}", QuotedText "\\\"$${d", CloseQuote "\"""#
    );
    assert_eq!(scanned(r#""$$${a%%%{b""#), r#"OpenQuote "\"", QuotedText "$$${a%%%{b", CloseQuote "\"""#);
    assert_eq!(scanned(r#""$%{"#), r#"OpenQuote "\"", QuotedText "$", Directive "%{""#);
}

#[test]
fn a_string_ends_with_its_line() {
    assert_eq!(scanned("\"a\nb"), r#"OpenQuote "\"", QuotedText "a", Newline "\n", Identifier "b""#);
    assert_eq!(scanned("\"a\\\r\nb"), r#"OpenQuote "\"", QuotedText "a\\", Newline "\r\n", Identifier "b""#);
}

#[test]
fn a_heredoc_has_a_token_for_each_line() {
    assert_eq!(
        scanned("<<-E\n a\n\n ${b}c\n E x\n  E \n1"),
        r#"OpenHeredoc "<<-E\n", HeredocText " a\n", HeredocText "\n", HeredocText " ", Interpolation "${", Identifier "b", SequenceEnd "}", HeredocText "c\n", HeredocText " E x\n", CloseHeredoc "  E ", Newline "\n", Number "1""#
    );
    assert_eq!(
        scanned("<<E\r\na\r\nE\r\n"),
        r#"OpenHeredoc "<<E\r\n", HeredocText "a\r\n", CloseHeredoc "E", Newline "\r\n""#
    );
    // What ends it stands on a line of its own, which has an end.
    assert_eq!(
        scanned("<<E\n${1}E\nE"),
        r#"OpenHeredoc "<<E\n", Interpolation "${", Number "1", SequenceEnd "}", HeredocText "E\n", HeredocText "E""#
    );
    assert_eq!(scanned("a << E"), r#"Identifier "a", Less "<", Less "<", Identifier "E""#);
}

#[test]
fn a_byte_order_mark_is_no_token() {
    assert_eq!(scan("\u{feff}a")[0].range(), 3..4);
    assert_eq!(scan("a\u{feff}")[1].kind, TokenKind::Invalid);
}

proptest! {
    /// Tokens follow each other, with nothing but blanks between them.
    #[test]
    fn tokens_cover_the_text(text in r#"([ab1 \t\n\r"$%{}~\\#/*.<=&-]|<<E\n|E\n|é|\$\{|%\{){0,60}"#) {
        let mut at = 0;
        for token in scan(&text) {
            prop_assert!(text[at..token.start()].chars().all(|c| c == ' ' || c == '\t'), "{:?}", token);
            prop_assert!(token.end() > token.start() || token.kind == TokenKind::End);
            at = token.end();
        }
        prop_assert_eq!(at, text.len());
    }
}
