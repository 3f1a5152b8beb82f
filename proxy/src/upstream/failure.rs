//! What became of an exchange that failed: for the answer, and for whether it is tried again.

use std::error::Error;

use http::Method;

use super::idle_body::chain;
use super::tls::client_certificate;
use super::upload::Upload;
use crate::origin::{Phase, UpstreamError};

pub(super) type ClientError = hyper_util::client::legacy::Error;
/// Why there is no answer, and what hyper said, if it did.
pub(super) type Failed = (UpstreamError, Option<ClientError>);

/// Whether a failed request is sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    No,
    Yes,
    /// On a connection that speaks nothing but HTTP/1.1.
    Http1,
}

/// Decides by what hyper said. What the origin has not begun to process may be sent again whatever it is (RFC 9113
/// section 8.7); what was lost on a connection that broke, only where doing it twice does no harm (RFC 9110 section
/// 9.2.2).
pub(super) fn again(error: Option<&ClientError>, method: &Method, upload: &Upload) -> Again {
    let Some(error) = error.filter(|_| upload.is_whole()) else { return Again::No };
    if let Some(stream) = cause::<h2::Error>(error) {
        return match stream.reason() {
            Some(h2::Reason::HTTP_1_1_REQUIRED) => Again::Http1,
            Some(h2::Reason::REFUSED_STREAM) => Again::Yes,
            Some(h2::Reason::NO_ERROR) if stream.is_go_away() && stream.is_remote() => Again::Yes,
            _ if method.is_idempotent() && (stream.is_io() || stream.is_go_away() && stream.is_remote()) => Again::Yes,
            _ => Again::No,
        };
    }
    let lost = matches!(phase(error), Phase::Terminated | Phase::Incomplete);
    if lost && method.is_idempotent() { Again::Yes } else { Again::No }
}

/// The connector's own error where it failed, else what became of the exchange.
pub(super) fn failure(error: &(dyn Error + 'static), peer: &str, method: &Method) -> UpstreamError {
    if let Some(own) = cause::<UpstreamError>(error) {
        return UpstreamError { phase: own.phase, message: own.message.clone(), retryable: own.retryable };
    }
    let told = cause::<std::io::Error>(error).and_then(client_certificate);
    UpstreamError {
        phase: phase(error),
        message: format!("{peer} gave no proper answer: {}", told.unwrap_or_else(|| chain(error))),
        retryable: method.is_idempotent(),
    }
}

fn phase(error: &(dyn Error + 'static)) -> Phase {
    if let Some(stream) = cause::<h2::Error>(error) {
        return match stream.reason() {
            // What we found wrong ourselves.
            Some(h2::Reason::PROTOCOL_ERROR | h2::Reason::FRAME_SIZE_ERROR | h2::Reason::COMPRESSION_ERROR)
                if stream.is_library() =>
            {
                Phase::Exchange
            }
            _ => Phase::Terminated,
        };
    }
    match cause::<hyper::Error>(error) {
        Some(own) if own.is_parse_too_large() => Phase::HeadTooLarge,
        Some(own) if own.is_incomplete_message() => Phase::Incomplete,
        Some(own) if own.is_closed() || own.is_canceled() => Phase::Terminated,
        _ if cause::<std::io::Error>(error).is_some() => Phase::Terminated,
        _ => Phase::Exchange,
    }
}

fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
