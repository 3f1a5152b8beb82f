//! The network side of the proxy against fake peers on loopback.
#![expect(clippy::unwrap_used, reason = "a peer of a test that fails ends the test")]

mod drain;
mod forward;
mod http2_only;
mod intercept;
mod live;
mod mirrors;
mod resolver;
mod route;
mod strict;
mod support;
mod transparent;
