//! The network side of the proxy against fake peers on loopback.

mod drain;
mod forward;
mod intercept;
mod resolver;
mod route;
mod strict;
mod support;
mod transparent;
