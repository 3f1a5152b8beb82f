//! Where one is on the Guests screen.

use super::list::Place;
use crate::guest::record::Run;
use crate::history::log_store::pattern::Pattern;

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {
    /// Runs that have something on the machine, dead ones first.
    pub runs: Vec<Run>,
    /// Whether they were looked for yet.
    pub read: bool,
    /// Where one is among them.
    pub place: Place,
    /// Whether the lower pane has the keys.
    pub opened: bool,
    /// Where one is in it.
    pub line: Place,
    /// What was searched for.
    pub needle: Option<Pattern>,
}

impl State {
    /// The selected run.
    pub fn selected(&self) -> Option<&Run> {
        self.runs.get(self.place.selected)
    }

    /// Ids of what can be cleaned up.
    pub fn dead(&self) -> Vec<String> {
        self.runs.iter().filter(|run| !run.live).map(|run| run.id.clone()).collect()
    }
}

/// What a run has on the machine, a line each.
pub fn holdings(run: &Run) -> Vec<String> {
    let processes = run.processes.iter().map(|(pid, role)| format!("process  {pid}  {role}"));
    let trees = run.trees.iter().map(|tree| format!("files    {}", tree.display()));
    processes.chain(trees).collect()
}
