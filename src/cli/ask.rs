//! Questions to the person at the terminal, in lines of text: the oldest first, while the other builds go on.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Stdout};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Env;
use crate::engine::component::Communicator;
use crate::engine::control::Control;
use crate::engine::host::Host;
use crate::error::{Error, Result, chain};
use crate::event::question::{Answer, Choice, Question, Reason};
use crate::event::summary::Summary;
use crate::event::{Event, EventKind};
use crate::output;
use crate::output::held::Held;
use crate::output::renderer::Renderer;
use crate::output::terminal::guest_shell::{self, Banner, Surroundings};
use crate::output::terminal::program::Program;

mod terminal;
mod text;

use terminal::Terminal;
pub(super) use terminal::is_there;
use text::Around;

/// What the event stream tells of questions.
enum Told {
    Log(Arc<str>, PathBuf),
    Asked(Question),
    Postponed(u64, Option<jiff::Timestamp>),
    Answered(u64),
}

/// Passes on what concerns questions, after the renderers before it have shown it.
pub(super) struct Ears(UnboundedSender<Told>);

impl Renderer for Ears {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let told = match (&event.kind, &event.build) {
            (EventKind::BuildStarted { log, .. }, Some(build)) => Told::Log(build.clone(), log.clone()),
            (EventKind::Question { question }, _) => Told::Asked((**question).clone()),
            (EventKind::Deadline { id, deadline }, _) => Told::Postponed(*id, *deadline),
            (EventKind::Answered { id, .. }, _) => Told::Answered(*id),
            _ => return Ok(()),
        };
        // Nobody listens any more when the run ends.
        let _ = self.0.send(told);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        Ok(())
    }
}

/// Puts the questions of a run on the terminal, and answers them with what is typed.
pub(super) struct Prompts {
    told: UnboundedReceiver<Told>,
    terminal: Terminal,
    env: Env,
    host: Arc<dyn Host>,
    logs: HashMap<Arc<str>, PathBuf>,
    waiting: VecDeque<Question>,
    /// The question whose choices were shown last.
    shown: Option<u64>,
    /// Whether the number of a step is awaited, rather than a letter.
    choosing_step: bool,
    /// Whether the terminal is gone.
    lost: bool,
    /// Told when the terminal is free for questions, where somebody else has it first.
    free: Option<Arc<Notify>>,
}

impl Prompts {
    /// What is asked on the terminal, and what it hears by. `output` is what builds write to the terminal; editors run
    /// by `host`.
    pub(super) fn new(output: Held<Stdout>, env: &Env, host: Arc<dyn Host>) -> Result<(Self, Ears)> {
        let (sender, told) = unbounded_channel();
        let prompts = Self {
            told,
            terminal: Terminal::new(output)?,
            env: env.clone(),
            host,
            logs: HashMap::new(),
            waiting: VecDeque::new(),
            shown: None,
            choosing_step: false,
            lost: false,
            free: None,
        };
        Ok((prompts, Ears(sender)))
    }

    /// Asks nothing before it is told that the terminal is free.
    pub(super) fn once(mut self, free: Arc<Notify>) -> Self {
        self.free = Some(free);
        self
    }

    /// Keeps what is asked until the terminal is free.
    async fn wait(&mut self) {
        let Some(free) = self.free.take() else { return };
        loop {
            let told = tokio::select! {
                () = free.notified() => return,
                told = self.told.recv() => told,
            };
            match told {
                Some(Told::Log(build, path)) => drop(self.logs.insert(build, path)),
                Some(Told::Asked(question)) => self.waiting.push_back(question),
                Some(Told::Postponed(id, deadline)) => self.postpone(id, deadline),
                Some(Told::Answered(id)) => self.waiting.retain(|question| question.id != id),
                None => return,
            }
        }
    }

    /// Asks and answers until it is dropped.
    pub(super) async fn run(mut self, control: Control) {
        self.wait().await;
        self.show();
        loop {
            tokio::select! {
                told = self.told.recv() => match told {
                    Some(told) => self.hear(told, &control),
                    None => return std::future::pending().await,
                },
                line = self.terminal.line(), if !self.lost && !self.waiting.is_empty() => match line {
                    Some(line) => self.take(&line, &control).await,
                    None => self.lose(&control),
                },
            }
            self.show();
        }
    }

    fn hear(&mut self, told: Told, control: &Control) {
        match told {
            Told::Log(build, path) => drop(self.logs.insert(build, path)),
            Told::Asked(question) if self.lost => drop(control.terminal_lost(question.id)),
            Told::Asked(question) => {
                if let Some(first) = self.waiting.front() {
                    let about =
                        format!("\n(one more question waits: {}; this one is about {})\n", question.build, first.build);
                    self.terminal.show(&(about + &text::prompt(first)));
                } else {
                    self.terminal.forget_typed();
                }
                self.waiting.push_back(question);
            }
            Told::Postponed(id, deadline) => self.postpone(id, deadline),
            Told::Answered(id) => self.waiting.retain(|question| question.id != id),
        }
    }

    fn postpone(&mut self, id: u64, deadline: Option<jiff::Timestamp>) {
        if let Some(question) = self.waiting.iter_mut().find(|question| question.id == id) {
            question.deadline = deadline;
        }
    }

    /// Shows the oldest question, if it is not shown already.
    fn show(&mut self) {
        let Some(question) = self.waiting.front() else {
            self.shown = None;
            return self.terminal.leave();
        };
        if self.lost || self.shown == Some(question.id) {
            return;
        }
        let around = Around {
            waiting: self.waiting.len(),
            alike: self.waiting.iter().filter(|other| alike(question, other)).count(),
            log: self.logs.get(&question.build).map(PathBuf::as_path),
            now: jiff::Timestamp::now(),
        };
        self.terminal.show(&text::question(question, &around));
        self.shown = Some(question.id);
        self.choosing_step = false;
    }

    /// Takes a line that was typed.
    async fn take(&mut self, line: &str, control: &Control) {
        let Some(question) = self.waiting.front().cloned() else { return };
        if std::mem::take(&mut self.choosing_step) {
            self.choose_step(&question, line, control);
            return;
        }
        let (letter, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let choice = question.choices.iter().copied().find(|choice| is_letter(*choice, letter));
        let answer = match choice {
            None if line.is_empty() && matches!(question.reason, Reason::Pause { .. }) => Answer::Continue,
            None if line.is_empty() => return self.shown = None,
            None => {
                let text = format!("There is no choice {letter:?}.\n{}", text::prompt(&question));
                return self.terminal.show(&text);
            }
            Some(Choice::RetryFrom) if rest.is_empty() => {
                self.choosing_step = true;
                return self.terminal.show(&text::resume_points(&question));
            }
            Some(Choice::RetryFrom) => return self.choose_step(&question, rest, control),
            Some(Choice::Edit) => return self.edit(&question, control).await,
            Some(Choice::Shell) => return self.shell(&question, control).await,
            Some(Choice::Retry) => Answer::Retry,
            Some(Choice::Continue) => Answer::Continue,
            Some(Choice::Skip) => Answer::Skip,
            Some(Choice::Cleanup) => Answer::Cleanup,
            Some(Choice::Keep) => Answer::Keep,
        };
        let all = rest.trim() == "all";
        for other in self.waiting.clone() {
            if other.id == question.id || (all && alike(&question, &other) && other.offers(answer)) {
                self.answer(&other, answer, control);
            }
        }
    }

    fn choose_step(&mut self, question: &Question, text: &str, control: &Control) {
        let number = text.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        match number.map(|step_index| Answer::RetryFrom { step_index }).filter(|answer| question.offers(*answer)) {
            Some(answer) => self.answer(question, answer, control),
            None if text.trim().is_empty() => self.shown = None,
            None => {
                self.terminal.show(&format!("There is no step {text} to go back to.\n{}", text::prompt(question)));
            }
        }
    }

    fn answer(&mut self, question: &Question, answer: Answer, control: &Control) {
        if let Err(error) = control.answer(question.id, answer) {
            self.terminal.show(&format!("{}: {}\n", question.build, chain(&error)));
        }
        self.waiting.retain(|other| other.id != question.id);
    }

    /// Opens the copies of the step's scripts in the user's editor, one after another, and runs the step again if they
    /// were changed.
    async fn edit(&mut self, question: &Question, control: &Control) {
        let _attending = control.attend(question.id);
        let read = || question.scripts.iter().map(|script| std::fs::read(&script.path).ok()).collect::<Vec<_>>();
        let before = read();
        let edited = self.run_editor(question).await;
        let say = match edited {
            Err(error) => {
                let mut lines = vec![chain(&error)];
                lines.extend(error.hints().iter().map(|hint| format!("hint: {hint}")));
                lines.push("Or edit it elsewhere, and then choose r:".to_owned());
                lines.extend(question.scripts.iter().map(|script| format!("    {}", script.path.display())));
                lines.join("\n")
            }
            Ok(()) if before == read() => "Nothing was changed.".to_owned(),
            Ok(()) => return self.answer(question, Answer::Retry, control),
        };
        self.terminal.show(&format!("{say}\n{}", text::prompt(question)));
    }

    async fn run_editor(&mut self, question: &Question) -> Result<()> {
        let _lent = self.terminal.lend();
        for script in &question.scripts {
            Program::Editor.open(&script.path, &self.env, &*self.host).await?;
        }
        Ok(())
    }

    /// Opens a shell in the guest; its end comes back to the question.
    async fn shell(&mut self, question: &Question, control: &Control) {
        let guest = control.guest(question.id).zip(control.attend(question.id));
        let ended = match guest {
            None => Err(Error::new("the guest is gone")),
            Some((guest, _attending)) => {
                let _lent = self.terminal.lend();
                self.run_shell(&*guest, question, control).await
            }
        };
        let said = ended.map_or_else(|error| format!("{}\n", chain(&error)), |_| String::new());
        self.terminal.show(&(said + &text::prompt(question)));
    }

    async fn run_shell(&self, guest: &dyn Communicator, question: &Question, control: &Control) -> Result<i32> {
        let terminal = output::terminal::Terminal::open()?;
        let cancel = control.cancelled();
        guest_shell::run(guest, &Banner::of(question), &terminal, &Surroundings::of(&self.env), &cancel).await
    }

    /// Nobody is left to ask: what waits, and what will be asked, is answered by its default.
    fn lose(&mut self, control: &Control) {
        self.lost = true;
        for question in self.waiting.drain(..) {
            let _ = control.terminal_lost(question.id);
        }
    }
}

/// Whether two questions are about the same failure of different builds.
fn alike(one: &Question, other: &Question) -> bool {
    let failed = |question: &Question| matches!(question.reason, Reason::Failed { .. });
    failed(one) && failed(other) && one.step == other.step && one.summary() == other.summary()
}

/// Whether this was typed for the choice. `a` is Packer's letter for what is [`Choice::Keep`] here.
fn is_letter(choice: Choice, typed: &str) -> bool {
    let mut letters = typed.chars();
    let letter = (letters.next(), letters.next());
    letter == (Some(choice.key()), None) || (choice == Choice::Keep && letter == (Some('a'), None))
}
