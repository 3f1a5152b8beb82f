//! What every guest has: its network, its trust in Larder's CA, and the proof that neither left a trace.

pub mod authority;
pub mod jks;
pub mod journal;
pub mod layers;
pub mod rooted;
pub mod tools;
pub mod trace;
pub mod trust;
pub mod xattr;
