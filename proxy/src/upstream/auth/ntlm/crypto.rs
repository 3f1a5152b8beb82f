//! What NTLMv2 reckons (MS-NLMP section 3.3.2). MD4, MD5 and the password's hash are what the protocol is made of.

use hmac::{Hmac, Mac as _};
use md4::{Digest as _, Md4};
use md5::Md5;

use super::{Account, utf16};

type Key = [u8; 16];

/// The answer to a challenge.
pub(super) struct Answer {
    /// Proof and what it covers.
    pub(super) response: Vec<u8>,
    pub(super) session_key: Key,
}

pub(super) fn hmac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Md5>::new_from_slice(key).expect("a key of any length will do");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The key that stands for the account's password (`NTOWFv2`).
pub(super) fn ntowf_v2(account: Account<'_>) -> Key {
    let hash: Key = Md4::digest(utf16(account.password)).into();
    hmac(&hash, &[&utf16(&account.user.to_uppercase()), &utf16(account.domain)])
}

/// `NtChallengeResponse` and the session's key.
pub(super) fn answer(key: &Key, server: &[u8; 8], filetime: u64, client: &[u8; 8], info: &[u8]) -> Answer {
    let mut covered = vec![1, 1, 0, 0, 0, 0, 0, 0];
    covered.extend(filetime.to_le_bytes());
    covered.extend(client);
    covered.extend([0; 4]);
    covered.extend(info);
    covered.extend([0; 4]);
    let proof = hmac(key, &[server, &covered]);
    Answer { response: [proof.as_slice(), &covered].concat(), session_key: hmac(key, &[&proof]) }
}

/// `LmChallengeResponse`.
pub(super) fn lm_v2(key: &Key, server: &[u8; 8], client: &[u8; 8]) -> Vec<u8> {
    [hmac(key, &[server, client]).as_slice(), client].concat()
}
