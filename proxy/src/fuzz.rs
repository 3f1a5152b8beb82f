//! What reads foreign bytes, each with what must hold whatever it is given.
//!
//! One function for each target of `fuzz/`, which calls it and nothing else; the tests below call the same functions with
//! the seeds of `fuzz/seeds` and with random changes of them. A function panics where something does not hold. See
//! `docs/reference/fuzzing.md`.

mod client;
pub(crate) mod fields;
mod heads;
mod keys;
mod names;
mod policy;
mod routes;
#[cfg(test)]
mod tests;
mod wire;

pub use self::heads::heads;
pub use self::keys::cache_keys;
pub use self::names::questions;
pub use self::policy::policy;
pub use self::routes::{no_proxy, proxy_urls};
pub use crate::cache::learn::fuzz::indexes;
pub use crate::pac::fuzz::{pac_answers, pac_scripts};
pub use crate::store::fuzz::rows;
pub use crate::upstream::auth::fuzz::challenged;
