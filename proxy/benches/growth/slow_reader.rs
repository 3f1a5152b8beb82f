//! A large body that is not stored yet, to a client that reads a megabyte a second.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;
use crate::arguments::Arguments;
use crate::bench::{need_room, progress};
use crate::load::expect_ok;
use crate::origin::Origin;
use crate::subject::{Subject, on_disk};
use crate::table::{Bound, Goal};
use crate::wire::Connection;

const BYTES_A_SECOND: f64 = 1e6;
const WITHIN: f64 = 64.0;

pub(crate) async fn measure(folder: &Path, origin: &Origin, arguments: &Arguments) -> Result<Vec<Goal>> {
    need_room(folder, arguments.large << 20)?;
    // All zeros: a file without blocks.
    File::create(origin.www.join("big"))?.set_len(arguments.large << 20)?;
    let subject = Subject::start(&folder.join("slow"), origin, &[]).await?;
    let target = subject.target(origin, "/1k_1.0_all.deb");
    expect_ok(Connection::open(&target).await?.ask(&target.request).await?)?;
    let (idle, used) = (subject.usage()?, on_disk(&subject.cache));
    let target = subject.target(origin, "/big/slow_1.0_all.deb");
    let mut connection = Connection::open(&target).await?;
    let (answer, mut read) = connection.begin(&target.request).await?;
    expect_ok(answer)?;
    let (begun, mut looked, mut most) = (Instant::now(), Instant::now(), 0);
    let time = Duration::from_secs(15 * arguments.seconds);
    while begun.elapsed() < time && read < answer.length {
        read += connection.read_some().await?;
        let due = Duration::from_secs_f64(read as f64 / BYTES_A_SECOND);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
        if looked.elapsed() > Duration::from_secs(1) {
            looked = Instant::now();
            most = most.max(subject.usage()?.resident);
        }
    }
    let stored = on_disk(&subject.cache).saturating_sub(used);
    progress(&format!("slow reader: {read} bytes in {:.0?}, {stored} on disk", begun.elapsed()));
    let goal = |what: &str, measured: f64, bound: Option<Bound>| Goal {
        what: format!("{} GB to a client of 1 MB/s: {what}", arguments.large / 1024),
        measured,
        bound,
    };
    Ok(vec![
        goal("memory above idle, at most MB", (most as f64 - idle.resident as f64) / 1e6, Some(Bound::AtMost(WITHIN))),
        goal("megabytes read", read as f64 / 1e6, None),
        goal("megabytes stored meanwhile", stored as f64 / 1e6, None),
    ])
}
