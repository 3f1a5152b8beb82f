//! `larder proxy check`: one request for a URL, the way the proxy takes it, and what was seen on that way.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, Request, Uri};
use larder_proxy::body;
use larder_proxy::config::Config;
use larder_proxy::flow::FlowRecorder;
use larder_proxy::guard::Guard;
use larder_proxy::identity::Identity;
use larder_proxy::in_flight::Flows;
use larder_proxy::origin::{Origin as _, Phase, RequestContext, UpstreamError};
use larder_proxy::upstream::certificates::{PUBLIC_ROOTS, Roots};
use larder_proxy::upstream::client::NetworkOrigin;
use larder_proxy::upstream::observe::{Event, Watch};
use larder_proxy::upstream::route::Upstream;

use super::Env;
use super::args::ProxyCheckArgs;
use super::console::Console;
use super::proxy_config;
use super::settings::{Net, Settings};
use crate::error::{Context as _, Error, Result};

mod rule;
mod show;
mod told;
mod trouble;

pub(super) use told::Told;
use trouble::Trouble;

/// How long a question may take altogether.
const LIMIT: Duration = Duration::from_mins(1);
/// The longest wait for a connection, and for the head of an answer.
const CONNECT: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &ProxyCheckArgs, settings: &Settings, env: &Env, console: &Console) -> Result<ExitCode> {
    if settings.net.value == Net::Offline {
        return Err(Error::new("nothing can be asked: `net` is offline").hint("larder proxy check --net cache URL"));
    }
    let mut config = proxy_config::config(settings, env, Path::new("/"))?;
    config.timeouts.connect = config.timeouts.connect.min(CONNECT);
    let mut all = Vec::new();
    for url in &args.urls {
        let uri = parse(url)?;
        let look = look(&config, Method::GET, &uri, LIMIT).await;
        let told = Told::of(&uri, &look, settings, env).await;
        if !args.json.json {
            for line in show::lines(&told, console.width.clamp(60, 120)) {
                console.line(&line)?;
            }
            if all.len() + 1 < args.urls.len() {
                console.line("")?;
            }
        }
        all.push(told);
    }
    if args.json.json {
        console.json(&all)?;
    }
    Ok(if all.iter().all(|told| told.works) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A URL as it was typed.
fn parse(text: &str) -> Result<Uri> {
    let refused = || Error::new(format!("{text} is not an http or https URL")).hint("https://example.org/");
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = url::Url::parse(&whole).ok().filter(|url| url.host_str().is_some()).ok_or_else(refused)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::new("a URL to ask for has no user and password").hint("leave them out"));
    }
    let uri: Uri =
        url.as_str().split('#').next().unwrap_or_default().parse().context(|| format!("{text} is no URL"))?;
    if target(&uri).is_none() { Err(refused()) } else { Ok(uri) }
}

/// What was seen of one request.
pub(super) struct Look {
    /// What happened, each with the time since what was before it.
    pub(super) events: Vec<(Duration, Event)>,
    /// Status and fields of the answer.
    pub(super) answer: std::result::Result<(u16, HeaderMap), UpstreamError>,
    /// Until the answer's head, or the failure.
    pub(super) took: Duration,
    /// What the ways were chosen by.
    pub(super) upstream: Upstream,
}

/// Asks for a URL as the proxy would for a client on this host, and looks on. Nothing is cached.
pub(super) async fn look(config: &Config, method: Method, uri: &Uri, limit: Duration) -> Look {
    let origin = NetworkOrigin::new(config, &Arc::new(Guard::default()));
    let mut request = Request::new(body::empty());
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri.clone();
    let url = uri.to_string();
    let flow = FlowRecorder::begin(Identity::default(), &method, url.clone(), &Flows::new(Arc::new(|_| {})));
    let context = RequestContext { flow, guest: false };
    let (watch, begun) = (Watch::begin(), SystemTime::now());
    let answer = watch.over(tokio::time::timeout(limit, origin.send(request, &context))).await;
    let took = begun.elapsed().unwrap_or_default();
    let silent = || UpstreamError {
        phase: Phase::Timeout,
        message: format!("no answer for {url} within {} s", limit.as_secs()),
        retryable: false,
    };
    let answer = answer.unwrap_or_else(|_| Err(silent()));
    let answer = answer.map(|answer| (answer.status().as_u16(), answer.headers().clone()));
    Look { events: watch.events(), answer, took, upstream: config.upstream.clone() }
}

/// The roots trusted here, read where no other task waits for it.
async fn roots(settings: &Settings) -> Roots {
    let mut files = settings.ca_files.value.clone();
    files.extend(settings.mirrors.value.values().flatten().flat_map(|mirror| mirror.ca_files.clone()));
    tokio::task::spawn_blocking(move || Roots::read(&files, &PUBLIC_ROOTS)).await.unwrap_or_default()
}

/// Host (without brackets), port, and whether TLS is spoken.
fn target(uri: &Uri) -> Option<(&str, u16, bool)> {
    let tls = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host, uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), tls))
}
