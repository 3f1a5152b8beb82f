//! Ways to run commands and move files: in a guest, or on the host.

pub mod local;
pub mod rootfs;
pub mod transfer;
