//! Larder's certificate authority as seen from a guest: a certificate to be added, found and taken out again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A CA certificate and what identifies it.
#[derive(Clone, Debug)]
pub struct Authority {
    der: Vec<u8>,
    pem: String,
    spki: Vec<u8>,
    subject: Vec<u8>,
}

impl Authority {
    /// Reads the first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self> {
        let body = text
            .split_once(BEGIN)
            .and_then(|(_, rest)| rest.split_once(END))
            .map(|(body, _)| body.split_ascii_whitespace().collect::<String>())
            .ok_or_else(|| Error::new("the CA file holds no PEM certificate"))?;
        let der = STANDARD
            .decode(body)
            .map_err(|error| Error::new("the CA certificate is not valid base64").caused_by(error))?;
        Self::from_der(der)
    }

    /// Takes a certificate in DER.
    pub fn from_der(der: Vec<u8>) -> Result<Self> {
        let (subject, spki) = subject_and_key(&der).ok_or_else(|| Error::new("the CA is not an X.509 certificate"))?;
        let (subject, spki) = (subject.to_vec(), spki.to_vec());
        let pem = pem(&der);
        Ok(Self { der, pem, spki, subject })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// One PEM block in lines of 64, with a final newline.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// `larder-` and the first 8 hexadecimal digits of the SHA-256: the stem of its file names.
    pub fn name(&self) -> String {
        format!("larder-{}", &hex::encode(Sha256::digest(&self.der))[..8])
    }

    /// The name OpenSSL looks the certificate up by in a directory (`openssl x509 -subject_hash`);
    /// `None` for a subject with string types Larder does not make.
    pub fn subject_hash(&self) -> Option<String> {
        let digest = Sha1::digest(canonical_name(&self.subject)?);
        Some(format!("{:08x}", u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])))
    }
}

/// A certificate as a PEM block in lines of 64.
pub fn pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::with_capacity(body.len() + body.len() / 64 + 60);
    text.push_str(BEGIN);
    text.push('\n');
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(END);
    text.push('\n');
    text
}

/// Takes every block that holds the certificate `der` out of a PEM bundle, whatever its line length, with the line
/// end that follows. `None` if there is none.
pub fn without_certificate(bundle: &[u8], der: &[u8]) -> Option<Vec<u8>> {
    const MARK: &[u8] = b"-----BEGIN ";
    const CLOSE: &[u8] = b"-----END ";
    let mut kept = Vec::with_capacity(bundle.len());
    let mut rest = bundle;
    let mut removed = false;
    while let Some(start) = memchr::memmem::find(rest, MARK) {
        let Some(close) = memchr::memmem::find(&rest[start..], CLOSE).map(|at| start + at) else { break };
        let mut end = memchr::memchr(b'\n', &rest[close..]).map_or(rest.len(), |at| close + at + 1);
        let body_start = memchr::memchr(b'\n', &rest[start..]).map_or(end, |at| start + at + 1);
        let body: Vec<u8> =
            rest[body_start.min(close)..close].iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        // A "TRUSTED CERTIFICATE" has OpenSSL's trust settings after the certificate.
        if STANDARD.decode(&body).is_ok_and(|decoded| decoded.starts_with(der)) {
            kept.extend_from_slice(&rest[..start]);
            removed = true;
        } else {
            // A block cut off in the middle must not swallow the one after it.
            if let Some(next) = memchr::memmem::find(&rest[start + MARK.len()..close], MARK) {
                end = start + MARK.len() + next;
            }
            kept.extend_from_slice(&rest[..end]);
        }
        rest = &rest[end..];
    }
    kept.extend_from_slice(rest);
    removed.then_some(kept)
}

/// The DER certificates of a PEM bundle; what does not decode is left out.
pub fn certificates(bundle: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(bundle);
    let bodies = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    bodies.filter_map(|(body, _)| STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()).collect()
}

/// One DER element: tag, content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (bytes, tail) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        rest = tail;
    }
    let (content, tail) = rest.split_at_checked(length)?;
    Some((tag, content, tail))
}

/// RFC 5280, 4.1: version, serial, signature, issuer, validity, subject, key. Both with their headers.
fn subject_and_key(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    for _ in ["serial", "signature", "issuer", "validity"] {
        rest = element(rest)?.2;
    }
    let after_subject = element(rest)?.2;
    let after_key = element(after_subject)?.2;
    Some((&rest[..rest.len() - after_subject.len()], &after_subject[..after_subject.len() - after_key.len()]))
}

/// OpenSSL's canonical form of a name (`x509_name_canon`): strings as UTF-8 in lower case with runs of space made
/// one, the sets one after the other without the outer header.
fn canonical_name(name: &[u8]) -> Option<Vec<u8>> {
    let (_, mut sets, _) = element(name)?;
    let mut canonical = Vec::new();
    while !sets.is_empty() {
        let (_, mut attributes, next) = element(sets)?;
        let mut set = Vec::new();
        while !attributes.is_empty() {
            let (_, attribute, following) = element(attributes)?;
            let (oid_tag, oid, value) = element(attribute)?;
            let (tag, text, _) = element(value)?;
            // UTF8String, PrintableString, IA5String.
            if ![0x0c, 0x13, 0x16].contains(&tag) {
                return None;
            }
            let words: Vec<_> = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
            let text = words.join(&b' ').to_ascii_lowercase();
            set.extend(der(0x30, &[der(oid_tag, oid), der(0x0c, &text)].concat()));
            attributes = following;
        }
        canonical.extend(der(0x31, &set));
        sets = next;
    }
    Some(canonical)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    #[expect(clippy::cast_possible_truncation, reason = "each byte is masked by its place")]
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::process::Command;

    /// A new CA such as Larder makes, by OpenSSL.
    pub(crate) fn new_authority(canary: &str) -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args([
                "-keyout",
                "key.pem",
                "-out",
                "ca.pem",
                "-subj",
                &format!("/O=Larder  Test/OU={canary}/CN=Larder CA"),
            ])
            .current_dir(directory.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Authority::from_pem(&std::fs::read_to_string(directory.path().join("ca.pem")).unwrap()).unwrap()
    }

    #[test]
    fn hash_and_pem_are_those_of_openssl() {
        let ca = new_authority("Canary 1");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.der"), ca.der()).unwrap();
        let output = Command::new("openssl")
            .args(["x509", "-inform", "der", "-in", "ca.der", "-subject_hash", "-pubkey"])
            .current_dir(directory.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().find(|line| line.len() == 8), ca.subject_hash().as_deref());
        assert!(text.contains(ca.pem()));
        let key: String = STANDARD.encode(ca.spki());
        assert!(text.replace('\n', "").contains(&key));
    }

    #[test]
    fn only_our_block_leaves_a_bundle() {
        let [ours, one, two] = ["a", "b", "c"].map(new_authority);
        let wide = format!("{BEGIN}\r\n{}\r\n{END}\r\n", STANDARD.encode(ours.der()));
        let bundle = format!("# head\n{}{}{wide}\n# tail\n{}", one.pem(), ours.pem(), two.pem());
        let clean = format!("# head\n{}\n# tail\n{}", one.pem(), two.pem());
        assert_eq!(without_certificate(bundle.as_bytes(), ours.der()).unwrap(), clean.as_bytes());
        assert!(without_certificate(clean.as_bytes(), ours.der()).is_none());
        let torn = format!("{BEGIN}\nMIIB\n{}", ours.pem());
        assert_eq!(without_certificate(torn.as_bytes(), ours.der()).unwrap(), format!("{BEGIN}\nMIIB\n").as_bytes());
        assert_eq!(certificates(bundle.as_bytes()).len(), 4);
    }

    #[test]
    fn rubbish_is_no_certificate() {
        assert!(Authority::from_pem("nothing").is_err());
        assert!(Authority::from_der(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(Authority::from_der(new_authority("x").der()[..80].to_vec()).is_err());
    }
}
