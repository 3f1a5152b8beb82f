//! A table of rows of which one may be selected. Columns that there is no room for are left out, the least important
//! first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text::{Line, put};
use crate::tui::state::Look;
use crate::tui::state::list::Place;
use crate::tui::theme::Role;

/// Room between columns.
const GAP: u16 = 1;

/// The mark before a row: selected or not.
const MARK: u16 = 1;

/// How wide a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) enum Width {
    /// So many columns of the terminal.
    Fixed(u16),
    /// What is left, but no less than this; several share it alike.
    Fill(u16),
}

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tui) struct Column {
    /// What is above it.
    pub(in crate::tui) title: &'static str,
    /// How wide it is.
    pub(in crate::tui) width: Width,
    /// Whether its text ends at its right end.
    pub(in crate::tui) right: bool,
    /// When it is left out: those with the highest number first, those with 0 never.
    pub(in crate::tui) rank: u8,
}

impl Column {
    /// A column of this width, with its text at the left, that is never left out.
    pub(in crate::tui) const fn new(title: &'static str, width: Width) -> Self {
        Self { title, width, right: false, rank: 0 }
    }

    /// With its text at the right.
    pub(in crate::tui) const fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Left out before those of a lower rank.
    pub(in crate::tui) const fn rank(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    const fn least(&self) -> u16 {
        match self.width {
            Width::Fixed(width) | Width::Fill(width) => width,
        }
    }
}

/// A table to be drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Table<'a> {
    columns: &'a [Column],
    header: bool,
    active: bool,
}

impl<'a> Table<'a> {
    /// A table with its titles above it.
    pub(in crate::tui) const fn new(columns: &'a [Column]) -> Self {
        Self { columns, header: true, active: true }
    }

    /// Without titles: a list.
    pub(in crate::tui) const fn bare(mut self) -> Self {
        self.header = false;
        self
    }

    /// Whether it has the keys: only then is the selected row in reverse; its mark is always there.
    pub(in crate::tui) const fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }

    /// How many rows are seen in an area.
    pub(in crate::tui) fn page(&self, area: Rect) -> usize {
        usize::from(area.height.saturating_sub(u16::from(self.header)))
    }

    /// The row of `count` at a line of the terminal, for the mouse.
    pub(in crate::tui) fn row_at(&self, area: Rect, y: u16, mut place: Place, count: usize) -> Option<usize> {
        place.fit(count, self.page(area));
        let top = area.y + u16::from(self.header);
        (y >= top && y < area.bottom()).then(|| place.top + usize::from(y - top)).filter(|row| *row < count)
    }

    /// Columns of the terminal that the column of this title has; none where it is left out.
    pub(in crate::tui) fn room_for(&self, area: Rect, title: &str) -> usize {
        let shown = spans(self.columns, area.width);
        let found = self.columns.iter().zip(shown).find(|(column, _)| column.title == title);
        found.and_then(|(_, span)| span).map_or(0, |(_, width)| usize::from(width))
    }

    /// Draws the rows that are seen of `count`; `cells` makes a row, with a cell for every column.
    pub(in crate::tui) fn draw(
        &self,
        area: Rect,
        mut place: Place,
        count: usize,
        look: &Look,
        buffer: &mut Buffer,
        cells: impl Fn(usize) -> Vec<Line>,
    ) {
        let area = area.intersection(buffer.area);
        let spans = spans(self.columns, area.width);
        let mut lines = area.rows();
        if self.header
            && let Some(line) = lines.next()
        {
            let title = |column: &Column| Line::of(column.title, look.theme.style(Role::Dim));
            self.row(line, &spans, &self.columns.iter().map(title).collect::<Vec<_>>(), look, buffer);
        }
        place.fit(count, self.page(area));
        for (line, row) in lines.zip(place.top..count) {
            self.row(line, &spans, &cells(row), look, buffer);
            if row == place.selected {
                buffer.set_stringn(line.x, line.y, ">", usize::from(line.width), ratatui::style::Style::new());
                if self.active {
                    buffer.set_style(line, look.theme.style(Role::Selected));
                }
            }
        }
    }

    fn row(&self, line: Rect, spans: &[Option<(u16, u16)>], cells: &[Line], look: &Look, buffer: &mut Buffer) {
        for ((column, span), cell) in self.columns.iter().zip(spans).zip(cells) {
            let Some((offset, width)) = *span else { continue };
            let have = u16::try_from(cell.width()).unwrap_or(u16::MAX);
            let indent = if column.right { width.saturating_sub(have) } else { 0 };
            let place = Rect { x: line.x + offset + indent, width: width - indent, ..line };
            put(buffer, place.intersection(line), cell, look.symbols);
        }
    }
}

/// Where each column is within a line of this width: offset and width; none for what there is no room for.
fn spans(columns: &[Column], width: u16) -> Vec<Option<(u16, u16)>> {
    let room = u32::from(width.saturating_sub(MARK));
    let mut shown: Vec<bool> = vec![true; columns.len()];
    let need = |shown: &[bool]| -> u32 {
        let widths = columns.iter().zip(shown).filter(|(_, shown)| **shown);
        widths.map(|(column, _)| u32::from(column.least() + GAP)).sum::<u32>().saturating_sub(u32::from(GAP))
    };
    while need(&shown) > room {
        let ranked = columns.iter().enumerate().filter(|(place, column)| shown[*place] && column.rank > 0);
        // Of two of one rank the one further to the right goes first.
        let Some((last, _)) = ranked.max_by_key(|(place, column)| (column.rank, *place)) else { break };
        shown[last] = false;
    }
    // What went for the sake of a wide one may fit after all.
    let mut left_out: Vec<usize> = (0..columns.len()).filter(|place| !shown[*place]).collect();
    left_out.sort_by_key(|place| columns[*place].rank);
    for place in left_out {
        shown[place] = true;
        shown[place] = need(&shown) <= room;
    }
    let is_fill = |column: &Column| matches!(column.width, Width::Fill(_));
    let fills = columns.iter().zip(&shown).filter(|(column, shown)| **shown && is_fill(column)).count();
    let mut spare = u16::try_from(room.saturating_sub(need(&shown))).unwrap_or(u16::MAX);
    let mut fills = u16::try_from(fills).unwrap_or(u16::MAX);
    let mut offset = MARK;
    let span = |(column, shown): (&Column, &bool)| {
        if !*shown {
            return None;
        }
        let mut width = column.least();
        if is_fill(column) {
            let part = spare / fills;
            (width, spare, fills) = (width + part, spare - part, fills - 1);
        }
        let span = (offset, width);
        offset = offset.saturating_add(width + GAP);
        Some(span)
    };
    columns.iter().zip(&shown).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::state::Look;
    use ratatui::style::{Modifier, Style};

    const COLUMNS: &[Column] = &[
        Column::new("NAME", Width::Fill(6)),
        Column::new("STEP", Width::Fill(4)).rank(1),
        Column::new("SIZE", Width::Fixed(5)).right().rank(2),
        Column::new("AGE", Width::Fixed(3)).right().rank(3),
    ];

    fn drawn(width: u16, height: u16, place: Place) -> (Vec<String>, Buffer) {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        let cells = |row: usize| {
            [format!("name{row}"), "step".into(), row.to_string(), "1m".into()]
                .map(|t| Line::of(&t, Style::new()))
                .to_vec()
        };
        Table::new(COLUMNS).draw(area, place, 5, &Look::default(), &mut buffer, cells);
        let text = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        ((0..height).map(text).collect(), buffer)
    }

    #[test]
    fn the_least_important_columns_are_left_out_first() {
        assert_eq!(drawn(24, 1, Place::default()).0, [" NAME    STEP   SIZE AGE"]);
        assert_eq!(drawn(21, 1, Place::default()).0, [" NAME    STEP    SIZE"]);
        assert_eq!(drawn(15, 1, Place::default()).0, [" NAME    STEP  "]);
        assert_eq!(drawn(9, 1, Place::default()).0, [" NAME    "]);
        assert_eq!(drawn(3, 1, Place::default()).0, [" N…"]);
    }

    #[test]
    fn what_is_selected_is_seen_and_marked() {
        let (text, buffer) = drawn(24, 3, Place { selected: 3, top: 0 });
        assert_eq!(text, [" NAME    STEP   SIZE AGE", " name2   step      2  1m", ">name3   step      3  1m"]);
        assert!(
            buffer[(0, 2)].modifier.contains(Modifier::REVERSED)
                && !buffer[(0, 1)].modifier.contains(Modifier::REVERSED)
        );
        let table = Table::new(COLUMNS);
        let area = Rect::new(0, 4, 24, 3);
        assert_eq!(table.row_at(area, 6, Place { selected: 3, top: 0 }, 5), Some(3));
        assert_eq!(table.row_at(area, 4, Place::default(), 5), None);
        assert_eq!(table.row_at(area, 7, Place::default(), 5), None);
    }
}
