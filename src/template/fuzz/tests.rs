//! The bodies with each seed, with random changes of seeds, and with whatever bytes.

use std::fs;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

type Body = fn(&[u8]);

const TARGETS: [(&str, Body); 3] = [("go_templates", go_templates), ("hcl", hcl), ("legacy_json", legacy_json)];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let seeds = |name: &str| {
        let entries = fs::read_dir(folder().join("seeds").join(name)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    };
    TARGETS.iter().map(|(name, _)| seeds(name)).collect()
});

#[test]
fn seeds_hold() {
    for ((name, body), seeds) in TARGETS.iter().zip(SEEDS.iter()) {
        assert!(seeds.len() >= 5, "{name} has too few seeds");
        for seed in seeds {
            body(seed);
        }
    }
}

/// Among the seeds are such that are right, or what lies behind the parser is not reached.
#[test]
fn seeds_get_far() {
    let right = |text: &[u8], name: &str| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        !loaded(name, &text, "", Depth::Whole).diagnostics.has_errors()
    };
    for (first, name) in [(b'0', "t.pkr.hcl"), (b'2', "t.pkr.json")] {
        assert!(SEEDS[1].iter().any(|seed| seed[0] == first && right(&seed[1..], name)), "{name}");
    }
    assert!(SEEDS[2].iter().any(|seed| right(seed, "t.json")));
}

#[test]
fn targets_call_the_bodies() {
    for (name, _) in TARGETS {
        let target = fs::read_to_string(folder().join(format!("targets/{name}.rs"))).unwrap();
        assert!(
            target.contains(&format!("larder::template::fuzz::{name}(data)")),
            "targets/{name}.rs does something else"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_read_holds(
        target in 0..3_usize,
        first in any::<u8>(),
        seed in any::<usize>(),
        changes in prop::collection::vec((0..2000_usize, 0..20_usize, any::<usize>(), 0..20_usize), 0..4),
        bytes in "[ -~\n]{0,60}",
    ) {
        let (seeds, body) = (&SEEDS[target], TARGETS[target].1);
        let mut changed = seeds[seed % seeds.len()].clone();
        for (at, count, from, length) in changes {
            // Something of another seed in place of something.
            let other = &seeds[from % seeds.len()];
            let start = from / seeds.len() % (other.len() + 1);
            let with = other[start..(start + length).min(other.len())].to_vec();
            let at = at % (changed.len() + 1);
            let end = (at + count).min(changed.len());
            changed.splice(at..end, with);
        }
        body(&changed);
        body(&[&[first], bytes.as_bytes()].concat());
    }
}
