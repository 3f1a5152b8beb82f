//! The caching, intercepting forward proxy of Larder.
//!
//! A byte's way: listener -> identity -> service -> cache -> origin (mirror, route, dial) -> store -> client.

mod access;
pub mod admission;
pub mod body;
pub mod cache;
mod coarse;
pub mod config;
mod connect;
mod current;
mod descriptors;
mod direct;
pub mod error;
mod field;
pub mod flow;
mod forward;
mod fronts;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod guard;
mod head_timer;
mod hop_by_hop;
pub mod host_pattern;
pub mod identity;
pub mod in_flight;
pub mod inspect;
pub mod intercept;
mod kept_body;
pub mod listener;
pub mod login;
mod max_forwards;
pub mod mirror;
mod near;
pub mod origin;
pub mod pac;
pub mod policy;
mod prefixed;
pub mod proxy;
mod redact;
pub mod resolver;
pub mod rules;
mod seldom;
mod sent_body;
mod server;
mod service;
mod shared;
pub mod spread;
pub mod stats;
pub mod store;
mod taking;
mod trailers;
mod tunnel;
mod turns;
mod upgrade;
pub mod upstream;

pub use crate::config::Config;
pub use crate::listener::{ListenerHandle, Role};
pub use crate::proxy::Proxy;
