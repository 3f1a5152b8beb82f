//! The proxy that the host's apt is set to use, for who says so by `upstream_proxy = "apt"`.
//!
//! It is not used unasked: often it is a cache for packages alone, which refuses everything else.

use std::process::Command;

use larder_proxy::upstream::route::{Choice, NoProxy, ProxyUrl, Route, Upstream};

use crate::error::{Context as _, Error, Result};

/// The word for it in `upstream_proxy`.
pub(super) const WORD: &str = "apt";

const SETTING: &str = "apt's Acquire::http::Proxy";

/// The way that apt takes, by its own configuration.
pub(super) fn upstream(no_proxy: &[String]) -> Result<Upstream> {
    let output = Command::new("apt-config").arg("dump").env("LC_ALL", "C").output();
    let output = output.context(|| "cannot ask apt for its proxy: apt-config does not run".to_owned())?;
    if !output.status.success() {
        return Err(Error::new(format!("cannot ask apt for its proxy: apt-config dump ended with {}", output.status))
            .hint("run it to see why, or name the proxy by its URL in upstream_proxy"));
    }
    of_dump(&String::from_utf8_lossy(&output.stdout), no_proxy)
}

/// Reads the lines `Acquire::http::Proxy "http://proxy.example.org:3128";` of `apt-config dump`. For `https`, apt takes
/// the settings for `http` where there are none of its own.
fn of_dump(text: &str, no_proxy: &[String]) -> Result<Upstream> {
    let settings: Vec<(String, &str)> = text.lines().filter_map(setting).collect();
    let value = |name: &str| settings.iter().rev().find(|(other, _)| other == name).map(|(_, value)| *value);
    let of_scheme = |scheme: &str| value(&format!("acquire::{scheme}::proxy")).filter(|value| !value.is_empty());
    let http = of_scheme("http");
    let https = of_scheme("https").or(http);
    let detects =
        ["proxy-auto-detect", "proxyautodetect"].iter().find_map(|name| value(&format!("acquire::http::{name}")));
    if let (None, Some(program)) = (http, detects.filter(|program| !program.is_empty())) {
        return Err(Error::new(format!("apt asks the program {program} for its proxy, which Larder does not run"))
            .hint("run it for a URL, and put the proxy that it names into upstream_proxy"));
    }
    let choice = |value: Option<&str>| match value.filter(|value| !value.eq_ignore_ascii_case("direct")) {
        None => Ok(Choice::default()),
        Some(value) => ProxyUrl::parse(value, SETTING).map(|proxy| Choice::from(Route::by(proxy))),
    };
    let mut direct = no_proxy.to_vec();
    for (name, value) in &settings {
        let scheme = name.strip_prefix("acquire::http::proxy::").or(name.strip_prefix("acquire::https::proxy::"));
        let Some(host) = scheme.filter(|host| !host.is_empty()) else { continue };
        if !value.eq_ignore_ascii_case("direct") {
            return Err(Error::new(format!("apt has a proxy of its own for {host}, which Larder does not take over"))
                .hint("name the proxies in Larder's own settings instead of upstream_proxy = \"apt\""));
        }
        direct.push(host.to_owned());
    }
    let (http, https) = (choice(http), choice(https));
    let context = || "cannot use the proxy of apt's configuration".to_owned();
    let no_proxy = NoProxy::parse(&direct.join(","));
    Ok(Upstream { http: http.context(context)?, https: https.context(context)?, no_proxy, ..Upstream::default() })
}

/// `Name::In::Parts "value";`, the name in small letters.
fn setting(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim().strip_suffix(';')?.split_once(' ')?;
    Some((name.to_ascii_lowercase(), value.trim().strip_prefix('"')?.strip_suffix('"')?))
}

#[cfg(test)]
mod tests {
    use larder_proxy::upstream::route::Target;

    use super::*;

    async fn ways(dump: &str) -> String {
        let upstream = of_dump(dump, &["own.example.org".to_owned()]).unwrap();
        let mut found = Vec::new();
        for url in
            ["http://a.example.org/", "https://a.example.org/", "http://direct.example.org/", "http://own.example.org/"]
        {
            let target = Target::of(&url.parse().unwrap()).unwrap();
            found.push(upstream.candidates(&target).await.unwrap()[0].to_string());
        }
        found.join(", ")
    }

    #[tokio::test]
    async fn the_proxy_of_apt_is_taken_over() {
        let table = [
            ("APT \"\";\nAcquire \"\";\n", "direct, direct, direct, direct"),
            (
                "Acquire::http::Proxy \"http://p.example.org:3128/\";\nAcquire::http::Proxy::direct.example.org \"DIRECT\";\n",
                "proxy http://p.example.org:3128, proxy http://p.example.org:3128, direct, direct",
            ),
            (
                "acquire::HTTP::proxy \"http://a:1\";\nAcquire::https::Proxy \"socks5h://b:2\";\n",
                "proxy http://a:1, proxy socks5h://b:2, proxy http://a:1, direct",
            ),
            (
                "Acquire::http::Proxy \"http://a:1\";\nAcquire::https::Proxy \"DIRECT\";\n",
                "proxy http://a:1, direct, proxy http://a:1, direct",
            ),
            (
                "Acquire::http::Proxy \"http://a:1\";\nAcquire::http::Proxy \"http://b:1\";\n",
                "proxy http://b:1, proxy http://b:1, proxy http://b:1, direct",
            ),
        ];
        for (dump, expected) in table {
            assert_eq!(ways(dump).await, expected, "{dump}");
        }
    }

    #[test]
    fn what_cannot_be_taken_over_is_said() {
        for (dump, expected) in [
            ("Acquire::http::Proxy-Auto-Detect \"/usr/bin/detect\";\n", "/usr/bin/detect"),
            ("Acquire::http::Proxy \"http://u:geheim@\";\n", "Acquire::http::Proxy"),
            ("Acquire::http::Proxy::a.example.org \"http://u:geheim@b:1\";\n", "a.example.org"),
        ] {
            let said = format!("{:?}", of_dump(dump, &[]).unwrap_err());
            assert!(said.contains(expected) && !said.contains("geheim"), "{said}");
        }
    }
}
