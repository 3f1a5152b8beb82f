//! Two runs side by side.

use serde_json::json;

use super::{began, took};
use crate::cli::args::HistoryDiffArgs;
use crate::cli::console::Console;
use crate::error::Result;
use crate::event::Ending;
use crate::history::compare::{BuildPair, Facts, compare};
use crate::history::run_store::RunStore;
use crate::output::text::{bytes, printable, table};

/// Prints how two runs differ.
pub(super) fn show(args: &HistoryDiffArgs, store: &RunStore, console: &Console) -> Result<()> {
    let (a, b) = (store.run(&args.a)?, store.run(&args.b)?);
    let pairs = compare(&a, &b);
    if args.json.json {
        return console.json(&json!({ "a": a.id, "b": b.id, "builds": pairs }));
    }
    for (letter, run) in [("A", &a), ("B", &b)] {
        console.line(&format!("{letter}  {}  {}  {}", run.id, began(run.started), printable(&run.template)))?;
    }
    if a.template == b.template && a.template_digest != b.template_digest {
        console.line("The template, or its variables, changed in between.")?;
    }
    for pair in &pairs {
        console.line("")?;
        let head = [pair.name.as_str(), "A", "B", "B-A", "upstream A", "upstream B", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for step in &pair.steps {
            rows.push(row(&format!("  {}", printable(&step.name)), step.a, step.b));
        }
        rows.push(all(pair));
        table(&rows, &[1, 2, 3, 4, 5]).iter().try_for_each(|line| console.line(line))?;
    }
    Ok(())
}

fn all(pair: &BuildPair) -> Vec<String> {
    row("  in all", pair.a, pair.b)
}

fn row(name: &str, a: Option<Facts>, b: Option<Facts>) -> Vec<String> {
    let seconds = |facts: Option<Facts>| facts.and_then(|facts| facts.seconds);
    let fetched = |facts: Facts| if facts.requests == 0 { "-".to_owned() } else { bytes(facts.bytes_upstream) };
    let upstream = |facts: Option<Facts>| facts.map_or_else(String::new, fetched);
    let time = |facts: Option<Facts>| facts.map_or_else(String::new, |facts| took(facts.seconds));
    let longer = seconds(a).zip(seconds(b)).map(|(a, b)| change(b - a)).unwrap_or_default();
    vec![name.to_owned(), time(a), time(b), longer, upstream(a), upstream(b), note(a, b)]
}

/// A difference of times, with its sign.
fn change(seconds: f64) -> String {
    if seconds.abs() < 0.05 {
        return "=".to_owned();
    }
    format!("{}{}", if seconds < 0.0 { "-" } else { "+" }, took(Some(seconds.abs())))
}

/// What else is to be said of a pair.
fn note(a: Option<Facts>, b: Option<Facts>) -> String {
    let ended = |facts: Facts| match facts.ending {
        Some(Ending::Succeeded) => None,
        Some(ending) => Some(ending.as_str()),
        None => Some("did not end"),
    };
    match (a, b) {
        (None, _) => "only in B".to_owned(),
        (_, None) => "only in A".to_owned(),
        (Some(a), Some(b)) => {
            let said = [("A", ended(a)), ("B", ended(b))];
            let said = said.iter().filter_map(|(letter, word)| word.map(|word| format!("{letter} {word}")));
            said.collect::<Vec<_>>().join(", ")
        }
    }
}
