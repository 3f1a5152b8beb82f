//! What the UI knows: the run as its events told it, and where the person is.

pub mod builds;
pub mod cache;
pub mod guests;
pub mod history;
pub mod list;
pub mod log;
pub mod mouse;
pub mod overlay;
pub mod proxy;
pub mod run;
pub mod steps;
pub mod templates;
pub mod visual;

use std::path::PathBuf;

use ratatui::layout::Size;

use super::effect::BuildRequest;
use super::keymap::{KeyPress, Keymap};
use super::layout::{self, Room};
use super::symbols::{self, Symbols};
use super::theme::Theme;
use crate::engine::control::Slots;
use builds::Pane;
use overlay::{Bar, Overlay};
use run::RunModel;

/// A screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Screen {
    /// All builds of the run.
    #[default]
    Builds,
    /// One build with its steps and its log.
    Log,
    /// What is downloaded.
    Proxy,
    /// What is stored.
    Cache,
    /// Templates.
    Templates,
    /// Earlier runs.
    History,
    /// What runs left on the machine.
    Guests,
}

impl Screen {
    /// In the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Builds, Self::Log, Self::Proxy, Self::Cache, Self::Templates, Self::History, Self::Guests];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builds => "Builds",
            Self::Log => "Log",
            Self::Proxy => "Proxy",
            Self::Cache => "Cache",
            Self::Templates => "Templates",
            Self::History => "History",
            Self::Guests => "Guests",
        }
    }
}

/// How it is drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// The colours.
    pub theme: Theme,
    /// The characters.
    pub symbols: Symbols,
    /// Whether anything moves that does not have to.
    pub animation: bool,
    /// Where panes were drawn last.
    pub panes: mouse::Panes,
    /// Where times of day are those of.
    pub zone: jiff::tz::TimeZone,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            theme: Theme::Auto,
            symbols: symbols::UNICODE,
            animation: true,
            panes: mouse::Panes::default(),
            zone: jiff::tz::TimeZone::UTC,
        }
    }
}

/// A line at the bottom that says what has just been done or gone wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The text.
    pub text: String,
    /// Whether something went wrong.
    pub error: bool,
    /// When it goes away.
    pub until: jiff::Timestamp,
}

/// When the UI ends by itself after a run that it was started for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stay {
    /// Until the person leaves: `larder` alone.
    #[default]
    Open,
    /// When the run has ended, unless the person is reading something: `larder build`.
    UntilDone,
}

/// What the UI knows.
#[derive(Debug, Default)]
pub struct State {
    /// Where the person is.
    pub screen: Screen,
    /// The size of the terminal.
    pub size: Size,
    /// The time, as of the last message.
    pub now: jiff::Timestamp,
    /// How it is drawn.
    pub look: Look,
    /// The keys.
    pub keymap: Keymap,
    /// The presses of a sequence that is not whole yet.
    pub pending: Vec<KeyPress>,
    /// When the last of them was pressed.
    pub pending_since: jiff::Timestamp,
    /// The run, as its events told it.
    pub run: RunModel,
    /// When it was last heard of: an event, or a line in a log.
    pub heard: jiff::Timestamp,
    /// The Builds screen.
    pub builds: builds::State,
    /// The Log screen.
    pub log: log::State,
    /// The Proxy screen.
    pub proxy: proxy::State,
    /// The Cache screen.
    pub cache: cache::State,
    /// The Templates screen.
    pub templates: templates::State,
    /// The History screen.
    pub history: history::State,
    /// The Guests screen.
    pub guests: guests::State,
    /// What lies over the screen, the topmost last.
    pub overlays: Vec<Overlay>,
    /// The line in which a search or filter is typed.
    pub bar: Option<Bar>,
    /// What was searched for and filtered by before, the last one last.
    pub recalled: Vec<String>,
    /// The mouse.
    pub mouse: mouse::State,
    /// What has just happened.
    pub notice: Option<Notice>,
    /// Whether the pane with the keys has the whole screen.
    pub zoomed: bool,
    /// Whether the plain stream is shown in place of the UI.
    pub streaming: bool,
    /// When the UI ends by itself.
    pub stay: Stay,
    /// When a key was last pressed.
    pub touched: Option<jiff::Timestamp>,
    /// How often an end was asked for (Ctrl-C).
    pub interrupts: u8,
    /// Whether the person has been told that builds stop with the process (Ctrl-Z).
    pub told_of_suspending: bool,
    /// The template being built, as named by the person.
    pub template: Option<PathBuf>,
    /// What the run was started with, for building something again.
    pub request: Option<BuildRequest>,
    /// How many builds run at a time.
    pub slots: Slots,
}

impl State {
    /// Says something in the line at the bottom for some seconds.
    pub fn notice(&mut self, text: impl Into<String>) {
        self.say(text.into(), false);
    }

    /// Says that something went wrong; kept among the messages, too.
    pub fn error(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.run.note(self.now, run::Severity::Error, None, text.clone());
        self.say(text, true);
    }

    /// The panes that can have the keys on the Builds screen, or on the Log screen.
    fn panes(&self) -> &'static [Pane] {
        match (self.screen, layout::room(self.size)) {
            (Screen::Log, Room::Tiny | Room::Compact) => &[Pane::Log],
            (Screen::Log, _) => &[Pane::Log, Pane::Steps],
            (_, Room::Tiny | Room::Compact | Room::Normal) => &[Pane::List, Pane::Log],
            (_, Room::Wide) => &[Pane::List, Pane::Steps, Pane::Log],
            (_, Room::Dashboard) => &Pane::ALL,
        }
    }

    /// The one that has them.
    pub fn pane(&self) -> Pane {
        let chosen = match self.screen {
            Screen::Log => self.log.pane.unwrap_or(Pane::Log),
            _ => self.builds.pane,
        };
        let panes = self.panes();
        if panes.contains(&chosen) { chosen } else { panes[0] }
    }

    /// Gives the keys to a pane, if it can have them.
    pub fn give(&mut self, pane: Pane) {
        if !self.panes().contains(&pane) {
            return;
        }
        match self.screen {
            Screen::Log => self.log.pane = Some(pane),
            _ => self.builds.pane = pane,
        }
    }

    /// Gives the keys to the next pane, or to the one before.
    pub fn next_pane(&mut self, back: bool) {
        let panes = self.panes();
        let at = panes.iter().position(|pane| *pane == self.pane()).unwrap_or(0);
        self.give(panes[(at + if back { panes.len() - 1 } else { 1 }) % panes.len()]);
    }

    /// Where one is among the messages of the Builds screen, the newest first: what came since has moved what was selected
    /// down, but for who is at the newest.
    pub fn message_place(&self) -> list::Place {
        let (mut place, known) = self.builds.messages;
        let count = self.run.messages.len();
        if place.selected > 0 {
            let new = count.saturating_sub(known);
            (place.selected, place.top) = (place.selected + new, place.top + new);
        }
        place.fit(count, usize::from(layout::builds::message_rows(self).height));
        place
    }

    /// The screen whose keys hold: those of the Log and of the Proxy screen also where their panes have them on the Builds
    /// screen.
    pub fn focus(&self) -> Screen {
        match (self.screen, self.pane()) {
            (Screen::Builds, Pane::Steps | Pane::Log) => Screen::Log,
            (Screen::Builds, Pane::Proxy) => Screen::Proxy,
            (screen, _) => screen,
        }
    }

    fn say(&mut self, text: String, error: bool) {
        let until = self.now + jiff::SignedDuration::from_secs(if error { 10 } else { 4 });
        self.notice = Some(Notice { text, error, until });
    }
}
