//! The body with each seed, with random changes of seeds, and with whatever bytes.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/bundles");
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
});

#[test]
fn seeds_hold_and_one_is_sound() {
    let mut sound = 0;
    for seed in SEEDS.iter() {
        bundles(seed);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made.tar");
        fs::write(&path, put_together(&seed[1..], seed[0] & 4 != 0)).unwrap();
        let never = AtomicBool::new(false);
        let budget = Rc::new(Budget::new(LIMITS));
        let watch = Watch { budget, cancel: &never, progress: &|_| {}, trusted: None };
        let mut reader = Reader::open(&path, watch).unwrap();
        let Ok(contents) = reader.contents() else { continue };
        let mut taken = Taken::default();
        if reader.bodies(&contents, &mut taken).is_ok() && reader.faults().is_empty() {
            sound += usize::from(!taken.kept.is_empty());
        }
    }
    // What is behind the digests is reached.
    assert!(sound > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bundle_hands_on_what_it_does_not_promise(
        mode in 0..16_u8,
        seed in any::<usize>(),
        changes in prop::collection::vec((0..6000_usize, 0..40_usize, prop::collection::vec(any::<u8>(), 0..8)), 0..5),
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut changed = SEEDS[seed % SEEDS.len()].clone();
        for (at, count, with) in changes {
            let at = at % (changed.len() + 1);
            let end = (at + count).min(changed.len());
            changed.splice(at..end, with);
        }
        bundles(&changed);
        bundles(&[&[mode], bytes.as_slice()].concat());
    }
}
