//! On whose behalf upstream is asked, and what people are told of the way.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;

use super::client::authority;
use super::origin_stream::KeptFromGuests;
use super::route::{ProxyUrl, Route, Target};
use crate::flow::FlowRecorder;

/// On whose behalf a request is sent, and how.
pub(super) struct Asking<'a> {
    /// Only to what a guest may reach.
    pub(super) guarded: bool,
    /// How long to wait for the answer's head, if not as long as the settings say.
    pub(super) limit: Option<Duration>,
    pub(super) flow: &'a Arc<FlowRecorder>,
    /// What the flow's route is made of; `None` where the request is none of the client's.
    pub(super) label: Option<&'a Label>,
}

/// What a flow's route says beside the way taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    /// The mirror that is asked.
    pub(super) mirror: Option<String>,
    /// What was passed over before, and why.
    pub(super) passed: Vec<String>,
}

impl Label {
    /// As in `mirror http://m/ by proxy http://p:1 (not direct: no route; proxy http://q:1: refused)`.
    pub(super) fn name(&self, way: &str, passed: &[String]) -> String {
        let way = match &self.mirror {
            None => way.to_owned(),
            Some(mirror) if way == "direct" => format!("mirror {mirror}"),
            Some(mirror) => format!("mirror {mirror} by {way}"),
        };
        let others: Vec<&str> = self.passed.iter().chain(passed).map(String::as_str).collect();
        if others.is_empty() { way } else { format!("{way} (not {})", others.join("; ")) }
    }
}

/// The way that an answer came, among its extensions.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) way: String,
    /// What was passed over on the way there, and why.
    pub(super) passed: Vec<String>,
}

impl Asking<'_> {
    /// Notes where an answer came from: what the settings stand in with for a public name is for guests, too.
    pub(super) fn came(&self, answer: Option<&Response<Incoming>>) {
        let is_public = self.label.is_some_and(|label| label.mirror.is_none());
        if is_public && answer.is_some_and(|answer| answer.extensions().get::<KeptFromGuests>().is_some()) {
            self.flow.keep_from_guests();
        }
    }

    /// Notes the way that the request goes.
    pub(super) fn goes(&self, target: &Target, route: &Route, passed: &[String]) {
        let next = route.hops.last().map_or_else(|| authority(&target.host, target.port), ProxyUrl::authority);
        self.flow.asks(next);
        if let Some(label) = self.label {
            self.flow.update(|flow| flow.route = label.name(&route.to_string(), passed));
        }
    }
}
