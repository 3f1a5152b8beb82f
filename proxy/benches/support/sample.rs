//! What one load of one peer came to.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Outcome;
use crate::process::Usage;

#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) scenario: &'static str,
    pub(crate) peer: &'static str,
    /// Requests a second, or megabytes.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
    /// Microseconds of the peer's processor time a request, or a megabyte.
    pub(crate) cpu: f64,
    /// Bytes, while its clients were connected.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    pub(crate) reconnects: u64,
    /// Share of connections that resumed a session.
    pub(crate) resumed: f64,
}

impl Sample {
    /// Of requests.
    pub(crate) fn of(
        scenario: &'static str,
        peer: &'static str,
        outcome: &Outcome,
        before: Usage,
        after: Usage,
    ) -> Self {
        let requests = outcome.requests as f64;
        Self {
            scenario,
            peer,
            rate: outcome.per_second(),
            p50: outcome.latency.quantile(0.5),
            p99: outcome.latency.quantile(0.99),
            longest: outcome.latency.longest(),
            cpu: after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / requests,
            resident: after.resident,
            peak: after.peak,
            reconnects: outcome.reconnects,
            resumed: outcome.resumed as f64 / requests,
        }
    }

    pub(crate) fn json(&self) -> Value {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        json!({
            "scenario": self.scenario, "peer": self.peer, "rate": self.rate, "p50_ms": ms(self.p50), "p99_ms": ms(self.p99),
            "longest_ms": ms(self.longest), "cpu_us": self.cpu, "rss_bytes": self.resident, "peak_bytes": self.peak,
            "reconnects": self.reconnects, "resumed": self.resumed,
        })
    }
}
