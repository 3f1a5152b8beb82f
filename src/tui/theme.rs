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
    /// For a background that the terminal tells of (`COLORFGBG`, as in `15;0`); as it is where it tells nothing.
    #[must_use]
    pub fn on(self, colorfgbg: Option<&str>) -> Self {
        let background = colorfgbg.and_then(|colours| colours.rsplit(';').next()?.parse::<u8>().ok());
        match (self, background) {
            (Self::Auto, Some(7 | 9..=15)) => Self::Light,
            (Self::Auto, Some(0..=6 | 8)) => Self::Dark,
            _ => self,
        }
    }

    /// The style of `role`. Of the sixteen colours few can be read on white: there green and yellow, bright or not, give
    /// way to others.
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
            Role::ActiveTitle | Role::Key => {
                colour(Color::Cyan, Color::LightCyan, Color::Blue).add_modifier(Modifier::BOLD)
            }
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
            Role::Match => plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Role::Good => colour(Color::Green, Color::LightGreen, Color::Blue),
            Role::Active => match self {
                Self::Light => plain.add_modifier(Modifier::BOLD),
                _ => colour(Color::Blue, Color::Cyan, Color::Blue),
            },
            Role::Asking => colour(Color::Magenta, Color::LightMagenta, Color::Magenta).add_modifier(Modifier::BOLD),
            Role::Warning => colour(Color::Yellow, Color::LightYellow, Color::Magenta),
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 13] = [
        Role::Text,
        Role::Dim,
        Role::Title,
        Role::ActiveTitle,
        Role::Border,
        Role::Key,
        Role::Selected,
        Role::Match,
        Role::Good,
        Role::Active,
        Role::Asking,
        Role::Warning,
        Role::Bad,
    ];

    /// The sixteen colours as terminals have them that follow xterm.
    fn rgb(colour: Color) -> Option<[u8; 3]> {
        Some(match colour {
            Color::Black => [0, 0, 0],
            Color::Red => [205, 0, 0],
            Color::Green => [0, 205, 0],
            Color::Yellow => [205, 205, 0],
            Color::Blue => [0, 0, 238],
            Color::Magenta => [205, 0, 205],
            Color::Cyan => [0, 205, 205],
            Color::Gray => [229, 229, 229],
            Color::DarkGray => [127, 127, 127],
            Color::LightRed => [255, 0, 0],
            Color::LightGreen => [0, 255, 0],
            Color::LightYellow => [255, 255, 0],
            Color::LightBlue => [92, 92, 255],
            Color::LightMagenta => [255, 0, 255],
            Color::LightCyan => [0, 255, 255],
            Color::White => [255, 255, 255],
            _ => return None,
        })
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(rgb: [u8; 3]) -> f64 {
        let [r, g, b] = rgb.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_role_can_be_read_on_its_background_and_none_sets_one() {
        for (theme, background) in [(Theme::Dark, [0, 0, 0]), (Theme::Light, [255, 255, 255])] {
            for role in ROLES {
                let style = theme.style(role);
                assert_eq!(style.bg, None, "{theme:?} {role:?}");
                let Some(colour) = style.fg else { continue };
                let contrast = contrast(rgb(colour).expect("one of the sixteen"), background);
                // 4.5 is what WCAG asks of text (AA).
                assert!(contrast >= 4.5, "{theme:?} {role:?}: {colour:?} has a contrast of {contrast:.1}");
            }
        }
    }

    #[test]
    fn the_background_is_the_one_the_terminal_tells_of() {
        assert_eq!(Theme::Auto.on(Some("15;0")), Theme::Dark);
        assert_eq!(Theme::Auto.on(Some("0;default;15")), Theme::Light);
        assert_eq!(Theme::Auto.on(Some("default")), Theme::Auto);
        assert_eq!(Theme::Auto.on(None), Theme::Auto);
        assert_eq!(Theme::Mono.on(Some("0;15")), Theme::Mono);
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        for role in ROLES {
            assert_eq!(Theme::Mono.style(role).fg, None, "{role:?}");
        }
    }

    #[test]
    fn the_terminals_own_colours_are_used_where_nothing_is_known_of_the_background() {
        for role in ROLES {
            let colour = Theme::Auto.style(role).fg;
            // Those that both dark and light schemes make readable: none bright, no black, white or grey.
            let dim = matches!(
                colour,
                None | Some(Color::Red | Color::Green | Color::Yellow | Color::Blue | Color::Magenta | Color::Cyan)
            );
            assert!(dim, "{role:?}: {colour:?}");
        }
    }
}
