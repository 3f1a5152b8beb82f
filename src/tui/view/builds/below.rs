//! What is below builds and log: the proxy, and what is to be looked at.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::keymap::{Command, global};
use crate::tui::layout::proxy::dashboard;
use crate::tui::layout::{Room, room, within_panel};
use crate::tui::state::State;
use crate::tui::state::builds::Pane;
use crate::tui::state::run::{Message, Severity};
use crate::tui::theme::Role;
use crate::tui::view::proxy::{self, totals};
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};

/// The proxy: the last requests where there is room, sums and the last one where there is little.
pub(super) fn proxy(state: &State, area: Rect, buffer: &mut Buffer) {
    if room(state.size) == Room::Dashboard {
        return flows(state, area, buffer);
    }
    if area.height < 3 {
        let mut line = Line::of("Proxy ", state.look.theme.style(Role::Title));
        line.append(totals::sums(state));
        put(buffer, area, &line, state.look.symbols);
        return;
    }
    let net = if state.run.net == "offline" { "offline" } else { "" };
    Panel::new("Proxy").right(net, Style::new()).draw(area, &state.look, buffer);
    let inner = within_panel(area, state.size);
    let mut sums = totals::sums(state);
    let room = usize::from(inner.width).saturating_sub(sums.width() + 3);
    if room >= 8 {
        let bytes: Vec<u64> = state.proxy.rates.bytes.iter().copied().collect();
        let spark = crate::tui::widget::gauge::sparkline(&bytes, room, state.look.symbols);
        sums.push(&format!("  {spark}"), state.look.theme.style(Role::Active));
    }
    let rows = inner.rows().zip([sums, last(state, usize::from(inner.width))]);
    for (row, line) in rows {
        put(buffer, row, &line, state.look.symbols);
    }
}

fn flows(state: &State, area: Rect, buffer: &mut Buffer) {
    let active = state.pane() == Pane::Proxy;
    proxy::list(state, dashboard(area), "Proxy", active, buffer);
    let inner = within_panel(area, state.size);
    let sums = Rect { y: area.bottom().saturating_sub(2), height: area.height.min(2), ..inner };
    let lines = [totals::sums(state), totals::rates(state, usize::from(inner.width))];
    for (row, line) in sums.rows().zip(lines) {
        put(buffer, row, &line, state.look.symbols);
    }
}

/// The last request.
fn last(state: &State, width: usize) -> Line {
    let theme = state.look.theme;
    let Some(flow) = state.run.flows.back() else {
        return Line::of(" nothing has been asked for yet", theme.style(Role::Dim));
    };
    let mut line = Line::of(" last  ", theme.style(Role::Dim));
    line.push(flow.outcome.as_str(), theme.style(proxy::role(flow.outcome)));
    let tail = format!("  {}  {} ", crate::output::text::bytes(flow.bytes_sent), proxy::took(flow.duration));
    let room = width.saturating_sub(line.width() + flow.method.len() + tail.len() + 4);
    let url = crate::tui::widget::url::shortened(&flow.url, room, state.look.symbols);
    line.push(&format!("  {}  {url}{tail}", flow.method), Style::new());
    line
}

/// Questions, and the last messages.
pub(super) fn messages(state: &State, area: Rect, buffer: &mut Buffer) {
    let questions = state.run.questions.len();
    let right = match questions {
        0 => String::new(),
        1 => "1 question".to_owned(),
        _ => format!("{questions} questions"),
    };
    let active = state.pane() == Pane::Messages;
    let panel = Panel::new("Messages").active(active).right(&right, state.look.theme.style(Role::Asking));
    let _ = panel.draw(area, &state.look, buffer);
    let inner = within_panel(area, state.size);
    let mut rows = inner.rows();
    if let Some(question) = state.run.questions.first()
        && let Some(row) = rows.next()
    {
        put(buffer, row, &asked(state, question), state.look.symbols);
    }
    let place = state.message_place();
    let shown = state.run.messages.iter().rev().enumerate().skip(place.top);
    for (row, (at, message)) in rows.zip(shown) {
        let line = told(state, message, inner.width >= 100);
        if active && at == place.selected {
            let style = state.look.theme.style(Role::Selected);
            buffer.set_style(row, style);
            put(buffer, row, &line.patched(style), state.look.symbols);
        } else {
            put(buffer, row, &line, state.look.symbols);
        }
    }
}

fn asked(state: &State, question: &crate::event::question::Question) -> Line {
    use crate::event::question::Reason;
    let theme = state.look.theme;
    let key = state.keymap.shown(Command::Global(global::Action::Answer));
    let mut line = Line::of(" ? ", theme.style(Role::Asking));
    line.push(&key, theme.style(Role::Key));
    line.push(" answer  ", Style::new());
    let text = match &question.reason {
        Reason::Failed { failure, .. } => format!("{}: {}: {}", question.build, question.step, failure.message),
        Reason::Pause { note } => format!("{}: {note}", question.build),
    };
    line.push(&text, theme.style(Role::Asking));
    line
}

fn told(state: &State, message: &Message, wide: bool) -> Line {
    let theme = state.look.theme;
    let (symbol, word, role) = match message.severity {
        Severity::Info => ("+", "info", Role::Good),
        Severity::Warning => ("!", "warning", Role::Warning),
        Severity::Error => ("x", "error", Role::Bad),
    };
    let mut line = Line::default();
    if wide {
        let time = message.time.to_zoned(state.look.zone.clone()).strftime("%H:%M:%S").to_string();
        line.push(&format!(" {time} "), theme.style(Role::Dim));
    }
    line.push(&format!(" {symbol} {word} "), theme.style(role));
    if let Some(build) = &message.build {
        line.push(&format!("{build}: "), theme.style(Role::Title));
    }
    line.push(&message.text, Style::new());
    line
}
