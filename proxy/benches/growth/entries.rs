//! A cache of a thousand answers, and one of a million: start-up, look-ups, memory, disk, and room that is made while
//! requests run.

use std::path::Path;
use std::time::{Duration, Instant};

use larder_proxy::store::Store;

use crate::Result;
use crate::arguments::Arguments;
use crate::bench::{need_room, progress};
use crate::filled;
use crate::histogram::Histogram;
use crate::load::{Clients, expect_ok};
use crate::origin::Origin;
use crate::subject::{Subject, on_disk, request};
use crate::table::{Bound, Goal, median};
use crate::wire::Connection;

const FEW: u64 = 1000;
/// Look-ups of one sample.
const LOOKUPS: u64 = 5000;
/// How long it may take to make room.
const PATIENCE: Duration = Duration::from_mins(5);

/// A cache, and what was found of it in each round.
struct Side {
    entries: u64,
    folder: std::path::PathBuf,
    start: Vec<f64>,
    /// Medians of look-ups: of a thousand answers, and of all.
    same: Vec<f64>,
    any: Vec<f64>,
    resident: f64,
}

pub(crate) async fn measure(folder: &Path, origin: &Origin, arguments: &Arguments) -> Result<Vec<Goal>> {
    // A block of the disk, a row of the index and of its log.
    need_room(folder, arguments.entries * (4096 + 2 * 1024))?;
    let mut sides = [FEW, arguments.entries].map(|entries| {
        let folder = folder.join(format!("entries-{entries}"));
        Side { entries, folder, start: Vec::new(), same: Vec::new(), any: Vec::new(), resident: 0.0 }
    });
    for side in &sides {
        std::fs::create_dir_all(&side.folder)?;
        filled::fill(&side.folder.join("cache"), origin, side.entries).await?;
    }
    for round in 1..=arguments.rounds {
        for side in &mut sides {
            ask(side, origin, round as u64).await?;
        }
    }
    let [few, many] = &sides;
    let title = format!("{} answers", many.entries);
    let goal =
        |what: &str, measured: f64, bound: Option<Bound>| Goal { what: format!("{title}: {what}"), measured, bound };
    let ratio = |of: fn(&Side) -> &Vec<f64>| median(of(many).iter().zip(of(few)).map(|(many, few)| many / few));
    let index = ["index.sqlite", "index.sqlite-wal"].map(|name| many.folder.join("cache/v1").join(name));
    let index: u64 = index.iter().filter_map(|path| path.metadata().ok()).map(|found| found.len()).sum();
    let mut goals = vec![
        goal("start to first answer, s", median(many.start.clone()), Some(Bound::AtMost(1.0))),
        goal("the same of 1000 answers, s", median(few.start.clone()), None),
        goal("look-up among 1000 of them, median, us", median(many.same.clone()), None),
        goal("the same in a cache of 1000, us", median(few.same.clone()), None),
        goal("times that", ratio(|side| &side.same), Some(Bound::AtMost(1.2))),
        goal("look-up among all, median, us", median(many.any.clone()), None),
        goal("times one in a cache of 1000", ratio(|side| &side.any), None),
        goal("memory after that, MB", many.resident, Some(Bound::AtMost(250.0))),
        goal("memory with 1000 answers, MB", few.resident, None),
        goal("index, MB", index as f64 / 1e6, None),
        goal("cache on disk, MB (bodies of 1 KB take a block of 4 KB each)", on_disk(&many.folder) as f64 / 1e6, None),
    ];
    let made = make_room(many, origin, arguments).await?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    goals.extend([
        goal("longest hit beside new answers, room enough, ms", ms(made.without.longest()), None),
        goal("99 % of these hits within ms", ms(made.without.quantile(0.99)), None),
        goal("longest hit while room is made, ms", ms(made.with.longest()), Some(Bound::AtMost(50.0))),
        goal("99 % of these hits within ms", ms(made.with.quantile(0.99)), None),
        goal("bodies removed meanwhile, MB", made.bytes as f64 / 1e6, None),
        goal("time that took, s", made.time.as_secs_f64(), None),
    ]);
    Ok(goals)
}

/// Starts it, times the first answer and look-ups, and looks at its memory.
async fn ask(side: &mut Side, origin: &Origin, round: u64) -> Result<()> {
    let begun = Instant::now();
    let subject = Subject::start(&side.folder, origin, &[]).await?;
    let mut connection = Connection::open(&subject.target(origin, "/")).await?;
    expect_ok(connection.ask(request(origin, &filled::path(0)).as_bytes()).await?)?;
    side.start.push(begun.elapsed().as_secs_f64());
    // The same thousand for all, and so that neither cache has met them: then all again, which is what is timed.
    let mut same = Histogram::new();
    for each in (0..FEW).chain(0..LOOKUPS) {
        let time = look_up(&mut connection, origin, each % FEW).await?;
        if each >= FEW {
            same.note(time);
        }
    }
    let mut any = Histogram::new();
    for each in 0..LOOKUPS {
        // A step that meets all of them, far from each other.
        let number = (round * LOOKUPS + each).wrapping_mul(999_983) % side.entries;
        any.note(look_up(&mut connection, origin, number).await?);
    }
    let us = |histogram: &Histogram| histogram.quantile(0.5).as_secs_f64() * 1e6;
    side.same.push(us(&same));
    side.any.push(us(&any));
    side.resident = subject.usage()?.resident as f64 / 1e6;
    progress(&format!(
        "{} answers, round {round}: started in {:.3} s, look-ups {:.0} us, among all {:.0} us, {:.0} MB",
        side.entries,
        side.start.last().unwrap_or(&0.0),
        us(&same),
        us(&any),
        side.resident
    ));
    Ok(())
}

async fn look_up(connection: &mut Connection, origin: &Origin, number: u64) -> Result<Duration> {
    let asked = request(origin, &filled::path(number));
    let begun = Instant::now();
    expect_ok(connection.ask(asked.as_bytes()).await?)?;
    Ok(begun.elapsed())
}

/// Room that was made while requests ran.
struct Made {
    /// Times of hits where there was room enough, and while it was made.
    without: Histogram,
    with: Histogram,
    /// What went, and how long that took.
    bytes: u64,
    time: Duration,
}

/// Eight clients ask for what is stored while another brings what is new: with room enough, and where a quarter of the
/// cache has to go, until that has gone.
async fn make_room(many: &Side, origin: &Origin, arguments: &Arguments) -> Result<Made> {
    let time = Duration::from_secs(arguments.seconds * 2);
    let (without, _) = beside_new(many, origin, u64::MAX >> 1, time).await?;
    let bytes = bytes(many)?;
    let limit = bytes - bytes / 4;
    let (with, took) = beside_new(many, origin, limit, time).await?;
    Ok(Made { without, with, bytes: bytes.saturating_sub(self::bytes(many)?), time: took })
}

fn bytes(many: &Side) -> Result<u64> {
    Ok(Store::open(&many.folder.join("cache"))?.bytes()?)
}

/// The times of hits, for at least `least` and until the cache is within its limit; and how long that took.
async fn beside_new(many: &Side, origin: &Origin, limit: u64, least: Duration) -> Result<(Histogram, Duration)> {
    let subject = Subject::start(&many.folder, origin, &[("LARDER_CACHE_MAX_SIZE", limit.to_string())]).await?;
    let mut clients = Clients::connect(&subject.target(origin, &filled::path(7)), 8).await?;
    let mut filler = Connection::open(&subject.target(origin, "/")).await?;
    let mut number = 0_u64;
    let fill = async {
        loop {
            number += 1;
            let asked = request(origin, &format!("/new/{limit}/{number}_all.deb"));
            if let Err(error) = filler.ask(asked.as_bytes()).await.and_then(expect_ok) {
                return error;
            }
        }
    };
    let (mut times, begun) = (Histogram::new(), Instant::now());
    let ask = async {
        loop {
            let hits = clients.ask_for(Duration::from_secs(1)).await?;
            times.add(&hits.latency);
            if begun.elapsed() >= least && bytes(many)? <= limit {
                return Result::Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err("the cache did not come within its limit".into());
            }
        }
    };
    tokio::select! {
        done = ask => done?,
        error = fill => return Err(error.into()),
    }
    progress(&format!("{number} new answers beside hits, in {:.0?}, at most {limit} bytes", begun.elapsed()));
    Ok((times, begun.elapsed()))
}
