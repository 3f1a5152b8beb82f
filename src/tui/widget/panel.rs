//! A pane with a line around it, a title, and something at the right of the title.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

use super::text::{Line, put};
use crate::tui::layout::{Room, room};
use crate::tui::state::Look;
use crate::tui::state::mouse::Pane;
use crate::tui::theme::Role;

/// A pane to be drawn.
#[derive(Clone, Debug)]
pub(in crate::tui) struct Panel<'a> {
    title: &'a str,
    right: Line,
    active: bool,
    over: bool,
    sides: bool,
}

impl<'a> Panel<'a> {
    /// A pane of this title.
    pub(in crate::tui) fn new(title: &'a str) -> Self {
        Self { title, right: Line::default(), active: false, over: false, sides: true }
    }

    /// Something at the right of the title.
    pub(in crate::tui) fn right(mut self, text: &str, style: Style) -> Self {
        self.right.push(text, style);
        self
    }

    /// Whether the pane has the keys.
    pub(in crate::tui) fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }

    /// It lies over others: what is below it is cleared, and it always has lines around it.
    pub(in crate::tui) fn over(mut self) -> Self {
        self.over = true;
        self
    }

    /// Without lines at its sides, so that what is selected with the terminal's own means is text alone.
    pub(in crate::tui) fn open(mut self) -> Self {
        self.sides = false;
        self
    }

    /// Draws it and returns what is inside. Where there is little room, a title line takes the place of lines around.
    pub(in crate::tui) fn draw(&self, area: Rect, look: &Look, buffer: &mut Buffer) -> Rect {
        let inside = self.draw_around(area, look, buffer);
        look.panes.add(Pane { inside, over: self.over });
        inside
    }

    fn draw_around(&self, area: Rect, look: &Look, buffer: &mut Buffer) -> Rect {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return area;
        }
        let compact = room(buffer.area.as_size()) <= Room::Compact;
        if self.over {
            clear(area, buffer);
        }
        if (compact && !self.over) || area.height < 3 || area.width < 4 {
            return self.draw_compact(area, look, buffer);
        }
        let symbols = look.symbols;
        let style = look.theme.style(Role::Border);
        let [top_left, top_right, bottom_left, bottom_right] = symbols.corners;
        let line = |buffer: &mut Buffer, y, left: &str, right: &str| {
            buffer.set_string(area.x, y, left, style);
            for x in area.x + 1..area.right() - 1 {
                buffer.set_string(x, y, symbols.horizontal, style);
            }
            buffer.set_string(area.right() - 1, y, right, style);
        };
        line(buffer, area.y, top_left, top_right);
        line(buffer, area.bottom() - 1, bottom_left, bottom_right);
        if self.sides {
            for y in area.y + 1..area.bottom() - 1 {
                buffer.set_string(area.x, y, symbols.vertical, style);
                buffer.set_string(area.right() - 1, y, symbols.vertical, style);
            }
        }
        self.draw_title(Rect { x: area.x + 1, width: area.width - 2, height: 1, ..area }, look, buffer);
        let sides = u16::from(self.sides);
        Rect::new(area.x + sides, area.y + 1, area.width - 2 * sides, area.height - 2)
    }

    fn draw_compact(&self, area: Rect, look: &Look, buffer: &mut Buffer) -> Rect {
        let title = Rect { height: 1, ..area };
        let reverse = look.theme.style(Role::Selected);
        buffer.set_style(title, reverse);
        let mut line = Line::of(&format!(" {}", self.title), Style::new());
        let right = self.right.width() + 1;
        let room = usize::from(area.width).saturating_sub(line.width() + right);
        line.push(&" ".repeat(room), Style::new());
        put(buffer, title, &line.patched(reverse), look.symbols);
        let width = u16::try_from(right).unwrap_or(u16::MAX).min(area.width);
        let place = Rect { x: area.right() - width, width, ..title };
        put(buffer, place, &self.right.clone().patched(reverse), look.symbols);
        Rect { y: area.y + 1, height: area.height - 1, ..area }
    }

    fn draw_title(&self, area: Rect, look: &Look, buffer: &mut Buffer) {
        let role = if self.active { Role::ActiveTitle } else { Role::Title };
        let right = self.right.width();
        let room = usize::from(area.width);
        // What is at the right gives way to the title.
        let with_right = right > 0 && self.title.width() + right + 8 <= room;
        if !self.title.is_empty() {
            let mut line = Line::of(" ", Style::new());
            line.push(self.title, look.theme.style(role).remove_modifier(Modifier::DIM));
            line.push(" ", Style::new());
            let width = room.saturating_sub(2).min(if with_right { room - right - 4 } else { room });
            let place = Rect { x: area.x + 1, width: u16::try_from(width).unwrap_or(0), ..area };
            put(buffer, place, &line, look.symbols);
        }
        if with_right {
            let width = u16::try_from(right + 2).unwrap_or(u16::MAX).min(area.width);
            let place = Rect { x: area.right() - width - 1, width, ..area };
            let mut line = Line::of(" ", Style::new());
            line.append(self.right.clone());
            line.push(" ", Style::new());
            put(buffer, place, &line, look.symbols);
        }
    }
}

fn clear(area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        if let Some(cell) = buffer.cell_mut(position) {
            cell.reset();
        }
    }
}
