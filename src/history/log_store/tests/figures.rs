//! How long a log of a million lines takes to open, to read and to search. Run by `tests/long/logs`.

use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::LogStore;
use super::super::pattern::{Filter, Pattern};
use super::super::scan::Scan;

const LINES: usize = 1_000_000;

/// The least of several tries: what the work takes when nothing else is in the way.
fn least(mut work: impl FnMut()) -> Duration {
    let time = |()| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    std::iter::repeat_n((), 5).map(time).min().unwrap_or_default()
}

fn scan(store: &LogStore, filter: &Filter, from: usize) -> (Option<Duration>, Duration, usize) {
    let (sender, receiver) = mpsc::channel();
    let began = Instant::now();
    let scan = Scan::start(store, filter.clone(), from, Arc::new(move || _ = sender.send(())));
    let mut first = None;
    while scan.is_running() {
        receiver.recv().unwrap();
        if first.is_none() && scan.count() > 0 {
            first = Some(began.elapsed());
        }
    }
    (first, began.elapsed(), scan.count())
}

#[test]
#[ignore = "prints figures: run by tests/long/logs"]
fn a_million_lines() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut out = BufWriter::new(&mut file);
    for line in 0..LINES {
        let text = match line % 5000 {
            0 => format!(">>> step {}: shell", line / 5000 + 1),
            17 => "err \x1b[33mW:\x1b[0m Some index files failed to download.".to_owned(),
            _ => format!(
                "out Get:{line} http://deb.example.org/debian bookworm/main amd64 package-{line} [{} kB]",
                line % 977
            ),
        };
        writeln!(out, "2026-11-02T10:15:30.250Z {text}").unwrap();
    }
    out.flush().unwrap();
    drop(out);
    let mut said =
        format!("{:<52} {LINES:>9} lines {:>7} kB\n", "log", file.as_file().metadata().unwrap().len() / 1000);
    let mut say = |what: &str, took: Duration, note: &str| {
        use std::fmt::Write as _;
        writeln!(said, "{what:<52} {:>9.2} ms    {note}", took.as_secs_f64() * 1000.0).unwrap();
    };
    let open = least(|| drop(black_box(LogStore::open(file.path()).unwrap())));
    say("open and index", open, "");
    let store = LogStore::open(file.path()).unwrap();
    assert_eq!((store.len(), store.steps().len()), (LINES, LINES / 5000));
    for first in [0, LINES / 2 + 63, LINES - 50] {
        let took = least(|| assert_eq!(black_box(store.window(first, 50).unwrap()).len(), 50));
        say(&format!("50 lines at {first}"), took, "");
    }
    for text in ["package-999999", "PACKAGE-5", "/package-\\d*77\\b/", "!Get: +2"] {
        let filter = Filter::parse(text).unwrap();
        let (first, all, count) = scan(&store, &filter, LINES / 2);
        let first =
            first.map_or_else(String::new, |first| format!(", the first after {:.2} ms", first.as_secs_f64() * 1000.0));
        say(&format!("search {text}"), all, &format!("{count} lines{first}"));
        let whole = scan(&store, &filter, 0);
        assert_eq!(whole.2, count);
    }
    let (_, all, count) = scan(&store, &Filter::having(Pattern::problems()), LINES / 2);
    say("errors and warnings", all, &format!("{count} lines"));
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}
