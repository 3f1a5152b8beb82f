//! What an import is to a cache that others use, or that has something already: row F8.

use std::fs;
use std::time::Duration;

use larder::bundle::import::{self, Outcome};
use larder::bundle::output::Output;
use larder_proxy::inspect::{Limits, Target};
use larder_proxy::store::{Store, Taking};

use crate::bed::{Answered, Cache, TAKING, fetched, ok, usual, watch};

fn bundle() -> Cache {
    let cache = Cache::holding(&usual());
    cache.export(&cache.plan(&usual()), &cache.path("b.tar.zst"), None);
    cache
}

#[test]
fn f8_twice_is_as_once() {
    let from = bundle();
    let to = Cache::new();
    let first = to.imports(&from.path("b.tar.zst"));
    assert_eq!((first.added, first.known, first.bodies), (7, 0, 5));
    let before = to.files();
    let again = to.imports(&from.path("b.tar.zst"));
    assert_eq!((again.added, again.replaced, again.known, again.bodies, again.bytes), (0, 0, 7, 0, 0));
    assert_eq!(to.files(), before);
    to.has(&usual());
}

#[test]
fn f8_several_at_once_are_as_one() {
    let from = bundle();
    let to = Cache::new();
    let dir = to.dir.path().join("cache");
    std::thread::scope(|scope| {
        let importing = || {
            let never = std::sync::atomic::AtomicBool::new(false);
            // A store of its own each, as processes have.
            let store = Store::open(&dir).unwrap();
            let watch = watch(larder::bundle::budget::Limits::default(), &never);
            match import::import(&from.path("b.tar.zst"), &store, TAKING, false, watch) {
                Ok(Outcome::Sound(_, imported)) => imported.added,
                Ok(Outcome::Unsound(faults)) => panic!("{faults:?}"),
                Err(error) => panic!("{error}"),
            }
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(importing)).collect();
        let added: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(added, 7, "each answer was added by one of them");
    });
    to.has(&usual());
    assert_eq!(to.store().stats().unwrap().entries, 7);
    assert_eq!(fs::read_dir(dir.join("v1/tmp")).unwrap().count(), 0);
}

#[test]
fn what_is_imported_stays_whatever_the_limits_say() {
    let from = bundle();
    let to = Cache::new();
    to.imports(&from.path("b.tar.zst"));
    let limits = Limits { max_bytes: Some(0), ..Limits::default() };
    to.store().gc(&limits, std::time::SystemTime::now()).unwrap();
    to.has(&usual());
    // With the pin out it goes.
    to.store().set_pinned(&Target::parse("http://example.org/", true).unwrap(), false).unwrap();
    to.store().gc(&limits, std::time::SystemTime::now()).unwrap();
    to.is_untouched();
}

#[test]
fn newer_answers_stay_unless_told_otherwise() {
    let from = bundle();
    let to = Cache::new();
    let newer = ok("/a.txt", b"newer than the bundle\n".to_vec());
    let older = ok("/b.txt", b"older than the bundle\n".to_vec());
    to.fill(std::slice::from_ref(&newer), fetched() + Duration::from_mins(1));
    to.fill(&[older], fetched() - Duration::from_mins(1));
    let imported = to.imports(&from.path("b.tar.zst"));
    assert_eq!((imported.added, imported.replaced, imported.outdated), (5, 1, 1));
    let rest: Vec<Answered> = usual().into_iter().filter(|answered| answered.url != newer.url).collect();
    to.has(&rest);
    to.has(&[newer]);
    let never = std::sync::atomic::AtomicBool::new(false);
    let taking = Taking { pinned: false, replace: true };
    let watch = watch(larder::bundle::budget::Limits::default(), &never);
    let Ok(Outcome::Sound(_, imported)) = import::import(&from.path("b.tar.zst"), &to.store(), taking, false, watch)
    else {
        panic!("it was refused")
    };
    assert_eq!((imported.replaced, imported.known), (1, 6));
    to.has(&usual());
}

#[test]
fn a_damaged_body_is_healed_by_an_import() {
    let from = bundle();
    let to = Cache::new();
    to.imports(&from.path("b.tar.zst"));
    let damaged = to.files().into_iter().find(|path| path.metadata().unwrap().len() > 1_000_000).unwrap();
    let length = usize::try_from(damaged.metadata().unwrap().len()).unwrap();
    fs::write(&damaged, vec![0; length]).unwrap();
    to.imports(&from.path("b.tar.zst"));
    to.has(&usual());
}

#[test]
fn an_import_that_is_interrupted_leaves_nothing() {
    let from = bundle();
    let to = Cache::new();
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let watch = watch(larder::bundle::budget::Limits::default(), &cancel);
    assert!(import::import(&from.path("b.tar.zst"), &to.store(), TAKING, false, watch).is_err());
    to.is_untouched();
}

#[test]
fn what_a_killed_import_left_is_removed_by_the_next_to_open_the_cache() {
    let from = bundle();
    let to = Cache::new();
    drop(to.store());
    let left = to.dir.path().join("cache/v1/tmp/import-1-2-3");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("lock"), "").unwrap();
    fs::write(left.join("0".repeat(64)), "half a body").unwrap();
    to.imports(&from.path("b.tar.zst"));
    assert!(!left.exists());
    // That of a living one stays.
    let store = to.store();
    let mut staging = store.stage().unwrap();
    let digest = larder_proxy::store::Digest::of(b"x");
    staging.begin(&digest).unwrap();
    staging.write(b"x").unwrap();
    let before = to.files().len();
    drop(to.store());
    assert_eq!(to.files().len(), before);
    drop(staging);
    assert_eq!(to.files().len(), before - 2, "the body and the lock");
}

#[test]
fn what_a_killed_export_left_is_removed_by_the_next_in_that_folder() {
    let cache = Cache::holding(&usual());
    let folder = cache.path("media");
    fs::create_dir(&folder).unwrap();
    let at = |name: &str| folder.join(name);
    // A file of parts, a directory being filled, somebody else's, and one that a live program has locked.
    fs::write(at(".larder-bundle-aB3xY9"), "half").unwrap();
    fs::create_dir_all(at(".larder-bundle-Zz0000/blobs/sha256")).unwrap();
    fs::write(at(".larder-bundle-Zz0000/blobs/sha256/x"), "half").unwrap();
    fs::write(at(".larder-bundle-notes.txt"), "mine").unwrap();
    fs::write(at(".larder-bundle-live00"), "half").unwrap();
    let live = fs::File::open(at(".larder-bundle-live00")).unwrap();
    rustix::fs::flock(&live, rustix::fs::FlockOperation::LockExclusive).unwrap();
    cache.export(&cache.plan(&usual()), &at("b.tar.zst"), None);
    assert_eq!(names(&folder), [".larder-bundle-live00", ".larder-bundle-notes.txt", "b.tar.zst"]);
    drop(live);
    // Those that are being written, in each form, stay while another is.
    for (name, part) in [("one.tar", None), ("many.tar.zst", Some(100_000)), ("directory", None)] {
        let under_way = Output::create(&at(name), part, 0, false).unwrap();
        let left = names(&folder);
        cache.export(&cache.plan(&usual()), &at(&format!("beside-{name}")), part);
        let now = names(&folder);
        assert!(left.iter().all(|name| now.contains(name)), "{left:?} {now:?}");
        drop(under_way);
    }
    let left = names(&folder);
    assert!(left.iter().all(|name| !name.starts_with(".larder-bundle-") || name.ends_with("notes.txt")), "{left:?}");
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
