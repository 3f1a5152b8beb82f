//! Larder beside nginx, Traffic Server, squid and apt-cacher-ng: the same files, one run, in turn.
//! docs/reference/benchmarks.md says how to run it, and what its figures mean.

#![expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

use std::time::Duration;

mod apt_cacher_ng;
#[path = "../support/arguments.rs"]
mod arguments;
mod bed;
#[path = "../support/bench.rs"]
mod bench;
mod bulk;
#[path = "../support/client_tls.rs"]
mod client_tls;
#[path = "../support/histogram.rs"]
mod histogram;
#[path = "../support/larder.rs"]
mod larder;
#[path = "../support/load.rs"]
mod load;
#[path = "../support/origin.rs"]
mod origin;
mod peer;
#[path = "../support/process.rs"]
mod process;
mod report;
#[path = "../support/sample.rs"]
mod sample;
mod small;
mod squid;
#[path = "../support/table.rs"]
mod table;
mod targets;
mod traffic_server;
#[path = "../support/wire.rs"]
mod wire;

use crate::arguments::Arguments;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments = Arguments::read(4, 1024)?;
    if !arguments.wanted {
        return Ok(());
    }
    let names: Vec<_> =
        small::ALL.iter().map(|small| (small.name, "small")).chain(bulk::NAMES.map(|name| (name, "bulk"))).collect();
    arguments.check(&names, &bed::SERVERS)?;
    bench::run(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let folder = bench::folder()?;
    let bed = bed::Bed::start(folder.path(), arguments).await?;
    let mut samples = Vec::new();
    for small in small::ALL.iter().filter(|small| arguments.wants(small.name, "small")) {
        let time = Duration::from_secs(arguments.seconds);
        samples.extend(small::measure(small, &bed, arguments.rounds, time).await?);
    }
    if bulk::NAMES.iter().any(|name| arguments.wants(name, "bulk")) {
        samples.extend(bulk::measure(&bed, arguments).await?);
    }
    bench::print(&if arguments.json { report::json(&samples)? } else { report::text(&samples) });
    Ok(())
}
