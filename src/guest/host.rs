//! What this machine lets Larder do: tried out, not guessed, and where it is refused, the cause and what mends it.
//!
//! [`cause::Cause`] is the one list of causes and remedies; `larder doctor`, the checks before a build and the errors
//! of a build that is refused something all speak by it. [`check::CHECKS`] is the list of what doctor looks at.

pub mod cause;
pub mod check;
pub mod ids;
pub mod machine;
pub mod namespaces;
pub mod place;
pub mod probe;
