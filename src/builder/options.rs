//! Options that many builders of machines have in common.

pub mod boot;
pub mod communicator;
pub mod http;
pub mod iso;
pub mod media;
