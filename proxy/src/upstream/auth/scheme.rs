//! The ways to authenticate to a proxy, and the order in which they are preferred.

/// A way to authenticate (RFC 9110 section 11.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// SPNEGO, in practice Kerberos (RFC 4559).
    Negotiate,
    /// Microsoft's challenge and response, in version 2 (MS-NLMP).
    Ntlm,
    /// RFC 7616.
    Digest,
    /// RFC 7617: the password itself.
    Basic,
}

impl Scheme {
    /// All of them, in the order browsers prefer: what shows the proxy least of the password comes first.
    pub const ALL: [Self; 4] = [Self::Negotiate, Self::Ntlm, Self::Digest, Self::Basic];

    /// The scheme of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    /// Its name in header fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
            Self::Digest => "Digest",
            Self::Basic => "Basic",
        }
    }

    /// Whether it is the connection that is authenticated, and not each request. By RFC 4559 it is each request with
    /// Negotiate; squid and Microsoft's proxies have it otherwise.
    pub(crate) fn is_of_connection(self) -> bool {
        matches!(self, Self::Negotiate | Self::Ntlm)
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
