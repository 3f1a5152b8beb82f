use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use larder::engine::component::{Communicator as _, Output};
use larder::guest::reap;
use larder::guest::record::Record;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, possible, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_has_its_output_and_status() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    assert_eq!(run(&guest, "echo hello; exit 3").await, (3, "hello\n".to_owned()));
    assert_eq!(run(&guest, "kill -9 $$").await.0, 137);
    assert_eq!(run(&guest, "no-such-program").await.0, 127);
    let (status, output) = run(&guest, "head -c 5000000 /dev/zero").await;
    assert_eq!((status, output.len()), (0, 5_000_000));
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_running_is_named_and_ended_and_holds_nothing_up() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let begun = Instant::now();
    let (status, output) = run(
        &guest,
        "sleep 1234 & setsid sleep 4321 & while [ $(cat /proc/$!/comm) != sleep ]; do :; done; echo started",
    )
    .await;
    assert_eq!((status, output.as_str()), (0, "started\n"));
    let shutdown = guest.shutdown().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut lines: Vec<_> = shutdown.leftovers.iter().map(|left| left.command_line.as_str()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["sleep 1234", "sleep 4321"]);
    assert_eq!(shutdown.leftovers[0].name, "sleep");
    // None of it is still there, seen from outside.
    assert!(!runs("sleep\u{0}1234"));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_ends_a_command() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let (sender, mut receiver) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let (result, ()) = tokio::join!(guest.run("echo on; sleep 1000", sender, &cancel), async {
        assert!(matches!(receiver.recv().await, Some(Output::Stdout(_))));
        cancel.cancel();
    });
    result.unwrap_err();
    assert_eq!(run(&guest, "echo still usable").await.1, "still usable\n");
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_nobody_waits_for_any_more_ends() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let guest = bed.communicator().await;
    let (sender, mut receiver) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    tokio::select! {
        _ = guest.run("sleep 13579 & while [ $(cat /proc/$!/comm) != sleep ]; do :; done; echo on; wait", sender, &cancel) => panic!("the command ended"),
        Some(_) = receiver.recv() => {}
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while runs("sleep\u{0}13579") {
        assert!(Instant::now() < deadline, "the command still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    guest.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_guest_ends() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    let mut guest = bed.guest().await;
    let command = larder::guest::launch::Command::shell("exec /usr/bin/sleep 98765", std::collections::BTreeMap::new());
    let process = guest.spawn(command).await.unwrap();
    while !runs("sleep\u{0}98765") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    guest.kill().await.unwrap();
    assert!(!runs("sleep\u{0}98765"));
    drop((process, guest));
    // Nothing is mounted, so the tree can be removed.
    let path = bed.directory.clone();
    reap::remove_tree(&path.join("layers")).unwrap();
}

/// Whether a process with this command line runs on the host.
fn runs(command_line: &str) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let path = entry.unwrap().path().join("cmdline");
        fs::read(Path::new(&path)).is_ok_and(|line| String::from_utf8_lossy(&line).contains(command_line))
    })
}

/// Not a test by itself: the process that `nothing_is_left_when_larder_is_killed` kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, which kills it"]
async fn victim() {
    let Ok(state) = std::env::var("LARDER_TEST_STATE") else { return };
    let state = Path::new(&state);
    let record = Arc::new(Record::create(state, "run", "build rootfs.test", SystemTime::UNIX_EPOCH).unwrap());
    let scratch = state.parent().unwrap().join("scratch");
    record.make_tree(&scratch).unwrap();
    let mut bed = Bed::at(&scratch).await;
    bed.record = Some(record);
    let guest = bed.communicator().await;
    let line = "exec 3> /tmp/open; while :; do echo x >&3; sleep 0.01; done & sleep 24680 & echo ready; wait";
    let (sender, mut receiver) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    tokio::join!(guest.run(line, sender, &cancel), async {
        receiver.recv().await.unwrap();
        fs::write(state.join("ready"), "").unwrap();
    })
    .0
    .unwrap();
}

/// The process that is killed. A test that fails leaves nothing of it either.
struct Victim<'a> {
    process: std::process::Child,
    state: &'a Path,
}

impl Drop for Victim<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for run in reap::list(self.state).unwrap_or_default() {
            let _ = reap::cleanup(&run);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_larder_is_killed() {
    if !possible() {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let state = here.path().join("state");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let victim = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "life::victim", "--ignored"])
        .env("LARDER_TEST_STATE", &state)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut victim = Victim { process: victim, state: &state };
    let deadline = Instant::now() + Duration::from_mins(1);
    // It says that it is ready when the guest has begun a process, which need not be `sleep` yet.
    while !state.join("ready").exists() || !runs("sleep\u{0}24680") {
        let lives = victim.process.try_wait().unwrap().is_none();
        assert!(Instant::now() < deadline && lives, "the victim did not get going");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let run = reap::list(&state).unwrap().remove(0);
    assert!(run.live);
    assert_eq!(run.processes.len(), 1);
    reap::cleanup(&run).unwrap_err();

    victim.process.kill().unwrap();
    victim.process.wait().unwrap();
    let run = reap::list(&state).unwrap().remove(0);
    assert!(!run.live);
    reap::cleanup(&run).unwrap();
    assert!(!runs("sleep\u{0}24680"));
    assert!(!here.path().join("scratch").exists());
    assert_eq!(reap::list(&state).unwrap(), []);
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_overlays_are_refused_a_copy_takes_their_place() {
    if !possible() {
        return;
    }
    let mut bed = Bed::new().await;
    bed.layers.use_copies();
    for step in 1..=2 {
        let guest = bed.communicator().await;
        let (status, output) = run(&guest, "echo x >> /tmp/steps; cat /tmp/steps").await;
        assert_eq!((status, output), (0, "x\n".repeat(step)));
        assert!(guest.shutdown().await.unwrap().problems.is_empty());
        bed.layers.keep().unwrap();
    }
    let guest = bed.communicator().await;
    run(&guest, "echo thrown away >> /tmp/steps").await;
    guest.shutdown().await.unwrap();
    bed.layers.discard().unwrap();
    let image = bed.layers.finished().last().unwrap();
    assert_eq!(fs::read(image.join("tmp/steps")).unwrap(), b"x\nx\n");
    assert!(!image.join("proc").exists() && !image.join("etc/resolv.conf").exists());
}
