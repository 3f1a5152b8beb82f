//! What is stored, for tests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use larder_proxy::flow::Class;
use larder_proxy::inspect::{Folder, FolderSums, Stats, Variant};
use larder_proxy::store::{Digest, Draft, Entry};

use crate::tui::testing::noon;

/// An entry stored an hour before noon and served seven times.
pub(in crate::tui) fn variant(id: i64, url: &str, size: u64, left: Option<u64>) -> Arc<Variant> {
    let at = SystemTime::from(noon()) - Duration::from_hours(1);
    let mut headers = HeaderMap::new();
    let field = |text: &'static str| http::HeaderValue::from_static(text);
    headers.insert(http::header::CONTENT_TYPE, field("application/vnd.debian.binary-package"));
    headers.insert(http::header::CACHE_CONTROL, field("public, max-age=86400"));
    headers.insert(http::header::ETAG, field("\"d0cc40\""));
    let draft = Draft {
        key: [0; 16],
        url: url.to_owned(),
        status: 200,
        headers,
        vary: Vec::new(),
        requested: at,
        responded: at,
        class: Class::Package,
        part: None,
        provenance: larder_proxy::store::Provenance::default(),
    };
    let entry = Entry {
        id,
        draft: draft.into(),
        digest: Digest::from_hex(&"9f".repeat(32)).unwrap(),
        size,
        last_used: SystemTime::from(noon()),
        uses: 7,
        pinned: id == 1,
    };
    let why = if left.is_some() { "fresh" } else { "immutable by its path" };
    let lifetime = left.map_or(0, |left| 3600 + left);
    Arc::new(Variant { entry, lifetime, age: 3600, usable: left != Some(0), why, lasts: left.is_none() })
}

fn folder(name: &str, prefix: &str, entries: u64, bytes: u64, folders: Vec<Folder>) -> Folder {
    let own = entries - folders.iter().map(|folder| folder.sums.entries).sum::<u64>();
    let sums = FolderSums {
        entries,
        bytes,
        uses: entries * 3,
        fresh: entries - entries / 50,
        pinned: u64::from(prefix.contains("debian")),
        last_used: noon().as_millisecond(),
    };
    Folder { name: name.to_owned(), prefix: prefix.to_owned(), sums, own, folders }
}

/// The folder whose entries [`entries`] are.
pub(in crate::tui) const LINUX: &str = "http://deb.example.org/debian/pool/main/l/linux/";

/// Some hosts and folders.
pub(in crate::tui) fn stored() -> (Folder, Stats) {
    let linux = folder("pool/main/l/linux", LINUX, 2, 27_000_000, Vec::new());
    let dists = folder("dists/stable", "http://deb.example.org/debian/dists/stable/", 66, 41_000_000, Vec::new());
    let debian = folder("debian", "http://deb.example.org/debian/", 68, 68_000_000, vec![dists, linux]);
    let hosts = vec![
        folder("http://deb.example.org", "http://deb.example.org/", 68, 68_000_000, vec![debian]),
        folder("https://files.example.org", "https://files.example.org/", 12_040, 1_400_000_000, Vec::new()),
        folder("https://registry.example.org", "https://registry.example.org/", 140, 1_600_000_000, Vec::new()),
    ];
    let root = folder("", "", 12_248, 3_068_000_000, hosts);
    (root, Stats { entries: 12_248, blobs: 12_000, bytes: 3_068_000_000, ..Stats::default() })
}

/// What is in [`LINUX`].
pub(in crate::tui) fn entries() -> Vec<Arc<Variant>> {
    vec![
        variant(1, &format!("{LINUX}linux-headers-6.8.0-41_all.deb"), 14_000_000, None),
        variant(2, &format!("{LINUX}linux-image-6.8.0-41-generic_amd64.deb"), 13_412_864, Some(82_800)),
    ]
}
