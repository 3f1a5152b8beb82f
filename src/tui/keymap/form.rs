//! Keys of the form on the Templates screen. Every other key is text.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go to the next field.
    Next,
    /// Go to the field before.
    Previous,
    /// Go on to the review.
    Continue,
    /// Write the field in the editor.
    Edit,
    /// Pick a file for the field.
    Pick,
    /// Evaluate the form anew.
    Validate,
    /// Take back what was typed in the field.
    Reset,
    /// Go back, and keep what was typed.
    Back,
    /// Show the keys.
    Help,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Form(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Continue, "form.continue", &["Enter"], "go on to the review", Some("continue")),
    row(Action::Next, "form.next", &["Tab", "Down"], "next field", Some("next")),
    row(Action::Back, "form.back", &["Esc"], "back; what was typed is kept", Some("back")),
    row(Action::Previous, "form.previous", &["Shift-Tab", "Up"], "field before", None),
    row(Action::Edit, "form.edit", &["Ctrl-e"], "write the field in $EDITOR", Some("$EDITOR")),
    row(Action::Pick, "form.pick", &["Ctrl-f"], "pick a file: its path, or what is in it", Some("file")),
    row(
        Action::Validate,
        "form.validate",
        &["Ctrl-r", "F5"],
        "read the template anew and evaluate it",
        Some("validate"),
    ),
    row(Action::Reset, "form.reset", &["Ctrl-x"], "take back what was typed in the field", Some("reset")),
    row(Action::Help, "form.help", &["F1"], "help for this screen", None),
];
