//! What was measured, for people and for programs.

use std::time::Duration;

use serde_json::json;

use crate::bed::SERVERS;
use crate::sample::Sample;
use crate::table::{Goal, figure, lay_out, median};
use crate::targets::{goals, of, ratio};
use crate::{Result, bulk, small};

/// Scenarios in the order they ran, with what their figures are.
fn titles() -> impl Iterator<Item = (&'static str, &'static str)> {
    small::ALL.iter().map(|small| (small.name, small.title)).chain(bulk::NAMES.into_iter().zip(bulk::TITLES))
}

pub(crate) fn text(samples: &[Sample]) -> String {
    let mut lines = Vec::new();
    let head = ["", "median", "lowest", "highest", "larder / it", "p50 ms", "p99 ms", "CPU us", "RSS MB", "resumed"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (name, title) in titles() {
        if samples.iter().any(|sample| sample.scenario == name) {
            rows.push(vec![title.to_owned()]);
            rows.extend(SERVERS.iter().filter_map(|peer| row(samples, name, peer)));
        }
    }
    // Titles stand above the columns, and do not widen them.
    let (titles, figures): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.len() == 1);
    let mut figures = lay_out(&figures).into_iter();
    let mut titles = titles.into_iter().flatten();
    for row in &rows {
        lines.extend(if row.len() == 1 { titles.next() } else { figures.next() });
    }
    let goals = goals(samples);
    lines.push(String::new());
    lines.extend(lay_out(&goals.iter().map(Goal::row).collect::<Vec<_>>()));
    lines.join("\n")
}

fn row(samples: &[Sample], scenario: &str, peer: &str) -> Option<Vec<String>> {
    let all: Vec<&Sample> = of(samples, scenario, peer).collect();
    let last = all.last()?;
    let rates = || all.iter().map(|sample| sample.rate);
    let ms = |time: fn(&Sample) -> Duration| median(all.iter().map(|sample| time(sample).as_secs_f64() * 1e3));
    Some(vec![
        format!("  {peer}"),
        figure(median(rates())),
        figure(rates().fold(f64::INFINITY, f64::min)),
        figure(rates().fold(0.0, f64::max)),
        figure(ratio(samples, scenario, peer)),
        figure(ms(|sample| sample.p50)),
        figure(ms(|sample| sample.p99)),
        figure(median(all.iter().map(|sample| sample.cpu))),
        figure(last.resident as f64 / 1e6),
        if last.resumed > 0.0 { format!("{:.0} %", 100.0 * last.resumed) } else { String::new() },
    ])
}

pub(crate) fn json(samples: &[Sample]) -> Result<String> {
    let medians: Vec<_> = titles()
        .flat_map(|(name, _)| SERVERS.map(|peer| (name, peer)))
        .filter(|(name, peer)| of(samples, name, peer).next().is_some())
        .map(|(name, peer)| {
            let all = || of(samples, name, peer);
            json!({
                "scenario": name, "peer": peer, "rate": median(all().map(|sample| sample.rate)),
                "larder_ratio": ratio(samples, name, peer), "cpu_us": median(all().map(|sample| sample.cpu)),
            })
        })
        .collect();
    let goals: Vec<_> = goals(samples).iter().map(Goal::json).collect();
    let samples: Vec<_> = samples.iter().map(Sample::json).collect();
    Ok(serde_json::to_string_pretty(&json!({"medians": medians, "goals": goals, "samples": samples}))?)
}
