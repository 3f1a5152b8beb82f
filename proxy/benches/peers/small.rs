//! Small bodies that are stored: hits on kept connections, and connections that are made for one hit each.

use std::time::Duration;

use crate::bed::Bed;
use crate::bench::progress;
use crate::load::{Clients, connect_for};
use crate::peer::{Peer, Way};
use crate::sample::Sample;
use crate::wire::{Connection, Target};
use crate::{Result, client_tls};

/// Clients that ask all the time.
const CLIENTS: usize = 64;
/// Clients that connect all the time.
const CONNECTING: usize = 16;

pub(crate) struct Small {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) file: &'static str,
    tls: bool,
    /// Connections are made for one request each, and resume TLS sessions or do not.
    new: Option<bool>,
}

const fn hits(name: &'static str, title: &'static str, file: &'static str, tls: bool) -> Small {
    Small { name, title, file, tls, new: None }
}

pub(crate) const ALL: [Small; 6] = [
    hits("1k", "1 KB hits, 64 connections: requests/s", "/1k_1.0_all.deb", false),
    hits("64k", "64 KB hits, 64 connections: requests/s", "/64k_1.0_all.deb", false),
    hits("1k-tls", "intercepted 1 KB hits, 64 connections: requests/s", "/1k_1.0_all.deb", true),
    hits("64k-tls", "intercepted 64 KB hits, 64 connections: requests/s", "/64k_1.0_all.deb", true),
    Small {
        name: "new",
        title: "new intercepted connections, full handshakes, 16 clients: connections/s",
        file: "/1k_1.0_all.deb",
        tls: true,
        new: Some(false),
    },
    Small {
        name: "new-resumed",
        title: "new intercepted connections, sessions offered again, 16 clients: connections/s",
        file: "/1k_1.0_all.deb",
        tls: true,
        new: Some(true),
    },
];

/// One scenario: all peers in turn, as many rounds as there are to be.
pub(crate) async fn measure(small: &Small, bed: &Bed, rounds: usize, time: Duration) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let tls = if small.tls { Some(client_tls::config(small.new == Some(true))?) } else { None };
    for round in 1..=rounds {
        for peer in &bed.peers {
            let Some(target) = peer.target(&bed.origin, small.file, tls.clone()) else { continue };
            if round == 1 {
                warm_up(small, bed, peer, &target)
                    .await
                    .map_err(|error| format!("{} by {}: {error}", small.name, peer.name))?;
            }
            let asked = bed.origin_requests().await?;
            let measured = load(small, peer, &target, time).await;
            let (sample, requests) = measured.map_err(|error| format!("{} by {}: {error}", small.name, peer.name))?;
            let misses = bed.origin_requests().await? - asked;
            if !matches!(peer.way, Way::Direct) && misses > 10 + requests / 1000 {
                return Err(format!("{}: {misses} of {requests} hits of {} were none", small.name, peer.name).into());
            }
            progress(&format!(
                "{} {round}/{rounds} {}: {:.0}/s, {:.1} us of CPU each, {} resumed, {} connected again",
                small.name, peer.name, sample.rate, sample.cpu, sample.resumed, sample.reconnects
            ));
            samples.push(sample);
        }
    }
    Ok(samples)
}

async fn load(small: &Small, peer: &Peer, target: &Target, time: Duration) -> Result<(Sample, u64)> {
    if small.new.is_some() {
        let before = peer.usage()?;
        let outcome = connect_for(target, CONNECTING, time).await?;
        return Ok((Sample::of(small.name, peer.name, &outcome, before, peer.usage()?), outcome.requests));
    }
    let mut clients = Clients::connect(target, CLIENTS).await?;
    let before = peer.usage()?;
    let outcome = clients.ask_for(time).await?;
    // Its memory is looked at while the clients are there.
    Ok((Sample::of(small.name, peer.name, &outcome, before, peer.usage()?), outcome.requests))
}

/// Stores the file, and sees that it comes as it is.
async fn warm_up(small: &Small, bed: &Bed, peer: &Peer, target: &Target) -> Result<()> {
    let file = std::fs::read(bed.origin.www.join(small.file.trim_start_matches('/')))?;
    // The second may still be let through by one that stores in its own time.
    for _ in 0..3 {
        let mut body = Vec::new();
        let mut connection = Connection::open(target).await?;
        let answer = connection.ask_into(&target.request, |piece| body.extend_from_slice(piece)).await?;
        if answer.status != 200 || body != file {
            return Err(format!("status {}, {} bytes of {}", answer.status, body.len(), file.len()).into());
        }
    }
    load(small, peer, target, Duration::from_millis(300)).await?;
    Ok(())
}
