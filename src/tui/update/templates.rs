//! The Templates screen.

mod form;
mod picker;
mod review;

use std::path::PathBuf;

use ratatui::crossterm::event::{MouseEvent, MouseEventKind};

use crate::catalogue::discover::{Card, Origin};
use crate::catalogue::wizard::{Placement, placement};
use crate::tui::effect::templates::{Done, Op, ToBuild};
use crate::tui::effect::{Effect, Work};
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::motion::Motion;
use crate::tui::keymap::templates::Action;
use crate::tui::layout;
use crate::tui::layout::templates::{browser, rows};
use crate::tui::state::overlay::{BarKind, Confirm, ConfirmOption, Overlay};
use crate::tui::state::templates::Stage;
use crate::tui::state::templates::text::{self, Reader};
use crate::tui::state::{Screen, State};

pub(super) use form::{action as form_action, pasted, text, typing};

fn work(op: Op) -> Vec<Effect> {
    vec![Effect::Work(Work::Templates(op))]
}

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match (&state.templates.stage, action) {
        (Stage::Browse, Action::Rescan) => work(Op::List),
        (Stage::Browse, Action::View) => read(state, "text", Op::Source),
        (Stage::Browse, Action::Diff) => read(state, "difference", Op::Diff),
        (Stage::Browse, Action::UseInPlace) => use_in_place(state),
        (Stage::Browse, Action::Build) => {
            state.templates.selected().cloned().map(Op::Build).map(work).unwrap_or_default()
        }
        (Stage::Review, Action::Build) => review::write(state, true),
        (Stage::Review, Action::Write) => review::write(state, false),
        (Stage::Pick(_), Action::Content) => picker::chosen(state, true),
        _ => Vec::new(),
    }
}

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    let stage = &state.templates.stage;
    match (action, stage) {
        (Global::Open, Stage::Browse) => Some(choose(state)),
        (Global::Open, Stage::Review) => Some(review::write(state, false)),
        (Global::Open, Stage::Pick(_)) => Some(picker::chosen(state, false)),
        (Global::Back, Stage::Browse) if !state.templates.query.is_empty() && !state.zoomed => {
            Some(searched(state, BarKind::Find, ""))
        }
        (Global::Back, Stage::Read(_)) => Some(back_to(state, Stage::Browse)),
        (Global::Back, Stage::Review | Stage::Pick(_)) => Some(back_to(state, Stage::Form)),
        (Global::Copy, Stage::Browse) => {
            state.templates.selected().map(|card| vec![Effect::Copy(card.path.display().to_string())])
        }
        (Global::CopyAll, Stage::Read(Reader { lines: Some(lines), .. })) => {
            let texts: Vec<&str> = lines.iter().map(|(_, text)| text.as_str()).collect();
            Some(vec![Effect::Copy(texts.join("\n"))])
        }
        _ => None,
    }
}

fn back_to(state: &mut State, stage: Stage) -> Vec<Effect> {
    state.templates.stage = stage;
    Vec::new()
}

/// Rows that the list, or the text in its place, has.
fn page(state: &State) -> usize {
    match state.templates.stage {
        Stage::Browse => {
            let count = state.templates.shown().len();
            rows(browser(state.size, state.zoomed, count).list, state.size).saturating_sub(1)
        }
        _ => rows(layout::frame(state.size).body, state.size),
    }
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    let page = page(state);
    let templates = &mut state.templates;
    match &mut templates.stage {
        Stage::Browse => {
            let count = templates.shown().len();
            templates.place.go(motion, count, page);
            return look(state);
        }
        Stage::Read(reader) => {
            let count = reader.lines.as_ref().map_or(0, Vec::len);
            match motion {
                Motion::Left => reader.left = reader.left.saturating_sub(8),
                Motion::Right => reader.left = (reader.left + 8).min(4096),
                _ => scroll(&mut reader.place.top, motion, count, page),
            }
        }
        Stage::Pick(picker) => picker.place.go(motion, picker.entries.as_ref().map_or(0, Vec::len), page),
        Stage::Review => {
            if let Some(wizard) = &mut templates.wizard {
                let count = text::review(wizard).len();
                scroll(&mut wizard.place.top, motion, count, page);
            }
        }
        Stage::Form => {}
    }
    Vec::new()
}

/// Moves the view of a text in which nothing is selected.
fn scroll(top: &mut usize, motion: Motion, count: usize, page: usize) {
    let last = count.saturating_sub(page);
    *top = match motion {
        Motion::Last => last,
        _ => motion.apply(*top, count, page).min(last),
    };
}

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    match mouse.kind {
        MouseEventKind::ScrollUp => moved(state, Motion::Up),
        MouseEventKind::ScrollDown => moved(state, Motion::Down),
        MouseEventKind::Down(_) if matches!(state.templates.stage, Stage::Browse) => {
            let count = state.templates.shown().len();
            let list = browser(state.size, state.zoomed, count).list;
            // The title and the heads of columns are above.
            let row = usize::from(mouse.row.saturating_sub(list.y)).checked_sub(2);
            let inside = mouse.column >= list.x && mouse.column < list.right() && mouse.row + 1 < list.bottom();
            let Some(row) = row.filter(|_| inside) else { return Vec::new() };
            let row = state.templates.place.top + row;
            if row < count {
                let page = page(state);
                state.templates.place.select(row, count, page);
            }
            look(state)
        }
        _ => Vec::new(),
    }
}

pub(super) fn searched(state: &mut State, _kind: BarKind, query: &str) -> Vec<Effect> {
    if matches!(state.templates.stage, Stage::Browse) {
        query.clone_into(&mut state.templates.query);
        state.templates.place = crate::tui::state::list::Place::default();
        return look(state);
    }
    if let Stage::Read(Reader { lines: Some(lines), place, .. }) = &mut state.templates.stage {
        let query = query.to_lowercase();
        let found = lines.iter().skip(place.top + 1).position(|(_, text)| text.to_lowercase().contains(&query));
        match found {
            Some(after) => place.top += after + 1,
            None => state.notice(format!("no `{query}` below")),
        }
    }
    Vec::new()
}

/// The screen comes into view, or the editor has given the terminal back.
pub(super) fn shown(state: &mut State) -> Vec<Effect> {
    if let Some(edited) = form::edited(state) {
        return edited;
    }
    work(Op::List)
}

/// Asks for a preview of what is selected, unless it is known or asked for.
fn look(state: &mut State) -> Vec<Effect> {
    let Some(card) = state.templates.selected().cloned() else { return Vec::new() };
    let templates = &mut state.templates;
    // One at a time: the newest is asked for when the one under way has come.
    if templates.previewing.is_some() || templates.preview_of(&card.path).is_some() {
        return Vec::new();
    }
    templates.previewing = Some(card.path.clone());
    work(Op::Preview(card))
}

fn read(state: &mut State, what: &str, op: fn(Card) -> Op) -> Vec<Effect> {
    let Some(card) = state.templates.selected().cloned() else { return Vec::new() };
    let title = format!("{}: {what}", card.name);
    state.templates.stage = Stage::Read(Reader { title, ..Reader::default() });
    work(op(card))
}

/// Enter: a form for the selected template.
fn choose(state: &mut State) -> Vec<Effect> {
    let Some(card) = state.templates.selected().cloned() else { return Vec::new() };
    let placement = placement(&card);
    form::open(state, card, placement)
}

fn use_in_place(state: &mut State) -> Vec<Effect> {
    let Some(card) = state.templates.selected().cloned() else { return Vec::new() };
    if card.origin == Origin::BuiltIn {
        state.notice("it comes with Larder: Enter makes a copy of it");
        return Vec::new();
    }
    form::open(state, card, Placement::InPlace)
}

pub(super) fn done(state: &mut State, done: Done) -> Vec<Effect> {
    match done {
        Done::List(cards) => listed(state, cards),
        Done::Preview(path, preview) => {
            state.templates.previewing = None;
            state.templates.preview = Some((path, preview));
            look(state)
        }
        Done::Text(lines) => {
            if let Stage::Read(reader) = &mut state.templates.stage {
                reader.lines = Some(lines);
            }
            Vec::new()
        }
        Done::Evaluated { number, evaluated } => form::evaluated(state, number, evaluated),
        Done::Review { number, evaluated, proposal } => review::known(state, number, evaluated, proposal),
        Done::Written { files, template, build } => review::written(state, files, &template, build),
        Done::Ready(build) => start(state, build),
        Done::Unready(card) => {
            state.notice("it needs values first");
            let placement = placement(&card);
            form::open(state, card, placement)
        }
        Done::Files { directory, root, entries } => picker::listed(state, directory, root, entries),
        Done::Content(text) => form::insert(state, &text),
        Done::ToEdit { field, path } => form::edit(state, field, path),
        Done::Edited { field, text } => form::replace(state, &field, &text),
        Done::Failed(text) => failed(state, text),
    }
}

fn failed(state: &mut State, text: String) -> Vec<Effect> {
    if state.templates.cards.is_none() {
        state.templates.cards = Some(Vec::new());
    }
    if matches!(&state.templates.stage, Stage::Read(reader) if reader.lines.is_none()) {
        state.templates.stage = Stage::Browse;
    }
    state.error(text);
    Vec::new()
}

fn listed(state: &mut State, cards: Vec<Card>) -> Vec<Effect> {
    let before = state.templates.selected().map(|card| card.path.clone());
    let templates = &mut state.templates;
    templates.cards = Some(cards);
    templates.preview = None;
    let wanted: Option<PathBuf> = templates.wanted.take().or(before);
    let found = wanted.and_then(|path| templates.shown().iter().position(|card| card.path == path));
    let page = page(state);
    let count = state.templates.shown().len();
    let row = found.unwrap_or(state.templates.place.selected);
    state.templates.place.select(row, count, page);
    look(state)
}

/// Starts a build, and shows it; asks first where output would be replaced.
fn start(state: &mut State, build: ToBuild) -> Vec<Effect> {
    if state.run.is_live() {
        state.error("a run is under way: builds of another template can start when it has ended");
        return Vec::new();
    }
    let ToBuild { request, exists } = build;
    state.template = Some(request.template.clone());
    if exists.is_empty() {
        let mut effects = vec![Effect::StartBuild(request)];
        effects.extend(super::global::show(state, Screen::Builds));
        return effects;
    }
    let confirm = Confirm {
        title: "The output is there already".to_owned(),
        lines: exists,
        options: vec![ConfirmOption {
            key: 'r',
            text: "replace it".to_owned(),
            effects: vec![Effect::StartBuild(crate::tui::effect::BuildRequest { force: true, ..request })],
        }],
    };
    state.overlays.push(Overlay::Confirm(confirm));
    Vec::new()
}
