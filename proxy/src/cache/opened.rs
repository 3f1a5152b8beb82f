//! The cache's directory when a proxy starts: usable, mended, or done without.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::shelf::recover_beside;
use super::{Cache, Mode};
use crate::origin::Origin;
use crate::rules::Rules;
use crate::store::{Store, StoreError};

/// A store, or why there is none.
#[derive(Default)]
pub(crate) struct Opened {
    store: Option<Store>,
    failure: Option<StoreError>,
}

impl Opened {
    /// Opens the cache in `dir`. A damaged index is set aside, with a warning. A disk that is full or cannot be written
    /// costs the cache and not the build, unless all that is served comes from the cache.
    pub(crate) fn open(dir: &Path, offline: bool) -> Result<Self, StoreError> {
        match Store::open_mending(dir) {
            Ok((store, damage)) => {
                if let Some(error) = damage {
                    tracing::warn!(%error, "the cache's index was set aside, and a new one made of what can be read of it");
                }
                if store.needs_recovery() {
                    recover_beside(&store);
                }
                Ok(Self { store: Some(store), failure: None })
            }
            Err(error) if error.is_passing() && !offline => Ok(Self { store: None, failure: Some(error) }),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn cache(self, origin: Arc<dyn Origin>, mode: Mode, rules: Rules) -> Cache {
        let Some(error) = self.failure else { return Cache::new(self.store, origin, mode, rules) };
        let cache = Cache::with_clock(None, origin, mode, rules, Arc::new(SystemTime::now));
        cache.inner.warn(&error);
        cache
    }
}
