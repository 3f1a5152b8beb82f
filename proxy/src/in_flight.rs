//! The requests under way: who asks for what, and how far the answer has come.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::flow::{Flow, FlowRecorder, FlowSink, Outcome};
use crate::spread::{self, Spread};

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

/// Where flows begin and end: the list of those under way, and the sink of those that ended.
pub struct Flows {
    sink: Arc<dyn FlowSink>,
    /// Requests end all the time, on every thread.
    listed: Spread<HashMap<u64, Weak<FlowRecorder>>>,
}

impl Flows {
    /// Flows that end in `sink`.
    pub fn new(sink: Arc<dyn FlowSink>) -> Arc<Self> {
        Arc::new(Self { sink, listed: Spread::default() })
    }

    /// The requests under way, the oldest first.
    pub fn in_flight(&self) -> Vec<InFlight> {
        let mut found: Vec<InFlight> = Vec::new();
        for place in 0..spread::PLACES {
            // A recorder that ends here takes itself off the list, so none may end while the list is locked.
            let recorders: Vec<Arc<FlowRecorder>> = self.listed.at(place).values().filter_map(Weak::upgrade).collect();
            found.extend(recorders.iter().map(|recorder| recorder.so_far()));
        }
        found.sort_by_key(|request| request.flow.id);
        found
    }

    /// Lists it, in a place.
    pub(crate) fn begun(&self, id: u64, place: usize, recorder: &Arc<FlowRecorder>) {
        self.listed.at(place).insert(id, Arc::downgrade(recorder));
    }

    /// Takes it off the list, where it is in that place.
    pub(crate) fn ended(&self, place: usize, flow: Flow) {
        self.listed.at(place).remove(&flow.id);
        self.sink.flow(flow);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::identity::Identity;

    fn begin(flows: &Arc<Flows>, url: &str) -> Arc<FlowRecorder> {
        FlowRecorder::begin(Identity::default(), &http::Method::GET, url.to_owned(), flows.clone())
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
