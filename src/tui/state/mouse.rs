//! The mouse: where a button went down, and what is selected by dragging.

use std::cell::RefCell;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr as _;

/// What is known of the mouse.
#[derive(Debug, Default)]
pub struct State {
    /// Where and when the left button last went down.
    pub pressed: Option<Press>,
    /// What is being selected.
    pub selection: Option<Selection>,
}

/// A press of the left button.
#[derive(Clone, Copy, Debug)]
pub struct Press {
    /// Where.
    pub at: Position,
    /// When.
    pub time: jiff::Timestamp,
    /// The pane it was in.
    pub pane: Option<Rect>,
}

/// Text selected in one pane. The pane stands still meanwhile, so that what is selected stays below the mouse.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Inside of the pane.
    pub pane: Rect,
    /// Where the button went down.
    pub from: Position,
    /// Where the mouse is.
    pub to: Position,
    /// The screen as it was when it began.
    pub still: Buffer,
}

impl Selection {
    /// Moves its end; it stays within its pane.
    pub fn extend(&mut self, to: Position) {
        self.to = Position {
            x: to.x.clamp(self.pane.x, self.pane.right().saturating_sub(1)),
            y: to.y.clamp(self.pane.y, self.pane.bottom().saturating_sub(1)),
        };
    }

    /// The selected part of each row: from the first place to the last, whole rows between.
    pub fn rows(&self) -> impl Iterator<Item = Rect> {
        let (pane, a, b) = (self.pane, self.from, self.to);
        let (first, last) = if (a.y, a.x) <= (b.y, b.x) { (a, b) } else { (b, a) };
        (first.y..=last.y).map(move |y| {
            let left = if y == first.y { first.x } else { pane.x };
            let right = if y == last.y { last.x + 1 } else { pane.right() };
            Rect::new(left, y, right.saturating_sub(left), 1)
        })
    }

    /// The text: a line for each row, without spaces at its end.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for row in self.rows() {
            let (mut line, mut skip) = (String::new(), 0);
            for cell in row.positions().filter_map(|place| self.still.cell(place)) {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                skip = cell.symbol().width().saturating_sub(1);
                line.push_str(cell.symbol());
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }
}

/// Insides of the panes of the last frame, in the order drawn: what the person points at. Drawing fills it; it takes no
/// part in what is drawn.
#[derive(Clone, Debug, Default)]
pub struct Panes {
    drawn: RefCell<Vec<Pane>>,
}

/// A pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pane {
    /// Its inside.
    pub inside: Rect,
    /// Whether it lies over others.
    pub over: bool,
}

impl Panes {
    /// A frame begins.
    pub fn begin(&self) {
        self.drawn.borrow_mut().clear();
    }

    /// A pane was drawn.
    pub fn add(&self, pane: Pane) {
        self.drawn.borrow_mut().push(pane);
    }

    /// The inside of the topmost pane at a place.
    pub fn at(&self, place: Position) -> Option<Rect> {
        self.drawn.borrow().iter().rev().map(|pane| pane.inside).find(|inside| inside.contains(place))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Pane> {
        self.drawn.borrow().clone()
    }
}
