//! Colours: the terminal's own sixteen, and no background. Nothing is told by colour alone.

use ratatui::style::{Color, Modifier, Style};

use super::state::run::Condition;

/// A set of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The sixteen colours in their usual meaning; readable on dark and light.
    #[default]
    Auto,
    /// Bright colours, for dark backgrounds.
    Dark,
    /// Dark colours, for light backgrounds.
    Light,
    /// No colours (`NO_COLOR`).
    Mono,
}

/// What something is, for which the theme has a style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Plain text.
    Text,
    /// Text of less weight.
    Dim,
    /// Titles of panes.
    Title,
    /// The title of the pane that has the keys.
    ActiveTitle,
    /// Lines around panes.
    Border,
    /// Keys in hints.
    Key,
    /// The selected row.
    Selected,
    /// What a search found.
    Match,
    /// What is well: done, a hit.
    Good,
    /// What goes on: running, a miss.
    Active,
    /// What waits for the person.
    Asking,
    /// What is to be looked at.
    Warning,
    /// What went wrong.
    Bad,
}

impl Theme {
    /// The style of `role`.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        let colour = |auto: Color, dark: Color, light: Color| match self {
            Self::Auto => plain.fg(auto),
            Self::Dark => plain.fg(dark),
            Self::Light => plain.fg(light),
            Self::Mono => plain,
        };
        match role {
            Role::Text => plain,
            Role::Dim | Role::Border => plain.add_modifier(Modifier::DIM),
            Role::Title => plain.add_modifier(Modifier::BOLD),
            Role::ActiveTitle => colour(Color::Cyan, Color::LightCyan, Color::Blue).add_modifier(Modifier::BOLD),
            Role::Key => colour(Color::Cyan, Color::LightCyan, Color::Blue).add_modifier(Modifier::BOLD),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Match => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Role::Good => colour(Color::Green, Color::LightGreen, Color::Green),
            Role::Active => colour(Color::Blue, Color::LightBlue, Color::Blue),
            Role::Asking => colour(Color::Magenta, Color::LightMagenta, Color::Magenta).add_modifier(Modifier::BOLD),
            Role::Warning => colour(Color::Yellow, Color::LightYellow, Color::Red),
            Role::Bad => colour(Color::Red, Color::LightRed, Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// The role of a condition.
    pub const fn condition(condition: Condition) -> Role {
        match condition {
            Condition::Queued => Role::Dim,
            Condition::Running => Role::Active,
            Condition::Done => Role::Good,
            Condition::Failed => Role::Bad,
            Condition::Asking => Role::Asking,
            Condition::Skipped | Condition::Cancelled => Role::Warning,
        }
    }

    /// The next in turn.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Auto => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::Mono,
            Self::Mono => Self::Auto,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
        }
    }
}
