//! What each thread has found lately, before what all of them share.

use std::hash::Hash;
use std::num::NonZeroUsize;

use lru::LruCache;

use crate::spread::Spread;

/// Values by key, each thread's own. A value holds as long as what it was found in is at the same generation.
#[derive(Debug)]
pub(crate) struct Near<K: Hash + Eq, V> {
    found: Spread<LruCache<K, (u64, V)>>,
}

impl<K: Hash + Eq, V: Clone> Near<K, V> {
    /// So many for each thread.
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self { found: Spread::new(|| LruCache::new(most)) }
    }

    /// What this thread found at that generation.
    pub(crate) fn get(&self, key: &K, generation: u64) -> Option<V> {
        let mut found = self.found.mine();
        found.get(key).filter(|(when, _)| *when == generation).map(|(_, value)| value.clone())
    }

    /// Notes what it found. `generation` is what was read before that.
    pub(crate) fn put(&self, key: K, generation: u64, value: V) {
        self.found.mine().put(key, (generation, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_hold_for_their_generation_and_are_bounded() {
        let near = Near::new(NonZeroUsize::new(2).unwrap());
        near.put('a', 1, "one");
        assert_eq!((near.get(&'a', 1), near.get(&'a', 2)), (Some("one"), None));
        near.put('a', 2, "two");
        assert_eq!((near.get(&'a', 1), near.get(&'a', 2)), (None, Some("two")));
        near.put('b', 2, "b");
        near.put('c', 2, "c");
        assert_eq!((near.get(&'a', 2), near.get(&'b', 2), near.get(&'c', 2)), (None, Some("b"), Some("c")));
    }
}
