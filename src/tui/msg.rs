//! What the UI is told.

use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use super::effect::Done;
use super::feed::Live;
use crate::event::Event;

/// Something the state has to take in.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size: columns, rows.
    Resize(u16, u16),
    /// An event of the run; never a line of output.
    Event(Box<Event>),
    /// Counts that the feed keeps: totals of the proxy, lines of logs.
    Live(Live),
    /// The clock has moved on, to this time.
    Tick(jiff::Timestamp),
    /// Work that an effect asked for has ended.
    Done(Done),
    /// Something was written to standard error while the UI has the terminal.
    Aside(String),
    /// A run has ended, with this exit code.
    RunEnded(u8),
    /// The UI is to end.
    Leave,
    /// The terminal is gone.
    Lost,
    /// Somebody outside has asked the process to stop (SIGTSTP).
    Stop,
    /// The process was stopped, and goes on.
    Continued,
    /// This text could be put on the clipboard by none of the machine's programs.
    Uncopied(String),
    /// The terminal was handed over and is back.
    Returned,
}
