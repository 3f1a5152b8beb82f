use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use larder_proxy::flow::{Class, Outcome};
use rusqlite::Connection;

use super::{RunStore, keep_last_unlisted, schema};
use crate::event::Ending;
use crate::guest::record::Record;
use crate::history::testing::{Script, recording, simple};

const ID: &str = "20261102T101530-0a1b2c";

fn id(number: usize) -> String {
    format!("20261102T{number:06}-0a1b2c")
}

#[test]
fn a_run_is_read_as_it_was_told() {
    let state = tempfile::tempdir().unwrap();
    Script::new(recording(state.path(), 0))
        .start(ID, &["rootfs.a", "file.b", "null.c"])
        .build("rootfs.a")
        .step("rootfs.a", 0, "bootstrap", 10.0, (Outcome::Miss, 1000))
        .step_ends("rootfs.a", (1, 1), "shell", 1.0, (Outcome::Miss, 10), Ending::Failed)
        .asks("rootfs.a", 1, "shell")
        .step_ends("rootfs.a", (1, 2), "shell", 2.0, (Outcome::Hit, 20), Ending::Succeeded)
        .built("rootfs.a", 13.0, Ending::Succeeded)
        .build("file.b")
        .built("file.b", 0.5, Ending::Failed)
        .end(14.0, None);
    let store = RunStore::open(state.path()).unwrap();
    let run = store.run("last").unwrap();
    assert_eq!((run.id.as_str(), run.ending, run.seconds), (ID, Some(Ending::Failed), Some(14.0)));
    assert_eq!((run.template.as_str(), run.template_name()), ("/t/image.pkr.hcl", "image.pkr.hcl"));
    let names: Vec<_> = run.builds.iter().map(|build| (build.name.as_str(), build.ending)).collect();
    assert_eq!(names, [("rootfs.a", Some(Ending::Succeeded)), ("file.b", Some(Ending::Failed)), ("null.c", None)]);
    let build = &run.builds[0];
    let steps: Vec<_> = build.steps.iter().map(|step| (step.index, step.attempt, step.ending)).collect();
    assert_eq!(steps, [(0, 1, Some(Ending::Succeeded)), (1, 1, Some(Ending::Failed)), (1, 2, Some(Ending::Succeeded))]);
    let got: Vec<_> = build.steps.iter().map(|step| step.downloads.all().bytes_sent).collect();
    assert_eq!(got, [1000, 0, 30], "what a step downloaded is told once");
    assert_eq!(run.downloads().0.class(Class::Package).requests, 3);
    assert_eq!((run.downloads().all().bytes_upstream, run.downloads().all().hits), (1010, 1));
    assert_eq!(build.artifacts[0].files, [std::path::Path::new("out/a.tar")]);
    let answer = &build.answers[0];
    let told = (answer.step, answer.question.as_str(), answer.answer.as_str(), answer.by.as_str());
    assert_eq!(told, (1, "it broke", "retry", "answered"));
    assert_eq!(run.builds[1].failure.as_deref(), Some("it broke"));
}

#[test]
fn marks_and_exit_codes_are_kept() {
    let state = tempfile::tempdir().unwrap();
    Script::new(recording(state.path(), 0))
        .marked()
        .start(ID, &["a"])
        .build("a")
        .built("a", 1.0, Ending::Succeeded)
        .end(1.0, None);
    let mut script = Script::new(recording(state.path(), 0));
    script.start(&id(1), &["a"]).build("a").built("a", 1.0, Ending::Succeeded).end(1.0, None);
    let store = RunStore::open(state.path()).unwrap();
    let run = store.run(ID).unwrap();
    assert_eq!((run.ending, run.exit_code, run.builds[0].exit_code), (Some(Ending::Succeeded), Some(1), Some(1)));
    let marks: Vec<String> = run.builds[0].marks.iter().map(ToString::to_string).collect();
    let expected =
        ["step 2 [shell] failed and was skipped", "step 3 [shell (b)] ran an edited copy of a.sh: /logs/a.sh"];
    assert_eq!(marks, expected);
    let run = store.run(&id(1)).unwrap();
    assert_eq!((run.exit_code, run.builds[0].exit_code, run.builds[0].marks.len()), (Some(0), Some(0), 0));
}

/// A database as the first version of the schema has it.
fn of_version_1(state: &std::path::Path) {
    simple(recording(state, 0), ID, [1.0, 1.0]);
    let database = Connection::open(super::file(state)).unwrap();
    database
        .execute_batch(
            "ALTER TABLE run DROP COLUMN exit_code; ALTER TABLE build DROP COLUMN exit_code; DROP TABLE mark;
             PRAGMA user_version = 1; PRAGMA journal_mode = DELETE;",
        )
        .unwrap();
}

#[test]
fn a_record_of_an_older_version_is_read_and_goes_on() {
    let state = tempfile::tempdir().unwrap();
    of_version_1(state.path());
    simple(recording(state.path(), 0), &id(1), [1.0, 1.0]);
    let store = RunStore::open(state.path()).unwrap();
    assert_eq!((store.run(ID).unwrap().exit_code, store.run(&id(1)).unwrap().exit_code), (None, Some(0)));
    assert_eq!(schema::version(&store.connection).unwrap(), schema::VERSION);
}

#[test]
fn a_record_of_an_older_version_that_cannot_be_written_is_read() {
    let state = tempfile::tempdir().unwrap();
    of_version_1(state.path());
    let store = RunStore::open_as_is(&super::file(state.path())).unwrap();
    let run = store.run("last").unwrap();
    assert_eq!((run.id.as_str(), run.exit_code, run.builds[0].marks.len()), (ID, None, 0));
    assert_eq!(run.builds[0].steps.len(), 2);
    assert_eq!(store.runs(None, 9).unwrap().len(), 1);
    drop(store);
    assert_eq!(schema::version(&Connection::open(super::file(state.path())).unwrap()).unwrap(), 1);
}

#[test]
fn a_run_that_was_killed_has_no_ending_and_what_was_done() {
    let state = tempfile::tempdir().unwrap();
    let mut script = Script::new(recording(state.path(), 0));
    script.start(ID, &["a"]).build("a").step("a", 0, "one", 1.0, (Outcome::Hit, 1)).finish();
    let run = RunStore::open(state.path()).unwrap().run(ID).unwrap();
    assert_eq!((run.ending, run.builds[0].ending, run.builds[0].steps.len()), (None, None, 1));
}

#[test]
fn runs_are_found_by_parts_of_their_ids_and_by_template() {
    let state = tempfile::tempdir().unwrap();
    for number in 1..4 {
        simple(recording(state.path(), 0), &id(number), [1.0, 1.0]);
    }
    simple(recording(state.path(), 0), "20261103T000000-ffffff", [1.0, 1.0]);
    let store = RunStore::open(state.path()).unwrap();
    let ids = |template, count| -> Vec<String> {
        store.runs(template, count).unwrap().into_iter().map(|run| run.id).collect()
    };
    assert_eq!(ids(None, 2), ["20261103T000000-ffffff".to_owned(), id(3)]);
    assert_eq!((ids(Some("image"), 9).len(), ids(Some("other"), 9).len()), (4, 0));
    assert_eq!(store.run("ffffff").unwrap().id, "20261103T000000-ffffff");
    assert_eq!(store.run("20261102T000002").unwrap().id, id(2));
    assert_eq!(
        store.run("2026").unwrap_err().to_string(),
        "several runs are called 2026: 20261103T000000-ffffff is one"
    );
    assert_eq!(store.run("none").unwrap_err().to_string(), "there is no run none");
}

#[test]
fn two_processes_write_at_once() {
    let state = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let state = state.path();
            scope.spawn(move || simple(recording(state, 0), &id(number), [1.0, 2.0]));
        }
    });
    let runs = RunStore::open(state.path()).unwrap().runs(None, 99).unwrap();
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run.ending == Some(Ending::Succeeded) && run.builds[0].steps.len() == 2));
}

#[test]
fn old_runs_are_forgotten_with_their_logs_and_live_ones_never() {
    let state = tempfile::tempdir().unwrap();
    let (runs, logs) = (state.path().join("runs"), state.path().join("logs"));
    for number in 0..5 {
        simple(recording(state.path(), 0), &id(number), [1.0, 1.0]);
        fs::create_dir_all(logs.join(id(number))).unwrap();
    }
    let unrecorded = logs.join("20251102T000000-aaaaaa");
    let other = logs.join("mine");
    fs::create_dir_all(unrecorded.join("x")).unwrap();
    fs::create_dir_all(&other).unwrap();
    std::os::unix::fs::symlink(&other, logs.join("20251102T000000-bbbbbb")).unwrap();
    let live = Record::create(&runs, &id(1), "build", SystemTime::now()).unwrap();
    simple(recording(state.path(), 3), &id(5), [1.0, 1.0]);
    let store = RunStore::open(state.path()).unwrap();
    let kept: Vec<String> = store.runs(None, 99).unwrap().into_iter().rev().map(|run| run.id).collect();
    assert_eq!(kept, [id(1), id(3), id(4), id(5)]);
    let mut left: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    let expected = ["20251102T000000-bbbbbb", &id(1), &id(3), &id(4), "mine"];
    assert_eq!(left, expected, "an old directory nobody recorded goes too, a stranger's and a link stay");
    live.finish().unwrap();
}

/// Commands of `larder exec` are in no history; their records go by number.
#[test]
fn records_of_commands_go_with_time() {
    let state = tempfile::tempdir().unwrap();
    let logs = state.path().join("logs");
    simple(recording(state.path(), 0), &id(0), [1.0, 1.0]);
    for number in 0..6 {
        fs::create_dir_all(logs.join(id(number)).join("x")).unwrap();
    }
    fs::create_dir_all(logs.join("mine")).unwrap();
    let live = Record::create(&state.path().join("runs"), &id(2), "exec true", SystemTime::now()).unwrap();
    assert_eq!(keep_last_unlisted(state.path(), 0).unwrap(), 0, "0 is for all");
    // One runs, and is kept; it counts.
    assert_eq!(keep_last_unlisted(state.path(), 2).unwrap(), 3);
    let mut left: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [&id(0), &id(2), &id(5), "mine"], "a build's log is for its history to remove");
    live.finish().unwrap();
    assert_eq!(keep_last_unlisted(&state.path().join("nothing"), 2).unwrap(), 0);
}

#[test]
fn estimates_are_of_the_last_successes_of_that_build() {
    let state = tempfile::tempdir().unwrap();
    for number in 0..12 {
        let seconds = if number < 2 { 900.0 } else { 10.0 };
        simple(recording(state.path(), 0), &id(number), [seconds, 3.0]);
    }
    Script::new(recording(state.path(), 0))
        .start(&id(12), &["rootfs.a"])
        .build("rootfs.a")
        .step("rootfs.a", 0, "bootstrap", 500.0, (Outcome::Hit, 1))
        .built("rootfs.a", 500.0, Ending::Failed)
        .end(500.0, None);
    let store = RunStore::open(state.path()).unwrap();
    let past = store.past("/t/image.pkr.hcl", "rootfs.a").unwrap();
    assert_eq!((past.runs(), past.step("bootstrap", 0), past.step("shell", 0)), (10, Some(10.0), Some(3.0)));
    assert_eq!(store.past("/t/image.pkr.hcl", "other").unwrap().runs(), 0);
    assert_eq!(store.past("/t/other", "rootfs.a").unwrap().runs(), 0);
}

#[test]
fn a_database_of_a_newer_larder_is_left_alone() {
    let state = tempfile::tempdir().unwrap();
    drop(RunStore::open(state.path()).unwrap());
    let file = state.path().join("history.sqlite");
    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(connection);
    let error = RunStore::open(state.path()).err().unwrap();
    assert!(error.to_string().contains("is of another version of Larder"), "{error}");
    assert!(RunStore::open_to_read(state.path()).is_err());
    // A build goes on, and writes nothing there.
    simple(recording(state.path(), 0), ID, [1.0, 1.0]);
}

#[test]
fn nothing_that_goes_wrong_is_felt_by_the_run() {
    let state = tempfile::tempdir().unwrap();
    let blocked = state.path().join("file");
    fs::write(&blocked, "").unwrap();
    simple(recording(&blocked, 0), ID, [1.0, 1.0]);
    fs::write(state.path().join("history.sqlite"), "this is not a database, though it is long enough to be one")
        .unwrap();
    simple(recording(state.path(), 0), ID, [1.0, 1.0]);
}

#[test]
fn a_database_that_cannot_be_written_can_be_read() {
    let state = tempfile::tempdir().unwrap();
    assert!(RunStore::open_to_read(state.path()).unwrap().is_none());
    simple(recording(state.path(), 0), ID, [1.0, 1.0]);
    let as_is = RunStore::open_as_is(&state.path().join("history.sqlite")).unwrap();
    assert_eq!(as_is.run("last").unwrap().id, ID);
    fs::set_permissions(state.path().join("history.sqlite"), fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(RunStore::open_to_read(state.path()).unwrap().unwrap().runs(None, 9).unwrap().len(), 1);
}
