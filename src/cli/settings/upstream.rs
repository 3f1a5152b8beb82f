//! The settings `upstream` and `upstream_tls`: which way leads to which host, and TLS with single hosts.

use std::path::PathBuf;

use larder_proxy::host_pattern::HostPattern;
use larder_proxy::upstream::host_tls::{ClientIdentity, HostTls, Pin};
use larder_proxy::upstream::route::{Order, Route, routes};
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{Reader, kind_name};
use crate::error::{Error, Result};
use crate::template::diagnostic::did_you_mean;

/// What is done for some targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRule {
    /// Which hosts; none for all.
    pub hosts: Vec<HostPattern>,
    /// Which ports; none for all.
    pub ports: Vec<u16>,
    /// How the path begins.
    pub path: Option<String>,
    /// A regular expression found in the path.
    pub path_regex: Option<String>,
    /// What is done.
    pub to: To,
    /// Which of several ways is tried first.
    pub order: Order,
    /// `file:line:column`.
    pub place: String,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Takes one of these ways.
    Routes(Vec<Route>),
    /// Asks a PAC script: a file, a URL or `wpad`.
    Pac(String),
    /// Refuses.
    Refuse,
}

const RULE_KEYS: [&str; 7] = ["host", "port", "path", "path_regex", "to", "pac", "order"];
const TLS_KEYS: [&str; 4] = ["host", "certificate", "key", "pins"];
const ORDERS: [(&str, Order); 3] =
    [("ordered", Order::Ordered), ("sticky", Order::Sticky), ("rotating", Order::Rotating)];

/// Reads `[[upstream]]`.
pub(super) fn rules(reader: &Reader<'_>, items: &[Spanned<DeValue<'_>>]) -> Result<Vec<UpstreamRule>> {
    items.iter().map(|item| rule(reader, item)).collect()
}

/// Reads `[[upstream_tls]]`.
pub(super) fn tls(reader: &Reader<'_>, items: &[Spanned<DeValue<'_>>]) -> Result<Vec<HostTls>> {
    items.iter().map(|item| one_tls(reader, item)).collect()
}

fn rule(reader: &Reader<'_>, item: &Spanned<DeValue<'_>>) -> Result<UpstreamRule> {
    let table = Table::of(reader, "upstream", item)?;
    let mut rule = UpstreamRule {
        hosts: Vec::new(),
        ports: Vec::new(),
        path: None,
        path_regex: None,
        to: To::Refuse,
        order: Order::Ordered,
        place: reader.place(item.span()),
    };
    let mut to = None;
    for (key, value) in table.entries(&RULE_KEYS)? {
        match key {
            "host" => rule.hosts = table.hosts(value)?,
            "port" => rule.ports = table.ports(value)?,
            "path" => rule.path = Some(table.path(value)?),
            "path_regex" => {
                let text = table.text(key, value)?;
                regex::Regex::new(&text)
                    .map_err(|error| reader.error(value.span(), &format!("`path_regex` cannot be used: {error}")))?;
                rule.path_regex = Some(text);
            }
            "order" => {
                let text = table.text(key, value)?;
                let found = ORDERS.iter().find(|(name, _)| *name == text);
                let wrong = || reader.error(value.span(), "`order` is `ordered`, `sticky` or `rotating`");
                rule.order = found.ok_or_else(wrong)?.1;
            }
            _ if to.is_some() => {
                return Err(reader.error(value.span(), "a rule has either `to` or `pac`, and one of it"));
            }
            "pac" => to = Some(To::Pac(table.pac(value)?)),
            _ => to = Some(table.to(value)?),
        }
    }
    if rule.path.is_some() && rule.path_regex.is_some() {
        return Err(reader.error(item.span(), "a rule of `upstream` has either `path` or `path_regex`"));
    }
    rule.to = to.ok_or_else(|| {
        reader
            .error(item.span(), "a rule of `upstream` says nothing of what is to be done")
            .hint("add `to = \"direct\"`, `to = \"http://HOST:PORT\"`, `to = \"refuse\"`, or `pac = \"FILE\"`")
    })?;
    Ok(rule)
}

fn one_tls(reader: &Reader<'_>, item: &Spanned<DeValue<'_>>) -> Result<HostTls> {
    let table = Table::of(reader, "upstream_tls", item)?;
    let mut own = HostTls { hosts: Vec::new(), identity: None, pins: Vec::new() };
    let (mut certificate, mut key_file) = (None, None);
    for (key, value) in table.entries(&TLS_KEYS)? {
        match key {
            "host" => own.hosts = table.hosts(value)?,
            "certificate" => certificate = Some(PathBuf::from(reader.resolve(&table.text(key, value)?))),
            "key" => key_file = Some(PathBuf::from(reader.resolve(&table.text(key, value)?))),
            _ => {
                let read = |(text, value): (String, &Spanned<DeValue<'_>>)| {
                    Pin::parse(&text).map_err(|error| reader.error(value.span(), &error.to_string()))
                };
                own.pins = table.texts(key, value)?.into_iter().map(read).collect::<Result<_>>()?;
            }
        }
    }
    own.identity = match (certificate, key_file) {
        (Some(certificate), key) => {
            let key = key.unwrap_or_else(|| certificate.clone());
            Some(ClientIdentity { certificate, key })
        }
        (None, None) => None,
        (None, Some(_)) => return Err(reader.error(item.span(), "`upstream_tls` has a `key`, and no `certificate`")),
    };
    if own.hosts.is_empty() {
        return Err(reader.error(item.span(), "`upstream_tls` names no `host`"));
    }
    if own.identity.is_none() && own.pins.is_empty() {
        return Err(reader.error(item.span(), "`upstream_tls` has neither `certificate` nor `pins`"));
    }
    Ok(own)
}

/// A table of one of the two settings, for what is said where it is wrong.
struct Table<'a> {
    reader: &'a Reader<'a>,
    setting: &'static str,
    content: &'a DeTable<'a>,
}

type Item<'a> = Spanned<DeValue<'a>>;

impl<'a> Table<'a> {
    fn of(reader: &'a Reader<'a>, setting: &'static str, item: &'a Item<'a>) -> Result<Self> {
        match item.get_ref() {
            DeValue::Table(content) => Ok(Self { reader, setting, content }),
            other => Err(reader.error(
                item.span(),
                &format!("`{setting}` holds tables, written `[[{setting}]]`, not {}", kind_name(other)),
            )),
        }
    }

    fn entries(&self, keys: &[&'static str]) -> Result<Vec<(&'static str, &'a Item<'a>)>> {
        let one = |(key, value): (&Spanned<_>, &'a Item<'a>)| {
            let name: &str = AsRef::<str>::as_ref(key.get_ref());
            if let Some(known) = keys.iter().find(|known| **known == name) {
                return Ok((*known, value));
            }
            let near = did_you_mean(name, keys.iter().copied());
            let hint = near
                .map_or_else(|| format!("there are: {}", keys.join(", ")), |near| format!("did you mean `{near}`?"));
            Err(self.reader.error(key.span(), &format!("`{}` has no `{name}`", self.setting)).hint(hint))
        };
        self.content.iter().map(one).collect()
    }

    fn wrong(&self, key: &str, value: &Item<'_>, expected: &str) -> Error {
        let what = format!("`{key}` of `{}` is {expected}, not {}", self.setting, kind_name(value.get_ref()));
        self.reader.error(value.span(), &what)
    }

    fn text(&self, key: &str, value: &Item<'_>) -> Result<String> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.clone().into_owned()),
            _ => Err(self.wrong(key, value, "a string")),
        }
    }

    fn list<'b>(value: &'b Item<'b>) -> Vec<&'b Item<'b>> {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        }
    }

    /// A text or several, each with its place.
    fn texts<'b>(&self, key: &str, value: &'b Item<'b>) -> Result<Vec<(String, &'b Item<'b>)>> {
        let one = |item: &'b Item<'b>| match item.get_ref() {
            DeValue::String(text) => Ok((text.clone().into_owned(), item)),
            _ => Err(self.wrong(key, item, "a string, or a list of strings")),
        };
        Self::list(value).into_iter().map(one).collect()
    }

    fn hosts(&self, value: &Item<'_>) -> Result<Vec<HostPattern>> {
        let read = |(text, item): (String, &Item<'_>)| {
            text.parse().map_err(|error| self.reader.error(item.span(), &format!("cannot use `host`: {error}")))
        };
        self.texts("host", value)?.into_iter().map(read).collect()
    }

    fn ports(&self, value: &Item<'_>) -> Result<Vec<u16>> {
        let read = |item: &Item<'_>| match item.get_ref() {
            DeValue::Integer(number) => number.to_string().parse().ok(),
            _ => None,
        };
        let wrong =
            |item: &Item<'_>| self.reader.error(item.span(), "`port` is a number up to 65535, or a list of them");
        Self::list(value).into_iter().map(|item| read(item).ok_or_else(|| wrong(item))).collect()
    }

    fn path(&self, value: &Item<'_>) -> Result<String> {
        let text = self.text("path", value)?;
        if text.starts_with('/') {
            return Ok(text);
        }
        Err(self
            .reader
            .error(value.span(), "`path` is how the path begins, and so begins with `/`")
            .hint("for anything else, there is `path_regex`"))
    }

    fn to(&self, value: &Item<'_>) -> Result<To> {
        let texts = self.texts("to", value)?;
        if let [(word, _)] = texts.as_slice()
            && word == "refuse"
        {
            return Ok(To::Refuse);
        }
        let mut all = Vec::new();
        for (text, item) in texts {
            let found = routes(&text, "to");
            all.extend(found.map_err(|error| self.reader.error(item.span(), &error.to_string()))?);
        }
        if all.is_empty() {
            return Err(self.reader.error(value.span(), "`to` names no way").hint("write `to = \"direct\"` for none"));
        }
        Ok(To::Routes(all))
    }

    fn pac(&self, value: &Item<'_>) -> Result<String> {
        let text = self.text("pac", value)?;
        Ok(if text.contains("://") || text == "wpad" { text } else { self.reader.resolve(&text) })
    }
}

/// Rules as shown: without users and passwords.
pub(super) fn shown(rules: &[UpstreamRule]) -> Value {
    rules.iter().map(UpstreamRule::described).collect()
}

impl UpstreamRule {
    /// By the keys of a settings file.
    fn described(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
        if !self.hosts.is_empty() {
            put("host", self.hosts.iter().map(ToString::to_string).collect());
        }
        if !self.ports.is_empty() {
            put("port", json!(self.ports));
        }
        if let Some(path) = &self.path {
            put("path", json!(path));
        }
        if let Some(regex) = &self.path_regex {
            put("path_regex", json!(regex));
        }
        match &self.to {
            To::Routes(routes) => {
                put(
                    "to",
                    routes.iter().map(|route| route.to_string().trim_start_matches("proxy ").to_owned()).collect(),
                );
            }
            To::Pac(script) => put("pac", json!(super::report::without_password(script))),
            To::Refuse => put("to", json!("refuse")),
        }
        if let Some((name, _)) = ORDERS.iter().find(|(_, order)| *order == self.order && self.order != Order::Ordered) {
            put("order", json!(name));
        }
        Value::Object(all)
    }
}

/// TLS with single hosts as shown: files by their names.
pub(super) fn shown_tls(all: &[HostTls]) -> Value {
    let one = |own: &HostTls| {
        let mut shown = json!({ "host": own.hosts.iter().map(ToString::to_string).collect::<Vec<_>>() });
        if let Some(identity) = &own.identity {
            shown["certificate"] = json!(identity.certificate.to_string_lossy());
            shown["key"] = json!(identity.key.to_string_lossy());
        }
        if !own.pins.is_empty() {
            shown["pins"] = own.pins.iter().map(ToString::to_string).collect();
        }
        shown
    };
    all.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::key;
    use super::*;

    fn parse(text: &str) -> Result<BTreeMap<&'static str, key::Value>> {
        super::super::file::parse(Path::new("/p/larder.toml"), text, Path::new("/home/u"))
    }

    fn wrong(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert!(!error.to_string().contains("geheim"), "{error}");
        error.to_string()
    }

    #[test]
    fn rules_are_read() {
        let text = "[[upstream]]\nhost = [\"*.corp.example.org\", \"10.0.0.1\"]\nport = 443\nto = \"direct\"\n\
                    [[upstream]]\npath_regex = '\\.deb$'\nto = [\"http://u:geheim@a:3128 > socks5h://b\", \"direct\"]\n\
                    order = \"sticky\"\n[[upstream]]\npath = \"/x\"\npac = \"proxy.pac\"\n[[upstream]]\nto = \"refuse\"\n";
        let values = parse(text).unwrap();
        let key::Value::Rules(rules) = &values["upstream"] else { panic!("{values:?}") };
        assert_eq!(rules.len(), 4);
        assert_eq!((rules[0].hosts.len(), rules[0].ports.as_slice()), (2, &[443][..]));
        assert_eq!(rules[0].place, "/p/larder.toml:1:1");
        assert_eq!(rules[2].to, To::Pac("/p/proxy.pac".to_owned()));
        assert_eq!(rules[3].to, To::Refuse);
        let shown = shown(rules).to_string();
        let expected =
            r#"{"order":"sticky","path_regex":"\\.deb$","to":["http://a:3128 > socks5h://b:1080","direct"]}"#;
        assert!(shown.contains(expected), "{shown}");
        assert!(!format!("{values:?}").contains("geheim"));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_told_with_its_place() {
        for (text, expected) in [
            (
                "upstream = 1",
                "larder.toml:1:12: `upstream` is a list of tables, written `[[upstream]]`, not a whole number",
            ),
            ("[[upstream]]\nhots = \"x\"", "larder.toml:2:1: `upstream` has no `hots`"),
            ("[[upstream]]\nhost = \"a/b\"\nto = \"direct\"", "larder.toml:2:8: cannot use `host`"),
            ("[[upstream]]\nport = [80, 70000]\nto = \"direct\"", "larder.toml:2:13: `port` is a number"),
            ("[[upstream]]\npath = \"x\"\nto = \"direct\"", "larder.toml:2:8: `path` is how the path begins"),
            ("[[upstream]]\npath_regex = \"(\"\nto = \"direct\"", "larder.toml:2:14: `path_regex` cannot be used"),
            (
                "[[upstream]]\nto = [\"direct\", \"quic://u:geheim@h\"]",
                "larder.toml:2:17: the upstream proxy's address (of to)",
            ),
            ("[[upstream]]\nto = \"a:1 > direct\"", "larder.toml:2:6:"),
            ("[[upstream]]\nto = \"direct\"\norder = \"any\"", "larder.toml:3:9: `order` is"),
            ("[[upstream]]\nto = \"direct\"\npac = \"x\"", "either `to` or `pac`"),
            ("[[upstream]]\nhost = \"x\"", "larder.toml:1:1: a rule of `upstream` says nothing"),
            ("upstream_proxy = \"quic://u:geheim@h\"", "larder.toml:1:18: cannot use `upstream_proxy`"),
            ("upstream_proxy = [\"a:1\", 7]", "larder.toml:1:26: `upstream_proxy` holds strings"),
        ] {
            let error = wrong(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn tls_with_single_hosts_is_read() {
        let pin = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let text =
            format!("[[upstream_tls]]\nhost = \"*.example.org\"\ncertificate = \"me.pem\"\npins = [\"{pin}\"]\n");
        let values = parse(&text).unwrap();
        let key::Value::Tls(all) = &values["upstream_tls"] else { panic!("{values:?}") };
        let identity = all[0].identity.as_ref().unwrap();
        assert_eq!(
            (identity.certificate.as_path(), identity.key.as_path()),
            (Path::new("/p/me.pem"), Path::new("/p/me.pem"))
        );
        assert_eq!(all[0].pins[0].to_string(), pin);
        for (text, expected) in [
            ("host = \"x\"\nkey = \"k\"", "1:1: `upstream_tls` has a `key`, and no"),
            ("certificate = \"k\"", "names no `host`"),
            ("host = \"x\"", "neither `certificate` nor `pins`"),
            ("host = \"x\"\npins = \"sha1//x\"", "3:8: sha1//x is not a pinned key"),
        ] {
            let error = wrong(&format!("[[upstream_tls]]\n{text}"));
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
