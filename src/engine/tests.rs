use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::artifact::Artifact;
use super::cancel::{Cancel, Cause};
use super::component::{Builder, Communicator, Context, PostProcessed, PostProcessor, Provisioner, Step};
use super::control::Control;
use super::host::{Host, HostCommand, HostProcess};
use super::job::{BuildJob, Make, PostProcessorJob, ProvisionerJob, RunOptions};
use super::on_error::OnError;
use super::run::run;
use super::ui::BuildUi;
use crate::error::{Error, Result};
use crate::event::redact::Redactor;
use crate::event::summary::Summary;
use crate::event::{Ending, bus};

mod asking;
mod cancelling;

/// What happened, in order.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct NoHost;

#[async_trait]
impl Host for NoHost {
    async fn start(&self, _: HostCommand) -> Result<HostProcess> {
        Err(Error::new("no commands of the host here"))
    }
}

/// How often something fails yet.
type Failures = Arc<Mutex<u32>>;

fn fails(failures: &Failures) -> bool {
    let mut left = failures.lock().unwrap();
    let fails = *left > 0;
    *left = left.saturating_sub(1);
    fails
}

struct FakeStep {
    name: &'static str,
    failures: Failures,
    journal: Journal,
}

#[async_trait]
impl Step for FakeStep {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn run(&mut self, _context: &Context) -> Result<()> {
        self.journal.note(format!("run {}", self.name));
        if fails(&self.failures) { Err(Error::new(format!("{} broke", self.name))) } else { Ok(()) }
    }

    async fn reset(&mut self, _context: &Context) -> Result<()> {
        self.journal.note(format!("reset {}", self.name));
        Ok(())
    }

    async fn cleanup(&mut self, context: &Context) {
        assert!(!context.cancel.is_cancelled(), "clean-up has a token of its own");
        self.journal.note(format!("undo {}", self.name));
    }
}

struct FakeBuilder {
    journal: Journal,
    failing: Option<&'static str>,
    /// Of the step that is failing.
    failures: Failures,
    guest: Option<Arc<dyn Communicator>>,
}

impl FakeBuilder {
    fn steps(&self, names: &[&'static str]) -> Vec<Box<dyn Step>> {
        let step = |name: &&'static str| FakeStep {
            name,
            failures: if self.failing == Some(*name) { self.failures.clone() } else { Failures::default() },
            journal: self.journal.clone(),
        };
        names.iter().map(|name| Box::new(step(name)) as Box<dyn Step>).collect()
    }
}

#[async_trait]
impl Builder for FakeBuilder {
    fn start_steps(&mut self) -> Vec<Box<dyn Step>> {
        self.steps(&["create", "boot"])
    }

    async fn open(&mut self, index: usize, _label: &str, _context: &Context) -> Result<Option<Arc<dyn Communicator>>> {
        self.journal.note(format!("open {index}"));
        Ok(self.guest.clone())
    }

    async fn close(&mut self, keep: bool, _context: &Context) -> Result<()> {
        self.journal.note(format!("close {keep}"));
        Ok(())
    }

    async fn rewind(&mut self, index: usize, _context: &Context) -> Result<()> {
        self.journal.note(format!("rewind {index}"));
        Ok(())
    }

    fn can_leave(&self) -> bool {
        true
    }

    async fn leave(&mut self, _context: &Context) -> Vec<String> {
        self.journal.note("leave");
        vec!["look there".to_owned()]
    }

    fn finish_steps(&mut self) -> Vec<Box<dyn Step>> {
        self.steps(&["export"])
    }

    fn artifact(&mut self) -> Option<Artifact> {
        Some(artifact("image"))
    }
}

fn artifact(name: &str) -> Artifact {
    Artifact { files: vec![PathBuf::from(name)], id: name.to_owned(), ..Artifact::default() }
}

/// Fails its first `failures` runs; `None` waits until it is cancelled.
struct FakeProvisioner {
    journal: Journal,
    failures: Option<Failures>,
}

#[async_trait]
impl Provisioner for FakeProvisioner {
    async fn provision(&self, context: &Context, _communicator: Option<&dyn Communicator>) -> Result<()> {
        self.journal.note("provision");
        let Some(failures) = &self.failures else {
            context.cancel.cancelled().await;
            return Err(Error::new("stopped"));
        };
        if fails(failures) { Err(Error::new(format!("{} to go", failures.lock().unwrap()))) } else { Ok(()) }
    }
}

struct Fixture {
    journal: Journal,
    jobs: Vec<BuildJob>,
    options: RunOptions,
    control: Control,
    cancel: Cancel,
    events: bus::Events,
    receiver: bus::EventReceiver,
}

impl Fixture {
    fn new() -> Self {
        let (events, receiver) = bus::stream(Redactor::default());
        let journal = Journal::default();
        let removed = journal.clone();
        let options = RunOptions {
            run: "r".into(),
            on_error: OnError::Cleanup,
            net: "cache".into(),
            remove: Arc::new(move |path| {
                removed.note(format!("remove {}", path.display()));
                Ok(())
            }),
            before_retry: Arc::new(|| ()),
            cleanup_limit: Duration::from_secs(5),
            attended: true,
            ask_timeout: Some(Duration::from_mins(30)),
        };
        let cancel = Cancel::root();
        let control = Control::new(cancel.clone(), 0);
        Self { journal, jobs: Vec::new(), options, control, cancel, events, receiver }
    }

    /// A builder one of whose steps fails so often.
    fn builder(&self, failing: Option<&'static str>, failures: u32) -> FakeBuilder {
        FakeBuilder { journal: self.journal.clone(), failing, failures: Arc::new(Mutex::new(failures)), guest: None }
    }

    fn build(&mut self, name: &str, failing: Option<&'static str>) -> &mut BuildJob {
        let context = Context {
            ui: Arc::new(BuildUi::new(self.events.clone(), name.into())),
            cancel: CancellationToken::new(),
            build_name: name.into(),
            builder_type: "fake".into(),
            run_uuid: "u".into(),
            force: false,
            debug: false,
            pause: None,
            host: Arc::new(NoHost),
            host_env: BTreeMap::default(),
            clamp: super::clamp::Clamp::default(),
            marks: Vec::new(),
            generated: BTreeMap::default(),
            scratch: PathBuf::new(),
        };
        self.jobs.push(BuildJob {
            name: name.into(),
            builder: Box::new(self.builder(failing, u32::MAX)),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
            context,
            on_step: Arc::new(|_| {}),
            log: PathBuf::new(),
            leftovers: Arc::new(|| vec!["guest 7".into()]),
        });
        self.jobs.last_mut().unwrap()
    }

    fn provisioner(&self, failures: Option<u32>) -> ProvisionerJob {
        let journal = self.journal.clone();
        let failures = failures.map(|count| Arc::new(Mutex::new(count)));
        let make: Make<dyn Provisioner> = Arc::new(move |_| {
            Ok(Box::new(FakeProvisioner { journal: journal.clone(), failures: failures.clone() })
                as Box<dyn Provisioner>)
        });
        ProvisionerJob {
            label: "shell".into(),
            pause_before: Duration::ZERO,
            max_retries: 0,
            timeout: None,
            continue_on_error: false,
            make,
        }
    }

    async fn run(mut self) -> (Vec<String>, Summary) {
        run(self.jobs, self.options, self.control, self.events.clone()).await;
        self.events.close();
        let mut summary = Summary::default();
        while let Some(event) = self.receiver.next_waiting() {
            summary.apply(&event);
        }
        (self.journal.taken(), summary)
    }
}

#[tokio::test]
async fn steps_run_in_order_and_are_undone_in_reverse() {
    let mut fixture = Fixture::new();
    let provisioner = fixture.provisioner(Some(0));
    fixture.build("b", None).provisioners.push(provisioner);
    let (journal, summary) = fixture.run().await;
    assert_eq!(
        journal,
        [
            "run create",
            "run boot",
            "open 0",
            "provision",
            "close true",
            "run export",
            "undo export",
            "undo boot",
            "undo create"
        ]
    );
    let build = &summary.builds[0].1;
    assert_eq!(build.ending, Some(Ending::Succeeded));
    assert_eq!(
        build.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>(),
        ["create", "boot", "shell", "export"]
    );
}

#[tokio::test]
async fn a_failed_step_undoes_itself_and_those_before_it() {
    let mut fixture = Fixture::new();
    fixture.build("b", Some("boot"));
    let (journal, summary) = fixture.run().await;
    assert_eq!(journal, ["run create", "run boot", "undo boot", "undo create"]);
    assert_eq!(summary.builds[0].1.failure.as_ref().unwrap().message, "boot broke");
}

#[tokio::test]
async fn abort_undoes_nothing_and_lists_what_is_left() {
    let mut fixture = Fixture::new();
    fixture.options.on_error = OnError::Abort;
    let cleanup = fixture.provisioner(Some(0));
    fixture.build("b", Some("export")).error_cleanup = Some(cleanup);
    let (journal, summary) = fixture.run().await;
    assert_eq!(journal, ["run create", "run boot", "run export", "leave"]);
    assert_eq!(summary.builds[0].1.left, ["guest 7"]);
}

#[tokio::test]
async fn the_error_cleanup_provisioner_runs_before_steps_are_undone() {
    let mut fixture = Fixture::new();
    let cleanup = fixture.provisioner(Some(0));
    fixture.build("b", Some("export")).error_cleanup = Some(cleanup);
    let (journal, _) = fixture.run().await;
    assert_eq!(journal[3..], ["open 0", "provision", "close true", "undo export", "undo boot", "undo create"]);
}

#[tokio::test(start_paused = true)]
async fn a_provisioner_is_tried_again_and_the_first_error_is_told() {
    let mut fixture = Fixture::new();
    let provisioner = ProvisionerJob { max_retries: 2, ..fixture.provisioner(Some(3)) };
    fixture.build("b", None).provisioners.push(provisioner);
    let (journal, summary) = fixture.run().await;
    assert_eq!(journal.iter().filter(|line| *line == "provision").count(), 3);
    assert_eq!(summary.builds[0].1.failure.as_ref().unwrap().message, "2 to go");

    let mut fixture = Fixture::new();
    let provisioner = ProvisionerJob { max_retries: 2, ..fixture.provisioner(Some(2)) };
    fixture.build("b", None).provisioners.push(provisioner);
    assert_eq!(fixture.run().await.1.builds[0].1.ending, Some(Ending::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_holds_beside_a_pause() {
    let mut fixture = Fixture::new();
    let provisioner = ProvisionerJob {
        pause_before: Duration::from_mins(1),
        timeout: Some(Duration::from_secs(30)),
        ..fixture.provisioner(None)
    };
    fixture.build("b", None).provisioners.push(provisioner);
    let began = tokio::time::Instant::now();
    let (journal, summary) = fixture.run().await;
    assert_eq!(began.elapsed().as_secs(), 90);
    let build = &summary.builds[0].1;
    assert_eq!(build.ending, Some(Ending::Failed));
    assert!(build.failure.as_ref().unwrap().message.contains("timeout of 30 s"), "{build:?}");
    assert!(journal.contains(&"close false".to_owned()) && journal.contains(&"undo create".to_owned()));
}

#[tokio::test]
async fn an_interrupted_build_is_undone_and_the_next_does_not_start() {
    let mut fixture = Fixture::new();
    fixture.control.set_limit(1);
    let provisioner = fixture.provisioner(None);
    fixture.build("b", None).provisioners.push(provisioner);
    fixture.build("c", None);
    let (cancel, journal) = (fixture.cancel.clone(), fixture.journal.clone());
    let watching = tokio::spawn(async move {
        while !journal.0.lock().unwrap().contains(&"provision".to_owned()) {
            tokio::task::yield_now().await;
        }
        cancel.cancel(Cause::Interrupt);
    });
    let (journal, summary) = fixture.run().await;
    watching.await.unwrap();
    assert_eq!(journal[3..], ["provision", "close false", "undo boot", "undo create"]);
    assert_eq!(summary.builds[0].1.ending, Some(Ending::Cancelled));
    assert_eq!(summary.builds[1].1.ending, Some(Ending::Cancelled));
}

/// Returns an artifact of its own name.
struct FakePostProcessor {
    name: &'static str,
    keep: bool,
    force: bool,
    fails: bool,
}

#[async_trait]
impl PostProcessor for FakePostProcessor {
    async fn post_process(&self, _context: &Context, _input: &Artifact) -> Result<PostProcessed> {
        if self.fails {
            return Err(Error::new("no"));
        }
        Ok(PostProcessed { artifact: Some(artifact(self.name)), keep_input: self.keep, force_keep: self.force })
    }
}

fn post_processor(name: &'static str, keep: bool, force: bool, user: Option<bool>) -> PostProcessorJob {
    let make: Make<dyn PostProcessor> = Arc::new(move |_| {
        let fails = name == "broken";
        Ok(Box::new(FakePostProcessor { name, keep, force, fails }) as Box<dyn PostProcessor>)
    });
    PostProcessorJob { label: name.into(), keep_input: user, make }
}

async fn artifacts_of(chains: Vec<Vec<PostProcessorJob>>) -> (Vec<String>, Vec<String>) {
    let mut fixture = Fixture::new();
    fixture.build("b", None).post_processors = chains;
    let (journal, summary) = fixture.run().await;
    let kept = summary.builds[0].1.artifacts.iter().map(|artifact| artifact.id.clone()).collect();
    (kept, journal.into_iter().filter(|line| line.starts_with("remove")).collect())
}

#[tokio::test]
async fn post_processors_keep_what_packer_keeps() {
    let (kept, removed) = artifacts_of(vec![]).await;
    assert_eq!((kept, removed.len()), (vec!["image".to_owned()], 0));

    let (kept, removed) = artifacts_of(vec![vec![post_processor("zip", false, false, None)]]).await;
    assert_eq!((kept, removed), (vec!["zip".to_owned()], vec!["remove image".to_owned()]));

    let chain = vec![post_processor("zip", false, false, Some(true)), post_processor("sum", false, false, None)];
    let (kept, removed) = artifacts_of(vec![chain]).await;
    assert_eq!((kept, removed), (vec!["image".to_owned(), "sum".to_owned()], vec!["remove zip".to_owned()]));

    let (kept, removed) = artifacts_of(vec![vec![post_processor("sum", true, true, Some(false))]]).await;
    assert_eq!((kept, removed.len()), (vec!["image".to_owned(), "sum".to_owned()], 0));
}

#[tokio::test]
async fn a_broken_chain_stops_no_other_and_costs_nothing() {
    let chains =
        vec![vec![post_processor("broken", false, false, None)], vec![post_processor("zip", false, false, None)]];
    let (kept, removed) = artifacts_of(chains).await;
    assert_eq!((kept, removed.len()), (vec!["image".to_owned(), "zip".to_owned()], 0));
}
