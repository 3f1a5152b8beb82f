//! Larder where there is much of everything: answers in the cache, clients, CONNECTs, bytes that nobody takes.
//! docs/reference/benchmarks.md says how to run it, and what its figures mean.

#![expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

#[path = "../support/arguments.rs"]
mod arguments;
#[path = "../support/bench.rs"]
mod bench;
#[path = "../support/client_tls.rs"]
mod client_tls;
mod connects;
mod entries;
mod filled;
#[path = "../support/histogram.rs"]
mod histogram;
mod idle;
#[path = "../support/larder.rs"]
mod larder;
#[expect(dead_code, reason = "shared with the other benchmark")]
#[path = "../support/load.rs"]
mod load;
#[expect(dead_code, reason = "shared with the other benchmark")]
#[path = "../support/origin.rs"]
mod origin;
#[expect(dead_code, reason = "shared with the other benchmark")]
#[path = "../support/process.rs"]
mod process;
mod slow_reader;
mod subject;
#[expect(dead_code, reason = "shared with the other benchmark")]
#[path = "../support/table.rs"]
mod table;
#[path = "../support/wire.rs"]
mod wire;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::arguments::Arguments;
use crate::origin::Origin;
use crate::table::{Goal, lay_out};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Scenarios, each its own group.
const NAMES: [&str; 4] = ["entries", "idle", "connects", "slow-reader"];

fn main() -> Result<()> {
    let arguments = Arguments::read(4, 10 << 10)?;
    if !arguments.wanted {
        return Ok(());
    }
    arguments.check(&NAMES.map(|name| (name, name)), &["larder"])?;
    // For the clients, and for the servers, which inherit it.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    bench::run(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let folder = bench::folder()?;
    let folder = folder.path();
    std::fs::create_dir(folder.join("origin"))?;
    let origin = Origin::start(&folder.join("origin")).await?;
    std::fs::write(origin.www.join("1k_1.0_all.deb"), vec![b'.'; 1 << 10])?;
    let mut goals = Vec::new();
    for name in NAMES.into_iter().filter(|name| arguments.wants(name, name)) {
        bench::progress(name);
        // Gone before the next needs the room.
        let place = tempfile::tempdir_in(folder)?;
        let place = place.path();
        let found = match name {
            "entries" => entries::measure(place, &origin, arguments).await,
            "idle" => idle::measure(place, &origin, arguments).await,
            "connects" => connects::measure(place, &origin, arguments).await,
            _ => slow_reader::measure(place, &origin, arguments).await,
        };
        goals.extend(found.map_err(|error| format!("{name}: {error}"))?);
    }
    let text = if arguments.json {
        serde_json::to_string_pretty(&goals.iter().map(Goal::json).collect::<Vec<_>>())?
    } else {
        lay_out(&goals.iter().map(Goal::row).collect::<Vec<_>>()).join("\n")
    };
    bench::print(&text);
    Ok(())
}
