//! Post-processor blocks: what every post-processor has, whatever its kind.

use super::body::ConfigBody;
use super::source_map::Span;

/// A post-processor of a build.
#[derive(Clone, Debug)]
pub struct PostProcessorBlock {
    /// Its kind, such as `compress`.
    pub kind: String,
    /// Name `-except` can leave it out by; its kind if none is given.
    pub name: Option<String>,
    /// Sources it is for; all if empty.
    pub only: Vec<String>,
    /// Sources it is not for.
    pub except: Vec<String>,
    /// Whether the artifact it is given is kept; `None` leaves it to the post-processor.
    pub keep_input_artifact: Option<bool>,
    /// Its options.
    pub body: ConfigBody,
    /// Where its header is.
    pub span: Span,
}

/// Options every post-processor has.
pub(crate) const COMMON: &[&str] = &["name", "only", "except", "keep_input_artifact"];

crate::config! {
    /// Options every post-processor has.
    pub struct PostProcessorOptions {
        /// Name to leave it out by.
        name: Option<String>,
        /// Sources it is for.
        only: Vec<String>,
        /// Sources it is not for.
        except: Vec<String>,
        /// Whether the artifact it is given is kept.
        keep_input_artifact: Option<bool>,
    }
}
