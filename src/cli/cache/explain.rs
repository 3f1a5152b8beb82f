//! `larder cache explain`: why a URL is answered as it is.

use std::time::{Duration, SystemTime};

use larder_proxy::inspect::{Detail, Explanation, Variant};
use larder_proxy::rules::{Nature, Rules};
use larder_proxy::store::{Entry, Store};
use serde_json::{Value, json};

use super::{read, times, timestamp};
use crate::cli::args::CacheExplainArgs;
use crate::cli::console::Console;
use crate::engine::ui::duration;
use crate::error::{Error, Result};
use crate::output::text::{bytes, printable};

pub(super) fn explain(args: &CacheExplainArgs, rules: &Rules, store: &Store, console: &Console) -> Result<()> {
    let now = SystemTime::now();
    let found = store.explain(&args.url, rules, now).map_err(read)?;
    let Some(explanation) = found else {
        return Err(Error::new(format!("{} is not a URL that can be cached", args.url))
            .hint("give an absolute http or https URL"));
    };
    if args.json.json {
        return console.json(&as_json(&explanation));
    }
    let mut lines = about(&explanation, now);
    for (index, (variant, detail)) in explanation.variants.iter().zip(&explanation.details).enumerate() {
        lines.push(String::new());
        lines.extend(of_variant(index, variant, detail, explanation.promised.is_some()));
    }
    lines.iter().try_for_each(|line| console.line(&printable(line)))
}

fn about(explanation: &Explanation, now: SystemTime) -> Vec<String> {
    let verdict = &explanation.verdict;
    let ago = |time: SystemTime| duration(now.duration_since(time).unwrap_or_default());
    let mut lines = vec![format!("key: {}", explanation.key)];
    if explanation.signed {
        lines.push(format!("  not part of it: {}", explanation.dropped.join(", ")));
    }
    lines.push(format!("rule: {} ({}, {})", verdict.rule, verdict.class.as_str(), verdict.nature.as_str()));
    if let Some(by) = &explanation.promised {
        lines.push(format!("promised: {} {}", by.promised.name(), by.promised.hex));
        lines.push(match &by.index {
            None => "  by the URL".to_owned(),
            Some((index, at)) => format!("  by {index}, read {} ago", ago(*at)),
        });
    }
    lines.push(match &explanation.last {
        Some((outcome, at, why)) => format!("last request: {outcome}, {} ago: {why}", ago(*at)),
        None => "last request: none that is remembered".to_owned(),
    });
    let next = &explanation.next;
    lines.push(format!("next request: {}: {}", next.outcome, next.why));
    lines.push(format!("  Cache-Status: {}", next.cache_status));
    lines.push(match explanation.variants.len() {
        0 => "stored: nothing".to_owned(),
        1 => "stored: one variant".to_owned(),
        count => format!("stored: {count} variants"),
    });
    lines
}

fn of_variant(index: usize, variant: &Variant, detail: &Detail, promised: bool) -> Vec<String> {
    let entry = &variant.entry;
    let pinned = if entry.pinned { ", pinned" } else { "" };
    let (status, size) = (entry.draft.status, bytes(entry.size));
    let mut lines = vec![
        format!("variant {}: status {status}, {size}, served {}{pinned}", index + 1, times(entry.uses)),
        format!("  sha256 {}", entry.digest),
    ];
    lines.extend((!detail.present).then(|| "  its body is damaged or missing".to_owned()));
    lines.extend(promised.then(|| match detail.kept {
        Some(true) => "  its body has the promised digest".to_owned(),
        Some(false) => "  its body does NOT have the promised digest".to_owned(),
        None => "  whether its body has the promised digest cannot be told".to_owned(),
    }));
    if let Some(part) = entry.draft.part {
        let last = (part.from + entry.size).saturating_sub(1);
        lines.push(format!("  a part: bytes {}-{last} of {}", part.from, part.total));
    }
    for (name, value) in &entry.draft.vary {
        // What stands for a credential says nothing to anybody.
        let value = value.as_deref().unwrap_or("(none)");
        let value = if value.starts_with("hmac-") { "(one client's)" } else { value };
        lines.push(format!("  only for {name}: {value}"));
    }
    let age = duration(Duration::from_secs(variant.age));
    // What never changes has no use for a lifetime.
    if detail.nature == Nature::Immutable {
        lines.push(format!("  freshness: {}; {age} old", detail.basis));
    } else {
        let lifetime = duration(Duration::from_secs(variant.lifetime));
        lines.push(format!("  freshness: for {lifetime} ({}), {age} old", detail.basis));
    }
    let next = if variant.usable { "served as it is" } else { "upstream is asked first" };
    lines.push(format!("  a request now: {next} ({})", variant.why));
    let offline = if detail.outlives_upstream { "served all the same" } else { "not served" };
    lines.push(format!("  without upstream: {offline}"));
    lines.extend(provenance(entry, detail));
    lines
}

fn provenance(entry: &Entry, detail: &Detail) -> Vec<String> {
    let draft = &entry.draft;
    let from = &draft.provenance;
    let mut lines = Vec::new();
    if let Some(stored) = detail.stored {
        lines.push(format!("  body stored: {}", timestamp(stored)));
    }
    lines.push(format!("  fetched or confirmed: {}", timestamp(draft.responded)));
    for (what, text) in [
        ("by build", from.build.as_deref()),
        ("in step", from.step.as_deref()),
        ("by way of", from.route.as_deref()),
        ("from", from.source.as_deref()),
        ("filed by rule", from.rule.as_deref()),
    ] {
        lines.extend(text.map(|text| format!("  {what}: {text}")));
    }
    lines.extend(from.run.map(|run| format!("  in the run of: {}", timestamp(run))));
    lines
}

fn as_json(explanation: &Explanation) -> Value {
    let verdict = &explanation.verdict;
    let promised = explanation.promised.as_ref().map(|by| {
        json!({
            "algorithm": by.promised.name(), "digest": by.promised.hex, "size": by.size,
            "index": by.index.as_ref().map(|(url, _)| url), "learnt": by.index.as_ref().map(|(_, at)| timestamp(*at)),
        })
    });
    let variants = explanation.variants.iter().zip(&explanation.details).map(|(variant, detail)| of(variant, detail));
    json!({
        "key": explanation.key,
        "dropped": explanation.dropped,
        "rule": { "name": verdict.rule, "class": verdict.class, "nature": verdict.nature.as_str() },
        "promised": promised,
        "last": explanation.last.as_ref().map(|(outcome, at, why)| {
            json!({ "outcome": outcome, "at": timestamp(*at), "why": why })
        }),
        "next": {
            "outcome": explanation.next.outcome, "why": explanation.next.why, "variant": explanation.next.variant,
            "cache_status": explanation.next.cache_status,
        },
        "variants": variants.collect::<Vec<_>>(),
    })
}

fn of(variant: &Variant, detail: &Detail) -> Value {
    let entry = &variant.entry;
    let draft = &entry.draft;
    let from = &draft.provenance;
    let vary: serde_json::Map<String, Value> =
        draft.vary.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
    json!({
        "status": draft.status, "bytes": entry.size, "digest": entry.digest.to_string(), "uses": entry.uses,
        "pinned": entry.pinned, "last_used": timestamp(entry.last_used), "vary": vary, "present": detail.present,
        "part": draft.part.map(|part| json!({ "from": part.from, "total": part.total })),
        "promised_digest": detail.kept, "nature": detail.nature.as_str(), "lifetime": variant.lifetime,
        "age": variant.age, "basis": detail.basis, "usable": variant.usable, "why": variant.why,
        "without_upstream": detail.outlives_upstream, "responded": timestamp(draft.responded),
        "stored": detail.stored.map(timestamp),
        "provenance": {
            "run": from.run.map(timestamp), "build": from.build, "step": from.step, "route": from.route,
            "source": from.source, "rule": from.rule,
        },
    })
}
