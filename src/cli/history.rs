//! `larder history`: earlier runs, one of them in detail, and two side by side.

mod detail;
mod side_by_side;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::args::{HistoryArgs, HistoryCommand};
use super::console::Console;
use super::session::StateDirs;
use super::settings::Settings;
use super::template::Ready;
use crate::engine::ui::duration;
use crate::error::{Error, Result};
use crate::event::Ending;
use crate::guest::reap;
use crate::history::record::Record;
use crate::history::recorder::{Recording, digest};
use crate::history::run::{Downloads, Run};
use crate::history::run_store::RunStore;
use crate::output::text::{bytes, table};

/// What of a run its recorder has to be told.
pub(super) fn recording(settings: &Settings, template: &Path, ready: &Ready) -> Recording {
    let path = if template == Path::new("-") { None } else { template.canonicalize().ok() };
    Recording {
        state: settings.state_dir.value.clone(),
        template: path.unwrap_or_else(|| template.to_owned()).display().to_string(),
        template_digest: digest(ready.sources.files_read()),
        keep: settings.history_keep.value,
    }
}

/// Runs the command.
pub(super) fn run(args: &HistoryArgs, settings: &Settings, console: &Console) -> Result<()> {
    let Some(store) = RunStore::open_to_read(&settings.state_dir.value)? else {
        return none(args, settings, console);
    };
    let live = live(&StateDirs::of(settings).runs);
    match (&args.command, &args.run) {
        (Some(HistoryCommand::Diff(args)), _) => side_by_side::show(args, &store, console),
        (Some(HistoryCommand::Record(args)), _) => super::record::show(args, settings, console),
        (None, Some(id)) => {
            let run = store.run(id)?;
            if args.json.json {
                return console.json(&as_json(&run, &live));
            }
            let record = Record::read(&settings.state_dir.value, &run.id).ok().flatten();
            detail::show(&run, state(&run, &live), record.as_ref(), args.sort, console)
        }
        (None, None) => list(args, &store, &live, console),
    }
}

/// Nothing was ever recorded.
fn none(args: &HistoryArgs, settings: &Settings, console: &Console) -> Result<()> {
    match (&args.command, &args.run) {
        (Some(HistoryCommand::Record(args)), _) => super::record::show(args, settings, console),
        (Some(HistoryCommand::Diff(args)), _) => Err(no_run(&args.a)),
        (None, Some(id)) => Err(no_run(id)),
        (None, None) if args.json.json => console.json(&json!([])),
        (None, None) => {
            console.note("No runs yet.");
            Ok(())
        }
    }
}

fn no_run(id: &str) -> Error {
    Error::new(format!("there is no run {id}: none was recorded yet")).hint("`larder build` records its runs")
}

/// Ids of the runs under way. That they are shown as such is not worth failing for.
fn live(runs: &Path) -> BTreeSet<String> {
    let found = reap::list(runs).unwrap_or_default();
    found.into_iter().filter(|run| run.live).map(|run| run.id).collect()
}

/// How a run stands, in words.
fn state(run: &Run, live: &BTreeSet<String>) -> &'static str {
    match run.ending {
        Some(ending) => ending.as_str(),
        None if live.contains(&run.id) => "running",
        None => "ended early",
    }
}

fn as_json(run: &Run, live: &BTreeSet<String>) -> serde_json::Value {
    let mut value = json!(run);
    value["live"] = json!(run.ending.is_none() && live.contains(&run.id));
    value
}

fn list(args: &HistoryArgs, store: &RunStore, live: &BTreeSet<String>, console: &Console) -> Result<()> {
    let runs = store.runs(args.template.as_deref(), args.count)?;
    if args.json.json {
        return console.json(&runs.iter().map(|run| as_json(run, live)).collect::<Vec<_>>());
    }
    if runs.is_empty() {
        console.note("No such runs.");
        return Ok(());
    }
    let head = ["run", "began", "template", "builds", "ended", "took", "upstream", "hits"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for run in &runs {
        let downloads = run.downloads();
        rows.push(vec![
            run.id.clone(),
            began(run.started),
            run.template_name().to_owned(),
            builds(run),
            state(run, live).to_owned(),
            took(run.seconds),
            match downloads.all() {
                sums if sums.requests == 0 => "-".to_owned(),
                sums => bytes(sums.bytes_upstream),
            },
            hits(&downloads),
        ]);
    }
    table(&rows, &[5, 6, 7]).iter().try_for_each(|line| console.line(line))
}

/// The builds of a run: the name of one, the number of several, and how many failed of them.
fn builds(run: &Run) -> String {
    let failed = run.builds.iter().filter(|build| build.ending == Some(Ending::Failed)).count();
    match (run.builds.as_slice(), failed) {
        ([one], _) => one.name.clone(),
        (all, 0) => all.len().to_string(),
        (all, failed) => format!("{}, {failed} failed", all.len()),
    }
}

fn began(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn took(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| duration(Duration::from_secs_f64(seconds.max(0.0))))
}

fn hits(downloads: &Downloads) -> String {
    downloads.hit_ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{:.0}%", (ratio * 100.0).floor()))
}
