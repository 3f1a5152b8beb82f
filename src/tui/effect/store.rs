//! The cache's store as workers reach it.

use larder_proxy::inspect::{Dropped, Target};
use larder_proxy::store::{Store, StoreError};

use super::worker::Outside;
use crate::error::{Error, Result};

/// The store, opened when it is first needed.
#[derive(Debug, Default)]
pub(super) struct OpenStore {
    store: Option<Store>,
}

/// An error of the store with what can be done about it.
pub(super) fn shown(what: String, error: StoreError) -> Error {
    let hint = error.hint();
    Error::new(what).caused_by(error).hint(hint)
}

impl OpenStore {
    /// The store of the run's proxy, or that of the cache directory.
    pub(super) fn get(&mut self, outside: &Outside) -> Result<Store> {
        if let Some(store) = outside.run().and_then(|run| run.proxy.cache().store()) {
            return Ok(store);
        }
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let dir = &outside.places.cache;
        let opened =
            Store::open(dir).map_err(|error| shown(format!("cannot open the cache at {}", dir.display()), error))?;
        self.store = Some(opened.clone());
        Ok(opened)
    }

    /// Removes what is meant; through the proxy where one runs, so that the very next request finds it gone.
    pub(super) fn remove(&mut self, target: Target, outside: &Outside) -> Result<Dropped> {
        let dropped = match outside.run() {
            Some(run) => outside.runtime.block_on(run.proxy.cache().remove(target)),
            None => self.get(outside)?.remove(&target, false),
        };
        dropped.map_err(|error| shown("cannot remove from the cache".to_owned(), error))
    }
}
