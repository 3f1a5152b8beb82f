//! What is wrong with a template, where, why, and what to do about it.

use std::fmt::Write as _;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::hcl::show::brief;
use super::hcl::value::Value;
use super::source_map::{SourceMap, Span};

mod json;
mod values;

pub use json::Finding;

/// Most values shown with a finding.
const MAX_VALUES: usize = 3;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong, but something is not as one may think.
    Note,
    /// The template can be used all the same.
    Warning,
    /// The template cannot be used.
    Error,
}

/// One finding about a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub summary: String,
    /// Why it is wrong.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where it is.
    pub span: Option<Span>,
    /// A second place that explains the first, such as where a name was first defined, and what to say there.
    pub secondary: Option<(Span, String)>,
    /// Names that the failing expression uses, and their values as they may be shown.
    pub values: Vec<(String, String)>,
}

impl Diagnostic {
    /// An error that `summary` describes in one line.
    pub fn error(summary: impl Into<String>) -> Self {
        Self::new(Severity::Error, summary)
    }

    /// A warning that `summary` describes in one line.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self::new(Severity::Warning, summary)
    }

    /// A note that `summary` describes in one line.
    pub fn note(summary: impl Into<String>) -> Self {
        Self::new(Severity::Note, summary)
    }

    fn new(severity: Severity, summary: impl Into<String>) -> Self {
        Self {
            severity,
            summary: summary.into(),
            detail: None,
            hint: None,
            span: None,
            secondary: None,
            values: Vec::new(),
        }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Says where it is, unless that is known already.
    #[must_use]
    pub fn or_at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// Says why it is wrong.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Points at a second place, and says what is there.
    #[must_use]
    pub fn see(mut self, span: Span, label: impl Into<String>) -> Self {
        self.secondary = Some((span, label.into()));
        self
    }

    /// Tells the value of a name that the failing expression uses, once, and of the first few names alone.
    #[must_use]
    pub fn with_value(mut self, name: impl Into<String>, value: &Value) -> Self {
        let name = name.into();
        if self.values.len() < MAX_VALUES && self.values.iter().all(|(other, _)| *other != name) {
            self.values.push((name, brief(value)));
        }
        self
    }

    /// The same with every text in it changed, as to take secrets out.
    #[must_use]
    pub fn map_text(mut self, change: impl Fn(String) -> String) -> Self {
        self.summary = change(self.summary);
        self.detail = self.detail.map(&change);
        self.hint = self.hint.map(&change);
        self.secondary = self.secondary.map(|(span, label)| (span, change(label)));
        self.values = self.values.into_iter().map(|(name, value)| (name, change(value))).collect();
        self
    }

    /// `var.n = 3, local.a = "x"`; nothing if no values are known.
    fn values_shown(&self) -> Option<String> {
        let values: Vec<String> = self.values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        (!values.is_empty()).then(|| format!("with {}", values.join(", ")))
    }

    /// The finding as a code frame of at most `width` columns, without a final newline.
    pub fn render(&self, sources: &SourceMap, width: usize, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut group = Group::with_title(level.primary_title(visible(&self.summary)));
        let detail = self.detail.as_deref().map(visible);
        if let Some(span) = self.span {
            group = group.element(snippet(sources, span, detail.clone(), self.secondary.as_ref()));
            if let Some((other, label)) = self.secondary.as_ref().filter(|(other, _)| other.file != span.file) {
                group = group.element(snippet(sources, *other, Some(visible(label)), None));
            }
        } else if let Some(detail) = detail {
            group = group.element(Level::NOTE.message(detail));
        }
        if let Some(values) = self.values_shown() {
            group = group.element(Level::NOTE.message(visible(&values)));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(visible(hint)));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).term_width(width.max(40)).render(&[group])
    }

    /// The finding on one line: `file:line:column: error: summary: detail (hint)`.
    pub fn one_line(&self, sources: &SourceMap) -> String {
        let mut line = String::new();
        if let Some(span) = self.span {
            line = format!("{}: ", sources.location(span));
        }
        let _ = write!(line, "{}: {}", self.severity.as_str(), self.summary);
        if let Some(detail) = &self.detail {
            let _ = write!(line, ": {detail}");
        }
        if let Some(values) = self.values_shown() {
            let _ = write!(line, ", {values}");
        }
        if let Some(hint) = &self.hint {
            let _ = write!(line, " ({hint})");
        }
        line.replace('\n', " ")
    }
}

pub(crate) trait MapDiagnostic {
    fn map_detail(self, detail: impl Into<String>) -> Self;
    fn map_hint(self, hint: impl Into<String>) -> Self;
}

impl MapDiagnostic for Box<Diagnostic> {
    fn map_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn map_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Control characters of a template must not reach the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The lines of `span`'s file about it, rather than the whole file, so that rendering cost does not grow with it.
fn snippet(
    sources: &SourceMap,
    span: Span,
    label: Option<String>,
    other: Option<&(Span, String)>,
) -> Snippet<'static, annotate_snippets::Annotation<'static>> {
    let text = sources.text(span.file);
    let other = other.filter(|(other, _)| other.file == span.file);
    let first = other.map_or(span.start, |(other, _)| other.start.min(span.start)).min(text.len());
    let last = other.map_or(span.end, |(other, _)| other.end.max(span.end)).min(text.len()).max(first);
    let bytes = text.as_bytes();
    let from = bytes[..first].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let to = bytes[last..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| last + at);
    let window: String =
        text[from..to].replace('\u{feff}', "\u{200b}").chars().map(|c| if c == '\r' { ' ' } else { c }).collect();
    let clamp = |span: Span| {
        let start = floor(&window, span.start.saturating_sub(from));
        // Long ranges, such as a whole block, are shown by their first line.
        let line_end = window[start..].find('\n').map_or(window.len(), |at| start + at);
        start..floor(&window, span.end.saturating_sub(from)).clamp(start, line_end.max(start))
    };
    let mut primary = AnnotationKind::Primary.span(clamp(span));
    if let Some(label) = label {
        primary = primary.label(label);
    }
    let line = text[..from].matches('\n').count() + 1 + sources.lines_before(span.file);
    let path = sources.name(span.file).to_owned();
    let secondary = other.map(|(other, label)| AnnotationKind::Context.span(clamp(*other)).label(visible(label)));
    Snippet::source(window.clone()).line_start(line).path(path).fold(true).annotation(primary).annotations(secondary)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Most findings that are kept: each is compared with the others, and nobody reads more.
const MAX_FINDINGS: usize = 1000;

/// Findings, in the order found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a finding, unless the very same is there already, or there are very many.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.0.len() < MAX_FINDINGS {
            if !self.0.contains(&diagnostic) {
                self.0.push(diagnostic);
            }
        } else if diagnostic.severity == Severity::Error && !self.has_errors() {
            // However many warnings there are, an error is told.
            self.0.pop();
            self.0.push(diagnostic);
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in other {
            self.push(diagnostic);
        }
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The errors among them.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The same in the order of the texts they are about.
    #[must_use]
    pub fn in_order(&self) -> Self {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|one| one.span.map(|span| (span.file, span.start)));
        sorted.into_iter().collect()
    }

    /// All as code frames, with a blank line between them.
    pub fn render(&self, sources: &SourceMap, width: usize, colour: bool) -> String {
        let frames: Vec<String> = self.0.iter().map(|diagnostic| diagnostic.render(sources, width, colour)).collect();
        frames.join("\n\n")
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(found: I) -> Self {
        let mut all = Self::default();
        all.extend(found);
        all
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// The one of `candidates` that `word` was most likely meant to be, if one is near.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, with a swap of neighbours counted as one change.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().take(64).collect(), right.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let changed = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests;
