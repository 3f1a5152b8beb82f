//! Who made a bundle: detached signatures in minisign's form, checked against public keys that the user trusts.
//! <https://jedisct1.github.io/minisign/>
//!
//! A signature says who, and nothing of how new: an older bundle is still signed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature, StreamVerifier};

use crate::error::{Context as _, Error, Result};
use crate::output::text::printable;

/// What the name of a signature ends with.
pub const SUFFIX: &str = ".minisig";
/// Most bytes of a file of keys, or of a signature.
const LONGEST: u64 = 64 * 1024;
/// Most bytes that are held in memory for a signature of the older form, which is over the content itself.
pub(super) const LEGACY: usize = 64 << 20;

/// Names a key, as `minisign` shows it: without leading zeros. It is no digest of the key: whoever makes a key can choose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(u64);

impl KeyId {
    /// From a key or signature: two bytes for the algorithm, then the eight of the name.
    fn of(line: &str) -> Option<Self> {
        let bytes = STANDARD.decode(line.trim()).ok()?;
        Some(Self(u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?)))
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:X}", self.0)
    }
}

/// A public key that bundles may be signed with.
#[derive(Clone, Debug)]
struct Key {
    id: KeyId,
    key: PublicKey,
}

/// Whether a text is a public key itself, and not the name of a file.
pub fn is_key(text: &str) -> bool {
    key(text).is_some()
}

fn key(text: &str) -> Option<Key> {
    Some(Key { id: KeyId::of(text)?, key: PublicKey::from_base64(text.trim()).ok()? })
}

/// The public keys that are accepted, and where the signature is. Any one of the keys will do.
#[derive(Clone, Debug)]
pub struct Trusted {
    keys: Vec<Key>,
    place: Option<PathBuf>,
}

impl Trusted {
    /// From keys, or files of them. `place` is the signature's, where it does not lie beside what it signs.
    ///
    /// # Errors
    /// Where one is no key and no file of keys; and where there is none.
    pub fn of(keys: &[String], place: Option<PathBuf>) -> Result<Self> {
        let mut all = Vec::new();
        for text in keys {
            match key(text) {
                Some(key) => all.push(key),
                None => all.extend(of_file(Path::new(text))?),
            }
        }
        if all.is_empty() {
            return Err(Error::new("there is no public key to check a signature against"));
        }
        Ok(Self { keys: all, place })
    }

    /// Begins to check what `signed` holds. Reads the signature.
    pub(super) fn begin(&self, signed: &Path) -> Result<Check<'_>, SignatureError> {
        let path = self.place.clone().unwrap_or_else(|| beside(signed));
        let text = read(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SignatureError::Missing { path: path.clone(), signed: signed.to_owned() },
            _ => SignatureError::Unreadable { path: path.clone(), source },
        })?;
        let damaged = || SignatureError::Damaged { path: path.clone() };
        let signature = Signature::decode(&text).map_err(|_| damaged())?;
        let id = text.lines().nth(1).and_then(KeyId::of).ok_or_else(damaged)?;
        let keys: Vec<&Key> = self.keys.iter().filter(|key| key.id == id).collect();
        if keys.is_empty() {
            let accepted = self.keys.iter().map(|key| key.id.to_string()).collect::<Vec<_>>().join(", ");
            return Err(SignatureError::OtherKey { path, found: id, accepted });
        }
        Ok(Check { keys, signature, id, path, signed: signed.to_owned() })
    }
}

fn of_file(path: &Path) -> Result<Vec<Key>> {
    let text = read(path).context(|| format!("cannot read the public key in {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("untrusted comment:"));
    let keys: Option<Vec<Key>> = lines.map(key).collect();
    keys.filter(|keys| !keys.is_empty()).ok_or_else(|| {
        Error::new(format!("{} is not a public key of minisign", path.display()))
            .hint("it is the file that `minisign -G` wrote beside the secret key, by default minisign.pub")
    })
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Where the signature of a file is looked for.
pub fn beside(signed: &Path) -> PathBuf {
    let mut name = signed.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// A signature that is about to be checked.
pub(super) struct Check<'a> {
    /// Those of the signature's name: mostly one.
    keys: Vec<&'a Key>,
    signature: Signature,
    id: KeyId,
    path: PathBuf,
    signed: PathBuf,
}

impl Check<'_> {
    /// To be given the signed content piece by piece.
    pub(super) fn stream(&self) -> Checking<'_> {
        let verifiers = self.keys.iter().map(|key| key.key.verify_stream(&self.signature));
        // Only those of the older form cannot be streamed.
        let streams: Option<Vec<_>> = verifiers.map(std::result::Result::ok).collect();
        Checking { check: self, held: streams.map_or_else(|| Held::Whole(Vec::new()), Held::Streams) }
    }

    /// Checks content that is in memory.
    pub(super) fn content(&self, content: &[u8]) -> Result<Signer, SignatureError> {
        self.told(self.keys.iter().any(|key| key.key.verify(content, &self.signature, true).is_ok()))
    }

    fn told(&self, holds: bool) -> Result<Signer, SignatureError> {
        let comment = printable(self.signature.trusted_comment());
        if holds {
            return Ok(Signer { key: self.id, comment });
        }
        Err(SignatureError::Wrong { path: self.path.clone(), signed: self.signed.clone(), comment })
    }
}

/// A signature that is being checked.
pub(super) struct Checking<'a> {
    check: &'a Check<'a>,
    held: Held<'a>,
}

enum Held<'a> {
    Streams(Vec<StreamVerifier<'a>>),
    Whole(Vec<u8>),
}

impl Checking<'_> {
    /// Takes more of the signed content.
    pub(super) fn update(&mut self, bytes: &[u8]) -> Result<(), SignatureError> {
        match &mut self.held {
            Held::Streams(streams) => streams.iter_mut().for_each(|stream| stream.update(bytes)),
            Held::Whole(content) if content.len() + bytes.len() > LEGACY => {
                return Err(SignatureError::Legacy { path: self.check.path.clone() });
            }
            Held::Whole(content) => content.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Whose signature it is, once all of the content has been taken.
    pub(super) fn finish(self) -> Result<Signer, SignatureError> {
        match self.held {
            Held::Streams(mut streams) => self.check.told(streams.iter_mut().any(|stream| stream.finalize().is_ok())),
            Held::Whole(content) => self.check.content(&content),
        }
    }
}

/// Who signed a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The name of the key.
    pub key: KeyId,
    /// What the signer said with it: by default time and name of the file. It is signed, too.
    pub comment: String,
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {}, {}", self.key, self.comment.replace('\t', " "))
    }
}

/// Why a bundle is not taken for signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("it has to be signed, and there is no signature {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What it should sign.
        signed: PathBuf,
    },
    /// It could not be read.
    #[error("cannot read the signature {}: {source}", path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is none.
    #[error("{} is not a signature of minisign, or is damaged", path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
    },
    /// It is that of a key nobody said to accept.
    #[error("{} is a signature of the key {found}, and accepted are only those of {accepted}", path.display())]
    OtherKey {
        /// Where it is.
        path: PathBuf,
        /// The key it is of.
        found: KeyId,
        /// Those it could be of.
        accepted: String,
    },
    /// It is not over this content, or its comment is not the signer's.
    #[error(
        "{} is not valid for {}: one of them was changed, or belongs to another (what it says of itself, unproven: {comment:?})",
        path.display(),
        signed.display()
    )]
    Wrong {
        /// Where it is.
        path: PathBuf,
        /// What it should sign.
        signed: PathBuf,
        /// What it says of itself.
        comment: String,
    },
    /// It is over the content itself, and that is too much to hold.
    #[error("{} is a signature of the older form, which holds no digest, and the file is larger than {} MiB", path.display(), LEGACY >> 20)]
    Legacy {
        /// Where it is.
        path: PathBuf,
    },
    /// What was read after the check is not what was checked.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// What changed.
        path: PathBuf,
    },
    /// It cannot be read twice.
    #[error("{} is no plain file, and what is signed is read twice", path.display())]
    NoFile {
        /// What it is not.
        path: PathBuf,
    },
}

impl SignatureError {
    /// What the user can do next.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Missing { signed, .. } => format!(
                "copy it from where the bundle comes from, or name it by --signature; who made the bundle makes it by `minisign -Sm {}`",
                signed.file_name().unwrap_or_default().display()
            ),
            Self::Unreadable { .. } | Self::Damaged { .. } => "copy the signature again".to_owned(),
            Self::OtherKey { found, .. } => format!(
                "if {found} is a key of somebody you trust, get its public key from them, and give it by --public-key or in bundle.public_keys"
            ),
            Self::Wrong { .. } => {
                "copy both again; if that does not help, ask who made the bundle whether it is theirs".to_owned()
            }
            Self::Legacy { .. } => "sign it again by `minisign -SHm FILE`, without -l".to_owned(),
            Self::Changed { .. } => "see that nobody writes to it, and try again".to_owned(),
            Self::NoFile { .. } => "write it to a file first".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_as_minisign_names_them() {
        let line = STANDARD.encode(b"Ed\x32\x20\x75\x54\xf7\xdb\x0c\x00");
        assert_eq!(KeyId::of(&line).expect("a name").to_string(), "CDBF754752032");
    }
}
