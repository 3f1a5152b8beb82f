//! The requests under way: who asks for what, and how far the answer has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::flow::{Flow, FlowRecorder, FlowSink, Outcome};
use crate::spread;

/// A request under way.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// What is known so far; `duration` is the time since it arrived.
    pub flow: Flow,
    /// How the answer comes about; `None` while that is open.
    pub outcome: Option<Outcome>,
    /// Bytes of the answer's body, where the length is known.
    pub total: Option<u64>,
}

/// Where flows begin and end: the list of those under way, and the sink of those that ended. Requests end all the time,
/// on every thread, so that each of these has a desk of its own.
pub struct Flows {
    desks: [Arc<Desk>; spread::PLACES],
}

/// Where the flows of a thread begin and end. In cache lines of its own, with the count of those who have it.
#[repr(align(128))]
pub(crate) struct Desk {
    sink: Arc<dyn FlowSink>,
    listed: Mutex<HashMap<u64, Weak<FlowRecorder>>>,
}

impl Flows {
    /// Flows that end in `sink`.
    pub fn new(sink: Arc<dyn FlowSink>) -> Arc<Self> {
        let desk = move |_| Arc::new(Desk { sink: sink.clone(), listed: Mutex::default() });
        Arc::new(Self { desks: std::array::from_fn(desk) })
    }

    /// The requests under way, the oldest first.
    pub fn in_flight(&self) -> Vec<InFlight> {
        let mut found: Vec<InFlight> = Vec::new();
        for desk in &self.desks {
            // A recorder that ends here takes itself off the list, so none may end while the list is locked.
            let recorders: Vec<Arc<FlowRecorder>> = desk.list().values().filter_map(Weak::upgrade).collect();
            found.extend(recorders.iter().map(|recorder| recorder.so_far()));
        }
        found.sort_by_key(|request| request.flow.id);
        found
    }

    /// That of this thread.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.desks[spread::here() % spread::PLACES].clone()
    }
}

impl Desk {
    /// Lists a request.
    pub(crate) fn begun(&self, id: u64, recorder: &Arc<FlowRecorder>) {
        self.list().insert(id, Arc::downgrade(recorder));
    }

    /// Takes it off the list, whatever thread it ends on.
    pub(crate) fn ended(&self, flow: Flow) {
        self.list().remove(&flow.id);
        self.sink.flow(flow);
    }

    fn list(&self) -> MutexGuard<'_, HashMap<u64, Weak<FlowRecorder>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::identity::Identity;

    fn begin(flows: &Arc<Flows>, url: &str) -> Arc<FlowRecorder> {
        FlowRecorder::begin(Identity::default(), &http::Method::GET, url.to_owned(), flows)
    }

    #[test]
    fn a_request_is_listed_from_its_begin_to_its_end() {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let flows = Flows::new(Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let first = begin(&flows, "http://example.org/a");
        let second = begin(&flows, "http://example.org/b");
        let listed = flows.in_flight();
        assert_eq!(
            listed.iter().map(|one| one.flow.url.as_str()).collect::<Vec<_>>(),
            ["http://example.org/a", "http://example.org/b"]
        );
        assert!(listed.iter().all(|one| one.outcome.is_none() && one.total.is_none()));
        first.outcome(Outcome::Miss, "it was not in the cache");
        first.expect(Some(10));
        first.sent(4);
        let one = &flows.in_flight()[0];
        assert_eq!((one.outcome, one.total, one.flow.bytes_sent), (Some(Outcome::Miss), Some(10), 4));
        drop(first);
        assert_eq!((flows.in_flight().len(), ended.load(Ordering::Relaxed)), (1, 1));
        drop(second);
        assert_eq!((flows.in_flight().len(), ended.load(Ordering::Relaxed)), (0, 2));
    }

    /// A snapshot may be the last to hold a recorder; it must neither wait for itself nor lose the flow.
    #[test]
    fn snapshots_are_taken_while_requests_end() {
        const EACH: usize = 2000;
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let flows = Flows::new(Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| (0..EACH).for_each(|_| begin(&flows, "http://example.org/").sent(1))))
                .collect();
            while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                assert!(flows.in_flight().len() <= 3);
            }
        });
        assert_eq!((flows.in_flight().len(), ended.load(Ordering::Relaxed)), (0, 3 * EACH));
    }
}
