//! Cache policy as pure functions over request, response, rules and `now`.
//!
//! RFC 9111 (HTTP caching) for a shared cache, RFC 9110 for conditions and ranges, RFC 5861 for stale answers;
//! on top the rules of [`crate::rules`], which know packages and indexes by the shape of their paths.

pub mod condition;
pub mod control;
pub mod freshness;
pub mod range;
pub mod storable;
pub mod surrogate;
pub mod vary;

pub use self::control::CacheControl;
