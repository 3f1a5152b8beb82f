//! Select Graphic Rendition (ECMA-48 8.3.117), with 256 and direct colours in both of their forms.

use ratatui::style::{Color, Modifier, Style};
use vte::Params;

/// The style after a sequence of parameters. What hides text or makes it blink is left out.
pub(super) fn apply(mut style: Style, params: &Params) -> Style {
    let mut params = params.iter();
    while let Some(param) = params.next() {
        let [code, parts @ ..] = param else { continue };
        style = match code {
            0 => Style::new(),
            4 if parts.first() == Some(&0) => off(style, Modifier::UNDERLINED),
            30..=37 => style.fg(basic(code - 30)),
            40..=47 => style.bg(basic(code - 40)),
            90..=97 => style.fg(basic(code - 90 + 8)),
            100..=107 => style.bg(basic(code - 100 + 8)),
            38 | 48 | 58 => {
                let colour = if parts.is_empty() { separate(&mut params) } else { joined(parts) };
                match (code, colour) {
                    (38, Some(colour)) => style.fg(colour),
                    (48, Some(colour)) => style.bg(colour),
                    _ => style,
                }
            }
            39 => Style { fg: None, ..style },
            49 => Style { bg: None, ..style },
            code => weight(style, *code),
        };
    }
    style
}

fn weight(style: Style, code: u16) -> Style {
    match code {
        1 => style.add_modifier(Modifier::BOLD),
        2 => style.add_modifier(Modifier::DIM),
        3 => style.add_modifier(Modifier::ITALIC),
        4 | 21 => style.add_modifier(Modifier::UNDERLINED),
        7 => style.add_modifier(Modifier::REVERSED),
        9 => style.add_modifier(Modifier::CROSSED_OUT),
        22 => off(style, Modifier::BOLD | Modifier::DIM),
        23 => off(style, Modifier::ITALIC),
        24 => off(style, Modifier::UNDERLINED),
        27 => off(style, Modifier::REVERSED),
        29 => off(style, Modifier::CROSSED_OUT),
        _ => style,
    }
}

/// Without what `remove_modifier` would note: the style stands alone, there is none below it to take from.
fn off(mut style: Style, modifier: Modifier) -> Style {
    style.add_modifier.remove(modifier);
    style
}

fn basic(number: u16) -> Color {
    const COLOURS: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    COLOURS.get(usize::from(number)).copied().unwrap_or(Color::Reset)
}

/// A colour whose parts are parameters of their own: `38;5;n`, `38;2;r;g;b`.
fn separate<'a>(params: &mut impl Iterator<Item = &'a [u16]>) -> Option<Color> {
    let mut next = || params.next().and_then(|param| param.first().copied());
    match next()? {
        5 => indexed(next()),
        2 => {
            let (red, green, blue) = (next(), next(), next());
            direct(red, green, blue)
        }
        _ => None,
    }
}

/// A colour in one parameter: `38:5:n`, `38:2:r:g:b`, or with the colour space that the standard has.
fn joined(parts: &[u16]) -> Option<Color> {
    match parts {
        [5, number, ..] => indexed(Some(*number)),
        [2, red, green, blue] | [2, _, red, green, blue, ..] => direct(Some(*red), Some(*green), Some(*blue)),
        _ => None,
    }
}

fn indexed(number: Option<u16>) -> Option<Color> {
    Some(Color::Indexed(u8::try_from(number?).ok()?))
}

fn direct(red: Option<u16>, green: Option<u16>, blue: Option<u16>) -> Option<Color> {
    let part = |value: Option<u16>| u8::try_from(value?).ok();
    Some(Color::Rgb(part(red)?, part(green)?, part(blue)?))
}
