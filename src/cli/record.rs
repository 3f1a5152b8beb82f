//! The record of what a run fetched: written at the run's end, and shown by `larder history record`.

use std::path::Path;

use super::args::HistoryRecordArgs;
use super::console::Console;
use super::settings::Settings;
use crate::engine::build_run::BuildOutcome;
use crate::engine::cancel::Cause;
use crate::error::{Error, Result};
use crate::event::Ending;
use crate::history::record::keeper::{About, Keeper};
use crate::history::record::{Egress, Incomplete, Record, RecordEntry};
use crate::history::recorder::digest;
use crate::history::run_store::RunStore;
use crate::output::text::{bytes, printable, table};
use crate::plan::Plan;
use crate::template::source_map::SourceMap;

/// What the flows of a run do not tell.
pub(super) fn about(
    settings: &Settings,
    run: &str,
    egress: Egress,
    sources: Option<&SourceMap>,
    cut_short: Vec<String>,
) -> About {
    let template = sources.map(|sources| format!("sha256:{}", digest(sources.files_read())));
    About {
        run: run.to_owned(),
        net: settings.net.value.as_str().to_owned(),
        egress,
        template_digest: template.and_then(|text| text.parse().ok()),
        cut_short,
        now: jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default(),
    }
}

/// Writes the record. That it cannot be written is no reason to fail: the image is what was asked for.
pub(super) fn write(keeper: &Keeper, about: About, settings: &Settings, console: &Console) {
    let record = keeper.finish(about);
    if let Err(error) = record.write(&settings.state_dir.value) {
        console.error(&error.hint("the run itself is not affected; it cannot be exported"));
    }
}

/// Whether commands run on this machine, where only settings lead them to the proxy.
pub(super) fn has_host_commands(plan: &Plan) -> bool {
    const KIND: &str = "shell-local";
    plan.builds.iter().any(|build| {
        build.provisioners.iter().chain(&build.error_cleanup).any(|block| block.kind == KIND)
            || build.post_processors.iter().flatten().any(|block| block.kind == KIND)
    })
}

/// Why what a run fetched is not all that it would have.
pub(super) fn cut_short(outcomes: &Result<Vec<BuildOutcome>>, cancelled: Option<&Cause>) -> Vec<String> {
    let cancelled = cancelled.map(|cause| format!("the run was {cause}"));
    let builds = match outcomes {
        Ok(outcomes) => outcomes.as_slice(),
        Err(_) if cancelled.is_some() => &[],
        Err(error) => return vec![format!("the run failed: {error}")],
    };
    let ended = builds.iter().filter(|build| build.ending != Ending::Succeeded);
    cancelled.into_iter().chain(ended.map(|build| format!("{} {}", build.name, build.ending.as_str()))).collect()
}

/// `larder history record`
pub(super) fn show(args: &HistoryRecordArgs, settings: &Settings, console: &Console) -> Result<()> {
    let state = &settings.state_dir.value;
    let run = resolve(state, &args.run)?;
    let record = Record::read(state, &run)?.ok_or_else(|| {
        Error::new(format!("the run {run} has no record of what it fetched"))
            .hint("it is still under way, was killed, or an older Larder ran it; run the build again to record it")
    })?;
    if args.json.json {
        return console.line(record.to_text()?.trim_end());
    }
    facts(&record).iter().try_for_each(|line| console.line(line))?;
    entries(&record.entries, console)?;
    gaps(&record.incomplete, console)
}

/// The whole id of a run: of a build, or of a command of `larder exec`, which has no history but its record.
pub(super) fn resolve(state: &Path, given: &str) -> Result<String> {
    let recorded = match RunStore::open_to_read(state)? {
        Some(store) => match store.run(given) {
            Ok(run) => return Ok(run.id),
            Err(error) => Some(error),
        },
        None => None,
    };
    let ids = std::fs::read_dir(state.join("logs")).into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| {
        !given.is_empty() && (id.starts_with(given) || id.ends_with(given)) && Record::path(state, id).is_file()
    });
    let mut ids: Vec<String> = ids.collect();
    match (ids.len(), recorded) {
        (1, _) => Ok(ids.remove(0)),
        (0, Some(error)) => Err(error),
        (0, None) => Err(Error::new(format!("there is no run {given}")).hint("`larder history` lists builds")),
        (count, _) => Err(Error::new(format!("{given} is the beginning or end of {count} runs: say more of it"))),
    }
}

fn facts(record: &Record) -> Vec<String> {
    let size: u64 = record.entries.iter().filter_map(|entry| entry.size).sum();
    let credentials = record.entries.iter().filter(|entry| entry.auth).count();
    let complete = if record.complete { "yes".to_owned() } else { format!("no: {} gaps", record.incomplete.len()) };
    let mut facts = vec![
        ("run", record.run.clone()),
        ("ended", record.captured_at.to_string()),
        ("net", record.net.clone()),
        ("egress", record.egress.as_str().to_owned()),
        ("complete", complete),
        ("entries", format!("{}, {}", record.entries.len(), bytes(size))),
    ];
    if credentials > 0 {
        facts.push(("private", format!("{credentials} fetched with credentials")));
    }
    let rows: Vec<Vec<String>> = facts.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    table(&rows, &[])
}

fn entries(entries: &[RecordEntry], console: &Console) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    console.line("")?;
    let mut rows = vec![["status", "kind", "size", "url"].map(str::to_owned).to_vec()];
    for entry in entries {
        let size = entry.size.map_or_else(|| "-".to_owned(), bytes);
        let auth = if entry.auth { " (with credentials)" } else { "" };
        let to = entry.location.as_ref().map(|to| format!(" -> {to}")).unwrap_or_default();
        let url = printable(&format!("{}{to}{auth}", entry.url));
        rows.push(vec![entry.status.to_string(), entry.kind.as_str().to_owned(), size, url]);
    }
    table(&rows, &[2]).iter().try_for_each(|line| console.line(line))
}

fn gaps(gaps: &[Incomplete], console: &Console) -> Result<()> {
    if gaps.is_empty() {
        return Ok(());
    }
    console.line("")?;
    console.line("Not to be repeated offline:")?;
    for gap in gaps {
        let request: Vec<&str> = gap.method.iter().chain(&gap.url).map(String::as_str).collect();
        let colon = if request.is_empty() { "" } else { ": " };
        console.line(&printable(&format!("  {}{colon}{}", request.join(" "), gap.why)))?;
    }
    Ok(())
}
