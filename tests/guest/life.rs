use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use larder::engine::component::{Communicator as _, Output};
use larder::guest::reap;
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
    let (status, output) = run(&guest, "sleep 1234 & setsid sleep 4321 & echo started").await;
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
    let path = bed.scratch.path().to_owned();
    reap::remove_tree(&path.join("layers")).unwrap();
}

/// Whether a process with this command line runs on the host.
fn runs(command_line: &str) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let path = entry.unwrap().path().join("cmdline");
        fs::read(Path::new(&path)).is_ok_and(|line| String::from_utf8_lossy(&line).contains(command_line))
    })
}
