//! `larder cache`: what is stored, whether it is sound, and making room.

mod explain;
mod list;
mod manage;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use larder_proxy::inspect::{Limits, Report};
use larder_proxy::store::{Damage, Store, StoreError};
use serde_json::json;

use super::args::{CacheCommand, CacheGcArgs, CacheVerifyArgs, JsonArgs};
use super::console::Console;
use super::proxy_config::rules;
use super::settings::{Settings, parse_bytes, parse_seconds};
use crate::error::{Error, Exit, Result};
use crate::output::text::{bytes, printable, table};

/// Runs a subcommand.
pub(super) fn run(command: &CacheCommand, settings: &Settings, console: &Console) -> Result<()> {
    let dir = &settings.cache_dir.value;
    let open = || Store::open(dir).map_err(|error| shown(format!("cannot open the cache at {}", dir.display()), error));
    match command {
        CacheCommand::Ls(args) => list::ls(args, &rules(settings)?, &open()?, console),
        CacheCommand::Stats(args) => stats(args, &open()?, console),
        CacheCommand::Verify(args) if !args.urls.is_empty() => {
            manage::verify(&args.urls, args.repair, args.json.json, &open()?, console)
        }
        CacheCommand::Verify(args) => verify(args, dir, console),
        CacheCommand::Rm(args) => manage::rm(args, &open()?, console),
        CacheCommand::Pin(args) => manage::pin(args, true, &open()?, console),
        CacheCommand::Unpin(args) => manage::pin(args, false, &open()?, console),
        CacheCommand::Gc(args) => gc(args, settings, &open()?, console),
        CacheCommand::Explain(args) => explain::explain(args, &rules(settings)?, &open()?, console),
    }
}

fn shown(what: String, error: StoreError) -> Error {
    let hint = error.hint();
    let shown = Error::new(what).caused_by(error);
    if hint.is_empty() { shown } else { shown.hint(hint) }
}

fn read(error: StoreError) -> Error {
    shown("cannot read the cache".to_owned(), error)
}

fn stats(args: &JsonArgs, store: &Store, console: &Console) -> Result<()> {
    let stats = store.stats().map_err(read)?;
    let damage = store.damage().map_err(read)?;
    if args.json {
        let classes: Vec<_> = stats
            .classes
            .iter()
            .map(|(class, entries, bytes)| json!({ "class": class, "entries": entries, "bytes": bytes }))
            .collect();
        return console.json(&json!({
            "entries": stats.entries, "blobs": stats.blobs, "bytes": stats.bytes, "uses": stats.uses, "classes": classes,
            "damage": damage.iter().map(|(kind, times, last)| json!({
                "kind": kind.as_str(), "times": times, "last": timestamp(*last),
            })).collect::<Vec<_>>(),
        }));
    }
    console.line(&format!("{}", store.root().display()))?;
    console.line(&format!(
        "{} answers, {} bodies of {}, served {}",
        stats.entries,
        stats.blobs,
        bytes(stats.bytes),
        times(stats.uses)
    ))?;
    let mut rows = Vec::new();
    for (class, entries, size) in &stats.classes {
        rows.push(vec![class.as_str().to_owned(), entries.to_string(), bytes(*size)]);
    }
    table(&rows, &[1, 2]).iter().try_for_each(|line| console.line(line))?;
    damage.iter().try_for_each(|(kind, found, last)| {
        let what = match kind {
            Damage::Body => "a damaged or missing body",
            Damage::Row => "a damaged row of the index",
            Damage::Index => "a damaged index",
        };
        console.line(&format!("{what}: found and healed {}, last on {}", times(*found), timestamp(*last)))
    })
}

fn timestamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().round(jiff::Unit::Second).unwrap_or_default().to_string()
}

fn verify(args: &CacheVerifyArgs, dir: &Path, console: &Console) -> Result<()> {
    let report = larder_proxy::inspect::verify(dir, args.repair)
        .map_err(|error| shown(format!("cannot verify the cache at {}", dir.display()), error))?;
    if args.json.json {
        console.json(&json!({
            "sound": report.is_sound(), "blobs": report.blobs, "bytes": report.bytes, "damaged": report.damaged,
            "missing": report.missing, "unreferenced": report.unreferenced, "unknown": report.unknown,
            "leftover": report.leftover, "rows": report.rows, "index": report.index, "repaired": report.repaired,
        }))?;
    } else {
        verify_lines(&report, dir, console)?;
    }
    if report.is_sound() || report.repaired {
        return Ok(());
    }
    Err(Error::new("the cache is not sound")
        .hint("`larder cache verify --repair` removes what is not; it is fetched again when it is asked for")
        .exit(Exit::Trace))
}

/// Most findings of a kind that are shown one by one.
const SHOWN: usize = 10;

fn verify_lines(report: &Report, root: &Path, console: &Console) -> Result<()> {
    let paths = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string()).collect()
    };
    for (what, found) in [
        ("damaged", report.damaged.clone()),
        ("missing", report.missing.clone()),
        ("not a body", paths(&report.unknown)),
        ("body without an answer", paths(&report.unreferenced)),
        ("left by a killed process", paths(&report.leftover)),
    ] {
        if !found.is_empty() {
            console.line(&format!("{what}: {}", found.len()))?;
        }
        for name in found.iter().take(SHOWN) {
            console.line(&format!("  {}", printable(name)))?;
        }
        if found.len() > SHOWN {
            console.line(&format!("  and {} more", found.len() - SHOWN))?;
        }
    }
    if report.rows > 0 {
        console.line(&format!("damaged rows of the index: {}", report.rows))?;
    }
    if let Some(index) = &report.index {
        console.line(&format!("damaged index: {}", printable(index)))?;
    }
    let verdict = match (report.is_sound(), report.repaired) {
        (true, _) => "sound",
        (false, true) => "repaired",
        (false, false) => "not sound",
    };
    console.line(&format!("{} bodies, {} read: {verdict}", report.blobs, bytes(report.bytes)))
}

fn gc(args: &CacheGcArgs, settings: &Settings, store: &Store, console: &Console) -> Result<()> {
    let max_bytes = match &args.max_size {
        Some(text) => Some(parse_size(text, "--max-size")?),
        None => settings.cache_max_size.value,
    };
    let max_age = match &args.max_age {
        Some(text) => Some(parse_age(text)?),
        None => settings.cache_max_age.value,
    };
    let min_free = match &args.min_free {
        Some(text) => Some(parse_size(text, "--min-free")?),
        None => settings.cache_min_free.value,
    };
    if max_bytes.is_none() && max_age.is_none() && min_free.is_none() {
        return Err(Error::new("there is no limit to keep to").hint(
            "give --max-size, --max-age or --min-free, or set cache.max_size, cache.max_age or cache.min_free in the configuration",
        ));
    }
    let limits = Limits { max_bytes, max_age, min_free, dry_run: args.dry_run, ..Limits::default() };
    let removed = store
        .gc(&limits, SystemTime::now())
        .map_err(|error| shown("cannot make room in the cache".to_owned(), error))?;
    if args.json.json {
        return console.json(&json!({ "entries": removed.entries, "bytes": removed.bytes, "dry_run": args.dry_run }));
    }
    let verb = if args.dry_run { "Would remove" } else { "Removed" };
    console.line(&format!("{verb} {} answers, {}", removed.entries, bytes(removed.bytes)))
}

/// A size such as `500M` or `20G`: decimal units, with or without `B`; binary ones with `i`.
fn parse_size(text: &str, option: &str) -> Result<u64> {
    parse_bytes(text).map_err(|why| Error::new(format!("cannot use {option}: {why}")).hint("write it as 500M or 20G"))
}

/// An age such as `12h` or `30d`.
fn parse_age(text: &str) -> Result<Duration> {
    parse_seconds(text)
        .map(Duration::from_secs)
        .map_err(|_| Error::new(format!("cannot use --max-age: {text:?} is not a time")).hint("write it as 30d or 12h"))
}

fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
