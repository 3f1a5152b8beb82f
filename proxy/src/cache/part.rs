//! Parts of objects (RFC 9111 sections 3.3 and 3.4): a body that broke off is kept as far as it came, and the next who
//! wants the whole has only the rest fetched, where the origin can tell that the object is still the same.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;

use super::Inner;
use super::fetch::{Job, Transfer};
use super::file_body::FileBody;
use super::shelf::Content;
use crate::body::{Body, chain, full};
use crate::policy::condition;
use crate::store::{BlobWriter, Entry, Part};

/// Fewest bytes worth keeping: less is fetched again as fast.
const LEAST: u64 = 64 * 1024;

/// The beginning of an object, to be completed.
fn beginning(entry: &Entry) -> Option<Part> {
    entry.draft.part.filter(|part| part.from == 0 && entry.size < part.total)
}

/// Makes a request one for what a stored part lacks; anything else for an entry that is whole.
pub(super) fn ask_for_rest(request: &mut HeaderMap, entry: &Entry) {
    if entry.draft.part.is_none() {
        condition::make_conditional(request, &entry.draft.headers);
    } else if beginning(entry).is_some() {
        condition::resume_from(request, &entry.draft.headers, entry.size);
    }
}

/// Whether an answer is the rest of a stored part, by its range and by what it says of the object's validators.
fn is_rest(entry: &Entry, response: &Response<Body>) -> bool {
    let Some(part) = beginning(entry) else { return false };
    let range = format!("bytes {}-{}/{}", entry.size, part.total - 1, part.total);
    let fits = response.headers().get(CONTENT_RANGE).is_some_and(|found| found.as_bytes() == range.as_bytes());
    response.status() == StatusCode::PARTIAL_CONTENT
        && fits
        && condition::same_validators(&entry.draft.headers, response.headers())
}

impl Job {
    /// Makes the rest of a stored part into the whole; `None` where the answer is of no use, and the whole must be
    /// asked for.
    pub(super) async fn completed(&mut self, response: Response<Body>) -> Option<Response<Body>> {
        let Some(entry) = self.stored.clone().filter(|entry| entry.draft.part.is_some()) else { return Some(response) };
        if is_rest(&entry, &response) {
            let whole = whole(&self.inner, &entry, response, &self.context.flow).await?;
            self.prefix = entry.size;
            return Some(whole);
        }
        let useless = [StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE, StatusCode::NOT_MODIFIED];
        (!useless.contains(&response.status())).then_some(response)
    }
}

/// The stored beginning and the rest as one answer, with the newer head (section 3.4).
async fn whole(
    inner: &Inner,
    entry: &Entry,
    response: Response<Body>,
    flow: &std::sync::Arc<crate::flow::FlowRecorder>,
) -> Option<Response<Body>> {
    let part = entry.draft.part?;
    let stored = match inner.shelf.as_ref()?.content(entry).await {
        Ok(Content::Memory(bytes)) => full(bytes),
        Ok(Content::File(file)) => FileBody::whole(file, (0, entry.size), flow.clone()).boxed(),
        Err(error) => {
            inner.warn(&error);
            return None;
        }
    };
    let (mut head, rest) = response.into_parts();
    head.status = StatusCode::OK;
    head.headers.remove(CONTENT_RANGE);
    head.headers = condition::merge(&entry.draft.headers, &head.headers);
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(part.total));
    Some(Response::from_parts(head, chain(vec![stored, rest])))
}

impl Transfer {
    /// Keeps what has arrived of a body that broke off, where that is worth it and can be completed; whether it did.
    pub(super) async fn keep(&self, mut writer: BlobWriter) -> bool {
        let (size, mut request) = (writer.size(), HeaderMap::new());
        let Some(total) = self.total.filter(|&total| (LEAST..total).contains(&size)) else { return false };
        let draft = &self.draft;
        let resumable = draft.status == 200 && condition::resume_from(&mut request, &draft.headers, size);
        let Some(shelf) = self.inner.shelf.as_ref().filter(|_| resumable && self.keeps && !self.fetch.is_outdated())
        else {
            return false;
        };
        let mut draft = draft.clone();
        draft.part = Some(Part { from: 0, total });
        // The promise is about the whole, and is checked when it is.
        writer.release();
        match shelf.commit(writer, draft, self.inner.run()).await {
            Ok(_) => true,
            Err(error) => {
                self.inner.warn(&error);
                false
            }
        }
    }
}
