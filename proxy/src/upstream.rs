//! The way to the origin: mirror, route, guard, dial, TLS, exchange.

pub(crate) mod alone;
pub mod anonymize;
pub mod auth;
mod bound;
pub mod certificates;
pub(crate) mod choice;
pub mod client;
pub(crate) mod connector;
pub(crate) mod dial;
pub(crate) mod failure;
pub(crate) mod first_contact;
pub(crate) mod idle_body;
pub(crate) mod mirrored;
pub mod no_proxy;
pub mod observe;
mod plain_proxy;
pub(crate) mod proxy_connect;
pub(crate) mod proxy_url;
pub mod roots;
pub mod route;
pub(crate) mod tls;
mod upload;
mod ways;
mod witness;
