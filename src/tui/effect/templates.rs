//! Work on templates.

use super::worker::Outside;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {}

/// What came of it.
#[derive(Debug)]
pub enum Done {}

/// Keeps what the work needs from one time to the next.
#[derive(Debug, Default)]
pub struct Worker {}

impl Worker {
    /// Does it. May take its time: each area has a thread of its own.
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<Done> {
        let _ = (&self, outside);
        match op {}
    }
}
