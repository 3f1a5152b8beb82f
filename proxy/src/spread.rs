//! One of a thing for every thread that is busy, instead of one that all of them lock.
//!
//! A lock that nobody else holds still costs a cache line that another processor had last, and so does each count of
//! an `Arc`. With a dozen of both in a hit, two threads took a quarter longer for each than one alone.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads that serve clients are a few; more than these share.
pub const PLACES: usize = 16;

/// A thing in several places, each used by some of the threads.
#[derive(Debug)]
pub struct Spread<T> {
    places: [Place<T>; PLACES],
}

/// In cache lines of its own: processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place<T>(Mutex<T>);

impl<T> Spread<T> {
    /// What `make` makes, in each place.
    pub fn new(make: impl Fn() -> T) -> Self {
        Self { places: std::array::from_fn(|_| Place(Mutex::new(make()))) }
    }

    /// That of this thread. Hardly ever has anybody else got it.
    pub fn mine(&self) -> MutexGuard<'_, T> {
        self.at(here())
    }

    /// That of the place with a number that [`here`] gave.
    pub(crate) fn at(&self, place: usize) -> MutexGuard<'_, T> {
        self.places[place % PLACES].0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, one after another.
    pub fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        (0..PLACES).map(|place| self.at(place))
    }
}

impl<T: Default> Default for Spread<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

/// The number of this thread's place.
pub(crate) fn here() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static HERE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    HERE.with(|here| {
        here.get().unwrap_or_else(|| {
            let place = NEXT.fetch_add(1, Ordering::Relaxed) % PLACES;
            here.set(Some(place));
            place
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_place_and_all_are_seen() {
        let counts: Spread<Vec<usize>> = Spread::default();
        std::thread::scope(|scope| {
            for number in 0..3 * PLACES {
                let counts = &counts;
                scope.spawn(move || {
                    counts.mine().push(number);
                    assert!(counts.at(here()).contains(&number), "it stays in its place");
                });
            }
        });
        let mut seen: Vec<usize> = counts.all().flat_map(|place| place.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..3 * PLACES).collect::<Vec<_>>());
        assert!(counts.all().all(|place| !place.is_empty()), "they are spread");
    }
}
