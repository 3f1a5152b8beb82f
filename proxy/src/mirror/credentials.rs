//! What a mirror wants to know of us. Never shown: neither in messages nor in debug output.

use base64::Engine as _;
use http::HeaderValue;

use crate::error::ConfigError;

/// Credentials for one mirror, ready to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    value: HeaderValue,
    scheme: &'static str,
}

impl Credentials {
    /// A user and a password (RFC 7617).
    pub fn basic(user: &str, password: &str) -> Result<Self, ConfigError> {
        if user.contains(':') {
            return Err(ConfigError::Credentials { reason: "a user name cannot hold a colon" });
        }
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Self::new("Basic", &pair)
    }

    /// A token (RFC 6750).
    pub fn bearer(token: &str) -> Result<Self, ConfigError> {
        if token.is_empty() {
            return Err(ConfigError::Credentials { reason: "the token is empty" });
        }
        Self::new("Bearer", token)
    }

    fn new(scheme: &'static str, secret: &str) -> Result<Self, ConfigError> {
        let mut value = HeaderValue::from_str(&format!("{scheme} {secret}"))
            .map_err(|_| ConfigError::Credentials { reason: "they hold what cannot be sent in a header" })?;
        value.set_sensitive(true);
        Ok(Self { value, scheme })
    }

    /// The value of the Authorization field.
    pub(crate) fn value(&self) -> HeaderValue {
        self.value.clone()
    }

    /// `Basic` or `Bearer`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({} …)", self.scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sent_but_not_shown() {
        let basic = Credentials::basic("ci", "p:ä\"x").unwrap();
        assert_eq!(basic.value(), "Basic Y2k6cDrDpCJ4");
        let bearer = Credentials::bearer("s3cret").unwrap();
        assert_eq!(bearer.value(), "Bearer s3cret");
        let shown = format!("{basic:?} {bearer:?} {:?}", bearer.value());
        assert!(!shown.contains("s3cret") && !shown.contains("Y2k6"), "{shown}");
        for error in [
            Credentials::bearer("a\nb").unwrap_err(),
            Credentials::bearer("").unwrap_err(),
            Credentials::basic("a:b", "geheim").unwrap_err(),
        ] {
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }
}
