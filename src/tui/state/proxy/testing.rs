//! Traffic for tests.

use std::time::{Duration, SystemTime};

use larder_proxy::flow::{Class, Flow, Outcome};
use larder_proxy::identity::Identity;
use larder_proxy::in_flight::InFlight;

use crate::event::EventKind;
use crate::tui::state::State;
use crate::tui::testing::{feed, noon};

/// A request that ended `id` seconds after noon and took 40 ms.
pub(in crate::tui) fn flow(id: u64, outcome: Outcome, url: &str, bytes: u64) -> Flow {
    let hit = matches!(outcome, Outcome::Hit | Outcome::Revalidated | Outcome::Stale | Outcome::Coalesced);
    let failed = matches!(outcome, Outcome::Denied | Outcome::Error);
    Flow {
        id,
        identity: Identity { build: "rootfs.debian".into(), step: Some("shell".into()), ..Identity::default() },
        started: SystemTime::from(noon()) + Duration::from_secs(id),
        duration: Duration::from_millis(40),
        first_byte: (!failed).then(|| Duration::from_millis(12)),
        method: if outcome == Outcome::Tunnel { "CONNECT".into() } else { "GET".into() },
        url: url.to_owned(),
        status: if failed { 403 } else { 200 },
        outcome,
        why: if hit { "fresh".into() } else { "it was not in the cache".into() },
        class: Class::Package,
        route: if hit { String::new() } else { "proxy http://proxy.example:8080".to_owned() },
        upstream_status: (!hit && !failed).then_some(200),
        bytes_sent: bytes,
        bytes_received: 0,
        bytes_cache: if hit { bytes } else { 0 },
        bytes_upstream: if hit { 0 } else { bytes },
        digest: (!failed).then(|| "9f".repeat(32).into()),
        aborted: false,
        version: "HTTP/1.1".into(),
        intercepted: url.starts_with("https:"),
        offline_miss: outcome == Outcome::Denied,
        rule: "apt pool".into(),
        key: url.to_owned(),
        damaged: false,
        authorized: false,
        answer: None,
        key_is_cut: false,
    }
}

/// One under way: a quarter of it has come.
pub(in crate::tui) fn under_way(id: u64, url: &str, total: u64) -> InFlight {
    let mut flow = flow(id, Outcome::Miss, url, total / 4);
    flow.duration = Duration::from_secs(3);
    InFlight { flow, outcome: Some(Outcome::Miss), total: Some(total) }
}

/// Lets flows end.
pub(in crate::tui) fn end(state: &mut State, flow: Flow) {
    let build = flow.identity.build.clone();
    state.run.live.totals.add(&flow);
    feed(state, 40, Some(&build), EventKind::Flow { flow: Box::new(flow) });
}

/// Traffic of every kind.
pub(in crate::tui) fn traffic(state: &mut State) {
    let debian = "http://deb.example.org/debian";
    let mut security = flow(4, Outcome::Miss, "http://security.example.org/pool/o/openssl_3.0_amd64.deb", 1_900_000);
    security.identity.build = "rootfs.alpine".into();
    let flows = [
        flow(1, Outcome::Hit, &format!("{debian}/dists/stable/InRelease"), 128_000),
        flow(2, Outcome::Revalidated, &format!("{debian}/dists/stable/main/binary-amd64/Packages.xz"), 1_400_000),
        flow(
            3,
            Outcome::Miss,
            &format!("{debian}/pool/main/l/linux/linux-image-6.8.0-41-generic_amd64.deb"),
            12_900_000,
        ),
        security,
        flow(
            5,
            Outcome::Coalesced,
            &format!("{debian}/pool/main/l/linux/linux-image-6.8.0-41-generic_amd64.deb"),
            12_900_000,
        ),
        flow(6, Outcome::Tunnel, "esm.example.org:443", 44_000),
        flow(7, Outcome::Bypass, "https://api.example.org/v2/refresh", 3_000),
        flow(8, Outcome::Stale, &format!("{debian}/dists/stable/Release"), 9_000),
        flow(9, Outcome::Denied, "http://ppa.example.org/foo/dists/stable/InRelease", 0),
    ];
    for flow in flows {
        end(state, flow);
    }
}
