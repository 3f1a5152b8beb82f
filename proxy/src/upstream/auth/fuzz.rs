//! What proxies ask for, whatever they say.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::header::PROXY_AUTHENTICATE;

use super::challenge::{challenges, parameter};
use super::{digest, ntlm};
use crate::fuzz::fields::map;

const PASSWORD: &str = "x9Kq7ZvW";

/// The first byte says what follows: fields of an answer, or an NTLM message. What is sent back is one field's value, and
/// no password is in it.
pub fn challenged(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    if first & 1 == 0 { fields(rest) } else { message(rest) }
}

fn fields(text: &[u8]) {
    let mut headers = map(text);
    if let Ok(value) = HeaderValue::from_bytes(text) {
        headers.append(PROXY_AUTHENTICATE, value);
    }
    let _ = parameter(text, "nextnonce");
    let found = challenges(&headers);
    assert!(found.len() <= 32 && found.iter().all(|one| !one.scheme.is_empty()), "{found:?}");
    for challenge in &found {
        if let Ok(mut session) = digest::Session::new(challenge, "c".to_owned()) {
            let asked = digest::Asked { user: "u\"\\ä", password: PASSWORD, method: "GET", target: "http://h/" };
            let (one, other) = (session.answer(&asked), session.answer(&asked));
            assert_eq!(one.len(), other.len(), "{one} and {other}");
            check(&one, challenge.param("nonce"));
        }
        if let Some(Ok(challenge)) = challenge.token.as_deref().map(ntlm::Challenge::parse) {
            answer(&challenge);
        }
    }
}

/// What was sent is what the answer is read as.
fn check(answer: &str, nonce: Option<&str>) {
    assert!(!answer.contains(PASSWORD), "{answer}");
    let value = answer.strip_prefix("Digest ").expect("the scheme");
    assert_eq!(parameter(value.as_bytes(), "nonce").as_deref(), nonce, "{answer}");
    assert_eq!(parameter(value.as_bytes(), "uri").as_deref(), Some("http://h/"), "{answer}");
}

fn message(bytes: &[u8]) {
    let mut whole = b"NTLMSSP\0\x02\0\0\0".to_vec();
    whole.extend_from_slice(bytes);
    if let Ok(challenge) = ntlm::Challenge::parse(&BASE64_STANDARD.encode(&whole)) {
        answer(&challenge);
    }
}

fn answer(challenge: &ntlm::Challenge) {
    let account = ntlm::Account { user: "u", domain: "d", password: PASSWORD };
    let moment = ntlm::Moment { filetime: 1, nonce: [7; 8] };
    let answer = challenge.answer(account, "HTTP/h", moment);
    assert!(answer.starts_with(b"NTLMSSP\0\x03\0\0\0") && answer.len() >= 88 && answer.len() < 200_000);
    assert!(HeaderValue::try_from(ntlm::field(&answer)).is_ok());
}
