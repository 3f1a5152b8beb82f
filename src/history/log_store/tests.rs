mod figures;

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Arc, mpsc};

use proptest::prelude::*;

use super::pattern::{Filter, Pattern};
use super::scan::Scan;
use super::{LogStore, Source, index, reader};

fn log(lines: impl IntoIterator<Item = String>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.into_iter().map(|line| line + "\n").collect::<String>().as_bytes()).unwrap();
    file
}

fn out(number: usize) -> String {
    format!("2026-11-02T10:15:30.250Z out line {number}")
}

fn texts(store: &LogStore, first: usize, count: usize) -> Vec<String> {
    store.window(first, count).unwrap().into_iter().map(|line| line.text).collect()
}

/// The scan's result, waited for.
fn scanned(store: &LogStore, filter: &str, from: usize) -> Scan {
    let (sender, receiver) = mpsc::channel();
    let scan = Scan::start(store, Filter::parse(filter).unwrap(), from, Arc::new(move || _ = sender.send(())));
    while scan.is_running() {
        receiver.recv().unwrap();
    }
    scan
}

#[test]
fn any_window_of_a_log_is_read_as_written() {
    let file = log((0..1000).map(out));
    let store = LogStore::open(file.path()).unwrap();
    assert_eq!(store.len(), 1000);
    for first in [0, 1, 63, 64, 65, 500, 998, 999] {
        assert_eq!(texts(&store, first, 2).first(), Some(&format!("line {first}")));
    }
    assert_eq!(texts(&store, 998, 10), ["line 998", "line 999"]);
    assert!(texts(&store, 1000, 10).is_empty() && texts(&store, usize::MAX, 10).is_empty());
    let line = &store.window(7, 1).unwrap()[0];
    assert_eq!((line.number, line.source), (7, Source::Out));
    assert_eq!(line.time, Some("2026-11-02T10:15:30.250Z".parse().unwrap()));
    let numbers = [3, 5, 100, 999];
    let lines: Vec<usize> = store.lines(&numbers).unwrap().iter().map(|line| line.number).collect();
    assert_eq!(lines, numbers);
}

#[test]
fn a_log_is_followed_while_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    let mut store = LogStore::new(&path);
    assert!(!store.grow(u64::MAX).unwrap() && store.is_empty());
    let mut file = File::create(&path).unwrap();
    file.write_all(b"one\ntw").unwrap();
    store.grow(u64::MAX).unwrap();
    assert_eq!(texts(&store, 0, 9), ["one"]);
    file.write_all(b"o\nthree\n").unwrap();
    store.grow(u64::MAX).unwrap();
    assert_eq!(texts(&store, 0, 9), ["one", "two", "three"]);
    File::create(&path).unwrap().write_all(b"new\n").unwrap();
    store.grow(u64::MAX).unwrap();
    assert_eq!(texts(&store, 0, 9), ["new"]);
}

#[test]
fn a_log_can_be_taken_in_by_parts() {
    let file = log((0..10_000).map(out));
    let mut store = LogStore::new(file.path());
    let mut rounds = 0;
    while store.grow(10_000).unwrap() {
        rounds += 1;
    }
    assert!(rounds > 10, "{rounds}");
    assert_eq!(store.len(), 10_000);
    assert_eq!(texts(&store, 9_999, 1), ["line 9999"]);
}

#[test]
fn steps_are_found_and_guests_cannot_forge_one() {
    let head = "2026-11-02T10:15:30.250Z";
    let file = log([
        format!("{head} ==> build started"),
        format!("{head} >>> step 1: copy: all"),
        out(1),
        format!("{head} out {head} >>> step 9: forged"),
        format!("{head} <<< step 1: copy: all succeeded after 1.0 s"),
        format!("{head} >>> step 2: shell"),
        format!("{head} >>> step 2 attempt 2: shell"),
    ]);
    let store = LogStore::open(file.path()).unwrap();
    let steps: Vec<_> =
        store.steps().iter().map(|step| (step.line, step.index, step.attempt, step.name.as_str())).collect();
    assert_eq!(steps, [(1, 0, 1, "copy: all"), (5, 1, 1, "shell"), (6, 1, 2, "shell")]);
    assert_eq!(store.step_at(0), None);
    assert_eq!(store.step_at(4).unwrap().index, 0);
    assert_eq!(store.step_at(99).unwrap().name, "shell");
    assert_eq!(store.window(4, 1).unwrap()[0].source, Source::StepEnded);
}

#[test]
fn lines_longer_than_can_be_shown_are_cut_and_counted() {
    let long = "x".repeat(reader::MAX_LINE * 9);
    let file = log([out(0), format!("2026-11-02T10:15:30.250Z out {long}"), out(2), long, out(4)]);
    let store = LogStore::open(file.path()).unwrap();
    assert_eq!(store.len(), 5);
    let lines = store.window(0, 5).unwrap();
    assert_eq!(lines[1].left_out, (reader::MAX_LINE * 8 + 29) as u64);
    assert_eq!((lines[1].text.len(), lines[3].text.len()), (reader::MAX_LINE - 29, reader::MAX_LINE));
    assert_eq!((lines[2].text.as_str(), lines[4].text.as_str(), lines[2].left_out), ("line 2", "line 4", 0));
}

#[test]
fn what_is_no_text_is_replaced_and_what_was_overwritten_is_gone() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"2026-11-02T10:15:30.250Z out a\xffb\n2026-11-02T10:15:30.250Z err 10%\r 20%\r\n\n").unwrap();
    let store = LogStore::open(file.path()).unwrap();
    assert_eq!(texts(&store, 0, 3), ["a\u{fffd}b", " 20%", ""]);
    assert_eq!(store.window(2, 1).unwrap()[0].time, None);
}

#[test]
fn searches_find_from_a_line_on_and_then_what_is_above() {
    let file = log((0..20_000).map(out));
    let store = LogStore::open(file.path()).unwrap();
    let scan = scanned(&store, "/line \\d*000$/", 15_000);
    assert_eq!(scan.count(), 19);
    assert_eq!(scan.slice(17, 9), [18_000, 19_000]);
    assert_eq!((scan.next(15_000), scan.next(14_999), scan.next(19_000)), (Some(16_000), Some(15_000), Some(1000)));
    assert_eq!((scan.previous(15_000), scan.previous(1000)), (Some(14_000), Some(19_000)));
    assert_eq!(scan.place_of(3000), 2);
    assert!((scan.progress() - 1.0).abs() < f64::EPSILON && scan.failure().is_none());
    assert_eq!(scanned(&store, "nothing", 0).next(0), None);
}

#[test]
fn a_filter_shows_lines_around_each_once() {
    let file = log((0..100).map(out));
    let store = LogStore::open(file.path()).unwrap();
    let scan = scanned(&store, "/line (0|3|4|99)$/ +1", 50);
    assert_eq!(scan.shown(store.len()), [0, 1, 2, 3, 4, 5, 98, 99]);
    assert_eq!(scanned(&store, "!/[1-9]/", 0).shown(store.len()), [0]);
}

#[test]
fn a_search_goes_on_as_the_log_grows() {
    let file = log((0..10).map(out));
    let mut store = LogStore::open(file.path()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let filter = Filter::having(Pattern::parse("7").unwrap());
    let mut scan = Scan::start(&store, filter, 0, Arc::new(move || _ = sender.send(())));
    let wait = |scan: &Scan| {
        while scan.is_running() {
            receiver.recv().unwrap();
        }
    };
    wait(&scan);
    let mut more = OpenOptions::new().append(true).open(file.path()).unwrap();
    writeln!(more, "{}\n{}", out(17), out(18)).unwrap();
    store.grow(u64::MAX).unwrap();
    scan.grow(&store);
    wait(&scan);
    assert_eq!(scan.slice(0, 9), [7, 10]);
}

proptest! {
    /// The index over any bytes gives the lines that splitting them does.
    #[test]
    fn windows_are_what_splitting_gives(lines in prop::collection::vec("[a-z]{0,3}", 0..400), first in 0usize..400, count in 0usize..99) {
        let file = log(lines.clone());
        let store = LogStore::open(file.path()).unwrap();
        prop_assert_eq!(store.len(), lines.len());
        let expected: Vec<String> = lines.into_iter().skip(first).take(count).collect();
        prop_assert_eq!(texts(&store, first, count), expected);
        prop_assert!(index::EVERY < 400, "more than one place of the index is crossed");
    }
}
