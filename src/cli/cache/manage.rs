//! Stored answers chosen by URL: removed, pinned, checked.

use larder_proxy::inspect::{Dropped, Soundness, Target};
use larder_proxy::store::{Entry, Store};
use serde_json::json;

use super::{read, shown};
use crate::cli::args::{CacheChosenArgs, CachePinArgs, CacheRmArgs};
use crate::cli::console::Console;
use crate::error::{Error, Exit, Result};
use crate::output::text::{bytes, printable};

pub(super) fn rm(args: &CacheRmArgs, store: &Store, console: &Console) -> Result<()> {
    let mut sum = Dropped::default();
    let missing = each(&args.chosen, store, |target| {
        let dropped = store
            .remove(target, args.dry_run)
            .map_err(|error| shown("cannot remove from the cache".to_owned(), error))?;
        sum.removed.entries += dropped.removed.entries;
        sum.removed.bytes += dropped.removed.bytes;
        sum.pinned += dropped.pinned;
        Ok(())
    })?;
    let (entries, freed) = (sum.removed.entries, sum.removed.bytes);
    if args.json.json {
        console.json(
            &json!({ "entries": entries, "bytes": freed, "pinned": sum.pinned, "missing": missing, "dry_run": args.dry_run }),
        )?;
    } else {
        let verb = if args.dry_run { "Would remove" } else { "Removed" };
        console.line(&format!("{verb} {}, {}", answers(entries), bytes(freed)))?;
        if sum.pinned > 0 {
            console.note(&format!("{} stay: pinned. `larder cache unpin` takes the pin out.", answers(sum.pinned)));
        }
    }
    complain(&missing)
}

pub(super) fn pin(args: &CachePinArgs, pinned: bool, store: &Store, console: &Console) -> Result<()> {
    let mut count = 0;
    let missing = each(&args.chosen, store, |target| {
        count += store
            .set_pinned(target, pinned)
            .map_err(|error| shown("cannot change the cache's index".to_owned(), error))?;
        Ok(())
    })?;
    if args.json.json {
        console.json(&json!({ "entries": count, "pinned": pinned, "missing": missing }))?;
    } else {
        console.line(&format!("{} {}", if pinned { "Pinned" } else { "Unpinned" }, answers(count)))?;
    }
    complain(&missing)
}

/// Reads the bodies of these URLs, and with `repair` removes what is not sound.
pub(super) fn verify(urls: &[String], repair: bool, json: bool, store: &Store, console: &Console) -> Result<()> {
    let chosen = CacheChosenArgs { urls: urls.to_vec(), recursive: false };
    let mut unsound = false;
    let missing = each(&chosen, store, |target| {
        for entry in store.find(target).map_err(read)? {
            let found = store.check(&entry).map_err(read)?;
            if found != Soundness::Sound {
                unsound = true;
                if repair {
                    store.forget_blob(&entry.digest).map_err(read)?;
                }
            }
            console_soundness(&entry, found, json, console)?;
        }
        Ok(())
    })?;
    complain(&missing)?;
    if unsound && !repair {
        return Err(Error::new("a stored body is not sound")
            .hint("`larder cache verify --repair URL` removes it; it is fetched again when it is asked for")
            .exit(Exit::Trace));
    }
    Ok(())
}

fn console_soundness(entry: &Entry, found: Soundness, json: bool, console: &Console) -> Result<()> {
    let word = match found {
        Soundness::Sound => "sound",
        Soundness::Damaged => "damaged",
        Soundness::Missing => "missing",
    };
    let (url, digest) = (&entry.draft.url, entry.digest.to_string());
    if json {
        return console.json(&json!({ "url": url, "digest": digest, "bytes": entry.size, "state": word }));
    }
    console.line(&format!("{word}: {}, sha256 {digest}, {}", printable(url), bytes(entry.size)))
}

/// Does `work` for each URL that is stored; returns those that are not.
fn each(chosen: &CacheChosenArgs, store: &Store, mut work: impl FnMut(&Target) -> Result<()>) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for url in &chosen.urls {
        let target = Target::parse(url, chosen.recursive).ok_or_else(|| {
            Error::new(format!("{url:?} is not a URL that can be cached")).hint("give an absolute http or https URL")
        })?;
        targets.push((url, target));
    }
    let mut missing = Vec::new();
    for (url, target) in targets {
        if store.find(&target).map_err(read)?.is_empty() {
            missing.push(url.clone());
        } else {
            work(&target)?;
        }
    }
    Ok(missing)
}

fn complain(missing: &[String]) -> Result<()> {
    let Some(first) = missing.first() else { return Ok(()) };
    let more =
        if missing.len() > 1 { format!(", nor {} more of those named", missing.len() - 1) } else { String::new() };
    Err(Error::new(format!("{} is not in the cache{more}", printable(first)))
        .hint("`larder cache ls TEXT` shows what is; --recursive means what lies below a URL, too"))
}

fn answers(count: u64) -> String {
    if count == 1 { "1 answer".to_owned() } else { format!("{count} answers") }
}
