//! `larder mirrors check`: each mirror is asked once, for its own prefix.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use larder_proxy::body;
use larder_proxy::config::Config;
use larder_proxy::flow::FlowRecorder;
use larder_proxy::guard::Guard;
use larder_proxy::identity::Identity;
use larder_proxy::in_flight::Flows;
use larder_proxy::origin::{Origin as _, Phase, RequestContext, UpstreamError};
use larder_proxy::upstream::client::NetworkOrigin;
use serde::Serialize;

use super::load;
use crate::cli::Env;
use crate::cli::args::MirrorsCheckArgs;
use crate::cli::console::Console;
use crate::cli::proxy_config;
use crate::cli::settings::mirrors::MirrorSetting;
use crate::cli::settings::{Net, Settings};
use crate::error::{Error, Result, chain};
use crate::output::text::{printable, table};

/// How long a mirror may take here.
const LIMIT: Duration = Duration::from_secs(10);

/// What came of asking one mirror.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Finding {
    /// The public name.
    pub(in crate::cli) name: String,
    /// The mirror's URL.
    pub(in crate::cli) mirror: String,
    /// Whether it can be used.
    pub(in crate::cli) works: bool,
    /// The status of its answer.
    status: Option<u16>,
    /// How long it took, in milliseconds.
    milliseconds: u64,
    /// `trusted`, `refused`, or nothing where no TLS is spoken or it did not come to that.
    tls: Option<&'static str>,
    /// `accepted`, `refused`, `none`, or nothing where it did not come to that.
    credentials: Option<&'static str>,
    /// What it is, in a sentence.
    pub(in crate::cli) found: String,
}

pub(super) async fn run(
    args: &MirrorsCheckArgs,
    settings: &Settings,
    env: &Env,
    console: &Console,
) -> Result<ExitCode> {
    if settings.net.value == Net::Offline {
        return Err(Error::new("mirrors cannot be asked: `net` is offline").hint("larder mirrors check --net cache"));
    }
    if let Some(name) = args.names.iter().find(|name| !settings.mirrors.value.contains_key(*name)) {
        let known: Vec<&str> = settings.mirrors.value.keys().map(String::as_str).collect();
        return Err(Error::new(format!("there is no mirror for {name}")).hint(format!(
            "there are mirrors for: {}",
            if known.is_empty() { "nothing".into() } else { known.join(", ") }
        )));
    }
    let findings = findings(settings, env, &args.names).await?;
    if args.json.json {
        console.json(&findings)?;
    } else if findings.is_empty() {
        console.line("No mirrors are set. `larder mirrors init` proposes some.")?;
    } else {
        let mut rows = vec![["public name", "mirror", "works", "found"].map(str::to_owned).to_vec()];
        for finding in &findings {
            let works = if finding.works { "yes" } else { "NO" };
            rows.push(vec![finding.name.clone(), finding.mirror.clone(), works.to_owned(), printable(&finding.found)]);
        }
        console.line(&table(&rows, &[]).join("\n"))?;
    }
    Ok(if findings.iter().all(|finding| finding.works) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the mirrors of these names, or of all, at the same time.
pub(in crate::cli) async fn findings(settings: &Settings, env: &Env, names: &[String]) -> Result<Vec<Finding>> {
    // Without any mirror: a fault in one must not keep the others from being looked at.
    let mut without = settings.clone();
    without.mirrors.value.clear();
    let mut config = proxy_config::config(&without, env, Path::new("/"))?;
    config.timeouts.connect = config.timeouts.connect.min(Duration::from_secs(5));
    let wanted = settings.mirrors.value.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    let each = wanted.flat_map(|(name, mirrors)| mirrors.iter().map(move |mirror| (name, mirror)));
    let questions = each
        .filter(|(_, mirror)| mirror.url != larder_proxy::mirror::ORIGIN)
        .map(|(name, mirror)| check(name, mirror, &config, env));
    Ok(futures_util::future::join_all(questions).await)
}

async fn check(name: &str, mirror: &MirrorSetting, config: &Config, env: &Env) -> Finding {
    let begun = Instant::now();
    let answer = ask(name, mirror, config, env).await;
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let has_credentials = mirror.token.is_some() || mirror.password.is_some() || mirror.netrc_file.is_some();
    let over_tls = mirror.url.starts_with("https:");
    let mut finding = Finding {
        name: name.to_owned(),
        mirror: mirror.url.clone(),
        works: false,
        status: None,
        milliseconds,
        tls: None,
        credentials: None,
        found: String::new(),
    };
    match answer {
        Ok(status) => {
            finding.status = Some(status.as_u16());
            finding.tls = over_tls.then_some("trusted");
            let refused = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            finding.works = !(status.is_server_error() || refused);
            finding.credentials = Some(match (has_credentials, refused) {
                (_, true) => "refused",
                (true, false) => "accepted",
                (false, false) => "none",
            });
            finding.found = match (refused, has_credentials) {
                (true, true) => format!("does not take the credentials ({status})"),
                (true, false) => format!("asks for credentials ({status}): name them in the settings"),
                _ if status.is_server_error() => format!("answers {status}"),
                _ => format!("answers in {milliseconds} ms ({status})"),
            };
        }
        Err(Failed::Settings(error)) => finding.found = chain(&error),
        Err(Failed::Upstream(error)) => {
            finding.tls = (error.phase == Phase::Tls).then_some("refused");
            finding.found = error.message;
        }
    }
    finding
}

enum Failed {
    Settings(Error),
    Upstream(UpstreamError),
}

/// Asks for the mirror's own prefix, as the proxy would: by way of a rule that has this mirror alone.
async fn ask(
    name: &str,
    mirror: &MirrorSetting,
    config: &Config,
    env: &Env,
) -> std::result::Result<StatusCode, Failed> {
    let rule = load::rule(name, std::slice::from_ref(mirror), env).map_err(Failed::Settings)?;
    let mut config = config.clone();
    config.mirrors = vec![rule];
    config.timeouts.head = LIMIT;
    let public = if name.contains("://") { name.to_owned() } else { format!("https://{name}") };
    let public = if public.ends_with('/') { public } else { format!("{public}/") };
    // A registry is asked whether it is one.
    let url = if mirror.url.contains("/v2/") && !public.contains("/v2/") { format!("{public}v2/") } else { public };
    let refused = |error: http::Error| Failed::Settings(Error::new(format!("{url} is no URL")).caused_by(error));
    let request = Request::builder().method(Method::HEAD).uri(&url).body(body::empty()).map_err(refused)?;
    let origin = NetworkOrigin::new(&config, &Arc::new(Guard::default()));
    let flow = FlowRecorder::begin(Identity::default(), &Method::HEAD, url.clone(), &Flows::new(Arc::new(|_| {})));
    let context = RequestContext { flow, guest: false };
    let silent = || UpstreamError {
        phase: Phase::Timeout,
        message: format!("no answer within {} s", LIMIT.as_secs()),
        retryable: false,
    };
    match tokio::time::timeout(LIMIT, origin.send(request, &context)).await {
        Ok(Ok(answer)) => Ok(answer.status()),
        Ok(Err(error)) => Err(Failed::Upstream(error)),
        Err(_) => Err(Failed::Upstream(silent())),
    }
}
