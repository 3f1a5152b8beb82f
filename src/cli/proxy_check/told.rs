//! What was seen, in the order of the way: for people by `show`, for programs as it is here.

use std::time::{Duration, SystemTime};

use http::Uri;
use larder_proxy::upstream::certificates::{Certificate, Root, Roots, describe};
use larder_proxy::upstream::observe::Event;
use serde::Serialize;

use super::rule::{self, Rule};
use super::{Look, Trouble, roots, target, trouble};
use crate::cli::Env;
use crate::cli::settings::Settings;

/// The way to a URL.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Told {
    /// What was asked for.
    pub(super) url: String,
    /// Whether an answer came, whatever its status.
    pub(in crate::cli) works: bool,
    /// The status of the answer.
    pub(super) status: Option<u16>,
    /// Until the answer's head, or the failure.
    pub(super) milliseconds: f64,
    /// What was asked, one after the other: mirrors, or the URL itself; a proxy may be asked twice.
    pub(super) asked: Vec<Asked>,
    /// Who opens TLS on the way, where that can be told: the name of their authority.
    pub(in crate::cli) inspected_by: Option<String>,
    /// Where it went wrong.
    pub(in crate::cli) failed: Option<Failed>,
    /// The time there.
    #[serde(skip)]
    pub(in crate::cli) date: Option<SystemTime>,
}

/// One URL that was asked, and by which way.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    /// The URL, or that of the mirror that stands in for it.
    pub(super) url: String,
    /// Whether it is a mirror's.
    pub(super) mirror: bool,
    /// `direct`, or by which proxies.
    pub(super) way: String,
    /// Which setting says so, and where that is.
    pub(super) rule: String,
    /// What happened.
    pub(super) steps: Vec<Step>,
}

impl Asked {
    /// Notes the step that failed, unless the peer's own answer is already the failure.
    fn fail(&mut self, step: &'static str, host: &str, took: Duration) {
        if self.steps.last().is_some_and(|last| !last.works) {
            return;
        }
        let before: f64 = self.steps.iter().map(|step| step.milliseconds).sum();
        let milliseconds = ((milliseconds(took) - before) * 10.0).round().max(0.0) / 10.0;
        let (host, found) = (host.to_owned(), String::new());
        self.steps.push(Step {
            kind: step,
            host,
            works: false,
            milliseconds,
            found,
            certificates: Vec::new(),
            root: None,
        });
    }
}

/// Something that happened on the way.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// `resolve`, `connect`, `tls`, `certificate`, `proxy`, `answer` or `way`.
    #[serde(rename = "step")]
    pub(super) kind: &'static str,
    /// With whom, as far as that is known.
    pub(super) host: String,
    /// Whether it went well.
    pub(super) works: bool,
    /// Since the step before.
    pub(super) milliseconds: f64,
    /// What came of it.
    pub(super) found: String,
    /// What was shown, the peer's own first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) certificates: Vec<Certificate>,
    /// Where the last of them is trusted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) root: Option<Root>,
}

/// Where it went wrong, and what to do.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Failed {
    /// The step it went wrong at, by the names of [`Step`].
    pub(super) step: &'static str,
    /// With whom.
    pub(super) host: String,
    /// A name that does not change; see `trouble`.
    pub(in crate::cli) cause: &'static str,
    /// What is so.
    pub(in crate::cli) why: String,
    /// What to do next: commands and settings, the better one first.
    pub(in crate::cli) next: Vec<String>,
}

impl Told {
    /// Puts together what was seen of a request for `uri`.
    pub(in crate::cli) async fn of(uri: &Uri, look: &Look, settings: &Settings, env: &Env) -> Self {
        let roots = roots(settings).await;
        let mut asked = asked(uri, look, &roots, settings, env);
        let failed = look.answer.as_ref().err().map(|error| {
            let rule = target(uri).map_or(Rule::Nothing, |(host, port, tls)| rule::of(settings, env, tls, host, port));
            let trouble = Trouble::of(error, &asked, &rule);
            let (step, host) = trouble::place(error, uri, &asked);
            if let Some(last) = asked.last_mut() {
                last.fail(step, &host, look.took);
            }
            let (why, next) = trouble.words(&error.message, uri, settings, &asked);
            Failed { step, host, cause: trouble.name(), why, next }
        });
        let root = asked.iter().flat_map(|asked| &asked.steps).rev().find_map(|step| step.root.as_ref());
        Self {
            url: uri.to_string(),
            works: failed.is_none(),
            status: look.answer.as_ref().ok().map(|(status, _)| *status),
            milliseconds: milliseconds(look.took),
            inspected_by: root.filter(|root| root.is_private()).map(|root| root.name().to_owned()),
            failed,
            date: look.answer.as_ref().ok().and_then(|(_, headers)| date(headers)),
            asked,
        }
    }

    /// The way that worked, in a line.
    pub(in crate::cli) fn summary(&self) -> String {
        let last = self.asked.last();
        let way = last.map_or("directly", |asked| if asked.way == "direct" { "directly" } else { &asked.way });
        let host = last.and_then(|asked| asked.url.split('/').nth(2)).unwrap_or(&self.url);
        let status = self.status.map(|status| format!(" (status {status})")).unwrap_or_default();
        let inspected = self.inspected_by.as_ref().map(|name| format!("; TLS is opened on the way by {name}"));
        format!("{host} answers {}{status}{}", way.replacen("proxy ", "by way of ", 1), inspected.unwrap_or_default())
    }
}

fn milliseconds(took: Duration) -> f64 {
    // To a tenth, which is as much as such a figure means.
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

fn date(headers: &http::HeaderMap) -> Option<SystemTime> {
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().into())
}

fn asked(uri: &Uri, look: &Look, roots: &Roots, settings: &Settings, env: &Env) -> Vec<Asked> {
    let mut all: Vec<Asked> = Vec::new();
    // What ended the last way is told as the failure of it all.
    let end = look.events.len().saturating_sub(usize::from(look.answer.is_err()));
    let told = look.events.iter().enumerate();
    for (_, (took, event)) in told.filter(|(at, (_, event))| *at < end || !matches!(event, Event::WayFailed { .. })) {
        if let Event::Asked { url, way } = event {
            let parsed: Option<Uri> = url.parse().ok();
            let rule = parsed
                .as_ref()
                .and_then(target)
                .map(|(host, port, tls)| rule::of(settings, env, tls, host, port).to_string());
            let same = parsed.as_ref().and_then(target) == target(uri);
            let again = all.last().is_some_and(|last| last.url == *url && last.way == *way);
            if !again {
                all.push(Asked {
                    url: url.clone(),
                    mirror: !same,
                    way: way.clone(),
                    rule: rule.unwrap_or_default(),
                    steps: Vec::new(),
                });
            }
        } else if let Some(last) = all.last_mut() {
            let is_next = !matches!(event, Event::WayFailed { .. });
            if let Some(question) = last.steps.last_mut().filter(|step| step.kind == "proxy" && is_next) {
                // What came after a question is the answer to it.
                question.works = true;
            }
            last.steps.push(step(milliseconds(*took), event, roots));
        }
    }
    all
}

fn step(milliseconds: f64, event: &Event, roots: &Roots) -> Step {
    let plain = |kind, host: &str, works, found| Step {
        kind,
        host: host.to_owned(),
        works,
        milliseconds,
        found,
        certificates: Vec::new(),
        root: None,
    };
    match event {
        Event::Asked { url, .. } => plain("way", url, true, String::new()),
        Event::WayFailed { way, why } => plain("way", way, false, why.clone()),
        Event::Resolved { host, addresses } => {
            let mut all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            all.dedup();
            plain("resolve", host, true, all.join(", "))
        }
        Event::Connected { host, address, failed } => {
            let after = if failed.is_empty() { String::new() } else { format!(" (after {})", failed.join("; ")) };
            plain("connect", host, true, format!("{} port {}{after}", address.ip(), address.port()))
        }
        Event::Certificates { host, chain, refused } => Step {
            certificates: describe(chain),
            root: roots.of(chain),
            ..plain("certificate", host, refused.is_none(), refused.clone().unwrap_or_default())
        },
        Event::Tls { host, version, cipher, alpn } => {
            let version = version.replace("TLSv1_", "TLS 1.");
            let alpn =
                alpn.as_deref().map_or("no protocol agreed on", |alpn| if alpn == "h2" { "HTTP/2" } else { alpn });
            plain("tls", host, true, format!("{version}, {cipher}, {alpn}"))
        }
        Event::Proxy { proxy, asked, answer, scheme } => {
            let scheme = scheme.as_ref().map(|scheme| format!(" (authentication: {scheme})"));
            let mut words = answer.split(' ');
            let status = words.find_map(|word| word.parse::<u16>().ok()).unwrap_or(200);
            let works = (200..300).contains(&status) || (status != 407 && !asked.starts_with("CONNECT "));
            plain("proxy", proxy, works, format!("{asked}: {answer}{}", scheme.unwrap_or_default()))
        }
        Event::Answer { status, version } => {
            plain("answer", "", true, format!("status {status}, {}", version.replace("/2.0", "/2")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read() {
        let mut headers = http::HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(http::header::DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let read = date(&headers).unwrap();
        assert_eq!(read.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 784_111_777);
    }
}
