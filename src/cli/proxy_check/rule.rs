//! Which setting leads a URL where it goes.

use larder_proxy::upstream::route::NoProxy;

use crate::cli::Env;
use crate::cli::settings::{Settings, Source};

/// Why a URL goes by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A setting, or a variable that every program heeds, names a proxy; and where that is said.
    Proxy(String),
    /// A list of hosts that are near has it; and where that is.
    NoProxy(String),
    /// Nothing is said.
    Nothing,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Proxy(from) => write!(f, "by {from}"),
            Self::NoProxy(from) => write!(f, "by {from}, which lists it"),
            Self::Nothing => f.write_str("no upstream proxy is set"),
        }
    }
}

/// The rule for a host and port.
pub(super) fn of(settings: &Settings, env: &Env, tls: bool, host: &str, port: u16) -> Rule {
    let (proxy, pac) = (&settings.upstream_proxy, &settings.upstream_pac);
    if proxy.value.is_some() || pac.value.is_some() {
        let near = NoProxy::parse(&settings.no_proxy.value.join(",")).matches(host, port);
        let by_pac = pac.value.is_some() && (proxy.value.is_none() || pac.source.rank() > proxy.source.rank());
        return match (near, by_pac) {
            (true, _) => Rule::NoProxy(named("no_proxy", &settings.no_proxy.source)),
            (_, true) => Rule::Proxy(named("upstream_pac", &pac.source)),
            (_, false) => Rule::Proxy(named("upstream_proxy", &proxy.source)),
        };
    }
    let set = |name: &&&str| env.get(**name).is_some_and(|value| !value.trim().is_empty());
    let names: &[&str] = if tls {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    };
    let Some(name) = names.iter().find(set) else { return Rule::Nothing };
    let near = ["no_proxy", "NO_PROXY"].into_iter().find(|name| env.contains_key(*name));
    match near {
        Some(list) if NoProxy::parse(&env[list]).matches(host, port) => Rule::NoProxy(format!("the variable {list}")),
        _ => Rule::Proxy(format!("the variable {name}")),
    }
}

fn named(key: &str, source: &Source) -> String {
    format!("`{key}` ({source})")
}
