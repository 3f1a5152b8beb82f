//! Addresses to listen on, and the sockets for them: made here, or handed over by whoever started this process
//! (socket activation, sd_listen_fds(3)).

use std::fmt;
use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cli::Env;
use crate::error::{Context as _, Error, Result};
use crate::guest;

/// The first descriptor that is handed over.
const FIRST: i32 = 3;
/// More is no socket unit, but a mistake.
const MOST: i32 = 64;
/// The name of sockets for metrics and health, as `FileDescriptorName=` of their unit gives it.
const ADMIN: &str = "admin";

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path);
            if !path.is_absolute() {
                return Err(format!("{text} needs an absolute path, as in unix:/run/larder/proxy.sock"));
            }
            return Ok(Self::Unix(path.to_owned()));
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!(
                "{text} is no address: write 127.0.0.1:3142, [::1]:3142, 0.0.0.0:3142 or unix:/run/larder/proxy.sock"
            )
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, Bound),
}

/// The file of a Unix socket made here; removed with it.
#[derive(Debug, Default)]
pub(super) struct Bound(Option<PathBuf>);

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

impl Socket {
    pub(super) fn bind(address: &Address) -> Result<Self> {
        let what = || format!("cannot listen on {address}");
        match address {
            Address::Tcp(address) => TcpListener::bind(address).map(Self::Tcp).context(what),
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path).context(what)?;
                // Who may connect may use the proxy: its user and group.
                fs::set_permissions(path, Permissions::from_mode(0o660)).context(what)?;
                Ok(Self::Unix(listener, Bound(Some(path.clone()))))
            }
        }
    }

    fn inherited(descriptor: OwnedFd) -> std::io::Result<Self> {
        use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage, getsockname, sockopt};
        use std::os::fd::AsRawFd as _;
        if !nix::sys::socket::getsockopt(&descriptor, sockopt::AcceptConn)? {
            return Err(std::io::Error::other("it does not listen"));
        }
        match getsockname::<SockaddrStorage>(descriptor.as_raw_fd())?.family() {
            Some(AddressFamily::Unix) => Ok(Self::Unix(descriptor.into(), Bound(None))),
            Some(AddressFamily::Inet | AddressFamily::Inet6) => Ok(Self::Tcp(descriptor.into())),
            _ => Err(std::io::Error::other("it is neither a TCP nor a Unix socket")),
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Result<Address> {
        let what = || "cannot tell the address listened on".to_owned();
        match self {
            Self::Tcp(listener) => Ok(Address::Tcp(listener.local_addr().context(what)?)),
            Self::Unix(listener, _) => {
                let address = listener.local_addr().context(what)?;
                Ok(Address::Unix(address.as_pathname().map(Path::to_owned).unwrap_or_default()))
            }
        }
    }
}

impl Address {
    /// Whether a socket at `bound` is what this address asks for: port 0 asks for any.
    pub(super) fn is_served_by(&self, bound: &Self) -> bool {
        match (self, bound) {
            (Self::Tcp(wanted), Self::Tcp(bound)) if wanted.port() == 0 => wanted.ip() == bound.ip(),
            _ => self == bound,
        }
    }

    /// Whether machines other than this one may reach it.
    pub(super) fn is_reachable(&self) -> bool {
        let loopback = |address: IpAddr| address.to_canonical().is_loopback();
        matches!(self, Self::Tcp(address) if !loopback(address.ip()))
    }
}

/// Removes the file of a socket that nobody listens on any more: a killed process leaves it.
fn remove_stale(path: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(Error::new(format!("{} is there, and is no socket", path.display()))
            .hint("name another path, or remove the file"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).context(|| format!("cannot remove the old socket {}", path.display()))
        }
        _ => {
            Err(Error::new(format!("another process listens on {}", path.display()))
                .hint("stop it, or name another path"))
        }
    }
}

/// Sockets that were handed over: those of clients, and those for metrics and health.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    pub(super) clients: Vec<Socket>,
    pub(super) admin: Vec<Socket>,
}

impl Inherited {
    /// Takes them over, where there are some for this process. To be called once.
    pub(super) fn take(env: &Env) -> Result<Self> {
        let number = |name: &str| env.get(name).and_then(|value| value.parse::<i32>().ok());
        let mut all = Self::default();
        let own = i32::try_from(std::process::id()).ok();
        let Some(count) = number("LISTEN_FDS").filter(|_| own.is_some() && number("LISTEN_PID") == own) else {
            return Ok(all);
        };
        let names: Vec<&str> = env.get("LISTEN_FDNAMES").map(|names| names.split(':').collect()).unwrap_or_default();
        for (index, descriptor) in (FIRST..FIRST.saturating_add(count.min(MOST))).enumerate() {
            let socket = guest::inherited(descriptor)
                .and_then(Socket::inherited)
                .context(|| format!("cannot use the socket handed over as descriptor {descriptor}"))?;
            if names.get(index) == Some(&ADMIN) { all.admin.push(socket) } else { all.clients.push(socket) }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, reachable) in [
            ("127.0.0.1:3142", false),
            ("[::1]:0", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:3142", true),
            ("[::]:3142", true),
            ("192.0.2.1:80", true),
            ("unix:/run/larder/proxy.sock", false),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_reachable()), (text, reachable));
        }
        for text in ["localhost:1", "127.0.0.1", ":3142", "unix:relative", ""] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_socket_left_behind_gives_way_and_one_in_use_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::Unix(directory.path().join("s"));
        let first = Socket::bind(&address).unwrap();
        assert!(Socket::bind(&address).unwrap_err().to_string().contains("another process listens"));
        let Socket::Unix(listener, mut bound) = first else { panic!() };
        bound.0 = None;
        drop(listener);
        drop(Socket::bind(&address).unwrap());
        let path = directory.path().join("s");
        assert!(!path.exists());
        fs::write(&path, "kept").unwrap();
        assert!(Socket::bind(&address).unwrap_err().to_string().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }

    #[test]
    fn nothing_is_taken_that_was_meant_for_another() {
        let env = Env::from([("LISTEN_FDS".to_owned(), "1".to_owned()), ("LISTEN_PID".to_owned(), "1".to_owned())]);
        assert!(Inherited::take(&env).unwrap().clients.is_empty());
    }
}
