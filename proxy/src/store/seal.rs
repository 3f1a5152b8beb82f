//! A check sum for each row of the index: SQLite notices a damaged page only where its structure is hit, and a status
//! or a digest that changed on the disk must not be served.

use aws_lc_rs::digest::{Context, SHA256};

use super::row::{encode_vary, millis};
use super::{Digest, Draft, Promise, headers};

/// Over all of an entry but for what is noted of its use.
pub(super) fn of_entry(draft: &Draft, digest: &Digest, size: u64) -> i64 {
    let provenance = &draft.provenance;
    let part = draft.part.map(|part| format!("{} {}", part.from, part.total));
    let texts = [&provenance.build, &provenance.step, &provenance.route, &provenance.source, &provenance.rule];
    let mut sum = Sum::new();
    sum.add(&draft.key);
    sum.add(draft.url.as_bytes());
    sum.add(&draft.status.to_le_bytes());
    sum.add(&headers::encode(&draft.headers));
    sum.add(encode_vary(&draft.vary).as_bytes());
    sum.add(&millis(draft.requested).to_le_bytes());
    sum.add(&millis(draft.responded).to_le_bytes());
    sum.add(draft.class.as_str().as_bytes());
    sum.add(part.unwrap_or_default().as_bytes());
    sum.add(&provenance.run.map_or(-1, millis).to_le_bytes());
    for text in texts {
        sum.add(&[u8::from(text.is_some())]);
        sum.add(text.as_deref().unwrap_or_default().as_bytes());
    }
    sum.add(&digest.0);
    sum.add(&size.to_le_bytes());
    sum.finish()
}

/// Over a promise, and the row of the index that made it.
pub(super) fn of_promise(promise: &Promise, source: i64) -> i64 {
    let mut sum = Sum::new();
    sum.add(&promise.key);
    sum.add(promise.promised.name().as_bytes());
    sum.add(promise.promised.hex.as_bytes());
    sum.add(&promise.size.map_or(-1, u64::cast_signed).to_le_bytes());
    sum.add(&source.to_le_bytes());
    sum.finish()
}

struct Sum(Context);

impl Sum {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// With its length, so that nothing can move from one value to the next.
    fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// The first eight bytes; SQLite has no wider number.
    fn finish(self) -> i64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finish().as_ref()[..8]);
        i64::from_le_bytes(first)
    }
}
