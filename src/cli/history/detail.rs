//! One run in detail.

use super::{began, hits, took};
use crate::cli::args::StepOrder;
use crate::cli::console::Console;
use crate::error::Result;
use crate::event::Ending;
use crate::history::record::Record;
use crate::history::run::{Build, Run, Step};
use crate::output::text::{bytes, printable, table};

/// Prints a run that stands as `state` says.
pub(super) fn show(run: &Run, state: &str, record: Option<&Record>, order: StepOrder, console: &Console) -> Result<()> {
    let downloads = run.downloads();
    let sums = downloads.all();
    let ended = run.cancelled.as_ref().map_or_else(|| state.to_owned(), |cause| format!("{state}: {cause}"));
    let mut facts = vec![
        ("run", run.id.clone()),
        ("uuid", run.uuid.clone()),
        ("template", run.template.clone()),
        ("digest", format!("sha256:{}", run.template_digest)),
        ("began", began(run.started)),
        ("took", took(run.seconds)),
        ("ended", ended),
        ("exit code", run.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string())),
        ("net", run.net.clone()),
        ("larder", run.version.clone()),
    ];
    if sums.requests > 0 {
        let (cache, upstream) = (bytes(sums.bytes_cache), bytes(sums.bytes_upstream));
        let requests = format!("{} requests, {} hits", sums.requests, hits(&downloads));
        facts.push(("downloads", format!("{requests}; {cache} from the cache, {upstream} from upstream")));
    }
    if let Some(record) = record {
        let whole = if record.complete { "complete" } else { "not complete" };
        let count = record.entries.len();
        facts.push(("record", format!("{count} entries, {whole}: larder history record {}", run.id)));
    }
    let rows: Vec<Vec<String>> =
        facts.into_iter().map(|(name, value)| vec![name.to_owned(), printable(&value)]).collect();
    table(&rows, &[]).iter().try_for_each(|line| console.line(line))?;
    run.builds.iter().try_for_each(|build| show_build(build, order, console))
}

fn show_build(build: &Build, order: StepOrder, console: &Console) -> Result<()> {
    console.line("")?;
    let ending = match (build.started, build.ending) {
        (_, Some(ending)) => format!("{} after {}", ending.as_str(), took(build.seconds)),
        (Some(_), None) => "did not end".to_owned(),
        (None, None) => "did not begin".to_owned(),
    };
    console.line(&format!("{}: {ending}", build.name))?;
    if let Some(failure) = &build.failure {
        console.line(&format!("  error: {}", printable(failure)))?;
    }
    if !build.steps.is_empty() {
        let head = ["  #", "step", "took", "requests", "cache", "upstream", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(ordered(&build.steps, order).into_iter().map(row));
        table(&rows, &[0, 2, 3, 4, 5]).iter().try_for_each(|line| console.line(line))?;
    }
    for answer in &build.answers {
        let text = format!("  step {}: {}: {} ({})", answer.step + 1, answer.question, answer.answer, answer.by);
        console.line(&printable(&text))?;
    }
    for mark in &build.marks {
        console.line(&printable(&format!("  marked: {mark}")))?;
    }
    for artifact in &build.artifacts {
        console.line(&format!("  artifact: {}", printable(&artifact.description)))?;
        artifact.files.iter().try_for_each(|file| console.line(&format!("    {}", file.display())))?;
    }
    build.log.iter().try_for_each(|log| console.line(&format!("  log: {}", log.display())))
}

/// The steps, in the order wanted.
fn ordered(steps: &[Step], order: StepOrder) -> Vec<&Step> {
    let mut steps: Vec<&Step> = steps.iter().collect();
    match order {
        StepOrder::Begun => {}
        StepOrder::Time => {
            let seconds = |step: &Step| step.seconds.unwrap_or(f64::INFINITY);
            steps.sort_by(|a, b| seconds(b).total_cmp(&seconds(a)));
        }
        StepOrder::Bytes => steps.sort_by_key(|step| std::cmp::Reverse(step.downloads.all().bytes_upstream)),
    }
    steps
}

fn row(step: &Step) -> Vec<String> {
    let sums = step.downloads.all();
    let amount = |count: u64| if sums.requests == 0 { "-".to_owned() } else { bytes(count) };
    let again = if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
    let ending = match step.ending {
        Some(Ending::Succeeded) => "",
        Some(ending) => ending.as_str(),
        None => "did not end",
    };
    vec![
        format!("  {}", step.index + 1),
        format!("{}{again}", printable(&step.name)),
        took(step.seconds),
        if sums.requests == 0 { "-".to_owned() } else { sums.requests.to_string() },
        amount(sums.bytes_cache),
        amount(sums.bytes_upstream),
        ending.to_owned(),
    ]
}
