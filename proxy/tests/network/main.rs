//! The network side of the proxy against fake peers on loopback.
#![expect(clippy::unwrap_used, reason = "a peer of a test that fails ends the test")]

mod admission;
mod certificates;
mod chain;
mod curl;
mod drain;
mod expect;
mod forward;
mod framing;
mod git;
mod hop;
mod hostile;
mod hostile_origin;
mod http2;
mod http2_only;
mod intercept;
mod leg;
mod limits;
mod live;
mod mirrors;
mod ntlm;
mod reach;
mod resolver;
mod route;
mod status;
mod stored;
mod strict;
mod support;
mod trailers;
mod transparent;
mod upgrade;
