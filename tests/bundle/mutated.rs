//! Good bundles with something changed at random: whatever comes of it, nothing is imported in part.

use std::fs;
use std::sync::LazyLock;

use larder::bundle::budget::Limits;
use larder::bundle::import::Outcome;
use proptest::prelude::*;

use crate::bed::{Answered, Cache, noise, ok};

fn carried() -> Vec<Answered> {
    vec![ok("/large", noise(1_100_000, 3)), ok("/a", b"a".repeat(500)), ok("/b", noise(3000, 5)), ok("/c", Vec::new())]
}

/// The same bundle, as an archive and packed.
static GOOD: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let cache = Cache::holding(&carried());
    let plan = cache.plan(&carried());
    ["good.tar", "good.tar.zst"].map(|name| {
        cache.export(&plan, &cache.path(name), None);
        fs::read(cache.path(name)).unwrap()
    })
});

#[derive(Clone, Debug)]
enum Change {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
    Move(usize, usize),
}

/// Places are thousandths of a millionth of the whole, and half of them lie among the documents at its beginning.
fn change() -> impl Strategy<Value = Change> {
    let place = || prop_oneof![0..12_000_usize, 0..2_000_000_usize];
    prop_oneof![
        (place(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        place().prop_map(Change::Cut),
        (place(), 1..3000_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (place(), 1..3000_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (place(), prop::collection::vec(any::<u8>(), 1..600)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (0..3000_usize, 0..3000_usize).prop_map(|(from, to)| Change::Move(from, to)),
    ]
}

fn changed(good: &[u8], change: &Change) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let length = bytes.len();
    match change {
        Change::Flip(at, bits) => bytes[at % length] ^= bits,
        Change::Cut(at) => bytes.truncate(at % length),
        Change::Remove(at, count) => drop(bytes.drain(at % length..(at % length + count).min(length))),
        Change::Repeat(at, count) => {
            let again = bytes[at % length..(at % length + count).min(length)].to_vec();
            bytes.splice(at % length..at % length, again);
        }
        Change::Insert(at, more) => drop(bytes.splice(at % length..at % length, more.iter().copied())),
        Change::Move(from, to) => {
            // Whole blocks of an archive.
            let (from, to) = (from * 512 % length, to * 512 % length);
            let block: Vec<u8> = bytes.drain(from..(from + 512).min(length)).collect();
            let to = to.min(bytes.len());
            bytes.splice(to..to, block);
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 50, ..ProptestConfig::default() })]
    #[test]
    fn a_changed_bundle_is_imported_whole_or_not_at_all(form in 0..2_usize, changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = GOOD[form].clone();
        for one in &changes {
            bytes = changed(&bytes, one);
        }
        let cache = Cache::new();
        let path = cache.path("changed");
        fs::write(&path, bytes).unwrap();
        // Nothing that a change makes of a megabyte may take more than some.
        match cache.import_within(&path, Limits { total: 8_000_000, count: 100, ratio: 50 }) {
            Ok(Outcome::Sound(..)) => cache.has(&carried()),
            Ok(Outcome::Unsound(faults)) => {
                prop_assert!(!faults.is_empty());
                cache.is_untouched();
            }
            Err(_) => cache.is_untouched(),
        }
    }
}
