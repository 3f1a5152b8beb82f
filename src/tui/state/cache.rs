//! Where one is on the Cache screen.

/// Which pane has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Hosts, folders and entries.
    #[default]
    Tree,
    /// What is selected.
    Detail,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {
    /// The pane that has the keys.
    pub pane: Pane,
}
