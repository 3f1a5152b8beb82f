//! A body on its way from upstream into the store: what comes is gathered while what came before is written.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::Inner;
use super::batch::Batch;
use super::follow::Follow;
use super::learn::Reading;
use super::part::Span;
use super::progress::{End, Fetch};
use super::refuted::Again;
use super::spill::Rest;
use crate::body::{Body, empty};
use crate::origin::RequestContext;
use crate::rules::Format;
use crate::store::{BlobWriter, Draft, StoreError};

/// What went wrong with a body.
enum Broken {
    /// Upstream's side; why, and what has arrived, where that is sound.
    Upstream(String, Option<Box<BlobWriter>>),
    /// The store's side; and what it did not take.
    Store(StoreError, Box<Rest>),
}

impl From<JoinError> for Broken {
    fn from(error: JoinError) -> Self {
        Self::Upstream(error.to_string(), None)
    }
}

/// A body on its way into the store.
pub(super) struct Transfer {
    pub inner: Arc<Inner>,
    pub fetch: Arc<Fetch>,
    pub context: RequestContext,
    pub uri: Uri,
    pub follow: Follow,
    /// The fields of the request to upstream.
    pub asked: HeaderMap,
    /// Bytes of the body, where the origin said.
    pub total: Option<u64>,
    /// Those that come out of the store.
    pub from_store: Vec<Span>,
    /// Whether a part of it is better than what is stored.
    pub keeps: bool,
    /// Whether the last byte is kept back until the body is known to be right.
    pub held: bool,
    pub learns: Option<Format>,
    pub draft: Draft,
    pub again: Again,
}

/// A batch being written: the writer back, how it went, and the batch.
type Writing = JoinHandle<(BlobWriter, Result<(), StoreError>, Batch)>;

/// How far the copying of a body is.
struct Copying {
    body: Body,
    /// What has come and is not being written yet.
    batch: Batch,
    /// How that ended, where it did or the batch is full: `true` for the end of the body.
    came: Option<io::Result<bool>>,
    /// Whether the rest was asked for once.
    resumed: bool,
}

impl Transfer {
    pub(super) async fn run(self, writer: BlobWriter, body: Body, tail: mpsc::Sender<io::Result<Bytes>>) {
        match self.copy(writer, body).await {
            Ok(writer) => self.finish(writer).await,
            Err(Broken::Upstream(why, None)) => self.broken(&why),
            Err(Broken::Upstream(why, Some(writer))) => {
                // Whoever reads it learns of the break once the part can be found.
                if self.keep(*writer).await {
                    self.fetch.end(End::Broken(format!("{why} (what arrived is kept, to be completed)").into()));
                }
                self.broken(&why);
            }
            Err(Broken::Store(error, rest)) => {
                match error {
                    StoreError::TooLarge(_) => tracing::debug!(url = self.draft.url, %error, "not stored"),
                    _ => self.inner.warn(&error),
                }
                self.spill(rest, tail).await;
            }
        }
    }

    pub(super) fn broken(&self, why: &str) {
        let url = &self.draft.url;
        tracing::debug!(url, why, "nothing stored");
        self.fetch.end(End::Broken(format!("{why} (nothing was stored)").into()));
    }

    /// Copies all of the body. What has been written is told at once, whether more comes or not.
    async fn copy(&self, mut writer: BlobWriter, body: Body) -> Result<BlobWriter, Broken> {
        let batch = Batch::new(&self.inner.memory);
        let mut copying = Copying { body, batch, came: None, resumed: false };
        loop {
            if copying.came.is_none() {
                copying.came = Some(copying.batch.wait(&mut copying.body).await);
            }
            if !copying.batch.is_empty() {
                writer = self.write(writer, &mut copying).await?;
                continue;
            }
            // The end is looked at once all is written, so that a body too short can be resumed.
            let came = copying.came.take().unwrap_or(Ok(false));
            if matches!(came, Ok(false)) {
                continue;
            }
            if (came.is_err() || self.lacks(&writer)) && !std::mem::replace(&mut copying.resumed, true) {
                let rest = self.resume(writer.size()).await;
                if let Some(rest) = rest {
                    copying.body = rest;
                    continue;
                }
            }
            if let Err(error) = came {
                return Err(Broken::Upstream(error.to_string(), Some(writer.into())));
            }
            return match self.total {
                Some(total) if total != writer.size() => {
                    let why = format!("upstream sent {} of {total} bytes", writer.size());
                    Err(Broken::Upstream(why, Some(writer.into())))
                }
                _ => Ok(writer),
            };
        }
    }

    /// Writes what has been gathered, and gathers meanwhile.
    async fn write(&self, writer: BlobWriter, copying: &mut Copying) -> Result<BlobWriter, Broken> {
        let batch = std::mem::replace(&mut copying.batch, Batch::new(&self.inner.memory));
        if matches!(copying.came, Some(Ok(false))) {
            copying.came = None;
        }
        let (from, to) = (writer.size(), writer.size() + batch.size() as u64);
        let new = self.fetched((from, to));
        self.context.flow.update(|flow| flow.bytes_upstream += new);
        let mut writing = std::pin::pin!(self.begin_write(writer, batch));
        let (writer, result, batch) = loop {
            tokio::select! {
                biased;
                written = &mut writing => break written?,
                came = copying.batch.fill(&mut copying.body), if copying.came.is_none() => copying.came = Some(came),
            }
        };
        if let Err(error) = result {
            let mut unwritten = batch.into_chunks();
            let gathered = std::mem::replace(&mut copying.batch, Batch::new(&self.inner.memory));
            unwritten.extend(gathered.into_chunks());
            return Err(Broken::Store(error, Rest::after(writer, from, unwritten, copying.rest())));
        }
        if self.total.is_some_and(|total| to > total) {
            return Err(Broken::Upstream("upstream sent more than it announced".to_owned(), None));
        }
        self.fetch.written(to - u64::from(self.held), batch.recent(from));
        Ok(writer)
    }

    /// Writes in a turn of the build's, off the threads that serve requests.
    async fn begin_write(
        &self,
        mut writer: BlobWriter,
        batch: Batch,
    ) -> Result<(BlobWriter, Result<(), StoreError>, Batch), JoinError> {
        let turn = self.inner.turns.take(&self.context.flow.identity()).await;
        let most = self.inner.most();
        let writing: Writing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let result = match most {
                Some(most) if writer.size() + batch.size() as u64 > most => Err(StoreError::TooLarge(most)),
                _ => writer.write_all(batch.chunks()),
            };
            (writer, result, batch)
        });
        writing.await
    }

    fn lacks(&self, writer: &BlobWriter) -> bool {
        self.total.is_some_and(|total| writer.size() < total)
    }

    /// The body is whole: it is checked, and then made durable and put in place, which no client waits for.
    async fn finish(self, mut writer: BlobWriter) {
        match writer.check() {
            Err(StoreError::Mismatch(why)) => {
                tracing::warn!(url = self.draft.url, why, "refused a body that is not the one promised");
                self.forget_parts().await;
                return self.refuted(&why).await;
            }
            Err(error) => return self.broken(&error.to_string()),
            Ok(()) => {}
        }
        self.note_whole(writer.sums());
        let Self { inner, fetch, context, draft, learns, again, .. } = self;
        let reading = learns.map(|format| Reading::announce(&inner, &draft.url, format));
        let who = context.flow.identity();
        // The flow ends with the client's last byte, not with what the disk has taken.
        drop(context);
        fetch.available(writer.size());
        fetch.end(End::Whole);
        let Some(shelf) = &inner.shelf else { return };
        let key = draft.key;
        let _turn = inner.places.take(&who).await;
        if fetch.is_outdated() {
            return;
        }
        match shelf.commit(writer, draft, inner.run()).await {
            // It may have become so meanwhile.
            Ok(_) if fetch.is_outdated() => inner.invalidate(key).await,
            Ok(entry) if entry.draft.part.is_some() => inner.join_parts(entry, again.known),
            Ok(entry) => match reading {
                Some(reading) => reading.begin(entry),
                None => inner.config_arrived(&entry.draft.url),
            },
            Err(error) => inner.warn(&error),
        }
    }
}

impl Copying {
    /// What is still to come, for who gets it past the store.
    fn rest(&mut self) -> Body {
        match self.came.take() {
            Some(Ok(true)) => empty(),
            Some(Err(error)) => StreamBody::new(futures_util::stream::iter([Err(error)])).boxed(),
            Some(Ok(false)) | None => std::mem::replace(&mut self.body, empty()),
        }
    }
}
