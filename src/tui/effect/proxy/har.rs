//! Requests as an HTTP Archive (HAR 1.2), which browsers' tools and analysers read.
//!
//! Larder keeps no header fields of what passes, so there are none in it; what else it knows of a request is in fields
//! that begin with an underscore, as the format allows.

use std::io::{BufWriter, Write as _};

use jiff::Timestamp;
use larder_proxy::flow::Flow;
use serde_json::{Value, json};

use super::body::create;
use crate::error::{Context as _, Result};
use crate::tui::effect::worker::Outside;

/// Writes the flows to a new file in the working directory.
pub(super) fn export(flows: &[Flow], outside: &Outside) -> Result<String> {
    let (file, path) = create(&outside.places.cwd, "larder.har")?;
    let what = || format!("cannot write {}", path.display());
    let mut out = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut out, &archive(flows)).context(what)?;
    out.flush().context(what)?;
    Ok(format!("wrote {} requests to {}", flows.len(), path.display()))
}

/// The archive of these flows.
pub fn archive(flows: &[Flow]) -> Value {
    let mut flows: Vec<&Flow> = flows.iter().collect();
    // The format asks for the oldest first.
    flows.sort_by_key(|flow| (flow.started, flow.id));
    json!({ "log": {
        "version": "1.2",
        "creator": { "name": "larder", "version": env!("CARGO_PKG_VERSION") },
        "entries": flows.into_iter().map(entry).collect::<Vec<_>>(),
    }})
}

fn entry(flow: &Flow) -> Value {
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
    let wait = flow.first_byte.unwrap_or(flow.duration);
    let receive = flow.duration.saturating_sub(wait);
    json!({
        "startedDateTime": Timestamp::try_from(flow.started).unwrap_or_default().to_string(),
        "time": milliseconds(wait) + milliseconds(receive),
        "request": {
            "method": flow.method, "url": flow.url, "httpVersion": flow.version, "cookies": [], "headers": [],
            "queryString": query(&flow.url), "headersSize": -1, "bodySize": -1,
        },
        "response": {
            "status": flow.status, "statusText": reason(flow.status), "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": [], "content": { "size": flow.bytes_sent, "mimeType": "x-unknown" }, "redirectURL": "",
            "headersSize": -1, "bodySize": flow.bytes_sent,
        },
        "cache": {},
        "timings": {
            "blocked": -1, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": milliseconds(wait),
            "receive": milliseconds(receive),
        },
        "_id": flow.id, "_outcome": flow.outcome, "_why": flow.why, "_build": flow.identity.build,
        "_step": flow.identity.step, "_route": flow.route, "_class": flow.class, "_sha256": flow.digest,
        "_upstreamStatus": flow.upstream_status, "_bytesFromCache": flow.bytes_cache,
        "_bytesFromUpstream": flow.bytes_upstream, "_intercepted": flow.intercepted, "_aborted": flow.aborted,
    })
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

fn query(url: &str) -> Vec<Value> {
    let Some((_, query)) = url.split_once('?') else { return Vec::new() };
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

#[cfg(test)]
mod tests;
