//! A build's question.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::draw_box;
use crate::event::question::{Choice, Question, Reason};
use crate::tui::layout;
use crate::tui::state::State;
use crate::tui::state::list::Place;
use crate::tui::state::overlay::QuestionView;
use crate::tui::theme::Role;
use crate::tui::widget::clock;
use crate::tui::widget::text::{Line, wrap};

/// Columns of the box, where there are so many.
const WIDTH: usize = 76;

/// Most lines of the step's output shown.
const LINES: usize = 6;

pub(super) fn draw(state: &State, view: &QuestionView, buffer: &mut Buffer) {
    let Some(at) = state.run.questions.iter().position(|question| question.id == view.id) else { return };
    let question = &state.run.questions[at];
    let area = layout::under_overlays(state.size);
    let width = usize::from(area.width.saturating_sub(4)).min(WIDTH).max(usize::from(area.width.min(20)));
    let title = format!("{}  step {} \"{}\"", question.build, question.step_index + 1, question.step);
    let count = state.run.questions.len();
    let right = if count > 1 { format!("{} of {count}", at + 1) } else { String::new() };
    let mut choices = match view.choosing {
        Some((what, place)) => sub_list(state, question, what, place),
        None => choices(state, question, view, width),
    };
    // The borders, two lines of what went wrong, and a line between.
    let room = usize::from(area.height).saturating_sub(2);
    if view.choosing.is_none() && choices.len() + 3 > room {
        choices = short(state, question, view, width);
    }
    let mut lines = cause(state, question, width, room.saturating_sub(choices.len()).max(1));
    lines.extend(choices);
    draw_box(state, &title, &right, width, &lines, buffer);
}

/// The choices where there is little room: a word each, several on a line.
fn short(state: &State, question: &Question, view: &QuestionView, width: usize) -> Vec<Line> {
    let mut words: Vec<(char, String)> =
        question.choices.iter().map(|choice| (choice.key(), word(*choice).to_owned())).collect();
    let same = state.run.same_questions(question.id).len();
    if same > 1 {
        words.push(('=', if view.all { format!("for all {same}") } else { format!("for one of {same}") }));
    }
    let mut lines = vec![Line::of(" ", Style::new())];
    for (key, word) in words {
        let mut piece = Line::of(&format!("{key} "), state.look.theme.style(Role::Key));
        piece.push(&format!("{word}  "), Style::new());
        let full = lines.last().is_some_and(|line| line.width() + piece.width() > width);
        if full {
            lines.push(Line::of(" ", Style::new()));
        }
        if let Some(line) = lines.last_mut() {
            line.append(piece);
        }
    }
    let left = match question.deadline {
        Some(deadline) => format!("in {}: {}  ", clock(left(state, deadline)), word(question.default)),
        None if state.run.suspended.contains(&question.id) => "time-out suspended  ".to_owned(),
        None => String::new(),
    };
    lines.push(text(&format!("{left}l log  Esc later")));
    lines
}

/// Seconds until a deadline.
fn left(state: &State, deadline: jiff::Timestamp) -> f64 {
    (deadline - state.now).total(jiff::Unit::Second).unwrap_or(0.0)
}

/// A choice in a word or two.
const fn word(choice: Choice) -> &'static str {
    match choice {
        Choice::Retry => "retry",
        Choice::RetryFrom => "retry from",
        Choice::Edit => "edit",
        Choice::Shell => "shell",
        Choice::Continue => "go on",
        Choice::Skip => "skip",
        Choice::Cleanup => "clean up",
        Choice::Keep => "keep",
    }
}

fn text(text: &str) -> Line {
    Line::of(&format!(" {text}"), Style::new())
}

/// Why it is asked, in at most `room` lines: what went wrong, then as many of the last lines as fit.
fn cause(state: &State, question: &Question, width: usize, room: usize) -> Vec<Line> {
    let inner = width.saturating_sub(2);
    let mut lines = Vec::new();
    match &question.reason {
        Reason::Pause { note, .. } => lines.extend(wrap(note, inner).iter().map(|line| text(line))),
        Reason::Failed { attempt, failure, lines: output } => {
            let bad = state.look.theme.style(Role::Bad);
            let message = format!("x failed: {}", failure.message);
            lines.extend(wrap(&message, inner).iter().map(|line| Line::of(&format!(" {line}"), bad)));
            if *attempt > 1 {
                lines.push(text(&format!("attempt {attempt}")));
            }
            let rest = room.saturating_sub(lines.len() + 1).min(LINES);
            let dim = state.look.theme.style(Role::Dim);
            let last = output.len().saturating_sub(rest);
            lines.extend(output[last..].iter().map(|line| Line::of(&format!(" | {line}"), dim)));
        }
    }
    lines.truncate(room.saturating_sub(1).max(1));
    lines.push(Line::default());
    lines
}

/// What may be chosen, and what happens if nobody does.
fn choices(state: &State, question: &Question, view: &QuestionView, width: usize) -> Vec<Line> {
    let theme = state.look.theme;
    let mut lines: Vec<Line> = Vec::new();
    for choice in &question.choices {
        let mut line = Line::of(&format!("   {}  ", choice.key()), theme.style(Role::Key));
        line.push(choice.describe(), Style::new());
        let suspended = state.run.suspended.contains(&question.id);
        if *choice == question.default && (question.deadline.is_some() || suspended) {
            line.push("  [at time-out]", theme.style(Role::Dim));
        }
        lines.push(line);
    }
    let same = state.run.same_questions(question.id).len();
    if same > 1 {
        let mark = if view.all { "[x]" } else { "[ ]" };
        let mut line = Line::of("   =  ", theme.style(Role::Key));
        line.push(&format!("{mark} the same answer for all {same} of this failure"), Style::new());
        lines.push(line);
    }
    lines.push(Line::default());
    if let Some(script) = &view.edited {
        lines.push(text(&format!("{script} was opened for editing; r runs it as it is now.")));
    }
    let told = match question.deadline {
        Some(deadline) => {
            let default = question.default.describe();
            Some(format!("Unanswered for {}: {default}. Other builds go on.", clock(left(state, deadline))))
        }
        None => state.run.suspended.contains(&question.id).then(|| {
            "The time-out is suspended while somebody is in the shell or the editor, and then begins anew.".to_owned()
        }),
    };
    lines.extend(told.iter().flat_map(|told| wrap(told, width.saturating_sub(2))).map(|line| text(&line)));
    let mut keys = " Choose a letter.  l the log  Esc later".to_owned();
    if state.run.questions.len() > 1 {
        keys.push_str("  [ ] the others");
    }
    lines.push(Line::of(&keys, Style::new()));
    lines
}

/// Earlier steps, or scripts, to choose from.
fn sub_list(state: &State, question: &Question, what: Choice, place: Place) -> Vec<Line> {
    let rows: Vec<String> = if what == Choice::Edit {
        question.scripts.iter().map(|script| script.name.clone()).collect()
    } else {
        let row = |point: &crate::event::question::ResumePoint| format!("step {} {}", point.step_index + 1, point.step);
        question.resume_from.iter().map(row).collect()
    };
    let head = if what == Choice::Edit {
        "Which script?"
    } else {
        "Again from which step? What it and later ones did is undone first."
    };
    let mut lines = vec![text(head)];
    for (number, row) in rows.iter().enumerate().skip(place.top).take(8) {
        let selected = number == place.selected;
        let key = if number < 9 { (number + 1).to_string() } else { " ".to_owned() };
        let mut line = Line::of(if selected { " > " } else { "   " }, Style::new());
        line.push(&format!("{key}  "), state.look.theme.style(Role::Key));
        line.push(row, if selected { state.look.theme.style(Role::Selected) } else { Style::new() });
        lines.push(line);
    }
    lines.push(Line::default());
    lines.push(text("Enter or a number chooses.  Esc back"));
    lines
}
