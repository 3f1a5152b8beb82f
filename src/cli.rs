//! The commands: arguments and settings in, a run of the engine out.

pub mod args;
pub mod argv;
pub mod console;
pub mod ps;
pub mod settings;
pub mod signals;
pub mod version;

/// The environment, as it was when the program started.
pub type Env = std::collections::BTreeMap<String, String>;
