//! A terminal too small for a screen: a line of status and what is under way.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::state::State;
use crate::tui::symbols;
use crate::tui::widget::text::{Line, put};

pub(super) fn draw(state: &State, buffer: &mut Buffer) {
    let area = Rect::new(0, 0, state.size.width, state.size.height);
    let mut lines = Vec::new();
    for build in &state.run.builds {
        let step = build.step().map_or("", |step| &*step.name);
        lines.push(format!(
            "{} {} {} {step}",
            symbols::condition(build.condition),
            build.name,
            build.condition.as_str()
        ));
    }
    lines.push("S stream  q quit".to_owned());
    for (row, text) in area.rows().zip(lines) {
        let mut line = Line::default();
        line.push(&text, Style::new());
        put(buffer, row, &line, state.look.symbols);
    }
}
