//! Basic (RFC 7617): user and password in UTF-8.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The value of `Proxy-Authorization`; `None` for a user name with a colon, which cannot be told from the password.
pub(super) fn answer(user: &str, password: &str) -> Option<String> {
    let pair = format!("{user}:{password}");
    (!user.contains(':')).then(|| format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_examples_of_the_rfc() {
        let answer = |user, password| super::answer(user, password);
        assert_eq!(answer("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(answer("test", "123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
        assert_eq!(answer("a:b", "c"), None);
    }
}
