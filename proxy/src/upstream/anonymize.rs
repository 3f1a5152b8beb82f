//! Takes out of a request what tells its origin who asks, and by what.

use http::header::{COOKIE, FROM, HeaderMap, HeaderName, HeaderValue, REFERER, USER_AGENT, VIA};

use super::route::{ProxyKind, Route};
use crate::error::ConfigError;

/// What names the client or the ways a request has taken. What a client claims of that, such as `X-Forwarded-For`,
/// goes in any case (see `hop_by_hop`); it is listed for those that other proxies add below us.
const TELLING: [HeaderName; 15] = [
    VIA,
    REFERER,
    COOKIE,
    FROM,
    HeaderName::from_static("cookie2"),
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-by"),
    HeaderName::from_static("client-ip"),
    HeaderName::from_static("x-client-ip"),
    HeaderName::from_static("x-cluster-client-ip"),
    HeaderName::from_static("true-client-ip"),
    HeaderName::from_static("x-proxyuser-ip"),
    // npm names each run of it.
    HeaderName::from_static("npm-session"),
    // Ours: it names Larder.
    HeaderName::from_static("surrogate-capability"),
];

/// How requests are made to tell less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anonymize {
    /// What every request says its client is, in place of what the client says.
    user_agent: Option<HeaderValue>,
}

impl Anonymize {
    /// With a `User-Agent` for every request, where one is given.
    ///
    /// # Errors
    /// Where it cannot be sent in a header.
    pub fn new(user_agent: Option<&str>) -> Result<Self, ConfigError> {
        let value = |text: &str| {
            let value = HeaderValue::from_str(text).ok().filter(|value| value.to_str().is_ok());
            value.ok_or_else(|| ConfigError::UserAgent(text.escape_debug().to_string()))
        };
        Ok(Self { user_agent: user_agent.map(value).transpose()? })
    }

    /// Takes the fields out. Credentials for the origin stay: without them it would answer something else.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &TELLING {
            headers.remove(name);
        }
        if let Some(user_agent) = &self.user_agent {
            headers.insert(USER_AGENT, user_agent.clone());
        }
    }

    /// The ways that may be taken: a name is resolved by the proxy, and where there is one, nothing goes without.
    pub(crate) fn routes(mut routes: Vec<Route>) -> Vec<Route> {
        if routes.iter().any(|route| !route.is_direct()) {
            routes.retain(|route| !route.is_direct());
        }
        for hop in routes.iter_mut().flat_map(|route| &mut route.hops) {
            hop.kind = match hop.kind {
                ProxyKind::Socks4 => ProxyKind::Socks4a,
                ProxyKind::Socks5 => ProxyKind::Socks5h,
                other => other,
            };
        }
        routes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_left_to_proxies() {
        let by = |url: &str| Route::by(crate::upstream::route::ProxyUrl::parse(url, "test").unwrap());
        let routes = ["socks5://a:1", "socks4://b:1", "http://c:1"].map(by).to_vec();
        let shown = |routes: Vec<Route>| routes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let with_direct = [routes, vec![Route::DIRECT]].concat();
        let private = ["proxy socks5h://a:1", "proxy socks4a://b:1", "proxy http://c:1"];
        assert_eq!(shown(Anonymize::routes(with_direct)), private);
        // Where the settings name no proxy, there is no other way.
        assert_eq!(shown(Anonymize::routes(vec![Route::DIRECT])), ["direct"]);
    }

    #[test]
    fn what_tells_goes_and_credentials_stay() {
        let mut headers = HeaderMap::new();
        for name in TELLING.iter().map(HeaderName::as_str).chain(["authorization", "user-agent", "accept"]) {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("x"));
        }
        let mut neutral = headers.clone();
        Anonymize::default().apply(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "authorization", "user-agent"]);
        assert_eq!(headers[USER_AGENT], "x");
        Anonymize::new(Some("fetch/1")).unwrap().apply(&mut neutral);
        assert_eq!(neutral[USER_AGENT], "fetch/1");
        let error = Anonymize::new(Some("a\nb")).unwrap_err().to_string();
        assert!(error.contains("a\\nb"), "{error}");
    }
}
