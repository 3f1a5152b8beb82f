use proptest::prelude::*;

use super::*;
use crate::tui::keymap::{KeyPress, key as press};

/// Everything that bytes mean, once nothing more comes; keys by their names.
fn decoded(chunks: &[&[u8]]) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut events: Vec<Event> = chunks.iter().flat_map(|chunk| decoder.feed(chunk)).collect();
    while decoder.open().is_some() {
        events.extend(decoder.close());
    }
    events.iter().map(named).collect()
}

fn named(event: &Event) -> String {
    match event {
        Event::Key(key) => press::show(&[KeyPress::from(*key)]),
        Event::Mouse(mouse) => format!("{:?} {},{} {:?}", mouse.kind, mouse.column, mouse.row, mouse.modifiers),
        Event::Paste(text) => format!("paste {text:?}"),
        other => format!("{other:?}"),
    }
}

fn one(bytes: &str) -> String {
    let all = decoded(&[bytes.as_bytes()]);
    assert_eq!(all.len(), 1, "{bytes:?}: {all:?}");
    all[0].clone()
}

#[test]
fn keys_have_the_names_that_keymaps_use() {
    let all = [
        ("a", "a"),
        ("G", "G"),
        ("é", "é"),
        ("\u{1f980}", "\u{1f980}"),
        (" ", "Space"),
        ("\r", "Enter"),
        ("\n", "Enter"),
        ("\t", "Tab"),
        ("\x1b", "Esc"),
        ("\x7f", "Backspace"),
        ("\x03", "Ctrl-c"),
        ("\x1a", "Ctrl-z"),
        ("\0", "Ctrl-Space"),
        ("\x1c", "Ctrl-4"),
        ("\x1ba", "Alt-a"),
        ("\x1b[A", "Up"),
        ("\x1bOA", "Up"),
        ("\x1b[1;5C", "Ctrl-Right"),
        ("\x1b[1;3D", "Alt-Left"),
        ("\x1b[H", "Home"),
        ("\x1b[4~", "End"),
        ("\x1b[5~", "PgUp"),
        ("\x1b[6;5~", "Ctrl-PgDn"),
        ("\x1b[3~", "Delete"),
        ("\x1b[Z", "Shift-Tab"),
        ("\x1bOP", "F1"),
        ("\x1b[[E", "F5"),
        ("\x1b[15~", "F5"),
        ("\x1b[24~", "F12"),
        ("\x1b[13;5u", "Ctrl-Enter"),
        ("\x1b[", "Alt-["),
    ];
    for (bytes, name) in all {
        assert_eq!(one(bytes), name, "{bytes:?}");
    }
}

#[test]
fn the_mouse_is_told_in_three_ways() {
    assert_eq!(one("\x1b[<0;10;5M"), "Down(Left) 9,4 KeyModifiers(0x0)");
    assert_eq!(one("\x1b[<0;10;5m"), "Up(Left) 9,4 KeyModifiers(0x0)");
    assert_eq!(one("\x1b[<64;1;1M"), "ScrollUp 0,0 KeyModifiers(0x0)");
    assert_eq!(one("\x1b[<36;300;200M"), "Drag(Left) 299,199 KeyModifiers(SHIFT)");
    assert_eq!(one("\x1b[97;3;4M"), "ScrollDown 2,3 KeyModifiers(0x0)");
    assert_eq!(one("\x1b[M !!"), "Down(Left) 0,0 KeyModifiers(0x0)");
    // Nowhere.
    assert!(decoded(&[b"\x1b[<0;0;0M", b"\x1b[M   "]).is_empty());
}

#[test]
fn what_is_pasted_is_one_text_whatever_is_in_it_and_however_it_comes() {
    assert_eq!(one("\x1b[200~a\x1b[Ab\n\x1b[201~"), "paste \"a\\u{1b}[Ab\\n\"");
    assert_eq!(decoded(&[b"x\x1b[20", b"0~a", b"b\x1b[20", b"1~y"]), ["x", "paste \"ab\"", "y"]);
    let long = "word ".repeat(1000);
    assert_eq!(decoded(&[b"\x1b[200~", long.as_bytes(), b"\x1b[201~q"]), [format!("paste {long:?}"), "q".to_owned()]);
    // One without an end is not waited for without end.
    assert_eq!(decoded(&[b"\x1b[200~ab"]), ["paste \"ab\""]);
}

#[test]
fn what_is_not_whole_waits_and_what_is_broken_takes_nothing_with_it() {
    assert_eq!(decoded(&[b"\x1b", b"[", b"1;5", b"C"]), ["Ctrl-Right"]);
    assert_eq!(decoded(&[b"\xc3", b"\xa9"]), ["é"]);
    assert_eq!(decoded(&[b"\x1b\x1b[A"]), ["Esc", "Up"]);
    assert_eq!(decoded(&[b"\xffa\xc3b"]), ["a", "b"]);
    assert_eq!(decoded(&[b"\x1b[12\x1b[A"]), ["Up"]);
    // Answers of terminals, focus: nothing that is bound to anything.
    assert!(decoded(&[b"\x1b[?62;4c", b"\x1b[I", b"\x1b[O"]).is_empty());
    let endless = format!("\x1b[{}", "1;".repeat(500));
    assert_eq!(decoded(&[endless.as_bytes(), b"q"]).last().map(String::as_str), Some("q"));
}

proptest! {
    /// What comes in pieces means the same as at once, and nothing stays behind.
    #[test]
    fn pieces_mean_what_the_whole_means(
        bytes in prop::collection::vec(prop_oneof![Just(ESC), Just(b'['), Just(b'M'), any::<u8>()], 0..60),
        cut in 0_usize..60,
    ) {
        let cut = cut.min(bytes.len());
        let (whole, pieces) = (decoded(&[&bytes]), decoded(&[&bytes[..cut], &bytes[cut..]]));
        // The longest sequence is counted from where it is seen to be too long.
        prop_assert_eq!(whole, pieces);
    }
}
