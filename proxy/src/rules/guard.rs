//! What a regular expression cannot say of a path.

use serde::Deserialize;

/// A further condition on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Guard {
    /// In a sparse index the directories repeat the beginning of the crate's name.
    Sparse,
    /// In a Maven repository the file repeats the names of its two directories, artifact and version.
    Maven,
}

impl Guard {
    pub(super) fn holds(self, path: &str) -> bool {
        match self {
            Self::Sparse => is_sparse_name(path),
            Self::Maven => is_maven_file(path),
        }
    }
}

fn is_sparse_name(path: &str) -> bool {
    let parts: Vec<&str> = path.rsplitn(4, '/').collect();
    match parts.as_slice() {
        [_, "1" | "2", ..] => true,
        [name, first, "3", ..] => name.starts_with(first),
        [name, second, first, ..] => name.strip_prefix(first).is_some_and(|rest| rest.starts_with(second)),
        _ => false,
    }
}

fn is_maven_file(path: &str) -> bool {
    let mut parts = path.rsplitn(4, '/');
    let (Some(file), Some(version), Some(artifact)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Some(rest) = file.strip_prefix(artifact).and_then(|rest| rest.strip_prefix('-')) else { return false };
    // Of a snapshot, each upload has a time and a number in place of the word.
    let stem = version.strip_suffix("SNAPSHOT").unwrap_or(version);
    let Some(rest) = rest.strip_prefix(stem).filter(|_| !stem.is_empty()) else { return false };
    if stem.len() < version.len() {
        return rest.starts_with(|first: char| first.is_ascii_digit());
    }
    rest.starts_with(['.', '-'])
}
