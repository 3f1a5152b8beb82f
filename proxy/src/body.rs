//! The one body type that passes between the layers.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, Full, StreamBody};

/// A body on its way: frames of bytes (or trailers), or the error that ended it.
pub type Body = BoxBody<Bytes, io::Error>;

/// A body of no bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Bodies one after another.
pub fn chain(bodies: Vec<Body>) -> Body {
    let frames = bodies.into_iter().map(BodyStream::new);
    StreamBody::new(futures_util::StreamExt::flatten(futures_util::stream::iter(frames))).boxed()
}

/// A body held in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}
