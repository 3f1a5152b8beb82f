//! The commands: arguments and settings in, a run of the engine out.

pub mod args;
pub mod signals;
