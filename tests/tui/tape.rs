//! Sessions at the terminal UI, as text: what is typed, and what must then be seen.
//!
//! A line each; `#` begins a comment. Texts stand in quotes, with `\n`, `\t`, `\"` and `\\`; patterns between slashes.
//!
//! ```text
//! Size 80 24                columns and rows; before Start
//! Root                      needs root, and is skipped without it: for builds with a guest
//! Busybox NAME              a directory with a root file system of BusyBox; `Root` goes with it
//! Origin PATH "CONTENT"     a file of a server, whose address is what ORIGIN stands for below
//! File NAME                 the lines up to `End` are a file of the working directory
//! Env NAME "VALUE"          a variable for the program
//! Start ARGUMENT...         starts larder in the terminal
//! Type "TEXT"               types text
//! Key NAME [TIMES]          presses a key: Enter, Esc, Tab, Up, PageDown, Home, F5, Ctrl-C, Shift-Tab, a letter
//! Wait /REGEX/              waits until the screen matches; `^` and `$` are the ends of a line
//! Gone /REGEX/              waits until it does not
//! Resize 160 48             gives the terminal another size
//! Touch NAME "CONTENT"      writes a file of the working directory while the program runs
//! Exists NAME               waits until there is such a file
//! Screenshot NAME           keeps the screen, where LARDER_SCREENSHOTS names a directory for it
//! Ends STATUS               waits until the program has ended so, and looks at how it left the terminal
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use regex::RegexBuilder;

use crate::at_hand;
use crate::busybox;
use crate::origin::Origin;
use crate::pty::{LIMIT, Pty};
use crate::support::{Larder, is_root};

/// Plays every tape of the directory.
#[test]
fn tapes() {
    let mut played = 0;
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tape") && wanted(&path) {
            Player::new(&path).play();
            played += 1;
        }
    }
    assert!(played > 0, "no tapes");
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tui/tapes")
}

/// Whether the tape is among those named by the variable LARDER_TAPES, if that is set.
fn wanted(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    std::env::var("LARDER_TAPES").map_or(true, |names| names.split_whitespace().any(|wanted| wanted == name))
}

struct Player {
    name: String,
    lines: Vec<String>,
    /// Of the line that is played, from 1.
    number: usize,
    size: (u16, u16),
    larder: Larder,
    files: Vec<(&'static str, &'static str, Vec<u8>)>,
    env: Vec<(String, String)>,
    origin: Option<Origin>,
    pty: Option<Pty>,
}

impl Player {
    fn new(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            number: 0,
            size: (80, 24),
            larder: Larder::new(),
            files: Vec::new(),
            env: Vec::new(),
            origin: None,
            pty: None,
        }
    }

    fn play(mut self) {
        while self.number < self.lines.len() {
            let line = self.lines[self.number].clone();
            self.number += 1;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word == "Root" || word == "Busybox" {
                if !is_root() {
                    return;
                }
                if word == "Busybox" {
                    busybox::root(&self.larder.dir().join(rest));
                }
                continue;
            }
            self.step(word, rest.trim());
        }
        let ended = self.pty.as_ref().is_some_and(Pty::has_ended);
        assert!(ended, "{}: the program still runs at the end of the tape", self.name);
    }

    fn step(&mut self, word: &str, rest: &str) {
        match word {
            "Size" => self.size = size(rest).unwrap_or_else(|| self.fail("Size COLUMNS ROWS")),
            "Origin" => {
                let (path, content) = rest.split_once(' ').unwrap_or_else(|| self.fail("Origin PATH \"CONTENT\""));
                let content = self.text(content).into_bytes();
                self.files.push((path.to_owned().leak(), "Cache-Control: max-age=600\r\n", content));
            }
            "File" => self.file(rest),
            "Env" => {
                let (name, value) = rest.split_once(' ').unwrap_or_else(|| self.fail("Env NAME \"VALUE\""));
                self.env.push((name.to_owned(), self.text(value)));
            }
            "Start" => self.start(rest),
            "Type" => self.pty().keys(&self.text(rest)),
            "Key" => self.key(rest),
            "Wait" => self.wait(rest, true),
            "Gone" => self.wait(rest, false),
            "Resize" => {
                let (columns, rows) = size(rest).unwrap_or_else(|| self.fail("Resize COLUMNS ROWS"));
                self.pty.as_mut().expect("Start comes first").resize(columns, rows);
            }
            "Touch" => {
                let (name, content) = rest.split_once(' ').unwrap_or((rest, "\"\""));
                self.larder.write(name, &self.text(content));
            }
            "Exists" => {
                let path = self.larder.dir().join(rest);
                self.until(&format!("the file {rest}"), |_| path.exists());
            }
            "Screenshot" => self.screenshot(rest),
            "Ends" => {
                let status = self.pty().end();
                let expected: i32 = rest.parse().unwrap_or_else(|_| self.fail("Ends STATUS"));
                if status != expected {
                    self.fail(&format!("the program ended with {status}; there is:\n{}", self.pty().screen()));
                }
                self.pty().assert_restored();
            }
            _ => self.fail(&format!("no such word: {word}")),
        }
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{}.tape:{}: {}\n{why}", self.name, self.number, self.lines[self.number - 1].trim())
    }

    fn pty(&self) -> &Pty {
        self.pty.as_ref().unwrap_or_else(|| self.fail("Start comes first"))
    }

    /// A text in quotes.
    fn text(&self, quoted: &str) -> String {
        serde_json::from_str(quoted.trim()).unwrap_or_else(|error| self.fail(&format!("a text in quotes: {error}")))
    }

    fn file(&mut self, name: &str) {
        let begin = self.number;
        let length = self.lines[begin..].iter().position(|line| line.trim() == "End");
        let length = length.unwrap_or_else(|| self.fail("no line End"));
        let content = self.lines[begin..begin + length].join("\n") + "\n";
        self.number += length + 1;
        let origin = format!("http://{}", self.origin().address);
        self.larder.write(name, &content.replace("ORIGIN", &origin));
    }

    fn origin(&mut self) -> &Origin {
        let files = &self.files;
        self.origin.get_or_insert_with(|| Origin::serving(files))
    }

    fn start(&mut self, arguments: &str) {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = at_hand(&self.larder, &arguments);
        let origin = format!("http://{}", self.origin().address);
        command.envs(self.env.iter().map(|(name, value)| (name, value.replace("ORIGIN", &origin))));
        self.pty = Some(Pty::start(&command, self.size.0, self.size.1));
    }

    fn key(&self, rest: &str) {
        let (name, times) = rest.split_once(' ').unwrap_or((rest, "1"));
        let sequence = sequence(name).unwrap_or_else(|| self.fail("no such key"));
        let times: usize = times.parse().unwrap_or_else(|_| self.fail("Key NAME TIMES"));
        for _ in 0..times {
            if sequence == "\x1b" {
                self.pty().keys_alone(&sequence);
            } else {
                self.pty().keys(&sequence);
            }
        }
    }

    fn wait(&self, pattern: &str, there: bool) {
        let pattern = pattern.strip_prefix('/').and_then(|pattern| pattern.strip_suffix('/'));
        let pattern = pattern.unwrap_or_else(|| self.fail("a pattern between slashes"));
        let pattern = RegexBuilder::new(pattern).multi_line(true).build();
        let pattern = pattern.unwrap_or_else(|error| self.fail(&error.to_string()));
        self.until("", |screen| pattern.is_match(screen) == there);
    }

    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        if let Err(screen) = self.pty().try_wait_until(LIMIT, is_so) {
            self.fail(&format!("waited for it {what}; there is:\n{screen}"));
        }
    }

    fn screenshot(&self, name: &str) {
        let Some(directory) = std::env::var_os("LARDER_SCREENSHOTS") else { return };
        let path = |form: &str| Path::new(&directory).join(format!("{name}.{form}"));
        fs::create_dir_all(&directory).unwrap();
        self.pty().wait_whole();
        fs::write(path("txt"), self.pty().screen()).unwrap();
        fs::write(path("ansi"), self.pty().styled()).unwrap();
    }
}

fn size(text: &str) -> Option<(u16, u16)> {
    let (columns, rows) = text.split_once(' ')?;
    Some((columns.parse().ok()?, rows.trim().parse().ok()?))
}

/// What a terminal sends for a key.
fn sequence(name: &str) -> Option<String> {
    if let Some(letter) = name.strip_prefix("Ctrl-") {
        let byte = letter.bytes().next().filter(|byte| byte.is_ascii_alphabetic() && letter.len() == 1)?;
        return Some(char::from(byte.to_ascii_uppercase() - b'@').to_string());
    }
    let known = match name {
        "Enter" => "\r",
        "Esc" => "\x1b",
        "Tab" => "\t",
        "Shift-Tab" => "\x1b[Z",
        "Space" => " ",
        "Backspace" => "\x7f",
        "Delete" => "\x1b[3~",
        "Up" => "\x1b[A",
        "Down" => "\x1b[B",
        "Right" => "\x1b[C",
        "Left" => "\x1b[D",
        "Home" => "\x1b[H",
        "End" => "\x1b[F",
        "PageUp" => "\x1b[5~",
        "PageDown" => "\x1b[6~",
        "F5" => "\x1b[15~",
        "F12" => "\x1b[24~",
        letter if letter.chars().count() == 1 => letter,
        _ => return None,
    };
    Some(known.to_owned())
}
