//! What the cache has, for plans and tables of what is missing.

use std::time::SystemTime;

use larder_proxy::cache::Key;
use larder_proxy::rules::Rules;
use larder_proxy::store::Store;

use crate::error::{Context as _, Result};
use crate::plan::fetch::{CacheView, Held, Holding};

/// The cache as plans see it.
pub(super) struct Holdings {
    /// None where there is no cache.
    store: Option<Store>,
    rules: Rules,
    now: SystemTime,
}

impl Holdings {
    /// What is in `store`, judged by `rules`.
    pub(super) fn new(store: Option<Store>, rules: Rules) -> Self {
        Self { store, rules, now: SystemTime::now() }
    }

    /// Whether an offline run is answered.
    pub(super) fn has(&self, url: &str) -> bool {
        self.holding(url).is_ok_and(|holding| holding.held != Held::Missing)
    }
}

impl CacheView for Holdings {
    fn holding(&self, url: &str) -> Result<Holding> {
        let missing = Holding { held: Held::Missing, size: None };
        let Some(store) = &self.store else { return Ok(missing) };
        let cannot = || format!("cannot look {url} up in the cache");
        let Some(found) = store.explain(url, &self.rules, self.now).context(cannot)? else { return Ok(missing) };
        let there = found.variants.iter().zip(&found.details).position(|(_, detail)| detail.present);
        if let Some(place) = there {
            let size = Some(found.variants[place].entry.size);
            let held = if found.next.outcome == "HIT" { Held::Fresh } else { Held::Stale };
            return Ok(Holding { held, size });
        }
        let aside = match url.parse().ok().and_then(|uri| Key::of(&uri)) {
            Some(key) => store.lookup(&key.aside()).context(cannot)?,
            None => Vec::new(),
        };
        Ok(aside.first().map_or(missing, |entry| Holding { held: Held::Stale, size: Some(entry.size) }))
    }
}
