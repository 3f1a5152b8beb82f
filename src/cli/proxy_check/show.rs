//! The way to a URL as lines for a terminal.

use larder_proxy::upstream::certificates::Root;

use super::told::{Asked, Failed, Step, Told};
use crate::cli::wrap;
use crate::output::text::printable;

/// Columns before what was found.
const LEAD: usize = 23;

/// The lines; none is longer than `width`, but for words that are.
pub(super) fn lines(told: &Told, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for asked in &told.asked {
        about(asked, &told.url, width, &mut lines);
        let mut host = "";
        for step in &asked.steps {
            if !step.host.is_empty() && step.host != host {
                host = &step.host;
                lines.push(printable(host));
            }
            one(step, width, &mut lines);
        }
    }
    if let Some(name) = &told.inspected_by {
        let text = format!(
            "The certificate of {} was issued by {}, which is not a public root: TLS inspection.",
            told.url,
            printable(name)
        );
        lines.extend(wrap::text(&text, width));
    }
    match &told.failed {
        Some(failed) => failure(failed, &told.url, width, &mut lines),
        None => {
            let status = told.status.map(|status| format!(" with status {status}")).unwrap_or_default();
            lines.push(format!("{} answers{status} in {} ms.", told.url, told.milliseconds));
        }
    }
    lines
}

fn about(asked: &Asked, url: &str, width: usize, lines: &mut Vec<String>) {
    let what = if asked.mirror { format!("{url}, from the mirror {}", asked.url) } else { asked.url.clone() };
    lines.extend(wrap::text(&printable(&what), width));
    let way = format!("{}, {}", asked.way, asked.rule);
    hanging("  way", &printable(&way), width, lines);
}

/// Text with what begins its first line, and as much room before the others.
fn hanging(lead: &str, text: &str, width: usize, lines: &mut Vec<String>) {
    let mut lead = format!("{lead:<LEAD$}");
    for line in wrap::text(text, width - LEAD) {
        lines.push(format!("{lead}{line}").trim_end().to_owned());
        lead = " ".repeat(LEAD);
    }
}

fn one(step: &Step, width: usize, lines: &mut Vec<String>) {
    let time = format!("{:.1} ms", step.milliseconds);
    let lead = format!("  {:<11} {time:>8} ", step.kind);
    let found = match (step.works, step.found.as_str()) {
        (true, found) => found.to_owned(),
        (false, "") => "FAILED".to_owned(),
        (false, found) => format!("FAILED: {found}"),
    };
    if step.kind != "certificate" {
        return hanging(&lead, &printable(&found), width, lines);
    }
    hanging(&lead, if step.works { "trusted" } else { &found }, width, lines);
    let mut last = None;
    for certificate in &step.certificates {
        // Some send a certificate twice.
        if last.replace(certificate) == Some(certificate) {
            continue;
        }
        let until = jiff::Timestamp::from_second(certificate.not_after).unwrap_or_default();
        let text = format!("{}, until {}, by {}", certificate.subject, until.strftime("%Y-%m-%d"), certificate.issuer);
        hanging("", &printable(&text), width, lines);
    }
    if let Some(root) = &step.root {
        hanging("", &printable(&whence(root)), width, lines);
    }
}

fn whence(root: &Root) -> String {
    match root {
        Root::Public { name } => format!("root: {name}, a public one of the system's"),
        Root::System { name } => format!("root: {name}, added to the system's, and not a public one"),
        Root::Unclear { name } => format!("root: {name}, of the system's"),
        Root::File { name, file } => format!("root: {name}, of `ca_files` ({})", file.display()),
        Root::Unknown { name } => format!("root: {name}, which is not trusted here"),
    }
}

fn failure(failed: &Failed, url: &str, width: usize, lines: &mut Vec<String>) {
    let text = format!("{url} CANNOT be had: it fails at the step `{}`, {}.", failed.step, printable(&failed.host));
    lines.extend(wrap::text(&text, width));
    for line in wrap::text(&printable(&failed.why), width - 2) {
        lines.push(format!("  {line}"));
    }
    for (number, next) in failed.next.iter().enumerate() {
        let mut lead = if number == 0 { "  next: " } else { "    or: " };
        for line in wrap::remedy(next, width - lead.len()) {
            lines.push(format!("{lead}{line}"));
            lead = "        ";
        }
    }
}
