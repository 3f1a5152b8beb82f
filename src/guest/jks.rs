//! Java's own key store format (JKS, version 2): enough to add and remove one trusted certificate.
//!
//! Layout, as the JDK's `JavaKeyStore` writes it: magic, version, count, entries, and a SHA-1 over the password (as
//! UTF-16), the words "Mighty Aphrodite" and all before it.

use sha1::{Digest, Sha1};

/// The password of every distribution's `cacerts`.
pub const PASSWORD: &str = "changeit";
const MAGIC: u32 = 0xfeed_feed;
const TRUSTED: u32 = 2;

/// Why a key store cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JksError {
    /// Not a JKS of version 2, or cut short.
    #[error("not a well-formed JKS key store")]
    Malformed,
    /// The digest does not fit the usual password, so none can be made.
    #[error("the key store has a password other than \"changeit\"")]
    Password,
}

/// A key store as a list of entries, each kept byte for byte.
#[derive(Clone, Debug)]
pub struct KeyStore {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    bytes: Vec<u8>,
    /// The certificate, for a trusted one.
    trusted: Option<Vec<u8>>,
}

/// Whether the content is to be taken for a JKS.
pub fn is_jks(content: &[u8]) -> bool {
    content.starts_with(&MAGIC.to_be_bytes())
}

impl KeyStore {
    /// An empty key store.
    pub fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Reads a key store and checks its digest.
    pub fn parse(content: &[u8]) -> Result<Self, JksError> {
        let (body, seal) = content.len().checked_sub(20).map(|at| content.split_at(at)).ok_or(JksError::Malformed)?;
        let mut reader = Reader { rest: body };
        if reader.number()? != MAGIC || reader.number()? != 2 {
            return Err(JksError::Malformed);
        }
        let count = reader.number()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(reader.entry()?);
        }
        if !reader.rest.is_empty() {
            return Err(JksError::Malformed);
        }
        if digest(body)[..] != *seal {
            return Err(JksError::Password);
        }
        Ok(Self { entries })
    }

    /// Adds a trusted certificate. `milliseconds` since 1970 is its date.
    pub fn add(&mut self, alias: &str, certificate: &[u8], milliseconds: u64) {
        let mut bytes = TRUSTED.to_be_bytes().to_vec();
        push_text(&mut bytes, alias);
        bytes.extend(milliseconds.to_be_bytes());
        push_text(&mut bytes, "X.509");
        bytes.extend(u32::try_from(certificate.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(certificate);
        self.entries.push(Entry { bytes, trusted: Some(certificate.to_vec()) });
    }

    /// Removes the entries that trust exactly this certificate; tells whether there were any.
    pub fn remove(&mut self, certificate: &[u8]) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.trusted.as_deref() != Some(certificate));
        self.entries.len() != before
    }

    /// Makes no entry later than `milliseconds` since 1970; tells whether one was.
    pub fn clamp_dates(&mut self, milliseconds: u64) -> bool {
        let mut changed = false;
        for entry in &mut self.entries {
            // Behind the tag and the alias, which `parse` has found to be there.
            let alias = entry.bytes.get(4..6).and_then(|length| length.try_into().ok()).map_or(0, u16::from_be_bytes);
            let at = 6 + usize::from(alias);
            let Some(date) = entry.bytes.get_mut(at..at + 8) else { continue };
            if u64::from_be_bytes((&*date).try_into().unwrap_or_default()) > milliseconds {
                date.copy_from_slice(&milliseconds.to_be_bytes());
                changed = true;
            }
        }
        changed
    }

    /// The trusted certificates in DER, sorted.
    pub fn certificates(&self) -> Vec<&[u8]> {
        let mut certificates: Vec<_> = self.entries.iter().filter_map(|entry| entry.trusted.as_deref()).collect();
        certificates.sort_unstable();
        certificates
    }

    /// The key store as a file, with its digest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.extend(2_u32.to_be_bytes());
        bytes.extend(u32::try_from(self.entries.len()).unwrap_or(u32::MAX).to_be_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.bytes);
        }
        let seal = digest(&bytes);
        bytes.extend(seal);
        bytes
    }
}

impl Default for KeyStore {
    fn default() -> Self {
        Self::new()
    }
}

/// A trust store with every certificate of a PEM bundle, dated `milliseconds`.
pub fn from_bundle(bundle: &[u8], milliseconds: u64) -> Vec<u8> {
    let mut store = KeyStore::new();
    for (index, certificate) in super::authority::certificates(bundle).iter().enumerate() {
        store.add(&format!("ca-{index}"), certificate, milliseconds);
    }
    store.to_bytes()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], JksError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(JksError::Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    fn number(&mut self) -> Result<u32, JksError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<&'a [u8], JksError> {
        let bytes = self.take(2)?;
        self.take(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }

    fn block(&mut self) -> Result<&'a [u8], JksError> {
        let length = self.number()? as usize;
        self.take(length)
    }

    fn entry(&mut self) -> Result<Entry, JksError> {
        let start = self.rest;
        let tag = self.number()?;
        self.text()?;
        self.take(8)?;
        let mut trusted = None;
        match tag {
            1 => {
                self.block()?;
                for _ in 0..self.number()? {
                    self.text()?;
                    self.block()?;
                }
            }
            TRUSTED => {
                self.text()?;
                trusted = Some(self.block()?.to_vec());
            }
            _ => return Err(JksError::Malformed),
        }
        let bytes = start[..start.len() - self.rest.len()].to_vec();
        Ok(Entry { bytes, trusted })
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    // Aliases here are ASCII, for which Java's modified UTF-8 is plain.
    bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn digest(body: &[u8]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        hash.update(unit.to_be_bytes());
    }
    hash.update(b"Mighty Aphrodite");
    hash.update(body);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::super::authority::tests::new_authority;
    use super::*;
    use std::process::Command;

    #[test]
    fn an_entry_comes_and_goes() {
        let [ours, other] = ["a", "b"].map(new_authority);
        let mut store = KeyStore::new();
        store.add("debian:other.pem", other.der(), 1);
        let before = store.to_bytes();
        let mut store = KeyStore::parse(&before).unwrap();
        store.add("debian:larder.pem", ours.der(), 2);
        let mut again = KeyStore::parse(&store.to_bytes()).unwrap();
        assert!(again.remove(ours.der()) && !again.remove(ours.der()));
        assert_eq!(again.to_bytes(), before);
    }

    #[test]
    fn keytool_reads_what_we_write() {
        let ours = new_authority("a");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.jks");
        std::fs::write(&path, from_bundle(ours.pem().as_bytes(), 1_700_000_000_000)).unwrap();
        let keytool = |arguments: &[&str]| {
            Command::new("keytool").args(arguments).args(["-storepass", PASSWORD, "-keystore"]).arg(&path).output()
        };
        let Ok(listed) = keytool(&["-list"]) else {
            eprintln!("skipped: no keytool");
            return;
        };
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.status.success() && text.contains("ca-0") && text.contains("trustedCertEntry"), "{text}");
        // And we read what keytool wrote: a key with its chain beside ours.
        let made = keytool(&["-genkeypair", "-alias", "k", "-keyalg", "EC", "-dname", "CN=x", "-deststoretype", "JKS"])
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let content = std::fs::read(&path).unwrap();
        let mut store = KeyStore::parse(&content).unwrap();
        assert_eq!(store.to_bytes(), content);
        assert!(store.remove(ours.der()));
        std::fs::write(&path, store.to_bytes()).unwrap();
        let text = String::from_utf8_lossy(&keytool(&["-list"]).unwrap().stdout).into_owned();
        assert!(!text.contains("ca-0") && text.contains("PrivateKeyEntry"), "{text}");
    }

    #[test]
    fn damage_is_told() {
        let mut bytes = from_bundle(new_authority("a").pem().as_bytes(), 1);
        assert_eq!(KeyStore::parse(&bytes[..40]).unwrap_err(), JksError::Malformed);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(KeyStore::parse(&bytes).unwrap_err(), JksError::Password);
        assert_eq!(KeyStore::parse(&[0xfe, 0xed, 0xfe, 0xed]).unwrap_err(), JksError::Malformed);
        let mut many = MAGIC.to_be_bytes().to_vec();
        many.extend([0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff]);
        many.extend([0; 20]);
        assert_eq!(KeyStore::parse(&many).unwrap_err(), JksError::Malformed);
    }
}
