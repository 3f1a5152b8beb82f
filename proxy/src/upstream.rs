//! The way to the origin: mirror, route, guard, dial, TLS, exchange.

pub(crate) mod alone;
pub mod anonymize;
pub mod auth;
pub mod certificates;
pub mod client;
pub(crate) mod connector;
pub(crate) mod dial;
pub(crate) mod failure;
pub(crate) mod first_contact;
pub(crate) mod idle_body;
pub(crate) mod mirrored;
pub mod observe;
pub(crate) mod proxy_connect;
pub mod roots;
pub mod route;
pub(crate) mod tls;
mod upload;
mod witness;
