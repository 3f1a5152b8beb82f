//! The record of a run: everything it fetched, in the form that a lock file has.
//!
//! It lies beside the run's logs, `logs/RUN/record.json` in the state directory, and goes with them. The form is JSON
//! with sorted keys and one entry a line; nothing in an entry is of this one run, so that two runs that fetched the same
//! have the same entries, byte by byte.

mod digest;
pub mod keeper;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

pub use digest::Sha256;
use jiff::Timestamp;
use larder_proxy::flow::Class;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Result};

/// Version of the form. Another one is not read.
pub const VERSION: u32 = 1;

/// How surely everything that was fetched is in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Guests had no other way out than the proxy.
    Enforced,
    /// Guests were led to the proxy by settings, which a program may ignore.
    Observed,
    /// Guests were elsewhere, and only told of the proxy.
    Advisory,
}

impl Egress {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Observed => "observed",
            Self::Advisory => "advisory",
        }
    }
}

/// What an answer is to a later run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It never changes under its URL.
    Immutable,
    /// It may be another tomorrow.
    Mutable,
    /// The origin does not have it (404, 410): programs probe for such, and go on by it.
    Negative,
    /// It leads to another URL.
    Redirect,
    /// The answer to a POST that only asks for something, such as a git pack.
    ReplayablePost,
}

impl Kind {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::Mutable => "mutable",
            Self::Negative => "negative",
            Self::Redirect => "redirect",
            Self::ReplayablePost => "replayable-post",
        }
    }
}

/// One answer. The fields are in the order of their names: they are written so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordEntry {
    /// For a redirect: the digest of what is at its end, where that was fetched as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<Sha256>,
    /// Whether it was fetched with credentials: it is left out of what is handed on unless asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auth: bool,
    /// Names of the builds that asked for it; for `larder exec`, `exec`.
    pub builds: BTreeSet<String>,
    /// What the URL names.
    pub class: Class,
    /// SHA-256 of the body as it was sent: before a content coding is undone. None where there is no body of note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sha256>,
    /// The fields that matter, by names in lower case: content-type, content-encoding, etag, last-modified and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What it is to a later run.
    pub kind: Kind,
    /// Where a redirect leads: an absolute URL without signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The method.
    pub method: String,
    /// For a POST: SHA-256 of what was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_digest: Option<Sha256>,
    /// Which of several answers it is, from 1, where the run got different ones for the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u32>,
    /// Bytes of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Status of the answer that is kept: 200 also where the client asked for a part, or was told that it had it.
    pub status: u16,
    /// Names of the steps that asked for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<String>,
    /// The URL in the form the cache files it under; without user information and signature.
    pub url: String,
    /// What the answer depends on: request fields by names in lower case, with what they said (null: nothing).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vary: BTreeMap<String, Option<String>>,
}

/// Something that the run did, or failed to do, which a run offline cannot repeat from the record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incomplete {
    /// Names of the builds; none where it concerns the run.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub builds: BTreeSet<String>,
    /// The method; none where it was no request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Names of the steps.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<String>,
    /// The URL, or `host:port` of a tunnel; none where it was no request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why, in one sentence.
    pub why: String,
}

/// What a run fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the run ended.
    pub captured_at: Timestamp,
    /// Whether a run offline can repeat it: it came to its end, and nothing is listed in `incomplete`.
    pub complete: bool,
    /// How surely everything is in it.
    pub egress: Egress,
    /// The entries, in the order of URL, method, vary and `seq`.
    pub entries: Vec<RecordEntry>,
    /// What cannot be repeated.
    pub incomplete: Vec<Incomplete>,
    /// Where answers might come from: `cache` or `offline`.
    pub net: String,
    /// Id of the run.
    pub run: String,
    /// SHA-256 of the template's files and of those of variables; none for `larder exec`.
    pub template_digest: Option<Sha256>,
}

/// The end of the file, behind the entries.
#[derive(Serialize)]
struct Rest {
    lock_version: u32,
    net: String,
    run: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_digest: Option<Sha256>,
}

#[derive(Serialize)]
struct Head<'a> {
    algorithm: &'a str,
    captured_at: Timestamp,
    complete: bool,
    egress: Egress,
}

#[derive(Deserialize)]
struct Whole {
    algorithm: String,
    captured_at: Timestamp,
    complete: bool,
    egress: Egress,
    entries: Vec<RecordEntry>,
    incomplete: Vec<Incomplete>,
    // Written out: a flattened struct would have all that is not known kept in memory.
    net: String,
    run: String,
    #[serde(default)]
    template_digest: Option<Sha256>,
}

/// URL, method, the fields it varies on, the digest of the request's body, and its number among several.
pub type EntryOrder<'a> = (&'a str, &'a str, &'a BTreeMap<String, Option<String>>, Option<Sha256>, Option<u32>);

impl RecordEntry {
    /// What an entry is found by, and sorted by.
    pub fn order(&self) -> EntryOrder<'_> {
        (&self.url, &self.method, &self.vary, self.request_digest, self.seq)
    }
}

impl Record {
    /// Where the record of a run lies.
    pub fn path(state: &Path, run: &str) -> PathBuf {
        state.join("logs").join(run).join("record.json")
    }

    /// Reads the record of a run, by its whole id. `None` where it has none: it is still under way, was killed, or is of
    /// a Larder that kept none.
    pub fn read(state: &Path, run: &str) -> Result<Option<Self>> {
        let path = Self::path(state, run);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context(|| format!("cannot read the record {}", path.display())),
        };
        Self::parse(&text).context(|| format!("the record {} cannot be used", path.display())).map(Some)
    }

    /// Reads a record from its file form. Names, URLs and fields are as they are found there: whoever takes a record
    /// from elsewhere judges them.
    pub fn parse(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            lock_version: u32,
        }
        let malformed = || "it is not a record".to_owned();
        let found: Version = serde_json::from_slice(text).context(malformed)?;
        if found.lock_version != VERSION {
            let found = found.lock_version;
            return Err(Error::new(format!("it is of version {found}, this Larder reads version {VERSION}"))
                .hint("use the Larder that wrote it, or record the build again"));
        }
        let Whole { algorithm, captured_at, complete, egress, entries, incomplete, net, run, template_digest } =
            serde_json::from_slice(text).context(malformed)?;
        if algorithm != "sha256" {
            return Err(Error::new(format!("its digests are {algorithm}, this Larder reads sha256")));
        }
        Ok(Self { captured_at, complete, egress, entries, incomplete, net, run, template_digest })
    }

    /// The file form: canonical JSON but for one line an entry, with a newline at the end.
    pub fn to_text(&self) -> Result<String> {
        let head =
            Head { algorithm: "sha256", captured_at: self.captured_at, complete: self.complete, egress: self.egress };
        let rest = Rest {
            lock_version: VERSION,
            net: self.net.clone(),
            run: self.run.clone(),
            template_digest: self.template_digest,
        };
        let mut text = json(&head)?;
        text.truncate(text.len() - 1);
        text.push_str(",\"entries\":");
        let mut entries: Vec<&RecordEntry> = self.entries.iter().collect();
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        lines(&mut text, entries)?;
        text.push_str(",\"incomplete\":");
        lines(&mut text, self.incomplete.iter().collect::<BTreeSet<_>>())?;
        text.push(',');
        text.push_str(&json(&rest)?[1..]);
        text.push('\n');
        Ok(text)
    }

    /// Writes it to its place, all or nothing.
    pub fn write(&self, state: &Path) -> Result<()> {
        let path = Self::path(state, &self.run);
        let cannot = || format!("cannot write the record {}", path.display());
        let text = self.to_text()?;
        let directory = path.parent().unwrap_or(state);
        std::fs::create_dir_all(directory).context(cannot)?;
        let mut file = tempfile::NamedTempFile::new_in(directory).context(cannot)?;
        io::Write::write_all(&mut file, text.as_bytes()).context(cannot)?;
        file.as_file().sync_all().context(cannot)?;
        file.persist(&path).map_err(|error| error.error).context(cannot)?;
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).context(|| "cannot write JSON".to_owned())
}

/// An array with an item a line.
fn lines<T: Serialize>(text: &mut String, items: impl IntoIterator<Item = T>) -> Result<()> {
    text.push('[');
    for (place, item) in items.into_iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        text.push_str(&json(&item)?);
    }
    text.push_str("\n]");
    Ok(())
}
