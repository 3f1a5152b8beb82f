//! Templates: read, evaluated and decoded into one model, with spans kept for diagnostics.

pub mod body;
pub mod build;
pub mod config;
pub mod data;
pub mod diagnostic;
pub mod duration;
mod dynamic;
pub mod escape;
pub mod files;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod go;
mod graph;
pub mod hcl;
pub mod json;
pub mod line;
pub mod load;
mod local;
mod mistake;
pub mod post_processor;
pub mod provisioner;
pub mod remote;
pub mod required_plugin;
pub mod schema;
pub mod secrets;
pub mod source;
pub mod source_map;
pub mod variable;

pub use body::{ConfigBody, DecodeEnv, TemplateScope};
pub use build::Build;
pub use data::{Data, DataSources};
pub use load::{Depth, Language, LoadOptions, Loaded, Template, load, load_with};
