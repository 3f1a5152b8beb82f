//! Findings for programs.

use serde::Serialize;

use super::{Diagnostic, Diagnostics, Severity};
use crate::template::source_map::{SourceMap, Span};

/// A finding. `docs/reference/diagnostics.md` describes the fields.
#[derive(Debug, Serialize)]
pub struct Finding {
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(flatten)]
    place: Option<Place>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<NamedValue>,
}

/// Where something is, as the user knows it. Lines and columns count from 1, columns by characters.
#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    /// Offsets of the first byte and of the one after the last.
    bytes: [usize; 2],
}

/// Another place that explains the finding.
#[derive(Debug, Serialize)]
struct Related {
    message: String,
    #[serde(flatten)]
    place: Place,
}

/// A name that the failing expression uses.
#[derive(Debug, Serialize)]
struct NamedValue {
    name: String,
    value: String,
}

impl Place {
    fn of(span: Span, sources: &SourceMap) -> Self {
        let length = sources.text(span.file).len();
        let (start, end) = (span.start.min(length), span.end.clamp(span.start.min(length), length));
        let (line, column) = sources.line_column(Span::new(span.file, start..end));
        let (end_line, end_column) = sources.line_column(Span::new(span.file, end..end));
        Self { file: sources.name(span.file).to_owned(), line, column, end_line, end_column, bytes: [start, end] }
    }
}

impl Diagnostic {
    /// The finding for programs.
    pub fn finding(&self, sources: &SourceMap) -> Finding {
        let related = self.secondary.iter();
        let values = self.values.iter();
        Finding {
            severity: self.severity.as_str(),
            message: self.summary.clone(),
            detail: self.detail.clone(),
            hint: self.hint.clone(),
            place: self.span.map(|span| Place::of(span, sources)),
            related: related
                .map(|(span, label)| Related { message: label.clone(), place: Place::of(*span, sources) })
                .collect(),
            values: values.map(|(name, value)| NamedValue { name: name.clone(), value: value.clone() }).collect(),
        }
    }
}

impl Diagnostics {
    /// All for programs, in order.
    pub fn findings(&self, sources: &SourceMap) -> Vec<Finding> {
        self.iter().map(|diagnostic| diagnostic.finding(sources)).collect()
    }
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
