//! Which ways may be taken to which origin.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::no_proxy::NoProxy;
use super::proxy_url::ProxyUrl;
use super::route::{Route, Target};
use crate::error::ConfigError;
use crate::host_pattern::HostPattern;
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
    turn: Arc<AtomicUsize>,
}

impl Pool {
    /// A pool of these ways.
    pub fn new(members: Vec<Route>, order: Order) -> Self {
        Self { members, order, turn: Arc::default() }
    }

    /// The members in the order they are tried for a host.
    fn arranged(&self, host: &str) -> Vec<Route> {
        let mut members = self.members.clone();
        match self.order {
            Order::Ordered => {}
            // The highest of the members' numbers for this host: when one is taken away, only its hosts move.
            Order::Sticky => members.sort_by_cached_key(|route| {
                let mut hasher = DefaultHasher::new();
                host.to_ascii_lowercase().hash(&mut hasher);
                route.hash(&mut hasher);
                std::cmp::Reverse(hasher.finish())
            }),
            Order::Rotating => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                if !members.is_empty() {
                    let first = turn % members.len();
                    members.rotate_left(first);
                }
            }
        }
        members
    }
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
        Self::Pool(Pool::new(vec![route], Order::Ordered))
    }
}

/// What is done for the targets that a rule is about.
#[derive(Clone, Debug)]
pub struct RouteRule {
    /// Which hosts; all where there is none.
    pub hosts: Vec<HostPattern>,
    /// Which ports; all where there is none.
    pub ports: Vec<u16>,
    /// Which paths; all where there is none.
    pub path: Option<PathPattern>,
    /// What is done.
    pub choice: Choice,
    /// Where the rule is written, for people.
    pub origin: String,
}

/// Which paths a rule is about. The query does not count.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// Those that begin so.
    Prefix(String),
    /// Those in which this is found.
    Regex(regex::Regex),
}

impl RouteRule {
    /// Whether it is about a target. Of a tunnel no path is known, so that a rule about paths is not about it.
    pub fn matches(&self, target: &Target) -> bool {
        let Target { host, port, path, .. } = target;
        let path = path.split('?').next().unwrap_or_default();
        (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host, *port)))
            && (self.ports.is_empty() || self.ports.contains(port))
            && match &self.path {
                None => true,
                Some(_) if target.is_tunnel => false,
                Some(PathPattern::Prefix(prefix)) => path.starts_with(prefix.as_str()),
                Some(PathPattern::Regex(regex)) => regex.is_match(path),
            }
    }
}

/// Which way to take for which URL.
#[derive(Clone, Debug, Default)]
pub struct Upstream {
    /// The first that is about a target holds, before anything else here.
    pub rules: Vec<RouteRule>,
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
        Ok(Self { rules: Vec::new(), http: choice.clone(), https: choice, no_proxy: NoProxy::parse(no_proxy) })
    }

    /// The same ways for everything but what `no_proxy` lists, as text: candidates, separated by blanks or commas and
    /// blanks; `>` between the proxies of a chain; `direct` for none. `variable` is named in the error.
    pub fn of_text(text: &str, no_proxy: &str, variable: &str) -> Result<Self, ConfigError> {
        let choice = Choice::Pool(Pool::new(routes(text, variable)?, Order::Ordered));
        Ok(Self { rules: Vec::new(), http: choice.clone(), https: choice, no_proxy: NoProxy::parse(no_proxy) })
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
            rules: Vec::new(),
            http: read(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            https: read(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            no_proxy: NoProxy::parse(&no_proxy),
        })
    }

    /// The ways to a target, in order of preference: at least one.
    pub async fn candidates(&self, target: &Target) -> Result<Vec<Route>, UpstreamError> {
        let rule = self.rules.iter().find(|rule| rule.matches(target));
        let choice = match rule {
            Some(rule) => &rule.choice,
            None if self.no_proxy.matches(&target.host, target.port) => return Ok(vec![Route::DIRECT]),
            None if target.tls => &self.https,
            None => &self.http,
        };
        let fail = |phase, message| UpstreamError { phase, message, retryable: false };
        match choice {
            Choice::Pool(pool) => Ok(pool.arranged(&target.host)),
            Choice::Found(source) => source
                .routes(target)
                .await
                .map_err(|error| fail(Phase::Proxy, format!("no way to {}: {error}", target.host))),
            Choice::Refused => {
                let place = rule.map_or_else(String::new, |rule| format!(" ({})", rule.origin));
                let message = format!("{} port {} is refused by a rule of `upstream`{place}", target.host, target.port);
                Err(fail(Phase::Denied, message))
            }
        }
    }

    /// Every proxy that the settings name.
    pub fn proxies(&self) -> Vec<&ProxyUrl> {
        let mut seen = std::collections::HashSet::new();
        self.ways().flat_map(|route| &route.hops).filter(|proxy| seen.insert(*proxy)).collect()
    }

    /// Every way that the settings name.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Route> {
        let rules = self.rules.iter().map(|rule| &rule.choice);
        [&self.http, &self.https]
            .into_iter()
            .chain(rules)
            .filter_map(|choice| if let Choice::Pool(pool) = choice { Some(&pool.members) } else { None })
            .flatten()
    }
}

/// Reads ways from text; see [`Upstream::of_text`]. At least one.
pub fn routes(text: &str, variable: &str) -> Result<Vec<Route>, ConfigError> {
    let refuse = |reason| ConfigError::UpstreamProxy { variable: variable.to_owned(), reason };
    let spaced = text.replace("->", ">").replace('>', " > ");
    let mut routes: Vec<Route> = Vec::new();
    let mut goes_on = false;
    for word in spaced.split_whitespace().map(|word| word.trim_end_matches(',')).filter(|word| !word.is_empty()) {
        match (word, goes_on) {
            (">", false) if !routes.is_empty() => goes_on = true,
            (">", _) => return Err(refuse("`>` stands between two proxies of a chain")),
            ("direct", false) => routes.push(Route::DIRECT),
            ("direct", true) => return Err(refuse("`direct` is a way of its own, and no part of a chain")),
            (url, _) => {
                let proxy = ProxyUrl::parse(url, variable)?;
                match routes.last_mut().filter(|_| goes_on) {
                    Some(last) if last.is_direct() => {
                        return Err(refuse("`direct` is a way of its own, and no part of a chain"));
                    }
                    Some(last) => last.hops.push(proxy),
                    None => routes.push(Route::by(proxy)),
                }
                goes_on = false;
            }
        }
    }
    if goes_on {
        return Err(refuse("`>` stands between two proxies of a chain"));
    }
    if routes.is_empty() { Err(refuse("it names no proxy")) } else { Ok(routes) }
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

    #[test]
    fn ways_are_read_from_text() {
        for (text, expected) in [
            ("http://a:1", "proxy http://a:1"),
            ("a:1, b:2, direct", "proxy http://a:1; proxy http://b:2; direct"),
            ("http://a:1 > socks5h://b,direct", "error"),
            (
                "http://a:1>socks5h://b -> https://c direct",
                "proxy http://a:1 > socks5h://b:1080 > https://c:443; direct",
            ),
            ("http://u:a,b@h:1", "proxy http://h:1"),
            ("", "error"),
            ("> a:1", "error"),
            ("a:1 >", "error"),
            ("a:1 > > b:1", "error"),
            ("direct > a:1", "error"),
            ("a:1 > direct", "error"),
        ] {
            let read =
                routes(text, "test").map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
            assert_eq!(read.unwrap_or_else(|_| "error".to_owned()), expected, "{text}");
        }
    }

    fn rule(host: &str, port: Option<u16>, path: Option<PathPattern>, choice: Choice) -> RouteRule {
        let hosts = if host.is_empty() { Vec::new() } else { vec![host.parse().unwrap()] };
        RouteRule { hosts, ports: port.into_iter().collect(), path, choice, origin: "larder.toml:7".to_owned() }
    }

    #[tokio::test]
    async fn the_first_rule_that_is_about_a_target_holds() {
        let by = |url: &str| Choice::from(Route::by(ProxyUrl::parse(url, "test").unwrap()));
        let mut upstream = Upstream::all("http://default:1", "near.example.org").unwrap();
        upstream.rules = vec![
            rule("*.corp.example.org", None, None, Choice::default()),
            rule("", Some(8443), None, by("http://port:1")),
            rule("pkgs.example.org", None, Some(PathPattern::Prefix("/simple/".to_owned())), by("socks5://prefix:1")),
            rule("", None, Some(PathPattern::Regex(regex::Regex::new("[.]deb$").unwrap())), by("https://regex:1")),
            rule("bad.example.org", None, None, Choice::Refused),
        ];
        for (url, expected) in [
            ("https://a.corp.example.org:8443/x.deb", "direct"),
            ("https://pkgs.example.org:8443/simple/", "proxy http://port:1"),
            ("https://pkgs.example.org/simple/x?y", "proxy socks5://prefix:1"),
            ("https://pkgs.example.org/x?/simple/", "proxy http://default:1"),
            ("http://pkgs.example.org/x.deb?a=b", "proxy https://regex:1"),
            ("http://near.example.org/x.deb", "proxy https://regex:1"),
            ("http://near.example.org/", "direct"),
        ] {
            assert_eq!(way(&upstream, url).await, expected, "{url}");
        }
        let error = upstream.candidates(&Target::of(&"http://bad.example.org/".parse().unwrap()).unwrap()).await;
        let error = error.unwrap_err();
        assert_eq!(error.phase, Phase::Denied);
        assert!(error.message.contains("larder.toml:7"), "{}", error.message);
        // Of a tunnel the path is not known.
        upstream.rules = vec![rule("", None, Some(PathPattern::Prefix("/".to_owned())), by("socks5://prefix:1"))];
        let found = upstream.candidates(&Target::tunnel("pkgs.example.org", 443)).await.unwrap();
        assert_eq!(found[0].to_string(), "proxy http://default:1");
        assert_eq!(upstream.proxies().len(), 2);
    }

    #[tokio::test]
    async fn a_pool_keeps_to_a_host_or_takes_turns() {
        let members =
            |n: usize| (0..n).map(|i| Route::by(ProxyUrl::parse(&format!("p{i}:1"), "test").unwrap())).collect();
        let pool = |n, order| Pool::new(members(n), order);
        assert_eq!(pool(3, Order::Ordered).arranged("h"), pool(3, Order::Ordered).members);
        let turns = pool(3, Order::Rotating);
        let firsts: Vec<String> = (0..4).map(|_| turns.clone().arranged("h")[0].to_string()).collect();
        assert_eq!(firsts, ["proxy http://p0:1", "proxy http://p1:1", "proxy http://p2:1", "proxy http://p0:1"]);
        let (four, three) = (pool(4, Order::Sticky), pool(3, Order::Sticky));
        let mut used = std::collections::HashMap::new();
        for index in 0..400 {
            let host = format!("h{index}.example.org");
            let first = four.arranged(&host)[0].clone();
            assert_eq!(four.arranged(&host.to_uppercase())[0], first);
            // Without the last member, only its hosts go elsewhere.
            if first.to_string() != "proxy http://p3:1" {
                assert_eq!(three.arranged(&host)[0], first);
            }
            *used.entry(first.to_string()).or_insert(0) += 1;
        }
        assert!(used.len() == 4 && used.values().all(|count| *count > 50), "{used:?}");
    }
}
