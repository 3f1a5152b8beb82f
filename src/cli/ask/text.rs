//! Questions in lines of text.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::engine::ui::duration;
use crate::event::question::{Choice, Question, Reason};
use crate::output::text::printable;

/// What is known around a question.
pub(super) struct Around<'a> {
    /// How many questions wait, this one among them.
    pub(super) waiting: usize,
    /// How many failed in the same way, this one among them.
    pub(super) alike: usize,
    /// Log of the build.
    pub(super) log: Option<&'a Path>,
    /// The time.
    pub(super) now: jiff::Timestamp,
}

/// The question with its choices, up to where the answer is typed.
pub(super) fn question(question: &Question, around: &Around<'_>) -> String {
    let mut text = String::from("\n");
    let (build, step, number) = (&question.build, &question.step, question.step_index + 1);
    let of = if around.waiting > 1 { format!("  (1 of {} questions)", around.waiting) } else { String::new() };
    match &question.reason {
        Reason::Failed { attempt, failure, lines } => {
            let attempt = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            let _ = writeln!(text, "??? {build}: step {number} [{step}] failed{attempt}{of}");
            for line in failure.message.lines() {
                let _ = writeln!(text, "    {}", printable(line));
            }
            for hint in &failure.hints {
                let _ = writeln!(text, "    hint: {}", printable(hint));
            }
            for line in lines {
                let _ = writeln!(text, "    | {}", printable(line));
            }
        }
        Reason::Pause { note } => {
            let _ = writeln!(text, "??? {build}: {}{of}", printable(note));
        }
    }
    if let Some(log) = around.log {
        let _ = writeln!(text, "    log: {}", log.display());
    }
    for choice in question.choices.iter().filter(|choice| is_listed(**choice, question)) {
        let _ = writeln!(text, "    [{}] {}", choice.key(), choice.describe());
    }
    if around.alike > 1 {
        let _ = writeln!(
            text,
            "    {} builds failed so: a letter with `all`, as in `r all`, answers for all",
            around.alike
        );
    }
    if let Some(deadline) = question.deadline {
        // What is left is told in whole seconds, and it took some time to get here.
        let left = Duration::try_from(deadline.duration_since(around.now)).unwrap_or_default();
        let left = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        let _ = writeln!(text, "    Unanswered for {}, it is cleaned up. The other builds go on.", duration(left));
    }
    text + &prompt(question)
}

/// Those that the last line does not name.
fn is_listed(choice: Choice, question: &Question) -> bool {
    match choice {
        Choice::Retry | Choice::Keep | Choice::Continue => false,
        Choice::Cleanup => matches!(question.reason, Reason::Pause { .. }),
        Choice::RetryFrom | Choice::Edit | Choice::Shell | Choice::Skip => true,
    }
}

/// The last line, in Packer's words.
pub(super) fn prompt(question: &Question) -> String {
    if matches!(question.reason, Reason::Pause { .. }) {
        return "Press enter to continue. ".to_owned();
    }
    let keep = if question.choices.contains(&Choice::Keep) { " [a] abort without cleanup," } else { "" };
    format!("[c] Clean up and exit,{keep} or [r] retry step (build may fail even if retry succeeds)? ")
}

/// The steps that the build can go back to.
pub(super) fn resume_points(question: &Question) -> String {
    let mut text = String::new();
    for point in &question.resume_from {
        let afresh = if point.step_index == question.step_index { "  (this one, afresh)" } else { "" };
        let _ = writeln!(text, "    {:>3}  [{}]{afresh}", point.step_index + 1, point.step);
    }
    text + "Retry from which step (a number; enter for none)? "
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::event::question::ResumePoint;

    fn failed() -> Question {
        let failure = Failure { message: "exit \u{1b}[2Jstatus 3".into(), hints: vec!["look".into()] };
        Question {
            id: 1,
            build: "b".into(),
            step: "shell".into(),
            step_index: 4,
            reason: Reason::Failed { attempt: 2, failure, lines: vec!["E: no".into()] },
            choices: vec![Choice::Retry, Choice::RetryFrom, Choice::Skip, Choice::Cleanup, Choice::Keep],
            default: Choice::Cleanup,
            deadline: Some(jiff::Timestamp::from_second(1800).unwrap()),
            resume_from: vec![ResumePoint { step_index: 4, step: "shell".into() }],
            scripts: Vec::new(),
        }
    }

    #[test]
    fn a_failure_is_asked_in_packers_words() {
        let now = jiff::Timestamp::from_second(0).unwrap();
        let around = Around { waiting: 2, alike: 2, log: Some("/l".as_ref()), now };
        assert_eq!(
            question(&failed(), &around),
            "\n??? b: step 5 [shell] failed (attempt 2)  (1 of 2 questions)\n    exit status 3\n    hint: look\n    | E: no\n    \
             log: /l\n    [R] retry from an earlier step\n    [k] skip this step and go on; the artifact is marked\n    \
             2 builds failed so: a letter with `all`, as in `r all`, answers for all\n    \
             Unanswered for 30 min 00 s, it is cleaned up. The other builds go on.\n\
             [c] Clean up and exit, [a] abort without cleanup, or [r] retry step (build may fail even if retry succeeds)? "
        );
        assert!(resume_points(&failed()).starts_with("      5  [shell]  (this one, afresh)\n"));
        let mut without = failed();
        without.choices.pop();
        assert!(prompt(&without).starts_with("[c] Clean up and exit, or [r] retry"));
    }

    #[test]
    fn a_pause_waits_for_enter() {
        let reason = Reason::Pause { note: "Pausing at breakpoint provisioner.".into() };
        let pause = Question { reason, choices: vec![Choice::Continue, Choice::Cleanup], deadline: None, ..failed() };
        let around = Around { waiting: 1, alike: 1, log: None, now: jiff::Timestamp::from_second(0).unwrap() };
        assert_eq!(
            question(&pause, &around),
            "\n??? b: Pausing at breakpoint provisioner.\n    [c] clean up and stop this build\nPress enter to continue. "
        );
    }
}
