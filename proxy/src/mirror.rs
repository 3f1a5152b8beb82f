//! Mirrors: what goes by a public name is fetched from elsewhere, unseen by the guest.
//!
//! The mapping happens behind the cache, so a byte is kept under its public URL wherever it came from. A public name
//! may have several mirrors: they are asked in their order, those that fail lately last (see [`health`]).

pub(crate) mod back;
pub mod credentials;
pub mod health;
pub(crate) mod rewrite;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use url::Url;

use self::credentials::Credentials;
use self::health::Health;
use crate::error::ConfigError;
use crate::redact;

/// How long a mirror may take to begin its answer before the next is asked.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The word for the public origin itself, in the place of a mirror's URL.
pub const ORIGIN: &str = "origin";

/// A mirror as the settings describe it.
#[derive(Clone, Debug)]
pub struct TargetConfig {
    /// An `http(s)` URL prefix, or [`ORIGIN`].
    pub url: String,
    /// What the mirror wants to know of us. Sent to the mirror's own scheme, host and port, and nowhere else.
    pub credentials: Option<Credentials>,
    /// PEM files with roots trusted of this mirror's host, beside those trusted of everybody.
    pub roots: Vec<PathBuf>,
    /// Other prefixes by which the mirror calls itself in what it answers.
    pub aliases: Vec<String>,
    /// Whether credentials that a client sends for the public name are passed on to this mirror.
    pub client_credentials: bool,
    /// How long it may take to begin an answer, where there is another to ask.
    pub patience: Duration,
}

impl TargetConfig {
    /// A mirror without anything special.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            roots: Vec::new(),
            aliases: Vec::new(),
            client_credentials: false,
            patience: PATIENCE,
        }
    }
}

/// One place that a public name's content comes from.
#[derive(Debug)]
pub struct Target {
    place: Place,
    /// See [`TargetConfig::credentials`].
    pub credentials: Option<Credentials>,
    /// See [`TargetConfig::roots`].
    pub roots: Vec<PathBuf>,
    /// See [`TargetConfig::client_credentials`].
    pub client_credentials: bool,
    /// See [`TargetConfig::patience`].
    pub patience: Duration,
    aliases: Vec<Url>,
    health: Mutex<Health>,
}

#[derive(Debug)]
enum Place {
    /// Where the public name leads.
    Origin,
    /// Below a URL, which ends in `/`.
    At(Url),
}

impl Target {
    /// The mirror's prefix, which ends in `/`; none for the public origin itself.
    pub fn url(&self) -> Option<&Url> {
        match &self.place {
            Place::Origin => None,
            Place::At(url) => Some(url),
        }
    }

    /// How the mirror does.
    pub fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a URL is at the mirror's own scheme, host and port: where its credentials may be sent.
    pub(crate) fn is_home_of(&self, url: &Url) -> bool {
        self.url().is_some_and(|own| own.origin() == url.origin())
    }

    /// The prefixes whose content is known to be the public name's. A whole host is not, where nothing but a mirror
    /// of it is known: somebody who asks for that host means that host.
    fn claims(&self) -> impl Iterator<Item = &Url> {
        let own = self.url().filter(|url| url.path() != "/" || self.credentials.is_some());
        own.into_iter().chain(&self.aliases)
    }

    /// The prefixes by which it may call itself.
    fn names(&self) -> impl Iterator<Item = &Url> {
        self.url().into_iter().chain(&self.aliases)
    }

    fn read(config: TargetConfig) -> Result<Self, &'static str> {
        let place = if config.url == ORIGIN { Place::Origin } else { Place::At(prefix(&config.url)?) };
        if matches!(place, Place::Origin) && config.credentials.is_some() {
            return Err("credentials are for a mirror, and `origin` is the public name itself");
        }
        Ok(Self {
            place,
            credentials: config.credentials,
            roots: config.roots,
            client_credentials: config.client_credentials,
            patience: config.patience,
            aliases: config.aliases.iter().map(|alias| prefix(alias)).collect::<Result<_, _>>()?,
            health: Mutex::default(),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Origin => f.write_str(ORIGIN),
            Place::At(url) => url.fmt(f),
        }
    }
}

/// A public name, and its mirrors in order of preference.
#[derive(Clone, Debug)]
pub struct Mirror {
    from: From,
    targets: Vec<Arc<Target>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// What is below a path of a host, over `http` and `https`; the path begins and ends in `/`.
    Host { host: String, path: String },
    /// Everything below a URL, which ends in `/`.
    Prefix(Url),
}

impl Mirror {
    /// Reads a rule with one mirror: `from` is a host name, `host/path`, or an `http(s)` URL prefix; `to` is an
    /// `http(s)` URL prefix.
    pub fn parse(from: &str, to: &str) -> Result<Self, ConfigError> {
        Self::new(from, vec![TargetConfig::new(to)])
    }

    /// Reads a rule: `from` is a host name, `host/path`, or an `http(s)` URL prefix.
    pub fn new(from: &str, targets: Vec<TargetConfig>) -> Result<Self, ConfigError> {
        // A URL that is refused may hold a password.
        let refuse = |to: &str, reason| {
            let (from, to) = (redact::url(from), redact::url(to));
            ConfigError::Mirror { from, to, reason }
        };
        if targets.is_empty() {
            return Err(refuse("", "no mirror is named"));
        }
        let first = targets[0].url.clone();
        let read = |config: TargetConfig| {
            let url = config.url.clone();
            Target::read(config).map(Arc::new).map_err(|reason| refuse(&url, reason))
        };
        let targets = targets.into_iter().map(read).collect::<Result<_, _>>()?;
        let from = if from.contains("://") {
            From::Prefix(prefix(from).map_err(|reason| refuse(&first, reason))?)
        } else {
            let (host, path) = from.find('/').map_or((from, "/"), |at| from.split_at(at));
            if host.is_empty() || from.contains([':', '@', '*', ' ', '?', '#']) {
                return Err(refuse(&first, "what is mirrored is a host name, with or without a path, or a URL"));
            }
            let path = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
            From::Host { host: host.trim_end_matches('.').to_ascii_lowercase(), path }
        };
        Ok(Self { from, targets })
    }

    /// The mirrors, in order of preference.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    /// The public prefix this rule stands for, given a URL it covers.
    fn public_prefix(&self, url: &Url) -> Option<String> {
        match &self.from {
            From::Host { host, path } => {
                let covered = url.host_str() == Some(host) && url.port().is_none() && url.path().starts_with(path);
                covered.then(|| format!("{}://{host}{path}", url.scheme()))
            }
            From::Prefix(prefix) => url.as_str().starts_with(prefix.as_str()).then(|| prefix.to_string()),
        }
    }

    /// The public prefix for somebody who does not know by which scheme it was asked for.
    fn canonical_prefix(&self) -> String {
        match &self.from {
            From::Host { host, path } => format!("https://{host}{path}"),
            From::Prefix(prefix) => prefix.to_string(),
        }
    }
}

impl std::fmt::Display for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.from {
            From::Host { host, path } => write!(f, "{host}{}", if path == "/" { "" } else { path }),
            From::Prefix(prefix) => prefix.fmt(f),
        }
    }
}

/// Reads a URL prefix; the URL ends in `/` then.
fn prefix(text: &str) -> Result<Url, &'static str> {
    let mut url = Url::parse(text).map_err(|_| "not a URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https URLs can be mirrored");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a prefix has neither query nor fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a prefix has no user name: settings of the mirror name the user, and where the password is kept");
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// A request on its way to a mirror.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    /// Where to fetch it.
    pub(crate) uri: Uri,
    pub(crate) target: Arc<Target>,
    /// The public prefix, and what stands for it at the mirror.
    pair: Pair,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    public: String,
    to: String,
}

impl Pair {
    /// Of a registry's API, `/v2/` comes first and the repository after it (distribution specification): where a
    /// mirror keeps a registry below `/v2/NAME/`, the name goes between. `/v2/` itself asks whether it is a registry.
    fn new(public: String, to: &str, rest: &str) -> Self {
        let inside = to.find("/v2/").map(|at| at + "/v2/".len());
        match (inside, rest.strip_prefix("v2/")) {
            (Some(end), Some("")) => Self { public: format!("{public}v2/"), to: to[..end].to_owned() },
            (Some(_), Some(_)) => Self { public: format!("{public}v2/"), to: to.to_owned() },
            (Some(end), None) if rest.is_empty() && public.ends_with("/v2/") => {
                Self { public, to: to[..end].to_owned() }
            }
            _ => Self { public, to: to.to_owned() },
        }
    }
}

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct MirrorMap {
    mirrors: Vec<Mirror>,
}

impl MirrorMap {
    /// The rules in their order.
    pub fn new(mirrors: Vec<Mirror>) -> Self {
        Self { mirrors }
    }

    /// The rules.
    pub fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// Where to fetch a URI from, in order of preference; none where no rule covers it. The rule of the longest public
    /// prefix holds, then the first in the list.
    pub(crate) fn candidates(&self, uri: &Uri) -> Option<Vec<Mapped>> {
        let (mirror, public, text) = self.rule(uri)?;
        let rest = text.get(public.len()..).filter(|_| text.starts_with(&public))?;
        let candidates = mirror.targets.iter().filter_map(|target| {
            let Some(to) = target.url() else {
                let pair = Pair { public: public.clone(), to: public.clone() };
                return Some(Mapped { uri: uri.clone(), target: target.clone(), pair });
            };
            let pair = Pair::new(public.clone(), to.as_str(), rest);
            // The URI's own spelling is kept behind the prefix: a mirror may tell `%7E` from `~`.
            let rest = text.strip_prefix(&pair.public)?;
            let uri = format!("{}{rest}", pair.to).parse().ok()?;
            Some(Mapped { uri, target: target.clone(), pair })
        });
        Some(candidates.collect()).filter(|candidates: &Vec<Mapped>| !candidates.is_empty())
    }

    fn rule(&self, uri: &Uri) -> Option<(&Mirror, String, String)> {
        if self.mirrors.is_empty() {
            return None;
        }
        let text = uri.to_string();
        let url = Url::parse(&text).ok()?;
        let covering = self.mirrors.iter().filter_map(|mirror| Some((mirror, mirror.public_prefix(&url)?)));
        let (mirror, public) = covering.rev().max_by_key(|(_, prefix)| prefix.len())?;
        Some((mirror, public, text))
    }

    /// The public URI of one that lies below a mirror's prefix: an index may name files by the mirror's own URL, and
    /// they are the public ones all the same. Of equal prefixes the first rule's holds; a URI that a rule covers as
    /// public is left as it is.
    pub(crate) fn public(&self, uri: &Uri) -> Option<Uri> {
        if self.mirrors.is_empty() || self.rule(uri).is_some() {
            return None;
        }
        let text = uri.to_string();
        let names = self.mirrors.iter().flat_map(|mirror| {
            let names = mirror.targets.iter().flat_map(|target| target.claims());
            names.map(move |name| (mirror, name.as_str()))
        });
        let (mirror, name) =
            names.filter(|(_, name)| text.starts_with(name)).min_by_key(|(_, name)| std::cmp::Reverse(name.len()))?;
        let rest = &text[name.len()..];
        let canonical = mirror.canonical_prefix();
        let between = if name.contains("/v2/") && !canonical.contains("/v2/") { "v2/" } else { "" };
        format!("{canonical}{between}{rest}").parse().ok()
    }

    /// Hosts (IPv6 addresses without brackets) and ports that roots of their own are trusted of, and those roots.
    pub(crate) fn with_roots(&self) -> impl Iterator<Item = (String, u16, Vec<PathBuf>)> {
        let mut found: BTreeMap<(String, u16), Vec<PathBuf>> = BTreeMap::new();
        for target in self.mirrors.iter().flat_map(|mirror| &mirror.targets).filter(|target| !target.roots.is_empty()) {
            let url = target.url();
            if let Some((host, port)) = url.and_then(|url| Some((url.host_str()?, url.port_or_known_default()?))) {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                found.entry((host, port)).or_default().extend(target.roots.iter().cloned());
            }
        }
        found.into_iter().map(|((host, port), roots)| (host, port, roots))
    }
}
