//! What is stored, summed up by host and path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use rusqlite::params;

use super::Variant;
use super::manage::after;
use crate::policy::CacheControl;
use crate::policy::freshness::{Judgement, Stored, judge};
use crate::rules::{Nature, Rules};
use crate::store::{ENTRY_COLUMNS, Store, StoreError, decode_headers, from_millis, intact};

/// Folders within each other, at most: a guest may ask for what it likes, and a tree is walked by recursion.
const DEPTH: usize = 32;

/// Sums over the entries of a folder and of the folders in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderSums {
    /// Entries.
    pub entries: u64,
    /// Bytes of their bodies; one that several entries share counts for each.
    pub bytes: u64,
    /// How often they were served.
    pub uses: u64,
    /// Entries that would be served without asking upstream.
    pub fresh: u64,
    /// Pinned entries.
    pub pinned: u64,
    /// When one was last used, in milliseconds since 1970.
    pub last_used: i64,
}

impl FolderSums {
    fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.uses += other.uses;
        self.fresh += other.fresh;
        self.pinned += other.pinned;
        self.last_used = self.last_used.max(other.last_used);
    }
}

/// A folder of URLs. Folders that hold nothing but one other are shown as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// What it is called within the one above: `http://example.org`, `pool/main/l/linux`; empty for the whole.
    pub name: String,
    /// What the URLs in it begin with, up to and with the slash; empty for the whole.
    pub prefix: String,
    /// Sums over all that is in it.
    pub sums: FolderSums,
    /// Entries in it that are in none of its folders.
    pub own: u64,
    /// Folders, by name.
    pub folders: Vec<Self>,
}

#[derive(Default)]
struct Node {
    own: FolderSums,
    folders: BTreeMap<Box<str>, Node>,
}

impl Store {
    /// The folders of all entries whose URL contains `text`. Reads the whole index, beside those who use it; `None`
    /// when `stop` was set meanwhile.
    pub fn folders(
        &self,
        text: Option<&str>,
        rules: &Rules,
        now: SystemTime,
        stop: &AtomicBool,
    ) -> Result<Option<Folder>, StoreError> {
        let index = self.reader()?;
        let mut statement = index.prepare(
            "SELECT entry.url, entry.status, entry.requested, entry.responded, entry.uses, entry.pinned, blob.size, \
             entry.last_used, entry.headers, EXISTS (SELECT 1 FROM promise WHERE promise.key = entry.key AND \
             (promise.algorithm <> 'sha256' OR promise.digest = blob.digest)) FROM entry JOIN blob ON blob.id = entry.blob \
             WHERE ?1 IS NULL OR instr(entry.url, ?1) > 0",
        )?;
        let mut root = Node::default();
        let mut rows = statement.query([text])?;
        while let Some(row) = rows.next()? {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let url = row.get_ref(0)?.as_str().unwrap_or_default();
            let sums = FolderSums {
                entries: 1,
                bytes: row.get::<_, i64>(6)?.cast_unsigned(),
                uses: row.get::<_, i64>(4)?.cast_unsigned(),
                fresh: u64::from(is_fresh(row, url, rules, now)?),
                pinned: u64::from(row.get::<_, bool>(5)?),
                last_used: row.get(7)?,
            };
            let mut node = &mut root;
            for name in folder_names(url) {
                if !node.folders.contains_key(name) {
                    node.folders.insert(name.into(), Node::default());
                }
                node = node.folders.get_mut(name).expect("it was put in");
            }
            node.own.add(&sums);
        }
        Ok(Some(fold(String::new(), String::new(), root)))
    }

    /// The entries right in the folder with this prefix whose URL contains `text`, by URL, at most `limit` of them.
    pub fn folder_entries(
        &self,
        prefix: &str,
        text: Option<&str>,
        limit: usize,
        rules: &Rules,
        now: SystemTime,
    ) -> Result<Vec<Variant>, StoreError> {
        let index = self.reader()?;
        let mut statement = index.prepare(&format!(
            "SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob \
             WHERE entry.url >= ?1 AND entry.url < ?2 AND (?3 IS NULL OR instr(entry.url, ?3) > 0) \
             ORDER BY entry.url, entry.id"
        ))?;
        let mut rows = statement.query(params![prefix, after(prefix), text])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let url = row.get_ref(2)?.as_str().unwrap_or_default();
            if folder_of(url) == prefix {
                if let Some(entry) = intact(row) {
                    found.push(self.judged(entry, rules, now)?);
                }
                if found.len() == limit {
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// Whether the entry would be served without asking. Its fields are decoded only where they matter.
fn is_fresh(row: &rusqlite::Row<'_>, url: &str, rules: &Rules, now: SystemTime) -> rusqlite::Result<bool> {
    let verdict = rules.classify(path_of(url), None);
    let nature = verdict.nature.with_digest(verdict.promised.is_some() || row.get(9)?);
    if nature == Nature::Immutable {
        return Ok(true);
    }
    let headers = decode_headers(row.get_ref(8)?.as_blob().unwrap_or_default());
    let stored = Stored {
        status: row.get(1)?,
        headers: &headers,
        requested: from_millis(row.get(2)?),
        responded: from_millis(row.get(3)?),
        nature,
    };
    Ok(matches!(judge(&stored, &CacheControl::default(), now, None), Judgement::Use(_)))
}

/// The URL without its query.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// The path of a URL of the index.
fn path_of(url: &str) -> &str {
    let rest = without_query(url);
    let host = rest.find("://").map_or(0, |at| at + 3);
    rest[host..].find('/').map_or("/", |at| &rest[host + at..])
}

/// The prefix of the folder that a URL lies in, with its slash: what comes after the last slash belongs to the entry,
/// and so does what lies deeper than any folder here.
pub fn folder_of(url: &str) -> &str {
    let url = without_query(url);
    let host = url.find("://").map_or(0, |at| at + 3);
    let last = url[host..].match_indices('/').take(DEPTH).last();
    last.map_or("", |(at, _)| &url[..=host + at])
}

/// `http://example.org`, and then the folders of the path.
fn folder_names(url: &str) -> impl Iterator<Item = &str> {
    let folder = folder_of(url);
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    let host = folder.find("://").map_or(0, |at| at + 3);
    let end = folder[host..].find('/').map_or(folder.len(), |at| host + at);
    std::iter::once(&folder[..end]).chain(folder.get(end + 1..).into_iter().flat_map(|path| path.split('/')))
}

fn fold(name: String, prefix: String, mut node: Node) -> Folder {
    // A host stays a host, also where it holds one folder only.
    let is_path = !prefix.is_empty() && !name.contains("://");
    if is_path && node.own.entries == 0 && node.folders.len() == 1 {
        let (below, only) = node.folders.pop_first().expect("there is one");
        return fold(format!("{name}/{below}"), format!("{prefix}{below}/"), only);
    }
    let mut sums = node.own;
    let mut folders = Vec::with_capacity(node.folders.len());
    for (below, inner) in node.folders {
        let folder = fold(below.to_string(), format!("{prefix}{below}/"), inner);
        sums.add(&folder.sums);
        folders.push(folder);
    }
    Folder { name, prefix, sums, own: node.own.entries, folders }
}

#[cfg(test)]
pub(super) mod tests;
