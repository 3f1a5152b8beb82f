//! A request through the proxy in the form readers of events are promised, whatever the proxy's own record looks like.

use std::time::Duration;

use larder_proxy::flow::Flow;
use serde::{Serialize, Serializer};

/// A request through the proxy and its answer. The build and the step that asked are the event's own.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Flow"))]
pub struct FlowRecord {
    /// Number of the request, unique within the run.
    pub id: u64,
    /// When the request arrived: RFC 3339, in UTC.
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub started: jiff::Timestamp,
    /// From then to the last byte of the answer, in seconds.
    pub seconds: f64,
    /// From then to the first byte of the answer's body, in seconds; null where there was none.
    pub first_byte_seconds: Option<f64>,
    /// Method of the request, such as `GET`.
    pub method: String,
    /// URL asked for, without passwords and signatures; `host:port` of a tunnel.
    pub url: String,
    /// HTTP version of the request, such as `HTTP/1.1`.
    pub http_version: String,
    /// Whether the request came over TLS that Larder looked into.
    pub intercepted: bool,
    /// HTTP status sent; 0 when the client went away before there was one.
    pub status: u16,
    /// How the answer came about: `HIT`, `MISS`, `REVALIDATED`, `STALE`, `COALESCED`, `TUNNEL`, `BYPASS`, `DENIED` or
    /// `ERROR`.
    pub outcome: String,
    /// Why, in plain words that may change.
    pub why: String,
    /// What the URL names: `package`, `index`, `image` or `other`.
    pub class: String,
    /// Way to the origin: `direct`, `proxy URL` or `mirror URL`, with `(not URL: why; …)` for mirrors passed over; empty
    /// when upstream was not asked.
    pub route: String,
    /// HTTP status of upstream's answer; null when it was not asked, or did not answer.
    pub upstream_status: Option<u16>,
    /// Bytes of bodies sent to the client.
    pub bytes_sent: u64,
    /// Bytes of bodies read from the cache.
    pub bytes_cache: u64,
    /// Bytes of bodies read from upstream for this request.
    pub bytes_upstream: u64,
    /// SHA-256 of the whole body, in hex; null where it is not known.
    pub digest: Option<String>,
    /// Whether the answer ended before its last byte.
    pub aborted: bool,
    /// Whether it was refused only because the run is offline and the cache has no answer.
    pub offline_miss: bool,
    /// Name of the rule that says what the URL names, or `none`; empty where no rule was asked.
    pub rule: String,
    /// What the cache files it under, as `larder cache explain` takes it; empty where the cache has no part in it.
    pub key: String,
    /// Whether what was stored turned out damaged; it was fetched anew.
    pub damaged: bool,
}

impl From<&Flow> for FlowRecord {
    fn from(flow: &Flow) -> Self {
        Self {
            id: flow.id,
            started: jiff::Timestamp::try_from(flow.started).unwrap_or_default(),
            seconds: flow.duration.as_secs_f64(),
            first_byte_seconds: flow.first_byte.as_ref().map(Duration::as_secs_f64),
            method: flow.method.clone().into_owned(),
            url: flow.url.clone(),
            http_version: flow.version.clone().into_owned(),
            intercepted: flow.intercepted,
            status: flow.status,
            outcome: flow.outcome.as_str().to_owned(),
            why: flow.why.clone().into_owned(),
            class: flow.class.as_str().to_owned(),
            route: flow.route.clone(),
            upstream_status: flow.upstream_status,
            bytes_sent: flow.bytes_sent,
            bytes_cache: flow.bytes_cache,
            bytes_upstream: flow.bytes_upstream,
            digest: flow.digest.as_deref().map(str::to_owned),
            aborted: flow.aborted,
            offline_miss: flow.offline_miss,
            rule: flow.rule.to_string(),
            key: flow.key.clone(),
            damaged: flow.damaged,
        }
    }
}

/// Writes a flow as a [`FlowRecord`].
pub(super) fn serialize<S: Serializer>(flow: &Flow, serializer: S) -> Result<S::Ok, S::Error> {
    FlowRecord::from(flow).serialize(serializer)
}
