//! The answer behind a flow, as it can be given again: of the whole object, whatever part of it the client got.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LINK, VARY,
};
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use crate::cache::links;
use crate::rules::Nature;
use crate::store::VaryField;

/// Fields of an answer that clients go by and that do not tell of the one transfer.
static MATTER: [HeaderName; 12] = [
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    HeaderName::from_static("docker-content-digest"),
    HeaderName::from_static("docker-distribution-api-version"),
    ETAG,
    LAST_MODIFIED,
    LINK,
    HeaderName::from_static("git-protocol"),
    VARY,
];

/// An answer as it can be given again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Its status: 200 also where the client got a part, or a 304.
    pub status: u16,
    /// Bytes of the whole body, where that is known.
    pub size: Option<u64>,
    /// The fields that matter, by name in lower case, in the order of names.
    pub headers: Vec<(String, String)>,
    /// Where a redirect leads: absolute, and without signature.
    pub location: Option<String>,
    /// The request fields it depends on, by name in lower case, with what they said; credentials are not among them.
    pub vary: Vec<(String, Option<String>)>,
    /// Whether its URL says that it never changes.
    pub immutable: bool,
    /// Why it cannot be given again: it was not kept.
    pub lost: Option<String>,
}

impl Answered {
    /// The answer with this head, which is kept.
    pub(crate) fn of(status: u16, headers: &HeaderMap, vary: &[VaryField], nature: Nature) -> Self {
        let field = |name: &HeaderName| {
            let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
            let value = values.join(", ");
            // Of what is not kept the signatures are still there.
            let value = if *name == LINK { links(&value)? } else { value };
            (!values.is_empty()).then(|| (name.as_str().to_owned(), value))
        };
        let mut matter: Vec<_> = MATTER.iter().filter_map(field).collect();
        matter.sort();
        Self {
            status,
            headers: matter,
            vary: vary
                .iter()
                .filter(|(name, _)| !crate::cache::is_credential(name))
                .map(|(name, value)| (name.as_str().to_owned(), value.clone()))
                .collect(),
            immutable: status == 200 && matches!(nature, Nature::Immutable | Nature::Lasting),
            ..Self::default()
        }
    }
}

/// Whether an answer with these fields is for who has some credentials.
pub(crate) fn is_bound(vary: &[VaryField]) -> bool {
    vary.iter().any(|(name, value)| *name == AUTHORIZATION && value.is_some())
}
