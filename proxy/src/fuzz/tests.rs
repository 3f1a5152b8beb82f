//! The bodies as property tests: with each seed, with random changes of seeds, and with whatever bytes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 11] = [
    ("cache_keys", super::cache_keys),
    ("challenged", super::challenged),
    ("heads", super::heads),
    ("indexes", super::indexes),
    ("no_proxy", super::no_proxy),
    ("pac_answers", super::pac_answers),
    ("pac_scripts", super::pac_scripts),
    ("policy", super::policy),
    ("proxy_urls", super::proxy_urls),
    ("questions", super::questions),
    ("rows", super::rows),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let path = folder().join("seeds").join(target);
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.display().to_string(), fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{target} has no seeds");
    found
}

static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let of = |target: &str| seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
    TARGETS.iter().map(|(target, _)| of(target)).collect()
});

/// The body of a target, and its number among them.
fn body(name: &str) -> (usize, Body) {
    let at = TARGETS.iter().position(|(own, _)| *own == name).unwrap();
    (at, TARGETS[at].1)
}

#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
    /// Some of another seed.
    Splice(usize, usize, usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0..4096_usize;
    prop_oneof![
        (place(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (place(), prop::sample::select(b" \t\r\n:;,.=-_\"'%&?#/@[]{}<>|0129aZ\0\x7f\xff".to_vec()))
            .prop_map(|(at, byte)| Change::Set(at, byte)),
        place().prop_map(Change::Cut),
        (place(), 1..40_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (place(), 1..40_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        (place(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), place(), place(), 1..80_usize)
            .prop_map(|(at, seed, from, count)| Change::Splice(at, seed, from, count)),
    ]
}

fn changed(all: &[Vec<u8>], first: usize, changes: &[Change]) -> Vec<u8> {
    let mut bytes = all[first % all.len()].clone();
    for change in changes {
        let length = bytes.len().max(1);
        let part = |at: usize, count: usize| at % length..(at % length + count).min(bytes.len());
        match change {
            Change::Flip(at, bits) => bytes.get_mut(at % length).into_iter().for_each(|byte| *byte ^= bits),
            Change::Set(at, value) => bytes.get_mut(at % length).into_iter().for_each(|byte| *byte = *value),
            Change::Cut(at) => bytes.truncate(at % length),
            Change::Remove(at, count) if !bytes.is_empty() => drop(bytes.drain(part(*at, *count))),
            Change::Repeat(at, count) if !bytes.is_empty() => {
                let again = bytes[part(*at, *count)].to_vec();
                bytes.splice(at % length..at % length, again);
            }
            Change::Remove(..) | Change::Repeat(..) => {}
            Change::Insert(at, more) => {
                let at = at % (bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Splice(at, seed, from, count) => {
                let other = &all[seed % all.len()];
                let from = from % other.len().max(1);
                let piece = other[from.min(other.len())..(from + count).min(other.len())].to_vec();
                let at = at % (bytes.len() + 1);
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

fn holds(name: &str, cases: u32) {
    let (at, body) = body(name);
    for (path, bytes) in seeds(name) {
        let outcome = std::panic::catch_unwind(|| body(&bytes));
        assert!(outcome.is_ok(), "{path} does not hold");
    }
    let config =
        ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() };
    let of_seeds = (any::<usize>(), prop::collection::vec(change(), 1..6));
    let anything = prop::collection::vec(any::<u8>(), 0..300);
    proptest!(config, |((first, changes) in of_seeds, bytes in anything)| {
        body(&changed(&SEEDS[at], first, &changes));
        body(&bytes);
    });
}

#[test]
fn cache_keys_hold_whatever_the_urls() {
    holds("cache_keys", 2000);
}

#[test]
fn challenges_of_proxies_are_answered_without_the_password() {
    holds("challenged", 1000);
}

#[test]
fn questions_for_names_get_their_own_answer_or_none() {
    holds("questions", 1000);
}

#[test]
fn heads_arrive_upstream_as_one_request_or_not_at_all() {
    holds("heads", 150);
}

#[test]
fn indexes_say_nothing_of_what_is_not_theirs() {
    holds("indexes", 500);
}

#[test]
fn no_proxy_covers_alike_however_it_is_written() {
    holds("no_proxy", 1000);
}

#[test]
fn answers_of_pac_scripts_lead_where_they_say() {
    holds("pac_answers", 1000);
}

#[test]
fn pac_scripts_end_in_an_answer_or_a_failure() {
    holds("pac_scripts", 30);
}

#[test]
fn fields_of_requests_and_answers_are_judged_alike() {
    holds("policy", 1000);
}

#[test]
fn urls_of_proxies_are_shown_without_passwords() {
    holds("proxy_urls", 1000);
}

#[test]
fn rows_are_read_as_they_were_written_or_not_at_all() {
    holds("rows", 300);
}

#[test]
fn every_target_has_a_body_seeds_and_a_test() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let named = |line: &str| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned());
    let mut targets: BTreeSet<String> =
        manifest.lines().skip_while(|line| *line != "[[bin]]").filter_map(named).collect();
    // Of the root package, and tested there.
    for name in ["bundles", "hcl", "legacy_json", "go_templates"] {
        assert!(targets.remove(name), "{name}");
    }
    assert_eq!(targets, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
    let own = include_str!("tests.rs");
    for name in targets {
        assert!(own.contains(&format!("holds(\"{name}\"")), "{name} is not tested");
        let target = fs::read_to_string(folder().join(format!("targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("fuzz::{name}(data)")), "targets/{name}.rs does something else");
    }
}
