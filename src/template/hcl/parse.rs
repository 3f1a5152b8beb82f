//! Text to blocks. `hcl-edit` stops at the first error, so a text that has one is parsed block by block.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hcl_edit::structure::{Body, Structure};

use super::eval::Origin;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source_map::{FileId, Span};

/// What can stand at the start of a line outside all blocks.
pub(crate) const ROOT_BLOCKS: &[&str] = &[
    "packer",
    "source",
    "variable",
    "variables",
    "local",
    "locals",
    "data",
    "build",
    "hcp_packer_registry",
    "communicator",
];

/// A structure and where its spans count from.
pub(crate) type Placed = (Structure, Origin);

/// Parses a file; what cannot be parsed is reported and left out.
pub(crate) fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Placed> {
    let bom = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let first = match parse_range(file, text, bom..text.len()) {
        Ok(structures) => return structures,
        Err(diagnostic) => diagnostic,
    };
    let starts = block_starts(&text[bom..]);
    let mut bounds: Vec<usize> = std::iter::once(bom).chain(starts.into_iter().map(|start| bom + start)).collect();
    bounds.push(text.len());
    bounds.dedup();
    let mut structures = Vec::new();
    let mut found = Diagnostics::default();
    for pair in bounds.windows(2) {
        match parse_range(file, text, pair[0]..pair[1]) {
            Ok(parsed) => structures.extend(parsed),
            Err(diagnostic) => found.push(diagnostic),
        }
    }
    if !found.has_errors() {
        found.push(first);
    }
    diagnostics.extend(found);
    structures
}

fn parse_range(file: FileId, text: &str, range: Range<usize>) -> Result<Vec<Placed>, Diagnostic> {
    let origin = Origin { file, base: range.start };
    let part = &text[range];
    let parsed = catch_unwind(AssertUnwindSafe(|| part.parse::<Body>()));
    match parsed {
        Ok(Ok(body)) => Ok(body.into_iter().map(|structure| (structure, origin)).collect()),
        Ok(Err(error)) => {
            // The place is in characters of a line; an offset may lie within one.
            let mut at = error.location().offset().min(part.len());
            while !part.is_char_boundary(at) {
                at -= 1;
            }
            let length = part[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
            let start = origin.base + at;
            Err(Diagnostic::error("this is not valid HCL")
                .at(Span::new(file, start..start + length))
                .detail(error.message().trim().replace('\n', ", "))
                .hint(syntax_hint(part, at)))
        }
        Err(_) => Err(Diagnostic::error("this cannot be parsed").at(Span::new(file, origin.base..origin.base))),
    }
}

fn syntax_hint(text: &str, at: usize) -> &'static str {
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next().unwrap_or("").trim();
    if at >= text.trim_end().len() {
        "is a `}`, a `]` or a quote missing?"
    } else if line.contains(": ") && !line.contains('=') {
        "an option is set by `=`: name = value"
    } else if line.contains('\'') && !line.contains('"') {
        "strings are written in double quotes"
    } else {
        "an option is written name = value, a block name \"label\" { … }"
    }
}

/// Offsets of the lines that begin a root block, heredocs left out.
fn block_starts(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut heredoc: Option<&str> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_end();
        match heredoc {
            Some(end) if trimmed.trim_start() == end => heredoc = None,
            Some(_) => {}
            None => {
                if begins_block(trimmed) {
                    starts.push(offset);
                }
                heredoc = heredoc_start(trimmed);
            }
        }
        offset += line.len();
    }
    starts
}

fn begins_block(line: &str) -> bool {
    let word_end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    ROOT_BLOCKS.contains(&&line[..word_end]) && line.ends_with(['{', '}'])
}

fn heredoc_start(line: &str) -> Option<&str> {
    let (_, word) = line.rsplit_once("<<")?;
    let word = word.strip_prefix('-').unwrap_or(word).trim();
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_word.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::source_map::SourceMap;

    fn parsed(text: &str) -> (usize, Vec<String>) {
        let mut sources = SourceMap::default();
        let file = sources.add("t.pkr.hcl", text);
        let mut diagnostics = Diagnostics::default();
        let structures = parse(file, text, &mut diagnostics);
        (structures.len(), diagnostics.iter().filter_map(|d| d.span).map(|span| sources.location(span)).collect())
    }

    #[test]
    fn every_broken_block_is_reported_and_the_others_are_kept() {
        let text = "variable \"a\" {\n  default = \n}\nvariable \"b\" {}\nbuild {\n  x y\n}\nlocals {\n a = 1\n}\n";
        let (kept, errors) = parsed(text);
        assert_eq!(kept, 2);
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].starts_with("t.pkr.hcl:2:") && errors[1].starts_with("t.pkr.hcl:6:"), "{errors:?}");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(parsed("\u{feff}locals {\r\n  a = 1\r\n}\r\n"), (1, vec![]));
    }

    #[test]
    fn nesting_too_deep_is_an_error() {
        let (_, errors) = parsed(&format!("locals {{\n  a = {}1{}\n}}\n", "[".repeat(5000), "]".repeat(5000)));
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn words_in_heredocs_begin_no_block() {
        let text = "locals {\n  a = <<EOF\nbuild {\nEOF\n  b = }\n}\n";
        assert_eq!(parsed(text).1.len(), 1);
    }
}
