//! Which OpenPGP signatures of an archive count. rPGP computes; the policy is stated here.
//!
//! A signature counts when
//! - it was made with SHA-2 or SHA-3 over a document (binary or text), not in the future, and has not expired;
//! - its issuer is a primary key of the keyring, or a subkey bound to one by a valid signature with a signature back;
//! - that key may sign, has not expired, and neither it nor its primary key has been revoked;
//! - and it verifies.
//!
//! Certifications by third parties, which keyrings are full of, play no part.

use std::fmt;

use jiff::Timestamp;
use pgp::composed::{
    CleartextSignedMessage, Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails as _, KeyId, Tag};

use super::spec::Keyring;
use crate::error::{Error, Result};

/// How far ahead of the clock a signature may have been made, as apt allows by default.
const CLOCK_SKEW_SECONDS: i64 = 10;
const ARMOUR_START: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// The certificates of all keyrings.
pub(super) struct Certificates {
    keys: Vec<SignedPublicKey>,
    /// Where they came from, for messages.
    origins: String,
}

/// A good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    /// Fingerprint of the key that signed, in upper-case hex.
    pub(super) fingerprint: String,
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    UnknownKey,
    WeakDigest(String),
    NotOfDocument,
    NoDate,
    Future { seconds: i64 },
    Expired,
    KeyExpired(Timestamp),
    KeyRevoked,
    NotBound,
    MayNotSign,
    Wrong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str("the keyring does not hold this key"),
            Self::WeakDigest(digest) => write!(f, "it rests on {digest}, which is not accepted any more"),
            Self::NotOfDocument => f.write_str("it is no signature of a document"),
            Self::NoDate => f.write_str("it does not say when it was made"),
            Self::Future { seconds } => write!(f, "it was made {seconds} s in the future; is the clock right?"),
            Self::Expired => f.write_str("it has expired"),
            Self::KeyExpired(when) => write!(f, "the key expired on {}", when.strftime("%Y-%m-%d")),
            Self::KeyRevoked => f.write_str("the key has been revoked"),
            Self::NotBound => f.write_str("the key is not bound to its certificate by a valid signature"),
            Self::MayNotSign => f.write_str("the key is not meant for signing"),
            Self::Wrong => f.write_str("it does not match: the content or the signature has been altered"),
        }
    }
}

impl Certificates {
    /// Reads keyrings, armoured or not. Certificates that cannot be read are left out; none at all is an error.
    pub(super) fn read(keyrings: &[Keyring]) -> Result<Self> {
        let keys: Vec<SignedPublicKey> =
            keyrings.iter().flat_map(|keyring| read_certificates(&keyring.bytes)).collect();
        let origins = keyrings.iter().map(|keyring| keyring.origin.as_str()).collect::<Vec<_>>().join(", ");
        if keys.is_empty() {
            return Err(Error::new(format!("no OpenPGP certificate can be read from {origins}"))
                .hint("set `keyring` to a file of OpenPGP certificates, as `gpg --export` writes it"));
        }
        Ok(Self { keys, origins })
    }

    /// Checks a clear-signed document and returns what was signed, and nothing around it.
    pub(super) fn verify_clearsigned(
        &self,
        document: &[u8],
        what: &str,
        now: Timestamp,
    ) -> Result<(String, Vec<Signer>)> {
        let (message, _) = CleartextSignedMessage::from_armor(document).map_err(|error| {
            Error::new(format!("{what} is no document with an OpenPGP signature")).caused_by(error).hint(NOT_AN_ARCHIVE)
        })?;
        let text = message.signed_text();
        let signers = self.verify_any(message.signatures(), text.as_bytes(), what, now)?;
        // The signature is over CR LF; parsers downstream want LF.
        Ok((text.replace("\r\n", "\n"), signers))
    }

    /// Checks a document against signatures kept apart from it.
    pub(super) fn verify_detached(
        &self,
        document: &[u8],
        signatures: &[u8],
        what: &str,
        now: Timestamp,
    ) -> Result<Vec<Signer>> {
        let (found, _) = DetachedSignature::from_reader_many(signatures).map_err(|error| {
            Error::new(format!("the signature of {what} cannot be read")).caused_by(error).hint(NOT_AN_ARCHIVE)
        })?;
        let found: Vec<Signature> = found.filter_map(|detached| detached.ok().map(|d| d.signature)).collect();
        self.verify_any(&found, document, what, now)
    }

    /// At least one signature must count; the others may be by keys that are newer than the keyring.
    fn verify_any(&self, signatures: &[Signature], text: &[u8], what: &str, now: Timestamp) -> Result<Vec<Signer>> {
        let mut good = Vec::new();
        let mut refused = Vec::new();
        for signature in signatures {
            match self.verify_one(signature, text, now) {
                Ok(signer) => good.push(signer),
                Err(refusal) => refused.push((issuer(signature), refusal)),
            }
        }
        if !good.is_empty() {
            return Ok(good);
        }
        Err(self.refuse(what, &refused))
    }

    fn refuse(&self, what: &str, refused: &[(String, Refusal)]) -> Error {
        let why =
            refused.iter().map(|(key, refusal)| format!("by key {key}: {refusal}")).collect::<Vec<_>>().join("; ");
        let why = if why.is_empty() { "it has none".to_owned() } else { why };
        let error = Error::new(format!("no signature of {what} can be relied on ({why}); keyring: {}", self.origins));
        if refused.iter().all(|(_, refusal)| *refusal == Refusal::UnknownKey) {
            error.hint("set `keyring` to a file that holds the archive's key, or update the host's keyring package")
        } else if refused.iter().any(|(_, refusal)| *refusal == Refusal::Wrong) {
            error.hint("the mirror may be in the middle of an update: try again, then try another mirror")
        } else {
            error.hint("update the host's keyring package, or check the host's clock")
        }
    }

    fn verify_one(&self, signature: &Signature, text: &[u8], now: Timestamp) -> Result<Signer, Refusal> {
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err(Refusal::NotOfDocument);
        }
        check_signature(signature, now)?;
        let mut refusal = Refusal::UnknownKey;
        for key in &self.keys {
            if is_issuer(signature, &key.primary_key) {
                match check_primary(key, now, true).and_then(|()| verify(signature, &key.primary_key, text)) {
                    Ok(signer) => return Ok(signer),
                    Err(why) => refusal = why,
                }
            }
            for subkey in key.public_subkeys.iter().filter(|subkey| is_issuer(signature, &subkey.key)) {
                let usable = check_primary(key, now, false).and_then(|()| check_subkey(key, subkey, now));
                match usable.and_then(|()| verify(signature, &subkey.key, text)) {
                    Ok(signer) => return Ok(signer),
                    Err(why) => refusal = why,
                }
            }
        }
        Err(refusal)
    }
}

const NOT_AN_ARCHIVE: &str =
    "check that `mirror` is the URL of a Debian archive, and that no portal answers in its place";

fn read_certificates(bytes: &[u8]) -> Vec<SignedPublicKey> {
    // A file may hold several armoured blocks one after another; rPGP reads one.
    let starts: Vec<usize> =
        bytes.windows(ARMOUR_START.len()).enumerate().filter(|(_, w)| *w == ARMOUR_START).map(|(i, _)| i).collect();
    if starts.is_empty() {
        return SignedPublicKey::from_bytes_many(&*without_trust(bytes))
            .map(|keys| keys.filter_map(Result::ok).collect())
            .unwrap_or_default();
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let blocks = starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]);
    blocks
        .flat_map(|block| {
            let keys = SignedPublicKey::from_armor_many(block);
            keys.map(|(keys, _)| keys.filter_map(Result::ok).collect::<Vec<_>>()).unwrap_or_default()
        })
        .collect()
}

/// A keyring without its trust packets (RFC 9580, 5.10), which are GnuPG's own notes between the parts of a certificate:
/// Ubuntu's keyring has them, and rPGP takes the certificate to end at the first.
fn without_trust(keyring: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(keyring.len());
    let mut rest = keyring;
    while let Some((tag, length)) = packet(rest) {
        let (packet, after) = rest.split_at(length);
        if tag != Tag::Trust {
            kept.extend_from_slice(packet);
        }
        rest = after;
    }
    // What is no packet is for the reader of certificates to refuse.
    kept.extend_from_slice(rest);
    kept
}

/// Tag and whole length of the packet that the bytes begin with (RFC 9580, 4.2), unless it is cut off or of no length
/// stated beforehand.
fn packet(bytes: &[u8]) -> Option<(Tag, usize)> {
    let first = *bytes.first()?;
    let number = |from: usize, count: usize| {
        let digits = bytes.get(from..from + count)?;
        Some(digits.iter().fold(0_usize, |number, digit| number << 8 | usize::from(*digit)))
    };
    let (tag, header, body) = match first {
        0xc0.. => match number(1, 1)? {
            length @ 0..=191 => (first & 0x3f, 2, length),
            high @ 192..=223 => (first & 0x3f, 3, ((high - 192) << 8) + number(2, 1)? + 192),
            255 => (first & 0x3f, 6, number(2, 4)?),
            _ => return None,
        },
        0x80.. if first & 3 < 3 => (first >> 2 & 0x0f, 1 + (1 << (first & 3)), number(1, 1 << (first & 3))?),
        _ => return None,
    };
    let length = header + body;
    (length <= bytes.len()).then(|| (Tag::from(tag), length))
}

fn is_issuer(signature: &Signature, key: &impl pgp::types::KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        signature.issuer_key_id().iter().any(|id| **id == key.legacy_key_id())
    } else {
        fingerprints.iter().any(|fingerprint| **fingerprint == key.fingerprint())
    }
}

/// The issuer a signature claims, for messages.
fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|f| format!("{f:X}"));
    let id = || signature.issuer_key_id().first().map(|id: &&KeyId| id.to_string().to_uppercase());
    fingerprint.or_else(id).unwrap_or_else(|| "unknown".to_owned())
}

fn verify<K>(signature: &Signature, key: &K, text: &[u8]) -> Result<Signer, Refusal>
where
    K: pgp::types::VerifyingKey,
{
    signature.verify(key, text).map_err(|_| Refusal::Wrong)?;
    Ok(Signer { fingerprint: format!("{:X}", key.fingerprint()) })
}

/// What holds for every signature relied on, of documents and of keys alike.
fn check_signature(signature: &Signature, now: Timestamp) -> Result<(), Refusal> {
    match signature.hash_alg() {
        Some(
            HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512,
        ) => {}
        Some(weak) => return Err(Refusal::WeakDigest(weak.to_string())),
        None => return Err(Refusal::NotOfDocument),
    }
    let created = i64::from(signature.created().ok_or(Refusal::NoDate)?.as_secs());
    if created > now.as_second() + CLOCK_SKEW_SECONDS {
        return Err(Refusal::Future { seconds: created - now.as_second() });
    }
    match signature.signature_expiration_time().map(|d| i64::from(d.as_secs())) {
        Some(lifetime) if lifetime > 0 && created + lifetime <= now.as_second() => Err(Refusal::Expired),
        _ => Ok(()),
    }
}

/// Whether the primary key may be relied on: for itself when `to_sign`, or to vouch for a subkey.
fn check_primary(key: &SignedPublicKey, now: Timestamp, to_sign: bool) -> Result<(), Refusal> {
    let primary = &key.primary_key;
    let is_revocation = |s: &&Signature| s.typ() == Some(SignatureType::KeyRevocation);
    if key.details.revocation_signatures.iter().filter(is_revocation).any(|s| s.verify_key(primary).is_ok()) {
        return Err(Refusal::KeyRevoked);
    }
    let direct = key.details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
    let of_users = key.details.users.iter().flat_map(|user| {
        // A name whose own certification has been revoked says nothing about the key any more.
        let own = |s: &&Signature| s.verify_certification(primary, Tag::UserId, &user.id).is_ok();
        let revoked = user.signatures.iter().filter(own).any(|s| s.typ() == Some(SignatureType::CertRevocation));
        user.signatures.iter().filter(move |s| !revoked && s.is_certification()).filter(own)
    });
    let latest = newest(direct.chain(of_users), now).ok_or(Refusal::NotBound)?;
    check_key_expiry(i64::from(primary.created_at().as_secs()), latest, now)?;
    if to_sign && !may_sign(latest, true) {
        return Err(Refusal::MayNotSign);
    }
    Ok(())
}

fn check_subkey(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: Timestamp) -> Result<(), Refusal> {
    let of_kind = |kind: SignatureType| {
        let own = move |s: &&Signature| {
            s.typ() == Some(kind) && s.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok()
        };
        subkey.signatures.iter().filter(own)
    };
    if of_kind(SignatureType::SubkeyRevocation).next().is_some() {
        return Err(Refusal::KeyRevoked);
    }
    let binding = newest(of_kind(SignatureType::SubkeyBinding), now).ok_or(Refusal::NotBound)?;
    check_key_expiry(i64::from(subkey.key.created_at().as_secs()), binding, now)?;
    if !may_sign(binding, false) {
        return Err(Refusal::MayNotSign);
    }
    // Without the subkey's signature back, anyone could adopt a foreign subkey as their own.
    let back = binding.embedded_signature().ok_or(Refusal::NotBound)?;
    check_signature(back, now).map_err(|_| Refusal::NotBound)?;
    back.verify_primary_key_binding(&subkey.key, &key.primary_key).map_err(|_| Refusal::NotBound)
}

/// The latest of the signatures that may be relied on.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: Timestamp) -> Option<&'a Signature> {
    let usable = signatures.filter(|signature| check_signature(signature, now).is_ok());
    usable.max_by_key(|signature| signature.created().map(pgp::types::Timestamp::as_secs))
}

fn check_key_expiry(created: i64, binding: &Signature, now: Timestamp) -> Result<(), Refusal> {
    match binding.key_expiration_time().map(|lifetime| i64::from(lifetime.as_secs())) {
        Some(lifetime) if lifetime > 0 && created + lifetime <= now.as_second() => {
            Err(Refusal::KeyExpired(Timestamp::from_second(created + lifetime).unwrap_or(Timestamp::MAX)))
        }
        _ => Ok(()),
    }
}

/// Whether the key flags allow to sign; `unless_said` is the answer where there are none.
fn may_sign(binding: &Signature, unless_said: bool) -> bool {
    let Some(config) = binding.config() else { return false };
    let said = config.hashed_subpackets().any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)));
    if said { binding.key_flags().sign() } else { unless_said }
}

#[cfg(test)]
mod tests;
