//! Bytes passed on unseen, by a rule of the user.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::cache::Mode;
use crate::flow::{FlowRecorder, Outcome};
use crate::origin::{Phase, UpstreamError};
use crate::server::Session;
use crate::upstream::connector::Io;

/// Begins the flow of a tunnel.
pub(crate) fn begin(session: &Session, host: &str, port: u16) -> Arc<FlowRecorder> {
    let url = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    FlowRecorder::begin(session.client.identity(), "CONNECT", url, session.shared.flows.clone())
}

/// Opens the far side, by the same route and under the same guard as everything else.
pub(crate) async fn open(
    session: &Session,
    host: &str,
    port: u16,
    flow: &FlowRecorder,
) -> Result<Box<dyn Io>, UpstreamError> {
    let shared = &session.shared;
    let result = if shared.cache.mode() == Mode::Offline {
        flow.update(|flow| flow.offline_miss = true);
        Err(UpstreamError {
            phase: Phase::Denied,
            message: format!("{host} is tunnelled by a rule, so nothing of it is cached, and the proxy is offline"),
            retryable: false,
        })
    } else {
        shared.origin.tunnel(host, port, session.client.is_guest()).await
    };
    match result {
        Ok((stream, route)) => {
            flow.outcome(Outcome::Tunnel, "passed on unseen by a tunnel rule");
            flow.update(|flow| {
                flow.route = route;
                flow.status = 200;
            });
            Ok(stream)
        }
        Err(error) => {
            let outcome = if error.phase == Phase::Denied { Outcome::Denied } else { Outcome::Error };
            flow.outcome(outcome, error.message.clone());
            Err(error)
        }
    }
}

/// Passes bytes both ways until both sides have ended, or the proxy stops for good.
pub(crate) async fn copy(
    session: &Session,
    client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: Box<dyn Io>,
    flow: Arc<FlowRecorder>,
) {
    let (client_read, client_write) = tokio::io::split(client);
    let (upstream_read, upstream_write) = tokio::io::split(upstream);
    let down = one_way(upstream_read, client_write, |bytes| {
        flow.sent(bytes);
        flow.update(|flow| flow.bytes_upstream += bytes);
    });
    let up = one_way(client_read, upstream_write, |_| {});
    tokio::select! {
        result = async { tokio::try_join!(down, up) } => {
            if let Err(error) = result {
                flow.update(|flow| {
                    flow.aborted = true;
                    flow.why = format!("{}; it broke off: {error}", flow.why);
                });
            }
        }
        () = session.shared.abort.cancelled() => flow.update(|flow| flow.aborted = true),
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        count(length as u64);
    }
}
