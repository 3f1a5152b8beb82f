//! The mouse: what is the same on every screen. Clicks and the wheel are the screens' own; dragging selects text within
//! one pane and copies it, a double click opens.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{overlay, screen_moused};
use crate::tui::effect::Effect;
use crate::tui::keymap::global::Action;
use crate::tui::state::mouse::{Press, Selection};
use crate::tui::state::{Screen, State};
use crate::tui::view;

/// Time within which a second press in the same place is a double click.
const DOUBLE: jiff::SignedDuration = jiff::SignedDuration::from_millis(400);

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    if state.streaming {
        return Vec::new();
    }
    let at = Position::new(mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => pressed(state, mouse, at),
        MouseEventKind::Drag(MouseButton::Left) if !drags_itself(state) => {
            dragged(state, at);
            Vec::new()
        }
        MouseEventKind::Up(MouseButton::Left) if state.mouse.selection.is_some() => released(state),
        _ => passed_on(state, mouse),
    }
}

/// Whether the screen selects text by itself.
fn drags_itself(state: &State) -> bool {
    state.overlays.is_empty() && matches!(state.screen, Screen::Builds | Screen::Log) && state.log.drag.is_some()
}

fn passed_on(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    if state.overlays.is_empty() { screen_moused(state, mouse) } else { overlay::moused(state, mouse) }
}

fn pressed(state: &mut State, mouse: MouseEvent, at: Position) -> Vec<Effect> {
    state.touched = Some(state.now);
    state.mouse.selection = None;
    let press = Press { at, time: state.now, pane: state.look.panes.at(at) };
    let before = state.mouse.pressed.replace(press);
    let double = before.is_some_and(|before| before.at == at && state.now.duration_since(before.time) < DOUBLE);
    let mut effects = passed_on(state, mouse);
    if double && press.pane.is_some() && state.bar.is_none() {
        // A third press is not another double click.
        state.mouse.pressed = None;
        effects.extend(if state.overlays.is_empty() {
            super::global::action(state, Action::Open)
        } else {
            overlay::opened(state)
        });
    }
    effects
}

fn dragged(state: &mut State, at: Position) {
    if state.mouse.selection.is_none() {
        let Some(Press { at: from, pane: Some(pane), .. }) = state.mouse.pressed else { return };
        if from == at {
            return;
        }
        let mut still = ratatui::buffer::Buffer::empty(Rect::new(0, 0, state.size.width, state.size.height));
        view::draw(state, &mut still);
        state.mouse.selection = Some(Selection { pane, from, to: from, still });
    }
    if let Some(selection) = &mut state.mouse.selection {
        selection.extend(at);
    }
}

fn released(state: &mut State) -> Vec<Effect> {
    let Some(selection) = state.mouse.selection.take() else { return Vec::new() };
    // A press after it is no double click.
    state.mouse.pressed = None;
    let text = selection.text();
    if text.trim().is_empty() { Vec::new() } else { vec![Effect::Copy(text)] }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;
    use crate::tui::msg::Msg;
    use crate::tui::testing::{buffer, press, sample};
    use crate::tui::update::update;

    fn event(kind: MouseEventKind, (column, row): (u16, u16)) -> Msg {
        Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    }

    /// The messages of a run, drawn; and the place of the word that the first one begins with.
    fn messages() -> (State, (u16, u16)) {
        let mut state = sample((80, 24));
        let _ = press(&mut state, "!");
        let drawn = buffer(&state);
        let text: Vec<String> = (0..24)
            .map(|y| (0..80).map(|x| drawn.cell((x, y)).unwrap().symbol().to_owned()).collect::<Vec<_>>().concat())
            .collect();
        let row = text.iter().position(|line| line.contains("error   rootfs.debian")).unwrap();
        let column = text[row].chars().collect::<String>().find("error").unwrap();
        let column = text[row][..column].chars().count();
        (state, (u16::try_from(column).unwrap(), u16::try_from(row).unwrap()))
    }

    #[test]
    fn dragging_copies_what_is_in_the_pane_alone() {
        let (mut state, (x, y)) = messages();
        let button = MouseButton::Left;
        assert_eq!(update(&mut state, event(MouseEventKind::Down(button), (x, y))), []);
        assert_eq!(update(&mut state, event(MouseEventKind::Drag(button), (x + 4, y))), []);
        let style = buffer(&state).cell((x + 2, y)).unwrap().modifier;
        assert!(style.contains(ratatui::style::Modifier::REVERSED), "what is selected is reversed");
        let effects = update(&mut state, event(MouseEventKind::Up(button), (x + 4, y)));
        assert_eq!(effects, [Effect::Copy("error".to_owned())]);
        // Far outside: to the pane's edge, and no line around it.
        let _ = update(&mut state, event(MouseEventKind::Down(button), (x, y)));
        let _ = update(&mut state, event(MouseEventKind::Drag(button), (300, y + 1)));
        let effects = update(&mut state, event(MouseEventKind::Up(button), (300, y + 1)));
        let [Effect::Copy(text)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("error   rootfs.debian") && !text.contains('│'), "{text}");
    }

    #[test]
    fn what_is_selected_stands_still_and_a_key_ends_it() {
        let (mut state, (x, y)) = messages();
        let button = MouseButton::Left;
        let _ = update(&mut state, event(MouseEventKind::Down(button), (x, y)));
        let _ = update(&mut state, event(MouseEventKind::Drag(button), (x + 4, y)));
        for number in 0..50 {
            let _ = update(&mut state, Msg::Aside(format!("line {number}")));
        }
        let shown = buffer(&state).cell((x, y)).unwrap().symbol().to_owned();
        assert_eq!(shown, "e");
        let _ = press(&mut state, "j");
        assert!(state.mouse.selection.is_none());
        assert_eq!(update(&mut state, event(MouseEventKind::Up(button), (x + 4, y))), []);
    }

    #[test]
    fn a_double_click_opens() {
        let (mut state, (x, y)) = messages();
        let down = || event(MouseEventKind::Down(MouseButton::Left), (x, y));
        let _ = update(&mut state, down());
        state.now += jiff::SignedDuration::from_secs(1);
        let _ = update(&mut state, down());
        assert_eq!(state.overlays.len(), 1, "two slow clicks are two clicks");
        let _ = update(&mut state, down());
        assert_eq!((state.overlays.len(), state.screen), (0, Screen::Log));
    }
}
