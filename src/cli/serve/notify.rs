//! What systemd is told (sd_notify(3)): ready, stopping, reloading, and that this process is alive.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::cli::Env;

/// How long it may take to be told.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where to tell it; nowhere, where nobody asked.
#[derive(Debug, Default)]
pub(super) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear.
    watchdog: Option<Duration>,
}

impl Notify {
    pub(super) fn of(env: &Env) -> Self {
        let to = env.get("NOTIFY_SOCKET").and_then(|name| {
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(name),
            };
            let socket = UnixDatagram::unbound().ok()?;
            // Who does not listen must not hold up who serves.
            socket.set_write_timeout(Some(PATIENCE)).ok()?;
            Some((socket, address.ok()?))
        });
        let own = env.get("WATCHDOG_PID").is_none_or(|pid| *pid == std::process::id().to_string());
        let limit = env.get("WATCHDOG_USEC").and_then(|limit| limit.parse().ok()).filter(|_| own && to.is_some());
        Self { to, watchdog: limit.filter(|&limit: &u64| limit > 0).map(Duration::from_micros) }
    }

    /// Ready, or ready again.
    pub(super) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// Settings are being read anew. `READY` is to follow.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Requests under way are finished.
    pub(super) fn stopping(&self, limit: Duration) {
        // The unit's own limit for stopping may be shorter than ours.
        let extend = (limit + Duration::from_secs(10)).as_micros();
        self.send(&format!("STOPPING=1\nSTATUS=Letting requests finish\nEXTEND_TIMEOUT_USEC={extend}"));
    }

    /// Says again and again that this process is alive, from the runtime that serves: where that hangs, nothing is
    /// said. Does not end.
    pub(super) async fn keep_alive(&self) {
        let Some(limit) = self.watchdog else { return std::future::pending().await };
        let mut beat = tokio::time::interval(limit / 2);
        loop {
            beat.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, text: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), address)
        {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_by_path_and_by_abstract_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("larder-test-{}", std::process::id());
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, name) in [(by_path, path.to_str().unwrap().to_owned()), (by_name, format!("@{name}"))] {
            let env = Env::from([("NOTIFY_SOCKET".to_owned(), name)]);
            let notify = Notify::of(&env);
            notify.ready("here");
            notify.reloading();
            let mut buffer = [0; 200];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1\nSTATUS=here");
            let length = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]);
            let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(micros.parse::<u64>().unwrap() > 0, "{text}");
        }
        assert!(Notify::of(&Env::new()).to.is_none());
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let of = |pid: &str| {
            let pairs = [("NOTIFY_SOCKET", "/none"), ("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", pid)];
            Notify::of(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()).watchdog
        };
        assert_eq!(of("1"), None);
        assert_eq!(of(&std::process::id().to_string()), Some(Duration::from_secs(2)));
    }
}
