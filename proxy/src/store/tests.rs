mod power;

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use tempfile::TempDir;

use super::*;
use crate::flow::Class;
use crate::inspect::{Filter, Limits, Removed};
use crate::rules::Promised;

fn draft(number: u64) -> Draft {
    let url = format!("http://example.org/{number}");
    let at = UNIX_EPOCH + Duration::from_secs(1000 * number);
    Draft {
        key: crate::cache::key::hash16(url.as_bytes()),
        url,
        status: 200,
        headers: HeaderMap::new(),
        vary: Vec::new(),
        requested: at,
        responded: at,
        class: Class::Package,
        part: None,
        provenance: Provenance::default(),
    }
}

fn put(store: &Store, number: u64, body: &[u8]) -> Entry {
    let mut writer = store.writer().unwrap();
    writer.write(body).unwrap();
    store.commit(writer.seal().unwrap(), draft(number)).unwrap()
}

#[test]
fn cacache_reads_our_blobs_and_we_read_its() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let entry = put(&store, 1, b"ours");
    let integrity = ssri::Integrity::from_hex(entry.digest.to_string(), ssri::Algorithm::Sha256).unwrap();
    assert_eq!(cacache::read_hash_sync(store.root(), &integrity).unwrap(), b"ours");

    let integrity = cacache::write_hash_sync(store.root(), b"theirs").unwrap();
    let digest = Digest::from_hex(&integrity.to_hex().1).unwrap();
    let file = store.open_blob(&digest, 6).unwrap();
    assert_eq!(Digest::of_file(&file).unwrap(), digest);
}

#[test]
fn a_writer_dropped_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut writer = store.writer().unwrap();
    writer.write(b"x").unwrap();
    assert!(store.sweep(false).unwrap().is_empty(), "a live writer's file stays");
    drop(writer);
    assert_eq!(fs::read_dir(store.root().join("tmp")).unwrap().count(), 0);
    assert!(store.verify(false).unwrap().is_sound());
}

#[test]
fn what_a_killed_writer_left_is_found_and_removed() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let left = store.root().join("tmp/123-dead-0");
    fs::write(&left, "half").unwrap();
    let orphan = Digest::of(b"no row").path(store.root());
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "no row").unwrap();
    let foreign = orphan.with_file_name("foreign");
    fs::write(&foreign, "?").unwrap();
    let report = store.verify(false).unwrap();
    assert_eq!((&report.leftover, &report.unreferenced), (&vec![left.clone()], &vec![orphan.clone()]));
    assert!(!report.is_sound());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert!(!left.exists(), "opening sweeps");
    assert!(store.verify(true).unwrap().repaired);
    assert!(!orphan.exists() && !foreign.exists());
    assert!(store.verify(false).unwrap().is_sound());
}

#[test]
fn a_newer_index_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let index = Connection::open(dir.path().join("v1/index.sqlite")).unwrap();
    index.pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.is_damaged_index(), "only a newer Larder writes both numbers: {error}");
    index.pragma_update(None, "application_id", 0x4c61_7200 + 99).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert!(error.hint().contains("newer"));
}

#[test]
fn the_directory_is_private_and_tagged() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cache");
    let _store = Store::open(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(fs::read_to_string(path.join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f597d28d172"));
}

#[test]
fn gc_removes_the_least_recently_used_and_shared_blobs_last() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for number in 1..=4 {
        // 1 and 4 share a blob.
        let body = [u8::try_from(number % 3).unwrap(); 100];
        put(&store, number, &body);
    }
    let now = UNIX_EPOCH + Duration::from_secs(5000);
    assert_eq!(store.stats().unwrap().bytes, 300);
    let plan = Limits { max_bytes: Some(200), dry_run: true, ..Limits::default() };
    assert_eq!(store.gc(&plan, now).unwrap(), Removed { entries: 2, bytes: 100 });
    assert_eq!(store.stats().unwrap().entries, 4);
    assert_eq!(store.gc(&Limits { dry_run: false, ..plan }, now).unwrap(), Removed { entries: 2, bytes: 100 });
    let aged = Limits { max_age: Some(Duration::from_mins(25)), ..Limits::default() };
    assert_eq!(store.gc(&aged, now).unwrap().entries, 1);
    let left = store.list(&Filter { url: Some("example".to_owned()), ..Filter::default() }).unwrap();
    assert_eq!(left.iter().map(|entry| entry.draft.url.as_str()).collect::<Vec<_>>(), ["http://example.org/4"]);
    let stats = store.stats().unwrap();
    assert_eq!((stats.entries, stats.blobs, stats.bytes), (1, 1, 100), "totals follow");
    assert!(store.verify(false).unwrap().is_sound());
}

#[test]
fn two_stores_on_one_directory_write_at_the_same_time() {
    let dir = TempDir::new().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..2_u8 {
            let path = dir.path();
            scope.spawn(move || {
                let store = Store::open(path).unwrap();
                for number in 0..100 {
                    // Both write the same URLs, half of them with the same body.
                    let body = if number % 2 == 0 { [0; 64] } else { [worker; 64] };
                    put(&store, number, &[&body[..], &number.to_le_bytes()].concat());
                    if number % 10 == 0 {
                        store.gc(&Limits { max_bytes: Some(5000), ..Limits::default() }, UNIX_EPOCH).unwrap();
                    }
                }
            });
        }
    });
    let store = Store::open(dir.path()).unwrap();
    let report = store.verify(false).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(report.blobs > 0);
}

const KILLED_IN: &str = "LARDER_TEST_KILLED_IN";

/// Kills a process that writes, again and again, and looks at what it left.
#[test]
fn a_store_killed_anywhere_is_sound() {
    let dir = TempDir::new().unwrap();
    for round in 0..20_u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::writes_until_killed", "--ignored", "--nocapture"])
            .env(KILLED_IN, dir.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().unwrap()));
        // It is writing; somewhere in the next milliseconds it dies.
        lines.by_ref().map(Result::unwrap).find(|line| line.contains("writing")).unwrap();
        std::thread::sleep(Duration::from_micros(round * round * 97));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let report = store.verify(false).unwrap();
        assert!(report.is_sound(), "round {round}: {report:?}");
        let stats = store.stats().unwrap();
        assert_eq!((report.blobs, report.bytes), (stats.blobs, stats.bytes), "round {round}");
    }
}

#[test]
#[ignore = "run by a_store_killed_anywhere_is_sound"]
fn writes_until_killed() {
    let store = Store::open(std::env::var_os(KILLED_IN).unwrap().as_ref()).unwrap();
    println!("writing");
    for number in 0.. {
        let body = vec![u8::try_from(number % 251).unwrap(); 10_000 + usize::try_from(number % 7).unwrap() * 50_000];
        put(&store, number % 50, &[&body[..], &std::process::id().to_le_bytes()].concat());
    }
}

#[test]
fn part_and_provenance_come_back() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let provenance = Provenance {
        run: Some(UNIX_EPOCH + Duration::from_secs(7)),
        build: Some("rootfs.debian".to_owned()),
        step: Some("packages".to_owned()),
        route: Some("direct".to_owned()),
        source: Some("http://mirror.example.org/1".to_owned()),
        rule: Some("apt pool".to_owned()),
    };
    let part = Some(Part { from: 5, total: 100 });
    let mut writer = store.writer().unwrap();
    writer.write(b"middle").unwrap();
    let draft = Draft { part, provenance: provenance.clone(), ..draft(1) };
    store.commit(writer.seal().unwrap(), draft.clone()).unwrap();
    let found = store.lookup(&draft.key).unwrap().remove(0);
    assert_eq!((found.draft.part, found.draft.provenance.clone()), (part, provenance));
    put(&store, 1, b"the whole");
    let found = store.lookup(&draft.key).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].draft.part, &found[0].draft.provenance), (None, &Provenance::default()));
}

#[test]
fn promises_are_kept_and_the_strongest_counts() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let promise = |byte: u8, algorithm, digits: usize, text: &str| Promise {
        key: [byte; 16],
        promised: Promised::named(algorithm, text.repeat(digits / text.len())).unwrap(),
        size: Some(u64::from(byte)),
    };
    let (weak, strong) = (promise(1, "sha1", 40, "ab"), promise(1, "sha512", 128, "CD"));
    let at = UNIX_EPOCH + Duration::from_secs(9);
    store.promise("http://example.org/index", at, &[weak, strong.clone(), promise(2, "sha256", 64, "ef")]).unwrap();
    let found = store.promised(&[1; 16]).unwrap().unwrap();
    assert_eq!(found, Learnt { promise: strong, source: "http://example.org/index".to_owned(), at });
    assert_eq!(found.promise.promised.hex, "cd".repeat(64));
    let later = promise(2, "sha256", 64, "01");
    store.promise("http://example.org/other", at, std::slice::from_ref(&later)).unwrap();
    assert_eq!(store.promised(&[2; 16]).unwrap().unwrap().promise, later);
    assert_eq!(store.promised(&[3; 16]).unwrap(), None);
    for (algorithm, hex) in [("sha256", "ab"), ("md5", &*"ab".repeat(16)), ("sha1", &*"xy".repeat(20))] {
        assert_eq!(Promised::named(algorithm, hex), None, "{algorithm}");
    }
}

/// An index as version 1 wrote it, with one entry.
const VERSION_1: &str = "
CREATE TABLE blob (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, stored INTEGER NOT NULL);
CREATE TABLE entry (id INTEGER PRIMARY KEY, key BLOB NOT NULL, variant BLOB NOT NULL, url TEXT NOT NULL,
    status INTEGER NOT NULL, headers BLOB NOT NULL, vary TEXT NOT NULL, blob INTEGER NOT NULL REFERENCES blob(id),
    requested INTEGER NOT NULL, responded INTEGER NOT NULL, class TEXT NOT NULL, last_used INTEGER NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0, pinned INTEGER NOT NULL DEFAULT 0, UNIQUE (key, variant));
CREATE TABLE outcome (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, at INTEGER NOT NULL, outcome TEXT NOT NULL,
    why TEXT NOT NULL);
CREATE TABLE total (id INTEGER PRIMARY KEY CHECK (id = 1), entries INTEGER NOT NULL, blobs INTEGER NOT NULL,
    bytes INTEGER NOT NULL);
INSERT INTO total VALUES (1, 1, 1, 4);
INSERT INTO blob VALUES (1, zeroblob(32), 4, 0);
INSERT INTO entry VALUES (1, zeroblob(16), zeroblob(16), 'http://example.org/', 200, x'', '', 1, 0, 0, 'other', 0, 3, 1);
CREATE TRIGGER entry_in AFTER INSERT ON entry BEGIN UPDATE total SET entries = entries + 1; END;
CREATE TRIGGER entry_out AFTER DELETE ON entry BEGIN UPDATE total SET entries = entries - 1; END;
PRAGMA user_version = 1;
";

#[test]
fn an_index_of_version_1_is_taken_over() {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("v1")).unwrap();
    let old = Connection::open(dir.path().join("v1/index.sqlite")).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    drop(old);
    let store = Store::open(dir.path()).unwrap();
    let found = store.lookup(&[0; 16]).unwrap().remove(0);
    assert_eq!((found.draft.url.as_str(), found.uses, found.pinned), ("http://example.org/", 3, true));
    assert_eq!((found.draft.part, found.draft.provenance.clone()), (None, Provenance::default()));
    put(&store, 1, b"new");
    // And it is one of version 2 from here on.
    assert_eq!(Store::open(dir.path()).unwrap().stats().unwrap().entries, 2);
}

/// What was fetched later than a bundle was made is not thrown away for it, unless that is asked for.
#[test]
fn an_import_leaves_newer_parts() {
    let tagged = |number, tag: &'static str, later| {
        let mut draft = draft(number);
        draft.headers.insert(http::header::ETAG, http::HeaderValue::from_static(tag));
        draft.responded += Duration::from_secs(later);
        draft
    };
    for (tag, replace, outdated, left) in [
        ("\"old\"", false, 1, vec![Some(Part { from: 5, total: 100 })]),
        // The whole of the same state has all that the part has.
        ("\"new\"", false, 0, vec![None]),
        ("\"old\"", true, 0, vec![None]),
    ] {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut writer = store.writer().unwrap();
        writer.write(b"middle").unwrap();
        let part = Draft { part: Some(Part { from: 5, total: 100 }), ..tagged(1, "\"new\"", 50) };
        store.commit(writer.seal().unwrap(), part).unwrap();
        let whole = vec![b'w'; 100];
        let mut staging = store.stage().unwrap();
        staging.begin(&Digest::of(&whole)).unwrap();
        staging.write(&whole).unwrap();
        staging.keep(Digest::of(&whole), 100);
        let older = tagged(1, tag, 0);
        let arrival = Arrival::new(ArrivalParts {
            url: older.url,
            status: 200,
            headers: older.headers,
            vary: Vec::new(),
            fetched: older.responded,
            class: Class::Package,
            aside: false,
            digest: Digest::of(&whole),
            size: 100,
            provenance: Provenance::default(),
        });
        let imported = staging.commit(&[arrival.unwrap()], Taking { pinned: false, replace }).unwrap();
        assert_eq!(imported.outdated, outdated, "{tag} {replace}");
        let found = store.lookup(&older.key).unwrap();
        assert_eq!(found.iter().map(|entry| entry.draft.part).collect::<Vec<_>>(), left, "{tag} {replace}");
        assert!(store.verify(false).unwrap().is_sound());
    }
}

#[test]
fn a_directory_removed_while_it_is_in_use_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("cache");
    let store = Store::open(&path).unwrap();
    put(&store, 1, b"gone");
    fs::remove_dir_all(&path).unwrap();
    put(&store, 2, b"new");
    assert!(store.lookup(&draft(1).key).unwrap().is_empty());
    assert_eq!(store.lookup(&draft(2).key).unwrap().len(), 1);
    assert!(store.verify(false).unwrap().is_sound());
    // Another process finds it as it is, and a mark for as long as something is being written.
    let other = Store::open(&path).unwrap();
    assert_eq!(other.lookup(&draft(2).key).unwrap().len(), 1);
    assert!(!other.needs_recovery());
    assert!(path.join("CACHEDIR.TAG").exists());
    store.settle().unwrap();
    assert_eq!(fs::read_dir(path.join("v1/tmp")).unwrap().count(), 0);
    // Of the index alone: the bodies are for the next process to look at.
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        fs::remove_file(path.join("v1").join(name)).unwrap();
    }
    assert!(store.follow_replaced_index().unwrap());
    assert!(store.lookup(&draft(2).key).unwrap().is_empty() && other.follow_replaced_index().unwrap());
    assert!(store.needs_recovery());
    assert_eq!(store.recover().unwrap().unreferenced, 1);
}

#[test]
fn network_file_systems_are_known() {
    for (magic, kind) in [(0x6969, Some("NFS")), (0xff53_4d42, Some("CIFS")), (0x0102_1997, Some("9p"))] {
        assert_eq!(kind_of(magic), kind);
    }
    // ext4, tmpfs, xfs, btrfs.
    for magic in [0xef53, 0x0102_1994, 0x5846_5342, 0x9123_683e] {
        assert_eq!(kind_of(magic), None);
    }
}

#[test]
fn which_failures_cost_the_cache_and_not_the_build() {
    use rusqlite::ffi;
    use rustix::io::Errno;
    let of_system =
        |errno: Errno| StoreError::io("write", Path::new("x"), io::Error::from_raw_os_error(errno.raw_os_error()));
    let of_index = |code| StoreError::Index(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));

    for errno in [Errno::NOSPC, Errno::DQUOT, Errno::IO, Errno::ROFS, Errno::MFILE, Errno::NFILE] {
        assert!(of_system(errno).is_passing(), "{errno}");
    }
    assert!(of_system(Errno::DQUOT).hint().contains("cache gc"));
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_CANTOPEN, ffi::SQLITE_BUSY] {
        assert!(of_index(code).is_passing() && !of_index(code).is_damaged_index(), "{code}");
    }
    for errno in [Errno::ACCESS, Errno::NOTDIR] {
        assert!(!of_system(errno).is_passing(), "{errno}");
    }
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
        assert!(!of_index(code).is_passing() && of_index(code).is_damaged_index(), "{code}");
    }
}

/// What comes out of a bundle is held to the limits of what is fetched.
#[test]
fn an_arrival_has_a_head_of_the_size_that_is_stored() {
    let arrival = |bytes: usize| {
        let value = http::HeaderValue::try_from("x".repeat(bytes)).unwrap();
        Arrival::new(ArrivalParts {
            url: "http://example.org/a".to_owned(),
            status: 200,
            headers: HeaderMap::from_iter([(http::HeaderName::from_static("x-big"), value)]),
            vary: Vec::new(),
            fetched: UNIX_EPOCH,
            class: Class::Other,
            aside: false,
            digest: Digest::of(b""),
            size: 0,
            provenance: Provenance::default(),
        })
    };
    assert!(arrival(65_000).is_ok());
    assert_eq!(arrival(66_000).unwrap_err(), "the answer's header is too large");
}
