//! A log that is being read: its index, the searches through it, and what the filter takes of it.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use super::{Arrived, Found, Goto, Look, Row, Seen};
use crate::history::log_store::pattern::{Filter, Pattern};
use crate::history::log_store::scan::Scan;
use crate::history::log_store::{LogLine, LogStore};
use crate::output::ansi;

/// Bytes taken in before what there is is shown: some 20 ms.
const AT_A_TIME: u64 = 64 * 1024 * 1024;

/// Lines written to a file at a time.
const BATCH: usize = 4096;

type Tell = Arc<dyn Fn() + Send + Sync>;

/// A log that is being read.
pub(super) struct Open {
    store: LogStore,
    filter: Option<Search>,
    find: Option<Search>,
    problems: Option<Search>,
    /// Rows of a filter with lines around what it takes: of how much was found, of how many lines.
    around: (usize, usize, Vec<usize>),
}

/// A search, and the text it was made from.
struct Search {
    text: String,
    scan: Scan,
}

impl Open {
    pub(super) fn new(path: &Path) -> Self {
        Self { store: LogStore::new(path), filter: None, find: None, problems: None, around: (0, 0, Vec::new()) }
    }

    pub(super) fn path(&self) -> &Path {
        self.store.path()
    }

    /// Reads what is asked for.
    pub(super) fn look(&mut self, look: Look, tell: &Tell) -> Seen {
        let mut seen = Seen { look, ..Seen::default() };
        if let Err(problem) = self.read(&mut seen, tell) {
            seen.problem = Some(problem);
        }
        seen
    }

    fn read(&mut self, seen: &mut Seen, tell: &Tell) -> Result<(), String> {
        let look = seen.look.clone();
        seen.more = self.store.grow(AT_A_TIME).map_err(|error| format!("cannot read the log: {error}"))?;
        search(&mut self.filter, &self.store, look.filter.as_deref(), tell)?;
        match look.find.as_deref() {
            None => self.find = None,
            Some(text) => search_for(&mut self.find, &self.store, text, tell, having)?,
        }
        seen.lines = self.store.len();
        seen.filtering = self.filter.as_ref().is_some_and(|filter| filter.scan.is_running());
        seen.len = self.count();
        seen.steps = self.store.steps().to_vec();
        let count = look.rows.len();
        let mut first = if look.end { seen.len.saturating_sub(count) } else { look.rows.start };
        if let Some(goto) = &look.goto {
            seen.arrived = self.go(goto, seen.more, tell);
            if let Arrived::At(row) = seen.arrived {
                first = row.saturating_sub(count / 2);
            }
        }
        seen.first = first.min(seen.len.saturating_sub(count));
        let lines = self.lines(seen.first, count).map_err(|error| format!("cannot read the log: {error}"))?;
        let marked = look.find.as_deref().and_then(|text| Pattern::parse(text).ok());
        seen.rows = lines.iter().map(|line| row(line, marked.as_ref())).collect();
        seen.begun = self.store.window(0, 1).ok().and_then(|lines| lines.first()?.time);
        seen.found = self.find.as_ref().map(|find| {
            let cursor = match seen.arrived {
                Arrived::At(row) => row,
                _ => look.cursor,
            };
            let before = self.line_of(cursor).map_or(0, |line| find.scan.place_of(line));
            Found { count: find.scan.count(), before, running: find.scan.is_running() }
        });
        let mut searches = [&self.filter, &self.find, &self.problems].into_iter().flatten();
        searches.find_map(|search| search.scan.failure()).map_or(Ok(()), Err)
    }

    /// Rows: lines that the filter takes, and those around them.
    fn count(&mut self) -> usize {
        let Some(filter) = &self.filter else { return self.store.len() };
        if filter.scan.filter().around == 0 {
            return filter.scan.count();
        }
        let known = (filter.scan.count(), self.store.len());
        if (self.around.0, self.around.1) != known {
            self.around = (known.0, known.1, filter.scan.shown(known.1));
        }
        self.around.2.len()
    }

    /// The lines that are rows `first` to `first + count`.
    fn lines(&self, first: usize, count: usize) -> io::Result<Vec<LogLine>> {
        match &self.filter {
            None => self.store.window(first, count),
            Some(filter) if filter.scan.filter().around == 0 => self.store.lines(&filter.scan.slice(first, count)),
            Some(_) => {
                let rows = &self.around.2;
                let last = first.saturating_add(count).min(rows.len());
                self.store.lines(&rows[first.min(last)..last])
            }
        }
    }

    /// The line of the file that is this row.
    fn line_of(&self, row: usize) -> Option<usize> {
        match &self.filter {
            None => (row < self.store.len()).then_some(row),
            Some(filter) if filter.scan.filter().around == 0 => filter.scan.slice(row, 1).first().copied(),
            Some(_) => self.around.2.get(row).copied(),
        }
    }

    /// The row of a line of the file, or of the next one that is shown.
    fn row_of(&self, line: usize) -> usize {
        match &self.filter {
            None => line,
            Some(filter) if filter.scan.filter().around == 0 => filter.scan.place_of(line),
            Some(_) => self.around.2.partition_point(|row| *row < line),
        }
    }

    fn go(&mut self, goto: &Goto, more: bool, tell: &Tell) -> Arrived {
        let scanning = self.filter.as_ref().is_some_and(|filter| filter.scan.is_running());
        if let Goto::Found { from, .. } | Goto::Problem { from, .. } | Goto::Step { from, .. } = goto
            && scanning
            && self.line_of(*from).is_none()
        {
            // Nobody knows yet where one starts from.
            return Arrived::NotYet;
        }
        if let Goto::Problem { .. } = goto
            && search_for(&mut self.problems, &self.store, "", tell, |_| Ok(Filter::having(Pattern::problems())))
                .is_err()
        {
            return Arrived::Never;
        }
        let at = |row: usize| self.line_of(row).unwrap_or_else(|| self.store.len());
        // All must have been looked through: what lies before what was found so far is not known yet.
        let scanned = |search: Option<&Search>, from: usize, back: bool| {
            let Some(search) = search else { return Arrived::Never };
            if search.scan.is_running() || more {
                return Arrived::NotYet;
            }
            let found = if back { search.scan.previous(at(from)) } else { search.scan.next(at(from)) };
            found.map_or(Arrived::Never, Arrived::At)
        };
        let steps = self.store.steps();
        let line = match goto {
            Goto::Line(line) => Arrived::At(*line),
            Goto::Found { from, back } => scanned(self.find.as_ref(), *from, *back),
            Goto::Problem { from, back } => scanned(self.problems.as_ref(), *from, *back),
            Goto::Step { from, back: true } => {
                let before = steps.iter().rev().find(|step| step.line < at(*from));
                before.map_or(Arrived::Never, |step| Arrived::At(step.line))
            }
            Goto::Step { from, back: false } => {
                steps.iter().find(|step| step.line > at(*from)).map_or(Arrived::Never, |step| Arrived::At(step.line))
            }
            Goto::StepAt(index) => {
                let begun = steps.iter().rev().find(|step| step.index == *index);
                begun.map_or(Arrived::Never, |step| Arrived::At(step.line))
            }
        };
        let Arrived::At(line) = line else { return line };
        let row = self.row_of(line);
        if more || (scanning && self.line_of(row).is_none()) { Arrived::NotYet } else { Arrived::At(row) }
    }

    /// Writes the lines that the filter takes, once it has looked at all.
    pub(super) fn write(&mut self, filter: Option<&str>, to: &mut impl Write) -> io::Result<usize> {
        while self.store.grow(AT_A_TIME)? {}
        let (sender, receiver) = channel();
        let tell: Tell = Arc::new(move || _ = sender.send(()));
        self.filter = None;
        search(&mut self.filter, &self.store, filter, &tell).map_err(io::Error::other)?;
        // It tells once more when it has ended.
        while self.filter.as_ref().is_some_and(|search| search.scan.is_running()) && receiver.recv().is_ok() {}
        let written = self.write_rows(to);
        // The next look is told of by its own means.
        self.filter = None;
        written
    }

    fn write_rows(&mut self, to: &mut impl Write) -> io::Result<usize> {
        let count = self.count();
        let mut to = io::BufWriter::new(to);
        for first in (0..count).step_by(BATCH) {
            for line in self.lines(first, BATCH)? {
                writeln!(to, "{}", ansi::plain(&line.text))?;
            }
        }
        to.flush()?;
        Ok(count)
    }
}

/// Keeps the search that is wanted, and lets it go on where the log has grown.
fn search(search: &mut Option<Search>, store: &LogStore, text: Option<&str>, tell: &Tell) -> Result<(), String> {
    let Some(text) = text else {
        *search = None;
        return Ok(());
    };
    search_for(search, store, text, tell, |text| Filter::parse(text).map_err(|error| crate::error::chain(&error)))
}

fn search_for(
    search: &mut Option<Search>,
    store: &LogStore,
    text: &str,
    tell: &Tell,
    make: impl Fn(&str) -> Result<Filter, String>,
) -> Result<(), String> {
    match search {
        Some(known) if known.text == text => known.scan.grow(store),
        _ => {
            *search = None;
            let scan = Scan::start(store, make(text)?, 0, tell.clone());
            *search = Some(Search { text: text.to_owned(), scan });
        }
    }
    Ok(())
}

fn having(text: &str) -> Result<Filter, String> {
    Pattern::parse(text).map(Filter::having).map_err(|error| crate::error::chain(&error))
}

fn row(line: &LogLine, marked: Option<&Pattern>) -> Row {
    let pieces = ansi::pieces(&line.text);
    let hits = marked.map_or_else(Vec::new, |pattern| {
        pattern.find_in(&pieces.iter().map(|piece| piece.text.as_str()).collect::<String>())
    });
    Row { number: line.number, time: line.time, source: line.source, pieces, hits, left_out: line.left_out }
}
