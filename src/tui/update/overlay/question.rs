//! A build's question.

use ratatui::crossterm::event::KeyCode;

use crate::event::question::{Answer, AnsweredBy, Choice, Question, Reason};
use crate::event::{Event, EventKind};
use crate::tui::effect::{Effect, Steer};
use crate::tui::keymap::motion::Motion;
use crate::tui::keymap::{Command, KeyPress, Meaning, global as keys};
use crate::tui::state::State;
use crate::tui::state::list::Place;
use crate::tui::state::overlay::{Overlay, QuestionView};
use crate::tui::update::global;

/// Rows of a list of steps or scripts within a question.
const PAGE: usize = 8;

/// The overlay for a question.
pub(in crate::tui::update) fn opened(id: u64) -> Overlay {
    Overlay::Question(QuestionView { id, ..QuestionView::default() })
}

/// Something happened in the run. A question that arrives is to be heard, and is a line to read; it opens when the
/// person asks for it, so that no key meant for something else answers it. One that is no longer open goes.
pub(in crate::tui::update) fn happened(state: &mut State, event: &Event) -> Vec<Effect> {
    match &event.kind {
        EventKind::Question { question } => {
            let keys = state.keymap.shown(Command::Global(keys::Action::Answer));
            state.notice(format!("{} asks: {keys} answers", question.build));
            return vec![Effect::Bell];
        }
        EventKind::Answered { id, answer, by } => {
            // That it asks is no longer so.
            state.notice.take_if(|notice| notice.text.contains(" asks: "));
            let shown = |overlay: &Overlay| matches!(overlay, Overlay::Question(view) if view.id == *id);
            if state.overlays.iter().any(shown) {
                let what = answer.choice().describe();
                state.notice(match by {
                    AnsweredBy::Deadline => format!("Nobody answered in time: {what}"),
                    AnsweredBy::Cancelled => "The build was cancelled".to_owned(),
                    _ => format!("Answered: {what}"),
                });
            }
        }
        _ => {}
    }
    let open: Vec<u64> = state.run.questions.iter().map(|question| question.id).collect();
    state.overlays.retain(|overlay| !matches!(overlay, Overlay::Question(view) if !open.contains(&view.id)));
    Vec::new()
}

fn view(state: &mut State) -> Option<&mut QuestionView> {
    match state.overlays.last_mut() {
        Some(Overlay::Question(view)) => Some(view),
        _ => None,
    }
}

pub(super) fn pressed(state: &mut State, press: KeyPress) -> Vec<Effect> {
    let Some(view) = view(state).cloned() else { return Vec::new() };
    let Some(question) = state.run.questions.iter().find(|question| question.id == view.id).cloned() else {
        state.overlays.pop();
        return Vec::new();
    };
    if press.ctrl || press.alt {
        return Vec::new();
    }
    match view.choosing {
        Some((what, place)) => choose(state, &question, what, place, press),
        None => answer(state, &question, press),
    }
}

fn answer(state: &mut State, question: &Question, press: KeyPress) -> Vec<Effect> {
    let key = match press.code {
        KeyCode::Char(key) => key,
        KeyCode::Esc => 'q',
        _ => return Vec::new(),
    };
    if let Some(choice) = question.choices.iter().copied().find(|choice| choice.key() == key) {
        return chosen(state, question, choice);
    }
    match key {
        'q' => {
            state.overlays.pop();
            Vec::new()
        }
        '[' => turn(state, question.id, false),
        ']' => turn(state, question.id, true),
        '=' => {
            let same = state.run.same_questions(question.id).len() > 1;
            if let Some(view) = view(state).filter(|_| same) {
                view.all = !view.all;
            }
            Vec::new()
        }
        'l' => {
            state.overlays.pop();
            global::show_log(state, &question.build)
        }
        'y' => vec![Effect::Copy(told(question))],
        _ => Vec::new(),
    }
}

/// Why it is asked, as text.
fn told(question: &Question) -> String {
    let head = format!("{} step {} \"{}\"", question.build, question.step_index + 1, question.step);
    match &question.reason {
        Reason::Failed { failure, lines, .. } => format!("{head} failed: {}\n{}", failure.message, lines.join("\n")),
        Reason::Pause { note, .. } => format!("{head}: {note}"),
    }
}

/// The question before, or the next.
fn turn(state: &mut State, id: u64, on: bool) -> Vec<Effect> {
    let questions = &state.run.questions;
    let count = questions.len();
    let at = questions.iter().position(|question| question.id == id).unwrap_or(0);
    let to = if on { (at + 1) % count } else { (at + count - 1) % count };
    let id = questions[to].id;
    if let Some(view) = view(state) {
        *view = QuestionView { id, ..QuestionView::default() };
    }
    Vec::new()
}

fn chosen(state: &mut State, question: &Question, choice: Choice) -> Vec<Effect> {
    let answer = match choice {
        Choice::Retry => Answer::Retry,
        Choice::Continue => Answer::Continue,
        Choice::Skip => Answer::Skip,
        Choice::Cleanup => Answer::Cleanup,
        Choice::Keep => Answer::Keep,
        Choice::Shell => return vec![Effect::Shell { question: question.id }],
        Choice::RetryFrom if question.resume_from.is_empty() => return Vec::new(),
        Choice::Edit if question.scripts.is_empty() => return Vec::new(),
        Choice::Edit if question.scripts.len() == 1 => return edit(state, question, 0),
        Choice::RetryFrom | Choice::Edit => {
            if let Some(view) = view(state) {
                view.choosing = Some((choice, Place::default()));
            }
            return Vec::new();
        }
    };
    give(state, question, answer)
}

/// Answers it, and those of the same failure if that was asked for.
fn give(state: &mut State, question: &Question, answer: Answer) -> Vec<Effect> {
    let all = view(state).is_some_and(|view| view.all);
    let ids = if all { state.run.same_questions(question.id) } else { vec![question.id] };
    state.overlays.pop();
    state.run.questions.retain(|open| !ids.contains(&open.id));
    let more = state.run.questions.len();
    if more > 0 {
        let keys = state.keymap.shown(Command::Global(keys::Action::Answer));
        let plural = if more == 1 { "question waits" } else { "questions wait" };
        state.notice(format!("{more} more {plural}: {keys} answers"));
    }
    ids.into_iter().map(|id| Effect::Control(Steer::Answer { id, answer })).collect()
}

fn edit(state: &mut State, question: &Question, script: usize) -> Vec<Effect> {
    let Some(script) = question.scripts.get(script) else { return Vec::new() };
    if let Some(view) = view(state) {
        view.choosing = None;
        view.edited = Some(script.name.clone());
    }
    vec![Effect::Edit(script.path.clone())]
}

/// A key in the list of steps or scripts.
fn choose(state: &mut State, question: &Question, what: Choice, mut place: Place, press: KeyPress) -> Vec<Effect> {
    let count = if what == Choice::Edit { question.scripts.len() } else { question.resume_from.len() };
    let row = match press.code {
        KeyCode::Esc | KeyCode::Char('q') => {
            if let Some(view) = view(state) {
                view.choosing = None;
            }
            return Vec::new();
        }
        KeyCode::Enter => Some(place.selected),
        KeyCode::Char(digit @ '1'..='9') => Some(digit as usize - '1' as usize),
        _ => None,
    };
    let Some(row) = row else {
        if let Some(motion) = motion(state, press) {
            place.go(motion, count, PAGE);
            if let Some(view) = view(state) {
                view.choosing = Some((what, place));
            }
        }
        return Vec::new();
    };
    if what == Choice::Edit {
        return edit(state, question, row);
    }
    match question.resume_from.get(row) {
        Some(point) => give(state, question, Answer::RetryFrom { step_index: point.step_index }),
        None => Vec::new(),
    }
}

fn motion(state: &State, press: KeyPress) -> Option<Motion> {
    match state.keymap.meaning(state.screen, &[press]) {
        Meaning::Command(Command::Move(motion)) => Some(motion),
        _ => None,
    }
}
