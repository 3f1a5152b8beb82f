//! Threads that serve connections, each with a runtime of its own.
//!
//! A hit is a read, a few microseconds, and a write. On a runtime whose threads take work from each other, most of
//! what it costs beside that is the other thread: its cache lines, the allocator's locks, being woken. Here all that
//! serves a connection stays on one thread, while fetches, which are few and have bodies to hash, share a runtime.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads. They end when this is dropped, and with them what they still serve.
#[derive(Default)]
pub(crate) struct Fronts {
    fronts: Vec<Front>,
}

struct Front {
    runtime: Handle,
    /// Held by each of its connections, which are counted by it.
    connections: Arc<()>,
    _stop: DropGuard,
}

/// A connection's place on a thread.
pub(crate) struct Seat {
    pub(crate) runtime: Handle,
    _counted: Arc<()>,
}

impl Fronts {
    /// So many threads; with none, whoever takes a connection serves it.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        (0..count).map(Front::start).collect::<io::Result<_>>().map(|fronts| Self { fronts })
    }

    /// A place on the thread that has the fewest connections.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let front = self.fronts.iter().min_by_key(|front| Arc::strong_count(&front.connections))?;
        Some(Seat { runtime: front.runtime.clone(), _counted: front.connections.clone() })
    }
}

impl Front {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().thread_name("larder-front-io").build()?;
        let handle = runtime.handle().clone();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        thread::Builder::new().name(format!("larder-front-{number}")).spawn(move || {
            runtime.block_on(stopped.cancelled());
            // What it waits for on other threads, a read of a slow disk, must not keep it.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _stop: stop.drop_guard() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_spread_and_served_on_their_threads() {
        let fronts = Fronts::start(2).unwrap();
        let seats: Vec<Seat> = (0..6).map(|_| fronts.seat().unwrap()).collect();
        let mut served = Vec::new();
        for seat in &seats {
            let name = seat.runtime.spawn(async { thread::current().name().map(str::to_owned) });
            served.push(name.await.unwrap().unwrap());
        }
        for name in ["larder-front-0", "larder-front-1"] {
            assert_eq!(served.iter().filter(|served| *served == name).count(), 3, "{served:?}");
        }
        // Who leaves makes room.
        let (first, second) = (seats[0].runtime.id(), seats[1].runtime.id());
        drop(seats);
        let (_one, other) = (fronts.seat().unwrap(), fronts.seat().unwrap());
        assert_eq!((fronts.seat().unwrap().runtime.id(), other.runtime.id()), (first, second));
    }

    #[tokio::test]
    async fn without_threads_there_is_no_place() {
        assert!(Fronts::default().seat().is_none());
    }

    #[tokio::test]
    async fn threads_end_with_the_last_who_has_them() {
        let fronts = Fronts::start(1).unwrap();
        let seat = fronts.seat().unwrap();
        let (sender, ended) = tokio::sync::oneshot::channel::<()>();
        seat.runtime.spawn(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        drop(fronts);
        assert!(ended.await.is_err());
    }
}
