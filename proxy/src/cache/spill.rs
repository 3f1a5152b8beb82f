//! What becomes of a body that the store does not take: it passes, and what it must be is checked all the same.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::fetch::Job;
use super::key::hash16;
use super::progress::End;
use super::transfer::Transfer;
use crate::body::Body;
use crate::rules::Promised;
use crate::store::{BlobWriter, StoreError, Sums};

/// A body on its way past the store. Its last byte is held back until all of it has been checked.
struct Passing {
    sums: Sums,
    held: bool,
    last: Option<Bytes>,
}

impl Passing {
    /// What may go on, now that these bytes have come: all but the last one, where it is held back.
    fn pass(&mut self, chunk: &Bytes) -> [Option<Bytes>; 2] {
        self.sums.add(chunk);
        self.release(chunk.clone())
    }

    fn release(&mut self, mut chunk: Bytes) -> [Option<Bytes>; 2] {
        if !self.held || chunk.is_empty() {
            return [None, Some(chunk).filter(|chunk| !chunk.is_empty())];
        }
        let last = chunk.split_off(chunk.len() - 1);
        [self.last.replace(last), Some(chunk).filter(|chunk| !chunk.is_empty())]
    }

    /// The byte held back, where the body is what it must be.
    fn end(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.sums.check()?;
        Ok(self.last.take())
    }
}

/// What the store did not take of a body, and what comes after it.
pub(super) struct Rest {
    sums: Sums,
    /// Bytes that readers have from the file.
    written: u64,
    unwritten: Vec<Bytes>,
    body: Body,
}

impl Rest {
    /// After a failure within `batch`, before which `written` bytes had been written. The file is removed.
    pub(super) fn after(writer: BlobWriter, written: u64, batch: Vec<Bytes>, body: Body) -> Box<Self> {
        Box::new(Self { sums: writer.give_up(), written, unwritten: batch, body })
    }
}

/// How a body that passes ended.
enum Ended {
    /// The client has gone.
    Left,
    Whole,
    /// It has an error to tell.
    Broken(io::Error),
    Refuted(String),
}

impl Transfer {
    /// The store has failed: the client that began the fetch gets the rest past it, at its own speed. What is promised
    /// of the body holds for it as for one that is stored.
    pub(super) async fn spill(self, rest: Box<Rest>, tail: mpsc::Sender<io::Result<Bytes>>) {
        // The tail begins behind what was written before; its own last byte is held back.
        self.fetch.available(rest.written);
        self.fetch.end(End::Spilled);
        let Rest { sums, written, unwritten, body } = *rest;
        let mut passing = Passing { sums, held: self.held, last: None };
        let mut hashed = passing.sums.size() - written;
        for chunk in unwritten {
            let known = usize::try_from(hashed).unwrap_or(usize::MAX).min(chunk.len());
            hashed -= known as u64;
            passing.sums.add(&chunk[known..]);
            if send(&tail, passing.release(chunk)).await.is_err() {
                return;
            }
        }
        match self.pass_on(&mut passing, body, &tail).await {
            Ended::Left => {}
            Ended::Whole => self.note_whole(&passing.sums),
            Ended::Broken(error) => drop(tail.send(Err(error)).await),
            Ended::Refuted(why) => {
                tracing::warn!(url = self.draft.url, why, "refused a body that is not the one promised");
                let _ = tail.send(Err(io::Error::other(format!("{why} (nothing was stored)")))).await;
                self.forget_parts().await;
                self.refuted(&why).await;
            }
        }
    }

    async fn pass_on(&self, passing: &mut Passing, mut body: Body, tail: &mpsc::Sender<io::Result<Bytes>>) -> Ended {
        let mut resumed = false;
        loop {
            let chunk = match body.frame().await.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(chunk))) => chunk,
                Some(Ok(Err(_))) => continue,
                ended => {
                    let error = ended.and_then(Result::err).or_else(|| self.shortage(&passing.sums));
                    let Some(error) = error else { break };
                    if !std::mem::replace(&mut resumed, true)
                        && let Some(rest) = self.resume(passing.sums.size()).await
                    {
                        body = rest;
                        continue;
                    }
                    return Ended::Broken(error);
                }
            };
            self.context.flow.update(|flow| flow.bytes_upstream += chunk.len() as u64);
            let ready = passing.pass(&chunk);
            if self.total.is_some_and(|total| passing.sums.size() > total) {
                return Ended::Broken(io::Error::other("upstream sent more than it announced"));
            }
            if send(tail, ready).await.is_err() {
                return Ended::Left;
            }
        }
        match passing.end() {
            Err(StoreError::Mismatch(why)) => Ended::Refuted(why),
            Err(error) => Ended::Broken(io::Error::other(error)),
            Ok(last) => match send(tail, [last, None]).await {
                Ok(()) => Ended::Whole,
                Err(()) => Ended::Left,
            },
        }
    }

    fn shortage(&self, sums: &Sums) -> Option<io::Error> {
        let (total, came) = (self.total?, sums.size());
        let message = format!("upstream sent {came} of {total} bytes");
        (came != total).then(|| io::Error::new(io::ErrorKind::UnexpectedEof, message))
    }

    /// Notes in the flow what has arrived whole.
    pub(super) fn note_whole(&self, sums: &Sums) {
        let part = self.draft.part;
        self.context.flow.update(|flow| {
            flow.digest = part.is_none().then(|| sums.digest().to_string().into());
            let answer = Arc::make_mut(flow.answer.get_or_insert_default());
            answer.size = Some(part.map_or(sums.size(), |part| part.total));
            answer.lost = part.map(|_| super::answer::PART.to_owned());
        });
    }
}

async fn send(tail: &mpsc::Sender<io::Result<Bytes>>, chunks: [Option<Bytes>; 2]) -> Result<(), ()> {
    for chunk in chunks.into_iter().flatten() {
        tail.send(Ok(chunk)).await.map_err(|_| ())?;
    }
    Ok(())
}

impl Job {
    /// An answer that is handed over: a whole body is held to what is promised of it, as one that is stored.
    pub(super) fn checked(&self, response: Response<Body>) -> Response<Body> {
        let plain = response.status() == StatusCode::OK && !response.headers().contains_key(CONTENT_ENCODING);
        let Some(promised) = self.promised(response.headers()).filter(|_| plain) else { return response };
        let source = self.known.as_ref().and_then(|known| known.source.as_deref());
        let (inner, source) = (self.inner.clone(), source.map(|source| hash16(source.as_bytes())));
        let refused = move |url: &str, why: &str| {
            tracing::warn!(url, why, "refused a body that is not the one promised");
            if let Some(source) = source {
                inner.promises.suspect(source);
            }
        };
        let url = self.key.url.clone();
        response.map(|body| Checked::new(body, promised, move |why| refused(&url, why)).boxed())
    }
}

/// A body that is nowhere stored, checked while it passes.
struct Checked<F> {
    body: Body,
    passing: Passing,
    ready: Option<Bytes>,
    refused: F,
    over: bool,
}

impl<F: Fn(&str) + Unpin> Checked<F> {
    fn new(body: Body, promised: Promised, refused: F) -> Self {
        let passing = Passing { sums: Sums::new(Some(promised)), held: true, last: None };
        Self { body, passing, ready: None, refused, over: false }
    }
}

impl<F: Fn(&str) + Unpin> http_body::Body for Checked<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(bytes) = self.ready.take() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.over {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Ok(chunk) = frame.into_data() else { continue };
                    let [before, now] = self.passing.pass(&chunk);
                    self.ready = now;
                    if let Some(bytes) = before {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Some(Err(error)) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.over = true;
                    match self.passing.end() {
                        Ok(last) => self.ready = last,
                        Err(error) => {
                            (self.refused)(&error.to_string());
                            return Poll::Ready(Some(Err(io::Error::other(error))));
                        }
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let waiting = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let more = waiting(&self.ready) + waiting(&self.passing.last);
        let body = self.body.size_hint();
        let mut hint = http_body::SizeHint::default();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + more);
        }
        hint.set_lower(body.lower() + more);
        hint
    }
}
