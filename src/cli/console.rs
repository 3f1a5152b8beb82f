//! The terminal, for everything that is not an event: data to standard output, errors to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};

use super::args::Color;
use super::environment::is_on;
use crate::error::{Context as _, Error, Exit, Result, chain};
use crate::output::machine_line::machine_line;

/// Where commands print. Methods take `self` also where they need not know its look: nothing else prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    /// Whether standard output takes colour.
    pub colour_out: bool,
    /// Whether standard error takes colour.
    pub colour_err: bool,
    /// Columns of the terminal, for wrapping.
    pub width: usize,
    /// Whether all that is printed has Packer's form for programs, on standard output.
    pub machine: bool,
}

#[expect(clippy::unused_self, reason = "whoever prints has been given the console to print to")]
impl Console {
    /// A console that uses colour where the option, the variables and the terminal allow, in this order.
    pub(super) fn new(color: Color, env: &super::Env) -> Self {
        let text = |name: &str| env.get(name).map_or("", String::as_str);
        let never = !text("NO_COLOR").is_empty() || is_on(env, "PACKER_NO_COLOR");
        let plain = text("CLICOLOR") == "0" || text("TERM") == "dumb";
        let allowed = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => !never && (is_on(env, "CLICOLOR_FORCE") || (terminal && !plain)),
        };
        let width = env.get("COLUMNS").and_then(|columns| columns.parse().ok()).or_else(terminal_width).unwrap_or(80);
        Self {
            colour_out: allowed(io::stdout().is_terminal()),
            colour_err: allowed(io::stderr().is_terminal()),
            width,
            machine: false,
        }
    }

    /// The same in Packer's form for programs, or not.
    pub(super) fn machine(self, machine: bool) -> Self {
        if machine { Self { machine, colour_out: false, colour_err: false, ..self } } else { Self { machine, ..self } }
    }

    /// Prints a line in Packer's form for programs, about nothing in particular.
    pub(super) fn machine_line(&self, category: &str, data: &[&str]) -> Result<()> {
        write_line(&machine_line(jiff::Timestamp::now(), "", category, data))
    }

    /// Prints a line of data.
    pub(super) fn line(&self, line: &str) -> Result<()> {
        if self.machine { self.machine_line("ui", &["say", line]) } else { write_line(line) }
    }

    /// Prints data as it is, which may end within a line.
    pub(super) fn text(&self, text: &str) -> Result<()> {
        write_text(text)
    }

    /// Prints a JSON value on one line.
    pub(super) fn json(&self, value: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string(value).context(|| "cannot write JSON".to_owned())?;
        self.line(&text)
    }

    /// Prints text for people on standard error. Best effort: there is nowhere to report a failure to.
    pub(super) fn note(&self, text: &str) {
        if self.machine {
            let _ = self.machine_line("ui", &["error", text]);
            return;
        }
        // In one write: the lines of a run come between two.
        let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    }

    /// Prints a warning on standard error.
    pub(super) fn warning(&self, text: &str) {
        self.note(&format!("{} {text}", self.label("warning:", AnsiColor::Yellow)));
    }

    /// Prints an error with its causes and hints on standard error.
    pub(super) fn error(&self, error: &Error) {
        if self.machine {
            let hints = error.hints().iter().map(|hint| format!("\nhint: {hint}"));
            self.note(&format!("Error: {}{}", chain(error), hints.collect::<String>()));
            return;
        }
        self.note(&format!("{} {}", self.label("error:", AnsiColor::Red), chain(error)));
        for hint in error.hints() {
            self.note(&format!("{} {hint}", self.label("hint:", AnsiColor::Cyan)));
        }
    }

    fn label(&self, text: &str, colour: AnsiColor) -> String {
        if self.colour_err {
            let style = Style::new().fg_color(Some(colour.into())).bold();
            format!("{}{text}{}", style.render(), style.render_reset())
        } else {
            text.to_owned()
        }
    }
}

fn write_line(line: &str) -> Result<()> {
    write_text(&format!("{line}\n"))
}

fn write_text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::BrokenPipe => Exit::ClosedPipe,
            _ => Exit::Failure,
        };
        Error::new("cannot write to standard output").caused_by(error).exit(exit)
    })
}

fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
