//! Text on the clipboard: by a program of the machine, by tmux, or by the terminal itself (OSC 52).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use base64::Engine as _;

use crate::tui::effect::Done;
use crate::tui::msg::Msg;

/// Which ways are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clipboard {
    /// The machine's programs where the person sits at the machine; else tmux and the terminal.
    #[default]
    Auto,
    /// The machine's programs alone.
    Native,
    /// The terminal alone.
    Osc52,
    /// None.
    Off,
}

/// Most bytes that terminals are sure to take: some end the sequence, or the window, at 100 kB of base64.
pub(super) const OSC52_BYTES: usize = 74_000;

type Env = BTreeMap<String, String>;

impl Clipboard {
    /// The programs to try, in turn; and whether the terminal is asked when all of them fail.
    pub(super) fn ways(self, env: &Env) -> (Vec<&'static [&'static str]>, bool) {
        let has = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let mut programs: Vec<&'static [&'static str]> = Vec::new();
        if has("WAYLAND_DISPLAY") {
            programs.push(&["wl-copy"]);
        }
        if has("DISPLAY") {
            programs.push(&["xclip", "-selection", "clipboard"]);
            programs.push(&["xsel", "--clipboard", "--input"]);
        }
        if cfg!(target_os = "macos") {
            programs.push(&["pbcopy"]);
        }
        // With `-w` it also asks the terminal around it; older ones know no `-w`.
        let tmux: [&'static [&'static str]; 2] = [&["tmux", "load-buffer", "-w", "-"], &["tmux", "load-buffer", "-"]];
        // The clipboard of another machine than the one the person sits at is of no use.
        let remote = has("SSH_TTY") || has("SSH_CONNECTION");
        match self {
            Self::Off => (Vec::new(), false),
            Self::Osc52 => (Vec::new(), true),
            Self::Native => (programs, false),
            Self::Auto => {
                if remote {
                    programs.clear();
                }
                if has("TMUX") {
                    programs.extend(tmux);
                }
                (programs, true)
            }
        }
    }

    /// Puts text there, on a thread of its own: a program may take its time.
    pub(super) fn copy(self, text: String, env: &Env, messages: &Sender<Msg>) {
        let (programs, terminal) = self.ways(env);
        let sender = messages.clone();
        let work = move || {
            let way = programs.iter().find(|argv| pipe_to(argv, &text));
            let _ = sender.send(match way {
                Some(argv) => told(false, copied(&text, argv[0])),
                None if terminal => Msg::Uncopied(text),
                None if self == Self::Off => told(true, "Not copied: the setting tui.clipboard is off".to_owned()),
                None => told(
                    true,
                    "Not copied: none of wl-copy, xclip, xsel works here; the setting tui.clipboard = \"osc52\" asks the terminal"
                        .to_owned(),
                ),
            });
        };
        if thread::Builder::new().name("ui-copy".into()).spawn(work).is_err() {
            let _ = messages.send(told(true, "Not copied: cannot start a thread".to_owned()));
        }
    }
}

fn told(error: bool, text: String) -> Msg {
    Msg::Done(Done::Told { error, text })
}

/// What is said once text has been copied.
pub(super) fn copied(text: &str, way: &str) -> String {
    let lines = text.lines().count();
    let what = if lines == 1 { "a line".to_owned() } else { format!("{lines} lines") };
    format!("Copied {what} (by {way})")
}

fn pipe_to(argv: &[&str], text: &str) -> bool {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(text.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}

/// What asks the terminal for it; none where it is too long.
pub(super) fn osc52(text: &str) -> Option<String> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    (text.len() <= OSC52_BYTES).then(|| format!("\x1b]52;c;{encoded}\x07"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(clipboard: Clipboard, names: &[&str]) -> (Vec<&'static str>, bool) {
        let env = names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        let (programs, terminal) = clipboard.ways(&env);
        (programs.iter().map(|argv| argv[0]).collect(), terminal)
    }

    #[test]
    fn the_clipboard_is_the_one_of_the_machine_the_person_sits_at() {
        assert_eq!(ways(Clipboard::Auto, &["WAYLAND_DISPLAY", "DISPLAY"]), (vec!["wl-copy", "xclip", "xsel"], true));
        assert_eq!(ways(Clipboard::Auto, &["DISPLAY", "SSH_TTY"]), (vec![], true));
        assert_eq!(ways(Clipboard::Auto, &["TMUX", "SSH_TTY"]), (vec!["tmux", "tmux"], true));
        assert_eq!(ways(Clipboard::Native, &["DISPLAY", "SSH_TTY"]), (vec!["xclip", "xsel"], false));
        assert_eq!(ways(Clipboard::Osc52, &["DISPLAY"]), (vec![], true));
        assert_eq!(ways(Clipboard::Off, &["DISPLAY", "TMUX"]), (vec![], false));
    }

    #[test]
    fn what_the_terminal_is_asked_for_is_bounded() {
        assert_eq!(osc52("hi").unwrap(), "\x1b]52;c;aGk=\x07");
        assert!(osc52(&"x".repeat(OSC52_BYTES)).unwrap().len() < 100_000);
        assert_eq!(osc52(&"x".repeat(OSC52_BYTES + 1)), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_no_way() {
        assert!(!pipe_to(&["no-such-program-at-all"], "x"));
        assert!(!pipe_to(&["false"], "x"));
        assert!(pipe_to(&["sh", "-c", "test \"$(cat)\" = x"], "x"));
    }
}
