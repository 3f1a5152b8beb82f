//! builder
pub mod rootfs;
