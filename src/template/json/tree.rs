//! JSON as Go's `encoding/json` holds and writes it: names sorted, numbers as 64-bit floats.

use std::collections::BTreeMap;

use super::parse::{Kind, Node};
use crate::template::diagnostic::Diagnostic;

/// The members of an object.
pub(crate) type Object = BTreeMap<String, Tree>;

/// A value without its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Tree>),
    Object(Object),
}

impl Tree {
    /// The value of a node. Of names given twice the last one counts. A number that no float holds is an error.
    pub(crate) fn of(node: &Node) -> Result<Self, Box<Diagnostic>> {
        Ok(match &node.kind {
            Kind::Null => Self::Null,
            Kind::Bool(value) => Self::Bool(*value),
            Kind::Number(text) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                Self::Number(number.ok_or_else(|| {
                    Box::new(
                        Diagnostic::error("this number is too large")
                            .at(node.span)
                            .detail("numbers of a template are floats of 64 bits")
                            .hint("write it as a string"),
                    )
                })?)
            }
            Kind::String(text) => Self::String(text.clone()),
            Kind::Array(elements) => Self::Array(elements.iter().map(Self::of).collect::<Result<_, _>>()?),
            Kind::Object(members) => {
                let member = |one: &super::parse::Member| Ok((one.name.clone(), Self::of(&one.value)?));
                Self::Object(members.iter().map(member).collect::<Result<_, Box<Diagnostic>>>()?)
            }
        })
    }

    /// What to call it in a message.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The value as `fix` prints it: two blanks a level, and `<` and `>` as they are, though Go would escape them.
    pub(crate) fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str("  "));
        };
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number_text(*number)),
            Self::String(text) => write_string(text, out),
            Self::Array(elements) if elements.is_empty() => out.push_str("[]"),
            Self::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    line(out, depth + 1);
                    element.write(out, depth + 1);
                }
                line(out, depth);
                out.push(']');
            }
            Self::Object(members) if members.is_empty() => out.push_str("{}"),
            Self::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    out.push(if index == 0 { '{' } else { ',' });
                    line(out, depth + 1);
                    write_string(name, out);
                    out.push_str(": ");
                    value.write(out, depth + 1);
                }
                line(out, depth);
                out.push('}');
            }
        }
    }
}

/// The shortest digits that read back as the number; very small and very large ones with an exponent.
pub(crate) fn number_text(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    format!("{number}")
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (12_345_678_901_234_567.0, "12345678901234568"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (9.5e-7, "9.5e-7"),
            (-1e-7, "-1e-7"),
        ];
        for (number, text) in cases {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn strings_are_escaped_as_packer_escapes_them() {
        let mut out = String::new();
        write_string("a<b>&\"\\\n\r\t\u{8}\u{c}\u{7f}é\u{2028}", &mut out);
        assert_eq!(out, "\"a<b>\\u0026\\\"\\\\\\n\\r\\t\\u0008\\u000c\u{7f}é\\u2028\"");
    }
}
