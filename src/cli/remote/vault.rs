//! Secrets of HashiCorp Vault: key-value engines of both versions, and whatever else answers with named values.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Request, StatusCode};
use larder_proxy::upstream::host_tls::ClientIdentity;
use serde_json::{Map, Value};
use url::Url;

use super::exchange::{Answer, Way, send};
use super::{Servers, Wrong};

const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";
/// A server that stands by sends to the one that is active, and that one answers.
const MAX_REDIRECTS: usize = 2;

/// The value of a key in the secret at a path.
pub(super) fn read(servers: &Servers, path: &str, key: &str) -> Result<String, Wrong> {
    let Some(token) = servers.variable("VAULT_TOKEN") else {
        return Err(Wrong::Refused(format!("VAULT_TOKEN is not set: set it to a token that may read `{path}`")));
    };
    let variable = if servers.variable("VAULT_AGENT_ADDR").is_some() { "VAULT_AGENT_ADDR" } else { "VAULT_ADDR" };
    let address = servers.variable(variable).unwrap_or(DEFAULT_ADDRESS);
    let mut url = http_url(address, variable)?;
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/v1/{}", path.trim_start_matches('/')));
    let way = Way {
        name: format!("Vault at {}", place(&url)),
        roots: roots(servers),
        identity: identity(servers),
        unchecked_by: Some("VAULT_SKIP_VERIFY").filter(|name| servers.is_on(name)),
        secrets: vec![token.to_owned()],
    };
    let answer = follow(servers, &way, url, token)?;
    let data = data(&way, &answer, path)?;
    value(&data, path, key).map_err(Wrong::Refused)
}

/// An address of a service, as a variable has it.
pub(super) fn http_url(address: &str, variable: &str) -> Result<Url, Wrong> {
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Wrong::Refused(format!("{variable} is {address:?}: write it as https://host:port")))
}

/// An address without what may be secret in it.
pub(super) fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// A header whose value comes from a variable. It is not repeated.
pub(super) fn header(value: &str, variable: &str) -> Result<HeaderValue, Wrong> {
    let mut header = HeaderValue::from_str(value).map_err(|_| {
        Wrong::Refused(format!("{variable} holds characters that cannot be sent, such as a line's end"))
    })?;
    header.set_sensitive(true);
    Ok(header)
}

fn roots(servers: &Servers) -> Vec<std::path::PathBuf> {
    let file = servers.variable("VAULT_CACERT").map(Into::into);
    let folder = servers.variable("VAULT_CAPATH").filter(|_| file.is_none()).map(std::fs::read_dir);
    let listed = folder.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    file.into_iter().chain(listed.filter(|path| path.is_file())).collect()
}

fn identity(servers: &Servers) -> Option<ClientIdentity> {
    let (certificate, key) = (servers.variable("VAULT_CLIENT_CERT")?, servers.variable("VAULT_CLIENT_KEY")?);
    Some(ClientIdentity { certificate: certificate.into(), key: key.into() })
}

fn follow(servers: &Servers, way: &Way, mut url: Url, token: &str) -> Result<Answer, Wrong> {
    for _ in 0..=MAX_REDIRECTS {
        let mut request = Request::get(url.as_str())
            .header("x-vault-token", header(token, "VAULT_TOKEN")?)
            .header("x-vault-request", "true");
        if let Some(namespace) = servers.variable("VAULT_NAMESPACE") {
            request = request.header("x-vault-namespace", header(namespace, "VAULT_NAMESPACE")?);
        }
        let request = request.body(Bytes::new()).map_err(|error| Wrong::Refused(error.to_string()))?;
        let answer = send(servers, way, request)?;
        if !answer.status.is_redirection() {
            return Ok(answer);
        }
        let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(|to| url.join(to).ok());
        url = match to {
            // The token goes along.
            Some(to) if to.scheme() == url.scheme() || to.scheme() == "https" => to,
            _ => return Err(Wrong::Refused(format!("{} sends elsewhere, which cannot be followed", way.name))),
        };
    }
    Err(Wrong::Refused(format!("{} sends in circles: set VAULT_ADDR to the active server", way.name)))
}

fn data(way: &Way, answer: &Answer, path: &str) -> Result<Map<String, Value>, Wrong> {
    let name = &way.name;
    let json = answer.json();
    let words = |field: &str| {
        let listed = json.as_ref().and_then(|json| json[field].as_array()).into_iter().flatten();
        way.said(&listed.filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
    };
    let told = |field: &str| {
        Some(words(field)).filter(|words| !words.is_empty()).map_or(String::new(), |words| format!(" ({words})"))
    };
    let message = match answer.status {
        StatusCode::OK => match json.as_ref().map(|json| &json["data"]) {
            Some(Value::Object(data)) => return Ok(data.clone()),
            Some(_) => format!("{name} has no data at `{path}`{}", told("warnings")),
            None => format!("{name} answered with something that is not JSON: is its address right?"),
        },
        StatusCode::NOT_FOUND => {
            let versioned = if path.split('/').any(|part| part == "data") {
                "is the path right, and its latest version not deleted?".to_owned()
            } else {
                let (mount, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path, "…"));
                format!("where the engine keeps versions (KV 2) the path is `{mount}/data/{rest}`")
            };
            format!("{name} has no secret at `{path}`{}: {versioned}", told("warnings"))
        }
        StatusCode::FORBIDDEN => format!(
            "{name} refuses `{path}`{}: the token in VAULT_TOKEN must be valid and may read it; is VAULT_NAMESPACE right?",
            told("errors")
        ),
        StatusCode::SERVICE_UNAVAILABLE => {
            format!("{name} is sealed or not ready{}: unseal it, and try again", told("errors"))
        }
        status => format!("{name} answered {status} for `{path}`{}", told("errors")),
    };
    Err(Wrong::Refused(message))
}

/// The value in what was answered. Where the engine keeps versions, what was stored is one level below.
fn value(data: &Map<String, Value>, path: &str, key: &str) -> Result<String, String> {
    let stored = data.get("data").and_then(Value::as_object).unwrap_or(data);
    match stored.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => {
            Err(format!("`{key}` of the secret `{path}` is {}, and must be a string: store it in quotes", kind(other)))
        }
        None => Err(format!("the secret `{path}` has no key `{key}`; {}", names(stored))),
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What keys there are.
pub(super) fn names(stored: &Map<String, Value>) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = stored.keys().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match stored.len() {
        0 => "it is empty".to_owned(),
        count if count > SHOWN => format!("it has {} and {} more", names.join(", "), count - SHOWN),
        _ => format!("it has {}", names.join(", ")),
    }
}
