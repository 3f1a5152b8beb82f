//! A value that is exchanged as a whole while it is used.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Who has got the value keeps it as it was; who asks after an exchange gets the new one.
#[derive(Debug, Default)]
pub(crate) struct Current<T> {
    value: ArcSwap<T>,
}

impl<T> Current<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: ArcSwap::from_pointee(value) }
    }

    /// The value, to keep.
    pub(crate) fn get(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// The value for a moment, which costs less than to keep it.
    pub(crate) fn look(&self) -> impl Deref<Target = Arc<T>> {
        self.value.load()
    }

    pub(crate) fn set(&self, value: T) {
        self.value.store(Arc::new(value));
    }
}
