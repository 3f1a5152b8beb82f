//! From settings to a proxy.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use larder_proxy::cache::{Keep, Mode};
use larder_proxy::config::Config;
use larder_proxy::host_pattern::HostPattern;
use larder_proxy::rules::{Rules, UserRule};
use larder_proxy::upstream::anonymize::Anonymize;
use larder_proxy::upstream::route::{Choice, NoProxy, PathPattern, Pool, RouteRule, Upstream};
use sha2::{Digest as _, Sha256};

use super::Env;
use super::settings::upstream::{To, UpstreamRule};
use super::settings::{Net, Settings};
use super::{apt_proxy, mirrors, pac, proxy_login};
use crate::error::{Context as _, Error, Result};

/// The most threads that serve connections.
const FRONTS: usize = larder_proxy::spread::PLACES;

/// The proxy's configuration for work in `project`, a directory.
pub(super) fn config(settings: &Settings, env: &Env, project: &Path) -> Result<Config> {
    let mut config = Config::new(ca_dir(&settings.state_dir.value, project));
    config.cache_dir = Some(settings.cache_dir.value.clone());
    config.cache_keep = Keep {
        max_bytes: settings.cache_max_size.value,
        max_age: settings.cache_max_age.value,
        min_free: settings.cache_min_free.value,
        whole_for_range: Some(settings.cache_whole_for_range.value.unwrap_or(u64::MAX)),
    };
    config.mode = match settings.net.value {
        Net::Cache => Mode::Cache,
        Net::Offline => Mode::Offline,
    };
    config.upstream = upstream(settings, env)?;
    config.anonymize = anonymize(settings)?;
    config.proxy_logins = proxy_login::load(settings, env)?;
    config.host_tls.clone_from(&settings.upstream_tls.value);
    config.extra_roots.clone_from(&settings.ca_files.value);
    // Beyond this there is nothing that threads would not share again.
    config.fronts = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(FRONTS);
    config.timeouts.min_rate = settings.upstream_min_rate.value;
    if let Some(limit) = settings.upstream_timeout.value {
        config.timeouts.connect = config.timeouts.connect.min(limit);
        config.timeouts.head = limit;
        config.timeouts.idle = limit;
    }
    for (from, to) in &settings.mirrors.value {
        let rule = mirrors::load::rule(from, to, env)
            .context(|| format!("cannot use the mirror for {from} ({})", settings.mirrors.source))?;
        config.mirrors.push(rule);
    }
    config.rules = user_rules(settings)?;
    for pattern in &settings.tunnel.value {
        let pattern: HostPattern = pattern
            .parse()
            .context(|| format!("cannot use the tunnel rule {pattern:?} ({})", settings.tunnel.source))?;
        config.tunnel.push(pattern);
    }
    Ok(config)
}

fn anonymize(settings: &Settings) -> Result<Option<Anonymize>> {
    let agent = &settings.anonymize_user_agent;
    let made = Anonymize::new(agent.value.as_deref())
        .context(|| format!("cannot use anonymize_user_agent ({})", agent.source))?;
    Ok(Some(made).filter(|_| settings.anonymize.value))
}

fn user_rules(settings: &Settings) -> Result<Vec<UserRule>> {
    let rule = |(pattern, what): (&String, &String)| {
        UserRule::parse(pattern, what).context(|| format!("cannot use the rules ({})", settings.rules.source))
    };
    settings.rules.value.iter().map(rule).collect()
}

/// The rules by which the cache judges URLs.
pub(super) fn rules(settings: &Settings) -> Result<Rules> {
    Rules::new(&user_rules(settings)?).context(|| format!("cannot use the rules ({})", settings.rules.source))
}

fn upstream(settings: &Settings, env: &Env) -> Result<Upstream> {
    let mut upstream = default_way(settings, env)?;
    upstream.rules = settings.upstream.value.iter().map(|rule| route_rule(rule, settings)).collect::<Result<_>>()?;
    Ok(upstream)
}

/// The way where no rule says another.
fn default_way(settings: &Settings, env: &Env) -> Result<Upstream> {
    let (proxy, pac_setting) = (&settings.upstream_proxy, &settings.upstream_pac);
    let nearer = match (&proxy.value, &pac_setting.value) {
        (Some(_), Some(_)) if proxy.source.rank() == pac_setting.source.rank() => {
            let message = format!("upstream_proxy and upstream_pac are both set ({})", proxy.source);
            return Err(Error::new(message).hint("keep the one that is meant; the other can be an empty string"));
        }
        (_, Some(place)) => {
            Some(place).filter(|_| proxy.value.is_none() || pac_setting.source.rank() > proxy.source.rank())
        }
        _ => None,
    };
    if let Some(place) = nearer {
        let choice = Choice::Found(pac::script(settings, place, &format!("upstream_pac ({})", pac_setting.source))?);
        let no_proxy = NoProxy::parse(&settings.no_proxy.value.join(","));
        return Ok(Upstream { http: choice.clone(), https: choice, no_proxy, ..Upstream::default() });
    }
    match &proxy.value {
        Some(word) if word == apt_proxy::WORD => apt_proxy::upstream(&settings.no_proxy.value),
        Some(text) => Upstream::of_text(text, &settings.no_proxy.value.join(","), "upstream_proxy")
            .context(|| format!("cannot use the upstream proxy ({})", settings.upstream_proxy.source)),
        None => Upstream::from_env(|name| variable(env, name))
            .context(|| "cannot use the upstream proxy of the environment".to_owned()),
    }
}

fn route_rule(rule: &UpstreamRule, settings: &Settings) -> Result<RouteRule> {
    let path = match (&rule.path, &rule.path_regex) {
        (Some(prefix), _) => Some(PathPattern::Prefix(prefix.clone())),
        (None, Some(text)) => {
            let regex = regex::Regex::new(text).context(|| format!("cannot use `path_regex` ({})", rule.place))?;
            Some(PathPattern::Regex(regex))
        }
        (None, None) => None,
    };
    let choice = match &rule.to {
        To::Routes(routes) => Choice::Pool(Pool::new(routes.clone(), rule.order)),
        To::Refuse => Choice::Refused,
        To::Pac(script) => Choice::Found(pac::script(settings, script, &format!("`pac` ({})", rule.place))?),
    };
    let (hosts, ports, origin) = (rule.hosts.clone(), rule.ports.clone(), rule.place.clone());
    Ok(RouteRule { hosts, ports, path, choice, origin })
}

/// A variable of the proxy's. `HTTP_PROXY` in capitals is heeded as Packer and Go heed it: not where a web server
/// could have set it from a request's header.
fn variable(env: &Env, name: &str) -> Option<String> {
    let capitals = || env.get("HTTP_PROXY").filter(|_| name == "http_proxy" && !env.contains_key("REQUEST_METHOD"));
    env.get(name).or_else(capitals).cloned()
}

/// One CA for a project: who trusts it in one does not trust it in another.
fn ca_dir(state_dir: &Path, project: &Path) -> PathBuf {
    let digest = Sha256::digest(project.as_os_str().as_encoded_bytes());
    state_dir.join("ca").join(&hex::encode(digest)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_are_heeded_where_no_web_server_sets_them() {
        let mut env = Env::from([("HTTP_PROXY".to_owned(), "http://a:1".to_owned())]);
        assert_eq!(variable(&env, "http_proxy").as_deref(), Some("http://a:1"));
        assert_eq!(variable(&env, "https_proxy"), None);
        env.insert("http_proxy".to_owned(), "http://b:1".to_owned());
        assert_eq!(variable(&env, "http_proxy").as_deref(), Some("http://b:1"));
        env.remove("http_proxy");
        env.insert("REQUEST_METHOD".to_owned(), "GET".to_owned());
        assert_eq!(variable(&env, "http_proxy"), None);
    }
}
