//! Texts of the Templates screen: sources, differences, the review.

use super::form::Wizard;
use crate::catalogue::discover::Preview;
use crate::catalogue::outline::BuildOutline;
use crate::catalogue::problem::Problem;
use crate::catalogue::write::{Change, DiffLine, Side};
use crate::tui::state::list::Place;
use crate::tui::theme::Role;
use crate::tui::widget::clock;

/// A line with what it is.
pub type TextLine = (Role, String);

/// A text being read.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// What it is.
    pub title: String,
    /// Its lines; `None` while they are fetched.
    pub lines: Option<Vec<TextLine>>,
    /// Where one is in it.
    pub place: Place,
    /// Columns left out at the left.
    pub left: usize,
}

/// The lines of a difference.
pub fn difference(lines: &[DiffLine]) -> Vec<TextLine> {
    let line = |line: &DiffLine| match line.side {
        Side::Both => (Role::Text, format!("  {}", line.text)),
        Side::Old => (Role::Bad, format!("- {}", line.text)),
        Side::New => (Role::Good, format!("+ {}", line.text)),
    };
    lines.iter().map(line).collect()
}

/// A problem in one line, where it is and what to do about it below.
pub fn problem(problem: &Problem) -> Vec<TextLine> {
    let (mark, role) = if problem.is_error { ("x error:", Role::Bad) } else { ("! warning:", Role::Warning) };
    let more = [&problem.place, &problem.hint].into_iter().flatten().map(|text| (Role::Dim, format!("    {text}")));
    [(role, format!("{mark} {}", problem.message))].into_iter().chain(more).collect()
}

/// What a build would do.
pub fn build(build: &BuildOutline) -> Vec<TextLine> {
    let mut lines = vec![(Role::Title, build.id.clone())];
    let mut item = |name: &str, text: &str| lines.push((Role::Text, format!("  {name:9} {text}")));
    item("steps", &build.steps.join(" > "));
    for download in &build.downloads {
        item("fetches", download);
    }
    if let Some(output) = &build.output {
        item("result", output);
    }
    if let Some(seconds) = build.seconds {
        item("takes", &format!("~{}, as before", clock(f64::from(seconds))));
    }
    lines
}

/// What is known of a template, below its description.
pub fn preview(preview: &Preview) -> Vec<TextLine> {
    let problems = preview.problems.iter().flat_map(problem);
    problems.chain(preview.builds.iter().flat_map(build)).collect()
}

/// What a wizard would write and build.
pub fn review(wizard: &Wizard) -> Vec<TextLine> {
    let mut lines = Vec::new();
    match &wizard.proposal {
        None => lines.push((Role::Dim, "looking at what is there ...".to_owned())),
        Some(Err(error)) => lines.push((Role::Bad, format!("x {error}"))),
        Some(Ok(proposal)) => {
            if proposal.files.is_empty() {
                lines.push((Role::Text, "nothing has to be written: all values are defaults".to_owned()));
            }
            for (file, change) in &proposal.files {
                let path = proposal.directory.join(&file.path).display().to_string();
                let (role, mark, word) = match change {
                    Change::New => (Role::Good, "+", "new".to_owned()),
                    Change::Same => (Role::Dim, "=", "as it is".to_owned()),
                    Change::Differs(_) => (Role::Warning, "!", "changed".to_owned()),
                    Change::Blocked(why) => (Role::Bad, "x", why.clone()),
                };
                lines.push((role, format!("{mark} {path}  {word}")));
                if let Change::Differs(changes) = change {
                    lines.extend(difference(changes).into_iter().map(|(role, text)| (role, format!("    {text}"))));
                }
            }
        }
    }
    let Some(evaluated) = &wizard.evaluated else { return lines };
    for name in &evaluated.not_written {
        lines.push((Role::Warning, format!("! {name} is sensitive, and is not written: set PKR_VAR_{name} later")));
    }
    if !evaluated.variables.is_empty() {
        lines.push((Role::Text, String::new()));
        lines.extend(evaluated.variables.lines().map(|line| (Role::Text, format!("  {line}"))));
    }
    lines.push((Role::Text, String::new()));
    lines.extend(evaluated.problems.iter().flat_map(problem));
    lines.extend(evaluated.builds.iter().flat_map(build));
    lines
}
