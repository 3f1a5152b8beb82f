//! Slots, and builds that are cancelled one by one.

use super::*;

/// Waits until something is in the journal.
async fn until(journal: &Journal, line: &str) {
    while !journal.0.lock().unwrap().iter().any(|known| known == line) {
        tokio::task::yield_now().await;
    }
}

/// Heeds nothing.
struct Deaf(Journal);

#[async_trait]
impl Provisioner for Deaf {
    async fn provision(&self, _: &Context, _: Option<&dyn Communicator>) -> Result<()> {
        self.0.note("deaf");
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_stop_is_given_up_and_the_others_go_on() {
    let mut fixture = Fixture::new();
    let journal = fixture.journal.clone();
    let make: Make<dyn Provisioner> = Arc::new(move |_| Ok(Box::new(Deaf(journal.clone()))));
    let provisioner = ProvisionerJob { make, ..fixture.provisioner(None) };
    fixture.build("b", None).provisioners.push(provisioner);
    fixture.build("c", None);
    let (control, journal) = (fixture.control.clone(), fixture.journal.clone());
    let cancelling = tokio::spawn(async move {
        until(&journal, "deaf").await;
        control.cancel_build("b", false);
    });
    let began = tokio::time::Instant::now();
    let (journal, summary) = fixture.run().await;
    cancelling.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(journal[journal.len() - 3..], ["close false", "undo boot", "undo create"]);
    assert_eq!(summary.builds[0].1.ending, Some(Ending::Cancelled));
    assert_eq!(summary.builds[0].1.failure.as_ref().unwrap().message, "cancelled");
    assert_eq!(summary.builds[1].1.ending, Some(Ending::Succeeded));
}

#[tokio::test]
async fn a_cancelled_build_can_be_kept() {
    let mut fixture = Fixture::new();
    let provisioner = fixture.provisioner(None);
    fixture.build("b", None).provisioners.push(provisioner);
    let (control, journal) = (fixture.control.clone(), fixture.journal.clone());
    let cancelling = tokio::spawn(async move {
        until(&journal, "provision").await;
        control.cancel_build("b", true);
    });
    let (journal, summary) = fixture.run().await;
    cancelling.await.unwrap();
    assert_eq!(journal.last().unwrap(), "leave");
    assert_eq!((summary.builds[0].1.ending, summary.builds[0].1.left.len()), (Some(Ending::Cancelled), 1));
}

#[tokio::test]
async fn a_queued_build_is_cancelled_without_its_turn() {
    let mut fixture = Fixture::new();
    fixture.control.set_limit(1);
    let provisioner = fixture.provisioner(None);
    fixture.build("b", None).provisioners.push(provisioner);
    fixture.build("c", None);
    fixture.build("d", None);
    let (control, journal) = (fixture.control.clone(), fixture.journal.clone());
    let cancelling = tokio::spawn(async move {
        until(&journal, "provision").await;
        control.cancel_build("c", false);
        control.cancel_build("b", false);
    });
    let (journal, summary) = fixture.run().await;
    cancelling.await.unwrap();
    let endings: Vec<_> = summary.builds.iter().map(|(_, build)| build.ending.unwrap()).collect();
    assert_eq!(endings, [Ending::Cancelled, Ending::Cancelled, Ending::Succeeded]);
    assert_eq!(journal.iter().filter(|line| *line == "run create").count(), 2);
}

#[tokio::test]
async fn slots_go_by_turn_and_those_who_have_started_come_first() {
    let control = Control::new(Cancel::root(), 1);
    let mut tasks = tokio::task::JoinSet::new();
    for (queued, place) in [(true, 1), (true, 0), (false, 7)] {
        let waiting = control.wait(queued, place);
        tasks.spawn(async move { (place, waiting.slot().await) });
    }
    let mut order = Vec::new();
    while let Some(taken) = tasks.join_next().await {
        let (place, slot) = taken.unwrap();
        assert_eq!(control.slots().taken, 1);
        order.push(place);
        drop(slot);
    }
    assert_eq!(order, [7, 0, 1]);
}

#[tokio::test]
async fn a_pause_holds_back_those_who_have_not_started() {
    let control = Control::new(Cancel::root(), 1);
    control.set_paused(true);
    let queued = tokio::spawn({
        let waiting = control.wait(true, 0);
        async move { waiting.slot().await }
    });
    let resumed = control.wait(false, 1).slot().await;
    assert_eq!(control.slots().taken, 1);
    control.set_paused(false);
    tokio::task::yield_now().await;
    assert!(!queued.is_finished());
    control.set_limit(2);
    drop(queued.await.unwrap());
    drop(resumed);
    assert_eq!(control.slots().taken, 0);
}
