//! The keys there are, and what their values are.

use std::collections::BTreeMap;

use larder_proxy::upstream::host_tls::HostTls;
use larder_proxy::upstream::route::routes;

use super::mirrors::{self, Mirrors};
use super::proxy_login::{self, ProxyLoginSetting};
use super::tui::{CLIPBOARDS, SWITCH, SYMBOLS, THEMES};
use super::upstream::UpstreamRule;
use crate::template::diagnostic::did_you_mean;
use crate::template::duration;

/// A setting.
#[derive(Debug)]
pub struct Key {
    /// Name in files; a dot is for a table.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether a project's file may set it without being trusted.
    pub harmless: bool,
    /// What it is for, in a line.
    pub help: &'static str,
}

/// What the value of a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Whether something is so: `true` or `false`.
    Switch,
    /// A path; in a file it is relative to the file.
    Path,
    /// A path, an `http(s)` URL, or one of these words; in a file a path is relative to the file.
    PathOrUrl(&'static [&'static str]),
    /// A number of things.
    Count,
    /// A number of bytes: `20G`, `512MiB`, `unlimited`.
    Size,
    /// How long: `30m`, `1h30m`, `90s`; 0 for no limit.
    Duration,
    /// Several texts; as text separated by commas.
    List,
    /// Several paths; as text separated by colons.
    Paths,
    /// Several public keys, or paths of files of them; as text separated by colons.
    PublicKeys,
    /// Mirrors by public name; as text `name=url`, separated by commas.
    Mirrors,
    /// Logins of proxies; as text `host:port=user:VARIABLE`, separated by commas.
    ProxyLogins,
    /// Texts by name; as text `name=value`, separated by commas.
    Map,
    /// Ways by proxies: a text, in a file also a list of texts.
    Ways,
    /// Rules on which way to take; in a file only.
    Rules,
    /// TLS with single hosts; in a file only.
    Tls,
}

impl Kind {
    /// Whether neither a variable nor an option can hold it.
    pub fn is_in_files_only(self) -> bool {
        matches!(self, Self::Rules | Self::Tls)
    }
}

const fn key(name: &'static str, kind: Kind, harmless: bool, help: &'static str) -> Key {
    Key { name, kind, harmless, help }
}

/// All settings.
pub static KEYS: &[Key] = &[
    key("cache_dir", Kind::Path, false, "Directory of the cache"),
    key("state_dir", Kind::Path, false, "Directory of history, logs and the CA"),
    key("net", Kind::Word(&["cache", "offline"]), true, "Whether the network may be used"),
    key(
        "upstream_proxy",
        Kind::Ways,
        false,
        "Proxy to reach origins through, several to try in turn, or a chain (`>` between its proxies); `apt` for the one that the host's apt is set to use",
    ),
    key(
        "upstream_pac",
        Kind::PathOrUrl(&["wpad"]),
        false,
        "Script that says which proxy to take for which URL (a PAC file): its path or URL, or `wpad` to look for it in the host's domain",
    ),
    key(
        "upstream_pac_failure",
        Kind::Word(&["fail", "direct"]),
        false,
        "What happens when that script gives no route: requests fail with the reason, or go without a proxy",
    ),
    key("no_proxy", Kind::List, false, "Hosts reached without the upstream proxy"),
    key("upstream", Kind::Rules, false, "Which way leads to which host, port and path; before `upstream_proxy`"),
    key("upstream_tls", Kind::Tls, false, "Client certificates and pinned keys for single hosts"),
    key(
        "anonymize",
        Kind::Switch,
        false,
        "Whether requests upstream tell nothing of who asks: no Via, Forwarded, X-Forwarded-For, Referer or cookies, and no name is resolved here that a proxy upstream can resolve",
    ),
    key("anonymize_user_agent", Kind::Text, false, "With `anonymize`: the User-Agent that every request has"),
    key(
        "proxy_login",
        Kind::ProxyLogins,
        false,
        "Who Larder is to an upstream proxy, where the password is, and which schemes may be used",
    ),
    key("ca_files", Kind::Paths, false, "CA certificates trusted besides the system's"),
    key("mirrors", Kind::Mirrors, false, "Public names or URL prefixes, and the mirrors to fetch them from"),
    key(
        "rules",
        Kind::Map,
        false,
        "What lies at paths that match a regular expression (`immutable`, `lasting`, `mutable` or `plain`; then `package`, `index` or `image`), before Larder's own rules",
    ),
    key("upstream_timeout", Kind::Count, false, "Seconds to wait for an origin that sends nothing"),
    key(
        "upstream_min_rate",
        Kind::Size,
        false,
        "Bytes a second that a body of a known length has to bring, over five minutes of waiting for it, not to be given up",
    ),
    key("tunnel", Kind::List, false, "Patterns of hosts whose TLS is passed on unread"),
    key(
        "egress",
        Kind::Word(&["enforced", "observed"]),
        false,
        "Whether guests must be cut off from all but the proxy (`enforced`), or share the host's network (`observed`); by default cut off where that can be had",
    ),
    key("parallel_builds", Kind::Count, true, "Most builds at a time, 0 for no limit"),
    key(
        "ask_timeout",
        Kind::Duration,
        true,
        "How long a build that waits for an answer (-on-error=ask) does so before it is cleaned up, 0 for no limit",
    ),
    key("ui", Kind::Word(&["auto", "tui", "plain", "json", "machine", "quiet"]), true, "How to show what happens"),
    key(
        "tui.theme",
        Kind::Word(THEMES),
        true,
        "Colours of the terminal UI: those of the terminal (`auto`), chosen for a `dark` or `light` background, or none (`mono`); also `--theme`",
    ),
    key(
        "tui.symbols",
        Kind::Word(SYMBOLS),
        true,
        "Characters the terminal UI draws with: by locale and terminal (`auto`), `unicode`, or `ascii`; also `--symbols`",
    ),
    key("tui.mouse", Kind::Switch, true, "Whether the terminal UI reacts to the mouse; also `--no-mouse`"),
    key(
        "tui.animation",
        Kind::Switch,
        true,
        "Whether anything in the terminal UI moves that does not have to; also `--no-animation`",
    ),
    key(
        "tui.clipboard",
        Kind::Word(CLIPBOARDS),
        true,
        "How the terminal UI copies: by a program or the terminal (`auto`), a program (`native`), the terminal (`osc52`), or not (`off`)",
    ),
    key("log", Kind::Text, true, "What to log, as in `info` or `larder_proxy=debug`"),
    key("cache.max_size", Kind::Size, false, "Most bytes the cache may hold"),
    key(
        "cache.max_age",
        Kind::Duration,
        false,
        "How long what is not used stays in the cache, as in `30d`; 0 for no limit",
    ),
    key("cache.min_free", Kind::Size, false, "Least bytes the cache is to leave free on its disk"),
    key(
        "proxy.listen",
        Kind::List,
        false,
        "Addresses that `larder proxy` listens on, as in `10.0.0.5:3142`, `[::]:3142` or `unix:/run/larder/proxy.sock`; by default `127.0.0.1:3142`; also `--listen`",
    ),
    key(
        "proxy.clients",
        Kind::List,
        false,
        "Networks that may use `larder proxy`, as in `10.20.0.0/16`, or `ci=10.20.0.0/16` with the name its clients have in the log",
    ),
    key(
        "proxy.users_file",
        Kind::Path,
        false,
        "File of users and bcrypt hashes (`larder proxy passwd`, `htpasswd -B`) who may use `larder proxy`; with it clients have to log in",
    ),
    key(
        "proxy.satisfy",
        Kind::Word(&["all", "any"]),
        false,
        "Whether a client must be in `proxy.clients` and log in (`all`, the default), or either is enough (`any`)",
    ),
    key("proxy.allow", Kind::List, false, "Patterns of the only hosts that clients of `larder proxy` may ask for"),
    key("proxy.deny", Kind::List, false, "Patterns of hosts that clients of `larder proxy` may not ask for"),
    key("proxy.connect_ports", Kind::List, false, "Ports that CONNECT may name; by default `80` and `443`"),
    key("proxy.connections", Kind::Count, false, "Most connections of all clients at a time; by default 4096"),
    key(
        "proxy.connections_per_client",
        Kind::Count,
        false,
        "Most connections of one client (address, or IPv6 network of 64 bits) at a time; by default 512",
    ),
    key(
        "proxy.admin",
        Kind::List,
        false,
        "Addresses for `/metrics` and `/healthz` of `larder proxy`, as in `127.0.0.1:9142`; by default none; also `--admin`",
    ),
    key("proxy.admin_clients", Kind::List, false, "Networks that may ask there, where it is not the loopback alone"),
    key(
        "proxy.admin_hosts",
        Kind::List,
        false,
        "Host names by which it may be asked, beside addresses and `localhost`",
    ),
    key(
        "proxy.access_log",
        Kind::Path,
        false,
        "File that `larder proxy` appends a JSON object a request to; also `--access-log`",
    ),
    key(
        "proxy.drain",
        Kind::Duration,
        false,
        "How long `larder proxy` lets requests finish when it is told to stop; by default `1m`",
    ),
    key(
        "cache.whole_for_range",
        Kind::Size,
        false,
        "Largest object of which a range fetches the whole; of larger ones, of more than an eighth of `cache.max_size` and of more than half of what is free on its disk the range alone is fetched",
    ),
    key(
        "bundle.public_keys",
        Kind::PublicKeys,
        false,
        "Public keys of minisign, or files of them; with any, bundles have to be signed with one of these; also `--public-key`",
    ),
    key("history.keep", Kind::Count, false, "Runs whose history and logs are kept, 0 for all"),
];

/// A value of a setting, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    List(Vec<String>),
    Mirrors(Mirrors),
    ProxyLogins(Vec<ProxyLoginSetting>),
    Map(BTreeMap<String, String>),
    Rules(Vec<UpstreamRule>),
    Tls(Vec<HostTls>),
}

impl Value {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            _ => 0,
        }
    }

    pub(super) fn into_list(self) -> Vec<String> {
        match self {
            Self::List(list) => list,
            _ => Vec::new(),
        }
    }

    pub(super) fn into_map(self) -> BTreeMap<String, String> {
        match self {
            Self::Map(map) => map,
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn into_proxy_logins(self) -> Vec<ProxyLoginSetting> {
        match self {
            Self::ProxyLogins(logins) => logins,
            _ => Vec::new(),
        }
    }

    pub(super) fn into_rules(self) -> Vec<UpstreamRule> {
        match self {
            Self::Rules(rules) => rules,
            _ => Vec::new(),
        }
    }

    pub(super) fn into_tls(self) -> Vec<HostTls> {
        match self {
            Self::Tls(all) => all,
            _ => Vec::new(),
        }
    }

    pub(super) fn into_mirrors(self) -> Mirrors {
        match self {
            Self::Mirrors(mirrors) => mirrors,
            _ => Mirrors::new(),
        }
    }
}

impl Key {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The variable that sets it: `LARDER_CACHE_MAX_SIZE`.
    pub fn variable(&self) -> String {
        format!("LARDER_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// The flag that sets it, without dashes: `cache-max-size`.
    pub fn flag(&self) -> String {
        self.name.trim_start_matches("proxy.").replace(['.', '_'], "-")
    }

    /// Reads a value from a variable or flag. The error says why it is none.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let separated = |by: char| text.split(by).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
        match self.kind {
            Kind::Text | Kind::Path | Kind::PathOrUrl(_) => Ok(Value::Text(text.to_owned())),
            Kind::Ways if text.is_empty() => Ok(Value::Text(String::new())),
            Kind::Ways => {
                routes(text, self.name).map_err(|error| error.to_string()).map(|_| Value::Text(text.to_owned()))
            }
            Kind::Rules | Kind::Tls => Err(format!("it is written in a settings file, as `[[{}]]`", self.name)),
            Kind::Word(words) => word(text, words),
            Kind::Switch => word(text, SWITCH),
            Kind::Count => {
                text.parse().map(Value::Number).map_err(|_| format!("{text} is not a whole number, 0 or more"))
            }
            Kind::Size => size(text).map(Value::Number),
            Kind::Duration => seconds(text).map(Value::Number),
            Kind::List => Ok(Value::List(separated(',').collect())),
            Kind::Paths | Kind::PublicKeys => Ok(Value::List(separated(':').collect())),
            Kind::Map => separated(',')
                .map(|pair| {
                    let (from, to) =
                        pair.split_once('=').ok_or_else(|| format!("{pair} is not of the form FROM=TO"))?;
                    Ok((from.trim().to_owned(), to.trim().to_owned()))
                })
                .collect::<Result<_, _>>()
                .map(Value::Map),
            Kind::ProxyLogins => proxy_login::of_text(text).map(Value::ProxyLogins),
            Kind::Mirrors => {
                let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
                mirrors::of_pairs(pairs).map(Value::Mirrors)
            }
        }
    }
}

fn word(text: &str, words: &[&str]) -> Result<Value, String> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    let near = did_you_mean(text, words.iter().copied()).map(|near| format!("; did you mean {near}?"));
    Err(format!("{text} is not one of: {}{}", words.join(", "), near.unwrap_or_default()))
}

/// Seconds from `30d`, `30m`, `1h30m`, `90s`, `0`.
pub fn seconds(text: &str) -> Result<u64, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()?.checked_mul(86_400));
    if let Some(length) = days {
        return Ok(length);
    }
    let length = duration::parse(text).and_then(|length| u64::try_from(length.as_secs()).ok());
    length.ok_or_else(|| format!("{text} is not a length of time: write 30m, 1h30m, 90s or 0"))
}

/// Bytes from `20G`, `512 MiB`, `1000000`; units are of 1024, `unlimited` is 0.
pub fn size(text: &str) -> Result<u64, String> {
    let error = || format!("{text} is not a size: write 20G, 512M or unlimited");
    if text == "unlimited" {
        return Ok(0);
    }
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| error())?;
    let unit = text[digits..].trim().to_ascii_uppercase();
    let shift = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(error()),
    };
    number.checked_mul(1 << shift).ok_or_else(error)
}
