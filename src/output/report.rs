//! The report at the end of a run: a line per build, artifacts, time per step, the proxy's totals.

use std::fmt::Write as _;
use std::time::Duration;

use larder_proxy::stats::{Sums, Totals};

use super::text::{bytes, printable, table};
use crate::engine::ui::duration;
use crate::event::summary::{BuildSummary, StepSummary, Summary};

/// The report, in lines of plain text.
pub fn render(summary: &Summary) -> String {
    let mut text = String::new();
    if summary.builds.is_empty() {
        return text;
    }
    text.push_str("\n==> Builds\n");
    for (name, build) in &summary.builds {
        build_lines(&mut text, name, build);
    }
    proxy_lines(&mut text, summary);
    offline_lines(&mut text, summary);
    if let Some(cause) = &summary.cancelled {
        let _ = writeln!(text, "\n==> The run was {cause}.");
    }
    text
}

fn seconds(seconds: f64) -> String {
    duration(Duration::from_secs_f64(seconds))
}

fn build_lines(text: &mut String, name: &str, build: &BuildSummary) {
    let ending = build.ending.map_or("not started", super::super::event::Ending::as_str);
    let _ = writeln!(text, "{name}: {ending} after {}", seconds(build.seconds));
    if let Some(failure) = &build.failure {
        let mut lines = failure.message.lines();
        let _ = writeln!(text, "  error: {}", printable(lines.next().unwrap_or_default()));
        for line in lines {
            let _ = writeln!(text, "  {}", printable(line));
        }
        for hint in &failure.hints {
            let _ = writeln!(text, "  hint: {}", printable(hint));
        }
    }
    for mark in &build.marks {
        let _ = writeln!(text, "  marked: {}", printable(&mark.to_string()));
    }
    let marked = if build.marks.is_empty() { "" } else { " (marked)" };
    for artifact in &build.artifacts {
        let _ = writeln!(text, "  artifact{marked}: {}", printable(&artifact.description));
        for file in &artifact.files {
            let _ = writeln!(text, "    {}", file.display());
        }
    }
    let rows: Vec<Vec<String>> = build
        .steps
        .iter()
        .map(|step| vec![format!("  {}", named(step)), seconds(step.seconds), ending_note(step.ending)])
        .collect();
    for line in table(&rows, &[1]) {
        let _ = writeln!(text, "{line}");
    }
    for left in &build.left {
        let _ = writeln!(text, "  left: {left}");
    }
    if !build.left.is_empty() {
        text.push_str("  hint: `larder ps` lists what is left, `larder cleanup` removes it\n");
    }
    if !build.log.as_os_str().is_empty() {
        let _ = writeln!(text, "  log: {}", build.log.display());
    }
}

fn named(step: &StepSummary) -> String {
    if step.attempt > 1 { format!("{} (attempt {})", step.name, step.attempt) } else { step.name.clone() }
}

fn ending_note(ending: crate::event::Ending) -> String {
    if ending == crate::event::Ending::Succeeded { String::new() } else { ending.as_str().to_owned() }
}

fn proxy_lines(text: &mut String, summary: &Summary) {
    let totals = &summary.totals;
    if totals.classes.is_empty() {
        return;
    }
    text.push_str("\n==> Proxy\n");
    text.push_str(&totals_table(totals));
    refused_lines(text, summary);
}

/// The proxy's totals, in lines of plain text.
pub fn totals_table(totals: &Totals) -> String {
    let mut text = String::new();
    let head = ["", "requests", "hits", "304s", "from cache", "from upstream"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for (class, counts) in &totals.classes {
        rows.push(row(class.as_str(), counts));
    }
    rows.push(row("total", &totals.all));
    for line in table(&rows, &[1, 2, 3, 4, 5]) {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn refused_lines(text: &mut String, summary: &Summary) {
    for flow in &summary.refused {
        let step = flow.identity.step.as_deref().unwrap_or("-");
        let _ = writeln!(
            text,
            "{} {} {} ({}, {step}): {}",
            flow.outcome,
            flow.method,
            printable(&flow.url),
            flow.identity.build,
            printable(&flow.why)
        );
    }
}

fn row(name: &str, counts: &Sums) -> Vec<String> {
    vec![
        name.to_owned(),
        counts.requests.to_string(),
        (counts.hits + counts.stale).to_string(),
        counts.revalidated.to_string(),
        bytes(counts.bytes_cache),
        bytes(counts.bytes_upstream),
    ]
}

fn offline_lines(text: &mut String, summary: &Summary) {
    if let Some(missing) = &summary.missing {
        text.push_str(&super::missing::render(missing));
        return;
    }
    // The run did not come to its end.
    if summary.offline_misses.is_empty() {
        return;
    }
    text.push_str("\n==> Not in the cache, and the run was offline\n");
    for miss in &summary.offline_misses {
        let _ = writeln!(text, "{} {}", miss.method, printable(&miss.url));
    }
}
