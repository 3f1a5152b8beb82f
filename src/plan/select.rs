//! Selection by name and glob.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};
use crate::template::Language;
use crate::template::source::BuildSource;

/// Names an option selects.
pub(super) enum Patterns {
    Globs(GlobSet),
    /// In a legacy template names are exact.
    Exact(Vec<String>),
}

impl Patterns {
    pub(super) fn new(option: &str, patterns: &[String], language: Language) -> Result<Self> {
        if language == Language::LegacyJson {
            return Ok(Self::Exact(patterns.to_vec()));
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = Glob::new(pattern).map_err(|error| {
                Error::new(format!("{option}: {pattern:?} is not a pattern"))
                    .caused_by(error)
                    .hint("`*` stands for anything")
            })?;
            set.add(glob);
        }
        let set = set.build().map_err(|error| Error::new(format!("{option}: too many patterns")).caused_by(error))?;
        Ok(Self::Globs(set))
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Globs(set) => set.is_match(name),
            Self::Exact(names) => names.iter().any(|exact| exact == name),
        }
    }
}

/// Whether a component with `only` and `except` applies to the source: both match `type.name` exactly,
/// or the name as written in a legacy template.
pub(super) fn applies(only: &[String], except: &[String], source: &BuildSource) -> bool {
    let name = source.short_id();
    (only.is_empty() || only.contains(&name)) && !except.contains(&name)
}
