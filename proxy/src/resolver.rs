//! The gateway's resolver: every name has an address of its own, so that a connection to it tells the name.

pub(crate) mod message;
pub mod pool;
pub(crate) mod server;
