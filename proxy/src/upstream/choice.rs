//! Which ways may be taken to which origin.

use std::fmt;
use std::sync::Arc;

use super::no_proxy::NoProxy;
use super::proxy_url::ProxyUrl;
use super::route::{Route, Target};
use crate::error::ConfigError;
use crate::origin::{BoxFuture, Phase, UpstreamError};

/// Whatever finds ways by itself, such as a PAC script.
pub trait RouteSource: Send + Sync + fmt::Debug {
    /// The ways to a target, the best first. An error is for people; what is done then is for the caller.
    fn routes<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Vec<Route>, Box<dyn std::error::Error + Send + Sync>>>;
}

/// In which order the members of a pool are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they are written.
    #[default]
    Ordered,
    /// The same one first for the same host.
    Sticky,
    /// Each in turn.
    Rotating,
}

/// Several ways, each as good as another but for the order.
#[derive(Clone, Debug)]
pub struct Pool {
    /// At least one.
    pub members: Vec<Route>,
    /// Which is tried first.
    pub order: Order,
}

/// What is done for a target.
#[derive(Clone, Debug)]
pub enum Choice {
    /// One of these ways.
    Pool(Pool),
    /// What this finds.
    Found(Arc<dyn RouteSource>),
    /// Nothing: it is refused.
    Refused,
}

impl Default for Choice {
    fn default() -> Self {
        Route::DIRECT.into()
    }
}

impl From<Route> for Choice {
    fn from(route: Route) -> Self {
        Self::Pool(Pool { members: vec![route], order: Order::Ordered })
    }
}

/// Which way to take for which URL.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// For `http` URLs.
    pub http: Choice,
    /// For `https` URLs and tunnels.
    pub https: Choice,
    /// What is reached without a proxy.
    pub no_proxy: NoProxy,
}

impl Upstream {
    /// One proxy for everything but what `no_proxy` lists.
    pub fn all(url: &str, no_proxy: &str) -> Result<Self, ConfigError> {
        let choice = Choice::from(Route::by(ProxyUrl::parse(url, "upstream_proxy")?));
        Ok(Self { http: choice.clone(), https: choice, no_proxy: NoProxy::parse(no_proxy) })
    }

    /// Reads the usual environment variables through `get`, as curl does: `http_proxy` in lower case only (a CGI
    /// client could set the other), the rest in either case, `all_proxy` for what is not set.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let read = |names: &[&str]| -> Result<Choice, ConfigError> {
            for name in names {
                if let Some(value) = get(name).filter(|value| !value.trim().is_empty()) {
                    return Ok(Route::by(ProxyUrl::parse(&value, name)?).into());
                }
            }
            Ok(Choice::default())
        };
        let no_proxy = get("no_proxy").or_else(|| get("NO_PROXY")).unwrap_or_default();
        Ok(Self {
            http: read(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            https: read(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            no_proxy: NoProxy::parse(&no_proxy),
        })
    }

    /// The ways to a target, in order of preference: at least one.
    pub async fn candidates(&self, target: &Target) -> Result<Vec<Route>, UpstreamError> {
        if self.no_proxy.matches(&target.host, target.port) {
            return Ok(vec![Route::DIRECT]);
        }
        match if target.tls { &self.https } else { &self.http } {
            Choice::Pool(pool) => Ok(pool.members.clone()),
            Choice::Found(source) => source.routes(target).await.map_err(|error| UpstreamError {
                phase: Phase::Proxy,
                message: format!("no way to {}: {error}", target.host),
                retryable: false,
            }),
            Choice::Refused => Err(UpstreamError {
                phase: Phase::Denied,
                message: format!("{} may not be reached: a rule of `upstream` refuses it", target.host),
                retryable: false,
            }),
        }
    }

    /// Every proxy that the settings name.
    pub fn proxies(&self) -> Vec<&ProxyUrl> {
        let of = |choice| match choice {
            &Choice::Pool(ref pool) => pool.members.iter().flat_map(|route| &route.hops).collect(),
            _ => Vec::new(),
        };
        let mut all: Vec<&ProxyUrl> = of(&self.http);
        all.extend(of(&self.https));
        let mut seen = std::collections::HashSet::new();
        all.retain(|proxy| seen.insert(*proxy));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &'static [(&str, &str)]) -> Result<Upstream, ConfigError> {
        Upstream::from_env(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    async fn way(upstream: &Upstream, url: &str) -> String {
        let routes = upstream.candidates(&Target::of(&url.parse().unwrap()).unwrap()).await.unwrap();
        routes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[tokio::test]
    async fn proxies_come_from_the_usual_variables() {
        let upstream = env(&[("HTTP_PROXY", "http://evil:1"), ("HTTPS_PROXY", "proxy.example.org:3128")]).unwrap();
        assert_eq!(way(&upstream, "http://y/").await, "direct", "in upper case it may come from a CGI client");
        assert_eq!(way(&upstream, "https://y/").await, "proxy http://proxy.example.org:3128");
        let upstream = env(&[("ALL_PROXY", "socks5h://u:secret@[2001:db8::1]"), ("NO_PROXY", "x")]).unwrap();
        assert_eq!(way(&upstream, "http://y/").await, "proxy socks5h://[2001:db8::1]:1080");
        assert_eq!(way(&upstream, "https://x/").await, "direct");
        assert_eq!(upstream.proxies().len(), 1);
        let error = env(&[("https_proxy", "quic://u:secret@h:1")]).unwrap_err().to_string();
        assert!(error.contains("https_proxy") && !error.contains("secret"), "{error}");
    }
}
