//! The way to the outside: whether it answers, what its clock says, and the roots its TLS is checked by.
//!
//! Only what the user has configured is asked: the upstream proxy, mirrors, and the package mirror of the host.

use std::path::Path;
use std::time::{Duration, SystemTime};

use http::{Method, Uri};
use larder_proxy::config::Config;
use larder_proxy::upstream::roots::{FileOfRoots, survey};

use crate::builder::rootfs::debian::{DebianOptions, Host};
use crate::cli::Env;
use crate::cli::mirrors;
use crate::cli::proxy_check::{self, Told};
use crate::cli::proxy_config;
use crate::cli::settings::{Net, Settings};
use crate::error::chain;
use crate::guest::host::check::Finding;

const ROUTE: &str = "upstream";
const ROOTS: &str = "roots";
const MIRRORS: &str = "mirrors";
const CHECK: &str = "larder mirrors check";
/// How long the whole question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// `upstream`, and the time there.
pub(super) async fn route(settings: &Settings, env: &Env) -> (Finding, Option<SystemTime>) {
    if settings.net.value == Net::Offline {
        return (Finding::ok(ROUTE, "not asked: `net` is offline"), None);
    }
    let mut config = match proxy_config::config(settings, env, Path::new("/")) {
        Ok(config) => config,
        Err(error) => return (Finding::problem(ROUTE, chain(&error)).remedy("correct the setting"), None),
    };
    let Some(url) = question(&config) else {
        return (Finding::ok(ROUTE, "no upstream proxy and no mirror is configured: nothing to ask"), None);
    };
    config.timeouts.connect = config.timeouts.connect.min(Duration::from_secs(5));
    config.timeouts.head = config.timeouts.head.min(LIMIT);
    ask(&config, &url, settings, env).await
}

/// What to ask for: from a mirror of the settings, the host's own package mirror, or else the upstream proxy itself.
fn question(config: &Config) -> Option<String> {
    let mut mirrors = config.mirrors.iter().flat_map(larder_proxy::mirror::Mirror::targets);
    if let Some(url) = mirrors.find_map(|target| target.url()) {
        return Some(url.to_string());
    }
    let host = Host::read(Path::new("/")).resolve(&DebianOptions::default()).ok();
    if let Some(spec) = host {
        return Some(format!("{}/dists/{}/InRelease", spec.mirror.as_str().trim_end_matches('/'), spec.suite));
    }
    let proxies = config.upstream.proxies();
    Some(format!("http://{}/", proxies.first()?.authority()))
}

async fn ask(config: &Config, url: &str, settings: &Settings, env: &Env) -> (Finding, Option<SystemTime>) {
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => return (Finding::problem(ROUTE, format!("{url} is no URL: {error}")), None),
    };
    let look = proxy_check::look(config, Method::HEAD, &uri, LIMIT + Duration::from_secs(5)).await;
    let told = Told::of(&uri, &look, settings, env).await;
    let finding = match &told.failed {
        None => Finding::ok(ROUTE, told.summary()),
        Some(failed) => failed.next.iter().fold(Finding::problem(ROUTE, failed.why.clone()), Finding::remedy),
    };
    (finding, told.date)
}

/// `mirrors`
pub(super) async fn mirrors(settings: &Settings, env: &Env) -> Finding {
    if settings.mirrors.value.is_empty() {
        return Finding::ok(MIRRORS, "none are set");
    }
    if settings.net.value == Net::Offline {
        return Finding::ok(MIRRORS, "not asked: `net` is offline");
    }
    let asked = match mirrors::findings(settings, env, &[]).await {
        Ok(asked) => asked,
        Err(error) => return Finding::problem(MIRRORS, chain(&error)).remedy("correct the setting"),
    };
    let failing: Vec<String> = asked
        .iter()
        .filter(|one| !one.works)
        .map(|one| format!("{} for {}: {}", one.mirror, one.name, one.found))
        .collect();
    let lost = settings.mirrors.value.iter().find(|(name, targets)| {
        let of_name = asked.iter().filter(|one| one.name == **name);
        // The public origin, which is not asked here, may stand among them.
        of_name.clone().count() == targets.len() && of_name.clone().all(|one| !one.works)
    });
    match (lost, failing.len()) {
        (_, 0) => Finding::ok(MIRRORS, format!("{} answer", asked.len())),
        (None, _) => Finding::warning(MIRRORS, failing.join("; ")).so("another one is asked").remedy(CHECK),
        (Some((name, _)), _) => {
            Finding::problem(MIRRORS, failing.join("; ")).so(&format!("nothing of {name} can be fetched")).remedy(CHECK)
        }
    }
}

/// `roots`
pub(super) async fn roots(settings: &Settings, env: &Env) -> Finding {
    let files = settings.ca_files.value.clone();
    let survey = tokio::task::spawn_blocking(move || survey(&files, SystemTime::now())).await;
    let Ok(survey) = survey else { return Finding::problem(ROOTS, "the look at them was given up") };
    for (path, found) in &survey.files {
        let path = path.display();
        let setting = &settings.ca_files.source;
        match found {
            FileOfRoots::Unusable(why) => {
                return Finding::problem(ROOTS, format!("{path} of `ca_files` ({setting}) cannot be used: {why}"))
                    .remedy("name a file with certificates in PEM form");
            }
            FileOfRoots::Certificates { all, expired } if all == expired => {
                return Finding::problem(ROOTS, format!("every certificate in {path} of `ca_files` has run out"))
                    .remedy("ask whoever runs your network for the new one");
            }
            FileOfRoots::Certificates { .. } => {}
        }
    }
    let named = env.get("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let source = named.map_or_else(|| "of the system".to_owned(), |path| format!("of SSL_CERT_FILE ({path})"));
    let own: usize = survey.files.iter().map(|(_, found)| found.usable()).sum();
    let found = match own {
        0 => format!("{} certificates {source}", survey.system),
        own => format!("{} certificates {source}, {own} of `ca_files`", survey.system),
    };
    match (survey.system, own) {
        (0, 0) => Finding::problem(ROOTS, found)
            .so("no TLS connection can be checked")
            .remedy("sudo apt-get install ca-certificates"),
        (0, _) => Finding::warning(ROOTS, found).remedy("sudo apt-get install ca-certificates"),
        _ => opened(settings, env, found).await,
    }
}

/// Roots that can be read, where nobody else opens TLS or its root is among them.
async fn opened(settings: &Settings, env: &Env, found: String) -> Finding {
    let config = proxy_config::config(settings, env, Path::new("/")).ok();
    let Some(mut config) = config.filter(|_| settings.net.value != Net::Offline) else {
        return Finding::ok(ROOTS, found);
    };
    // The same host as is asked for `upstream`. It need not speak TLS: only the certificate it shows matters.
    let uri = question(&config).and_then(|url| url.replacen("http://", "https://", 1).parse::<Uri>().ok());
    let Some(uri) = uri else { return Finding::ok(ROOTS, found) };
    config.timeouts.connect = config.timeouts.connect.min(Duration::from_secs(3));
    config.timeouts.head = config.timeouts.connect;
    let told =
        Told::of(&uri, &proxy_check::look(&config, Method::HEAD, &uri, Duration::from_secs(5)).await, settings, env)
            .await;
    match (&told.failed, &told.inspected_by) {
        (Some(failed), _) if failed.cause == "missing-root" => {
            failed.next.iter().fold(Finding::problem(ROOTS, format!("{found}; {}", failed.why)), Finding::remedy)
        }
        (_, Some(name)) => Finding::ok(ROOTS, format!("{found}; TLS is opened on the way by {name}, which is trusted")),
        _ => Finding::ok(ROOTS, found),
    }
}
