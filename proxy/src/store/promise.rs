//! Digests that an index (of packages, say) promises for other URLs.

use std::time::SystemTime;

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::row::{from_millis, millis};
use super::{Store, StoreError, seal};
use crate::cache::key::hash16;
use crate::rules::Promised;

/// Indexes remembered; what the oldest promised goes with it.
const MAX_SOURCES: i64 = 20_000;

/// The digest that a body must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Hash of the body's URL.
    pub key: [u8; 16],
    /// Its digest.
    pub promised: Promised,
    /// Its size in bytes, where the index says it.
    pub size: Option<u64>,
}

/// A promise, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learnt {
    /// What was promised.
    pub promise: Promise,
    /// URL of the index.
    pub source: String,
    /// When the index was read.
    pub at: SystemTime,
}

impl Store {
    /// Notes what the index at `source` promises. A later promise for a URL takes the place of an earlier one; what
    /// this index no longer names stays promised, since a client may still have the older index.
    pub fn promise(&self, source: &str, at: SystemTime, promises: &[Promise]) -> Result<(), StoreError> {
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id: i64 = transaction
            .prepare_cached(
                "INSERT INTO source (key, url, learnt) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO UPDATE SET learnt = ?3 RETURNING id",
            )?
            .query_row(params![&hash16(source.as_bytes())[..], source, millis(at)], |row| row.get(0))?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO promise (key, algorithm, digest, size, source, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for promise in promises {
                let Some(digest) = promise.promised.bytes() else { continue };
                let size = promise.size.map(u64::cast_signed);
                let seal = seal::of_promise(promise, id);
                insert.execute(params![&promise.key[..], promise.promised.name(), digest, size, id, seal])?;
            }
        }
        let excess = "SELECT id FROM source ORDER BY learnt DESC LIMIT -1 OFFSET ?1";
        transaction.execute(&format!("DELETE FROM promise WHERE source IN ({excess})"), [MAX_SOURCES])?;
        transaction.execute(&format!("DELETE FROM source WHERE id IN ({excess})"), [MAX_SOURCES])?;
        transaction.commit()?;
        Ok(())
    }

    /// Whether an index has ever been read for its promises.
    pub fn is_source(&self, url: &str) -> Result<bool, StoreError> {
        let index = self.read_index();
        let mut statement = index.prepare_cached("SELECT 1 FROM source WHERE key = ?1")?;
        Ok(statement.exists([&hash16(url.as_bytes())[..]])?)
    }

    /// The strongest digest promised for a URL.
    pub fn promised(&self, key: &[u8; 16]) -> Result<Option<Learnt>, StoreError> {
        let index = self.read_index();
        let mut statement = index.prepare_cached(
            "SELECT algorithm, digest, size, url, learnt, source.id, promise.seal FROM promise JOIN source ON source.id = promise.source \
             WHERE promise.key = ?1 ORDER BY length(digest) DESC LIMIT 1",
        )?;
        let row = statement
            .query_row([&key[..]], |row| {
                let (name, digest): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                let size = row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned);
                let promised = Promised::named(&name, hex::encode(digest));
                let Some(promised) = promised else { return Ok(None) };
                let promise = Promise { key: *key, promised, size };
                // A promise that is not as it was noted would refuse the right body for ever.
                let intact = row.get::<_, Option<i64>>(6)? == Some(seal::of_promise(&promise, row.get(5)?));
                Ok(intact.then(|| Learnt {
                    promise,
                    source: row.get(3).unwrap_or_default(),
                    at: from_millis(row.get(4).unwrap_or_default()),
                }))
            })
            .optional()?;
        Ok(row.flatten())
    }
}
