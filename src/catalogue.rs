//! The templates somebody can begin with: where they are, what each would do, and a form for its variables.
//!
//! Nothing here runs a build. What is shown of a template comes from the evaluator that `larder build` uses.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::plan::Plan;
use crate::template::diagnostic::Diagnostics;

pub mod builtin;
pub mod discover;
pub mod evaluate;
pub mod field;
pub mod literal;
pub mod outline;
pub mod problem;
pub mod wizard;
pub mod write;

#[cfg(test)]
mod tests;

/// What reading a template depends on besides the template.
#[derive(Clone, Debug)]
pub struct Around {
    /// The working directory.
    pub cwd: PathBuf,
    /// The environment: `PKR_VAR_name`, and what `env` reads.
    pub env: BTreeMap<String, String>,
    /// Where the user keeps templates.
    pub user_templates: Option<PathBuf>,
    /// Version that templates are told.
    pub packer_version: String,
    /// The clock.
    pub now: fn() -> Timestamp,
    /// Checks the options of every component of a plan.
    pub check: fn(&Plan) -> Diagnostics,
}
