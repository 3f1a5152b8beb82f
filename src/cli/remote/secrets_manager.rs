//! Secrets of AWS Secrets Manager.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::credentials::{self, Credentials};
use super::exchange::{Answer, Way, send};
use super::signature::Signed;
use super::vault::{header, http_url, kind, names, place};
use super::{Servers, Wrong};

const TARGET: &str = "secretsmanager.GetSecretValue";
const JSON: &str = "application/x-amz-json-1.1";

/// A secret that is plain text, or a key of one that is a JSON object.
pub(super) fn read(servers: &Servers, name: &str, key: Option<&str>) -> Result<String, Wrong> {
    let secret = read_raw(servers, name)?;
    value(&secret, name, key).map_err(Wrong::Refused)
}

/// A secret as it is stored.
pub(super) fn read_raw(servers: &Servers, name: &str) -> Result<String, Wrong> {
    let region = credentials::region(servers)?;
    let credentials = credentials::find(servers)?;
    let url = endpoint(servers, &region)?;
    let way = Way {
        name: format!("AWS Secrets Manager at {}", place(&url)),
        roots: servers.variable("AWS_CA_BUNDLE").map(Into::into).into_iter().collect(),
        secrets: credentials.token.iter().chain([&credentials.secret_key]).cloned().collect(),
        ..Way::default()
    };
    let answer = send(servers, &way, request(&url, &region, &credentials, name)?)?;
    let json = answer.json().filter(Value::is_object);
    match (answer.status, json) {
        (StatusCode::OK, Some(json)) => match &json["SecretString"] {
            Value::String(secret) => Ok(secret.clone()),
            _ => Err(Wrong::Refused(format!("the secret `{name}` is binary, and only text can be read"))),
        },
        (StatusCode::OK, None) => {
            Err(Wrong::Refused(format!("{} answered with something that is not JSON: is it AWS?", way.name)))
        }
        (_, json) => Err(Wrong::Refused(refused(&way, &answer, json.as_ref(), name))),
    }
}

fn endpoint(servers: &Servers, region: &str) -> Result<Url, Wrong> {
    for variable in ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"] {
        if let Some(address) = servers.variable(variable) {
            return http_url(address, variable);
        }
    }
    let domain = match region.split('-').take(2).collect::<Vec<_>>()[..] {
        ["cn", _] => "amazonaws.com.cn",
        ["us", "iso"] => "c2s.ic.gov",
        ["us", "isob"] => "sc2s.sgov.gov",
        _ => "amazonaws.com",
    };
    http_url(&format!("https://secretsmanager.{region}.{domain}/"), "AWS_REGION")
}

fn request(url: &Url, region: &str, credentials: &Credentials, name: &str) -> Result<Request<Bytes>, Wrong> {
    let body = json!({"SecretId": name, "VersionStage": "AWSCURRENT"}).to_string();
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let host = url.port().map_or_else(
        || url.host_str().unwrap_or_default().to_owned(),
        |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
    );
    let token = credentials.token.as_deref();
    let mut headers = vec![("content-type", JSON), ("host", &host), ("x-amz-date", &time)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    headers.push(("x-amz-target", TARGET));
    let signed = Signed {
        method: "POST",
        path: url.path(),
        query: url.query().unwrap_or_default(),
        headers: &headers,
        body: body.as_bytes(),
        time: &time,
        region,
        service: "secretsmanager",
    };
    let authorization = signed.authorization(credentials);
    let mut request = Request::post(url.as_str())
        .header(CONTENT_TYPE, JSON)
        .header(HOST, header(&host, "AWS_ENDPOINT_URL")?)
        .header("x-amz-date", &time)
        .header("x-amz-target", TARGET)
        .header(AUTHORIZATION, header(&authorization, "AWS_ACCESS_KEY_ID")?);
    if let Some(token) = token {
        request = request.header("x-amz-security-token", header(token, "AWS_SESSION_TOKEN")?);
    }
    request.body(Bytes::from(body)).map_err(|error| Wrong::Refused(error.to_string()))
}

fn refused(way: &Way, answer: &Answer, json: Option<&Value>, name: &str) -> String {
    let text = |field: &str| json.and_then(|json| json[field].as_str()).unwrap_or_default();
    // The name of the error may have that of its namespace before it.
    let error = text("__type").rsplit('#').next().unwrap_or_default();
    let said = way.said(if text("Message").is_empty() { text("message") } else { text("Message") });
    let next = match error {
        "ResourceNotFoundException" => "are its name and AWS_REGION right?",
        "AccessDeniedException" => "who asks needs the right secretsmanager:GetSecretValue for it",
        "UnrecognizedClientException" | "InvalidClientTokenId" => "is AWS_ACCESS_KEY_ID right?",
        "InvalidSignatureException" => "is AWS_SECRET_ACCESS_KEY right, and the clock of this machine?",
        "ExpiredTokenException" => "get new credentials: the session has ended",
        "DecryptionFailure" => "who asks needs the right to use the key that encrypts it",
        _ => "",
    };
    let why = if error.is_empty() { answer.status.to_string() } else { way.said(error) };
    let said = if said.is_empty() { why } else { format!("{why}: {said}") };
    let next = if next.is_empty() { String::new() } else { format!("; {next}") };
    format!("{} does not give the secret `{name}` ({said}){next}", way.name)
}

/// Where the secret is a JSON object, the value of a key in it; any other text is the value.
fn value(secret: &str, name: &str, key: Option<&str>) -> Result<String, String> {
    let stored = match serde_json::from_str::<Value>(secret) {
        Ok(Value::Object(stored)) => stored,
        Ok(other) => {
            return Err(format!(
                "the secret `{name}` is {} in JSON, and has no keys: read it by aws_secretsmanager_raw",
                kind(&other)
            ));
        }
        Err(_) => return Ok(secret.to_owned()),
    };
    let found = match key {
        Some(key) => {
            stored.get(key).ok_or_else(|| format!("the secret `{name}` has no key `{key}`; {}", names(&stored)))?
        }
        None if stored.len() == 1 => stored.values().next().unwrap_or(&Value::Null),
        None => return Err(format!("which key of the secret `{name}`? {}", names(&stored))),
    };
    match found {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_f64() => Ok(format!("{:.0}", number.as_f64().unwrap_or_default())),
        Value::Number(number) => Ok(number.to_string()),
        other => {
            let key = key.map_or(String::new(), |key| format!(" of `{key}`"));
            Err(format!("the value{key} in the secret `{name}` is {}, and must be a string", kind(other)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn keys_are_found_in_json_and_other_texts_are_whole() {
        for (secret, key, expected) in [
            ("plain", None, "plain"),
            ("plain", Some("any"), "plain"),
            ("{\"only\": \"one\"}", None, "one"),
            ("{\"a\": \"1\", \"b\": 22}", Some("b"), "22"),
            ("{\"a\": 1.5}", None, "2"),
        ] {
            assert_eq!(value(secret, "s", key).as_deref(), Ok(expected), "{secret}");
        }
        for (secret, key, expected) in [
            ("{\"a\": \"1\", \"b\": \"2\"}", None, "which key of the secret `s`? it has `a`, `b`"),
            ("{\"a\": \"1\"}", Some("x"), "the secret `s` has no key `x`; it has `a`"),
            ("{}", None, "which key of the secret `s`? it is empty"),
            ("{\"a\": [\"hidden\"]}", Some("a"), "the value of `a` in the secret `s` is a list, and must be a string"),
            ("12", None, "the secret `s` is a number in JSON, and has no keys: read it by aws_secretsmanager_raw"),
        ] {
            assert_eq!(value(secret, "s", key), Err(expected.to_owned()), "{secret}");
        }
    }
}
