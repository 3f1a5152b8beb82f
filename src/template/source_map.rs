//! The texts diagnostics point into: template files, variable files and values from the command line.

use std::ops::Range;

/// A file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A range of bytes in a file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The range of bytes `range` of `file`.
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end }
    }

    /// The range from the start of `self` to the end of `other`, which is in the same file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

#[derive(Clone, Debug)]
struct SourceFile {
    name: String,
    text: String,
    /// Lines before it, of which nothing is kept.
    lines_before: usize,
}

/// Texts with the names they are shown by. Texts are kept as read, so spans are offsets in the file.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a text; `name` is what diagnostics call it: a path, or `-var name`.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).expect("fewer than 2^32 files"));
        self.files.push(SourceFile { name: name.into(), text: text.into(), lines_before: 0 });
        id
    }

    /// Adds a part of a text that begins after so many lines of it.
    pub fn add_part(&mut self, name: impl Into<String>, text: impl Into<String>, lines_before: usize) -> FileId {
        let id = self.add(name, text);
        self.files[id.0 as usize].lines_before = lines_before;
        id
    }

    /// Names and texts of the files that were read: not values of the command line.
    pub fn files_read(&self) -> impl Iterator<Item = (&str, &str)> {
        let read = self.files.iter().filter(|file| !file.name.starts_with('-'));
        read.map(|file| (file.name.as_str(), file.text.as_str()))
    }

    /// Name of a file.
    pub fn name(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |file| &file.name)
    }

    /// Lines before the text of a file, which is a part of it.
    pub fn lines_before(&self, file: FileId) -> usize {
        self.files.get(file.0 as usize).map_or(0, |file| file.lines_before)
    }

    /// Text of a file.
    pub fn text(&self, file: FileId) -> &str {
        self.files.get(file.0 as usize).map_or("", |file| &file.text)
    }

    /// Text a span covers; empty if it does not lie in its file.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.start..span.end).unwrap_or("")
    }

    /// Line and column of a span's start, both from 1; columns count characters.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = self.text(span.file);
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1 + self.lines_before(span.file);
        let column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
        (line, column)
    }

    /// `file:line:column` of a span's start.
    pub fn location(&self, span: Span) -> String {
        let (line, column) = self.line_column(span);
        format!("{}:{line}:{column}", self.name(span.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column_count_from_one_and_by_character() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.pkr.hcl", "\u{feff}x = 1\ny = \"ä\" z\n");
        let z = sources.text(file).find(" z").expect("in text") + 1;
        assert_eq!(sources.line_column(Span::new(file, z..z + 1)), (2, 9));
        assert_eq!(sources.location(Span::new(file, 3..4)), "a.pkr.hcl:1:1");
        assert_eq!(sources.slice(Span::new(file, 3..4)), "x");
        assert_eq!(sources.line_column(Span::new(file, 999..999)).0, 3);
        let part = sources.add_part("<stdin>", "x\ny", 7);
        assert_eq!(sources.location(Span::new(part, 2..3)), "<stdin>:9:1");
    }
}
