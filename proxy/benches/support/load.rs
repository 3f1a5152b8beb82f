//! Many connections that ask for the same all the time, on one thread.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Result;
use crate::histogram::Histogram;
use crate::wire::{Answer, Connection, Target};

/// What a load came to.
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram,
    /// Connections that had to be made again.
    pub(crate) reconnects: u64,
    /// Connections whose TLS session was an old one.
    pub(crate) resumed: u64,
}

impl Outcome {
    fn new() -> Self {
        Self { requests: 0, elapsed: Duration::ZERO, latency: Histogram::new(), reconnects: 0, resumed: 0 }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.reconnects += other.reconnects;
        self.resumed += other.resumed;
        self.latency.add(&other.latency);
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// Connections that are made, and have each had an answer.
pub(crate) struct Clients {
    target: Arc<Target>,
    connections: Vec<Connection>,
}

impl Clients {
    pub(crate) async fn connect(target: &Target, number: usize) -> Result<Self> {
        let mut opening = JoinSet::new();
        let target = Arc::new(target.clone());
        for _ in 0..number {
            let target = target.clone();
            opening.spawn(async move {
                let mut connection = Connection::open(&target).await?;
                let answer = connection.ask(&target.request).await?;
                expect_ok(answer)?;
                // Some close after the first; the load will find out.
                io::Result::Ok(connection)
            });
        }
        let mut connections = Vec::with_capacity(number);
        while let Some(opened) = opening.join_next().await {
            connections.push(opened??);
        }
        Ok(Self { target, connections })
    }

    /// All ask one request after the other; the connections stay open.
    pub(crate) async fn ask_for(&mut self, time: Duration) -> Result<Outcome> {
        let end = Instant::now() + time;
        let target = &self.target;
        let (outcome, connections) = all(self.connections.drain(..).map(|mut connection| {
            let target = target.clone();
            async move {
                let mut outcome = Outcome::new();
                let mut begun = Instant::now();
                while begun < end {
                    match connection.ask(&target.request).await {
                        Ok(answer) => {
                            expect_ok(answer)?;
                            let now = Instant::now();
                            outcome.latency.note(now - begun);
                            outcome.requests += 1;
                            if answer.closes {
                                outcome.reconnects += 1;
                                connection = Connection::open(&target).await?;
                            }
                            begun = now;
                        }
                        Err(error) if outcome.reconnects > 10_000 => return Err(error),
                        Err(_) => {
                            outcome.reconnects += 1;
                            connection = Connection::open(&target).await?;
                        }
                    }
                }
                Ok((outcome, connection))
            }
        }))
        .await?;
        self.connections = connections;
        Ok(outcome)
    }
}

/// `number` clients that each connect, ask once and close, again and again. What is timed is all of that.
pub(crate) async fn connect_for(target: &Target, number: usize, time: Duration) -> Result<Outcome> {
    let end = Instant::now() + time;
    let target = Arc::new(target.clone());
    let (outcome, _) = all((0..number).map(|_| {
        let target = target.clone();
        async move {
            let mut outcome = Outcome::new();
            let mut begun = Instant::now();
            while begun < end {
                let mut connection = Connection::open(&target).await?;
                expect_ok(connection.ask(&target.request).await?)?;
                outcome.resumed += u64::from(connection.resumed);
                outcome.requests += 1;
                let now = Instant::now();
                outcome.latency.note(now - begun);
                begun = now;
            }
            Ok((outcome, ()))
        }
    }))
    .await?;
    Ok(outcome)
}

async fn all<F, T>(clients: impl Iterator<Item = F>) -> Result<(Outcome, Vec<T>)>
where
    F: Future<Output = io::Result<(Outcome, T)>> + Send + 'static,
    T: Send + 'static,
{
    let begun = Instant::now();
    let mut running: JoinSet<_> = clients.collect();
    let mut sum = Outcome::new();
    let mut rest = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (outcome, left) = ended??;
        sum.add(&outcome);
        rest.push(left);
    }
    sum.elapsed = begun.elapsed();
    Ok((sum, rest))
}

pub(crate) fn expect_ok(answer: Answer) -> io::Result<()> {
    if answer.status == 200 {
        return Ok(());
    }
    Err(io::Error::other(format!("answered with status {}", answer.status)))
}
