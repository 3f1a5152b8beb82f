//! Builds root file systems: a base, provisioners each in a layer of its own, and an image of it all.

pub mod archive;
pub mod debian;
pub mod export;
mod gzip;
mod tar_reader;
mod tar_writer;
mod tree_writer;
