//! Bits that flip on the disk, indexes damaged while they are used, directories that go away: a build goes on, gets
//! the right bytes, and the cache is sound afterwards.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::inspect::verify;
use crate::origin::BoxFuture;
use crate::store::{Damage, Digest};

/// What the origin has: number, and the body's size.
const OBJECTS: [(u16, usize); 12] = [
    (0, 0),
    (1, 1),
    (2, 100),
    (3, 5000),
    (4, 5000),
    (5, 70_000),
    (6, 100_000),
    (7, 300),
    (8, 4096),
    (9, 20),
    (10, 200_000),
    (11, 65_536),
];

fn url(number: u16) -> String {
    // Packages, an index, and what only its headers tell.
    match number % 3 {
        0 => format!("http://example.org/debian/pool/main/p/p{number}_1_all.deb"),
        1 => format!("http://example.org/debian/dists/stable/{number}/InRelease"),
        _ => format!("http://example.org/files/{number}"),
    }
}

fn body(number: u16, size: usize) -> Bytes {
    (0..size).map(|at| u8::try_from((at * 7 + at / 251 + usize::from(number) * 31) % 256).unwrap()).collect()
}

fn reply((number, size): (u16, usize)) -> Reply {
    Reply::ok(body(number, size))
        .with("cache-control", "max-age=100000")
        .with("etag", &format!("\"{number}\""))
        .with("x-number", &number.to_string())
}

/// A directory with all of it stored, closed in good order.
fn filled() -> BoxFuture<'static, Arc<TempDir>> {
    Box::pin(fill())
}

async fn fill() -> Arc<TempDir> {
    let bed = Bed::new();
    for object in OBJECTS {
        bed.origin.reply(&url(object.0), reply(object));
        bed.get(&url(object.0)).await;
    }
    let dir = bed.dir.clone();
    drop(bed);
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
    fs::create_dir_all(to.join("v1/tmp")).unwrap();
}

fn flip(path: &Path, at: u64, bit: u8) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << bit)], at).unwrap();
}

/// What passed, and what damage was counted.
type Healed = (Vec<Flow>, Vec<(Damage, u64)>);

/// Asks for all of it, and gets the right bytes with the right fields, from wherever; then the cache is sound.
fn serves_and_heals(dir: Arc<TempDir>) -> BoxFuture<'static, Healed> {
    Box::pin(serve_and_heal(dir))
}

async fn serve_and_heal(dir: Arc<TempDir>) -> Healed {
    let bed = Bed::mending(dir.clone());
    for object @ (number, size) in OBJECTS {
        bed.origin.reply(&url(number), reply(object));
        let answer = bed.get(&url(number)).await;
        assert!(answer.body == Ok(body(number, size)), "{number}: {:?}", answer.body.map(|body| body.len()));
        assert_eq!((answer.status.as_u16(), answer.header("x-number")), (200, number.to_string().as_str()));
    }
    let flows = bed.flows.lock().unwrap().clone();
    let damage = bed.store.damage().unwrap().into_iter().map(|(kind, times, _)| (kind, times)).collect();
    drop(bed);
    let report = verify(dir.path(), false).unwrap();
    let hidden = report.index.is_some();
    if hidden {
        // Damage that no request has come across, such as in what SQLite notes of free room.
        assert!(verify(dir.path(), true).unwrap().repaired);
    }
    let report = verify(dir.path(), false).unwrap();
    assert!(report.is_sound(), "{report:?}");
    // And from here on all of it is served from the cache, unless rows could not be taken over.
    let bed = Bed::on(dir);
    for object @ (number, size) in OBJECTS {
        bed.origin.reply(&url(number), reply(object));
        let answer = bed.get(&url(number)).await;
        assert!(answer.body == Ok(body(number, size)), "{number}: {:?}", answer.status);
        assert!(hidden || bed.outcome() == Outcome::Hit, "{number}: {:?}", bed.outcome());
    }
    (flows, damage)
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn with_copy<T>(work: impl FnOnce(Arc<TempDir>) -> T) -> T {
    static FILLED: std::sync::OnceLock<Arc<TempDir>> = std::sync::OnceLock::new();
    let original = FILLED.get_or_init(|| in_runtime(filled()));
    let dir = Arc::new(TempDir::new().unwrap());
    copy(original.path(), dir.path());
    work(dir)
}

/// Fewer than the usual number of cases, unless `PROPTEST_CASES` says how many.
fn few() -> ProptestConfig {
    let usual = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { usual } else { ProptestConfig { cases: 32, ..usual } }
}

proptest! {
    #![proptest_config(few())]

    /// A bit of a body: fetched anew, and counted.
    #[test]
    fn a_bit_of_a_body(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        with_copy(|dir| {
            let bodies: Vec<PathBuf> = files(&dir.path().join("v1/content-v2"))
                .into_iter()
                .filter(|path| path.metadata().unwrap().len() > 0)
                .collect();
            let path = which.get(&bodies);
            flip(path, at.index(usize::try_from(path.metadata().unwrap().len()).unwrap()) as u64, bit);
            let (flows, damage) = in_runtime(serves_and_heals(dir));
            assert_eq!(flows.iter().filter(|flow| flow.damaged).count(), 1);
            assert_eq!(flows.iter().filter(|flow| flow.outcome == Outcome::Miss).count(), 1);
            assert_eq!(damage, [(Damage::Body, 1)]);
        });
    }

    /// A bit anywhere in the index.
    #[test]
    fn a_bit_of_the_index(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        with_copy(|dir| {
            let index = dir.path().join("v1/index.sqlite");
            let at = at.index(usize::try_from(index.metadata().unwrap().len()).unwrap()) as u64;
            flip(&index, at, bit);
            in_runtime(serves_and_heals(dir));
        });
    }

    /// A bit of what an entry's row says, all of which lies around its URL.
    #[test]
    fn a_bit_of_a_row(number in 0..OBJECTS.len(), at in -60_i64..400, bit in 0_u8..8) {
        with_copy(|dir| {
            let index = dir.path().join("v1/index.sqlite");
            let content = fs::read(&index).unwrap();
            let url = url(OBJECTS[number].0).into_bytes();
            // The table's row comes with its fields behind the URL; an index of URLs has none.
            let row = content
                .windows(url.len() + 300)
                .position(|window| window.starts_with(&url) && window.windows(8).any(|field| field == b"x-number"))
                .unwrap();
            let at = (i64::try_from(row).unwrap() + at).clamp(0, i64::try_from(content.len()).unwrap() - 1);
            flip(&index, at.cast_unsigned(), bit);
            in_runtime(serves_and_heals(dir));
        });
    }
}

/// A row that SQLite sees nothing wrong in: it is not served, and counted.
#[tokio::test]
async fn a_row_that_says_something_else_is_not_believed() {
    for change in ["status = 404", "headers = x''", "url = url || 'x'", "responded = responded + 1", "vary = 'accept'"]
    {
        let dir = filled().await;
        let index = rusqlite::Connection::open(dir.path().join("v1/index.sqlite")).unwrap();
        let changed = index.execute(&format!("UPDATE entry SET {change} WHERE url LIKE '%/p6_%'"), []).unwrap();
        assert_eq!(changed, 1);
        drop(index);
        let report = verify(dir.path(), false).unwrap();
        assert_eq!((report.is_sound(), report.rows), (false, 1), "{change}");
        let (flows, damage) = serves_and_heals(dir).await;
        assert_eq!(flows.iter().filter(|flow| flow.outcome == Outcome::Miss).count(), 1, "{change}");
        assert_eq!(damage, [(Damage::Row, 1)], "{change}");
    }
}

/// Damages the index of a cache in use, so that its connections see it.
fn damage_under(bed: &Bed) {
    let path = bed.store.root().join("index.sqlite");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let root: u32 = other
        .query_row("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_entry_1'", [], |row| row.get(0))
        .unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 4096], u64::from(root - 1) * 4096).unwrap();
    // What another has written makes them read anew.
    other.execute("UPDATE total SET entries = entries", []).unwrap();
}

#[tokio::test]
async fn an_index_damaged_in_the_middle_of_a_run_is_mended() {
    for look_up_first in [true, false] {
        let bed = Bed::on(filled().await);
        damage_under(&bed);
        if !look_up_first {
            // The first to notice is one who stores something.
            bed.store.touch(&[]).unwrap();
        }
        for object @ (number, size) in OBJECTS {
            bed.origin.reply(&url(number), reply(object));
            assert_eq!(bed.get(&url(number)).await.body, Ok(body(number, size)), "{number}");
        }
        assert_eq!(bed.origin.count(), 0, "every row could be read, so nothing was lost");
        let damage = bed.store.damage().unwrap();
        assert_eq!((damage[0].0, damage[0].1), (Damage::Index, 1));
        assert!(bed.store.root().join("index.sqlite.damaged").exists());
        bed.assert_sound();
    }
}

/// Another process has mended it: this one goes on with the new index.
#[tokio::test]
async fn an_index_that_another_process_has_replaced_is_followed() {
    let one = Bed::on(filled().await);
    let two = one.again();
    damage_under(&one);
    assert_eq!(one.get(&url(3)).await.header("x-number"), "3");
    one.origin.reply(PLAIN, Reply::ok("new").with("cache-control", "max-age=1000"));
    one.get(PLAIN).await;
    assert_eq!(two.get(PLAIN).await.text(), "new");
    assert_eq!((two.outcome(), two.origin.count()), (Outcome::Hit, 0));
    two.assert_sound();
}

#[tokio::test]
async fn a_directory_that_goes_away_costs_the_cache_only() {
    let bed = Bed::on(filled().await);
    fs::remove_dir_all(bed.store.root()).unwrap();
    for object @ (number, size) in OBJECTS {
        for _ in 0..3 {
            bed.origin.reply(&url(number), reply(object));
            assert_eq!(bed.get(&url(number)).await.body, Ok(body(number, size)), "{number}");
        }
    }
    // It has been made anew.
    assert_eq!(bed.store.stats().unwrap().entries, OBJECTS.len() as u64);
    bed.assert_sound();
}

const NO_FILES: &str = "LARDER_TEST_NO_FILES";

/// In a process of its own, whose limit it changes.
#[test]
fn without_file_descriptors_nothing_is_taken_for_damaged() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cache::tests::damage::without_descriptors", "--ignored"])
        .env(NO_FILES, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
}

#[tokio::test]
#[ignore = "run by without_file_descriptors_nothing_is_taken_for_damaged"]
async fn without_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let bed = Bed::on(filled().await);
    // Its rows are known, its body is not open.
    assert_eq!(bed.store.lookup(&Key::of(&url(6).parse().unwrap()).unwrap().hash).unwrap().len(), 1);
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    bed.origin.reply(&url(6), reply(OBJECTS[6]));
    let answer = bed.get(&url(6)).await;
    bed.origin.reply(PLAIN, Reply::ok("new"));
    let new = bed.get(PLAIN).await;
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!(answer.body, Ok(body(6, OBJECTS[6].1)));
    assert_eq!(new.text(), "new");
    assert_eq!(bed.get(&url(6)).await.body, Ok(body(6, OBJECTS[6].1)));
    assert_eq!((bed.outcome(), bed.store.damage().unwrap()), (Outcome::Hit, Vec::new()));
    bed.assert_sound();
}

/// What somebody reads is not evicted, and goes once nobody does.
#[tokio::test]
async fn what_is_being_read_stays() {
    let bed = Bed::on(filled().await);
    let reading = bed.call("GET", &url(10), &[]).await;
    bed.cache.keep(Keep { max_bytes: Some(1), ..Keep::default() });
    bed.settle().await;
    let left = bed.store.list(&crate::inspect::Filter::default()).unwrap();
    assert_eq!(left.iter().map(|entry| entry.draft.url.clone()).collect::<Vec<_>>(), [url(10)]);
    assert_eq!(read(reading).await.body, Ok(body(10, OBJECTS[10].1)));
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    assert!(!bed.store.blob_path(&Digest::of(&body(10, OBJECTS[10].1))).exists());
    bed.assert_sound();
}

/// By age, and by what is free.
#[tokio::test]
async fn old_entries_go_and_room_is_kept_free() {
    for (keep, left) in [
        (Keep { max_age: Some(Duration::from_hours(49)), ..Keep::default() }, OBJECTS.len() as u64),
        (Keep { max_age: Some(Duration::from_hours(47)), ..Keep::default() }, 0),
        (Keep { min_free: Some(1), ..Keep::default() }, OBJECTS.len() as u64),
        (Keep { min_free: Some(u64::MAX), ..Keep::default() }, 0),
    ] {
        let bed = Bed::on(filled().await);
        let used = crate::store::millis(SystemTime::now() - Duration::from_hours(48));
        bed.store.write_index().execute("UPDATE entry SET last_used = ?1", [used]).unwrap();
        let dists = Target::parse("http://example.org/debian/dists", true).unwrap();
        bed.store.set_pinned(&dists, true).unwrap();
        bed.cache.keep(keep);
        bed.settle().await;
        let pinned = bed.store.find(&dists).unwrap().len() as u64;
        assert_eq!(pinned, 4);
        assert_eq!(bed.store.stats().unwrap().entries, left.max(pinned), "{keep:?}");
        bed.assert_sound();
    }
}
