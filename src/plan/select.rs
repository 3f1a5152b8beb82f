//! Selection by name and glob.

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::error::{Error, Result};
use crate::template::build::BuildSource;

/// Globs of an option.
pub(super) struct Patterns {
    set: GlobSet,
}

impl Patterns {
    pub(super) fn new(option: &str, patterns: &[String]) -> Result<Self> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let glob = Glob::new(pattern).map_err(|error| {
                Error::new(format!("{option}: {pattern:?} is not a pattern")).caused_by(error).hint("`*` stands for anything")
            })?;
            set.add(glob);
        }
        let set = set.build().map_err(|error| Error::new(format!("{option}: too many patterns")).caused_by(error))?;
        Ok(Self { set })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }
}

/// Whether a component with `only` and `except` applies to the source: both match `type.name` exactly.
pub(super) fn applies(only: &[String], except: &[String], source: &BuildSource) -> bool {
    let name = format!("{}.{}", source.builder_type, source.local_name);
    (only.is_empty() || only.contains(&name)) && !except.contains(&name)
}
