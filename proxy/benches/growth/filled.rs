//! A cache with many answers in it, each with a body of its own of 1 KB, taken in as a bundle's are: by the store itself.

use std::path::Path;
use std::time::{Instant, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use larder_proxy::flow::Class;
use larder_proxy::store::{Arrival, ArrivalParts, Digest, Provenance, Store, Taking};

use crate::Result;
use crate::bench::progress;
use crate::origin::Origin;
use crate::subject::url;

/// Answers of one transaction.
const BATCH: u64 = 25_000;
/// Bytes of a body.
const BODY: usize = 1024;

/// The path of an answer; nginx has something there too, so that what is not stored is noticed and no error.
pub(crate) fn path(number: u64) -> String {
    format!("/any/pool/main/p/package-{}/file_{number}_all.deb", number % 1000)
}

/// Makes a cache of `number` answers, and none that ends while it is used.
pub(crate) async fn fill(cache: &Path, origin: &Origin, number: u64) -> Result<()> {
    let store = Store::open(cache)?;
    let begun = Instant::now();
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=604800"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ETAG, HeaderValue::from_static("\"6f2a-400\""));
    headers.insert(header::DATE, HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))?);
    for first in (0..number).step_by(usize::try_from(BATCH)?) {
        let mut staging = store.stage()?;
        let mut arrivals = Vec::new();
        for each in first..number.min(first + BATCH) {
            let mut body = each.to_be_bytes().to_vec();
            body.resize(BODY, b'.');
            let digest = Digest::of(&body);
            staging.begin(&digest)?;
            staging.write(&body)?;
            staging.keep(digest, BODY as u64);
            arrivals.push(Arrival::new(ArrivalParts {
                url: url(origin, &path(each)),
                status: 200,
                headers: headers.clone(),
                vary: Vec::new(),
                fetched: SystemTime::now(),
                class: Class::Package,
                aside: false,
                digest,
                size: BODY as u64,
                provenance: Provenance::default(),
            })?);
        }
        staging.commit(&arrivals, Taking { pinned: false, replace: false })?;
        // Where somebody wants it to end, it does.
        tokio::task::yield_now().await;
        if first % (10 * BATCH) == 0 {
            progress(&format!(
                "{} of {number} answers are there after {:.0?}",
                first + arrivals.len() as u64,
                begun.elapsed()
            ));
        }
    }
    Ok(())
}
