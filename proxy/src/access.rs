//! The user's lists of hosts, held against everything that is asked for, redirects followed inside included.

use std::sync::Arc;

use http::{Request, Uri};

use crate::body::Body;
use crate::current::Current;
use crate::host_pattern::HostPattern;
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};
use crate::upstream::route::target;

/// Hosts that may be asked, and hosts that may not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Where it is not empty: the only ones.
    pub(crate) allow: Vec<HostPattern>,
    pub(crate) deny: Vec<HostPattern>,
}

impl Access {
    /// Whether a host may be asked; the error says by which rule not.
    pub(crate) fn check(&self, host: &str, port: u16) -> Result<(), String> {
        let covers = |patterns: &[HostPattern]| patterns.iter().find(|pattern| pattern.matches(host, port)).cloned();
        if let Some(pattern) = covers(&self.deny) {
            return Err(format!("{host} port {port} is refused by the rule deny = [\"{pattern}\"]"));
        }
        if !self.allow.is_empty() && covers(&self.allow).is_none() {
            return Err(format!("{host} port {port} is on none of the rules of `allow`; add it there if it is wanted"));
        }
        Ok(())
    }
}

/// An origin that asks nobody who may not be asked.
pub(crate) struct Admitted {
    pub(crate) access: Access,
    pub(crate) origin: Arc<dyn Origin>,
}

/// The origin of a cache that outlives changes of the settings.
pub(crate) struct Exchanged(pub(crate) Current<Admitted>);

impl Origin for Exchanged {
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        context: &'a RequestContext,
    ) -> BoxFuture<'a, Result<http::Response<Body>, UpstreamError>> {
        let admitted = self.0.get();
        Box::pin(async move { admitted.send(request, context).await })
    }

    fn is_kept_from_guests(&self, uri: &Uri) -> bool {
        self.0.get().origin.is_kept_from_guests(uri)
    }
}

impl Origin for Admitted {
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        context: &'a RequestContext,
    ) -> BoxFuture<'a, Result<http::Response<Body>, UpstreamError>> {
        let refused = target(request.uri()).and_then(|(host, port, _)| self.access.check(host, port).err());
        if let Some(message) = refused {
            return Box::pin(async { Err(UpstreamError { phase: Phase::Denied, message, retryable: false }) });
        }
        self.origin.send(request, context)
    }

    fn is_kept_from_guests(&self, uri: &Uri) -> bool {
        self.origin.is_kept_from_guests(uri)
    }
}
