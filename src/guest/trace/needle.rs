//! What to look for, in every form it may have taken.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::super::authority::Authority;
use super::Kind;
use crate::error::{Error, Result};

/// Base64 characters looked for in one piece, and the distance of their starts. Any line of 20 characters or more
/// within the encoded key then holds one whole: 96 random bits.
const PIECE: usize = 16;
const STEP: usize = 4;

/// What the image must not hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look<'a> {
    /// The CA.
    pub authority: Option<&'a Authority>,
    /// Words of the CA's subject found nowhere else.
    pub canaries: &'a [String],
    /// The proxy's addresses: `host:port`, URLs.
    pub addresses: &'a [String],
    /// Tokens and passwords of the build, of 8 bytes and more.
    pub secrets: &'a [String],
    /// Paths of the build, such as `/run/larder/`.
    pub paths: &'a [String],
}

/// All the forms, ready to be searched for.
#[derive(Debug)]
pub struct Needles {
    search: AhoCorasick,
    kinds: Vec<Kind>,
    longest: usize,
}

impl Needles {
    /// Works out the forms. Fails for one too short to be told from chance.
    pub fn new(look: &Look<'_>) -> Result<Self> {
        let mut forms = Forms::default();
        if let Some(authority) = look.authority {
            forms.authority(authority);
        }
        let texts = [
            (Kind::Canary, look.canaries),
            (Kind::Address, look.addresses),
            (Kind::Secret, look.secrets),
            (Kind::Path, look.paths),
        ];
        for (kind, texts) in texts {
            for text in texts {
                if text.len() < 8 {
                    return Err(Error::new("a text of fewer than 8 characters cannot be looked for in an image"));
                }
                forms.text(kind, text);
            }
        }
        let longest = forms.patterns.iter().map(|(_, pattern)| pattern.len()).max().unwrap_or(0);
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(forms.patterns.iter().map(|(_, pattern)| pattern))
            .map_err(|error| Error::new("cannot prepare the scan for traces").caused_by(error))?;
        Ok(Self { search, kinds: forms.patterns.into_iter().map(|(kind, _)| kind).collect(), longest })
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Every trace in `bytes` with its offset.
    pub(super) fn find_all(&self, bytes: &[u8]) -> impl Iterator<Item = (Kind, usize)> {
        self.search
            .find_iter(bytes)
            .map(|found| (self.kinds[found.pattern().as_usize()], found.start(), found.end()))
            .filter(|&(kind, start, end)| kind != Kind::Address || stands_alone(bytes, start, end))
            .map(|(kind, start, _)| (kind, start))
    }
}

/// Whether an address is not part of a longer number: `10.0.0.1:80` in `110.0.0.1:8080` is another one.
fn stands_alone(bytes: &[u8], start: usize, end: usize) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let starts = digit(bytes.get(start)) && start.checked_sub(1).is_some_and(|before| digit(bytes.get(before)));
    let ends = digit(bytes.get(end - 1)) && digit(bytes.get(end));
    !starts && !ends
}

#[derive(Default)]
struct Forms {
    patterns: Vec<(Kind, Vec<u8>)>,
}

impl Forms {
    fn authority(&mut self, authority: &Authority) {
        // The end of the key: random for EC and RSA alike, and in every certificate and store that has it.
        let key = &authority.spki()[authority.spki().len().saturating_sub(64)..];
        self.patterns.push((Kind::Certificate, key.to_vec()));
        for pieces in encodings(key).iter().flat_map(|text| pieces(text)) {
            self.patterns.push((Kind::CertificateBase64, pieces.to_vec()));
            self.patterns.push((Kind::CertificateBase64, wide(pieces)));
        }
        // PEM's lines are fixed, so the encoding of a PEM text is too. Only the part that encodes the key is looked
        // for: the rest (the names of algorithms, the validity) is much the same in every certificate.
        for text in encodings(&pem_of_key(authority, key)) {
            for piece in text.chunks_exact(PIECE) {
                self.patterns.push((Kind::PemBase64, piece.to_vec()));
            }
        }
        for digest in [Sha256::digest(authority.der()).to_vec(), Sha1::digest(authority.der()).to_vec()] {
            let plain = hex::encode(&digest);
            let pairs: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            for text in [plain, pairs.join(":")] {
                self.patterns.push((Kind::Fingerprint, text.to_ascii_uppercase().into_bytes()));
                self.patterns.push((Kind::Fingerprint, text.into_bytes()));
            }
        }
    }

    fn text(&mut self, kind: Kind, text: &str) {
        self.patterns.push((kind, text.as_bytes().to_vec()));
        self.patterns.push((kind, wide(text.as_bytes())));
        for encoded in encodings(text.as_bytes()) {
            if encoded.len() >= 8 {
                self.patterns.push((kind, encoded));
            }
        }
    }
}

/// The part of the PEM text, line ends included, that encodes nothing but the key.
fn pem_of_key(authority: &Authority, key: &[u8]) -> Vec<u8> {
    let der = authority.der();
    let start = der.windows(key.len()).position(|window| window == key).unwrap_or(der.len());
    let (first, last) = (start.div_ceil(3) * 4, (start + key.len()).min(der.len()) / 3 * 4);
    let pem = authority.pem().as_bytes();
    let body = pem.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    // A line end after every 64 characters (RFC 7468 section 2).
    let at = |character: usize| body + character + character / 64;
    pem.get(at(first)..at(last)).unwrap_or_default().to_vec()
}

/// UTF-16, little-endian, of ASCII text.
fn wide(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|&byte| [byte, 0]).collect()
}

/// The base64 of `bytes` as part of something longer, for each of the three places they may start at; only the
/// characters that depend on nothing else.
fn encodings(bytes: &[u8]) -> [Vec<u8>; 3] {
    [0, 1, 2].map(|shift| {
        let padded = [vec![0; shift], bytes.to_vec()].concat();
        let whole = padded.len() / 3 * 3;
        let text = STANDARD.encode(&padded[..whole]);
        text.as_bytes()[if shift == 0 { 0 } else { 4 }.min(text.len())..].to_vec()
    })
}

fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.windows(PIECE).step_by(STEP)
}
