//! What lies over a screen.

use tui_input::Input;

use super::list::Place;
use crate::tui::effect::Effect;

/// Something over the screen that has the keys.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// The keys of the screen below.
    Help(Listed),
    /// All commands by name.
    Palette(Listed),
    /// Errors and warnings.
    Messages(Listed),
    /// Something to be confirmed.
    Confirm(Confirm),
    /// A build's question.
    Question(QuestionView),
}

/// A list that can be searched.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// What is typed to search it.
    pub input: Input,
    /// Where one is in it.
    pub place: Place,
}

/// A question of the UI's own, about something that cannot be undone.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// What it is about.
    pub title: String,
    /// What will happen.
    pub lines: Vec<String>,
    /// What may be chosen; Esc chooses nothing.
    pub options: Vec<ConfirmOption>,
}

/// What may be chosen.
#[derive(Clone, Debug)]
pub struct ConfirmOption {
    /// The letter that chooses it. Never Enter: a stray one must not destroy anything.
    pub key: char,
    /// What it does.
    pub text: String,
    /// What happens.
    pub effects: Vec<Effect>,
}

/// A build's question, as shown.
#[derive(Clone, Debug, Default)]
pub struct QuestionView {
    /// Its number.
    pub id: u64,
    /// Whether an earlier step or a script is being chosen; and which.
    pub choosing: Option<(crate::event::question::Choice, Place)>,
    /// Whether the answer is for all questions of the same failure.
    pub all: bool,
    /// The script that was last edited for it.
    pub edited: Option<String>,
}

/// The line in which a search or a filter is typed.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is for.
    pub kind: BarKind,
    /// What is typed.
    pub input: Input,
    /// Which of those recalled is shown, counted from the last.
    pub recalled: Option<usize>,
}

/// What is typed in the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// Text to find.
    Find,
    /// What to show alone.
    Filter,
}
