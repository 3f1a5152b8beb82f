//! Keys that hold anywhere.

use super::{Binding, Command};
use crate::tui::state::Screen;

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go to a screen.
    Show(Screen),
    /// Give the keys to the next pane.
    NextPane,
    /// Give the keys to the pane before.
    PreviousPane,
    /// Open what is selected.
    Open,
    /// Go one up; at the top, quit.
    Back,
    /// Cancel all builds; the second time, leave at once.
    Interrupt,
    /// Show the keys of this screen.
    Help,
    /// Show all commands by name.
    Palette,
    /// Find text.
    Find,
    /// Go to the next place found.
    FindNext,
    /// Go to the place found before.
    FindPrevious,
    /// Show only what matches.
    Filter,
    /// Turn the filter off and on.
    FilterToggle,
    /// Give the whole screen to the pane, or take it back.
    Zoom,
    /// Copy the selected row.
    Copy,
    /// Copy all that is shown.
    CopyAll,
    /// Show errors and warnings.
    Messages,
    /// Go to the oldest question.
    Answer,
    /// Show the plain stream.
    Stream,
    /// Take the next theme.
    Theme,
    /// Draw anew.
    Redraw,
    /// Stop the process until it is continued.
    Suspend,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Global(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Show(Screen::Builds), "global.builds", &["1"], "Builds: all builds of the run", None),
    row(Action::Show(Screen::Log), "global.log", &["2"], "Log: one build with its steps", None),
    row(Action::Show(Screen::Proxy), "global.proxy", &["3"], "Proxy: what is downloaded, and from where", None),
    row(Action::Show(Screen::Cache), "global.cache", &["4"], "Cache: what is stored", None),
    row(Action::Show(Screen::Templates), "global.templates", &["5"], "Templates: choose, fill in, build", None),
    row(Action::Show(Screen::History), "global.history", &["6"], "History: earlier runs", None),
    row(Action::Show(Screen::Guests), "global.guests", &["7"], "Guests: what runs left on this machine", None),
    row(Action::Open, "global.open", &["Enter"], "open", Some("open")),
    row(Action::Back, "global.back", &["q", "Esc"], "back; at the top, quit", None),
    row(Action::NextPane, "global.next-pane", &["Tab", "Ctrl-Right", "Ctrl-Down"], "next pane", None),
    row(Action::PreviousPane, "global.previous-pane", &["Shift-Tab", "Ctrl-Left", "Ctrl-Up"], "pane before", None),
    row(Action::Answer, "global.answer", &["a"], "answer the oldest question", None),
    row(Action::Find, "global.find", &["/"], "find", Some("find")),
    row(Action::FindNext, "global.find-next", &["n"], "next place found", None),
    row(Action::FindPrevious, "global.find-previous", &["N"], "place found before", None),
    row(Action::Filter, "global.filter", &["&"], "show only what matches", None),
    row(Action::FilterToggle, "global.filter-toggle", &["\\"], "turn the filter off and on", None),
    row(Action::Zoom, "global.zoom", &["z"], "give the pane the whole screen, or take it back", None),
    row(Action::Copy, "global.copy", &["y"], "copy the selected row", None),
    row(Action::CopyAll, "global.copy-all", &["Y"], "copy all that is shown", None),
    row(Action::Messages, "global.messages", &["!"], "errors and warnings", None),
    row(Action::Stream, "global.stream", &["S"], "plain lines on the normal screen, and back", None),
    row(Action::Theme, "global.theme", &["T"], "theme: auto, dark, light, mono", None),
    row(Action::Palette, "global.palette", &[":"], "all commands by name", None),
    row(Action::Redraw, "global.redraw", &["Ctrl-l"], "draw anew", None),
    row(Action::Suspend, "global.suspend", &["Ctrl-z"], "stop Larder, and its builds, until `fg`", None),
    row(Action::Interrupt, "global.interrupt", &["Ctrl-c"], "cancel all builds; again: leave at once", None),
    row(Action::Help, "global.help", &["?"], "help for this screen", Some("help")),
];
