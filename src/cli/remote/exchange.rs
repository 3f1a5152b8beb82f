//! One request to a server, and its answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use larder_proxy::body::{self, Body};
use larder_proxy::flow::Flow;
use larder_proxy::host_pattern::HostPattern;
use larder_proxy::identity::Client;
use larder_proxy::proxy::Proxy;
use larder_proxy::upstream::host_tls::{ClientIdentity, HostTls};

use super::{Servers, Wrong};
use crate::cli::proxy_config;
use crate::error::chain;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long what is left of it may take.
const GRACE: Duration = Duration::from_secs(1);
/// Largest answer that is read: several times what each of the services stores under one name.
const MAX_ANSWER: usize = 4 << 20;
/// What is shorter is no secret, and would be found in any text.
const MIN_SECRET: usize = 4;
/// Longest word of a server that is repeated.
const MAX_SAID: usize = 300;

/// How a service is reached.
#[derive(Default)]
pub(super) struct Way {
    /// What it is called, with its address.
    pub(super) name: String,
    /// Files with roots trusted beside the system's.
    pub(super) roots: Vec<PathBuf>,
    /// Who to be there.
    pub(super) identity: Option<ClientIdentity>,
    /// A variable by which its certificate is not to be checked.
    pub(super) unchecked_by: Option<&'static str>,
    /// What must not be repeated, whoever says it.
    pub(super) secrets: Vec<String>,
}

/// What a server answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Way {
    /// What a server said, fit to be repeated.
    pub(super) fn said(&self, text: &str) -> String {
        let mut text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for secret in self.secrets.iter().filter(|secret| secret.len() >= MIN_SECRET) {
            text = text.replace(secret, "<sensitive>");
        }
        match text.char_indices().nth(MAX_SAID) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// Sends a request with an absolute URI.
pub(super) fn send(servers: &Servers, way: &Way, request: Request<Bytes>) -> Result<Answer, Wrong> {
    // A thread of its own: whoever evaluates a template may be within a runtime, and must wait here all the same.
    let asked = std::thread::scope(|scope| {
        std::thread::Builder::new().name("remote".to_owned()).spawn_scoped(scope, || ask(servers, way, request)).map(
            |thread| thread.join().unwrap_or_else(|_| Err(Wrong::Refused(format!("asking {} ended early", way.name)))),
        )
    });
    asked.unwrap_or_else(|error| Err(Wrong::Refused(format!("{} cannot be asked: {error}", way.name))))
}

fn ask(servers: &Servers, way: &Way, request: Request<Bytes>) -> Result<Answer, Wrong> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Wrong::Refused(format!("{} cannot be asked: {error}", way.name)))?;
    runtime.block_on(async {
        let proxy = start(servers, way, request.uri()).await?;
        let answer = tokio::time::timeout(LIMIT, exchange(&proxy, way, request)).await;
        proxy.shutdown(GRACE).await;
        answer.unwrap_or_else(|_| {
            Err(Wrong::Unreachable(format!("{} gave no answer in {} s", way.name, LIMIT.as_secs())))
        })
    })
}

/// A proxy that keeps nothing: its upstream, its roots and its rules are those of every request.
async fn start(servers: &Servers, way: &Way, uri: &Uri) -> Result<Proxy, Wrong> {
    let cannot = |why: String| Wrong::Refused(format!("{} cannot be asked: {why}", way.name));
    let project = std::env::current_dir().map_err(|error| cannot(error.to_string()))?;
    let config = proxy_config::config(&servers.settings, &servers.env, &project);
    let mut config = config.map_err(|error| cannot(chain(&error)))?;
    config.cache_dir = None;
    config.fronts = 0;
    config.extra_roots.extend(way.roots.iter().cloned());
    if let (Some(identity), Some(host)) = (&way.identity, uri.authority())
        && let Ok(host) = host.as_str().parse::<HostPattern>()
    {
        // After those of the settings, which hold where they say something of the host.
        config.host_tls.push(HostTls { hosts: vec![host], identity: Some(identity.clone()), pins: Vec::new() });
    }
    Proxy::start(config, Arc::new(|_: Flow| {})).await.map_err(|error| cannot(error.to_string()))
}

async fn exchange(proxy: &Proxy, way: &Way, request: Request<Bytes>) -> Result<Answer, Wrong> {
    let (mut parts, content) = request.into_parts();
    parts.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("larder/", env!("CARGO_PKG_VERSION"))));
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let content: Body = if content.is_empty() { body::empty() } else { body::full(content) };
    let response = proxy.request(Request::from_parts(parts, content), &Client::host("template")).await;
    let (head, mut content) = response.into_parts();
    let mut answer = Answer { status: head.status, headers: head.headers, body: Vec::new() };
    while let Some(frame) = content.frame().await {
        let frame = frame.map_err(|error| Wrong::Unreachable(format!("{} broke off: {error}", way.name)))?;
        answer.body.extend(frame.into_data().unwrap_or_default());
        if answer.body.len() > MAX_ANSWER {
            return Err(Wrong::Refused(format!("{} answered more than {} MiB", way.name, MAX_ANSWER >> 20)));
        }
    }
    match failure(&answer) {
        Some(why) => Err(Wrong::Unreachable(unreachable(way, &why))),
        None => Ok(answer),
    }
}

/// Why the proxy itself had to answer.
fn failure(answer: &Answer) -> Option<String> {
    let status = answer.headers.get("proxy-status")?.to_str().ok()?;
    status.starts_with("larder; error=").then(|| {
        let text = String::from_utf8_lossy(&answer.body);
        text.trim().trim_start_matches("larder: ").to_owned()
    })
}

fn unreachable(way: &Way, why: &str) -> String {
    let checked = match way.unchecked_by {
        Some(variable) if why.contains("certificate") => {
            format!(
                "; {variable} does not help here, as certificates are always checked: name the file of their CA instead"
            )
        }
        _ => String::new(),
    };
    format!("{} cannot be asked: {}{checked}", way.name, way.said(why))
}
