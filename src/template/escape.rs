//! Escapes of characters that the languages of templates have in common.

/// How JSON, HCL and Go write a character within double quotes, where all of them write it the same.
pub fn shared(character: char) -> Option<&'static str> {
    Some(match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => return None,
    })
}

/// The same with the escapes that Go and YAML have from C.
pub fn as_in_c(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        _ => return shared(character),
    })
}
