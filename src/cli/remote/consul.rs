//! Values of Consul's key-value store.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use larder_proxy::upstream::host_tls::ClientIdentity;
use serde_json::Value;

use super::exchange::{Way, send};
use super::vault::{header, http_url, place};
use super::{Servers, Wrong};

const DEFAULT_ADDRESS: &str = "127.0.0.1:8500";
/// Longest file that is read for a token.
const MAX_TOKEN: u64 = 64 << 10;

/// The value of a key.
pub(super) fn read(servers: &Servers, key: &str) -> Result<String, Wrong> {
    let address = servers.variable("CONSUL_HTTP_ADDR").unwrap_or(DEFAULT_ADDRESS);
    let address = match address.split_once("://") {
        Some(_) => address.to_owned(),
        None if servers.is_on("CONSUL_HTTP_SSL") => format!("https://{address}"),
        None => format!("http://{address}"),
    };
    let mut url = http_url(&address, "CONSUL_HTTP_ADDR")?;
    if servers.is_on("CONSUL_HTTP_SSL") {
        // It does not fail: both are schemes with a host.
        let _ = url.set_scheme("https");
    }
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/v1/kv/{}", key.trim_start_matches('/')));
    if let Some(namespace) = servers.variable("CONSUL_NAMESPACE") {
        url.query_pairs_mut().append_pair("ns", namespace);
    }
    let token = token(servers)?;
    let login = servers.variable("CONSUL_HTTP_AUTH");
    let identity = servers.variable("CONSUL_CLIENT_CERT").zip(servers.variable("CONSUL_CLIENT_KEY"));
    let way = Way {
        name: format!("Consul at {}", place(&url)),
        roots: servers.variable("CONSUL_CACERT").map(Into::into).into_iter().collect(),
        identity: identity
            .map(|(certificate, key)| ClientIdentity { certificate: certificate.into(), key: key.into() }),
        unchecked_by: Some("CONSUL_HTTP_SSL_VERIFY")
            .filter(|name| matches!(servers.variable(name), Some("0" | "f" | "F" | "false" | "FALSE" | "False"))),
        secrets: token.iter().cloned().chain(login.map(str::to_owned)).collect(),
    };
    let mut request = Request::get(url.as_str());
    if let Some(token) = &token {
        request = request.header("x-consul-token", header(token, "CONSUL_HTTP_TOKEN")?);
    }
    if let Some(login) = login {
        request =
            request.header(AUTHORIZATION, header(&format!("Basic {}", BASE64.encode(login)), "CONSUL_HTTP_AUTH")?);
    }
    let request = request.body(Bytes::new()).map_err(|error| Wrong::Refused(error.to_string()))?;
    let answer = send(servers, &way, request)?;
    let name = &way.name;
    let message = match answer.status {
        StatusCode::OK => match answer.json().as_ref().and_then(|json| json.get(0)).map(|entry| &entry["Value"]) {
            Some(Value::String(encoded)) if !encoded.is_empty() => {
                return decoded(encoded, name, key).map_err(Wrong::from);
            }
            Some(_) => format!("the value of `{key}` in {name} is empty"),
            None => format!("{name} answered with something that is not its JSON: is CONSUL_HTTP_ADDR right?"),
        },
        StatusCode::NOT_FOUND => {
            format!("{name} has no key `{key}`: write it with all of its path, as `consul kv get` takes it")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
            "{name} refuses `{key}` ({}): set CONSUL_HTTP_TOKEN to a token that may read it",
            way.said(&String::from_utf8_lossy(&answer.body))
        ),
        status => format!("{name} answered {status} for `{key}`: {}", way.said(&String::from_utf8_lossy(&answer.body))),
    };
    Err(Wrong::Refused(message))
}

fn decoded(encoded: &str, name: &str, key: &str) -> Result<String, String> {
    let bytes = BASE64.decode(encoded).map_err(|_| format!("{name} answered `{key}` in a form that is not base64"))?;
    String::from_utf8(bytes).map_err(|_| format!("the value of `{key}` in {name} is no text in UTF-8"))
}

fn token(servers: &Servers) -> Result<Option<String>, Wrong> {
    use std::io::Read as _;
    if let Some(token) = servers.variable("CONSUL_HTTP_TOKEN") {
        return Ok(Some(token.to_owned()));
    }
    let Some(path) = servers.variable("CONSUL_HTTP_TOKEN_FILE") else { return Ok(None) };
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut text));
    read.map_err(|error| Wrong::Refused(format!("cannot read {path} (of CONSUL_HTTP_TOKEN_FILE): {error}")))?;
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}
