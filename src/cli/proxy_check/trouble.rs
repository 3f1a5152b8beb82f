//! What a failure on the way out means, and what to do next: for `larder proxy check` and for `larder doctor`.

use http::Uri;
use larder_proxy::origin::{Phase, UpstreamError};
use larder_proxy::upstream::certificates::Root;

use super::rule::Rule;
use super::target;
use super::told::Asked;
use crate::cli::settings::Settings;

/// What is wrong, as far as it can be told from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The proxy asks for a password, and none is set.
    NoCredentials,
    /// It does not take the one that is set.
    WrongCredentials,
    /// It asks for a ticket of Kerberos, and there is none, or none that holds.
    NoTicket,
    /// It offers nothing that Larder can answer, or may.
    Scheme,
    /// Nobody listens there, or it cannot be reached.
    ProxyDown,
    /// Its name has no address.
    ProxyUnknown,
    /// It answers, and says no.
    ProxyRefuses(u16),
    /// The PAC script cannot be had, or fails.
    Pac,
    /// A list of near hosts keeps this one from the proxy, and it cannot be reached without.
    NoProxy(String),
    /// No proxy is set, and there is no way without.
    NoWay,
    /// A certificate comes from an authority that is not trusted here.
    MissingRoot(String),
    /// A certificate is wrong in another way.
    Certificate,
    /// Anything else: the words of the error say it.
    Other,
}

impl Trouble {
    pub(super) fn of(error: &UpstreamError, asked: &[Asked], rule: &Rule) -> Self {
        let unreachable = matches!(
            error.phase,
            Phase::Resolve | Phase::Connect | Phase::Unroutable | Phase::ConnectTimeout | Phase::Timeout
        );
        let untrusted = asked.iter().flat_map(|asked| &asked.steps).rfind(|step| step.kind == "certificate");
        match (error.phase, rule) {
            (Phase::ProxyAnswered(407), _) => Self::of_407(&error.message),
            (Phase::ProxyAnswered(status), _) => Self::ProxyRefuses(status),
            _ if error.message.contains("PAC") => Self::Pac,
            (Phase::Tls, _) => match untrusted.filter(|step| !step.works).and_then(|step| step.root.as_ref()) {
                Some(Root::Unknown { name }) => Self::MissingRoot(name.clone()),
                _ => Self::Certificate,
            },
            (Phase::Resolve, Rule::Proxy(_)) => Self::ProxyUnknown,
            (_, Rule::Proxy(_)) if unreachable && connected(asked).is_none() => Self::ProxyDown,
            (_, Rule::NoProxy(list)) if unreachable => Self::NoProxy(list.clone()),
            (_, Rule::Nothing) if unreachable => Self::NoWay,
            _ => Self::Other,
        }
    }

    fn of_407(message: &str) -> Self {
        if message.contains("is wrong") {
            Self::WrongCredentials
        } else if message.contains("Kerberos ticket") || message.contains("has run out") {
            Self::NoTicket
        } else if message.contains("can answer") || message.contains("not among the `schemes`") {
            Self::Scheme
        } else {
            Self::NoCredentials
        }
    }

    /// For programs; it does not change.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no-credentials",
            Self::WrongCredentials => "wrong-credentials",
            Self::NoTicket => "no-ticket",
            Self::Scheme => "unknown-scheme",
            Self::ProxyDown => "proxy-down",
            Self::ProxyUnknown => "proxy-unknown",
            Self::ProxyRefuses(_) => "proxy-refuses",
            Self::Pac => "pac",
            Self::NoProxy(_) => "no-proxy",
            Self::NoWay => "no-way",
            Self::MissingRoot(_) => "missing-root",
            Self::Certificate => "certificate",
            Self::Other => "other",
        }
    }

    /// What is so, and what to do next.
    pub(super) fn words(
        &self,
        message: &str,
        uri: &Uri,
        settings: &Settings,
        asked: &[Asked],
    ) -> (String, Vec<String>) {
        let file = settings.files.user.display();
        let check = format!("larder proxy check {uri}");
        let proxy = proxy_of(asked).unwrap_or_else(|| "http://HOST:PORT".to_owned());
        let with_password = proxy.replacen("://", "://USER:PASSWORD@", 1);
        let host = uri.host().unwrap_or_default();
        let keep = |line: String| format!("keep what works in {file}: {line}");
        let same = message.to_owned();
        match self {
            Self::NoCredentials => (
                same,
                vec![
                    format!("{check} --upstream-proxy '{with_password}'"),
                    format!("keep it in {file}: a table [[proxy_login]] with `proxy`, `user` and `password_command`"),
                ],
            ),
            Self::WrongCredentials => (
                same,
                vec![
                    format!("{check} --upstream-proxy '{with_password}'"),
                    "special characters in it are percent-encoded: @ is %40, : is %3A, / is %2F, % is %25".to_owned(),
                ],
            ),
            Self::NoTicket => (same, vec!["kinit".to_owned(), check]),
            Self::Scheme => (
                same,
                vec![
                    "allow one of them in `schemes` of its [[proxy_login]]".to_owned(),
                    "ask whoever runs the proxy for Negotiate, NTLM, Digest or Basic".to_owned(),
                ],
            ),
            Self::ProxyDown => (
                same,
                vec![
                    format!("{check} --upstream-proxy http://HOST:PORT"),
                    format!("is it the right port, and is the proxy running? Its address is set {}", rule_of(asked)),
                ],
            ),
            Self::ProxyUnknown => (
                same,
                vec![
                    format!("{check} --upstream-proxy http://HOST:PORT"),
                    format!("the name of the proxy is set {}; its address will do in its place", rule_of(asked)),
                ],
            ),
            Self::ProxyRefuses(status) => (
                format!("{same}: the proxy was reached, and answered {status} itself"),
                vec![format!("ask whoever runs the proxy whether it lets {host} through")],
            ),
            Self::Pac => (same, vec![check]),
            Self::NoProxy(list) => (
                format!("{same}; it is asked without the upstream proxy, as {list} lists it"),
                vec![format!("{check} --no-proxy ''"), format!("take {host}, and what covers it, out of {list}")],
            ),
            Self::NoWay => (
                same,
                vec![
                    format!("{check} --upstream-proxy http://HOST:PORT"),
                    keep("upstream_proxy = \"http://HOST:PORT\", if your network has a proxy".to_owned()),
                ],
            ),
            Self::MissingRoot(issuer) => (
                format!(
                    "the certificate shown for {host} was issued by {issuer}, which is not trusted here: something on \
                     the way opens TLS (TLS inspection), and its root is missing"
                ),
                vec![
                    format!("{check} --ca-file FILE"),
                    "FILE holds the root certificate of your network, in PEM form: ask whoever runs it".to_owned(),
                    keep("ca_files = [\"FILE\"]".to_owned()),
                ],
            ),
            Self::Certificate => (same, vec!["look at the certificates above, and at this machine's clock".to_owned()]),
            Self::Other => (same, vec!["larder build --net offline works from the cache alone meanwhile".to_owned()]),
        }
    }
}

/// The last proxy of a way, as a URL.
fn proxy_of(asked: &[Asked]) -> Option<String> {
    let way = &asked.last()?.way;
    way.split(' ').rfind(|word| word.contains("://")).map(|word| word.trim_end_matches(',').to_owned())
}

fn rule_of(asked: &[Asked]) -> &str {
    asked.last().map_or("in the settings", |asked| asked.rule.as_str())
}

/// The last host a connection was made to, at the last URL asked.
fn connected(asked: &[Asked]) -> Option<&str> {
    let steps = &asked.last()?.steps;
    steps.iter().rfind(|step| step.kind == "connect").map(|step| step.host.as_str())
}

/// The step that failed, and with whom.
pub(super) fn place(error: &UpstreamError, uri: &Uri, asked: &[Asked]) -> (&'static str, String) {
    let origin = target(uri).map(|(host, ..)| host.to_owned()).unwrap_or_default();
    let hop = || connected(asked).map(str::to_owned);
    let proxy = || proxy_of(asked);
    match error.phase {
        Phase::Resolve => ("resolve", proxy().unwrap_or(origin)),
        Phase::Connect | Phase::Unroutable | Phase::ConnectTimeout => ("connect", proxy().unwrap_or(origin)),
        Phase::Proxy | Phase::ProxyAnswered(_) => ("proxy", proxy().or_else(hop).unwrap_or(origin)),
        Phase::Tls | Phase::TlsHandshake | Phase::TlsAlert(_) => ("tls", origin),
        _ => ("answer", origin),
    }
}
