//! Runs for tests: events as the engine would emit them, taken by a recorder.

use std::path::Path;
use std::sync::Arc;

use larder_proxy::flow::{Class, Flow, Outcome};

use super::recorder::{Recorder, Recording};
use crate::event::question::{Answer, AnsweredBy, Choice, Question, Reason};
use crate::event::redact::Redactor;
use crate::event::summary::Summary;
use crate::event::{ArtifactLine, Ending, EventKind, EventReceiver, Events, Failure, Mark, bus};
use crate::output::renderer::Renderer as _;

/// A run that is told step by step.
pub(crate) struct Script {
    recorder: Recorder,
    summary: Summary,
    /// Whether builds end marked: with a step that was skipped, and one whose script was edited.
    marked: bool,
    events: Events,
    receiver: EventReceiver,
}

pub(crate) fn recording(state: &Path, keep: usize) -> Recording {
    Recording {
        state: state.to_owned(),
        template: "/t/image.pkr.hcl".to_owned(),
        template_digest: "d".repeat(64),
        keep,
    }
}

/// A finished request of `bytes`.
pub(crate) fn flow(build: &str, step: &str, outcome: Outcome, bytes: u64) -> Flow {
    let from_upstream = if outcome == Outcome::Miss { bytes } else { 0 };
    let flow = serde_json::json!({
        "id": 1, "identity": { "build": build, "step": step }, "started": std::time::SystemTime::UNIX_EPOCH,
        "duration": std::time::Duration::ZERO, "first_byte": null, "method": "GET", "url": "http://deb.example.org/a.deb",
        "status": 200, "outcome": outcome, "why": "", "class": Class::Package, "route": "", "upstream_status": null,
        "bytes_sent": bytes, "bytes_cache": bytes - from_upstream, "bytes_upstream": from_upstream, "digest": null,
        "aborted": false, "version": "HTTP/1.1", "intercepted": false, "offline_miss": false,
    });
    serde_json::from_value(flow).unwrap()
}

impl Script {
    pub(crate) fn new(recording: Recording) -> Self {
        let (events, receiver) = bus::stream(Redactor::default());
        Self { recorder: Recorder::new(recording), summary: Summary::default(), marked: false, events, receiver }
    }

    pub(crate) fn marked(&mut self) -> &mut Self {
        self.marked = true;
        self
    }

    pub(crate) fn emit(&mut self, build: Option<&str>, kind: EventKind) -> &mut Self {
        let build: Option<Arc<str>> = build.map(Into::into);
        self.events.emit(build.as_ref(), kind);
        let event = self.receiver.next_blocking().unwrap();
        self.summary.apply(&event);
        self.recorder.event(&event).unwrap();
        self
    }

    pub(crate) fn start(&mut self, run: &str, builds: &[&str]) -> &mut Self {
        self.emit(
            None,
            EventKind::RunStarted {
                schema: 1,
                version: "0.1.0".to_owned(),
                run: run.to_owned(),
                uuid: "0".repeat(32),
                builds: builds.iter().map(ToString::to_string).collect(),
                net: "cache".to_owned(),
            },
        )
    }

    pub(crate) fn build(&mut self, build: &str) -> &mut Self {
        let log = format!("/logs/{build}.log").into();
        self.emit(Some(build), EventKind::BuildStarted { builder_type: "rootfs".to_owned(), log })
    }

    /// A step from its start to its end, with one request of these bytes.
    pub(crate) fn step(
        &mut self,
        build: &str,
        index: usize,
        name: &str,
        seconds: f64,
        got: (Outcome, u64),
    ) -> &mut Self {
        self.step_ends(build, (index, 1), name, seconds, got, Ending::Succeeded)
    }

    pub(crate) fn step_ends(
        &mut self,
        build: &str,
        (index, attempt): (usize, u32),
        name: &str,
        seconds: f64,
        (outcome, bytes): (Outcome, u64),
        ending: Ending,
    ) -> &mut Self {
        let flow = Box::new(flow(build, name, outcome, bytes));
        let name: Arc<str> = name.into();
        self.emit(Some(build), EventKind::StepStarted { index, name: name.clone(), attempt });
        self.emit(Some(build), EventKind::Flow { flow });
        self.emit(Some(build), EventKind::StepFinished { index, name, ending, seconds, attempt })
    }

    /// A question about a step that failed, answered with retry.
    pub(crate) fn asks(&mut self, build: &str, step_index: usize, step: &str) -> &mut Self {
        let failure = Failure { message: "it broke".to_owned(), hints: Vec::new() };
        let question = Question {
            id: 1,
            build: build.into(),
            step: step.into(),
            step_index,
            reason: Reason::Failed { attempt: 1, failure, lines: Vec::new() },
            choices: vec![Choice::Retry],
            default: Choice::Cleanup,
            deadline: None,
            resume_from: Vec::new(),
            scripts: Vec::new(),
        };
        self.emit(Some(build), EventKind::Question { question: Box::new(question) });
        self.emit(Some(build), EventKind::Answered { id: 1, answer: Answer::Retry, by: AnsweredBy::Person })
    }

    pub(crate) fn built(&mut self, build: &str, seconds: f64, ending: Ending) -> &mut Self {
        let failure = (ending == Ending::Failed).then(|| Failure { message: "it broke".to_owned(), hints: Vec::new() });
        let artifact = ArtifactLine {
            builder_id: "larder.rootfs".to_owned(),
            id: "image".to_owned(),
            description: "a tree".to_owned(),
            files: vec!["out/a.tar".into()],
        };
        let artifacts = if ending == Ending::Succeeded { vec![artifact] } else { Vec::new() };
        let skipped = Mark::Skipped { step_index: 1, step: "shell".into() };
        let (script, path) = ("a.sh".to_owned(), "/logs/a.sh".into());
        let edited = Mark::Edited { step_index: 2, step: "shell (b)".into(), script, path };
        let marks = if self.marked { vec![skipped, edited] } else { Vec::new() };
        let exit_code = u8::from(ending != Ending::Succeeded || self.marked);
        self.emit(
            Some(build),
            EventKind::BuildFinished { ending, seconds, failure, artifacts, left: Vec::new(), marks, exit_code },
        )
    }

    pub(crate) fn end(&mut self, seconds: f64, cancelled: Option<&str>) {
        let cancelled = cancelled.map(str::to_owned);
        let totals = larder_proxy::stats::Totals::default();
        self.emit(None, EventKind::RunFinished { seconds, cancelled, totals, missing: None });
        self.finish();
    }

    /// The stream ends, also where the run did not.
    pub(crate) fn finish(&mut self) {
        self.recorder.finish(&self.summary).unwrap();
    }
}

/// A run of one build with two steps, which take so long.
pub(crate) fn simple(recording: Recording, run: &str, seconds: [f64; 2]) {
    Script::new(recording)
        .start(run, &["rootfs.a"])
        .build("rootfs.a")
        .step("rootfs.a", 0, "bootstrap", seconds[0], (Outcome::Miss, 1000))
        .step("rootfs.a", 1, "shell", seconds[1], (Outcome::Hit, 500))
        .built("rootfs.a", seconds[0] + seconds[1], Ending::Succeeded)
        .end(seconds[0] + seconds[1], None);
}
