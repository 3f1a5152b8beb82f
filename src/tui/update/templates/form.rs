//! The form of a template's variables.

use std::path::PathBuf;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::backend::crossterm::EventHandler as _;
use tui_input::{Input, InputRequest};

use super::{picker, review, work};
use crate::catalogue::discover::Card;
use crate::catalogue::evaluate::Evaluated;
use crate::catalogue::wizard::Placement;
use crate::tui::effect::Effect;
use crate::tui::effect::templates::Op;
use crate::tui::keymap::form::Action;
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::{Command, KeyPress, Meaning, Scope};
use crate::tui::state::State;
use crate::tui::state::templates::Stage;
use crate::tui::state::templates::form::Wizard;

/// Whether a text field has the keys.
pub(in crate::tui::update) fn typing(state: &State) -> bool {
    matches!(state.templates.stage, Stage::Form)
}

/// Opens the form of a template. One that was left is as it was.
pub(super) fn open(state: &mut State, card: Card, placement: Placement) -> Vec<Effect> {
    let templates = &mut state.templates;
    templates.stage = Stage::Form;
    let is_same = |wizard: &Wizard| {
        let in_place = |placement: &Placement| *placement == Placement::InPlace;
        wizard.card.path == card.path && in_place(&wizard.placement) == in_place(&placement)
    };
    if !templates.wizard.as_ref().is_some_and(is_same) {
        if let Some(left) = templates.wizard.take() {
            templates.kept.insert(left.card.path.clone(), left.typed());
        }
        let recalled = templates.kept.get(&card.path).cloned().unwrap_or_default();
        templates.wizard = Some(Wizard::new(card, placement, recalled));
    }
    // Also where it is known: its files may have changed.
    changed(state)
}

/// Evaluates the form; where that is under way, as soon as it has ended.
fn changed(state: &mut State) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    wizard.proposal = None;
    wizard.changed = true;
    if wizard.under_way.is_some() {
        return Vec::new();
    }
    ask(wizard)
}

fn ask(wizard: &mut Wizard) -> Vec<Effect> {
    wizard.asked += 1;
    wizard.changed = false;
    wizard.under_way = Some(wizard.asked);
    work(Op::Evaluate { number: wizard.asked, request: wizard.request() })
}

/// An evaluation has ended. What was typed since makes it stale.
pub(super) fn evaluated(state: &mut State, number: u64, evaluated: Evaluated) -> Vec<Effect> {
    let Some(wizard) = state.templates.wizard.as_mut().filter(|wizard| wizard.under_way == Some(number)) else {
        return Vec::new();
    };
    wizard.under_way = None;
    if wizard.changed && wizard.evaluated.is_some() {
        return ask(wizard);
    }
    wizard.take(evaluated);
    if wizard.changed {
        return ask(wizard);
    }
    let ahead = std::mem::take(&mut wizard.ahead);
    if wizard.continues {
        return go_on(state);
    }
    // As if they were pressed now, and for as long as the form has the keys.
    ahead.into_iter().flat_map(|key| if typing(state) { text(state, key) } else { Vec::new() }).collect()
}

/// A key in the form: a binding of it, or text.
pub(in crate::tui::update) fn text(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    if let Some(wizard) = state.templates.wizard.as_mut().filter(|wizard| wizard.evaluated.is_none())
        && key.code != KeyCode::Esc
    {
        wizard.ahead.push(key);
        return Vec::new();
    }
    if let Meaning::Command(Command::Form(found)) = state.keymap.meaning_in(&[Scope::Form], &[KeyPress::from(key)]) {
        return action(state, found);
    }
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    let Some(row) = wizard.rows.get_mut(wizard.focus) else { return Vec::new() };
    let before = row.input.value().to_owned();
    match (row.choices(), key.code) {
        (Some(choices), KeyCode::Left | KeyCode::Right | KeyCode::Char(' ')) => {
            let next = next_choice(&choices, &before, key.code != KeyCode::Left);
            row.input = Input::from(next);
        }
        (Some(choices), KeyCode::Char(typed)) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
            let typed = typed.to_ascii_lowercase();
            // `y` and `n` are what one types for yes and no.
            let word = match typed {
                'y' if choices == ["true", "false"] => 't',
                'n' if choices == ["true", "false"] => 'f',
                other => other,
            };
            let found =
                choices.iter().find(|choice| choice.to_lowercase().starts_with(word)).copied().map(str::to_owned);
            if let Some(found) = found {
                row.input = Input::from(found);
            }
        }
        (Some(_), _) => {}
        (None, _) => {
            row.input.handle_event(&Event::Key(key));
        }
    }
    if row.input.value() == before { Vec::new() } else { changed(state) }
}

fn next_choice(choices: &[&str], now: &str, forward: bool) -> String {
    let at = choices.iter().position(|choice| *choice == now);
    let count = choices.len();
    let next = match (at, forward) {
        (Some(at), true) => (at + 1) % count,
        (Some(at), false) => (at + count - 1) % count,
        (None, true) => 0,
        (None, false) => count - 1,
    };
    choices.get(next).map(|choice| (*choice).to_owned()).unwrap_or_default()
}

/// Text was pasted into the field.
pub(in crate::tui::update) fn pasted(state: &mut State, text: &str) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    let Some(row) = wizard.rows.get_mut(wizard.focus).filter(|row| row.choices().is_none()) else { return Vec::new() };
    for character in text.chars() {
        row.input.handle(InputRequest::InsertChar(character));
    }
    changed(state)
}

/// A binding of the form.
pub(in crate::tui::update) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    if !typing(state) {
        return Vec::new();
    }
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    let last = wizard.rows.len().saturating_sub(1);
    match action {
        Action::Next => wizard.focus = if wizard.focus >= last { 0 } else { wizard.focus + 1 },
        Action::Previous => wizard.focus = wizard.focus.checked_sub(1).unwrap_or(last),
        Action::Continue => {
            wizard.continues = true;
            return if wizard.under_way.is_some() { Vec::new() } else { go_on(state) };
        }
        Action::Edit => {
            let Some(row) = wizard.rows.get(wizard.focus) else { return Vec::new() };
            if row.is_sensitive() {
                state.notice("it is sensitive, and is not written to a file");
                return Vec::new();
            }
            return work(Op::ToEdit { field: row.name().to_owned(), text: row.input.value().to_owned() });
        }
        Action::Pick => return picker::open(state),
        Action::Validate => return changed(state),
        Action::Reset => {
            let Some(row) = wizard.rows.get_mut(wizard.focus) else { return Vec::new() };
            let text = match &row.field {
                Some(field) => field.text.clone(),
                None => wizard.card.name.clone(),
            };
            row.input = Input::from(text);
            return changed(state);
        }
        Action::Help => return crate::tui::update::global::action(state, Global::Help),
        Action::Back => {
            wizard.continues = false;
            state.templates.stage = Stage::Browse;
        }
    }
    Vec::new()
}

/// Goes on to the review, if nothing is wrong with what was filled in; else to the first thing that is.
fn go_on(state: &mut State) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    wizard.continues = false;
    let Some(row) = wizard.first_error() else { return review::open(state) };
    wizard.focus = row;
    let name = wizard.rows[row].name().to_owned();
    let text = match wizard.errors() {
        0 => format!("{name} needs a value first"),
        1 => "1 error to be mended first".to_owned(),
        count => format!("{count} errors to be mended first"),
    };
    state.notice(text);
    Vec::new()
}

/// Puts a text into the field that has the keys.
pub(super) fn insert(state: &mut State, text: &str) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    state.templates.stage = Stage::Form;
    if let Some(row) = wizard.rows.get_mut(wizard.focus) {
        row.input = Input::from(text.to_owned());
    }
    changed(state)
}

/// The text of a field is in a file: the editor is to be opened on it.
pub(super) fn edit(state: &mut State, field: String, path: PathBuf) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    wizard.editing = Some((field, path.clone()));
    vec![Effect::Edit(path)]
}

/// The editor may have given the terminal back: what was written is fetched.
pub(super) fn edited(state: &mut State) -> Option<Vec<Effect>> {
    let (field, path) = state.templates.wizard.as_mut()?.editing.take()?;
    Some(work(Op::Edited { field, path }))
}

/// Puts a text into a field.
pub(super) fn replace(state: &mut State, field: &str, text: &str) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    let Some(row) = wizard.rows.iter_mut().find(|row| row.name() == field) else { return Vec::new() };
    row.input = Input::from(text.to_owned());
    changed(state)
}
