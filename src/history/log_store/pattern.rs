//! What is looked for in a log: a text or a regular expression, and filters made of it.

use std::borrow::Cow;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::line::{Source, overwritten, split};
use crate::error::{Context as _, Result};
use crate::output::ansi;

/// A text or a regular expression, looked for in lines as they are shown: without escape sequences. Case counts only
/// where the pattern has a capital letter.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Also lines with this source, whatever their text.
    source: Option<Source>,
}

impl Pattern {
    /// `text` as it is, or `/expression/`. A backslash before a first `/` or `!` makes it stand for itself.
    pub fn parse(text: &str) -> Result<Self> {
        let expression = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        if let Some(expression) = expression {
            return Self::build(expression, !has_capital(expression));
        }
        let literal = match text.strip_prefix('\\') {
            Some(rest) if rest.starts_with(['/', '!']) => rest,
            _ => text,
        };
        Self::build(&regex::escape(literal), !literal.chars().any(char::is_uppercase))
    }

    /// Errors and warnings: what Larder warns of, and what programs begin a line with that reports one.
    pub fn problems() -> Self {
        let at_start = r"^\W*(E:|W:|(fatal |internal )?error\b|err!|warn(ing)?\b|fatal:|panic(ked)?\b|npm (ERR|WARN)|traceback \()";
        let anywhere = r": (fatal )?(error|warning): |\b(ERROR|FATAL|WARN(ING)?)\b:?\s|^(DENIED|ERROR) \d+ ";
        let expression = format!("(?i:{at_start})|{anywhere}");
        let regex = Regex::new(&expression).expect("the expression is constant, and a test compiles it");
        Self { regex, source: Some(Source::Warning) }
    }

    fn build(expression: &str, any_case: bool) -> Result<Self> {
        let regex = RegexBuilder::new(expression)
            .case_insensitive(any_case)
            .build()
            .context(|| format!("`{expression}` is not a regular expression"))?;
        Ok(Self { regex, source: None })
    }

    /// Whether a text as shown has it.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }

    /// Where it is in a text as shown (see [`ansi::plain`]): ranges of bytes.
    pub fn find_in(&self, text: &str) -> Vec<Range<usize>> {
        self.regex.find_iter(text.as_bytes()).map(|found| found.range()).filter(|range| !range.is_empty()).collect()
    }

    /// Whether a line as it is in the file has it.
    pub(super) fn is_in(&self, line: &[u8]) -> bool {
        let (source, text) = split(line);
        self.source == Some(source) || self.regex.is_match(&shown(text))
    }
}

/// The text as shown. Few lines have control characters, and only those cost anything.
fn shown(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| *byte < 0x20) {
        return Cow::Borrowed(text);
    }
    let text = String::from_utf8_lossy(overwritten(text));
    Cow::Owned(ansi::plain(&text).into_bytes())
}

/// Whether a regular expression has a capital letter that stands for itself: not that of `\S` or `\pL`.
fn has_capital(expression: &str) -> bool {
    let mut escaped = false;
    expression.chars().any(|c| {
        let capital = c.is_uppercase() && !escaped;
        escaped = c == '\\' && !escaped;
        capital
    })
}

/// Which lines are shown: those with a pattern, or those without, and lines around them.
#[derive(Clone, Debug)]
pub struct Filter {
    pattern: Pattern,
    without: bool,
    /// Lines shown before and after each.
    pub around: usize,
}

impl Filter {
    /// `text`, `/expression/`, or either behind `!` for the lines without it; at the end ` +3` for three lines before and
    /// after each.
    pub fn parse(text: &str) -> Result<Self> {
        let (text, around) = match text.rsplit_once(" +").map(|(before, count)| (before, count.parse())) {
            Some((before, Ok(count))) => (before, count),
            _ => (text, 0),
        };
        let (text, without) = text.strip_prefix('!').map_or((text, false), |rest| (rest, true));
        Ok(Self { pattern: Pattern::parse(text)?, without, around })
    }

    /// The lines that have the pattern.
    pub fn having(pattern: Pattern) -> Self {
        Self { pattern, without: false, around: 0 }
    }

    /// Whether a text as shown is one of those looked for.
    pub fn matches(&self, text: &str) -> bool {
        self.pattern.matches(text) != self.without
    }

    /// What it looks for, for marking it in lines; none where it shows lines without it.
    pub fn marked(&self) -> Option<&Pattern> {
        (!self.without).then_some(&self.pattern)
    }

    /// Whether a line as it is in the file is one of those looked for.
    pub(super) fn takes(&self, line: &[u8]) -> bool {
        self.pattern.is_in(line) != self.without
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().is_in(format!("2026-11-02T10:15:30.250Z out {text}").as_bytes())
    }

    #[test]
    fn case_counts_only_where_the_pattern_has_a_capital() {
        assert!(has("index", "Some INDEX files") && has("Some", "Some index"));
        assert!(!has("Index", "some index"));
        assert!(has(r"/in\Dex/", "INDEX"), "the capital of a class is none");
        assert!(!has(r"/in\\Dex/", r"in\dex"));
    }

    #[test]
    fn a_text_is_itself_and_an_expression_is_between_slashes() {
        assert!(has("a.b", "a.b") && !has("a.b", "axb"));
        assert!(has("/a.b/", "axb") && has("/a.b", "axb"));
        assert!(has(r"\/etc/", "in /etc/") && has(r"\!x", "!x"));
        let error = Pattern::parse("/a(/").unwrap_err();
        assert!(error.to_string().contains("`a(` is not a regular expression"), "{error}");
    }

    #[test]
    fn escape_sequences_and_the_head_of_a_line_are_not_searched() {
        assert!(has("hello", "he\x1b[1mllo"));
        assert!(!has("[1m", "he\x1b[1mllo"));
        assert!(!has("2026", "x") && !has("out", "x"));
        assert!(!has("10%", " 10%\r 20%") && has("20%", " 10%\r 20%\r"));
    }

    #[test]
    fn a_filter_has_a_form_of_its_own() {
        let filter = Filter::parse("!/get:\\d+/ +3").unwrap();
        assert_eq!((filter.around, filter.without), (3, true));
        assert!(filter.takes(b"x") && !filter.takes(b"Get:12"));
        let filter = Filter::parse("a +b").unwrap();
        assert!(filter.takes(b"a +b") && filter.around == 0);
    }

    #[test]
    fn problems_are_what_programs_report_as_such() {
        let problems = Pattern::problems();
        for line in [
            "E: Unable to locate package foo-dev",
            "W: Some index files failed to download.",
            "error: linking failed",
            "main.c:3:1: warning: unused",
            "npm ERR! code 1",
            "\x1b[31mError\x1b[0m something",
            "[WARNING] deprecated",
            "Traceback (most recent call last):",
            "DENIED 403 GET http://example.org/",
            "2026-11-02T10:15:30.250Z !!! the step failed",
        ] {
            assert!(problems.is_in(line.as_bytes()), "{line}");
        }
        for line in ["Setting up liberror-perl (0.17)", "Get:3 libgpg-error0", "0 warnings", "no errors", "Ewing: x"] {
            assert!(!problems.is_in(line.as_bytes()), "{line}");
        }
    }
}
