//! What would be written and built, before it is.

use std::path::Path;

use super::{start, work};
use crate::catalogue::evaluate::Evaluated;
use crate::catalogue::wizard::Proposal;
use crate::catalogue::write::{Change, Existing};
use crate::tui::effect::templates::{Op, ToBuild};
use crate::tui::effect::{Effect, Work};
use crate::tui::state::State;
use crate::tui::state::list::Place;
use crate::tui::state::overlay::{Confirm, ConfirmOption, Overlay};
use crate::tui::state::templates::Stage;

pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let Some(wizard) = &mut state.templates.wizard else { return Vec::new() };
    wizard.proposal = None;
    wizard.place = Place::default();
    wizard.asked += 1;
    wizard.under_way = Some(wizard.asked);
    let op = Op::Review {
        number: wizard.asked,
        card: wizard.card.clone(),
        placement: wizard.placement(),
        request: wizard.request(),
    };
    state.templates.stage = Stage::Review;
    work(op)
}

/// What would be written is known.
pub(super) fn known(
    state: &mut State,
    number: u64,
    evaluated: Evaluated,
    proposal: Result<Proposal, String>,
) -> Vec<Effect> {
    if let Some(wizard) = state.templates.wizard.as_mut().filter(|wizard| wizard.under_way == Some(number)) {
        wizard.under_way = None;
        wizard.take(evaluated);
        wizard.proposal = Some(proposal);
    }
    Vec::new()
}

/// Writes what was proposed; asks first where files would be replaced.
pub(super) fn write(state: &mut State, build: bool) -> Vec<Effect> {
    let Some(wizard) = &state.templates.wizard else { return Vec::new() };
    let proposal = match &wizard.proposal {
        Some(Ok(proposal)) => proposal.clone(),
        Some(Err(error)) => {
            let error = error.clone();
            state.error(error);
            return Vec::new();
        }
        None => return Vec::new(),
    };
    if build && wizard.evaluated.as_ref().is_none_or(|evaluated| evaluated.errors() > 0) {
        state.error("it cannot be built before its errors are mended; `w` writes it as it is");
        return Vec::new();
    }
    if !proposal.replaces() {
        return work(Op::Write { proposal, existing: Existing::Refuse, build });
    }
    let changed = proposal.files.iter().filter(|(_, change)| matches!(change, Change::Differs(_)));
    let lines = changed.map(|(file, _)| proposal.directory.join(&file.path).display().to_string()).collect();
    let text = if build { "replace these files, and build" } else { "replace these files" };
    let effect = Effect::Work(Work::Templates(Op::Write { proposal, existing: Existing::Replace, build }));
    let options = vec![ConfirmOption { key: 'r', text: text.to_owned(), effects: vec![effect] }];
    state.overlays.push(Overlay::Confirm(Confirm {
        title: "There already, with other content".to_owned(),
        lines,
        options,
    }));
    Vec::new()
}

/// It has been written. The form has done its work.
pub(super) fn written(state: &mut State, files: usize, template: &Path, build: Option<ToBuild>) -> Vec<Effect> {
    let templates = &mut state.templates;
    if let Some(wizard) = templates.wizard.take() {
        templates.kept.remove(&wizard.card.path);
    }
    templates.stage = Stage::Browse;
    templates.query.clear();
    templates.wanted = Some(template.to_owned());
    let plural = if files == 1 { "" } else { "s" };
    state.notice(format!("{files} file{plural} written; `larder build {}` builds it", template.display()));
    let mut effects = work(Op::List);
    if let Some(build) = build {
        effects.extend(start(state, build));
    }
    effects
}
