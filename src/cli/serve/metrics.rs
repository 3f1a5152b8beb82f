//! Counts over flows, and the page that shows them with what else is to be known.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use larder_proxy::flow::{Class, Flow, Outcome};
use larder_proxy::mirror::health::Standing;
use larder_proxy::spread::Spread;
use larder_proxy::upstream::figures::Step;

use super::Service;
use super::exposition::Page;
use crate::cli::version::VERSION;

const OUTCOMES: [Outcome; 9] = [
    Outcome::Hit,
    Outcome::Miss,
    Outcome::Revalidated,
    Outcome::Stale,
    Outcome::Coalesced,
    Outcome::Tunnel,
    Outcome::Bypass,
    Outcome::Denied,
    Outcome::Error,
];
const CLASSES: [Class; 4] = [Class::Package, Class::Index, Class::Image, Class::Other];
const CODES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Upper bounds in seconds: a hit takes less than the first, a disk image more than most.
const BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// Counts over flows.
#[derive(Default)]
pub(super) struct Meter {
    counts: Spread<Counts>,
}

#[derive(Clone, Default)]
struct Counts {
    requests: [[u64; CLASSES.len()]; OUTCOMES.len()],
    codes: [u64; CODES.len()],
    durations: [Durations; OUTCOMES.len()],
    first_bytes: [Durations; OUTCOMES.len()],
    aborted: u64,
    offline: u64,
    damaged: u64,
    sent: u64,
    received: u64,
    cache: u64,
    upstream: u64,
}

#[derive(Clone, Copy, Default)]
struct Durations {
    counts: [u64; BOUNDS.len() + 1],
    sum: f64,
}

impl Durations {
    fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.counts[BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len())] += 1;
        self.sum += seconds;
    }

    fn add_all(&mut self, others: &Self) {
        sum(&mut self.counts, &others.counts);
        self.sum += others.sum;
    }
}

fn sum(counts: &mut [u64], others: &[u64]) {
    counts.iter_mut().zip(others).for_each(|(count, other)| *count += other);
}

impl Counts {
    fn add(&mut self, others: &Self) {
        sum(self.requests.as_flattened_mut(), others.requests.as_flattened());
        sum(&mut self.codes, &others.codes);
        self.durations.iter_mut().zip(&others.durations).for_each(|(one, other)| one.add_all(other));
        self.first_bytes.iter_mut().zip(&others.first_bytes).for_each(|(one, other)| one.add_all(other));
        self.aborted += others.aborted;
        self.offline += others.offline;
        self.damaged += others.damaged;
        self.sent += others.sent;
        self.received += others.received;
        self.cache += others.cache;
        self.upstream += others.upstream;
    }
}

impl Meter {
    /// Counts a flow.
    pub(super) fn add(&self, flow: &Flow) {
        let outcome = flow.outcome as usize;
        let mut counts = self.counts.mine();
        counts.requests[outcome][flow.class as usize] += 1;
        counts.codes[usize::from(flow.status / 100).min(CODES.len() - 1)] += 1;
        counts.durations[outcome].add(flow.duration);
        if let Some(first_byte) = flow.first_byte {
            counts.first_bytes[outcome].add(first_byte);
        }
        counts.aborted += u64::from(flow.aborted);
        counts.offline += u64::from(flow.offline_miss);
        counts.damaged += u64::from(flow.damaged);
        counts.sent += flow.bytes_sent;
        counts.received += flow.bytes_received;
        counts.cache += flow.bytes_cache;
        counts.upstream += flow.bytes_upstream;
    }

    fn write(&self, page: &mut Page) {
        let mut counts = Counts::default();
        self.counts.all().for_each(|some| counts.add(&some));
        let mut family = page.metric("larder_requests_total");
        for (outcome, by_class) in OUTCOMES.iter().zip(&counts.requests) {
            for (class, count) in CLASSES.iter().zip(by_class) {
                family.count(&[outcome.as_str(), class.as_str()], *count);
            }
        }
        let mut family = page.metric("larder_responses_total");
        for (code, count) in CODES.iter().zip(&counts.codes) {
            family.count(&[code], *count);
        }
        page.count("larder_aborted_total", counts.aborted);
        page.count("larder_offline_misses_total", counts.offline);
        page.count("larder_damaged_total", counts.damaged);
        for (name, all) in
            [("larder_request_duration_seconds", counts.durations), ("larder_first_byte_seconds", counts.first_bytes)]
        {
            let mut family = page.metric(name);
            for (outcome, one) in OUTCOMES.iter().zip(all) {
                family.histogram(&[outcome.as_str()], &BOUNDS, &one.counts, one.sum);
            }
        }
        page.count("larder_sent_bytes_total", counts.sent);
        page.count("larder_received_bytes_total", counts.received);
        page.metric("larder_read_bytes_total").count(&["cache"], counts.cache).count(&["upstream"], counts.upstream);
    }
}

impl Service {
    /// The page of metrics. Asks the cache's index, and so may block.
    pub(super) fn metrics(&self) -> String {
        let mut page = Page::default();
        page.metric("larder_build_info").sample(&[VERSION], 1.0);
        self.meter.write(&mut page);
        page.count("larder_requests_in_flight", self.proxy.in_flight().len() as u64);
        self.write_clients(&mut page);
        self.write_cache(&mut page);
        self.write_mirrors(&mut page);
        self.write_upstream(&mut page);
        let (written, lost) = self.access_log.counts();
        page.metric("larder_log_lines_total").count(&["written"], written).count(&["lost"], lost);
        let reloads = self.reloads();
        page.metric("larder_reloads_total").count(&["taken"], reloads.taken).count(&["refused"], reloads.refused);
        page.value("larder_reload_success", if reloads.why.is_none() { 1.0 } else { 0.0 });
        page.count("larder_users", self.users.load(Ordering::Relaxed));
        write_process(&mut page, self.started);
        page.finish()
    }

    fn write_clients(&self, page: &mut Page) {
        let counts = self.gate.counts();
        page.count("larder_connections", counts.open);
        page.count("larder_clients", counts.clients);
        page.count("larder_connections_total", counts.admitted);
        let mut family = page.metric("larder_connections_refused_total");
        for (reason, count) in [("network", counts.refused), ("foreign", counts.ignored), ("limit", counts.crowded)] {
            family.count(&[reason], count);
        }
        let results = [
            ("checked", counts.checked),
            ("known", counts.known),
            ("missing", counts.missing),
            ("wrong", counts.wrong),
            ("limited", counts.later),
        ];
        let mut family = page.metric("larder_logins_total");
        for (result, count) in results {
            family.count(&[result], count);
        }
    }

    fn write_cache(&self, page: &mut Page) {
        let totals = self.proxy.cache().store().and_then(|store| store.totals().ok()).unwrap_or_default();
        page.count("larder_cache_entries", totals.entries);
        page.count("larder_cache_blobs", totals.blobs);
        page.count("larder_cache_bytes", totals.bytes);
        page.count("larder_cache_max_bytes", self.max_bytes.load(Ordering::Relaxed));
        page.count("larder_cache_free_bytes", free_bytes(&self.cache_dir));
        page.value("larder_cache_writable", if self.cache_fault().is_none() { 1.0 } else { 0.0 });
        let figures = self.proxy.cache().figures();
        page.count("larder_cache_faults_total", figures.faults);
        page.count("larder_cache_evicted_total", figures.evicted);
        page.count("larder_cache_evicted_bytes_total", figures.evicted_bytes);
    }

    fn write_mirrors(&self, page: &mut Page) {
        // One that is named twice is one.
        let mut all: BTreeMap<(String, String), (bool, u64, u64)> = BTreeMap::new();
        for mirror in self.proxy.mirrors() {
            for target in mirror.targets() {
                let health = target.health();
                let (answered, failed) = health.counts();
                let one = all.entry((mirror.to_string(), target.to_string())).or_insert((true, 0, 0));
                *one = (one.0 && health.standing(Instant::now()) == Standing::Up, one.1 + answered, one.2 + failed);
            }
        }
        let mut write = |metric: &str, value: &dyn Fn(&(bool, u64, u64)) -> u64| {
            let mut family = page.metric(metric);
            for ((name, mirror), one) in &all {
                family.count(&[name, mirror], value(one));
            }
        };
        write("larder_mirror_up", &|one| u64::from(one.0));
        write("larder_mirror_answers_total", &|one| one.1);
        write("larder_mirror_failures_total", &|one| one.2);
    }
}

impl Service {
    fn write_upstream(&self, page: &mut Page) {
        let all = self.proxy.upstream();
        let mut family = page.metric("larder_upstream_up");
        for (proxy, one) in &all {
            family.count(&[proxy], u64::from(one.is_up));
        }
        let mut family = page.metric("larder_upstream_latency_seconds");
        for (proxy, one) in &all {
            if let Some(took) = one.took {
                family.sample(&[proxy], took.as_secs_f64());
            }
        }
        let mut family = page.metric("larder_upstream_failures_total");
        for (proxy, one) in &all {
            for (step, count) in Step::ALL.iter().zip(one.failures) {
                family.count(&[proxy, step.as_str()], count);
            }
        }
    }
}

fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// What every exporter tells of its process.
fn write_process(page: &mut Page, started: SystemTime) {
    let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    page.value("process_start_time_seconds", since.as_secs_f64());
    page.value("process_cpu_seconds_total", cpu_seconds());
    page.count("process_resident_memory_bytes", resident_bytes());
    page.count("process_open_fds", std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    page.count("process_max_fds", limit.current.unwrap_or(u64::MAX));
}

/// User and system time: the 14th and 15th field of proc_pid_stat(5), counted behind the name, which may hold anything.
#[expect(clippy::cast_precision_loss, reason = "seconds with two decimals")]
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
