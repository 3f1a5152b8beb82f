//! A store of many entries, made at once: the bed of `tests/long/growth`.

use std::io::Write as _;

use super::*;
use crate::store::index::{insert_blob, insert_entry};

/// Entries in one transaction.
const BATCH: u64 = 20_000;

/// Fills the store in `LARDER_GROWTH_DIR` with `LARDER_GROWTH_COUNT` entries of about a kilobyte, each with a body of its
/// own. They are not made durable: it is for measuring.
#[test]
#[ignore = "makes the bed of tests/long/growth; needs its variables"]
fn fill_a_store() {
    let dir = PathBuf::from(std::env::var_os("LARDER_GROWTH_DIR").expect("LARDER_GROWTH_DIR names the cache"));
    let count: u64 = std::env::var("LARDER_GROWTH_COUNT").expect("LARDER_GROWTH_COUNT").parse().unwrap();
    let store = Store::open(&dir).unwrap();
    let now = std::time::SystemTime::now();
    for begin in (0..count).step_by(usize::try_from(BATCH).unwrap()) {
        let mut index = store.write_index();
        let transaction = index.transaction().unwrap();
        for number in begin..(begin + BATCH).min(count) {
            let body = format!("body {number} ").repeat(64);
            let digest = Digest::of(body.as_bytes());
            let path = store.blob_path(&digest);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(&path).unwrap().write_all(body.as_bytes()).unwrap();
            let entry = of(number, now);
            let blob = insert_blob(&transaction, digest, body.len() as u64, 0).unwrap();
            insert_entry(&transaction, &entry, blob, digest, body.len() as u64).unwrap();
        }
        transaction.commit().unwrap();
    }
    assert_eq!(store.totals().unwrap().entries, count);
}

/// As a package of a repository is stored, fresh for a year.
fn of(number: u64, now: std::time::SystemTime) -> Draft {
    let url = format!("http://example.org/pool/{:03}/package-{number}.tar", number % 1000);
    let key = crate::cache::Key::of(&url.parse().unwrap()).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("cache-control", "public, max-age=31536000"),
        ("last-modified", "Sat, 01 Jan 2022 00:00:00 GMT"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    headers.insert("etag", format!("\"{number:x}\"").parse().unwrap());
    let at = now - Duration::from_secs(3600);
    Draft { key: key.hash, url: key.url, headers, requested: at, responded: at, ..draft(number) }
}
