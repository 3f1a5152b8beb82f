//! How the terminal UI looks, and the arguments of `larder ui`.

use clap::Args;

use super::{Color, ProxyArgs};

/// How the terminal UI looks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of the terminal UI")]
pub struct LookArgs {
    /// Colours: auto (the terminal's, the default), dark, light or mono (none)
    #[arg(long, value_name = "THEME")]
    pub theme: Option<String>,
    /// Characters to draw with: auto (the default), unicode or ascii
    #[arg(long, value_name = "SET")]
    pub symbols: Option<String>,
    /// Leave the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
    /// Let nothing move that does not have to
    #[arg(long)]
    pub no_animation: bool,
}

/// `larder ui`
#[derive(Args, Clone, Debug)]
pub struct UiArgs {
    /// Use colour: auto (the default), always or never
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub color: Option<Color>,
    #[command(flatten)]
    pub look: LookArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}
