//! `larder bundle inspect`: what a bundle says it holds.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use http::Uri;
use serde_json::json;

use super::{Terms, failed, signed, unsound};
use crate::bundle::budget::Limits;
use crate::bundle::import;
use crate::bundle::read::Contents;
use crate::cli::args::BundleInspectArgs;
use crate::cli::console::Console;
use crate::cli::settings::Settings;
use crate::error::Result;
use crate::history::record::{Kind, RecordEntry};
use crate::output::text::{bytes, printable, table};

/// Things that are listed one by one.
const SHOWN: usize = 20;

/// Answers, and the bytes of their bodies.
#[derive(Clone, Copy, Default)]
struct Sum {
    answers: u64,
    bytes: u64,
}

pub(super) fn run(args: &BundleInspectArgs, settings: &Settings, console: &Console) -> Result<()> {
    let never = AtomicBool::new(false);
    let terms = Terms { limits: Limits::default(), trusted: signed::trusted(&args.signature, settings)? };
    let (contents, faults) = import::inspect(&args.file, terms.watch(&never, &|_| {}))
        .map_err(|error| failed("inspect", &args.file, error))?;
    if !faults.is_empty() {
        return Err(unsound(&args.file, &faults, console));
    }
    if args.json.json { console.json(&as_json(&contents)) } else { lines(&contents, console) }
}

/// Sums over the entries, by what `of` says of each.
fn sums(contents: &Contents, of: impl Fn(&RecordEntry) -> String) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for entry in &contents.record.entries {
        let sum = sums.entry(of(entry)).or_default();
        sum.answers += 1;
        sum.bytes += entry.size.filter(|_| !matches!(entry.kind, Kind::Negative | Kind::Redirect)).unwrap_or(0);
    }
    sums
}

fn host(entry: &RecordEntry) -> String {
    let uri: Option<Uri> = entry.url.parse().ok();
    uri.and_then(|uri| uri.authority().map(ToString::to_string)).unwrap_or_default()
}

fn as_json(contents: &Contents) -> serde_json::Value {
    let record = &contents.record;
    let summed = |sums: BTreeMap<String, Sum>| -> serde_json::Value {
        sums.into_iter().map(|(name, sum)| (name, json!({ "answers": sum.answers, "bytes": sum.bytes }))).collect()
    };
    json!({
        "manifest": format!("sha256:{}", contents.manifest),
        "signature": signed::as_json(contents.signer.as_ref()),
        "answers": contents.arrivals.len(),
        "bodies": contents.bodies.len(),
        "bytes": contents.bodies.values().sum::<u64>(),
        "packed_bytes": contents.blobs,
        "egress": record.egress.as_str(),
        "complete": record.complete,
        "incomplete": record.incomplete,
        "captured_at": record.captured_at.to_string(),
        "run": record.run,
        "template_digest": record.template_digest.map(|digest| digest.to_string()),
        "template": contents.template,
        "private": record.entries.iter().filter(|entry| entry.auth).count(),
        "classes": summed(sums(contents, |entry| entry.class.as_str().to_owned())),
        "kinds": summed(sums(contents, |entry| entry.kind.as_str().to_owned())),
        "hosts": summed(sums(contents, host)),
        "entries": record.entries,
    })
}

fn lines(contents: &Contents, console: &Console) -> Result<()> {
    let record = &contents.record;
    console.line(&format!("bundle     sha256:{}", contents.manifest))?;
    let signed = contents.signer.as_ref().map_or_else(|| "not checked".to_owned(), ToString::to_string);
    console.line(&format!("signed     {signed}"))?;
    console.line(&format!("holds      {}, {} in the bundle", super::holds(contents), bytes(contents.blobs)))?;
    console.line(&format!("fetched    {}, by run {}", record.captured_at, printable(&record.run)))?;
    console.line(&format!("egress     {}", record.egress.as_str()))?;
    match &contents.template {
        Some(template) => {
            let files: Vec<&str> = template.files.keys().map(String::as_str).collect();
            console.line(&format!("template   {}", printable(&files.join(", "))))?;
            for (name, value) in &template.variables {
                console.line(&format!("  {} = {}", printable(name), printable(&value.to_string())))?;
            }
        }
        None => console.line("template   not in it")?,
    }
    let private = record.entries.iter().filter(|entry| entry.auth).count();
    if private > 0 {
        console.line(&format!("private    {private} answers were fetched with credentials"))?;
    }
    console.line(&format!("complete   {}", if record.complete { "yes" } else { "no" }))?;
    for lack in record.incomplete.iter().take(SHOWN) {
        let what = lack.url.as_deref().map(|url| format!("{url}: ")).unwrap_or_default();
        console.line(&format!("  {}", printable(&format!("{what}{}", lack.why))))?;
    }
    if record.incomplete.len() > SHOWN {
        console.line(&format!("  and {} more; --json lists all", record.incomplete.len() - SHOWN))?;
    }
    for (title, sums) in [
        ("class", sums(contents, |entry| entry.class.as_str().to_owned())),
        ("kind", sums(contents, |entry| entry.kind.as_str().to_owned())),
        ("host", sums(contents, host)),
    ] {
        let mut rows = vec![vec![title.to_owned(), "answers".to_owned(), "bytes".to_owned()]];
        rows.extend(
            sums.into_iter().map(|(name, sum)| vec![printable(&name), sum.answers.to_string(), bytes(sum.bytes)]),
        );
        console.line("")?;
        table(&rows, &[1, 2]).iter().try_for_each(|line| console.line(line))?;
    }
    Ok(())
}
