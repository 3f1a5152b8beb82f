//! Accepts connections, each for one client, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::forward::Scope;
use crate::identity::Client;
use crate::intercept::session::{self, Target};
use crate::server::{self, Protocol, Session};
use crate::shared::Shared;

/// Connections of one listener at a time; further ones wait to be accepted.
const CONNECTIONS: usize = 2048;
/// The longest pause after accepting failed, as it does when no descriptor is left.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the clients of a listener believe they talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A proxy: absolute URLs, and CONNECT.
    Proxy,
    /// An origin on port 80. The socket's local address is the one the client meant.
    Http,
    /// An origin on port 443, likewise.
    Https,
}

/// A listener at work. Dropping it stops it; connections then finish what is under way.
#[derive(Debug)]
pub struct ListenerHandle {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
}

impl ListenerHandle {
    /// The address it is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more; connections finish what is under way.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for ListenerHandle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Accepts until `stop`.
pub(crate) async fn run(
    listener: TcpListener,
    role: Role,
    client: Client,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut pause = Duration::from_millis(5);
    loop {
        let accepted = tokio::select! {
            accepted = async {
                // The semaphore is never closed, so this only waits.
                let permit = permits.clone().acquire_owned().await.ok();
                listener.accept().await.map(|(stream, _)| (stream, permit))
            } => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, permit)) => {
                pause = Duration::from_millis(5);
                let session =
                    Session { shared: shared.clone(), client: client.clone(), scope: Scope::Proxy, stop: stop.clone() };
                shared.tasks.spawn(async move {
                    let _permit = permit;
                    let abort = session.shared.abort.clone();
                    tokio::select! {
                        () = converse(stream, role, session) => {}
                        () = abort.cancelled() => {}
                    }
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections for now");
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, role: Role, session: Session) {
    // Small answers must not wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let address = local.ip().to_canonical();
    let meant = || session.shared.pool(&session.client).name(address).unwrap_or_else(|| address.to_string());
    match role {
        Role::Proxy => server::serve(stream, Protocol::Http1, session).await,
        Role::Http => {
            let scope = Scope::Transparent { fallback: meant() };
            server::serve(stream, Protocol::Http1, Session { scope, ..session }).await;
        }
        Role::Https => {
            let target = Target { host: None, fallback: meant(), port: 443, agent: None };
            session::serve(session, stream, target).await;
        }
    }
}

/// Errors that concern the connection that was to be accepted, not the listener.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
