//! URLs where there is little room.

use unicode_width::UnicodeWidthStr as _;

use crate::tui::symbols::Symbols;

/// Least room for the end of a URL, beside its host.
const END: usize = 12;

/// The URL in at most `width` columns: first the scheme goes, then what is in the middle, then the host's beginning. What
/// tells one from another is mostly at the end.
pub(in crate::tui) fn shortened(url: &str, width: usize, symbols: Symbols) -> String {
    if url.width() <= width {
        return url.to_owned();
    }
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if rest.width() <= width {
        return rest.to_owned();
    }
    let mark = symbols.ellipsis;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if host.len() < rest.len() && host.width() + 1 + mark.width() + END <= width {
        let room = width - host.width() - 1 - mark.width();
        return format!("{host}/{mark}{}", end(rest, room));
    }
    if width < mark.width() {
        return String::new();
    }
    format!("{mark}{}", end(rest, width - mark.width()))
}

/// As much of the end as fits.
fn end(text: &str, width: usize) -> &str {
    let mut from = text.len();
    for (at, _) in text.char_indices().rev() {
        if text[at..].width() > width {
            break;
        }
        from = at;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::symbols::{ASCII, UNICODE};

    #[test]
    fn the_end_is_kept() {
        let url = "http://deb.example.org/debian/pool/main/l/linux/linux-image-6.8_amd64.deb";
        for (width, shown) in [
            (80, url),
            (68, "deb.example.org/debian/pool/main/l/linux/linux-image-6.8_amd64.deb"),
            (40, "deb.example.org/…nux-image-6.8_amd64.deb"),
            (20, "…image-6.8_amd64.deb"),
            (1, "…"),
            (0, ""),
        ] {
            assert_eq!(shortened(url, width, UNICODE), shown);
        }
        assert_eq!(shortened("esm.example.org:443", 10, ASCII), "...org:443");
    }

    proptest::proptest! {
        #[test]
        fn it_is_never_wider_than_asked(url in ".{0,60}", width in 0_usize..70) {
            proptest::prop_assert!(shortened(&url, width, UNICODE).width() <= width);
            proptest::prop_assert!(shortened(&url, width, ASCII).width() <= width);
        }
    }
}
