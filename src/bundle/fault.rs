//! What is wrong with a bundle.

use std::io;
use std::path::PathBuf;

use super::signature::SignatureError;
use crate::output::text::printable;

/// Why reading a bundle cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bundle could not be read.
    #[error("cannot read {what}: {source}")]
    Read {
        /// What was being read.
        what: String,
        /// What the system, or the decompressor, said.
        source: io::Error,
    },
    /// It is not a bundle, or one that is put together in a way that is not allowed.
    #[error("{0}")]
    Malformed(String),
    /// A part is missing, too short, too long, or another.
    #[error("part {number} of {count}, {}, {why}", path.display())]
    Part {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        count: usize,
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is more than may be.
    #[error("{what}: {found}, and {allowed} is the limit")]
    Budget {
        /// What there is too much of.
        what: &'static str,
        /// How much of it there is.
        found: String,
        /// How much there may be.
        allowed: String,
        /// The option that raises the limit.
        option: &'static str,
    },
    /// It is not signed by anybody who is trusted.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Who asked for it wants it no more.
    #[error("interrupted")]
    Interrupted,
    /// What was read could not be stored.
    #[error(transparent)]
    Store(#[from] larder_proxy::store::StoreError),
}

impl BundleError {
    /// A name or text of the bundle goes through [`shown`] before it is put in here.
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }

    pub(super) fn read(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| {
            // What readers further down found is passed up as an error of input.
            match source.downcast::<Self>() {
                Ok(own) => own,
                Err(source) => Self::Read { what, source },
            }
        }
    }

    /// What the user can do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Budget { option, .. } => {
                format!("if the bundle comes from somebody you trust, raise the limit with {option}")
            }
            Self::Part { .. } => "copy that part again; parts and their list lie in one directory".to_owned(),
            Self::Read { .. } | Self::Malformed(_) => {
                "copy the bundle again and compare its digest; `larder bundle export` made a sound one".to_owned()
            }
            Self::Signature(error) => error.hint(),
            Self::Store(error) => error.hint().to_owned(),
            Self::Interrupted => String::new(),
        }
    }
}

/// Something wrong that reading can go on after, so that all of it is told at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text from a bundle as it may be shown: no control characters, and not too long.
pub(super) fn shown(text: &[u8]) -> String {
    const MOST: usize = 80;
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * MOST)]);
    let clean: String = printable(&text).chars().take(MOST).collect();
    if clean.len() < text.len() { format!("{clean}…") } else { clean }
}
