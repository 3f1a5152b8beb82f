//! Ten thousand clients that have asked once and stay, beside some that ask all the time.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::arguments::Arguments;
use crate::bench::progress;
use crate::load::{Clients, expect_ok};
use crate::origin::Origin;
use crate::subject::Subject;
use crate::table::{Bound, Goal, median};
use crate::wire::Connection;

const IDLE: usize = 10_000;
/// Clients of one address.
const EACH: usize = 100;
const ASKING: usize = 16;
const FILE: &str = "/1k_1.0_all.deb";

pub(crate) async fn measure(folder: &Path, origin: &Origin, arguments: &Arguments) -> Result<Vec<Goal>> {
    let settings = [("LARDER_PROXY_CONNECTIONS", (IDLE + 1000).to_string())];
    let subject = Subject::start(&folder.join("idle"), origin, &settings).await?;
    let target = subject.target(origin, FILE);
    let time = Duration::from_secs(arguments.seconds);
    let mut clients = Clients::connect(&target, ASKING).await?;
    clients.ask_for(time / 4).await?;
    let before = subject.usage()?;
    let (mut rates, mut costs, mut most) = (Vec::new(), Vec::new(), 0);
    for round in 1..=arguments.rounds {
        let mut figures = Vec::new();
        let mut idle = Vec::new();
        for crowded in [false, true] {
            if crowded {
                idle = crowd(&subject, origin).await?;
            }
            let cpu = subject.usage()?.cpu;
            let outcome = clients.ask_for(time).await?;
            let usage = subject.usage()?;
            most = most.max(usage.resident);
            figures.push((
                outcome.per_second(),
                usage.cpu.saturating_sub(cpu).as_secs_f64() * 1e6 / outcome.requests as f64,
            ));
        }
        // They must be there still, and be served.
        for connection in idle.iter_mut().step_by(EACH) {
            expect_ok(connection.ask(&target.request).await?)?;
        }
        progress(&format!(
            "idle {round}: requests a second and us of CPU each, alone and beside the idle: {figures:.1?}"
        ));
        rates.push(figures[1].0 / figures[0].0);
        costs.push(figures[1].1 / figures[0].1);
    }
    let goal = |what: &str, measured: f64, bound: Option<Bound>| Goal { what: what.to_owned(), measured, bound };
    Ok(vec![
        goal(
            "10000 idle clients: rate of 16 that ask, of what it is without",
            median(rates),
            Some(Bound::AtLeast(0.9)),
        ),
        goal("10000 idle clients: CPU of a request, of what it is without", median(costs), None),
        goal("10000 idle clients: memory, MB", most as f64 / 1e6, None),
        goal("10000 idle clients: memory of each, KB", (most - before.resident) as f64 / 1e3 / IDLE as f64, None),
    ])
}

/// Clients of a hundred addresses, each of which has had an answer.
async fn crowd(subject: &Subject, origin: &Origin) -> Result<Vec<Connection>> {
    let mut target = subject.target(origin, FILE);
    let mut idle = Vec::with_capacity(IDLE);
    for number in 0..IDLE {
        target.source = Some(Ipv4Addr::new(127, 0, 1, u8::try_from(1 + number / EACH)?));
        let mut connection = Connection::open(&target).await?;
        expect_ok(connection.ask(&target.request).await?)?;
        idle.push(connection);
    }
    Ok(idle)
}
