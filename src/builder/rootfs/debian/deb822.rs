//! Paragraphs of `Name: value` fields (deb822(5)), as slices of the text they were read from.

/// One paragraph: fields in their order. A value keeps its line breaks and the space that starts each line of a
/// continuation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Paragraph<'a> {
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Paragraph<'a> {
    /// The value of the first field so named (case does not matter), without space around it.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    pub(super) fn fields(&self) -> &[(&'a str, &'a str)] {
        &self.fields
    }
}

/// The paragraphs of a text. Comment lines (`#`) and lines that are no field are passed over.
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = Paragraph<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (paragraph, used) = next_paragraph(rest);
            if used == 0 {
                return None;
            }
            rest = &rest[used..];
            if !paragraph.fields.is_empty() {
                return Some(paragraph);
            }
        }
    })
}

/// The first paragraph of `text` and how many bytes it and the blank line after it take; 0 at the end.
fn next_paragraph(text: &str) -> (Paragraph<'_>, usize) {
    let mut fields: Vec<(&str, &str)> = Vec::new();
    // Where the value of the last field starts.
    let mut value_start = 0;
    let mut at = 0;
    while at < text.len() {
        let line_start = at;
        let line_end = memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |n| at + n);
        at = (line_end + 1).min(text.len());
        let line = text[line_start..line_end].trim_end_matches('\r');
        if line.trim().is_empty() {
            break;
        }
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some(last) = fields.last_mut() {
                last.1 = text[value_start..line_end].trim();
            }
        } else if let Some((name, value)) = line.split_once(':') {
            value_start = line_start + name.len() + 1;
            fields.push((name.trim_end(), value.trim()));
        }
    }
    (Paragraph { fields }, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_fields_and_continuations() {
        let text = "\n# first\nA: 1\nb:2\nLong: x\n y\n .\n\tz\n\n\nA: 3\r\nC:\r\n d\r\n";
        let all: Vec<Paragraph<'_>> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("a"), Some("1"));
        assert_eq!(all[0].get("B"), Some("2"));
        assert_eq!(all[0].get("Long"), Some("x\n y\n .\n\tz"));
        assert_eq!(all[1].get("A"), Some("3"));
        assert_eq!(all[1].get("C"), Some("d"));
        assert_eq!(all[1].get("missing"), None);
    }

    #[test]
    fn odd_texts_end() {
        for text in ["", "\n\n", " leading\n", "no colon\n", "#\n#", "A:", "A"] {
            assert!(paragraphs(text).count() <= 1, "{text:?}");
        }
    }
}
