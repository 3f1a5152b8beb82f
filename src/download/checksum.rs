//! The forms a checksum is written in: Packer's `iso_checksum`, and files such as `SHA256SUMS`.

use std::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha256, Sha512};

/// Longest name a checksum file's line may have; a longer line is no such file.
const MAX_LINE: usize = 16 * 1024;

/// What is wrong with a checksum as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// Nothing between the quotes.
    #[error("the checksum is empty; write `none` to go without one")]
    Empty,
    /// The part before the colon is no algorithm Packer knows.
    #[error("unknown checksum type `{0}`; known are md5, sha1, sha256, sha512, file and none")]
    UnknownType(String),
    /// Hex digits of the wrong number, or not hex digits.
    #[error("`{digest}` is not a {algorithm} digest, which is {expected} hex digits")]
    NotADigest { digest: String, algorithm: Algorithm, expected: usize },
    /// Hex digits alone whose number belongs to no algorithm.
    #[error("cannot tell the type of the checksum `{0}` by its length; write it as `sha256:...`")]
    UnknownLength(String),
    /// A web page was answered in place of the checksum file.
    #[error("{location} is an HTML page, not a checksum file; does it need a login, or has it moved?")]
    Html { location: String },
    /// The file holds no checksum lines.
    #[error("{location} holds no checksum")]
    NoChecksums { location: String },
    /// The file holds checksums, but none for the name wanted.
    #[error("{location} has no checksum for `{wanted}`; it lists {listed}")]
    NotListed { location: String, wanted: String, listed: String },
    /// The file has two different checksums for one name.
    #[error("{location} has two different checksums for `{wanted}`")]
    Ambiguous { location: String, wanted: String },
}

/// A digest algorithm that a checksum may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    /// The name used before the colon, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes in a digest.
    pub const fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// A running digest.
    pub fn hasher(self) -> Box<dyn DynDigest + Send> {
        match self {
            Self::Md5 => Box::new(Md5::default()),
            Self::Sha1 => Box::new(Sha1::default()),
            Self::Sha256 => Box::new(Sha256::default()),
            Self::Sha512 => Box::new(Sha512::default()),
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "md5" => Some(Self::Md5),
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn by_hex_length(digits: usize) -> Option<Self> {
        [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|a| a.size() * 2 == digits)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest that content must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Checksum {
    /// How the digest is computed.
    pub algorithm: Algorithm,
    digest: Vec<u8>,
}

impl Checksum {
    /// A checksum of the given algorithm, from hex digits of either case.
    pub fn new(algorithm: Algorithm, digest: &str) -> Result<Self, ChecksumError> {
        let wrong = || ChecksumError::NotADigest { digest: shorten(digest), algorithm, expected: algorithm.size() * 2 };
        if digest.len() != algorithm.size() * 2 {
            return Err(wrong());
        }
        let digest = hex::decode(digest).map_err(|_| wrong())?;
        Ok(Self { algorithm, digest })
    }

    /// A checksum from hex digits alone, whose number tells the algorithm.
    pub fn from_hex(digest: &str) -> Result<Self, ChecksumError> {
        let algorithm =
            Algorithm::by_hex_length(digest.len()).ok_or_else(|| ChecksumError::UnknownLength(shorten(digest)))?;
        Self::new(algorithm, digest)
    }

    /// Whether `digest` is the one meant.
    pub fn matches(&self, digest: &[u8]) -> bool {
        self.digest == digest
    }

    /// The digest in lower-case hex.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.digest)
    }
}

/// `algorithm:hex`, the form Packer normalises to.
impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.to_hex())
    }
}

/// A checksum option as a template writes it (Packer's `iso_checksum`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChecksumSpec {
    /// `none`: the content is not checked.
    None,
    /// Hex digits, with or without `algorithm:` before them.
    Value(Checksum),
    /// `file:` and the URL or path of a checksum file.
    File(String),
}

impl ChecksumSpec {
    /// Reads `none`, `hex`, `algorithm:hex` or `file:URL_or_path`.
    pub fn parse(text: &str) -> Result<Self, ChecksumError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ChecksumError::Empty);
        }
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        let Some((kind, value)) = text.split_once(':') else {
            return Checksum::from_hex(text).map(Self::Value);
        };
        if kind.eq_ignore_ascii_case("file") {
            let value = value.trim();
            return if value.is_empty() { Err(ChecksumError::Empty) } else { Ok(Self::File(value.to_owned())) };
        }
        let algorithm = Algorithm::by_name(kind).ok_or_else(|| ChecksumError::UnknownType(shorten(kind)))?;
        Checksum::new(algorithm, value.trim()).map(Self::Value)
    }
}

/// Finds the checksum of the first of `names` that a checksum file lists.
///
/// Reads GNU lines (`hex  name`, `hex *name`, with `\` before an escaped name), BSD lines
/// (`SHA256 (name) = hex`), and a file of one digest alone. Lines of other shapes (comments, an OpenPGP
/// signature around the list) are passed over. `location` is only for errors.
pub fn find_in_sums(text: &str, names: &[&str], location: &str) -> Result<Checksum, ChecksumError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_html(text) {
        return Err(ChecksumError::Html { location: location.to_owned() });
    }
    let entries: Vec<(Option<String>, Checksum)> = text.lines().filter_map(parse_line).collect();
    if entries.is_empty() {
        return Err(ChecksumError::NoChecksums { location: location.to_owned() });
    }
    if let [(None, checksum)] = entries.as_slice() {
        return Ok(checksum.clone());
    }
    let wanted = names.first().copied().unwrap_or_default();
    for name in names {
        let found: Vec<&Checksum> = entries
            .iter()
            .filter(|(listed, _)| listed.as_deref().is_some_and(|l| same_name(l, name)))
            .map(|(_, c)| c)
            .collect();
        // A file may give one name in several algorithms: take the strongest.
        if let Some(best) = found.iter().max_by_key(|c| c.algorithm) {
            if found.iter().any(|c| c.algorithm == best.algorithm && c != best) {
                return Err(ChecksumError::Ambiguous { location: location.to_owned(), wanted: (*name).to_owned() });
            }
            return Ok((*best).clone());
        }
    }
    Err(ChecksumError::NotListed {
        location: location.to_owned(),
        wanted: wanted.to_owned(),
        listed: listed_names(&entries),
    })
}

fn parse_line(line: &str) -> Option<(Option<String>, Checksum)> {
    let line = line.trim_end_matches(['\r', ' ', '\t']).trim_start();
    if line.is_empty() || line.len() > MAX_LINE {
        return None;
    }
    parse_bsd(line).or_else(|| parse_gnu(line))
}

fn parse_gnu(line: &str) -> Option<(Option<String>, Checksum)> {
    let (line, escaped) = line.strip_prefix('\\').map_or((line, false), |rest| (rest, true));
    let Some((digest, name)) = line.split_once([' ', '\t']) else {
        return Checksum::from_hex(line).ok().map(|checksum| (None, checksum));
    };
    let checksum = Checksum::from_hex(digest).ok()?;
    let name = name.trim_start();
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = if escaped { name.replace("\\n", "\n").replace("\\\\", "\\") } else { name.to_owned() };
    Some((Some(name), checksum))
}

fn parse_bsd(line: &str) -> Option<(Option<String>, Checksum)> {
    let (head, digest) = line.rsplit_once('=')?;
    let (algorithm, name) = head.trim_end().strip_suffix(')')?.split_once('(')?;
    let algorithm = Algorithm::by_name(&algorithm.trim().replace('-', ""))?;
    let checksum = Checksum::new(algorithm, digest.trim()).ok()?;
    Some((Some(name.to_owned()), checksum))
}

/// `./name`, `dir/name` and `name` name the same file where only the last part is known.
fn same_name(listed: &str, wanted: &str) -> bool {
    let listed = listed.strip_prefix("./").unwrap_or(listed);
    listed == wanted || listed.rsplit('/').next() == Some(wanted)
}

fn is_html(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(64).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype")
        || start.starts_with("<html")
        || start.starts_with("<?xml")
        || start.starts_with("<head")
}

fn listed_names(entries: &[(Option<String>, Checksum)]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = entries.iter().filter_map(|(name, _)| name.as_deref()).collect();
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{}`", shorten(name))).collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        "digests without names".clone_into(&mut text);
    } else if names.len() > SHOWN {
        text = format!("{text} and {} more", names.len() - SHOWN);
    }
    text
}

fn shorten(text: &str) -> String {
    const MAX: usize = 140;
    if text.chars().count() <= MAX { text.to_owned() } else { text.chars().take(MAX).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests;
