//! Bytes passed on unseen: by a rule of the user, or after a switch of protocols.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, sleep_until};

use crate::cache::Mode;
use crate::config::Timeouts;
use crate::flow::{FlowRecorder, Outcome};
use crate::origin::{Phase, UpstreamError};
use crate::server::Session;
use crate::shared::Shared;
use crate::upstream::connector::Io;

/// Begins the flow of a tunnel.
pub(crate) fn begin(session: &Session, host: &str, port: u16) -> Arc<FlowRecorder> {
    let url = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    FlowRecorder::begin(session.client.identity(), &http::Method::CONNECT, url, &session.shared.flows)
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

/// Passes bytes both ways until both sides have ended, one breaks off, neither sends for too long, or the proxy
/// stops for good.
pub(crate) async fn copy(shared: &Shared, client: impl Io, upstream: impl Io, flow: &Arc<FlowRecorder>) {
    let (client_read, client_write) = tokio::io::split(client);
    let (upstream_read, upstream_write) = tokio::io::split(upstream);
    let life = Life::new(&shared.config.timeouts);
    let down = one_way(upstream_read, client_write, &life, |bytes| {
        flow.sent(bytes);
        flow.update(|flow| flow.bytes_upstream += bytes);
    });
    let up = one_way(client_read, upstream_write, &life, |bytes| flow.received(bytes));
    let broken = |why: String| {
        flow.update(|flow| {
            flow.aborted = true;
            flow.why = format!("{}; {why}", flow.why).into();
        });
    };
    tokio::select! {
        result = async { tokio::try_join!(down, up) } => {
            if let Err(error) = result {
                broken(format!("it broke off: {error}"));
            }
        }
        limit = life.over() => broken(format!("nothing passed for {} s, so it was closed", limit.as_secs())),
        () = shared.abort.cancelled() => flow.update(|flow| flow.aborted = true),
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    life: &Life,
    count: impl Fn(u64),
) -> io::Result<()> {
    loop {
        let passed = match poll_fn(|context| pass(&mut from, &mut to, context)).await {
            // Many peers end TLS without saying so; the protocol inside tells whether it was whole.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Passed::default(),
            passed => passed?,
        };
        life.moved();
        if passed.read == 0 {
            life.half_closed.store(true, Ordering::Relaxed);
            return to.shutdown().await;
        }
        count((passed.read - passed.left.len()) as u64);
        let mut left = passed.left.as_slice();
        while !left.is_empty() {
            let written = to.write(left).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            life.moved();
            count(written as u64);
            left = &left[written..];
        }
        to.flush().await?;
    }
}

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

thread_local! {
    /// What is read goes from here to the other side within one call: a tunnel that is silent, as most are most of the
    /// time, has no buffers of its own.
    static CHUNKS: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into_boxed_slice());
}

/// What came, and what of it the other side did not take at once.
#[derive(Default)]
struct Passed {
    read: usize,
    left: Vec<u8>,
}

/// Reads once, and writes as much of it as goes without waiting.
fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    context: &mut Context<'_>,
) -> Poll<io::Result<Passed>> {
    CHUNKS.with(|chunk| match chunk.try_borrow_mut() {
        Ok(mut chunk) => pass_by(&mut chunk, from, to, context),
        // A stream that is itself made of a tunnel.
        Err(_) => pass_by(&mut vec![0; CHUNK], from, to, context),
    })
}

fn pass_by(
    chunk: &mut [u8],
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    context: &mut Context<'_>,
) -> Poll<io::Result<Passed>> {
    let mut buffer = ReadBuf::new(chunk);
    ready!(Pin::new(from).poll_read(context, &mut buffer))?;
    let filled = buffer.filled();
    if filled.is_empty() {
        return Poll::Ready(Ok(Passed::default()));
    }
    let written = match Pin::new(to).poll_write(context, filled) {
        Poll::Ready(written) => written?,
        Poll::Pending => 0,
    };
    Poll::Ready(Ok(Passed { read: filled.len(), left: filled[written..].to_vec() }))
}

/// When bytes last passed, in either direction.
struct Life {
    last: Mutex<Instant>,
    half_closed: AtomicBool,
    limits: Timeouts,
}

impl Life {
    fn new(limits: &Timeouts) -> Self {
        Self { last: Mutex::new(Instant::now()), half_closed: AtomicBool::new(false), limits: *limits }
    }

    fn moved(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits until nothing has passed for the limit, which it returns. A side that has ended gives the other less
    /// time: most that end so have simply gone away.
    async fn over(&self) -> Duration {
        loop {
            let limit = if self.half_closed.load(Ordering::Relaxed) { self.limits.idle } else { self.limits.tunnel };
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last + limit <= Instant::now() {
                return limit;
            }
            // Looked at again in time for the shorter limit, should a side end.
            sleep_until((last + limit).min(Instant::now() + self.limits.idle)).await;
        }
    }
}
