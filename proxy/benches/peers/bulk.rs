//! One large body and one client: fetched and stored, and then from the store.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use crate::Result;
use crate::arguments::Arguments;
use crate::bed::{Bed, random};
use crate::bench::{need_room, progress};
use crate::load::expect_ok;
use crate::peer::Peer;
use crate::sample::Sample;
use crate::wire::{Connection, Target};

pub(crate) const NAMES: [&str; 2] = ["1g-miss", "1g-hit"];
pub(crate) const TITLES: [&str; 2] =
    ["1 GB miss, stored, 1 client: MB/s; CPU a MB", "1 GB hit, 1 client: MB/s; CPU a MB"];

/// In each round another body: all peers fetch it, and then all answer with it from their stores.
pub(crate) async fn measure(bed: &Bed, arguments: &Arguments) -> Result<Vec<Sample>> {
    let file = bed.origin.www.join("big");
    // Each of the four proxies stores each round's.
    need_room(&bed.origin.www, (arguments.large << 20) * (4 * arguments.rounds as u64 + 1))?;
    let piece = random(1 << 20)?;
    let mut writer = fs::File::create(&file)?;
    for _ in 0..arguments.large {
        writer.write_all(&piece)?;
    }
    let mut samples = Vec::new();
    for round in 1..=arguments.rounds {
        // Not the same bytes again, which some would not store twice.
        OpenOptions::new().write(true).open(&file)?.write_all_at(&random(64)?, 0)?;
        for name in NAMES {
            // A miss comes before the hit, also where that is not asked for.
            let shown = arguments.wants(name, "bulk");
            for peer in &bed.peers {
                let path = format!("/big/{round}/large_1.0_all.deb");
                let Some(target) = peer.target(&bed.origin, &path, None) else { continue };
                // What others have written is not on this one's bill.
                rustix::fs::sync();
                let asked = bed.origin_requests().await?;
                let fetched = fetch(name, peer, &target, arguments.large << 20).await;
                let sample = fetched.map_err(|error| format!("{name} by {}: {error}", peer.name))?;
                let hit = bed.origin_requests().await? - asked == 1;
                if peer.name != "nginx" && hit != (name == "1g-hit") {
                    return Err(
                        format!("{name} by {}: it was a {}", peer.name, if hit { "hit" } else { "miss" }).into()
                    );
                }
                progress(&format!("{name} {round}/{} {}: {:.0} MB/s", arguments.rounds, peer.name, sample.rate));
                samples.extend(shown.then_some(sample));
            }
        }
    }
    Ok(samples)
}

async fn fetch(name: &'static str, peer: &Peer, target: &Target, size: u64) -> Result<Sample> {
    let mut connection = Connection::open(target).await?;
    let before = peer.usage()?;
    let begun = Instant::now();
    let (answer, mut read) = connection.begin(&target.request).await?;
    let first = begun.elapsed();
    expect_ok(answer)?;
    if answer.length != size {
        return Err(format!("{} bytes instead of {size}", answer.length).into());
    }
    while read < size {
        read += connection.read_some().await?;
    }
    let elapsed = begun.elapsed();
    // What is left to do of storing counts too: the digest, the index.
    let mut after = peer.usage()?;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let later = peer.usage()?;
        let quiet = later.cpu == after.cpu;
        after = later;
        if quiet {
            break;
        }
    }
    let megabytes = size as f64 / 1e6;
    Ok(Sample {
        scenario: name,
        peer: peer.name,
        rate: megabytes / elapsed.as_secs_f64(),
        p50: first,
        p99: elapsed,
        longest: elapsed,
        cpu: (after.cpu.saturating_sub(before.cpu)).as_secs_f64() * 1e6 / megabytes,
        resident: after.resident,
        peak: after.peak,
        reconnects: 0,
        resumed: 0.0,
    })
}
