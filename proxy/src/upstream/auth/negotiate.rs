//! Negotiate (RFC 4559): the host's tickets, by its own Kerberos.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::time::timeout;

use super::gssapi::{Context, Failure, Service};

/// How long the library may take: it asks the Kerberos server, and waits long for one that is silent.
const LIMIT: Duration = Duration::from_secs(20);

/// A token to send, and the conversation it belongs to.
pub(super) struct Token {
    /// The value of `Proxy-Authorization`.
    pub(super) field: String,
    pub(super) context: Context,
    /// Whether the proxy is to send one back.
    pub(super) goes_on: bool,
}

/// The first token for a proxy; the error says why there is none, and what to do. Tickets are looked for each time:
/// one may have come since.
pub(super) async fn begin(host: &str, service: Option<&str>) -> Result<Token, String> {
    let services = services(host, service);
    blocking(move || {
        let mut first = None;
        for service in services {
            match Context::new(&service).and_then(|mut context| context.step(None).map(|made| (context, made))) {
                Ok((context, (token, goes_on))) => return Ok(Token { field: field(&token), context, goes_on }),
                Err(Failure::Said(said)) if is_unknown_service(&said) => {
                    first.get_or_insert(words(&Failure::Said(said), &service));
                }
                Err(failure) => return Err(first.unwrap_or_else(|| words(&failure, &service))),
            }
        }
        Err(first.unwrap_or_default())
    })
    .await
}

/// The token that answers the proxy's.
pub(super) async fn go_on(mut context: Context, token: &str) -> Result<Token, String> {
    let token = BASE64_STANDARD.decode(token).map_err(|_| "the proxy's token is not Base64".to_owned())?;
    blocking(move || match context.step(Some(&token)) {
        Ok((token, goes_on)) => Ok(Token { field: field(&token), context, goes_on }),
        Err(Failure::Said(said) | Failure::NotInstalled(said)) => {
            Err(format!("the proxy's token does not hold: {said}"))
        }
    })
    .await
}

/// The names to try. By the first the library may ask the name service for the canonical name, as its configuration
/// says (`dns_canonicalize_hostname`, `rdns`). Where the proxy's name is an alias, its key may be under either: so if
/// nobody knows that one, the name is taken as it is written.
fn services(host: &str, service: Option<&str>) -> Vec<Service> {
    match service {
        Some(own) if own.contains('/') => vec![Service::Principal(own.to_owned())],
        Some(own) if own.contains('@') => vec![Service::OfHost(own.to_owned())],
        Some(own) => vec![Service::OfHost(format!("HTTP@{own}"))],
        None => vec![Service::OfHost(format!("HTTP@{host}")), Service::Principal(format!("HTTP/{host}"))],
    }
}

fn field(token: &[u8]) -> String {
    format!("Negotiate {}", BASE64_STANDARD.encode(token))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    match timeout(LIMIT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "Kerberos gave no answer within {} s; see /etc/krb5.conf, and whether its server can be reached",
            LIMIT.as_secs()
        )),
    }
}

fn is_unknown_service(said: &str) -> bool {
    said.contains("not found in Kerberos database")
}

/// What a failure means for the user: the library's own words, and what to do. It knows its errors by number, but
/// gives programs other numbers each time; so its words it is.
fn words(failure: &Failure, service: &Service) -> String {
    let said = match failure {
        Failure::NotInstalled(said) => {
            return format!("the Kerberos library cannot be loaded ({said}); install the package libgssapi-krb5-2");
        }
        Failure::Said(said) => said.trim_end_matches('.'),
    };
    let name = match service {
        Service::OfHost(name) => name.replacen('@', "/", 1),
        Service::Principal(name) => name.clone(),
    };
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    if is_unknown_service(said) {
        format!(
            "the Kerberos server knows no service {name} ({said}); give the proxy by the name its administrators use, \
             or set `service` of its [[proxy_login]]"
        )
    } else if has(&["expired"]) {
        format!("the Kerberos ticket has run out ({said}); run `kinit`")
    } else if has(&["No Kerberos credentials", "No credentials", "credentials cache", "Credentials cache"]) {
        format!("there is no Kerberos ticket ({said}); run `kinit`")
    } else if has(&["Clock skew"]) {
        format!("the clocks of this host and of the Kerberos server differ ({said}); set this host's")
    } else if has(&["Cannot find KDC", "Cannot contact any KDC", "Cannot resolve"]) {
        format!("the Kerberos server cannot be reached ({said}); see /etc/krb5.conf, and the network")
    } else {
        format!("no ticket for {name} can be had: {said}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_to_do() {
        let of = |said: &str| words(&Failure::Said(said.into()), &Service::OfHost("HTTP@proxy.example.org".into()));
        for (said, expected) in [
            ("No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0)", "`kinit`"),
            ("Ticket expired", "run out"),
            ("Clock skew too great", "clocks"),
            ("Server HTTP/proxy.example.org@X not found in Kerberos database", "no service HTTP/proxy.example.org"),
            ("Cannot contact any KDC for realm 'X'", "krb5.conf"),
            ("Something else", "Something else"),
        ] {
            assert!(of(said).contains(expected), "{}", of(said));
            assert!(of(said).contains(said), "{}", of(said));
        }
        let missing = words(&Failure::NotInstalled("no file".into()), &Service::Principal("HTTP/x".into()));
        assert!(missing.contains("libgssapi-krb5-2") && missing.contains("no file"));
    }

    #[test]
    fn services_have_the_proxy_s_name_or_the_one_that_is_set() {
        assert_eq!(services("h", None), [Service::OfHost("HTTP@h".into()), Service::Principal("HTTP/h".into())]);
        assert_eq!(services("h", Some("canonical")), [Service::OfHost("HTTP@canonical".into())]);
        assert_eq!(services("h", Some("web@canonical")), [Service::OfHost("web@canonical".into())]);
        assert_eq!(services("h", Some("HTTP/c@R")), [Service::Principal("HTTP/c@R".into())]);
    }
}
