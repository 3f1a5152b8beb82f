//! What is done with images of Docker: the options of these post-processors, so far.

pub mod import;
pub mod push;
pub mod save;
pub mod tag;
