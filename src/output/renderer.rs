//! A consumer of events.

use std::io;

use crate::event::Event;
use crate::event::summary::Summary;

/// Shows events, or writes them down. Called from one thread.
pub trait Renderer: Send {
    /// Takes one event.
    fn event(&mut self, event: &Event) -> io::Result<()>;
    /// No event is waiting: what was held back should be seen now.
    fn flush(&mut self) -> io::Result<()>;
    /// The stream has ended.
    fn finish(&mut self, summary: &Summary) -> io::Result<()>;
}
