//! What every screen has: the line at the top, the hints, the line of status.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::keymap::{self, Command, Scope, global};
use crate::tui::layout::Frame;
use crate::tui::state::overlay::BarKind;
use crate::tui::state::{Screen, State};
use crate::tui::theme::Role;
use crate::tui::widget::clock;
use crate::tui::widget::text::{Line, put};

/// Columns from which the template is named at the top.
const NAMED: u16 = 100;

/// What it is about, and the screens.
pub(super) fn top(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let mut tabs = Line::default();
    for screen in Screen::ALL {
        let key = state.keymap.shown(Command::Global(global::Action::Show(screen)));
        let name = screen.as_str();
        match (screen == state.screen, area.width) {
            (true, _) => tabs.push(&format!("[{key} {name}]"), theme.style(Role::ActiveTitle)),
            (false, 100..) => tabs.push(&format!(" {key} {name} "), Style::new()),
            (false, 80..) => tabs.push(&format!(" {key} {name}"), Style::new()),
            // Where there is little room, the numbers alone.
            _ => tabs.push(&format!(" {key}"), Style::new()),
        }
    }
    tabs.push(" ", Style::new());
    let waiting = state.run.questions.len();
    if waiting > 0 {
        tabs.push(&format!("({waiting}?) "), theme.style(Role::Asking));
    }
    let right = u16::try_from(tabs.width()).unwrap_or(u16::MAX).min(area.width);
    let left = Rect { width: area.width - right, ..area };
    let mut title = Line::default();
    title.push(" larder  ", theme.style(Role::Title));
    if let Some(template) = &state.template {
        let name = template.display().to_string();
        // Where it does not fit it is in the line of status.
        if area.width >= NAMED {
            title.push(&name, Style::new());
        }
    }
    put(buffer, left, &title, state.look.symbols);
    put(buffer, Rect { x: area.x + left.width, width: right, ..area }, &tabs, state.look.symbols);
}

/// The keys that matter here, or the line in which a search is typed.
pub(super) fn hints(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let mut line = Line::default();
    if let Some(bar) = &state.bar {
        let mark = if bar.kind == BarKind::Find { " /" } else { " &" };
        line.push(mark, theme.style(Role::Key));
        line.push(bar.input.value(), Style::new());
        put(buffer, area, &line, state.look.symbols);
        return;
    }
    let scopes = keymap::scopes(state.focus());
    let global_last = scopes.into_iter().filter(|scope| matches!(scope, Scope::Screen(_) | Scope::Global));
    let hinted = |binding: &keymap::Binding| Some((state.keymap.shown(binding.command), binding.hint?));
    let hints = match state.screen {
        Screen::Templates => super::templates::hints(state),
        _ => global_last.flat_map(keymap::table).filter_map(hinted).collect(),
    };
    for (keys, hint) in hints {
        if keys.is_empty() {
            continue;
        }
        line.push(" ", Style::new());
        line.push(&keys, theme.style(Role::Key));
        line.push(&format!(" {hint} "), Style::new());
    }
    put(buffer, area, &line, state.look.symbols);
}

/// What has just happened, or how the run is.
pub(super) fn status(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let mut line = Line::default();
    if let Some(notice) = &state.notice {
        let style = if notice.error { theme.style(Role::Bad) } else { Style::new() };
        line.push(&format!(" {}", notice.text), style);
    } else if !state.pending.is_empty() {
        line.push(&format!(" {} ...", keymap::key::show(&state.pending)), Style::new());
    } else {
        line.push(&format!(" {}{}", turning(state), run(state)), theme.style(Role::Dim));
    }
    put(buffer, area, &line, state.look.symbols);
}

/// A bar that turns once a second while builds run and say nothing: that nothing is seen to happen is so, and the UI is alive.
fn turning(state: &State) -> &'static str {
    const QUIET: i64 = 3;
    let now = state.now.as_second();
    let quiet = state.run.is_live() && now - state.heard.as_second() >= QUIET;
    if !quiet || !state.look.animation {
        return "";
    }
    ["| ", "/ ", "- ", "\\ "][usize::try_from(now.rem_euclid(4)).unwrap_or(0)]
}

fn run(state: &State) -> String {
    let run = &state.run;
    let Some(started) = run.started else { return "nothing is being built".to_owned() };
    let seconds = run.seconds.unwrap_or_else(|| (state.now - started).total(jiff::Unit::Second).unwrap_or(0.0));
    let builds = run.builds.len();
    let plural = if builds == 1 { "" } else { "s" };
    let mut text = format!("{builds} build{plural}  {}", clock(seconds));
    if state.slots.limit > 0 && run.exit.is_none() {
        text = format!("{text}  {}/{} places taken", state.slots.taken, state.slots.limit);
    }
    if run.net == "offline" {
        text.push_str("  offline");
    }
    if let Some(exit) = run.exit {
        text.push_str(&format!("  ended with exit code {exit}"));
    }
    match &state.template {
        Some(template) if state.size.width < NAMED => format!("{text}  {}", template.display()),
        _ => text,
    }
}

/// Where the cursor is, where text is typed.
pub(super) fn cursor(state: &State, parts: &Frame) -> Option<(u16, u16)> {
    if let (Some(bar), true) = (&state.bar, state.overlays.is_empty()) {
        let column = 2 + u16::try_from(bar.input.visual_cursor()).ok()?;
        return Some((column.min(parts.hints.right().saturating_sub(1)), parts.hints.y));
    }
    if state.overlays.is_empty() && state.screen == Screen::Templates {
        return super::templates::cursor(state);
    }
    super::overlay::cursor(state).map(Into::into)
}
