//! Bundles: what runs fetched, in one file that a machine without a network can build from.
//!
//! A bundle is an OCI image layout (version 1.1) in a directory, a tar archive, or one packed by zstd, in one file or in
//! parts. Everything that comes out of one is taken for hostile: names are checked and then not used, sizes are held to
//! what was said beforehand, and nothing is stored before all of it has been read and found right.

pub mod archive;
pub mod budget;
pub mod document;
pub mod export;
pub mod fault;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod gather;
pub mod import;
pub mod output;
pub mod parts;
mod pinned;
pub mod read;
pub mod scratch;
pub mod signature;
pub mod source;
#[cfg(test)]
mod tests;
mod understand;
mod unpack;
