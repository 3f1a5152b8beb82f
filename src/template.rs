//! Templates: read, evaluated and decoded into one model, with spans kept for diagnostics.

pub mod body;
pub mod config;
pub mod diagnostic;
pub mod duration;
pub mod files;
pub mod hcl;
pub mod json;
pub mod schema;
pub mod secrets;
pub mod source_map;
