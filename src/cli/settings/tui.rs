//! Settings of the terminal UI.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Layers, Source, Sourced, key};
use crate::tui::app::clipboard::Clipboard;
use crate::tui::symbols::{self, Symbols};
use crate::tui::theme::Theme;

/// How the terminal UI looks and what it reacts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tui {
    /// Its colours.
    pub theme: Sourced<Theme>,
    /// Its characters.
    pub symbols: Sourced<SymbolSet>,
    /// Whether the mouse is its own.
    pub mouse: Sourced<bool>,
    /// Whether anything moves that does not have to.
    pub animation: Sourced<bool>,
    /// How text is copied.
    pub clipboard: Sourced<Clipboard>,
}

/// Which characters are drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SymbolSet {
    /// By the locale and the kind of terminal.
    #[default]
    Auto,
    /// Lines and blocks of Unicode.
    Unicode,
    /// ASCII alone.
    Ascii,
}

impl SymbolSet {
    /// The characters to draw with in this environment.
    pub fn symbols(self, env: &BTreeMap<String, String>) -> Symbols {
        let text = |name: &str| env.get(name).filter(|value| !value.is_empty());
        // The first that is set decides, as for the C library.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| text(name));
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        // The font of the console lacks most of them.
        let console = text("TERM").is_some_and(|term| term == "linux");
        match self {
            Self::Unicode => symbols::UNICODE,
            Self::Auto if utf8 && !console => symbols::UNICODE,
            Self::Ascii | Self::Auto => symbols::ASCII,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Unicode => "unicode",
            Self::Ascii => "ascii",
        }
    }
}

/// A word for whether something is so.
pub(super) const SWITCH: &[&str] = &["true", "false"];
pub(super) const THEMES: &[&str] = &["auto", "dark", "light", "mono"];
pub(super) const SYMBOLS: &[&str] = &["auto", "unicode", "ascii"];
pub(super) const CLIPBOARDS: &[&str] = &["auto", "native", "osc52", "off"];

impl Tui {
    pub(super) fn of(layers: &mut Layers) -> Self {
        let is_on = |value: key::Value| value.text() != "false";
        Self {
            theme: layers.get("tui.theme", Theme::Auto, |value| match value.text() {
                "dark" => Theme::Dark,
                "light" => Theme::Light,
                "mono" => Theme::Mono,
                _ => Theme::Auto,
            }),
            symbols: layers.get("tui.symbols", SymbolSet::Auto, |value| match value.text() {
                "unicode" => SymbolSet::Unicode,
                "ascii" => SymbolSet::Ascii,
                _ => SymbolSet::Auto,
            }),
            mouse: layers.get("tui.mouse", true, is_on),
            animation: layers.get("tui.animation", true, is_on),
            clipboard: layers.get("tui.clipboard", Clipboard::Auto, |value| match value.text() {
                "native" => Clipboard::Native,
                "osc52" => Clipboard::Osc52,
                "off" => Clipboard::Off,
                _ => Clipboard::Auto,
            }),
        }
    }

    /// As shown by `larder config`; none if the key is not one of these.
    pub(super) fn shown(&self, name: &str) -> Option<(Value, &Source)> {
        Some(match name {
            "tui.theme" => (json!(self.theme.value.as_str()), &self.theme.source),
            "tui.symbols" => (json!(self.symbols.value.as_str()), &self.symbols.source),
            "tui.mouse" => (json!(self.mouse.value), &self.mouse.source),
            "tui.animation" => (json!(self.animation.value), &self.animation.source),
            "tui.clipboard" => {
                let word = match self.clipboard.value {
                    Clipboard::Auto => "auto",
                    Clipboard::Native => "native",
                    Clipboard::Osc52 => "osc52",
                    Clipboard::Off => "off",
                };
                (json!(word), &self.clipboard.source)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_chosen_by_locale_and_terminal() {
        let symbols = |set: SymbolSet, pairs: &[(&str, &str)]| {
            set.symbols(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(symbols(SymbolSet::Auto, &[("LANG", "de_DE.UTF-8")]), symbols::UNICODE);
        assert_eq!(symbols(SymbolSet::Auto, &[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]), symbols::ASCII);
        assert_eq!(symbols(SymbolSet::Auto, &[("LC_CTYPE", "C.utf8"), ("TERM", "linux")]), symbols::ASCII);
        assert_eq!(symbols(SymbolSet::Auto, &[]), symbols::ASCII);
        assert_eq!(symbols(SymbolSet::Unicode, &[]), symbols::UNICODE);
        assert_eq!(symbols(SymbolSet::Ascii, &[("LANG", "C.UTF-8")]), symbols::ASCII);
    }
}
