//! The table as lists: for help, and for the palette.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::overlay::OVERLAYS;
use super::{Binding, Keymap, Scope, key, scopes, table};
use crate::tui::state::Screen;

/// A row of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelpRow {
    /// What the keys below are for.
    Heading(String),
    /// Keys, what they do, and the name of the binding (empty where it has none).
    Keys(String, &'static str, &'static str),
}

/// All sequences of a binding, as shown.
pub fn keys(keymap: &Keymap, binding: &Binding) -> String {
    let all: Vec<_> = keymap.keys(binding).iter().map(|keys| key::show(keys)).collect();
    all.join(", ")
}

fn heading(scope: Scope) -> String {
    match scope {
        Scope::Global => "Anywhere".to_owned(),
        Scope::Move => "Moving in lists and texts".to_owned(),
        Scope::Form => "In the form of a template".to_owned(),
        Scope::Screen(screen) => format!("Screen {}", screen.as_str()),
    }
}

/// Every scope, those that hold on `screen` first.
fn all_scopes(screen: Screen) -> Vec<Scope> {
    let [own, ..] = scopes(screen);
    let form = (screen == Screen::Templates).then_some(Scope::Form);
    let others = Screen::ALL.into_iter().map(Scope::Screen).chain([Scope::Form]);
    let mut all: Vec<Scope> = [own].into_iter().chain(form).chain(scopes(screen).into_iter().skip(1)).collect();
    for scope in others {
        if !all.contains(&scope) {
            all.push(scope);
        }
    }
    all
}

/// The help for `screen`: rows that have every word of `query`, with their headings.
pub fn help(keymap: &Keymap, screen: Screen, query: &str) -> Vec<HelpRow> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let mut rows = Vec::new();
    let mut section = |heading: String, all: Vec<(String, &'static str, &'static str)>| {
        let wanted = |(keys, help, name): &(String, &str, &str)| {
            let text = format!("{keys} {help} {name} {heading}").to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let found: Vec<_> = all.into_iter().filter(wanted).collect();
        if !found.is_empty() {
            rows.push(HelpRow::Heading(heading));
            rows.extend(found.into_iter().map(|(keys, help, name)| HelpRow::Keys(keys, help, name)));
        }
    };
    for scope in all_scopes(screen) {
        let rows = table(scope).iter().map(|binding| (keys(keymap, binding), binding.help, binding.name));
        section(heading(scope), rows.collect());
    }
    for overlay in OVERLAYS {
        let rows = overlay.keys.iter().map(|(keys, help)| ((*keys).to_owned(), *help, ""));
        section(format!("Over a screen: {}", overlay.name), rows.collect());
    }
    rows
}

/// The commands that `query` finds, the best first; all if it is empty, those of `screen` first.
pub fn palette(screen: Screen, query: &str) -> Vec<(Scope, &'static Binding)> {
    let all = all_scopes(screen).into_iter().flat_map(|scope| table(scope).iter().map(move |binding| (scope, binding)));
    if query.trim().is_empty() {
        return all.collect();
    }
    let pattern = Pattern::new(query, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut characters = Vec::new();
    let mut score = |text: &str| pattern.score(Utf32Str::new(text, &mut characters), &mut matcher);
    let mut found: Vec<_> = all
        .filter_map(|(scope, binding)| {
            // A name says more than a description does.
            let name = score(binding.name).map(|score| score * 2);
            Some((name.max(score(binding.help))?, scope, binding))
        })
        .collect();
    found.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    found.into_iter().map(|(_, scope, binding)| (scope, binding)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_has_the_screens_keys_first_and_the_persons_own() {
        let mut keymap = Keymap::default();
        keymap.change("global.stream", &["Ctrl-s".to_owned()]).unwrap();
        let rows = help(&keymap, Screen::Builds, "plain lines");
        let names: Vec<_> = rows.iter().filter(|row| matches!(row, HelpRow::Keys(..))).collect();
        assert!(matches!(names[0], HelpRow::Keys(keys, _, "global.stream") if keys == "Ctrl-s"), "{names:?}");
        let all = help(&Keymap::default(), Screen::Cache, "");
        let heading = |row: &HelpRow| if let HelpRow::Heading(text) = row { Some(text.clone()) } else { None };
        let headings: Vec<String> = all.iter().filter_map(heading).collect();
        let place = |heading: &str| headings.iter().position(|one| *one == heading);
        assert!(place("Screen Cache") < place("Anywhere"), "{headings:?}");
        assert!(help(&keymap, Screen::Builds, "nothing has these words").is_empty());
    }

    #[test]
    fn the_palette_finds_by_letters_of_the_name() {
        let names = |query: &str| palette(Screen::Builds, query).iter().map(|(_, b)| b.name).collect::<Vec<_>>();
        assert_eq!(names("glsus").first(), Some(&"global.suspend"));
        assert_eq!(names("theme").first(), Some(&"global.theme"));
        assert_eq!(names("").len(), crate::tui::keymap::all().count());
        assert!(names("qqqqzzz").is_empty());
    }
}
