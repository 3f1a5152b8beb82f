//! A form being filled in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ratatui::crossterm::event::KeyEvent;
use tui_input::Input;

use crate::catalogue::discover::Card;
use crate::catalogue::evaluate::{Evaluated, Request};
use crate::catalogue::field::{Field, FieldKind, ValueSource};
use crate::catalogue::problem::Problem;
use crate::catalogue::wizard::{Placement, Proposal, variable_file};
use crate::template::Language;
use crate::tui::state::list::Place;

/// A chosen template and its form.
#[derive(Clone, Debug)]
pub struct Wizard {
    /// The template.
    pub card: Card,
    /// Whether it is copied, and where to.
    pub placement: Placement,
    /// The rows, in the order of the template; where it is copied to, first.
    pub rows: Vec<Row>,
    /// The row that has the keys.
    pub focus: usize,
    /// What the evaluator last said of it.
    pub evaluated: Option<Evaluated>,
    /// The number of the evaluation under way.
    pub under_way: Option<u64>,
    /// The number of the last evaluation asked for.
    pub asked: u64,
    /// Whether something has been typed since.
    pub changed: bool,
    /// Whether the review is to be shown when the evaluation has ended without errors.
    pub continues: bool,
    /// What would be written, or why nothing can be.
    pub proposal: Option<Result<Proposal, String>>,
    /// Where one is in the review.
    pub place: Place,
    /// The file that a field is being written in, and the field.
    pub editing: Option<(String, PathBuf)>,
    /// What was typed before, for rows that are not known yet.
    pub recalled: BTreeMap<String, String>,
    /// Keys pressed before the rows were known: they are for them.
    pub ahead: Vec<KeyEvent>,
}

/// A row of the form.
#[derive(Clone, Debug)]
pub struct Row {
    /// The variable; `None` for the directory that the template is copied to.
    pub field: Option<Field>,
    /// What is typed.
    pub input: Input,
}

impl Row {
    /// Its name.
    pub fn name(&self) -> &str {
        self.field.as_ref().map_or("directory", |field| &field.name)
    }

    /// What it holds when nothing is typed.
    fn text(&self) -> &str {
        self.field.as_ref().map_or("", |field| &field.text)
    }

    /// Whether something was typed.
    pub fn is_typed(&self) -> bool {
        self.input.value() != self.text()
    }

    /// What may be chosen with the arrow keys.
    pub fn choices(&self) -> Option<Vec<&str>> {
        match self.field.as_ref().map(|field| &field.kind)? {
            FieldKind::Bool => Some(vec!["true", "false"]),
            FieldKind::Choice(choices) => Some(choices.iter().map(String::as_str).collect()),
            FieldKind::Text | FieldKind::Number | FieldKind::Expression => None,
        }
    }

    /// Whether what is typed must not be shown.
    pub fn is_sensitive(&self) -> bool {
        self.field.as_ref().is_some_and(|field| field.sensitive)
    }
}

impl Wizard {
    /// A form whose fields are not known yet.
    pub fn new(card: Card, placement: Placement, recalled: BTreeMap<String, String>) -> Self {
        let mut wizard = Self {
            card,
            placement,
            rows: Vec::new(),
            focus: 0,
            evaluated: None,
            under_way: None,
            asked: 0,
            changed: false,
            continues: false,
            proposal: None,
            place: Place::default(),
            editing: None,
            recalled,
            ahead: Vec::new(),
        };
        if let Placement::Copy(directory) = &wizard.placement {
            wizard.rows.push(Row { field: None, input: Input::from(directory.display().to_string()) });
        }
        wizard
    }

    /// What was typed, by variable.
    pub fn typed(&self) -> BTreeMap<String, String> {
        let typed = self.rows.iter().filter(|row| row.field.is_some() && row.is_typed());
        let mut typed: BTreeMap<_, _> =
            typed.map(|row| (row.name().to_owned(), row.input.value().to_owned())).collect();
        if self.evaluated.is_none() {
            typed.extend(self.recalled.clone());
        }
        typed
    }

    /// Where the template is to be, as typed.
    pub fn placement(&self) -> Placement {
        match (&self.placement, self.rows.first()) {
            (Placement::Copy(_), Some(row)) if row.field.is_none() => {
                let typed = row.input.value().trim();
                Placement::Copy(PathBuf::from(if typed.is_empty() { self.card.name.as_str() } else { typed }))
            }
            (placement, _) => placement.clone(),
        }
    }

    /// What is to be evaluated.
    pub fn request(&self) -> Request {
        let language = self.evaluated.as_ref().map_or(Language::Hcl2, |evaluated| evaluated.language);
        let placement = self.placement();
        let target = match placement {
            Placement::InPlace => Some(variable_file(&self.card, &placement, language).0),
            Placement::Copy(_) => None,
        };
        // One that is not read without being named is named, once it is there.
        Request { path: self.card.path.clone(), typed: self.typed(), target, ..Request::default() }
    }

    /// Takes in what the evaluator said. Fields follow the template; what was typed stays.
    pub fn take(&mut self, evaluated: Evaluated) {
        let focused = self.rows.get(self.focus).map(|row| row.name().to_owned());
        let mut typed = self.typed();
        typed.extend(std::mem::take(&mut self.recalled));
        let mut rows: Vec<Row> = self.rows.drain(..).filter(|row| row.field.is_none()).collect();
        for field in &evaluated.fields {
            let text = typed.get(&field.name).unwrap_or(&field.text);
            rows.push(Row { input: Input::from(text.clone()), field: Some(field.clone()) });
        }
        let is_first = self.evaluated.is_none();
        self.rows = rows;
        self.evaluated = Some(evaluated);
        let same = |row: &Row| focused.as_deref() == Some(row.name());
        self.focus = self.rows.iter().position(same).unwrap_or(0);
        if is_first {
            self.focus = self.first_to_fill();
        }
    }

    /// The row to begin with: the first that has no value, or else the first variable.
    fn first_to_fill(&self) -> usize {
        let missing =
            |row: &Row| row.field.as_ref().is_some_and(|field| field.from == ValueSource::Missing) && !row.is_typed();
        let first = || self.rows.iter().position(|row| row.field.is_some());
        self.rows.iter().position(missing).or_else(first).unwrap_or(0)
    }

    /// What is wrong with a row, the worst first. A value that has not been asked for yet is not wrong, only missing.
    pub fn problem<'a>(&'a self, row: &'a Row) -> Option<&'a Problem> {
        let evaluated = self.evaluated.as_ref()?;
        let name = row.field.as_ref().map(|field| field.name.as_str())?;
        let mut found: Vec<&Problem> = evaluated.of_field(name).collect();
        found.sort_by_key(|problem| !problem.is_error);
        found.first().copied()
    }

    /// The first row with an error.
    pub fn first_error(&self) -> Option<usize> {
        self.rows.iter().position(|row| self.problem(row).is_some_and(|problem| problem.is_error))
    }

    /// How many rows have an error, apart from those that only have no value yet.
    pub fn errors(&self) -> usize {
        let wrong = |row: &&Row| self.problem(row).is_some_and(|problem| problem.is_error && !problem.is_missing);
        self.rows.iter().filter(wrong).count()
    }

    /// How many rows have no value yet, and need one.
    pub fn missing(&self) -> usize {
        self.rows.iter().filter(|row| self.problem(row).is_some_and(|problem| problem.is_missing)).count()
    }
}
