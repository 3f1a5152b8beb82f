//! What becomes of a body that the store has no room for.

use std::io;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use super::progress::End;
use super::transfer::Transfer;
use crate::body::Body;

impl Transfer {
    /// The store has failed: the client that began the fetch gets the rest past it, at its own speed.
    pub(super) async fn spill(self, unwritten: Vec<Bytes>, mut rest: Body, tail: mpsc::Sender<io::Result<Bytes>>) {
        self.fetch.end(End::Spilled);
        for chunk in unwritten {
            if tail.send(Ok(chunk)).await.is_err() {
                return;
            }
        }
        while let Some(frame) = rest.frame().await {
            let chunk = match frame.map(http_body::Frame::into_data) {
                Ok(Ok(chunk)) => Ok(chunk),
                Ok(Err(_)) => continue,
                Err(error) => Err(error),
            };
            let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            self.context.flow.update(|flow| flow.bytes_upstream += bytes);
            if tail.send(chunk).await.is_err() {
                return;
            }
        }
    }
}
