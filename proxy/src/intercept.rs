//! Looking into TLS: a CA of the project's own, leaves for each host, and the conversation inside.

pub mod ca;
pub(crate) mod ca_dir;
pub(crate) mod hello;
pub(crate) mod leaf;
pub(crate) mod refusal;
pub(crate) mod session;
