//! Moving in a log, and acting on it.

use super::{looking, work};
use crate::event::question::Choice;
use crate::tui::effect::Effect;
use crate::tui::effect::log::{Goto, Op};
use crate::tui::keymap::log::Action;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::builds as layout;
use crate::tui::state::State;
use crate::tui::state::builds::Pane;
use crate::tui::state::visual::{self, mark};
use crate::tui::update::builds::choose;

pub(in crate::tui::update) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Follow if state.log.view.follow => pause(state),
        Action::Follow => return follow(state),
        Action::Wrap => {
            state.log.options.wrap = !state.log.options.wrap;
            state.log.view.left = 0;
            looking::fit(state);
            state.notice(if state.log.options.wrap {
                "long lines are wrapped"
            } else {
                "long lines go on to the right"
            });
        }
        Action::Times => {
            let times = visual::heads(state).0.next();
            state.log.options.times = Some(times);
            state.notice(format!("times: {}", times.as_str()));
        }
        Action::Numbers => state.log.options.numbers = Some(!visual::heads(state).1),
        Action::PreviousStep => return go(state, |from| Goto::Step { from, back: true }),
        Action::NextStep => return go(state, |from| Goto::Step { from, back: false }),
        Action::PreviousProblem => return go(state, |from| Goto::Problem { from, back: true }),
        Action::NextProblem => return go(state, |from| Goto::Problem { from, back: false }),
        Action::Mark => mark_line(state),
        Action::GoToMark => match state.log.view.mark {
            Some(line) => return go(state, |_| Goto::Line(line)),
            None => state.notice("no line is marked; m marks one"),
        },
        Action::Page => return path(state).map(|path| vec![Effect::Page(path)]).unwrap_or_default(),
        Action::Edit => return edit(state),
        Action::Save => return save(state),
        Action::Shell => return shell(state),
        Action::NextBuild => return other_build(state, true),
        Action::PreviousBuild => return other_build(state, false),
    }
    Vec::new()
}

/// Where the log is; says so if there is none.
fn path(state: &mut State) -> Option<std::path::PathBuf> {
    let path = state.log.shown.as_ref().and_then(|shown| shown.path.clone());
    if path.is_none() {
        state.notice("there is no log yet");
    }
    path
}

/// No longer follows the end: what is read stays where it is.
fn pause(state: &mut State) {
    let view = &mut state.log.view;
    if view.follow {
        view.follow = false;
        view.read = state.log.seen.lines;
    }
}

fn follow(state: &mut State) -> Vec<Effect> {
    state.log.view.follow = true;
    state.log.view.goto = None;
    looking::fit(state);
    looking::ask(state)
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    let page = looking::page(state);
    let width = usize::from(layout::log_rows(state).width);
    match motion {
        Motion::Left => {
            let left = &mut state.log.view.left;
            *left = left.saturating_sub((width / 3).max(1));
            return Vec::new();
        }
        Motion::Right => {
            right(state, width);
            return Vec::new();
        }
        Motion::Last => return follow(state),
        Motion::Down | Motion::HalfDown | Motion::PageDown if state.log.view.follow => return Vec::new(),
        _ => pause(state),
    }
    let (len, view) = (state.log.seen.len, &mut state.log.view);
    view.goto = None;
    view.cursor = motion.apply(view.cursor, len, page);
    if matches!(motion, Motion::PageUp | Motion::PageDown | Motion::HalfUp | Motion::HalfDown) {
        // The view moves along, so that a page is one even where the row one is at was not at its edge.
        view.top = motion.apply(view.top, len, page).min(view.cursor);
    }
    looking::fit(state);
    looking::ask(state)
}

/// Further to the right, as far as there is something.
fn right(state: &mut State, width: usize) {
    let longest = state.log.seen.rows.iter().map(|row| {
        let text: usize =
            row.pieces.iter().map(|piece| unicode_width::UnicodeWidthStr::width(piece.text.as_str())).sum();
        text + mark(row.source).len()
    });
    let longest = longest.max().unwrap_or(0);
    let room = width.saturating_sub(visual::head_width(state)).max(1);
    let view = &mut state.log.view;
    let left = view.left + (width / 3).max(1);
    view.left = left.min(longest.saturating_sub(room)).max(view.left);
}

fn go(state: &mut State, goto: impl Fn(usize) -> Goto) -> Vec<Effect> {
    if path(state).is_none() {
        return Vec::new();
    }
    let goto = goto(state.log.view.cursor);
    state.log.view.goto = Some(goto);
    looking::ask(state)
}

/// One has got to where one wanted to go.
pub(super) fn arrive(state: &mut State, row: usize) {
    pause(state);
    let page = looking::page(state);
    let view = &mut state.log.view;
    view.cursor = row;
    // However many rows there were to be seen meanwhile.
    view.top = view.set_out.take().unwrap_or(view.top);
    // What is out of view comes into its upper part, so that what follows is seen, too.
    if row < view.top || row >= view.top + page {
        view.top = row.saturating_sub(page / 4);
    }
}

/// What to say where there is no such place.
pub(super) fn not_found(state: &State) -> String {
    match state.log.seen.look.goto {
        Some(Goto::Found { .. }) => {
            format!("`{}` is not in this log", state.log.view.find.as_deref().unwrap_or_default())
        }
        Some(Goto::Problem { .. }) => "no errors and no warnings".to_owned(),
        Some(Goto::Step { back: true, .. }) => "no step begins before this line".to_owned(),
        Some(Goto::Step { .. }) => "no step begins after this line".to_owned(),
        Some(Goto::StepAt(_)) => "that step has not begun".to_owned(),
        Some(Goto::Line(_)) | None => "no such line".to_owned(),
    }
}

pub(super) fn search(state: &mut State, query: &str) -> Vec<Effect> {
    if query.is_empty() {
        state.log.view.find = None;
        return looking::ask(state);
    }
    state.log.view.find = Some(query.to_owned());
    // From the line one is at, itself included.
    let from = state.log.view.cursor;
    go(state, |_| Goto::Found { from: from.wrapping_sub(1), back: false })
}

pub(super) fn found(state: &mut State, back: bool) -> Vec<Effect> {
    if state.log.view.find.is_none() {
        state.notice("nothing is searched for; / searches");
        return Vec::new();
    }
    go(state, |from| Goto::Found { from, back })
}

fn mark_line(state: &mut State) {
    let Some(line) = looking::line(state) else { return };
    state.log.view.mark = Some(line);
    state.notice(format!("line {} is marked; ' comes back to it", line + 1));
}

pub(super) fn to_step(state: &mut State) -> Vec<Effect> {
    let Some(row) = state.step_rows().into_iter().nth(state.log.steps.selected) else { return Vec::new() };
    state.give(Pane::Log);
    to_step_at(state, row.number - 1)
}

/// Goes to where the step in this place begins.
pub(super) fn to_step_at(state: &mut State, step: usize) -> Vec<Effect> {
    go(state, |_| Goto::StepAt(step))
}

fn edit(state: &mut State) -> Vec<Effect> {
    let script = question(state).and_then(|question| question.scripts.first()).map(|script| script.path.clone());
    if script.is_none() {
        state.notice("the script of a step can be edited while its build asks what to do");
    }
    script.map(Effect::Edit).into_iter().collect()
}

fn shell(state: &mut State) -> Vec<Effect> {
    let waiting = question(state).filter(|question| question.choices.contains(&Choice::Shell));
    let waiting = waiting.map(|question| question.id);
    if waiting.is_none() {
        state.notice("a shell into the guest opens while its build asks what to do");
    }
    waiting.map(|question| Effect::Shell { question }).into_iter().collect()
}

/// The question of the build that is shown.
fn question(state: &State) -> Option<&crate::event::question::Question> {
    let build = state.shown_build()?;
    state.run.questions.iter().find(|question| question.build == build.name)
}

fn save(state: &mut State) -> Vec<Effect> {
    let Some(path) = path(state) else { return Vec::new() };
    let title = state.log.shown.as_ref().map_or("log", |shown| &*shown.title);
    let title: String = title.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    let now = state.now.to_zoned(state.look.zone.clone());
    let name = format!("{title}-{}.log", now.strftime("%Y%m%d-%H%M%S"));
    vec![work(Op::Save { path, filter: state.log.view.filtered().map(ToOwned::to_owned), name })]
}

fn other_build(state: &mut State, next: bool) -> Vec<Effect> {
    let (count, at) = (state.builds.rows.len(), state.builds.place.selected);
    let row = if next { at + 1 } else { at.wrapping_sub(1) };
    if state.log.earlier || row >= count {
        return Vec::new();
    }
    choose(state, row)
}

/// Copies the line one is at.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let seen = &state.log.seen;
    let row = state.log.view.cursor.checked_sub(seen.first).and_then(|place| seen.rows.get(place));
    let Some(text) = row.map(|row| format!("{}{}", mark(row.source), row.text())) else { return Vec::new() };
    state.notice("line copied");
    vec![Effect::Copy(text)]
}

/// Copies all lines in view, whole.
pub(super) fn copy_all(state: &mut State) -> Vec<Effect> {
    let visuals = visual::visuals(state, layout::log_rows(state));
    let (Some(first), Some(last)) = (visuals.first(), visuals.last()) else { return Vec::new() };
    let seen = &state.log.seen;
    let rows = &seen.rows[first.row - seen.first..=last.row - seen.first];
    let lines: Vec<String> = rows.iter().map(|row| format!("{}{}", mark(row.source), row.text())).collect();
    state.notice(format!("{} lines copied", lines.len()));
    vec![Effect::Copy(lines.join("\n"))]
}
