//! Failures that are asked about, and what each answer does.

use std::path::Path;

use tokio::sync::mpsc;

use super::*;
use crate::engine::component::{Content, Output, Replaced, ScriptText};
use crate::event::question::{Answer, AnsweredBy, Choice, Question, Reason};
use crate::event::{Event, EventKind, Mark};

/// A guest that nothing is done in.
struct FakeGuest;

#[async_trait]
impl Communicator for FakeGuest {
    async fn run(&self, _: &str, _: mpsc::Sender<Output>, _: &CancellationToken) -> Result<i32> {
        Ok(0)
    }
    async fn upload(&self, _: Content<'_>, _: &str, _: u32) -> Result<()> {
        Ok(())
    }
    async fn upload_dir(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
    async fn download(&self, _: &str, _: &Path) -> Result<()> {
        Ok(())
    }
    async fn download_dir(&self, _: &str, _: &Path) -> Result<()> {
        Ok(())
    }
    fn generated_data(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

fn asking() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.options.on_error = OnError::Ask;
    fixture
}

/// Waits for the next question of a run.
async fn next_question(control: &Control) -> Question {
    loop {
        if let Some(question) = control.questions().into_iter().next() {
            return question;
        }
        tokio::task::yield_now().await;
    }
}

/// Gives these answers, one after another. Returns the questions.
fn give(control: &Control, answers: Vec<Answer>) -> tokio::task::JoinHandle<Vec<Question>> {
    let control = control.clone();
    tokio::spawn(async move {
        let mut questions = Vec::new();
        for answer in answers {
            let question = next_question(&control).await;
            control.answer(question.id, answer).unwrap();
            questions.push(question);
        }
        questions
    })
}

/// Everything that a run has told.
async fn told(mut fixture: Fixture) -> (Vec<String>, Summary, Vec<Event>) {
    run(fixture.jobs, fixture.options, fixture.control, fixture.events.clone()).await;
    fixture.events.close();
    let (mut summary, mut events) = (Summary::default(), Vec::new());
    while let Some(event) = fixture.receiver.next_waiting() {
        summary.apply(&event);
        events.push(event);
    }
    (fixture.journal.taken(), summary, events)
}

fn answered(events: &[Event]) -> Vec<(Answer, AnsweredBy)> {
    let answer = |event: &Event| match event.kind {
        EventKind::Answered { answer, by, .. } => Some((answer, by)),
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

#[tokio::test]
async fn a_retried_provisioner_runs_in_the_same_guest() {
    let mut fixture = asking();
    let provisioner = fixture.provisioner(Some(2));
    fixture.build("b", None).provisioners.push(provisioner);
    fixture.jobs[0].context.ui.stdout("before the step");
    let giving = give(&fixture.control, vec![Answer::Retry, Answer::Retry]);
    let (journal, summary, events) = told(fixture).await;
    assert_eq!(journal[2..7], ["open 0", "provision", "provision", "provision", "close true"]);
    let build = &summary.builds[0].1;
    assert_eq!((build.ending, build.marks.len()), (Some(Ending::Succeeded), 0));
    let attempts: Vec<_> = build.steps[2..5].iter().map(|step| (step.attempt, step.ending)).collect();
    assert_eq!(attempts, [(1, Ending::Failed), (2, Ending::Failed), (3, Ending::Succeeded)]);
    let indices: Vec<_> = events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::StepStarted { .. }))
        .map(|event| event.step_index.unwrap())
        .collect();
    assert_eq!(indices, [0, 1, 2, 2, 2, 3]);
    let question = &giving.await.unwrap()[1];
    assert_eq!((question.id, question.step_index), (2, 2));
    // There is no guest to look into or to throw away, and no script.
    assert_eq!(question.choices, [Choice::Retry, Choice::Skip, Choice::Cleanup, Choice::Keep]);
    let Reason::Failed { attempt, failure, lines } = &question.reason else { panic!("{question:?}") };
    assert_eq!((*attempt, failure.message.as_str(), lines.len()), (2, "0 to go", 0));
}

#[tokio::test]
async fn going_back_throws_away_what_came_after() {
    let mut fixture = asking();
    let provisioners = [fixture.provisioner(Some(0)), fixture.provisioner(Some(2))];
    let builder = FakeBuilder { guest: Some(Arc::new(FakeGuest)), ..fixture.builder(None, 0) };
    let job = fixture.build("b", None);
    job.provisioners.extend(provisioners);
    job.builder = Box::new(builder);
    let from = |step_index| Answer::RetryFrom { step_index };
    let giving = give(&fixture.control, vec![from(2), from(3)]);
    let (journal, summary, _) = told(fixture).await;
    let first = ["open 0", "provision", "close true"];
    let failed = ["open 1", "provision", "close false"];
    let second = ["open 1", "provision", "close true", "run export"];
    let expected = [&first[..], &failed, &["rewind 0"], &first, &failed, &["rewind 1"], &second].concat();
    assert_eq!(journal[2..2 + expected.len()], expected);
    assert_eq!(summary.builds[0].1.ending, Some(Ending::Succeeded));
    let question = &giving.await.unwrap()[0];
    let offered: Vec<_> = question.resume_from.iter().map(|point| point.step_index).collect();
    assert_eq!(offered, [2, 3]);
    assert!(question.choices.contains(&Choice::Shell), "{question:?}");
}

#[tokio::test]
async fn a_failed_export_can_go_back_to_a_provisioner() {
    let mut fixture = asking();
    let provisioner = fixture.provisioner(Some(0));
    let builder = fixture.builder(Some("export"), 1);
    let job = fixture.build("b", None);
    job.provisioners.push(provisioner);
    job.builder = Box::new(builder);
    let giving = give(&fixture.control, vec![Answer::RetryFrom { step_index: 2 }]);
    let (journal, summary, _) = told(fixture).await;
    let expected = ["run export", "rewind 0", "undo export", "open 0", "provision", "close true", "reset export"];
    assert_eq!(journal[5..12], expected);
    assert_eq!(summary.builds[0].1.ending, Some(Ending::Succeeded));
    let question = &giving.await.unwrap()[0];
    assert!(!question.choices.contains(&Choice::Skip), "an image is what a build is for: {question:?}");
}

#[tokio::test]
async fn a_step_of_the_builder_is_undone_before_it_runs_again() {
    let mut fixture = asking();
    let builder = fixture.builder(Some("boot"), 1);
    fixture.build("b", None).builder = Box::new(builder);
    let giving = give(&fixture.control, vec![Answer::Retry]);
    let (journal, ..) = told(fixture).await;
    assert_eq!(journal[..4], ["run create", "run boot", "reset boot", "run boot"]);
    assert_eq!(journal.iter().filter(|line| *line == "undo boot").count(), 1);
    assert_eq!(giving.await.unwrap()[0].choices, [Choice::Retry, Choice::Cleanup, Choice::Keep]);
}

#[tokio::test]
async fn a_skipped_step_marks_the_artifact() {
    let mut fixture = asking();
    let provisioner = fixture.provisioner(Some(1));
    fixture.build("b", None).provisioners.push(provisioner);
    let giving = give(&fixture.control, vec![Answer::Skip]);
    let (journal, summary, _) = told(fixture).await;
    giving.await.unwrap();
    assert_eq!(journal[2..6], ["open 0", "provision", "close true", "run export"]);
    let build = &summary.builds[0].1;
    assert_eq!(build.ending, Some(Ending::Succeeded));
    assert_eq!(build.marks, [Mark::Skipped { step_index: 2, step: "shell".into() }]);
}

#[tokio::test]
async fn cleaning_up_undoes_and_keeping_does_not() {
    for (answer, end) in [
        (Answer::Cleanup, &["close false", "undo boot", "undo create"] as &[&str]),
        (Answer::Keep, &["leave"] as &[&str]),
    ] {
        let mut fixture = asking();
        let provisioner = fixture.provisioner(Some(1));
        fixture.build("b", None).provisioners.push(provisioner);
        let giving = give(&fixture.control, vec![answer]);
        let (journal, summary, events) = told(fixture).await;
        giving.await.unwrap();
        assert_eq!(&journal[4..], end);
        let build = &summary.builds[0].1;
        assert_eq!((build.ending, build.left.is_empty()), (Some(Ending::Failed), answer == Answer::Cleanup));
        let look = |event: &Event| matches!(&event.kind, EventKind::Message { text } if text == "look there");
        assert_eq!(events.iter().any(look), answer == Answer::Keep);
    }
}

#[tokio::test(start_paused = true)]
async fn while_somebody_is_at_work_on_a_question_its_deadline_is_suspended() {
    const MINUTE: Duration = Duration::from_mins(1);
    let mut fixture = asking();
    let provisioner = fixture.provisioner(Some(1));
    fixture.build("b", None).provisioners.push(provisioner);
    let control = fixture.control.clone();
    let attending = tokio::spawn(async move {
        let question = next_question(&control).await;
        let deadline = || control.questions()[0].deadline;
        assert_eq!(deadline(), question.deadline);
        tokio::time::sleep(29 * MINUTE).await;
        let attending = control.attend(question.id).unwrap();
        // Two at once: a shell, and an editor.
        let other = control.attend(question.id).unwrap();
        tokio::time::sleep(MINUTE).await;
        assert_eq!(deadline(), None);
        drop(other);
        tokio::time::sleep(119 * MINUTE).await;
        assert_eq!(deadline(), None);
        drop(attending);
        tokio::time::sleep(MINUTE).await;
        assert!(deadline().is_some());
    });
    let began = tokio::time::Instant::now();
    let (_, _, events) = told(fixture).await;
    attending.await.unwrap();
    let minutes = began.elapsed().as_secs() / 60;
    assert_eq!(minutes, 29 + 120 + 30, "the time begins anew when the last of them has ended");
    assert_eq!(answered(&events), [(Answer::Cleanup, AnsweredBy::Deadline)]);
    let told = events.iter().filter_map(|event| match event.kind {
        EventKind::Deadline { deadline, .. } => Some(deadline.is_some()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_is_cleaned_up_at_the_deadline() {
    let mut fixture = asking();
    let provisioner = fixture.provisioner(Some(1));
    fixture.build("b", None).provisioners.push(provisioner);
    let began = tokio::time::Instant::now();
    let (journal, _, events) = told(fixture).await;
    assert_eq!(began.elapsed().as_secs(), 30 * 60);
    assert_eq!(answered(&events), [(Answer::Cleanup, AnsweredBy::Deadline)]);
    assert_eq!(journal.last().unwrap(), "undo create");
}

#[tokio::test]
async fn a_cancelled_build_waits_no_longer() {
    let mut fixture = asking();
    let provisioner = fixture.provisioner(Some(1));
    fixture.build("b", None).provisioners.push(provisioner);
    let control = fixture.control.clone();
    let cancelling = tokio::spawn(async move {
        let question = next_question(&control).await;
        assert!(control.cancel_build("b", false) && !control.cancel_build("c", false));
        (control, question)
    });
    let (journal, summary, events) = told(fixture).await;
    let (control, question) = cancelling.await.unwrap();
    assert_eq!(answered(&events), [(Answer::Cleanup, AnsweredBy::Cancelled)]);
    assert_eq!(summary.builds[0].1.ending, Some(Ending::Cancelled));
    assert_eq!(journal.last().unwrap(), "undo create");
    assert!(control.answer(question.id, Answer::Retry).is_err(), "it is closed");
}

#[tokio::test]
async fn a_build_that_waits_holds_up_no_other() {
    let mut fixture = asking();
    fixture.control.set_limit(1);
    let provisioner = fixture.provisioner(Some(1));
    fixture.build("b", None).provisioners.push(provisioner);
    fixture.build("c", None);
    fixture.build("d", None);
    let (control, journal) = (fixture.control.clone(), fixture.journal.clone());
    let answering = tokio::spawn(async move {
        let question = next_question(&control).await;
        let exports = || journal.0.lock().unwrap().iter().filter(|line| *line == "run export").count();
        while exports() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(question.build.as_ref(), "b");
        assert!(control.answer(question.id, Answer::RetryFrom { step_index: 0 }).is_err(), "it is not offered");
        control.answer(question.id, Answer::Retry).unwrap();
    });
    let (_, summary, _) = told(fixture).await;
    answering.await.unwrap();
    assert!(summary.builds.iter().all(|(_, build)| build.ending == Some(Ending::Succeeded)), "{summary:?}");
}

/// Runs a script that says whether it fails.
struct Scripted {
    journal: Journal,
    replaced: Replaced,
}

impl Scripted {
    fn text(&self) -> Vec<u8> {
        match self.replaced.first() {
            Some(Some(path)) => std::fs::read(path).unwrap(),
            _ => b"false".to_vec(),
        }
    }

    fn run(&self) -> Result<()> {
        let text = String::from_utf8(self.text()).unwrap();
        self.journal.note(format!("script {text}"));
        if text == "true" { Ok(()) } else { Err(Error::new("it failed, with s3cret")) }
    }
}

#[async_trait]
impl Provisioner for Scripted {
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        Ok(vec![ScriptText { name: "dir/a.sh".into(), text: self.text() }])
    }
    fn replace_scripts(&mut self, replaced: Replaced) {
        self.replaced = replaced;
    }
    async fn provision(&self, context: &Context, _: Option<&dyn Communicator>) -> Result<()> {
        context.ui.stdout("line with s3cret");
        self.run()
    }
}

#[async_trait]
impl PostProcessor for Scripted {
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        Ok(vec![ScriptText { name: "dir/a.sh".into(), text: self.text() }])
    }
    fn replace_scripts(&mut self, replaced: Replaced) {
        self.replaced = replaced;
    }
    async fn post_process(&self, _: &Context, _: &Artifact) -> Result<PostProcessed> {
        self.run()?;
        Ok(PostProcessed { artifact: Some(artifact("made")), keep_input: false, force_keep: false })
    }
}

/// Changes the copy of the first question's script, and retries.
async fn edit(control: Control) -> Question {
    let question = next_question(&control).await;
    std::fs::write(&question.scripts[0].path, "true").unwrap();
    control.answer(question.id, Answer::Retry).unwrap();
    question
}

#[tokio::test]
async fn an_edited_script_runs_in_the_place_of_its_original() {
    let directory = tempfile::tempdir().unwrap();
    let mut fixture = asking();
    fixture.events.redactor().register("s3cret");
    let journal = fixture.journal.clone();
    let make: Make<dyn Provisioner> =
        Arc::new(move |_| Ok(Box::new(Scripted { journal: journal.clone(), replaced: Vec::new() })));
    let provisioner = ProvisionerJob { make, ..fixture.provisioner(None) };
    let job = fixture.build("b", None);
    job.provisioners.push(provisioner);
    job.log = directory.path().join("b.log");
    let editing = tokio::spawn(edit(fixture.control.clone()));
    let (journal, summary, _) = told(fixture).await;
    let question = editing.await.unwrap();
    assert_eq!(journal[3..5], ["script false", "script true"]);
    let path = directory.path().join("b.scripts/3-1-a.sh");
    let script = "dir/a.sh".to_owned();
    let mark = Mark::Edited { step_index: 2, step: "shell".into(), script, path: path.clone() };
    assert_eq!(summary.builds[0].1.marks, [mark]);
    assert_eq!(question.scripts[0].path, path);
    let Reason::Failed { failure, lines, .. } = question.reason else { panic!() };
    assert_eq!(
        (failure.message.as_str(), lines),
        ("it failed, with <sensitive>", vec!["line with <sensitive>".into()])
    );
}

fn scripted_post_processor(fixture: &Fixture) -> PostProcessorJob {
    let journal = fixture.journal.clone();
    let make: Make<dyn PostProcessor> =
        Arc::new(move |_| Ok(Box::new(Scripted { journal: journal.clone(), replaced: Vec::new() })));
    PostProcessorJob { label: "scripted".into(), keep_input: None, make }
}

#[tokio::test]
async fn post_processors_are_asked_about_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut fixture = asking();
    let chain = vec![scripted_post_processor(&fixture)];
    let job = fixture.build("b", None);
    job.post_processors.push(chain);
    job.log = directory.path().join("b.log");
    let editing = tokio::spawn(edit(fixture.control.clone()));
    let (_, summary, _) = told(fixture).await;
    let question = editing.await.unwrap();
    assert_eq!(question.choices, [Choice::Retry, Choice::Edit, Choice::Skip, Choice::Cleanup]);
    let build = &summary.builds[0].1;
    assert_eq!(build.artifacts.iter().map(|artifact| artifact.id.as_str()).collect::<Vec<_>>(), ["made"]);
    assert!(matches!(build.marks[..], [Mark::Edited { .. }]), "{build:?}");
}

#[tokio::test]
async fn a_skipped_post_processor_ends_its_chain_and_the_input_stays() {
    for (answer, kept, ending) in [
        (Answer::Skip, &["image", "other"] as &[&str], Ending::Succeeded),
        (Answer::Cleanup, &["image"] as &[&str], Ending::Failed),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut fixture = asking();
        let chain = vec![scripted_post_processor(&fixture), post_processor("later", false, false, None)];
        let job = fixture.build("b", None);
        job.post_processors = vec![chain, vec![post_processor("other", false, false, None)]];
        job.log = directory.path().join("b.log");
        let giving = give(&fixture.control, vec![answer]);
        let (_, summary, _) = told(fixture).await;
        giving.await.unwrap();
        let build = &summary.builds[0].1;
        assert_eq!(build.artifacts.iter().map(|artifact| artifact.id.as_str()).collect::<Vec<_>>(), kept);
        assert_eq!((build.ending, build.marks.len()), (Some(ending), usize::from(answer == Answer::Skip)));
    }
}

/// Pauses, as a breakpoint does.
struct Pausing;

#[async_trait]
impl Provisioner for Pausing {
    async fn provision(&self, context: &Context, _: Option<&dyn Communicator>) -> Result<()> {
        context.pause.as_ref().unwrap().wait("here").await
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_waits_without_end_and_can_stop_the_build() {
    for (answer, ending) in [(Answer::Continue, Ending::Succeeded), (Answer::Cleanup, Ending::Cancelled)] {
        let mut fixture = Fixture::new();
        let make: Make<dyn Provisioner> = Arc::new(|_| Ok(Box::new(Pausing)));
        let provisioner = ProvisionerJob { make, ..fixture.provisioner(None) };
        let builder = FakeBuilder { guest: Some(Arc::new(FakeGuest)), ..fixture.builder(None, 0) };
        let job = fixture.build("b", None);
        job.provisioners.push(provisioner);
        job.builder = Box::new(builder);
        let control = fixture.control.clone();
        let answering = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_hours(48)).await;
            let question = next_question(&control).await;
            assert_eq!(question.choices, [Choice::Continue, Choice::Shell, Choice::Cleanup]);
            assert_eq!((question.step_index, question.summary().as_str()), (2, "here"));
            assert!(control.guest(question.id).is_some());
            control.answer(question.id, answer).unwrap();
        });
        let (_, summary, _) = told(fixture).await;
        answering.await.unwrap();
        assert_eq!(summary.builds[0].1.ending, Some(ending));
    }
}

#[tokio::test]
async fn with_debug_each_step_is_a_pause() {
    let mut fixture = Fixture::new();
    let provisioner = fixture.provisioner(Some(0));
    let job = fixture.build("b", None);
    job.provisioners.push(provisioner);
    job.context.debug = true;
    let giving = give(&fixture.control, vec![Answer::Continue; 4]);
    let (_, summary, _) = told(fixture).await;
    let notes: Vec<_> = giving.await.unwrap().iter().map(Question::summary).collect();
    assert_eq!(notes[2], "Pausing after run of step 'shell'.");
    assert_eq!(summary.builds[0].1.ending, Some(Ending::Succeeded));
}
