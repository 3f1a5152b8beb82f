//! Unicode's composed form: a letter and its accent are one character where there is one. All strings of HCL are in it,
//! so that what looks alike is alike.

use std::borrow::Cow;
use std::sync::Arc;

use icu_normalizer::ComposingNormalizerBorrowed;

const NFC: ComposingNormalizerBorrowed<'_> = ComposingNormalizerBorrowed::new_nfc();

/// Whether the text is as it should be.
pub fn is_composed(text: &str) -> bool {
    text.is_ascii() || NFC.is_normalized(text)
}

/// The text in that form.
pub fn composed(text: Arc<str>) -> Arc<str> {
    if text.is_ascii() {
        return text;
    }
    match NFC.normalize(&text) {
        Cow::Borrowed(same) if same.len() == text.len() => text,
        changed => changed.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_accents_become_one() {
        for (text, expected) in [
            ("plain", "plain"),
            ("e\u{301}", "\u{e9}"),
            ("\u{e9}", "\u{e9}"),
            ("\u{212b}", "\u{c5}"),
            ("\u{1100}\u{1161}", "\u{ac00}"),
            ("x\u{301}\u{323}", "x\u{323}\u{301}"),
        ] {
            assert_eq!(&*composed(text.into()), expected);
            assert_eq!(is_composed(text), text == expected, "{text}");
        }
    }
}
