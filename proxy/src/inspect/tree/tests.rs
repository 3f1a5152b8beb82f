use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;
use tempfile::TempDir;

use super::*;
use crate::flow::Class;
use crate::store::{Draft, Entry};

/// Puts an answer into the store; it is fresh for an hour from `UNIX_EPOCH`.
pub(in crate::inspect) fn put(store: &Store, url: &str, body: &[u8]) -> Entry {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("max-age=3600"));
    let draft = Draft {
        key: crate::cache::key::hash16(url.as_bytes()),
        url: url.to_owned(),
        status: 200,
        headers,
        vary: Vec::new(),
        requested: UNIX_EPOCH,
        responded: UNIX_EPOCH,
        class: Class::Other,
        part: None,
        provenance: crate::store::Provenance::default(),
    };
    let mut writer = store.writer().unwrap();
    writer.write(body).unwrap();
    store.commit(writer.seal().unwrap(), draft).unwrap()
}

fn lines(folder: &Folder, depth: usize, out: &mut Vec<String>) {
    let sums = &folder.sums;
    out.push(format!(
        "{}{} [{}] {} entries, {} own, {} bytes, {} fresh, {} pinned",
        "  ".repeat(depth),
        folder.name,
        folder.prefix,
        sums.entries,
        folder.own,
        sums.bytes,
        sums.fresh,
        sums.pinned
    ));
    folder.folders.iter().for_each(|inner| lines(inner, depth + 1, out));
}

fn shown(store: &Store, text: Option<&str>, seconds: u64) -> Vec<String> {
    let now = UNIX_EPOCH + Duration::from_secs(seconds);
    let root = store.folders(text, &Rules::default(), now, &AtomicBool::new(false)).unwrap().unwrap();
    let mut out = Vec::new();
    root.folders.iter().for_each(|folder| lines(folder, 0, &mut out));
    out
}

fn names(store: &Store, prefix: &str, text: Option<&str>, limit: usize) -> Vec<String> {
    let found = store.folder_entries(prefix, text, limit, &Rules::default(), UNIX_EPOCH).unwrap();
    found.into_iter().map(|variant| variant.entry.draft.url.clone()).collect()
}

#[test]
fn folders_are_summed_up_and_chains_of_them_folded() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let deb = put(&store, "http://example.org/debian/pool/main/h/hello/hello_1_all.deb", b"12345");
    put(&store, "http://example.org/debian/pool/main/h/hello/hello_2_all.deb", b"123");
    put(&store, "http://example.org/debian/dists/stable/InRelease", b"1");
    put(&store, "http://example.org/top?path=/a/b", b"22");
    put(&store, "https://example.org/only/one/x", b"333");
    put(&store, "https://example.org/simple/name/", b"4444");
    store.set_pinned(&crate::inspect::Target::Ids(vec![deb.id]), true).unwrap();
    assert_eq!(
        shown(&store, None, 10),
        [
            "http://example.org [http://example.org/] 4 entries, 1 own, 11 bytes, 4 fresh, 1 pinned",
            "  debian [http://example.org/debian/] 3 entries, 0 own, 9 bytes, 3 fresh, 1 pinned",
            "    dists/stable [http://example.org/debian/dists/stable/] 1 entries, 1 own, 1 bytes, 1 fresh, 0 pinned",
            "    pool/main/h/hello [http://example.org/debian/pool/main/h/hello/] 2 entries, 2 own, 8 bytes, 2 fresh, \
         1 pinned",
            "https://example.org [https://example.org/] 2 entries, 0 own, 7 bytes, 2 fresh, 0 pinned",
            "  only/one [https://example.org/only/one/] 1 entries, 1 own, 3 bytes, 1 fresh, 0 pinned",
            "  simple/name [https://example.org/simple/name/] 1 entries, 1 own, 4 bytes, 1 fresh, 0 pinned",
        ]
    );
    // No index has named their digests, so the next run asks.
    let later = shown(&store, Some("debian"), 4000);
    assert_eq!(later[0], "http://example.org [http://example.org/] 3 entries, 0 own, 9 bytes, 0 fresh, 1 pinned");
    assert_eq!(names(&store, "http://example.org/", None, 9), ["http://example.org/top?path=/a/b"]);
    assert_eq!(names(&store, "https://example.org/simple/name/", None, 9), ["https://example.org/simple/name/"]);
    let hello = "http://example.org/debian/pool/main/h/hello/";
    assert_eq!(names(&store, hello, None, 1).len(), 1);
    assert_eq!(names(&store, hello, Some("_2_"), 9), [format!("{hello}hello_2_all.deb")]);
}

#[test]
fn what_a_guest_asks_for_cannot_make_the_tree_deep() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let url = format!("http://example.org/{}x", "a/".repeat(5000));
    put(&store, &url, b"x");
    put(&store, "http://example.org//", b"x");
    let lines = shown(&store, None, 0);
    assert_eq!(lines.len(), 3, "{lines:?}");
    let prefix = folder_of(&url);
    assert_eq!(prefix.matches("a/").count(), DEPTH - 1);
    assert_eq!(names(&store, prefix, None, 9), [url]);
    assert_eq!(names(&store, "http://example.org//", None, 9), ["http://example.org//"]);
}

#[test]
fn summing_up_can_be_stopped() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, "http://example.org/a", b"x");
    let found = store.folders(None, &Rules::default(), UNIX_EPOCH, &AtomicBool::new(true)).unwrap();
    assert_eq!(found, None);
}
