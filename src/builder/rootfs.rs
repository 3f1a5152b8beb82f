//! The `rootfs` builder: a root file system made without a machine, from nothing or from an archive.

pub mod debian;
