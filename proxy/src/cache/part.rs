//! Parts of objects (RFC 9111 sections 3.3 and 3.4): several of one object answer together for what they cover, and only
//! what they lack is fetched, where the origin can tell that the object is still the same.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;

use super::Inner;
use super::fetch::{Job, content_length};
use super::follow::{self, Follow};
use super::shelf::Content;
use super::transfer::Transfer;
use crate::body::Body;
use crate::origin::RequestContext;
use crate::policy::{condition, range};
use crate::store::{BlobWriter, Entry, Part, StoreError};

/// Fewest bytes worth keeping of a body that broke off, and worth a request of its own to be spared: less is fetched
/// again as fast.
const LEAST: u64 = 64 * 1024;

/// Bytes of an object, from the first to just before the second.
pub(super) type Span = (u64, u64);

/// The bytes that an entry holds of its object.
pub(super) fn span(entry: &Entry) -> Span {
    let from = entry.draft.part.map_or(0, |part| part.from);
    (from, from + entry.size)
}

/// The stored parts that go together with one, itself among them: of the same state of the object, in their order.
pub(super) fn together(with: &Entry, entries: &[Entry]) -> Vec<Entry> {
    let draft = &with.draft;
    let Some(part) = draft.part else { return Vec::new() };
    let fits = |entry: &&Entry| {
        let other = &entry.draft;
        entry.id == with.id
            || other.part.is_some_and(|other| other.total == part.total)
                && other.vary == draft.vary
                && entry.draft.provenance.is_kept_from_guests() == draft.provenance.is_kept_from_guests()
                && condition::same_state(&other.headers, &draft.headers)
    };
    let mut parts: Vec<Entry> = entries.iter().filter(fits).cloned().collect();
    parts.sort_by_key(span);
    parts
}

/// A piece of an object, as it is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Out of the part with this number.
    Held(usize, Span),
    /// To be fetched.
    Missing(Span),
}

/// How bytes are put together from what is held, which is in order.
pub(super) fn pieces(held: &[Span], (from, to): Span) -> Vec<Piece> {
    let (mut pieces, mut at) = (Vec::new(), from);
    for (number, &(begin, end)) in held.iter().enumerate() {
        let end = end.min(to);
        if end <= at || begin >= to {
            continue;
        }
        if begin > at {
            pieces.push(Piece::Missing((at, begin)));
            at = begin;
        }
        pieces.push(Piece::Held(number, (at, end)));
        at = end;
    }
    if at < to {
        pieces.push(Piece::Missing((at, to)));
    }
    pieces
}

/// Whether all of some bytes is held.
pub(super) fn covers(parts: &[Entry], wanted: Span) -> bool {
    let held: Vec<Span> = parts.iter().map(span).collect();
    pieces(&held, wanted).iter().all(|piece| matches!(piece, Piece::Held(..)))
}

/// The same, as it is asked for: what is held between two gaps and is small is fetched once more rather than asked around.
fn to_ask(held: &[Span], wanted: Span) -> Vec<Piece> {
    let found = pieces(held, wanted);
    let mut joined: Vec<Piece> = Vec::new();
    for (number, piece) in found.iter().enumerate() {
        let island =
            matches!(piece, Piece::Held(_, (from, to)) if to - from < LEAST) && number > 0 && number + 1 < found.len();
        match (joined.last_mut(), piece) {
            (Some(Piece::Missing((_, end))), Piece::Held(_, (_, to))) if island => *end = *to,
            (Some(Piece::Missing((_, end))), Piece::Missing((_, to))) => *end = *to,
            _ => joined.push(*piece),
        }
    }
    joined
}

impl Job {
    /// The bytes wanted, and how they are put together; `None` where no parts are stored.
    fn plan(&self) -> Option<(Span, u64, Vec<Piece>)> {
        let total = self.parts.first()?.draft.part?.total;
        let wanted = match range::wanted(&self.request, total) {
            range::Wanted::Part(from, to) if self.alone => (from, to),
            _ => (0, total),
        };
        let held: Vec<Span> = self.parts.iter().map(span).collect();
        let mut pieces = to_ask(&held, wanted);
        if !self.alone
            && !pieces.iter().any(|piece| matches!(piece, Piece::Missing(_)))
            && let Some(Piece::Held(_, (_, to))) = pieces.last_mut()
        {
            // All is there, but was never joined. One byte shows whether it still is the same.
            *to -= 1;
            pieces.push(Piece::Missing((total - 1, total)));
        }
        Some((wanted, total, pieces))
    }

    /// Makes a request one for what stored parts lack, for the range alone, or for the whole.
    pub(super) fn ask_for_part(&self, request: &mut HeaderMap) {
        let stored = self.stored.as_ref().map(|entry| &entry.draft.headers);
        match (stored, self.plan()) {
            (Some(stored), Some((wanted, total, pieces))) => {
                let missing = pieces.iter().find_map(missing);
                let (from, to) = missing.unwrap_or(wanted);
                condition::ask_for_part(request, stored, from, Some(to).filter(|&to| to < total));
                if missing.is_none() {
                    // Only whether it has changed; if so, the same range of what it is now.
                    request.remove(IF_RANGE);
                    condition::make_conditional(request, stored);
                }
            }
            (Some(stored), None) => {
                condition::make_conditional(request, stored);
            }
            (None, _) if self.alone => {
                for name in [RANGE, IF_RANGE] {
                    if let Some(value) = self.request.get(&name) {
                        request.insert(name, value.clone());
                    }
                }
            }
            (None, _) => {}
        }
    }

    /// Puts what is stored and what has been fetched together; `None` where the answer is of no use, and all that is
    /// wanted must be asked for.
    pub(super) async fn completed(&mut self, response: Response<Body>) -> Option<Response<Body>> {
        let Some((wanted, total, pieces)) = self.plan() else { return Some(response) };
        let first = pieces.iter().find_map(missing);
        let status = response.status();
        if let Some(first) = first
            && self.is_rest(&response, first, total)
        {
            return self.assembled(response, wanted, total, pieces).await;
        }
        let changed = match (status, first) {
            (StatusCode::NOT_MODIFIED, None) => return Some(response),
            // Something else by now, and of no use but for what it is itself.
            (StatusCode::PARTIAL_CONTENT, None) => false,
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::NOT_MODIFIED, _) => true,
            // The range alone, of what it is now.
            (StatusCode::OK, _) => self.alone && self.inner.is_large(content_length(response.headers())),
            _ => false,
        };
        if changed {
            return None;
        }
        self.parts.clear();
        Some(response)
    }

    /// Whether an answer is what was asked for of the object that is stored, by its range and its validators.
    fn is_rest(&self, response: &Response<Body>, (from, to): Span, total: u64) -> bool {
        let stored = self.stored.as_ref().map(|entry| &entry.draft.headers);
        let length = content_length(response.headers());
        response.status() == StatusCode::PARTIAL_CONTENT
            && range::content_range(response.headers()) == Some((from, to, total))
            && length.is_none_or(|length| length == to - from)
            && stored.is_some_and(|stored| condition::same_validators(stored, response.headers()))
    }

    /// The stored pieces and the fetched ones as one answer, with the newer head (section 3.4).
    async fn assembled(
        &mut self,
        response: Response<Body>,
        wanted: Span,
        total: u64,
        pieces: Vec<Piece>,
    ) -> Option<Response<Body>> {
        let stored = self.stored.as_ref()?.draft.headers.clone();
        let shelf = self.inner.shelf.as_ref()?;
        let mut sources = Vec::new();
        for piece in &pieces {
            sources.push(match *piece {
                Piece::Missing(missing) => Source::Fetched(missing),
                Piece::Held(number, held) => {
                    let entry = &self.parts[number];
                    match shelf.content(entry).await {
                        Ok(content) => Source::Stored(content, span(entry).0, held),
                        Err(error) => {
                            let path = shelf.store().blob_path(&entry.digest);
                            self.inner.warn(&StoreError::io("read", &path, error));
                            return None;
                        }
                    }
                }
            });
        }
        self.from_store = pieces
            .iter()
            .filter_map(|piece| match *piece {
                Piece::Held(_, (from, to)) => Some((from - wanted.0, to - wanted.0)),
                Piece::Missing(_) => None,
            })
            .collect();
        let (mut head, first) = response.into_parts();
        head.headers.remove(CONTENT_RANGE);
        head.headers = condition::merge(&stored, &head.headers);
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(wanted.1 - wanted.0));
        head.status = StatusCode::OK;
        if self.alone {
            head.status = StatusCode::PARTIAL_CONTENT;
            let text = format!("bytes {}-{}/{total}", wanted.0, wanted.1 - 1);
            head.headers.insert(CONTENT_RANGE, HeaderValue::try_from(text).expect("digits and ASCII signs"));
        }
        let rest = Rest {
            inner: self.inner.clone(),
            context: self.context.clone(),
            uri: self.uri.clone(),
            follow: self.follow(),
            asked: self.upstream_head().2,
            head: head.headers.clone(),
            total,
        };
        Some(Response::from_parts(head, rest.body(first, sources)))
    }

    /// What a 206 to the client's own range is a part of; `None` where it is not what was asked for, or where nobody
    /// could tell later what it belongs to.
    pub(super) fn fitting(&self, response: &Response<Body>) -> Option<(Part, u64)> {
        let headers = response.headers();
        let (from, to, total) = range::content_range(headers)?;
        let known = self.known.as_ref().and_then(|known| known.size);
        let fits = range::wanted(&self.request, total) == range::Wanted::Part(from, to)
            && content_length(headers).is_none_or(|length| length == to - from)
            && known.is_none_or(|known| known == total)
            && condition::strong(headers).is_some()
            && condition::range_allowed(&self.request, headers)
            && !condition::not_modified(&self.request, headers);
        fits.then_some((Part { from, total }, to - from))
    }
}

/// A part with the head that the whole would have.
pub(super) fn as_whole(mut response: Response<Body>) -> Response<Body> {
    *response.status_mut() = StatusCode::OK;
    for name in [CONTENT_RANGE, CONTENT_LENGTH] {
        response.headers_mut().remove(name);
    }
    response
}

fn missing(piece: &Piece) -> Option<Span> {
    match piece {
        Piece::Missing(span) => Some(*span),
        Piece::Held(..) => None,
    }
}

/// Where a piece comes from.
enum Source {
    /// A part that begins at a position, and the bytes wanted of it.
    Stored(Content, u64, Span),
    Fetched(Span),
}

/// What it takes to fetch the pieces after the first.
struct Rest {
    inner: Arc<Inner>,
    context: RequestContext,
    uri: Uri,
    follow: Follow,
    asked: HeaderMap,
    head: HeaderMap,
    total: u64,
}

impl Rest {
    /// The pieces one after another. Those behind the first that is missing are asked for when their turn comes.
    fn body(self, first: Body, sources: Vec<Source>) -> Body {
        let (sender, receiver) = mpsc::channel(1);
        let inner = self.inner.clone();
        let feeding = async move {
            tokio::select! {
                () = sender.closed() => {}
                fed = self.feed(first, sources, &sender) => if let Err(error) = fed {
                    let _ = sender.send(Err(error)).await;
                }
            }
        };
        let cancel = inner.cancel.clone();
        inner.behind(async move {
            cancel.run_until_cancelled_owned(Box::pin(feeding)).await;
        });
        let chunks = stream::unfold(receiver, |mut receiver| async {
            let chunk: io::Result<Bytes> = receiver.recv().await?;
            Some((chunk.map(Frame::data), receiver))
        });
        StreamBody::new(chunks).boxed()
    }

    async fn feed(&self, first: Body, sources: Vec<Source>, to: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
        let mut first = Some(first);
        for source in sources {
            let (mut body, length) = match source {
                Source::Stored(content, base, (from, to)) => {
                    (content.body((from - base, to - base), &self.context.flow), to - from)
                }
                Source::Fetched(span) => {
                    let body = match first.take() {
                        Some(first) => first,
                        None => self.fetch(span).await?,
                    };
                    (body, span.1 - span.0)
                }
            };
            let mut came = 0;
            while let Some(frame) = body.frame().await {
                let Ok(chunk) = frame?.into_data() else { continue };
                came += chunk.len() as u64;
                if came > length {
                    return Err(io::Error::other("upstream sent more than was asked for"));
                }
                if to.send(Ok(chunk)).await.is_err() {
                    return Ok(());
                }
            }
            if came < length {
                let message = format!("upstream sent {came} of {length} bytes");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
        }
        Ok(())
    }

    async fn fetch(&self, (from, to): Span) -> io::Result<Body> {
        let mut headers = self.asked.clone();
        condition::ask_for_part(&mut headers, &self.head, from, Some(to).filter(|&to| to < self.total));
        let head = (Method::GET, self.uri.clone(), headers);
        let response = follow::send(&self.inner, head, &self.context, self.follow).await;
        let response = response.map_err(io::Error::other)?.response;
        let fits = response.status() == StatusCode::PARTIAL_CONTENT
            && range::content_range(response.headers()) == Some((from, to, self.total))
            && condition::same_validators(&self.head, response.headers());
        if fits { Ok(response.into_body()) } else { Err(io::Error::other("upstream's object has changed meanwhile")) }
    }
}

impl Transfer {
    /// Where the body lies in its object: where it begins, where it ends, and bytes of the object. `None` where the
    /// origin did not say.
    fn place(&self) -> Option<(u64, u64, u64)> {
        let length = self.total?;
        Some(self.draft.part.map_or((0, length, length), |part| (part.from, part.from + length, part.total)))
    }

    /// Asks once for the rest of a body that broke off after so many bytes, where the origin can tell that it is still
    /// the same.
    pub(super) async fn resume(&self, came: u64) -> Option<Body> {
        let (begin, end, total) = self.place().filter(|(begin, end, _)| (1..end - begin).contains(&came))?;
        let mut headers = self.asked.clone();
        let from = begin + came;
        if !condition::ask_for_part(&mut headers, &self.draft.headers, from, Some(end).filter(|&end| end < total)) {
            return None;
        }
        let head = (Method::GET, self.uri.clone(), headers);
        let response = follow::send(&self.inner, head, &self.context, self.follow).await.ok()?.response;
        // A server that heeds no If-Range may send the rest of another state.
        let fits = range::content_range(response.headers()) == Some((from, end, total))
            && condition::same_validators(&self.draft.headers, response.headers());
        (response.status() == StatusCode::PARTIAL_CONTENT && fits).then(|| response.into_body())
    }

    /// Makes the store forget the parts that a wrong body was made of: one of them is wrong.
    pub(super) async fn forget_parts(&self) {
        if let Some(shelf) = self.inner.shelf.as_ref().filter(|_| !self.from_store.is_empty())
            && let Err(error) = shelf.invalidate(self.draft.key).await
        {
            self.inner.warn(&error);
        }
    }

    /// How many of the bytes between two positions of the body came from upstream.
    pub(super) fn fetched(&self, (from, to): Span) -> u64 {
        let stored = |&(begin, end): &Span| end.min(to).saturating_sub(begin.max(from));
        (to - from).saturating_sub(self.from_store.iter().map(stored).sum())
    }

    /// Keeps what has arrived of a body that broke off, where that is worth it and can be completed; whether it did.
    pub(super) async fn keep(&self, mut writer: BlobWriter) -> bool {
        let size = writer.size();
        let Some((from, _, total)) = self.place().filter(|(begin, end, _)| (LEAST..end - begin).contains(&size)) else {
            return false;
        };
        let resumable = self.draft.status == 200 && condition::strong(&self.draft.headers).is_some();
        let Some(shelf) = self.inner.shelf.as_ref().filter(|_| resumable && self.keeps && !self.fetch.is_outdated())
        else {
            return false;
        };
        let mut draft = self.draft.clone();
        draft.part = Some(Part { from, total });
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_missing() {
        let held = [(10, 20), (15, 30), (40, 50)];
        for (wanted, expected) in [
            ((10, 20), vec![Piece::Held(0, (10, 20))]),
            ((12, 28), vec![Piece::Held(0, (12, 20)), Piece::Held(1, (20, 28))]),
            ((0, 12), vec![Piece::Missing((0, 10)), Piece::Held(0, (10, 12))]),
            ((30, 40), vec![Piece::Missing((30, 40))]),
            ((45, 60), vec![Piece::Held(2, (45, 50)), Piece::Missing((50, 60))]),
        ] {
            assert_eq!(pieces(&held, wanted), expected, "{wanted:?}");
        }
        let one_request = vec![Piece::Missing((0, 40)), Piece::Held(2, (40, 50))];
        assert_eq!(to_ask(&held, (0, 50)), one_request, "a small piece between gaps is not asked around");
        let large = [(100, 100 + LEAST)];
        assert_eq!(to_ask(&large, (0, 200_000)).len(), 3);
    }

    proptest! {
        /// The pieces are the bytes wanted, each once, in order, and nothing is asked for at the ends that is held.
        #[test]
        fn pieces_make_what_is_wanted(
            mut held in proptest::collection::vec((0_u64..300_000, 1_u64..100_000), 0..6),
            from in 0_u64..300_000,
            length in 1_u64..300_000,
        ) {
            held.sort_unstable();
            let held: Vec<Span> = held.into_iter().map(|(from, length)| (from, from + length)).collect();
            let wanted = (from, from + length);
            for found in [pieces(&held, wanted), to_ask(&held, wanted)] {
                let mut at = wanted.0;
                for piece in &found {
                    let (Piece::Held(_, (begin, end)) | Piece::Missing((begin, end))) = *piece;
                    prop_assert!(begin == at && end > begin);
                    if let Piece::Held(number, _) = *piece {
                        prop_assert!(held[number].0 <= begin && end <= held[number].1);
                    }
                    at = end;
                }
                prop_assert_eq!(at, wanted.1);
            }
        }
    }
}
