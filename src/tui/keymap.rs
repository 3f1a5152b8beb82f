//! The table of keys: each binding has a name, keys and a description. Help, hints and the person's own key map are
//! made from it.

pub mod builds;
pub mod cache;
pub mod file;
pub mod form;
pub mod global;
pub mod guests;
pub mod history;
pub mod key;
pub mod listing;
pub mod log;
pub mod motion;
pub mod overlay;
pub mod proxy;
pub mod templates;

use std::collections::BTreeMap;

pub use key::KeyPress;

use super::state::Screen;

/// Something that a key does. One enum for each scope, in the scope's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Anywhere.
    Global(global::Action),
    /// Moving in whatever list or text has the keys.
    Move(motion::Motion),
    /// On the Builds screen.
    Builds(builds::Action),
    /// On the Log screen.
    Log(log::Action),
    /// On the Proxy screen.
    Proxy(proxy::Action),
    /// On the Cache screen.
    Cache(cache::Action),
    /// On the Templates screen, but not in its form.
    Templates(templates::Action),
    /// In the form of the Templates screen.
    Form(form::Action),
    /// On the History screen.
    History(history::Action),
    /// On the Guests screen.
    Guests(guests::Action),
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Anywhere but in text fields and overlays.
    Global,
    /// In lists and texts.
    Move,
    /// On one screen.
    Screen(Screen),
    /// In the form of the Templates screen, where nothing else but text holds.
    Form,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What it does.
    pub command: Command,
    /// Its name in the key map file and the palette, such as `builds.cancel`.
    pub name: &'static str,
    /// The keys: sequences of presses, such as `g g`, `Ctrl-d` or `Enter`.
    pub keys: &'static [&'static str],
    /// What it does, in a few words.
    pub help: &'static str,
    /// A word for the line of hints at the bottom; none if it is left out there.
    pub hint: Option<&'static str>,
}

/// The table of a scope.
pub const fn table(scope: Scope) -> &'static [Binding] {
    match scope {
        Scope::Global => global::BINDINGS,
        Scope::Move => motion::BINDINGS,
        Scope::Screen(Screen::Builds) => builds::BINDINGS,
        Scope::Screen(Screen::Log) => log::BINDINGS,
        Scope::Screen(Screen::Proxy) => proxy::BINDINGS,
        Scope::Screen(Screen::Cache) => cache::BINDINGS,
        Scope::Screen(Screen::Templates) => templates::BINDINGS,
        Scope::Screen(Screen::History) => history::BINDINGS,
        Scope::Screen(Screen::Guests) => guests::BINDINGS,
        Scope::Form => form::BINDINGS,
    }
}

/// The scopes that hold on a screen, the nearest first.
pub const fn scopes(screen: Screen) -> [Scope; 3] {
    [Scope::Screen(screen), Scope::Global, Scope::Move]
}

/// What a sequence of presses means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A command.
    Command(Command),
    /// The beginning of a longer sequence.
    Begun,
    /// Nothing.
    Nothing,
}

/// The table with the person's changes.
#[derive(Clone, Debug, Default)]
pub struct Keymap {
    /// By the name of the binding: sequences in place of the table's.
    changed: BTreeMap<String, Vec<Vec<KeyPress>>>,
}

impl Keymap {
    /// The sequences of a binding.
    pub fn keys(&self, binding: &Binding) -> Vec<Vec<KeyPress>> {
        match self.changed.get(binding.name) {
            Some(keys) => keys.clone(),
            None => binding.keys.iter().filter_map(|keys| key::sequence(keys)).collect(),
        }
    }

    /// Gives a binding other sequences (none takes its keys away). Fails with the reason if there is no such binding, or
    /// a sequence cannot be read.
    pub fn change(&mut self, name: &str, keys: &[String]) -> Result<(), String> {
        if !all().any(|(_, binding)| binding.name == name) {
            return Err(format!("there is no binding named `{name}`"));
        }
        let read = |keys: &String| key::sequence(keys).ok_or_else(|| format!("`{keys}` is not a sequence of keys"));
        let keys = keys.iter().map(read).collect::<Result<_, _>>()?;
        self.changed.insert(name.to_owned(), keys);
        Ok(())
    }

    /// Why the keys of a binding mean something else, too, if they do: on a screen no sequence may have two meanings, or
    /// begin with what is a whole one.
    fn clash(&self, name: &str) -> Option<String> {
        let (own_scope, own) = all().find(|(_, binding)| binding.name == name)?;
        let hold_together = |scope: Scope| match (scope, own_scope) {
            (Scope::Screen(a), Scope::Screen(b)) => a == b,
            // In the form, nothing else holds.
            (Scope::Form, other) | (other, Scope::Form) => other == Scope::Form,
            _ => true,
        };
        for (_, other) in all().filter(|(scope, other)| other.name != name && hold_together(*scope)) {
            for theirs in self.keys(other) {
                let hides = |keys: &Vec<KeyPress>| keys.starts_with(&theirs) || theirs.starts_with(keys);
                if let Some(keys) = self.keys(own).into_iter().find(hides) {
                    let (keys, theirs) = (key::show(&keys), key::show(&theirs));
                    return Some(format!("`{keys}` would hide `{theirs}`, which is `{}`", other.name));
                }
            }
        }
        None
    }

    /// What `presses` mean on `screen`.
    pub fn meaning(&self, screen: Screen, presses: &[KeyPress]) -> Meaning {
        self.meaning_in(&scopes(screen), presses)
    }

    /// What `presses` mean in these scopes.
    pub fn meaning_in(&self, scopes: &[Scope], presses: &[KeyPress]) -> Meaning {
        let mut begun = false;
        for scope in scopes.iter().copied() {
            for binding in table(scope) {
                for keys in self.keys(binding) {
                    if keys == presses {
                        return Meaning::Command(binding.command);
                    }
                    begun |= keys.starts_with(presses);
                }
            }
        }
        if begun { Meaning::Begun } else { Meaning::Nothing }
    }

    /// The first sequence of a command, as shown; empty if it has none.
    pub fn shown(&self, command: Command) -> String {
        let binding = all().find(|(_, binding)| binding.command == command);
        let keys = binding.and_then(|(_, binding)| self.keys(binding).into_iter().next());
        keys.map(|keys| key::show(&keys)).unwrap_or_default()
    }
}

/// Every binding with its scope.
pub fn all() -> impl Iterator<Item = (Scope, &'static Binding)> {
    let screens = Screen::ALL.into_iter().map(Scope::Screen);
    [Scope::Global, Scope::Move]
        .into_iter()
        .chain(screens)
        .chain([Scope::Form])
        .flat_map(|scope| table(scope).iter().map(move |b| (scope, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_can_be_read_and_no_name_is_there_twice() {
        let mut names = std::collections::BTreeSet::new();
        for (_, binding) in all() {
            assert!(names.insert(binding.name), "{} is there twice", binding.name);
            for keys in binding.keys {
                assert!(key::sequence(keys).is_some(), "{}: {keys:?} cannot be read", binding.name);
            }
            assert!(!binding.help.is_empty(), "{} has no description", binding.name);
        }
    }

    #[test]
    fn no_key_has_two_meanings_on_a_screen() {
        let keymap = Keymap::default();
        for screen in Screen::ALL {
            let mut taken: BTreeMap<String, &str> = BTreeMap::new();
            for binding in scopes(screen).into_iter().flat_map(table) {
                for keys in keymap.keys(binding) {
                    if let Some(other) = taken.insert(key::show(&keys), binding.name) {
                        panic!("{screen:?}: {} is both {other} and {}", key::show(&keys), binding.name);
                    }
                }
            }
            // A sequence must not begin with what is a whole one.
            for keys in taken.keys() {
                let begins = taken.keys().find(|longer| longer.starts_with(&format!("{keys} ")));
                assert!(begins.is_none(), "{screen:?}: {keys} hides {begins:?}");
            }
        }
    }

    #[test]
    fn a_changed_key_takes_the_place_of_the_tables() {
        let mut keymap = Keymap::default();
        keymap.change("global.help", &["F1".to_owned()]).unwrap();
        let press = |keys| key::sequence(keys).unwrap();
        let help = Meaning::Command(Command::Global(global::Action::Help));
        assert_eq!(keymap.meaning(Screen::Builds, &press("F1")), help);
        assert_eq!(keymap.meaning(Screen::Builds, &press("?")), Meaning::Nothing);
        assert_eq!(keymap.meaning(Screen::Builds, &press("g")), Meaning::Begun);
        assert!(keymap.change("global.nothing", &[]).is_err());
    }
}
