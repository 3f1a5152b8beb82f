//! The network side of the proxy against fake peers on loopback.
#![expect(clippy::unwrap_used, reason = "a peer of a test that fails ends the test")]

mod admission;
mod chain;
mod curl;
mod drain;
mod expect;
mod forward;
mod framing;
mod git;
mod hop;
mod http2;
mod http2_only;
mod intercept;
mod limits;
mod live;
mod mirrors;
mod ntlm;
mod resolver;
mod route;
mod status;
mod strict;
mod support;
mod trailers;
mod transparent;
mod upgrade;
