//! Answers that are whole, and on their way into the index while somebody asks for them.

use http::Response;
use tokio::sync::watch;

use super::exchange::Exchange;
use super::progress::{End, Head, Progress, ended};
use super::report::CacheStatus;
use crate::body::Body;
use crate::flow::Outcome;
use crate::policy::freshness::{Judgement, Stored, judge};
use crate::rules::Nature;
use crate::store::Entry;

impl Exchange<'_> {
    /// The answer of a fetch without credentials that is whole, and only on its way into the index.
    pub(super) async fn being_put_in_place(&mut self) -> Option<Response<Body>> {
        let progress = self.inner.under_way(&self.key.hash)?;
        if !matches!(progress.borrow().end, Some(End::Whole)) {
            return None;
        }
        ended(progress).await;
        self.usable_by_now(&mut None).await
    }

    /// What is stored by now, where it may answer as it is; else `stored` becomes what there is to be confirmed.
    pub(super) async fn usable_by_now(&mut self, stored: &mut Option<Entry>) -> Option<Response<Body>> {
        let entry = self.lookup().await.ok()??;
        if self.anew || self.is_refuted(&entry).await {
            return None;
        }
        self.nature = Some((entry.id, self.nature(&entry)));
        let Judgement::Use(why) = self.judge(&entry) else {
            *stored = Some(entry);
            return None;
        };
        // What turns out damaged is forgotten: there is nothing to be confirmed.
        *stored = None;
        self.serve(&entry, Outcome::Hit, why, CacheStatus::HIT).await
    }

    /// Whether a fetch that is only being put in place is of no use any more: collapsing is for requests that were
    /// there before the answer was whole; later ones get what a stored answer may give them (RFC 9111 section 4).
    pub(super) fn is_over(&self, progress: &watch::Receiver<Progress>) -> bool {
        let progress = progress.borrow();
        match (&progress.end, &progress.head) {
            (None, _) => false,
            (Some(End::Whole), Some(Head::Shared(head))) => {
                let status = head.status.as_u16();
                let nature = if status == 200 { self.verdict.nature } else { Nature::Plain };
                let (requested, responded) = head.at;
                let stored = Stored { status, headers: &head.headers, requested, responded, nature };
                matches!(judge(&stored, &self.control, self.now, self.inner.confirmed_since()), Judgement::Ask(_))
            }
            (Some(_), _) => true,
        }
    }
}
