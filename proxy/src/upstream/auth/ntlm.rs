//! NTLM, version 2 (MS-NLMP): three messages, of which the last proves that the password is known.
//!
//! The connection itself is authenticated, so nothing is signed or sealed afterwards, and no session key is exchanged.
//! Version 1 is not spoken: its answers give the password away to whoever records them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

mod crypto;
#[cfg(test)]
mod tests;

const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

const UNICODE: u32 = 0x0000_0001;
const OEM: u32 = 0x0000_0002;
const REQUEST_TARGET: u32 = 0x0000_0004;
const NTLM: u32 = 0x0000_0200;
const ALWAYS_SIGN: u32 = 0x0000_8000;
const EXTENDED_SECURITY: u32 = 0x0008_0000;
const TARGET_INFO: u32 = 0x0080_0000;
const KEY_128: u32 = 0x2000_0000;

const OURS: u32 = UNICODE | OEM | REQUEST_TARGET | NTLM | ALWAYS_SIGN | EXTENDED_SECURITY | TARGET_INFO | KEY_128;

/// Fields of the target's information (section 2.2.2.1).
const AV_END: u16 = 0;
const AV_FLAGS: u16 = 6;
const AV_TIMESTAMP: u16 = 7;
const AV_TARGET_NAME: u16 = 9;
const AV_CHANNEL_BINDINGS: u16 = 10;
/// In the flags: a MIC over all three messages is in the last.
const FLAG_MIC: u32 = 2;
/// Length of a message's part before its texts, with version and MIC (section 2.2.1.3).
const HEAD: usize = 88;
const MIC_AT: usize = 72;

/// The name of the machine that is told. It is nobody's business, and some servers want one.
const WORKSTATION: &str = "WORKSTATION";

/// Who logs in.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) user: &'a str,
    /// May be empty.
    pub(super) domain: &'a str,
    pub(super) password: &'a str,
}

/// What must be new or now in each answer.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// 100 ns since 1601.
    pub(super) filetime: u64,
    pub(super) nonce: [u8; 8],
}

/// The first message: that NTLM is wanted (section 2.2.1.1).
pub(super) fn negotiate() -> Vec<u8> {
    let mut message = head(1);
    message.extend(OURS.to_le_bytes());
    // No domain, no workstation, no version.
    message.extend([0; 8 + 8 + 8]);
    message
}

/// What the proxy has sent (section 2.2.1.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    raw: Vec<u8>,
    flags: u32,
    nonce: [u8; 8],
    target_info: Vec<(u16, Vec<u8>)>,
}

impl Challenge {
    /// Reads the token of the proxy's second answer; the error says what is wrong with it.
    pub(super) fn parse(token: &str) -> Result<Self, &'static str> {
        let raw = BASE64_STANDARD.decode(token).map_err(|_| "its challenge is not Base64")?;
        let short = "its challenge is cut off";
        if raw.get(..8) != Some(SIGNATURE) || number(&raw, 8) != Some(2) {
            return Err("its challenge is no NTLM message");
        }
        let flags = number(&raw, 20).ok_or(short)?;
        let nonce = raw.get(24..32).and_then(|bytes| bytes.try_into().ok()).ok_or(short)?;
        if flags & UNICODE == 0 {
            return Err("it speaks no Unicode");
        }
        // Old servers repeat the client's flags, and have a name where the description of the information would be.
        let target_info = if flags & TARGET_INFO == 0 { None } else { described(&raw, 40).and_then(pairs) };
        let target_info = target_info.unwrap_or_default();
        Ok(Self { flags, nonce, target_info, raw })
    }

    fn info(&self, kind: u16) -> Option<&[u8]> {
        self.target_info.iter().find(|(own, _)| *own == kind).map(|(_, value)| value.as_slice())
    }

    /// The third message, which answers the challenge (section 3.1.5.1.2). `service` is `HTTP/host` of the proxy.
    pub(super) fn answer(&self, account: Account<'_>, service: &str, moment: Moment) -> Vec<u8> {
        let own_time = self.info(AV_TIMESTAMP).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let info = self.answered_info(service, own_time.is_some());
        let key = crypto::ntowf_v2(account);
        let answer = crypto::answer(&key, &self.nonce, own_time.unwrap_or(moment.filetime), &moment.nonce, &info);
        // With a timestamp the server wants no LMv2 (section 3.1.5.1.2).
        let lm = if own_time.is_some() { vec![0; 24] } else { crypto::lm_v2(&key, &self.nonce, &moment.nonce) };
        let texts = [lm, answer.response, utf16(account.domain), utf16(account.user), utf16(WORKSTATION), Vec::new()];

        let mut message = head(3);
        let mut at = HEAD;
        for text in &texts {
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            message.extend(length.to_le_bytes());
            message.extend(length.to_le_bytes());
            message.extend(u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes());
            at += text.len();
        }
        message.extend((self.flags & OURS & !OEM).to_le_bytes());
        message.resize(HEAD, 0);
        texts.iter().for_each(|text| message.extend(text));
        if own_time.is_some() {
            let mic = crypto::hmac(&answer.session_key, &[&negotiate(), &self.raw, &message]);
            message[MIC_AT..HEAD].copy_from_slice(&mic);
        }
        message
    }

    /// The target's information as it is sent back: with what the client adds.
    fn answered_info(&self, service: &str, mic: bool) -> Vec<u8> {
        let mut pairs: Vec<(u16, Vec<u8>)> = self.target_info.clone();
        if mic {
            let flags = self.info(AV_FLAGS).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
            pairs.retain(|(kind, _)| !matches!(*kind, AV_FLAGS | AV_TARGET_NAME | AV_CHANNEL_BINDINGS));
            pairs.push((AV_FLAGS, (flags | FLAG_MIC).to_le_bytes().to_vec()));
            // All zero: no TLS below that it could be bound to.
            pairs.push((AV_CHANNEL_BINDINGS, vec![0; 16]));
            pairs.push((AV_TARGET_NAME, utf16(service)));
        }
        let mut bytes = Vec::new();
        for (kind, value) in pairs.iter().chain([&(AV_END, Vec::new())]) {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
            bytes.extend(value);
        }
        bytes
    }
}

/// The value of `Proxy-Authorization`.
pub(super) fn field(message: &[u8]) -> String {
    format!("NTLM {}", BASE64_STANDARD.encode(message))
}

/// `DOMAIN\user` as user and domain. `user@domain` is a user's whole name, and has none beside it.
pub(super) fn split_domain(user: &str) -> (&str, &str) {
    user.split_once('\\').map_or((user, ""), |(domain, user)| (user, domain))
}

fn head(kind: u32) -> Vec<u8> {
    let mut message = SIGNATURE.to_vec();
    message.extend(kind.to_le_bytes());
    message
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn short_number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// What the description at this place is of; `None` where there is no such thing.
fn described(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(short_number(bytes, at)?);
    let start = usize::try_from(number(bytes, at + 4)?).ok()?;
    bytes.get(start..start.checked_add(length)?)
}

/// The pairs before the end mark; `None` where they run over the end.
fn pairs(mut bytes: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let (kind, length) = (short_number(bytes, 0)?, usize::from(short_number(bytes, 2)?));
        if kind == AV_END {
            break;
        }
        pairs.push((kind, bytes.get(4..4 + length)?.to_vec()));
        bytes = &bytes[4 + length..];
    }
    Some(pairs)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
