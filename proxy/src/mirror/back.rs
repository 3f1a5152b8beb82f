//! What a mirror's answer means to somebody who knows only the public name.

use http::header::{
    ALT_SVC, CONTENT_LOCATION, HeaderMap, HeaderName, LINK, LOCATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, Request};
use url::Url;

use super::{Mapped, MirrorMap};
use crate::body::Body;

/// Fields by which clients say who they are: for the public name, and so not for whoever stands in for it. Beside the
/// standard ones, those of repository managers and forges.
const CLIENT_CREDENTIALS: [&str; 9] = [
    "authorization",
    "cookie",
    "x-jfrog-art-api",
    "x-nuget-apikey",
    "x-api-key",
    "x-auth-token",
    "private-token",
    "job-token",
    "deploy-token",
];

/// What concerns the mirror's host and whoever is logged in there, not the public name's. A cookie could be a session of
/// the user's, begun by the settings' credentials.
const OF_THE_HOST: [HeaderName; 3] = [SET_COOKIE, ALT_SVC, STRICT_TRANSPORT_SECURITY];

/// Takes out what a client sends for the public name.
pub(crate) fn strip_client_credentials(request: &mut Request<Body>) {
    for name in CLIENT_CREDENTIALS {
        request.headers_mut().remove(name);
    }
}

impl Mapped {
    /// What a reference in an answer means: inside the mirror's own prefix it is mapped back, inside that of another of
    /// the rules too, and anything else becomes absolute.
    pub(crate) fn map_back(&self, rules: &MirrorMap, reference: &str) -> Option<String> {
        let base = Url::parse(&self.uri.to_string()).ok()?;
        let target = base.join(reference).ok()?;
        let own = std::iter::once(self.pair.to.as_str()).chain(self.target.names().map(Url::as_str));
        let rest = own.filter_map(|prefix| target.as_str().strip_prefix(prefix)).min_by_key(|rest| rest.len());
        Some(match rest {
            Some(rest) => format!("{}{rest}", self.pair.public),
            None => {
                let public = target.as_str().parse().ok().and_then(|uri| rules.public(&uri));
                public.map_or_else(|| target.to_string(), |uri| uri.to_string())
            }
        })
    }

    /// Makes the fields of an answer those of the public name.
    pub(crate) fn map_fields_back(&self, rules: &MirrorMap, headers: &mut HeaderMap) {
        if self.target.url().is_none() {
            return;
        }
        for name in OF_THE_HOST {
            headers.remove(name);
        }
        for name in [LOCATION, CONTENT_LOCATION] {
            each(headers, &name, |value| self.map_back(rules, value));
        }
        each(headers, &LINK, |value| Some(self.links(rules, value)));
        each(headers, &WWW_AUTHENTICATE, |value| Some(self.realm(rules, value)));
    }

    /// The targets of links (RFC 8288 section 3), which stand in angle brackets.
    fn links(&self, rules: &MirrorMap, value: &str) -> String {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('<') {
            let Some((reference, next)) = after.split_once('>') else { break };
            let mapped = self.map_back(rules, reference).unwrap_or_else(|| reference.to_owned());
            out.push_str(before);
            out.push('<');
            out.push_str(&mapped);
            out.push('>');
            rest = next;
        }
        out + rest
    }

    /// The realm of a `Bearer` challenge, which is a URL (distribution specification, token authentication).
    fn realm(&self, rules: &MirrorMap, value: &str) -> String {
        let at = value.find("realm=\"").map(|at| at + "realm=\"".len());
        let Some((before, after)) = at.and_then(|at| value.split_at_checked(at)) else { return value.to_owned() };
        match after.split_once('"') {
            Some((realm, rest)) if realm.contains("://") => {
                let mapped = self.map_back(rules, realm).unwrap_or_else(|| realm.to_owned());
                format!("{before}{mapped}\"{rest}")
            }
            _ => value.to_owned(),
        }
    }

    /// By which names the mirror's host calls what it has, and the public name for each: of this rule, and of others that
    /// have mirrors there (cargo's index names crates beside itself). Without the slash at the end, which not every
    /// mention has.
    pub(crate) fn spellings(&self, rules: &MirrorMap) -> Vec<(String, String)> {
        let here = |url: &Url| url.host() == self.target.url().and_then(Url::host);
        let own = std::iter::once(self.pair.to.as_str()).chain(self.target.names().map(Url::as_str));
        let own = own.map(|name| (name.to_owned(), self.pair.public.clone()));
        let others = rules.mirrors().iter().flat_map(|mirror| {
            let names = mirror.targets().iter().flat_map(|target| target.claims());
            let names = names.filter(|url| here(url) && !url.path().contains("/v2/"));
            names.map(|url| (url.to_string(), mirror.canonical_prefix()))
        });
        let bare = |text: String| text.trim_end_matches('/').to_owned();
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, public) in own.chain(others) {
            let name = bare(name);
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name, bare(public)));
            }
        }
        found
    }
}

fn each(headers: &mut HeaderMap, name: &HeaderName, change: impl Fn(&str) -> Option<String>) {
    if !headers.contains_key(name) {
        return;
    }
    let mapped = |value: &HeaderValue| {
        let text = value.to_str().ok().and_then(&change)?;
        HeaderValue::from_str(&text).ok()
    };
    let values: Vec<HeaderValue> =
        headers.get_all(name).iter().map(|value| mapped(value).unwrap_or_else(|| value.clone())).collect();
    headers.remove(name);
    for value in values {
        headers.append(name, value);
    }
}
