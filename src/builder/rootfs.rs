//! The `rootfs` builder: a root file system made without a machine, from nothing or from an archive.

pub mod archive;
pub mod export;
mod gzip;
mod tar_reader;
mod tar_writer;
mod tree_writer;
