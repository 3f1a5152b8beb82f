//! Environment variables of scripts, as the shell provisioners write them on a command line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::engine::component::Context;

/// Variables for a script: Packer's own, then `environment_vars` (`KEY=VALUE`), then `env`; the last one wins.
/// Values are as given, without quoting.
pub fn variables(context: &Context, listed: &[String], map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("PACKER_BUILD_NAME".to_owned(), context.build_name.clone()),
        ("PACKER_BUILDER_TYPE".to_owned(), context.builder_type.clone()),
        ("PACKER_RUN_UUID".to_owned(), context.run_uuid.clone()),
    ]);
    for (name, generated) in [
        ("PACKER_HTTP_ADDR", "PackerHTTPAddr"),
        ("PACKER_HTTP_IP", "PackerHTTPIP"),
        ("PACKER_HTTP_PORT", "PackerHTTPPort"),
    ] {
        let known = context.generated.get(generated).filter(|value| !value.is_empty());
        if let Some(value) = known.filter(|value| !value.starts_with("ERR_") && *value != "0") {
            variables.insert(name.to_owned(), value.clone());
        }
    }
    for pair in listed {
        if let Some((name, value)) = split(pair) {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    variables.extend(map.iter().map(|(name, value)| (name.clone(), value.clone())));
    variables
}

/// `KEY=VALUE` in its parts; the key may not be empty.
pub fn split(pair: &str) -> Option<(&str, &str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty())
}

/// Writes variables one after the other in a format such as `%s='%s' `, single quotes in values escaped for it.
pub fn flatten(variables: &BTreeMap<String, String>, format: &str) -> Result<String, FormatError> {
    let pieces = parse(format)?;
    let mut text = String::new();
    for (name, value) in variables {
        let value = value.replace('\'', "'\"'\"'");
        for piece in &pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Argument(0) => text.push_str(name),
                Piece::Argument(_) => text.push_str(&value),
                Piece::Quoted(argument) => {
                    let _ = write!(text, "{:?}", if *argument == 0 { name } else { &value });
                }
            }
        }
    }
    Ok(text)
}

/// A format for variables that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{verb}` is not understood: %s stands first for the name, then for the value; %[1]s and %[2]s name them")]
pub struct FormatError {
    /// What is not understood.
    pub verb: String,
}

/// Checks a format without using it.
pub fn check(format: &str) -> Result<(), FormatError> {
    parse(format).map(drop)
}

enum Piece {
    Text(String),
    Argument(usize),
    Quoted(usize),
}

/// The part of Go's `Printf` that formats of variables use: `%s`, `%v`, `%q`, `%%`, each also with `[1]` or `[2]`.
fn parse(format: &str) -> Result<Vec<Piece>, FormatError> {
    let mut pieces = Vec::new();
    let mut next = 0;
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        pieces.push(Piece::Text(rest[..at].to_owned()));
        let verb = &rest[at + 1..];
        let (index, letter) = match verb.strip_prefix('[').and_then(|verb| verb.split_once(']')) {
            Some((index, letter)) => (index.parse::<usize>().ok().and_then(|index| index.checked_sub(1)), letter),
            None => (Some(next), verb),
        };
        let piece = match (letter.chars().next(), index) {
            (Some('%'), _) => Piece::Text("%".to_owned()),
            (Some('s' | 'v'), Some(index @ 0..=1)) => Piece::Argument(index),
            (Some('q'), Some(index @ 0..=1)) => Piece::Quoted(index),
            _ => {
                let width = (verb.len() - letter.len()) + letter.chars().next().map_or(0, char::len_utf8);
                return Err(FormatError { verb: format!("%{}", &verb[..width]) });
            }
        };
        if let (Piece::Argument(_) | Piece::Quoted(_), Some(index)) = (&piece, index) {
            next = index + 1;
        }
        pieces.push(piece);
        rest = &letter[1..];
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_go() {
        let variables = BTreeMap::from([("A".to_owned(), "it's".to_owned()), ("B".to_owned(), String::new())]);
        for (format, expected) in [
            ("%s='%s' ", "A='it'\"'\"'s' B='' "),
            ("export %s='%s'\n", "export A='it'\"'\"'s'\nexport B=''\n"),
            ("%[2]s<-%[1]s;", "it'\"'\"'s<-A;<-B;"),
            ("100%% %v", "100% A100% B"),
        ] {
            assert_eq!(flatten(&variables, format).unwrap(), expected, "{format}");
        }
        for (format, verb) in [("%d", "%d"), ("%s%s%s", "%s"), ("%", "%"), ("%[3]s", "%[3]s"), ("%[x]s", "%[x]s")] {
            assert_eq!(check(format), Err(FormatError { verb: verb.to_owned() }), "{format}");
        }
    }

    #[test]
    fn pairs_need_a_name() {
        assert_eq!(split("A=b=c"), Some(("A", "b=c")));
        assert_eq!(split("A="), Some(("A", "")));
        assert_eq!(split("=b"), None);
        assert_eq!(split("A"), None);
    }
}
