//! Redirects followed inside, so that the body is kept under the URL that was asked for and the redirect is not kept.
//!
//! A registry answers with a redirect to a signed URL, which is over in minutes; what it leads to stays the same.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LOCATION,
    PRAGMA, RANGE, USER_AGENT, VIA,
};
use http::{HeaderMap, HeaderName, Method, Request, Response, Uri};
use url::Url;

use super::key::carries_signature;
use super::{Inner, Key};
use crate::body::{Body, empty};
use crate::flow::Class;
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::rules::{Nature, Verdict};

/// Most redirects followed for one request.
const MOST: usize = 10;

/// What another server gets to see of a request: nothing that could be a credential.
const HARMLESS: [HeaderName; 11] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    PRAGMA,
    RANGE,
    USER_AGENT,
    VIA,
];

/// Which redirects are followed inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// Whatever it leads to has to have the digest promised.
    Any,
    /// What it leads to is the same package, whatever its name there; not from `https` into the clear.
    Secure,
    /// To signed URLs only: elsewhere it may lead to another thing tomorrow.
    Signed,
    /// But to signed URLs: a request that is not the one signed would be refused there.
    Unsigned,
    Never,
}

impl Follow {
    pub(super) fn of(verdict: &Verdict, is_promised: bool) -> Self {
        match (verdict.class, verdict.nature) {
            _ if is_promised => Self::Any,
            (Class::Package, Nature::Immutable) => Self::Secure,
            (Class::Package | Class::Image, _) => Self::Signed,
            _ => Self::Never,
        }
    }

    fn allows(self, from: &Url, to: &Url) -> bool {
        let into_the_clear = from.scheme() == "https" && to.scheme() != "https";
        match self {
            Self::Any => true,
            Self::Secure => !into_the_clear,
            Self::Signed => !into_the_clear && carries_signature(to.as_str()),
            Self::Unsigned => !into_the_clear && !carries_signature(to.as_str()),
            Self::Never => false,
        }
    }
}

/// An answer, and where it came from in the end, where that is not what was asked for.
pub(super) struct Arrived {
    pub response: Response<Body>,
    pub from: Option<Uri>,
}

/// Sends a request without a body, and follows redirects as far as `follow` goes; one that it does not cover is the
/// answer. Each hop is for the origin to judge as any other request.
pub(super) async fn send(
    inner: &Inner,
    head: (Method, Uri, HeaderMap),
    context: &RequestContext,
    follow: Follow,
) -> Result<Arrived, UpstreamError> {
    let (method, mut uri, mut headers) = head;
    let mut from = None;
    for _ in 0..=MOST {
        let mut request = Request::new(empty());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let response = inner.origin.send(request, context).await?;
        let Some(next) = next_hop(&uri, &response, follow) else {
            if let Some(from) = &from {
                note(context, from);
            }
            return Ok(Arrived { response, from });
        };
        if !super::learn::same_origin(&uri.to_string(), &next.to_string()) {
            headers = harmless(&headers);
        }
        uri = next;
        from = Some(uri.clone());
    }
    Err(UpstreamError {
        phase: Phase::Exchange,
        message: format!("{uri} is where more than {MOST} redirects led, and it redirects again"),
        retryable: false,
    })
}

/// Where a redirect leads that is followed.
fn next_hop(from: &Uri, response: &Response<Body>, follow: Follow) -> Option<Uri> {
    if follow == Follow::Never || !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let from = Url::parse(&from.to_string()).ok()?;
    let mut to = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    let is_http = matches!(to.scheme(), "http" | "https") && to.host().is_some();
    let has_user = !to.username().is_empty() || to.password().is_some();
    if !is_http || has_user || !follow.allows(&from, &to) {
        return None;
    }
    to.set_fragment(None);
    to.as_str().parse().ok()
}

/// The fields of a request that any server may see.
fn harmless(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| HARMLESS.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The flow says where the bytes came from, without the signature.
fn note(context: &RequestContext, from: &Uri) {
    let shown = without_signature(from);
    context.flow.update(|flow| flow.route = format!("{}, redirected to {shown}", flow.route));
}

/// The URL as it may be shown and kept.
pub(super) fn without_signature(uri: &Uri) -> String {
    let url = Key::of(uri).map_or_else(|| uri.path().to_owned(), |key| key.url);
    // A signature of a kind that is not known is one all the same.
    url.split('?').next().unwrap_or_default().to_owned()
}
