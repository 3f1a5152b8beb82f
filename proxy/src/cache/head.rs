//! HEAD that goes on to the origin, and what its answer says of what is stored (RFC 9111 section 4.3.5).

use std::sync::Arc;

use http::{Response, StatusCode};

use super::exchange::Exchange;
use super::report::CacheStatus;
use super::shape;
use crate::body::Body;
use crate::flow::Outcome;
use crate::policy::condition;
use crate::store::Entry;

impl Exchange<'_> {
    /// HEAD goes upstream as it is. Its answer is not stored, but it confirms what is stored, or shows it outdated.
    pub(super) async fn head(&self, entry: Option<Entry>) -> Response<Body> {
        let requested = self.inner.now();
        let mut response = match self.inner.origin.send(self.request(), &self.context).await {
            Ok(response) => response,
            Err(error) => return self.failed(&error, entry.as_ref()).await,
        };
        let said = CacheStatus::forwarded(self.forward).answered(response.status());
        if let Some(mut entry) = entry.filter(|entry| response.status() == StatusCode::OK && entry.draft.status == 200)
        {
            let size = super::stored::total(&entry);
            if condition::same_object(&entry.draft.headers, size, response.headers()) {
                let fields = shape::to_store(response.headers().clone(), self.verdict.nature);
                let draft = Arc::make_mut(&mut entry.draft);
                draft.headers = condition::merge(&draft.headers, &fields);
                (draft.requested, draft.responded) = (requested, self.inner.now());
                self.refresh(&entry).await;
                let why = "HEAD confirmed what is stored".to_owned();
                if let Some(response) = self.serve(&entry, Outcome::Revalidated, why, said).await {
                    return response;
                }
            } else {
                self.inner.invalidate(self.key.hash).await;
            }
        }
        said.append_to(response.headers_mut());
        self.outcome(Outcome::Miss, "only answers to GET are stored".to_owned(), None);
        response
    }

    async fn refresh(&self, entry: &Entry) {
        if let Some(shelf) = &self.inner.shelf
            && let Err(error) = shelf.refresh(entry.clone()).await
        {
            self.inner.warn(&error);
        }
    }
}
