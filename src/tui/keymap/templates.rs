//! Keys of the Templates screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Show the text of the template.
    View,
    /// Compare it with the copy in the working directory.
    Diff,
    /// Build it: as it is, or as reviewed.
    Build,
    /// Fill in its variables without copying it.
    UseInPlace,
    /// Write what was reviewed.
    Write,
    /// Look for templates anew.
    Rescan,
    /// Insert the text of the file instead of its path.
    Content,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Templates(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Build, "templates.build", &["b"], "build it now; in the review, write and build", Some("build")),
    row(Action::View, "templates.view", &["v"], "its text", Some("view")),
    row(Action::Diff, "templates.diff", &["d"], "what is different in the copy in this directory", Some("diff")),
    row(Action::UseInPlace, "templates.use", &["u"], "fill in its variables where it is, without a copy", Some("use")),
    row(Action::Write, "templates.write", &["w"], "in the review: write the files", None),
    row(Action::Content, "templates.content", &["c"], "when picking a file: insert what is in it", None),
    row(Action::Rescan, "templates.rescan", &["R"], "look for templates anew", None),
];
