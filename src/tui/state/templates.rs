//! Where one is on the Templates screen.

pub mod form;
pub mod picker;
pub mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::list::Place;
use crate::catalogue::discover::{Card, Preview};
use form::Wizard;
use picker::Picker;
use text::Reader;

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {
    /// The templates found; `None` while they are looked for.
    pub cards: Option<Vec<Card>>,
    /// What the list is narrowed to.
    pub query: String,
    /// Where one is in the list.
    pub place: Place,
    /// What is said of the template at this path.
    pub preview: Option<(PathBuf, Preview)>,
    /// The template that a preview was asked for.
    pub previewing: Option<PathBuf>,
    /// What takes the place of the list.
    pub stage: Stage,
    /// The form being filled in, or left for a moment.
    pub wizard: Option<Wizard>,
    /// What was typed into the forms of other templates.
    pub kept: BTreeMap<PathBuf, BTreeMap<String, String>>,
    /// The template to select once it has been found: one just written.
    pub wanted: Option<PathBuf>,
}

/// What the screen shows.
#[derive(Debug, Default)]
pub enum Stage {
    /// The list of templates.
    #[default]
    Browse,
    /// A text: a template's source, or a difference.
    Read(Reader),
    /// The form.
    Form,
    /// A file is picked for a field of the form.
    Pick(Picker),
    /// What would be written and built.
    Review,
}

impl State {
    /// The templates that match what was searched for, the best first.
    pub fn shown(&self) -> Vec<&Card> {
        let cards = self.cards.as_deref().unwrap_or_default();
        if self.query.is_empty() {
            return cards.iter().collect();
        }
        let words: Vec<String> = self.query.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let matches = |card: &&Card| {
            let text = format!("{} {} {} {}", card.name, card.builders.join(" "), card.origin.text(), card.description)
                .to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let mut found: Vec<&Card> = cards.iter().filter(matches).collect();
        // A name says more than a description.
        found.sort_by_key(|card| !words.iter().all(|word| card.name.to_lowercase().contains(word)));
        found
    }

    /// The selected template.
    pub fn selected(&self) -> Option<&Card> {
        self.shown().get(self.place.selected).copied()
    }

    /// What is known of the selected template.
    pub fn preview_of(&self, path: &Path) -> Option<&Preview> {
        self.preview.as_ref().filter(|(of, _)| of == path).map(|(_, preview)| preview)
    }
}
