//! Takes secrets out of text as it enters the event stream.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use url::form_urlencoded;

use super::question::{Question, Reason};
use super::{EventKind, Failure, Mark};

/// What stands in a secret's place (Packer's word).
const REPLACEMENT: &str = "<sensitive>";

/// The registered secrets. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub struct Redactor {
    state: Arc<RwLock<State>>,
}

#[derive(Default)]
struct State {
    needles: BTreeSet<String>,
    matcher: Option<AhoCorasick>,
}

impl Redactor {
    /// Registers a secret: from now on it is taken out in plain form and in the encodings it commonly takes.
    /// An empty secret is ignored.
    pub fn register(&self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let before = state.needles.len();
        state.needles.extend(forms(secret));
        if state.needles.len() != before {
            state.matcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&state.needles).ok();
        }
    }

    /// The text without secrets.
    pub fn text(&self, text: String) -> String {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &state.matcher {
            Some(matcher) if matcher.is_match(&text) => {
                matcher.replace_all(&text, &vec![REPLACEMENT; state.needles.len()])
            }
            _ => text,
        }
    }

    /// Takes secrets out of a path, which stays as it is if it holds none.
    fn path(&self, path: &mut PathBuf) {
        if let Some(text) = path.to_str() {
            let redacted = self.text(text.to_owned());
            if redacted != text {
                *path = redacted.into();
            }
        }
    }

    fn failure(&self, failure: Failure) -> Failure {
        Failure {
            message: self.text(failure.message),
            hints: failure.hints.into_iter().map(|hint| self.text(hint)).collect(),
        }
    }

    /// The question with every text in it redacted. Where the copies of scripts are stays as it is.
    pub fn question(&self, mut question: Question) -> Question {
        question.reason = match question.reason {
            Reason::Failed { attempt, failure, lines } => Reason::Failed {
                attempt,
                failure: self.failure(failure),
                lines: lines.into_iter().map(|line| self.text(line)).collect(),
            },
            Reason::Pause { note } => Reason::Pause { note: self.text(note) },
        };
        for script in &mut question.scripts {
            script.name = self.text(std::mem::take(&mut script.name));
        }
        question
    }

    /// The event with every text in it redacted.
    pub(super) fn event(&self, kind: EventKind) -> EventKind {
        if self.state.read().unwrap_or_else(PoisonError::into_inner).matcher.is_none() {
            return kind;
        }
        match kind {
            EventKind::Message { text } => EventKind::Message { text: self.text(text) },
            EventKind::Stdout { line } => EventKind::Stdout { line: self.text(line) },
            EventKind::Stderr { line } => EventKind::Stderr { line: self.text(line) },
            EventKind::Warning { text } => EventKind::Warning { text: self.text(text) },
            EventKind::Progress { what, done, total } => EventKind::Progress { what: self.text(what), done, total },
            EventKind::Flow { mut flow } => {
                flow.url = self.text(flow.url);
                flow.why = self.text(flow.why.into_owned()).into();
                EventKind::Flow { flow }
            }
            EventKind::Scan { entries, bytes, seconds, mut traces, skipped } => {
                for trace in &mut traces {
                    trace.description = self.text(std::mem::take(&mut trace.description));
                    self.path(&mut trace.path);
                }
                let skipped = skipped.into_iter().map(|line| self.text(line)).collect();
                EventKind::Scan { entries, bytes, seconds, traces, skipped }
            }
            EventKind::Question { question } => EventKind::Question { question: Box::new(self.question(*question)) },
            EventKind::BuildFinished { ending, seconds, failure, mut artifacts, left, mut marks, exit_code } => {
                for artifact in &mut artifacts {
                    artifact.id = self.text(std::mem::take(&mut artifact.id));
                    artifact.description = self.text(std::mem::take(&mut artifact.description));
                    for file in &mut artifact.files {
                        self.path(file);
                    }
                }
                for mark in &mut marks {
                    if let Mark::Edited { script, .. } = mark {
                        *script = self.text(std::mem::take(script));
                    }
                }
                let failure = failure.map(|failure| self.failure(failure));
                EventKind::BuildFinished { ending, seconds, failure, artifacts, left, marks, exit_code }
            }
            EventKind::StepStarted { .. }
            | EventKind::StepFinished { .. }
            | EventKind::Deadline { .. }
            | EventKind::Answered { .. }
            | EventKind::RunStarted { .. }
            | EventKind::BuildStarted { .. }
            | EventKind::RunFinished { .. } => kind,
        }
    }
}

/// The forms a secret takes on its way into a log.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    // Output comes line by line, so each line of a secret of several lines is one of its own.
    forms.extend(secret.lines().map(str::trim).filter(|line| line.len() >= 8).map(str::to_owned));
    let json = serde_json::to_string(secret).unwrap_or_default();
    forms.push(json.trim_matches('"').to_owned());
    forms.push(secret.replace('\'', r#"'"'"'"#));
    forms.push(secret.replace('\'', r"'\''"));
    // Short secrets are left out of the encoded forms: their base64 turns up by chance.
    if secret.len() >= 6 {
        for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
            forms.push(engine.encode(secret).trim_end_matches('=').to_owned());
            forms.push(engine.encode(format!("{secret}\n")).trim_end_matches('=').to_owned());
        }
        forms.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        forms.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>().replace('+', "%20"));
        forms.push(hex::encode(secret));
    }
    forms.retain(|form| !form.is_empty());
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(secret: &str, text: &str) -> String {
        let redactor = Redactor::default();
        redactor.register(secret);
        redactor.text(text.to_owned())
    }

    #[test]
    fn every_common_form_is_taken_out() {
        let secret = "p4ss w'rd/+";
        for form in forms(secret) {
            assert_eq!(redacted(secret, &format!("a {form} b")), "a <sensitive> b", "{form}");
        }
    }

    #[test]
    fn each_line_of_a_key_is_taken_out() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----";
        assert_eq!(redacted(key, "MIIEvQIBADANBgkq"), "<sensitive>");
    }

    #[test]
    fn the_longest_secret_wins_and_the_rest_stays() {
        let redactor = Redactor::default();
        redactor.register("secret");
        redactor.register("secret-two");
        assert_eq!(redactor.text("x secret-two secret y".into()), "x <sensitive> <sensitive> y");
        redactor.register("");
        assert_eq!(redactor.text("plain".into()), "plain");
    }
}
