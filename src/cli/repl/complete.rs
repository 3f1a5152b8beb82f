//! What a word in the console can become.

use std::collections::{BTreeMap, BTreeSet};

use crate::template::go::engine::function_names;
use crate::template::hcl::functions;
use crate::template::hcl::value::Value;
use crate::template::{Language, Template};

/// Words that are no expressions.
const WORDS: [&str; 3] = ["variables", "help", "exit"];
/// Words of the language.
const KEYWORDS: [&str; 6] = ["true", "false", "null", "for", "if", "in"];
/// Words of Go templates.
const ACTIONS: [&str; 6] = ["if", "else", "end", "range", "with", "define"];

/// Where the word at the end of a text begins, and all that it can be.
pub(super) fn complete(template: &Template, text: &str) -> (usize, Vec<String>) {
    let begin = |part: fn(char) -> bool| {
        let before = text.char_indices().rev().find(|(_, c)| !part(*c));
        before.map_or(0, |(at, c)| at + c.len_utf8())
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (start, mut found) = match template.language {
        Language::Hcl2 => {
            let start = begin(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
            let word = &text[start..];
            match word.rsplit_once('.') {
                Some((path, _)) => (start + path.len() + 1, members(&template.line_names(), path)),
                None => (start, roots(template)),
            }
        }
        Language::LegacyJson => (begin(|c| c.is_alphanumeric() || matches!(c, '_' | '-')), go_names(template, text)),
    };
    let word = &text[start..];
    debug_assert!(word.chars().all(is_word), "{word}");
    found.retain(|candidate| candidate.starts_with(word));
    if text[..start].trim().is_empty() && !text.contains('.') {
        found.extend(WORDS.iter().filter(|candidate| candidate.starts_with(word)).map(|word| (*word).to_owned()));
    }
    (start, found.into_iter().collect())
}

/// What can stand at the beginning of an expression.
fn roots(template: &Template) -> BTreeSet<String> {
    let called = functions::names().map(|name| format!("{name}("));
    let names = template.line_names().into_keys().map(|name| format!("{name}."));
    called.chain(names).chain(KEYWORDS.map(str::to_owned)).collect()
}

/// What is in the value at a path: `var`, `local.a.b`.
fn members(names: &BTreeMap<String, Value>, path: &str) -> BTreeSet<String> {
    let mut steps = path.split('.');
    let mut value = steps.next().and_then(|root| names.get(root));
    for step in steps {
        value = value.and_then(Value::entries).and_then(|entries| entries.get(step));
    }
    let keys = value.and_then(Value::entries).into_iter().flat_map(BTreeMap::keys);
    let is_name = |key: &&String| {
        key.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    keys.filter(is_name).cloned().collect()
}

/// What can be in a Go template; nothing outside of one.
fn go_names(template: &Template, text: &str) -> BTreeSet<String> {
    let Some(action) = text.rfind("{{").map(|at| &text[at..]).filter(|action| !action.contains("}}")) else {
        return BTreeSet::new();
    };
    // Within quotes there is a name of a variable, if anything.
    if action.matches('`').count() % 2 == 1 {
        return template.scope.user.iter().flatten().map(|(name, _)| name.clone()).collect();
    }
    function_names().chain(ACTIONS).map(str::to_owned).collect()
}
