//! The way to the origin: mirror, route, guard, dial, TLS, exchange.

pub(crate) mod alone;
mod asking;
pub(crate) mod choice;
pub mod client;
pub(crate) mod connector;
mod course;
pub(crate) mod dial;
pub(crate) mod failure;
pub(crate) mod first_contact;
pub mod host_tls;
pub(crate) mod idle_body;
pub(crate) mod mirrored;
pub mod no_proxy;
mod origin_stream;
pub(crate) mod proxy_connect;
pub(crate) mod proxy_url;
pub mod roots;
pub mod route;
mod socks;
mod standing;
pub(crate) mod tls;
pub mod trace;
mod upload;
mod verify;
mod ways;
