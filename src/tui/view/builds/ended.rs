//! What came of a build: why it failed or what it made, what took how long, where its log is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::output::text::bytes;
use crate::tui::state::State;
use crate::tui::state::run::{Build, Step};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::clock;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};
use crate::tui::widget::wrap::wrapped;

/// Columns of the names of what is told.
const LABEL: usize = 10;

pub(in crate::tui::view) fn draw(state: &State, build: &Build, area: Rect, buffer: &mut Buffer) {
    let took = build.seconds.map(|seconds| format!(" after {}", clock(seconds))).unwrap_or_default();
    let right = format!("{}{took}", build.condition.as_str());
    let style = state.look.theme.style(Theme::condition(build.condition));
    let inner = Panel::new(&build.name).right(&right, style).draw(area, &state.look, buffer);
    let width = usize::from(inner.width).saturating_sub(LABEL + 1);
    let mut rows = inner.rows();
    for (label, text, style) in told(state, build) {
        for (number, piece) in wrapped(&text, width).into_iter().enumerate() {
            let Some(row) = rows.next() else { return };
            let label = if number == 0 { label } else { "" };
            let mut line = Line::of(&format!(" {label:<LABEL$}"), state.look.theme.style(Role::Dim));
            line.push(&piece, style);
            put(buffer, row, &line, state.look.symbols);
        }
    }
}

type Told = (&'static str, String, Style);

fn told(state: &State, build: &Build) -> Vec<Told> {
    let theme = state.look.theme;
    let plain = |label, text: String| (label, text, Style::new());
    let mut lines = Vec::new();
    if let Some(failure) = &build.failure {
        lines.push(("why", failure.message.clone(), theme.style(Role::Bad)));
        lines.extend(failure.hints.iter().map(|hint| plain("next", hint.clone())));
    }
    for artifact in &build.artifacts {
        lines.push(("made", artifact.description.clone(), theme.style(Role::Good)));
        let files: Vec<String> = artifact.files.iter().map(|file| file.display().to_string()).collect();
        if !files.is_empty() {
            lines.push(plain("", files.join("  ")));
        }
    }
    lines.extend(build.marks.iter().map(|mark| ("marked", mark.to_string(), theme.style(Role::Warning))));
    lines.extend(build.left.iter().map(|left| ("left", left.clone(), theme.style(Role::Warning))));
    if let Some(log) = &build.log {
        lines.push(plain("log", log.display().to_string()));
    }
    let mut steps: Vec<&Step> = build.steps.iter().collect();
    steps.sort_by(|a, b| b.elapsed(state.now).total_cmp(&a.elapsed(state.now)));
    for (place, step) in steps.into_iter().enumerate() {
        lines.push(plain(if place == 0 { "time" } else { "" }, cost(state, step)));
    }
    lines
}

/// A step with its time, and what it downloaded.
fn cost(state: &State, step: &Step) -> String {
    let text = format!("{:>7}  {}", clock(step.elapsed(state.now)), step.name);
    let (requests, hits) = step.requests;
    let Some(percent) = (hits * 100).checked_div(requests) else { return text };
    let (cached, fetched) = (bytes(step.bytes.0), bytes(step.bytes.1));
    format!("{text}  {requests} requests, hit {percent}%, {cached} from the cache, {fetched} fetched")
}
