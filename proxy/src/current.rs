//! A value that is exchanged as a whole while it is used.

use std::sync::{Arc, PoisonError, RwLock};

/// Who has got the value keeps it as it was; who asks after an exchange gets the new one.
#[derive(Debug, Default)]
pub(crate) struct Current<T> {
    value: RwLock<Arc<T>>,
}

impl<T> Current<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: RwLock::new(Arc::new(value)) }
    }

    pub(crate) fn get(&self) -> Arc<T> {
        self.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, value: T) {
        *self.value.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}
