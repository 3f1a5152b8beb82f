//! Keys of the Log screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Follow the end of the log, or stop doing so.
    Follow,
    /// Wrap long lines, or move sideways.
    Wrap,
    /// Times of lines: none, absolute, relative.
    Times,
    /// Numbers of lines.
    Numbers,
    /// Go to where the step before begins.
    PreviousStep,
    /// Go to where the next step begins.
    NextStep,
    /// Go to the error or warning before.
    PreviousProblem,
    /// Go to the next error or warning.
    NextProblem,
    /// Mark the line.
    Mark,
    /// Go to the marked line.
    GoToMark,
    /// Open the log in the pager.
    Page,
    /// Edit the script of the step that waits.
    Edit,
    /// Write the lines shown to a file.
    Save,
    /// Open a shell in the guest.
    Shell,
    /// Show the log of the next build.
    NextBuild,
    /// Show the log of the build before.
    PreviousBuild,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Log(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Follow, "log.follow", &["f"], "follow the end, or stop", Some("follow")),
    row(Action::Wrap, "log.wrap", &["w"], "wrap long lines, or move sideways", Some("wrap")),
    row(Action::Times, "log.times", &["t"], "times: none, of day, since the build began", Some("time")),
    row(Action::Numbers, "log.numbers", &["#"], "numbers of lines", None),
    row(Action::PreviousStep, "log.previous-step", &["["], "beginning of the step, or of the one before", None),
    row(Action::NextStep, "log.next-step", &["]"], "beginning of the next step", Some("step")),
    row(Action::PreviousProblem, "log.previous-problem", &["{"], "error or warning before", None),
    row(Action::NextProblem, "log.next-problem", &["}"], "next error or warning", Some("problem")),
    row(Action::Mark, "log.mark", &["m"], "mark the line", None),
    row(Action::GoToMark, "log.go-to-mark", &["'"], "go to the marked line", None),
    row(Action::Page, "log.page", &["o"], "open the log in the pager", Some("pager")),
    row(Action::Edit, "log.edit", &["e"], "edit the script of the step that waits", None),
    row(Action::Save, "log.save", &["s"], "write the lines shown to a file", Some("save")),
    row(Action::Shell, "log.shell", &["i"], "shell into the guest, while its build waits", None),
    row(Action::NextBuild, "log.next-build", &["J"], "log of the next build", None),
    row(Action::PreviousBuild, "log.previous-build", &["K"], "log of the build before", None),
];
