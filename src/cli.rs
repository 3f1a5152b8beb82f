//! The command line: arguments and settings in, a call of the library, an exit code out.

pub mod argv;
pub mod settings;
