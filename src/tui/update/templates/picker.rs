//! A file is picked for a field.

use std::path::{Path, PathBuf};

use super::{form, work};
use crate::tui::effect::Effect;
use crate::tui::effect::templates::Op;
use crate::tui::state::State;
use crate::tui::state::list::Place;
use crate::tui::state::templates::Stage;
use crate::tui::state::templates::picker::{Entry, Picker};

/// Begins where the field's path is, or else in the working directory.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let Some(wizard) = &state.templates.wizard else { return Vec::new() };
    let Some(row) = wizard.rows.get(wizard.focus) else { return Vec::new() };
    let typed = Path::new(row.input.value());
    let directory = if row.is_sensitive() { None } else { typed.parent().filter(|_| typed.is_absolute()) };
    let directory = directory.map_or_else(PathBuf::new, Path::to_owned);
    show(state, directory)
}

fn show(state: &mut State, directory: PathBuf) -> Vec<Effect> {
    state.templates.stage = Stage::Pick(Picker { directory: directory.clone(), ..Picker::default() });
    work(Op::Files(directory))
}

pub(super) fn listed(state: &mut State, directory: PathBuf, root: PathBuf, entries: Vec<Entry>) -> Vec<Effect> {
    if let Stage::Pick(picker) = &mut state.templates.stage {
        *picker = Picker { directory, root, entries: Some(entries), place: Place::default() };
    }
    Vec::new()
}

/// Opens a directory; takes a file: its path, or what is in it.
pub(super) fn chosen(state: &mut State, content: bool) -> Vec<Effect> {
    let Stage::Pick(picker) = &state.templates.stage else { return Vec::new() };
    let Some((path, entry)) = picker.selected() else { return Vec::new() };
    if entry.is_directory {
        return show(state, path);
    }
    if content {
        return work(Op::Content(path));
    }
    let shown = picker.shown(&path);
    form::insert(state, &shown)
}
