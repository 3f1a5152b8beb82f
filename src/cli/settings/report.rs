//! Settings as they are shown: values as JSON, passwords left out.

use std::path::Path;

use serde_json::{Value, json};

use super::{Egress, Key, Settings, Source, Ui, key, mirrors, proxy_login, upstream};

impl Settings {
    /// The value of a setting as shown, and where it came from.
    pub fn shown(&self, key: &Key) -> (Value, &Source) {
        let path = |path: &Path| json!(path.to_string_lossy());
        match key.name {
            "cache_dir" => (path(&self.cache_dir.value), &self.cache_dir.source),
            "state_dir" => (path(&self.state_dir.value), &self.state_dir.source),
            "net" => (json!(self.net.value.as_str()), &self.net.source),
            "upstream_proxy" => {
                (json!(self.upstream_proxy.value.as_deref().map(without_password)), &self.upstream_proxy.source)
            }
            "upstream_pac" => {
                (json!(self.upstream_pac.value.as_deref().map(without_password)), &self.upstream_pac.source)
            }
            "upstream_pac_failure" => {
                let word = if self.upstream_pac_direct.value { "direct" } else { "fail" };
                (json!(word), &self.upstream_pac_direct.source)
            }
            "upstream" => (upstream::shown(&self.upstream.value), &self.upstream.source),
            "upstream_tls" => (upstream::shown_tls(&self.upstream_tls.value), &self.upstream_tls.source),
            "no_proxy" => (json!(self.no_proxy.value), &self.no_proxy.source),
            "anonymize" => (json!(self.anonymize.value), &self.anonymize.source),
            "anonymize_user_agent" => (json!(self.anonymize_user_agent.value), &self.anonymize_user_agent.source),
            "proxy_login" => (proxy_login::shown(&self.proxy_login.value), &self.proxy_login.source),
            "ca_files" => (self.ca_files.value.iter().map(|file| path(file)).collect(), &self.ca_files.source),
            "mirrors" => (mirrors::shown(&self.mirrors.value), &self.mirrors.source),
            "rules" => (json!(self.rules.value), &self.rules.source),
            "upstream_min_rate" => (json!(self.upstream_min_rate.value), &self.upstream_min_rate.source),
            "upstream_timeout" => {
                (json!(self.upstream_timeout.value.map(|limit| limit.as_secs())), &self.upstream_timeout.source)
            }
            "tunnel" => (json!(self.tunnel.value), &self.tunnel.source),
            "egress" => (json!(egress_word(self.egress.value)), &self.egress.source),
            "parallel_builds" => (json!(self.parallel_builds.value), &self.parallel_builds.source),
            "ask_timeout" => {
                (json!(self.ask_timeout.value.map_or(0, |limit| limit.as_secs())), &self.ask_timeout.source)
            }
            "ui" => (json!(ui_word(self.ui.value)), &self.ui.source),
            "log" => (json!(self.log.value), &self.log.source),
            "cache.max_size" => (json!(self.cache_max_size.value), &self.cache_max_size.source),
            "cache.max_age" => {
                (json!(self.cache_max_age.value.map_or(0, |age| age.as_secs())), &self.cache_max_age.source)
            }
            "cache.min_free" => (json!(self.cache_min_free.value), &self.cache_min_free.source),
            "cache.whole_for_range" => (json!(self.cache_whole_for_range.value), &self.cache_whole_for_range.source),
            "bundle.public_keys" => (json!(self.bundle_public_keys.value), &self.bundle_public_keys.source),
            "history.keep" => (json!(self.history_keep.value), &self.history_keep.source),
            name => {
                self.tui.shown(name).or_else(|| self.service.shown(name)).unwrap_or((Value::Null, &Source::Default))
            }
        }
    }
}

impl Source {
    /// What kind of source it is, in a word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::User(_) => "user",
            Self::Project(_) => "project",
            Self::Env(_) => "variable",
            Self::Flag(_) => "option",
        }
    }
}

/// Nothing for the best that can be had.
fn egress_word(egress: Egress) -> Option<&'static str> {
    match egress {
        Egress::Best => None,
        Egress::Enforced => Some("enforced"),
        Egress::Observed => Some("observed"),
    }
}

fn ui_word(ui: Ui) -> &'static str {
    match ui {
        Ui::Auto => "auto",
        Ui::Tui => "tui",
        Ui::Plain => "plain",
        Ui::Json => "json",
        Ui::Machine => "machine",
        Ui::Quiet => "quiet",
    }
}

/// A value of a file as shown.
pub(super) fn of_value(value: &key::Value) -> Value {
    match value {
        key::Value::Text(text) => json!(without_password(text)),
        key::Value::Number(number) => json!(number),
        key::Value::List(list) => json!(list),
        key::Value::Mirrors(all) => mirrors::shown(all),
        key::Value::ProxyLogins(all) => proxy_login::shown(all),
        key::Value::Map(map) => json!(map),
        key::Value::Rules(rules) => upstream::shown(rules),
        key::Value::Tls(all) => upstream::shown_tls(all),
    }
}

/// Text with another word in place of the password of each URL in it; an upstream proxy's may have no scheme.
pub(super) fn without_password(text: &str) -> String {
    let one = |word: &str| {
        let (scheme, rest) = word.split_once("://").map_or(("", word), |(scheme, rest)| (scheme, rest));
        let (login, host) = rest.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        let mark = if scheme.is_empty() { "" } else { "://" };
        Some(format!("{scheme}{mark}{user}:<sensitive>@{host}"))
    };
    let words = text.split_inclusive(|c: char| c.is_whitespace() || c == '>');
    words
        .map(|word| {
            let end = word.trim_end_matches(|c: char| c.is_whitespace() || c == '>').len();
            let (word, rest) = word.split_at(end);
            one(word).unwrap_or_else(|| word.to_owned()) + rest
        })
        .collect()
}

/// A value on one line for people.
pub fn line(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(line).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => "-".to_owned(),
        Value::Object(map) => {
            map.iter().map(|(from, to)| format!("{from}={}", line(to))).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("http://user:p%40ss@proxy.example.org:3128", "http://user:<sensitive>@proxy.example.org:3128"),
            ("http://proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("info,larder=debug", "info,larder=debug"),
            (
                "u:p@h:1, socks5://u:p/@h > https://x:y@b",
                "u:<sensitive>@h:1, socks5://u:<sensitive>@h > https://x:<sensitive>@b",
            ),
            ("http://user@h:1>http://a:b@c", "http://user@h:1>http://a:<sensitive>@c"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
