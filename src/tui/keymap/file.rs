//! The person's own keys: `keymap.toml` beside the user's settings.
//!
//! Each line gives a binding of the table other keys: `"builds.cancel" = "Ctrl-x"`, or a list of them; an empty list
//! takes its keys away. What cannot be used is told, and the table's keys stay.

use std::io;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Keymap, all};
use crate::template::diagnostic::did_you_mean;

/// The table with what the file changes, and what of the file could not be used.
pub fn read(path: &Path) -> (Keymap, Vec<String>) {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            (Keymap::default(), Vec::new())
        }
        Err(error) => {
            (Keymap::default(), vec![format!("{}: cannot be read, and the default keys hold: {error}", path.display())])
        }
    }
}

fn parse(path: &Path, text: &str) -> (Keymap, Vec<String>) {
    let (mut keymap, mut errors) = (Keymap::default(), Vec::new());
    let at = |offset: usize| {
        let line = text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
        format!("{}:{line}", path.display())
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            errors.push(format!("{}: {}; the default keys hold", at(start), error.message()));
            return (keymap, errors);
        }
    };
    let mut entries = Vec::new();
    flatten("", table.get_ref(), &mut entries);
    // In the order of the file: what comes first has the keys.
    entries.sort_by_key(|(_, place, _)| *place);
    for (name, place, value) in entries {
        let changed = keys_of(value).and_then(|keys| change(&mut keymap, &name, &keys));
        if let Err(why) = changed {
            errors.push(format!("{}: {why}; its default stays", at(place)));
        }
    }
    (keymap, errors)
}

/// Entries by their whole name: `[builds] cancel = ...` is `builds.cancel`.
fn flatten<'a>(above: &str, table: &'a DeTable<'a>, entries: &mut Vec<(String, usize, &'a DeValue<'a>)>) {
    for (key, value) in table {
        let name = if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(&name, inner, entries),
            other => entries.push((name, key.span().start, other)),
        }
    }
}

fn keys_of(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        _ => Err("keys are written as \"Ctrl-x\", or as a list of such texts".to_owned()),
    };
    match value {
        DeValue::Array(items) => items.iter().map(|item: &Spanned<_>| text(item.get_ref())).collect(),
        other => text(other).map(|keys| vec![keys]),
    }
}

/// Changes a binding where the keys then mean one thing on every screen.
fn change(keymap: &mut Keymap, name: &str, keys: &[String]) -> Result<(), String> {
    let mut changed = keymap.clone();
    changed.change(name, keys).map_err(|why| {
        let near = did_you_mean(name, all().map(|(_, binding)| binding.name));
        near.map_or_else(|| why.clone(), |near| format!("{why}; did you mean `{near}`?"))
    })?;
    if let Some(clash) = changed.clash(name) {
        return Err(clash);
    }
    *keymap = changed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::{Command, global};

    fn read(text: &str) -> (Keymap, Vec<String>) {
        parse(Path::new("/config/keymap.toml"), text)
    }

    #[test]
    fn keys_are_changed_by_name() {
        let (keymap, errors) =
            read("\"global.stream\" = \"F6\"\n[global]\nhelp = [\"F1\", \"Ctrl-g h\"]\ntheme = []\n");
        assert_eq!(errors, [] as [&str; 0]);
        let shown = |action| keymap.shown(Command::Global(action));
        assert_eq!(shown(global::Action::Stream), "F6");
        assert_eq!(shown(global::Action::Help), "F1");
        assert_eq!(shown(global::Action::Theme), "");
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_line_and_the_default_stays() {
        let (keymap, errors) = read(
            "\"global.strem\" = \"F6\"\n\"global.stream\" = \"Ctrl-\"\n\"global.help\" = 7\n\"global.zoom\" = \"y\"\n\"global.open\" = \"g\"\n",
        );
        let [name, keys, kind, clash, prefix] = &errors[..] else { panic!("{errors:#?}") };
        assert!(name.starts_with("/config/keymap.toml:1: ") && name.contains("global.stream"), "{name}");
        assert!(keys.starts_with("/config/keymap.toml:2: ") && keys.contains("Ctrl-"), "{keys}");
        assert!(kind.starts_with("/config/keymap.toml:3: ") && kind.ends_with("; its default stays"), "{kind}");
        assert!(clash.contains("global.copy"), "{clash}");
        assert!(prefix.contains("move.first"), "{prefix}");
        assert_eq!(keymap.shown(Command::Global(global::Action::Stream)), "S");
        let (_, errors) = read("a = \n");
        assert!(errors[0].starts_with("/config/keymap.toml:1: "), "{errors:?}");
    }
}
