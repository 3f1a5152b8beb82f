//! Provisioner blocks: what every provisioner has, whatever its kind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::body::{ConfigBody, Override};
use super::source_map::Span;

/// A provisioner of a build.
#[derive(Clone, Debug)]
pub struct ProvisionerBlock {
    /// Its kind, such as `shell`.
    pub kind: String,
    /// Name shown instead of the kind.
    pub name: Option<String>,
    /// Sources it is for; all if empty.
    pub only: Vec<String>,
    /// Sources it is not for.
    pub except: Vec<String>,
    /// How long to wait before it.
    pub pause_before: Duration,
    /// How often it is run again when it fails.
    pub max_retries: u32,
    /// How long it may take.
    pub timeout: Option<Duration>,
    /// Whether the build goes on when it fails.
    pub continue_on_error: bool,
    /// Options for single sources, by `name` of the source.
    pub overrides: BTreeMap<String, Override>,
    /// Its options.
    pub body: ConfigBody,
    /// Where its header is.
    pub span: Span,
}

/// Options every provisioner has.
pub(crate) const COMMON: &[&str] =
    &["name", "only", "except", "pause_before", "max_retries", "timeout", "override", "continue_on_error"];

crate::config! {
    /// Options every provisioner has.
    pub struct ProvisionerOptions {
        /// Name shown instead of the kind.
        name: Option<String>,
        /// Sources it is for.
        only: Vec<String>,
        /// Sources it is not for.
        except: Vec<String>,
        /// How long to wait before it.
        pause_before: Duration,
        /// How often it is run again when it fails.
        max_retries: u32,
        /// How long it may take.
        timeout: Option<Duration>,
        /// Whether the build goes on when it fails.
        continue_on_error: bool,
    }
}
