//! `larder ps` and `larder cleanup`: what runs have on the machine, and what dead ones left behind.

use std::path::Path;

use super::args::{CleanupArgs, PsArgs};
use super::console::Console;
use crate::error::{Error, Result};
use crate::guest::reap;
use crate::guest::record::Run;
use crate::output::text::table;

/// Lists the runs below `runs`.
pub(super) fn ps(args: &PsArgs, runs: &Path, console: &Console) -> Result<()> {
    let found = reap::list(runs)?;
    if args.json.json {
        let found: Vec<_> = found.iter().map(as_json).collect();
        return console.json(&found);
    }
    if found.is_empty() {
        console.note("No runs under way, and nothing left behind.");
        return Ok(());
    }
    let mut rows = vec![["run", "state", "pid", "what", "left"].map(str::to_owned).to_vec()];
    for run in &found {
        let state = if run.live { "running" } else { "dead" };
        rows.push(vec![run.id.clone(), state.to_owned(), run.pid.to_string(), run.what.clone(), holdings(run)]);
    }
    for line in table(&rows, &[2]) {
        console.line(&line)?;
    }
    for run in found.iter().filter(|run| !run.notes.is_empty()) {
        console.note(&format!("{}:", run.id));
        run.notes.iter().for_each(|note| console.note(&format!("  {note}")));
    }
    if found.iter().any(|run| !run.live) {
        console.note("hint: `larder cleanup` removes what dead runs left behind");
    }
    Ok(())
}

fn holdings(run: &Run) -> String {
    let processes = run.processes.iter().map(|(pid, role)| format!("{role} (process {pid})"));
    let trees = run.trees.iter().map(|tree| tree.display().to_string());
    let all: Vec<_> = processes.chain(trees).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

fn as_json(run: &Run) -> serde_json::Value {
    serde_json::json!({
        "id": run.id,
        "live": run.live,
        "pid": run.pid,
        "what": run.what,
        "processes": run.processes.iter().map(|(pid, role)| serde_json::json!({ "pid": pid, "role": role })).collect::<Vec<_>>(),
        "trees": run.trees,
        "notes": run.notes,
    })
}

/// Removes what dead runs left behind. Runs under way are never touched.
pub(super) fn cleanup(args: &CleanupArgs, runs: &Path, console: &Console) -> Result<()> {
    let found = reap::list(runs)?;
    if let Some(unknown) = args.runs.iter().find(|id| !found.iter().any(|run| run.id == **id)) {
        return Err(Error::new(format!("there is no run {unknown}")).hint("`larder ps` lists them"));
    }
    if let Some(live) = found.iter().find(|run| run.live && args.runs.contains(&run.id)) {
        return Err(Error::new(format!("the run {} is under way (process {})", live.id, live.pid))
            .hint("end it with Ctrl-C, or `kill` its process; it then cleans up by itself"));
    }
    let chosen = |run: &&Run| !run.live && (args.runs.is_empty() || args.runs.contains(&run.id));
    let dead: Vec<_> = found.iter().filter(chosen).collect();
    if dead.is_empty() {
        console.note("Nothing to clean up.");
        return Ok(());
    }
    let mut failed = None;
    for run in dead {
        if args.dry_run {
            console.line(&format!("{}: {}", run.id, holdings(run)))?;
            continue;
        }
        match reap::cleanup(run) {
            Ok(_) => console.line(&format!("{}: removed {}", run.id, holdings(run)))?,
            Err(error) => {
                console.error(&error);
                failed = Some(run.id.clone());
            }
        }
    }
    match failed {
        None => Ok(()),
        Some(run) => Err(Error::new(format!("not everything of the run {run} could be removed"))
            .hint("what is left is still listed by `larder ps`; mend the cause above and clean up again")),
    }
}
