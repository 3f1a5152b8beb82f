//! The metrics there are.

/// What a metric is, as Prometheus has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the proxy starts anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in a line.
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

/// All of them, in the order they are written. The values of labels are known beforehand, or come from the settings: no
/// client can make new ones.
pub static METRICS: &[Metric] = &[
    metric("larder_build_info", Gauge, &["version"], "Version of Larder; always 1."),
    metric(
        "larder_requests_total",
        Counter,
        &["outcome", "class"],
        "Requests that ended, by how the answer came about and what the URL names.",
    ),
    metric(
        "larder_responses_total",
        Counter,
        &["code"],
        "Answers by the first digit of their status; none: no answer.",
    ),
    metric("larder_aborted_total", Counter, &[], "Answers that ended before their last byte."),
    metric("larder_offline_misses_total", Counter, &[], "Requests refused only because the proxy is offline."),
    metric("larder_damaged_total", Counter, &[], "Stored answers that turned out damaged, and were fetched anew."),
    metric(
        "larder_request_duration_seconds",
        Histogram,
        &["outcome"],
        "Time from a request's head to the last byte of its answer.",
    ),
    metric(
        "larder_first_byte_seconds",
        Histogram,
        &["outcome"],
        "Time from a request's head to the first byte of its answer's body.",
    ),
    metric("larder_sent_bytes_total", Counter, &[], "Bytes of bodies sent to clients."),
    metric("larder_received_bytes_total", Counter, &[], "Bytes of bodies received from clients."),
    metric("larder_read_bytes_total", Counter, &["source"], "Bytes of bodies read from the cache and from upstream."),
    metric("larder_requests_in_flight", Gauge, &[], "Requests under way."),
    metric("larder_connections", Gauge, &[], "Connections of clients that are open."),
    metric("larder_clients", Gauge, &[], "Clients that have connections open."),
    metric("larder_connections_total", Counter, &[], "Connections let in."),
    metric(
        "larder_connections_refused_total",
        Counter,
        &["reason"],
        "Connections not let in: of no network of the rules (network, told 403; foreign, dropped), or too many (limit).",
    ),
    metric(
        "larder_logins_total",
        Counter,
        &["result"],
        "Requests by what came of their credentials: checked, known (found right before), missing, wrong, or limited.",
    ),
    metric("larder_cache_entries", Gauge, &[], "Answers stored."),
    metric("larder_cache_blobs", Gauge, &[], "Bodies stored; answers may share one."),
    metric("larder_cache_bytes", Gauge, &[], "Bytes of the bodies stored."),
    metric("larder_cache_max_bytes", Gauge, &[], "The setting cache.max_size; 0 for no limit."),
    metric("larder_cache_free_bytes", Gauge, &[], "Bytes free on the cache's file system."),
    metric("larder_cache_writable", Gauge, &[], "Whether the cache could be written when it was last tried: 1 or 0."),
    metric("larder_cache_faults_total", Counter, &[], "How often the cache could not be read or written."),
    metric("larder_cache_evicted_total", Counter, &[], "Answers removed to make room."),
    metric("larder_cache_evicted_bytes_total", Counter, &[], "Bytes of bodies removed to make room."),
    metric(
        "larder_mirror_up",
        Gauge,
        &["name", "mirror"],
        "Whether a mirror is asked in its turn: 1, or 0 while it is down.",
    ),
    metric("larder_mirror_answers_total", Counter, &["name", "mirror"], "Answers that spoke for a mirror."),
    metric(
        "larder_mirror_failures_total",
        Counter,
        &["name", "mirror"],
        "Answers that spoke against a mirror, and failures.",
    ),
    metric(
        "larder_upstream_up",
        Gauge,
        &["proxy"],
        "Whether a proxy on the way upstream is asked in its turn: 1, or 0 while it is down.",
    ),
    metric(
        "larder_upstream_latency_seconds",
        Gauge,
        &["proxy"],
        "Time until a way by a proxy was ready, for http URLs until the answer; smoothed, none before the first.",
    ),
    metric(
        "larder_upstream_failures_total",
        Counter,
        &["proxy", "phase"],
        "Failures of a proxy on the way upstream, by what it failed at: connect, tls, login or answer.",
    ),
    metric("larder_log_lines_total", Counter, &["result"], "Lines of the access log: written, or lost."),
    metric("larder_reloads_total", Counter, &["result"], "Times that the settings were read anew: taken, or refused."),
    metric(
        "larder_reload_success",
        Gauge,
        &[],
        "Whether the settings in force are those that were read last: 1, or 0 where those were refused.",
    ),
    metric("larder_users", Gauge, &[], "Users who may log in."),
    metric("process_start_time_seconds", Gauge, &[], "When the process started, in seconds since 1970."),
    metric("process_cpu_seconds_total", Counter, &[], "Processor time used."),
    metric("process_resident_memory_bytes", Gauge, &[], "Memory in use."),
    metric("process_open_fds", Gauge, &[], "Open descriptors."),
    metric("process_max_fds", Gauge, &[], "Most descriptors that may be open."),
];
