//! A stored answer, and whether it can answer a request.

use http::{HeaderMap, Method};

use super::part::covers;
use crate::policy::condition;
use crate::policy::freshness::Stored;
use crate::policy::range::{self, Wanted};
use crate::rules::Nature;
use crate::store::Entry;

/// An entry as far as freshness goes.
pub(super) fn stored(entry: &Entry, nature: Nature) -> Stored<'_> {
    let draft = &entry.draft;
    Stored {
        status: draft.status,
        headers: &draft.headers,
        requested: draft.requested,
        responded: draft.responded,
        nature,
    }
}

/// Bytes of the whole object, of which the entry may hold a part.
pub(super) fn total(entry: &Entry) -> u64 {
    entry.draft.part.map_or(entry.size, |part| part.total)
}

/// Whether what is stored of an object is enough for a request (RFC 9111 section 3.3): the whole always is, parts for
/// what needs no byte outside them. Parts are the whole only once they have been joined, and checked.
pub(super) fn suffices(entry: &Entry, parts: &[Entry], method: &Method, request: &HeaderMap) -> bool {
    let Some(part) = entry.draft.part else { return true };
    let headers = &entry.draft.headers;
    if *method == Method::HEAD || condition::not_modified(request, headers) {
        return true;
    }
    condition::range_allowed(request, headers)
        && match range::wanted(request, part.total) {
            Wanted::Whole => false,
            Wanted::Part(from, to) => (from, to) != (0, part.total) && covers(parts, (from, to)),
            Wanted::Parts(wanted) => wanted.iter().all(|&wanted| covers(parts, wanted)),
            Wanted::Unsatisfiable => true,
        }
}
