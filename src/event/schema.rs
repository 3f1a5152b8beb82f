//! The JSON Schema of events, made from their types and held equal to `docs/reference/events.schema.json`.
//! `UPDATE_DOCS=1` writes it anew.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::{Event, SCHEMA_VERSION};

/// Sums over requests.
#[derive(JsonSchema)]
#[schemars(rename = "Sums")]
#[expect(dead_code, reason = "stands for the proxy's type, which knows nothing of schemas")]
struct SumsRecord {
    /// Requests.
    requests: u64,
    /// Answered without asking upstream, or out of a fetch for another request.
    hits: u64,
    /// Confirmed by upstream with 304.
    revalidated: u64,
    /// Served though upstream could not be asked.
    stale: u64,
    /// Fetched.
    misses: u64,
    /// Refused, or failed.
    failed: u64,
    /// Bytes of bodies sent to clients.
    bytes_sent: u64,
    /// Bytes of bodies from the cache.
    bytes_cache: u64,
    /// Bytes of bodies from upstream.
    bytes_upstream: u64,
}

/// Sums over all requests of the run, and by class.
#[derive(JsonSchema)]
#[schemars(rename = "Totals")]
#[expect(dead_code, reason = "stands for the proxy's type, which knows nothing of schemas")]
pub(super) struct TotalsRecord {
    /// All requests.
    all: SumsRecord,
    /// By class (`package`, `index`, `image`, `other`); only those that occurred.
    classes: BTreeMap<String, SumsRecord>,
}

#[test]
fn the_schema_is_the_one_promised() {
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Event>();
    schema.insert("title".to_owned(), "An event of a run of Larder".into());
    schema.insert("$comment".to_owned(), format!("schema version {SCHEMA_VERSION}").into());
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/events.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let promised = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        promised == text,
        "events.schema.json is stale: run UPDATE_DOCS=1 cargo test --lib event, then --test reference; a field that is \
         renamed, removed or given another meaning asks for a new SCHEMA_VERSION"
    );
}
