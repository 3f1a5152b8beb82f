//! Accepts connections, each for one client, until it is told to stop.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::admission::{self, Arrival, Gate, Place};
use crate::current::Current;
use crate::descriptors::{self, Room, Shortage};
use crate::forward::Scope;
use crate::identity::Client;
use crate::intercept::session::{self, Target};
use crate::seldom::Seldom;
use crate::server::{self, Protocol, Session};
use crate::service::Line;
use crate::shared::Shared;

/// Connections of one listener at a time; further ones wait to be accepted.
const CONNECTIONS: usize = 2048;
/// Connections at a time that are told why they are not served.
const REFUSALS: usize = 64;
/// Bytes of answers that wait in the kernel until they can be sent. It would take megabytes for each client that reads
/// slowly, which gets nothing of that sooner; and one that is as fast as we are falls asleep for each packet, which costs
/// three times what sending does (docs/decisions/0011).
const UNSENT: u32 = 64 * 1024;
/// The pause after accepting failed, which doubles.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
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
    /// The address it is bound to; the unspecified one for a Unix socket.
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

/// A socket that listens.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection, and where it comes from.
enum Stream {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// A connection between two runtimes.
enum Loose {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(std::os::unix::net::UnixStream),
}

impl Loose {
    /// Gives it to the runtime at work.
    fn settle(self) -> std::io::Result<Stream> {
        Ok(match self {
            Self::Tcp(stream, peer) => Stream::Tcp(TcpStream::from_std(stream)?, peer),
            Self::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
        })
    }
}

impl Socket {
    async fn accept(&self) -> std::io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| Stream::Tcp(stream, peer)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream, _) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Stream {
    /// Takes it from the runtime that accepted it.
    fn let_go(self) -> std::io::Result<Loose> {
        Ok(match self {
            Self::Tcp(stream, peer) => Loose::Tcp(stream.into_std()?, peer),
            Self::Unix(stream) => Loose::Unix(stream.into_std()?),
        })
    }

    /// The client's address; a Unix socket has none.
    fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, peer) => Some(peer.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }
}

/// How long connections of a network's clients go on once nothing more is accepted: one that was accepted a moment ago
/// has its first request on the way.
const LINGER: Duration = Duration::from_millis(300);

/// The place of a connection among those that a listener has at a time.
#[derive(Default)]
pub(crate) struct Held {
    _permit: Option<OwnedSemaphorePermit>,
    _place: Option<Place>,
}

/// What a listener has for each connection.
pub(crate) struct Listener {
    pub(crate) role: Role,
    pub(crate) client: Client,
    pub(crate) gate: Option<Arc<Gate>>,
    pub(crate) current: Arc<Current<Shared>>,
    pub(crate) stop: CancellationToken,
}

/// Accepts until `stop`; connections are then told to finish.
pub(crate) async fn run(socket: Socket, listener: Listener) {
    if listener.gate.is_none() {
        return accept(socket, &listener, &listener.stop).await;
    }
    let finish = CancellationToken::new();
    let _whatever_happens = finish.clone().drop_guard();
    accept(socket, &listener, &finish).await;
    tokio::time::sleep(LINGER).await;
}

/// Accepts until `stop`. `finish` tells connections to end.
async fn accept(socket: Socket, listener: &Listener, finish: &CancellationToken) {
    // A gate counts by itself, and says so to those who are too many.
    let permits = Arc::new(Semaphore::new(if listener.gate.is_some() { Semaphore::MAX_PERMITS } else { CONNECTIONS }));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let mut pause = SHORTEST_PAUSE;
    let mut shortage = Shortage::default();
    loop {
        let accepted = tokio::select! {
            accepted = async {
                // The semaphore is never closed, so this only waits.
                let permit = permits.clone().acquire_owned().await.ok();
                socket.accept().await.map(|stream| (stream, permit))
            } => accepted,
            () = listener.stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, permit)) => {
                let room = descriptors::room(&stream);
                shortage.see(room);
                if room == Room::Enough {
                    pause = SHORTEST_PAUSE;
                } else if listener.gate.is_none() {
                    // A build's own: it waits for itself, and is not told.
                    tokio::select! {
                        () = descriptors::enough(&stream) => {}
                        () = listener.stop.cancelled() => return,
                    }
                }
                listener.take(stream, permit, room, &refusals, finish);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                shortage.failed(&error);
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                    () = listener.stop.cancelled() => return,
                }
            }
        }
    }
}

impl Listener {
    /// Serves a connection by a task of its own, if it may come in.
    fn take(
        &self,
        stream: Stream,
        permit: Option<OwnedSemaphorePermit>,
        room: Room,
        refusals: &Arc<Semaphore>,
        finish: &CancellationToken,
    ) {
        let address = self.gate.as_ref().and_then(|_| stream.peer());
        let arrival = self.gate.as_ref().map(|gate| match room {
            Room::Enough => gate.arrive(address),
            Room::Little => gate.no_descriptors(),
            Room::None => Arrival::Ignored,
        });
        let (place, label) = match arrival {
            None => (None, None),
            Some(Arrival::Admitted(place, label)) => (Some(place), label),
            Some(Arrival::Refused(status, message)) => {
                // Beyond these nobody is told: who is not let in must not use up the descriptors of those who are.
                let Ok(turn) = refusals.clone().try_acquire_owned() else { return };
                let abort = self.current.get().abort.clone();
                self.current.get().tasks.spawn(async move {
                    tokio::select! {
                        () = refuse(stream, status, message) => drop(turn),
                        () = abort.cancelled() => {}
                    }
                });
                return;
            }
            Some(Arrival::Ignored) => return,
        };
        let client = match &self.gate {
            Some(gate) => self.client.at(address, label.as_ref(), gate.has_rules()),
            None => self.client.clone(),
        }
        .apart();
        let session = Session {
            shared: self.current.get(),
            current: self.current.clone(),
            gate: self.gate.clone(),
            client,
            scope: Scope::Proxy,
            stop: finish.clone(),
            held: Arc::new(Held { _permit: permit, _place: place }),
            line: Line::default(),
        };
        let role = self.role;
        let shared = session.shared.clone();
        let conversation = async move |stream| {
            let abort = session.shared.abort.clone();
            tokio::select! {
                biased;
                () = converse(stream, role, session) => {}
                () = Seldom::new(abort.cancelled()) => {}
            }
        };
        let Some(seat) = shared.fronts.seat() else {
            shared.tasks.spawn(conversation(stream));
            return;
        };
        // Without a descriptor for it there is nothing to be told to it either.
        let Ok(loose) = stream.let_go() else { return };
        let runtime = seat.runtime.clone();
        let served = async move {
            let _seat = seat;
            if let Ok(stream) = loose.settle() {
                conversation(stream).await;
            }
        };
        shared.tasks.spawn_on(served, &runtime);
    }
}

async fn refuse(stream: Stream, status: StatusCode, message: String) {
    let answer = move || admission::refusal(status, &message);
    match stream {
        Stream::Tcp(stream, _) => server::refuse(stream, answer).await,
        Stream::Unix(stream) => server::refuse(stream, answer).await,
    }
}

async fn converse(stream: Stream, role: Role, session: Session) {
    let stream = match stream {
        Stream::Tcp(stream, _) => stream,
        Stream::Unix(stream) => return server::serve(stream, Protocol::Http1, session).await,
    };
    // Small answers must not wait for the client's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
    let Ok(local) = stream.local_addr() else { return };
    let address = local.ip().to_canonical();
    let meant = || session.shared.pool(&session.client).name(address).unwrap_or_else(|| address.to_string());
    match role {
        Role::Proxy => server::serve_plain(stream, session).await,
        Role::Http => {
            let scope = Scope::Transparent { fallback: meant() };
            server::serve_plain(stream, Session { scope, ..session }).await;
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
