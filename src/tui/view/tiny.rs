//! A terminal too small for a screen: what waits or was said, how builds stand, the last line of the log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::keymap::{Command, global};
use crate::tui::state::State;
use crate::tui::state::run::Condition;
use crate::tui::symbols;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text::{Line, put};

pub(super) fn draw(state: &State, buffer: &mut Buffer) {
    let area = Rect::new(0, 0, state.size.width, state.size.height);
    let Some(below) = area.height.checked_sub(1) else { return };
    put(buffer, Rect { y: below, height: 1, ..area }, &foot(state), state.look.symbols);
    let mut lines = builds(state);
    // What still goes on matters most where not all have room.
    lines.sort_by_key(|(condition, _)| !condition.is_open());
    // With one line for both, it is how builds stand that matters.
    let last = last_line(state).filter(|_| below >= 2);
    let above = below - u16::from(last.is_some());
    for (row, (_, line)) in (Rect { height: above, ..area }).rows().zip(lines) {
        put(buffer, row, &line, state.look.symbols);
    }
    if let Some(last) = last {
        put(buffer, Rect { y: above, height: 1, ..area }, &last, state.look.symbols);
    }
}

/// The last line of the log that is shown, where its end was read.
fn last_line(state: &State) -> Option<Line> {
    let seen = &state.log.seen;
    let is_end = seen.first + seen.rows.len() >= seen.len;
    let row = seen.rows.last().filter(|_| is_end)?;
    let mut line = Line::of(" | ", state.look.theme.style(Role::Dim));
    for piece in &row.pieces {
        line.push(&piece.text, Style::new());
    }
    Some(line)
}

/// What was said or is asked, else the keys.
fn foot(state: &State) -> Line {
    let theme = state.look.theme;
    let keys = |action| state.keymap.shown(Command::Global(action));
    if let Some(notice) = &state.notice {
        return Line::of(&notice.text, if notice.error { theme.style(Role::Bad) } else { Style::new() });
    }
    let mut line = Line::default();
    if !state.run.questions.is_empty() {
        line.push(&format!("{}?  ", state.run.questions.len()), theme.style(Role::Asking));
    }
    for (action, hint) in
        [(global::Action::Answer, "answer"), (global::Action::Stream, "stream"), (global::Action::Back, "quit")]
    {
        if action != global::Action::Answer || !state.run.questions.is_empty() {
            line.push(&format!("{} ", keys(action)), theme.style(Role::Key));
            line.push(&format!("{hint}  "), Style::new());
        }
    }
    line
}

fn builds(state: &State) -> Vec<(Condition, Line)> {
    let line = |build: &crate::tui::state::run::Build| {
        let style = state.look.theme.style(Theme::condition(build.condition));
        let mut line = Line::of(symbols::condition(build.condition), style);
        line.push(&format!(" {} ", build.name), Style::new());
        line.push(build.condition.as_str(), style);
        let step = build.step().map_or("", |step| &*step.name);
        line.push(&format!(" {step}"), Style::new());
        (build.condition, line)
    };
    state.run.builds.iter().map(line).collect()
}
