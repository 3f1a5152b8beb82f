//! `larder cache ls`: every stored answer, or sums by host and path.

use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use larder_proxy::inspect::{Filter, Folder};
use larder_proxy::rules::Rules;
use larder_proxy::store::Store;
use serde_json::json;

use super::read;
use crate::cli::args::CacheLsArgs;
use crate::cli::console::Console;
use crate::error::Result;
use crate::output::text::{bytes, printable, table};

pub(super) fn ls(args: &CacheLsArgs, rules: &Rules, store: &Store, console: &Console) -> Result<()> {
    let now = SystemTime::now();
    if args.tree {
        let stop = AtomicBool::new(false);
        let root = store.folders(args.filter.as_deref(), rules, now, &stop).map_err(read)?.unwrap_or_default();
        return tree(&root, args.json.json, console);
    }
    let filter = Filter { url: args.filter.clone(), ..Filter::default() };
    let entries = store.list(&filter).map_err(read)?;
    if args.json.json {
        for variant in entries {
            let variant = store.judged(variant, rules, now).map_err(read)?;
            let entry = &variant.entry;
            console.json(&json!({
                "url": entry.draft.url, "status": entry.draft.status, "class": entry.draft.class, "bytes": entry.size,
                "digest": entry.digest.to_string(), "uses": entry.uses, "last_used": timestamp(entry.last_used),
                "pinned": entry.pinned, "fresh": variant.usable, "why": variant.why,
            }))?;
        }
        return Ok(());
    }
    let mut rows = vec![["class", "status", "size", "uses", "state", "url"].map(str::to_owned).to_vec()];
    for variant in entries {
        let variant = store.judged(variant, rules, now).map_err(read)?;
        let entry = &variant.entry;
        let fresh = if variant.usable { "fresh" } else { "stale" };
        rows.push(vec![
            entry.draft.class.as_str().to_owned(),
            entry.draft.status.to_string(),
            bytes(entry.size),
            entry.uses.to_string(),
            if entry.pinned { format!("{fresh}, pinned") } else { fresh.to_owned() },
            printable(&entry.draft.url),
        ]);
    }
    table(&rows, &[1, 2, 3]).iter().try_for_each(|line| console.line(line))
}

fn tree(root: &Folder, json: bool, console: &Console) -> Result<()> {
    if json {
        return root.folders.iter().try_for_each(|folder| tree_json(folder, console));
    }
    let mut rows = vec![["entries", "size", "uses", "fresh", "pinned", "url"].map(str::to_owned).to_vec()];
    for folder in &root.folders {
        tree_rows(folder, 0, &mut rows);
    }
    table(&rows, &[0, 1, 2, 3, 4]).iter().try_for_each(|line| console.line(line))
}

fn tree_rows(folder: &Folder, depth: usize, rows: &mut Vec<Vec<String>>) {
    let sums = &folder.sums;
    rows.push(vec![
        sums.entries.to_string(),
        bytes(sums.bytes),
        sums.uses.to_string(),
        format!("{}%", sums.fresh * 100 / sums.entries.max(1)),
        sums.pinned.to_string(),
        format!("{}{}", "  ".repeat(depth), printable(&folder.name)),
    ]);
    for inner in &folder.folders {
        tree_rows(inner, depth + 1, rows);
    }
}

fn tree_json(folder: &Folder, console: &Console) -> Result<()> {
    let sums = &folder.sums;
    console.json(&json!({
        "prefix": folder.prefix, "entries": sums.entries, "own_entries": folder.own, "bytes": sums.bytes,
        "uses": sums.uses, "fresh": sums.fresh, "pinned": sums.pinned,
        "last_used": timestamp(larder_proxy::store::time_of(sums.last_used)),
    }))?;
    folder.folders.iter().try_for_each(|inner| tree_json(inner, console))
}

fn timestamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().to_string()
}
