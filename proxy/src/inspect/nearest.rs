//! What is stored that comes nearest to a URL that is not: for whoever has to tell why an offline run missed it.
//!
//! Every look-up is a bounded walk along the index of URLs, however many entries there are.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::{Digest, Store, StoreError};

/// Most origins looked at for the same path.
const ORIGINS: usize = 256;
/// Most URLs looked at in one folder for another version.
const IN_FOLDER: usize = 512;
/// Most URLs of one origin looked at for another version in another folder.
const IN_ORIGIN: usize = 20_000;

/// How an entry is near, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same URL, stored for a request with other fields.
    OtherVariant,
    /// The same path of another host.
    OtherHost,
    /// The same package in another version.
    OtherVersion,
    /// Another file of the same directory.
    SameDirectory,
}

impl Relation {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherVariant => "the same URL, for another kind of request",
            Self::OtherHost => "the same path of another host",
            Self::OtherVersion => "another version",
            Self::SameDirectory => "in the same directory",
        }
    }
}

/// An entry that comes near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// Its URL.
    pub url: String,
    /// How it is near.
    pub relation: Relation,
}

impl Store {
    /// The stored answer that comes nearest to what `url` names.
    pub fn nearest(&self, url: &str) -> Result<Option<Nearest>, StoreError> {
        let Some(parts) = Parts::of(url) else { return Ok(None) };
        let index = self.read_index();
        let near = |relation| move |url| Nearest { url, relation };
        if let Some(found) = exact(&index, url)?.filter(|_| self.has_body(&index, url).unwrap_or(false)) {
            return Ok(Some(near(Relation::OtherVariant)(found)));
        }
        if let Some(found) = elsewhere(&index, &parts)? {
            return Ok(Some(near(Relation::OtherHost)(found)));
        }
        if let Some(found) = other_version(&index, &parts)? {
            return Ok(Some(near(Relation::OtherVersion)(found)));
        }
        Ok(neighbour(&index, &parts)?.map(near(Relation::SameDirectory)))
    }
}

impl Store {
    /// Whether the body of what is stored of a URL is there.
    fn has_body(&self, index: &Connection, url: &str) -> Result<bool, StoreError> {
        let sql = "SELECT blob.digest FROM entry JOIN blob ON blob.id = entry.blob WHERE url = ?1 AND status < 300";
        let mut statement = index.prepare_cached(sql)?;
        let digests: Vec<Vec<u8>> = statement.query_map([url], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let there = |digest: Vec<u8>| digest.try_into().is_ok_and(|digest| self.blob_path(&Digest(digest)).exists());
        Ok(digests.into_iter().any(there))
    }
}

/// A URL taken apart: `http://host`, `/a/b/`, `name_1.deb`.
struct Parts<'a> {
    url: &'a str,
    origin: &'a str,
    /// Origin and directory, with a slash at the end.
    directory: &'a str,
    /// All after the origin.
    path: &'a str,
    name: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let host = url.find("://")? + 3;
        let path = host + url[host..].find('/')?;
        let end = url.find('?').unwrap_or(url.len());
        let name = path + url[path..end].rfind('/')? + 1;
        Some(Self { url, origin: &url[..path], directory: &url[..name], path: &url[path..], name: &url[name..end] })
    }

    /// What names the package in the file's name, with the sign before the version: `curl_`, `left-pad-`.
    fn stem(&self) -> Option<&'a str> {
        let bytes = self.name.as_bytes();
        let starts = |at: usize| {
            let rest = &bytes[at + 1..];
            rest.first().is_some_and(u8::is_ascii_digit)
                || (rest.first() == Some(&b'v') && rest.get(1).is_some_and(u8::is_ascii_digit))
        };
        let at = (1..bytes.len()).find(|&at| matches!(bytes[at], b'-' | b'_') && starts(at))?;
        Some(&self.name[..=at])
    }

    /// What follows the version: `_amd64.deb`, `.tar.gz`.
    fn tail(&self) -> &'a str {
        match (self.name.rsplit_once('_'), self.name.rsplit_once('.')) {
            (Some((_, tail)), Some((_, "deb"))) | (_, Some((_, tail))) => tail,
            (_, None) => "",
        }
    }
}

fn exact(index: &Connection, url: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT url FROM entry WHERE url = ?1 AND status < 300 LIMIT 1";
    Ok(index.prepare_cached(sql)?.query_row([url], |row| row.get(0)).optional()?)
}

/// The same path of another origin: origins are gone through by jumping from each to the next.
fn elsewhere(index: &Connection, parts: &Parts<'_>) -> Result<Option<String>, StoreError> {
    let mut next = index.prepare_cached("SELECT url FROM entry WHERE url >= ?1 ORDER BY url LIMIT 1")?;
    let mut from = String::new();
    for _ in 0..ORIGINS {
        let Some(url) = next.query_row([&from], |row| row.get::<_, String>(0)).optional()? else { break };
        let Some(found) = Parts::of(&url) else { break };
        if found.origin != parts.origin
            && let Some(same) = exact(index, &format!("{}{}", found.origin, parts.path))?
        {
            return Ok(Some(same));
        }
        // What comes after a slash.
        from = format!("{}0", found.origin);
    }
    Ok(None)
}

/// The URLs that begin so, in order, at most so many.
fn beginning(index: &Connection, prefix: &str, most: usize) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT url FROM entry WHERE url >= ?1 AND url < ?2 AND status < 300 ORDER BY url LIMIT ?3";
    let end = format!("{prefix}\u{10FFFF}");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut statement = index.prepare_cached(sql)?;
    let found = statement.query_map(params![prefix, end, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(found)
}

fn other_version(index: &Connection, parts: &Parts<'_>) -> Result<Option<String>, StoreError> {
    let Some(stem) = parts.stem() else { return Ok(None) };
    let (directory, tail) = (parts.directory, parts.tail());
    let is_version = |url: &String| {
        let found = Parts::of(url);
        found.is_some_and(|found| found.stem() == Some(stem) && found.tail() == tail && found.url != parts.url)
    };
    let mut found = beginning(index, &format!("{directory}{stem}"), IN_FOLDER)?;
    found.retain(is_version);
    if found.is_empty() {
        found = beginning(index, &format!("{}/", parts.origin), IN_ORIGIN)?;
        found.retain(is_version);
    }
    Ok(most_alike(found, parts))
}

/// Something of the same directory: what has most of the beginning of the name in common.
fn neighbour(index: &Connection, parts: &Parts<'_>) -> Result<Option<String>, StoreError> {
    let one = |sql: &str| -> Result<Option<String>, StoreError> {
        Ok(index.prepare_cached(sql)?.query_row([parts.url], |row| row.get(0)).optional()?)
    };
    let before = one("SELECT url FROM entry WHERE url < ?1 AND status < 300 ORDER BY url DESC LIMIT 1")?;
    let after = one("SELECT url FROM entry WHERE url > ?1 AND status < 300 ORDER BY url LIMIT 1")?;
    let inside = |url: &String| url.strip_prefix(parts.directory).is_some_and(|name| !name.contains('/'));
    Ok(most_alike(before.into_iter().chain(after).filter(inside).collect(), parts))
}

/// The one with the longest beginning of the name in common; of several the last.
fn most_alike(urls: Vec<String>, parts: &Parts<'_>) -> Option<String> {
    let alike = |url: &String| {
        Parts::of(url).map_or(0, |found| {
            found.name.bytes().zip(parts.name.bytes()).take_while(|(one, other)| one == other).count()
        })
    };
    urls.into_iter().max_by_key(alike)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderMap;

    use super::*;
    use crate::cache::Key;
    use crate::flow::Class;
    use crate::store::{Draft, Provenance};

    fn store(urls: &[&str]) -> (tempfile::TempDir, Store) {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::open(directory.path()).unwrap();
        for url in urls {
            let mut writer = store.writer().unwrap();
            writer.write(b"x").unwrap();
            let key = Key::of(&url.parse().unwrap()).unwrap();
            let draft = Draft {
                key: key.hash,
                url: key.url,
                status: 200,
                headers: HeaderMap::new(),
                vary: Vec::new(),
                requested: UNIX_EPOCH,
                responded: UNIX_EPOCH,
                class: Class::Package,
                part: None,
                provenance: Provenance::default(),
            };
            store.commit(writer.seal().unwrap(), draft).unwrap();
        }
        (directory, store)
    }

    #[test]
    fn the_nearest_there_is() {
        const POOL: &str = "http://example.org/pool/main/c/curl/";
        let (_directory, store) = store(&[
            "http://example.net/pool/main/w/wget/wget_1_amd64.deb",
            "http://example.org/pool/main/c/curl/curl_7.88.1-10_amd64.deb",
            "http://example.org/pool/main/c/curl/curl_7.88.1-10_arm64.deb",
            "http://example.org/pool/main/c/curl/curl_7.74-1_amd64.deb",
            "http://example.org/pool/main/c/curl/curl-dev_7.88.1-10_amd64.deb",
            "http://example.org:8080/pool/x",
            "https://example.org/files/aa/left_pad-1.0-py3-none-any.whl",
            "https://example.org/simple/left-pad/",
            "https://example.org/other/deep/er",
        ]);
        let near = |url: &str| store.nearest(url).unwrap().map(|found| (found.url, found.relation));
        let version = |url: String| Some((url, Relation::OtherVersion));
        assert_eq!(
            near(&format!("{POOL}curl_7.88.1-11_amd64.deb")),
            version(format!("{POOL}curl_7.88.1-10_amd64.deb"))
        );
        assert_eq!(near(&format!("{POOL}curl_8-1_arm64.deb")), version(format!("{POOL}curl_7.88.1-10_arm64.deb")));
        assert_eq!(
            near("http://example.org/pool/main/w/wget/wget_1_amd64.deb").unwrap(),
            ("http://example.net/pool/main/w/wget/wget_1_amd64.deb".to_owned(), Relation::OtherHost)
        );
        assert_eq!(
            near("https://example.org/files/bb/left_pad-2.0-py3-none-any.whl"),
            version("https://example.org/files/aa/left_pad-1.0-py3-none-any.whl".to_owned())
        );
        assert_eq!(near(&format!("{POOL}libcurl4_7_amd64.deb")).unwrap().1, Relation::SameDirectory,);
        assert_eq!(near("http://example.org:8080/pool/x").unwrap().1, Relation::OtherVariant);
        assert_eq!(near("https://example.org/other/x/y"), None);
        assert_eq!(near("https://example.com/"), None);
        assert_eq!(near("example.org:443"), None);
    }

    fn fill(store: &Store, first: u32, count: u32) {
        let index = store.write_index();
        index.execute_batch("BEGIN").unwrap();
        for number in first..first + count {
            // Half of them are of one origin.
            let host = if number % 2 == 0 { 0 } else { number % 299 + 1 };
            let url = format!("http://h{host}.example.org/p{}/name{number}_1.deb", number % 7000);
            index
                .prepare_cached(
                    "INSERT INTO entry (key, variant, url, status, headers, vary, blob, requested, responded, class, \
                     last_used) SELECT randomblob(16), variant, ?1, 200, headers, vary, blob, requested, responded, \
                     class, last_used FROM entry WHERE id = 1",
                )
                .unwrap()
                .execute([url])
                .unwrap();
        }
        index.execute_batch("COMMIT").unwrap();
    }

    /// Steps of SQLite's machine, in thousands, that looking for what is nowhere near takes.
    fn steps(store: &Store) -> usize {
        let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = count.clone();
        let count_one = move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            false
        };
        store.read_index().progress_handler(1000, Some(count_one)).unwrap();
        for number in 0..20 {
            store.nearest(&format!("http://h0.example.org/p9999/absent-{number}.tar.gz")).unwrap();
        }
        store.read_index().progress_handler(0, None::<fn() -> bool>).unwrap();
        count.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn the_nearest_takes_no_more_steps_however_many_entries_there_are() {
        let (_directory, store) = store(&["http://h0.example.org/p0/name_1.deb"]);
        fill(&store, 0, 50_000);
        let few = steps(&store);
        fill(&store, 50_000, 100_000);
        let many = steps(&store);
        assert!(few > 0 && many <= few + few / 10, "{few} thousand steps among 50,000 entries, {many} among 150,000");
    }
}
