//! What `larder cache` shows and does, as plain data. Everything here blocks.

mod explain;
mod manage;
mod nearest;
mod room;
mod tree;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use crate::flow::Class;
use crate::policy::CacheControl;
use crate::policy::freshness::{Judgement, Stored, current_age, judge, lifetime};
use crate::rules::{Nature, Promised, Verdict};
use crate::store::{Digest, ENTRY_COLUMNS, Entry, Learnt, Store, StoreError, damaged_rows, intact};

pub use self::explain::{Detail, Explanation, Last, Next, PromisedBy};
pub use self::manage::{Dropped, Soundness, Target};
pub use self::nearest::{Nearest, Relation};
pub use self::room::{Limits, Removed};
pub use self::tree::{Folder, FolderSums, folder_of};

/// Longer than any lifetime.
const AGES: Duration = Duration::from_hours(24 * 365 * 200);

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the URL.
    pub url: Option<String>,
    /// Kind of content.
    pub class: Option<Class>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Sums over the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Stored responses.
    pub entries: u64,
    /// Blobs; several responses may share one.
    pub blobs: u64,
    /// Bytes of the blobs.
    pub bytes: u64,
    /// For each class: responses, and the bytes of their bodies (a shared blob counts for each).
    pub classes: Vec<(Class, u64, u64)>,
    /// How often responses were served.
    pub uses: u64,
}

/// What [`Store::verify`] found. Empty lists (but for `unreferenced` and `leftover`) mean a sound cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Blobs read and hashed.
    pub blobs: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Blobs whose content is not what their name says.
    pub damaged: Vec<String>,
    /// Blobs that the index names and that are not there.
    pub missing: Vec<String>,
    /// Whole blobs that the index does not name, such as a writer leaves that was killed between the two. They take
    /// room, and harm nothing.
    pub unreferenced: Vec<PathBuf>,
    /// Files among the blobs that are none.
    pub unknown: Vec<PathBuf>,
    /// Temporary files without a writer: killed ones leave them, and the next Larder removes them.
    pub leftover: Vec<PathBuf>,
    /// Rows of the index that are not as they were written.
    pub rows: u64,
    /// What SQLite says of the index, where not `ok`.
    pub index: Option<String>,
    /// Whether what was found has been put right.
    pub repaired: bool,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
            && self.missing.is_empty()
            && self.unknown.is_empty()
            && self.rows == 0
            && self.index.is_none()
    }
}

/// One stored variant.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The entry.
    pub entry: Entry,
    /// Lifetime in seconds.
    pub lifetime: u64,
    /// Age in seconds.
    pub age: u64,
    /// Whether it would be served without asking upstream, and why (not).
    pub usable: bool,
    /// The reason.
    pub why: &'static str,
    /// Whether that stays so, whatever its age.
    pub lasts: bool,
}

impl Store {
    /// The entries, the last used first.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Entry>, StoreError> {
        // Look-ups go on beside it.
        let index = self.reader()?;
        let mut statement = index.prepare(&format!(
            "SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob \
             WHERE (?1 IS NULL OR instr(entry.url, ?1) > 0) AND (?2 IS NULL OR entry.class = ?2) \
             ORDER BY entry.last_used DESC, entry.id LIMIT ?3"
        ))?;
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(-1));
        let class = filter.class.map(Class::as_str);
        let rows = statement.query_map(params![filter.url, class, limit], |row| Ok(intact(row)))?;
        Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
    }

    /// Sums over the cache without those of its classes, which the index keeps at hand.
    pub fn totals(&self) -> Result<Stats, StoreError> {
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(self.read_index().query_row("SELECT entries, blobs, bytes FROM total", [], |row| {
            Ok(Stats {
                entries: unsigned(row.get(0)?),
                blobs: unsigned(row.get(1)?),
                bytes: unsigned(row.get(2)?),
                ..Stats::default()
            })
        })?)
    }

    /// Sums over the cache.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        let mut stats = self.totals()?;
        let index = self.reader()?;
        let mut statement = index.prepare(
            "SELECT entry.class, count(*), coalesce(sum(blob.size), 0), coalesce(sum(entry.uses), 0) \
             FROM entry JOIN blob ON blob.id = entry.blob GROUP BY entry.class",
        )?;
        let mut found = HashMap::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let sums = (unsigned(row.get(1)?), unsigned(row.get(2)?), unsigned(row.get(3)?));
            found.insert(row.get::<_, String>(0)?, sums);
        }
        for class in [Class::Package, Class::Index, Class::Image, Class::Other] {
            if let Some(&(count, bytes, uses)) = found.get(class.as_str()) {
                stats.uses += uses;
                stats.classes.push((class, count, bytes));
            }
        }
        Ok(stats)
    }

    /// Reads and hashes every blob and compares files and index; with `repair` removes what is wrong. Files that
    /// another live process is writing are left alone.
    pub fn verify(&self, repair: bool) -> Result<Report, StoreError> {
        let mut report = Report { leftover: self.sweep(!repair)?, ..Report::default() };
        let known = self.known_blobs()?;
        for &(digest, size) in &known {
            match self.open_blob(&digest, size).and_then(|file| Digest::of_file(&file)) {
                Ok(found) if found == digest => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    // It may have been removed, row and all, since the list was made.
                    if self.names_blob(&digest)? {
                        report.missing.push(digest.to_string());
                    }
                    continue;
                }
                Ok(_) | Err(_) => report.damaged.push(digest.to_string()),
            }
            report.blobs += 1;
            report.bytes += size;
        }
        let known: HashSet<Digest> = known.into_iter().map(|(digest, _)| digest).collect();
        self.stray_files(&known, repair, &mut report)?;
        let index = self.reader()?;
        let check: String = index.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        report.index = (check != "ok").then_some(check);
        let damaged = damaged_rows(&index, "TRUE", [])?;
        report.rows = damaged.len() as u64;
        drop(index);
        if repair {
            for name in report.damaged.iter().chain(&report.missing) {
                if let Some(digest) = Digest::from_hex(name) {
                    self.forget_blob(&digest)?;
                }
            }
            self.drop_damaged(&damaged)?;
            self.recover()?;
            report.repaired = report.index.is_none();
        }
        Ok(report)
    }

    fn known_blobs(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        let index = self.reader()?;
        let mut statement = index.prepare("SELECT digest, size FROM blob ORDER BY id")?;
        let rows = statement.query_map([], |row| Ok((Digest(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Files in the content directory that the index does not know.
    fn stray_files(&self, known: &HashSet<Digest>, remove: bool, report: &mut Report) -> Result<(), StoreError> {
        for path in files_below(&self.root().join("content-v2"), 4)? {
            let digest = Digest::of_path(&path).filter(|digest| self.blob_path(digest) == path);
            if digest.is_some_and(|digest| known.contains(&digest)) {
                continue;
            }
            // Writers put blobs in place within a write transaction, so holding one means to see no state between.
            let mut index = self.write_index();
            let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let known = match digest {
                Some(digest) => transaction
                    .query_row("SELECT 1 FROM blob WHERE digest = ?1", [&digest.0[..]], |_| Ok(()))
                    .optional()?
                    .is_some(),
                None => false,
            };
            if known || !path.exists() {
                continue;
            }
            let found = fs::File::open(&path).and_then(|file| Digest::of_file(&file)).ok();
            if remove {
                fs::remove_file(&path).map_err(|error| StoreError::io("remove", &path, error))?;
            }
            if digest.is_some() && found == digest {
                report.unreferenced.push(path);
            } else {
                report.unknown.push(path);
            }
        }
        Ok(())
    }
}

fn explain_entry(entry: Entry, verdict: &Verdict, learnt: Option<&Learnt>, now: SystemTime) -> Variant {
    // The digest of another algorithm is compared when the entry is served.
    let is_it = |promised: &Promised| promised.name() != "sha256" || promised.hex == entry.digest.to_string();
    let known = verdict.promised.as_ref().or(learnt.map(|learnt| &learnt.promise.promised)).is_some_and(is_it);
    let fits = entry.draft.status == 200 && verdict.fits(&entry.draft.headers);
    explain_as(entry, if fits { verdict.nature.with_digest(known) } else { Nature::Plain }, now)
}

/// What would come of a request for an entry that lives so long, without a run that has confirmed it.
fn explain_as(entry: Entry, nature: Nature, now: SystemTime) -> Variant {
    let stored = Stored {
        status: entry.draft.status,
        headers: &entry.draft.headers,
        requested: entry.draft.requested,
        responded: entry.draft.responded,
        nature,
    };
    let (usable, why) = match judge(&stored, &CacheControl::default(), now, None) {
        Judgement::Use(why) | Judgement::UseAndAsk(why) => (true, why),
        Judgement::Ask(why) => (false, why),
    };
    let lasts = matches!(judge(&stored, &CacheControl::default(), now + AGES, None), Judgement::Use(_));
    let (lifetime, age) = (lifetime(&stored), current_age(&stored, now));
    Variant { entry, lifetime, age, usable, why, lasts }
}

/// Verifies the cache in `dir` as [`Store::verify`] does, also one whose index cannot be read any more: `repair`
/// then begins a new one with what can be read of the old.
pub fn verify(dir: &Path, repair: bool) -> Result<Report, StoreError> {
    let damage = match Store::open_as_it_is(dir).and_then(|store| store.verify(repair)) {
        Ok(Report { index: Some(damage), .. }) if repair => damage,
        Err(error) if error.is_damaged_index() => error.to_string(),
        other => return other,
    };
    if !repair {
        return Ok(Report { index: Some(damage), ..Report::default() });
    }
    Store::replace_index(dir)?;
    let report = Store::open(dir)?.verify(true)?;
    Ok(Report { index: Some(damage), repaired: true, ..report })
}

/// Plain files up to `depth` directories down.
fn files_below(dir: &Path, depth: u32) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        other => other.map_err(|error| StoreError::io("read", dir, error))?,
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_file() {
            found.push(entry.path());
        } else if kind.is_dir() && depth > 0 {
            found.extend(files_below(&entry.path(), depth - 1)?);
        }
    }
    Ok(found)
}
