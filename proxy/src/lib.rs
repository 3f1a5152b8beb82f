//! The caching, intercepting forward proxy of Larder.
//!
//! A byte's way: listener -> identity -> service -> cache -> origin (mirror, route, dial) -> store -> client.

pub mod body;
pub mod cache;
pub mod flow;
pub mod identity;
pub mod inspect;
pub mod origin;
pub mod policy;
pub mod rules;
pub mod stats;
pub mod store;
