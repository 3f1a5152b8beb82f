//! Authentication to a parent proxy (RFC 9110 section 11): which scheme, with which credentials, and what is known of
//! the proxy's wishes.
//!
//! Nothing is sent before the proxy has asked. What it asked for is remembered, so that later connections bring it at
//! once. A login that it refused is not sent again for a while: many tries lock accounts.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use lru::LruCache;
use tokio::sync::{Notify, OwnedMutexGuard};

mod basic;
mod challenge;
mod conversation;
mod digest;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gssapi;
mod login;
mod negotiate;
mod ntlm;
mod scheme;
#[cfg(test)]
mod tests;
mod words;

pub use conversation::{Conversation, Next};
pub use login::{Password, ProxyLogin, Secrets};
pub use scheme::Scheme;

use super::patience::own;
use super::route::ProxyUrl;

/// How long a login that was refused is not sent again. Servers that lock accounts count over half an hour or so.
const HOLD: Duration = Duration::from_mins(20);
/// Refused passwords of one proxy that are remembered.
const MOST_REFUSED: usize = 8;
/// Proxies of which something is remembered; a PAC script may name many.
const MOST: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// No way to authenticate did: what the proxy offers, what was tried, why each did not do, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthError(pub(super) String);

/// What is known of each proxy.
#[derive(Debug)]
pub(crate) struct Auths {
    logins: Vec<ProxyLogin>,
    secrets: Secrets,
    known: Mutex<LruCache<ProxyUrl, Arc<ProxyAuth>>>,
}

impl Auths {
    pub(crate) fn new(logins: Vec<ProxyLogin>, secrets: Secrets) -> Self {
        Self { logins, secrets, known: Mutex::new(LruCache::new(MOST)) }
    }

    /// The one for a proxy.
    pub(crate) fn of(&self, proxy: &ProxyUrl) -> Arc<ProxyAuth> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(ProxyAuth::new(proxy, self.login(proxy), self.secrets.clone()));
        known.get_or_insert(proxy.clone(), make).clone()
    }

    /// The URL's own user and password come before those of the settings; how they are used is said there.
    fn login(&self, proxy: &ProxyUrl) -> ProxyLogin {
        let own = self.logins.iter().find(|login| login.is_for(&proxy.host, proxy.port)).cloned();
        let mut login = own.unwrap_or_else(|| ProxyLogin {
            host: proxy.host.clone(),
            port: Some(proxy.port),
            user: None,
            password: None,
            schemes: None,
            service: None,
            place: "its URL".to_owned(),
        });
        if let Some(of_url) = &proxy.login {
            if !of_url.password.is_empty() || login.password.is_none() {
                login.user = Some(of_url.user.clone());
                login.password = Some(Password::Known(of_url.password.clone()));
                "its URL".clone_into(&mut login.place);
            } else if login.user.is_none() {
                login.user = Some(of_url.user.clone());
            }
        }
        login
    }
}

/// One proxy: who Larder is there, and what it has asked for. Shared by all connections to it.
pub struct ProxyAuth {
    /// As messages name it.
    proxy: String,
    /// Its name, for the Kerberos service.
    host: String,
    login: ProxyLogin,
    schemes: Vec<Scheme>,
    secrets: Secrets,
    state: Mutex<State>,
    /// Held by who finds out whether the login is taken; others wait, lest each sends a wrong one.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Held while the password is read, which those who wait for their turn are told of.
    reading: tokio::sync::Mutex<()>,
    begins_to_read: Notify,
}

#[derive(Default)]
struct State {
    wanted: Option<Wanted>,
    /// Somebody got through with it, or without any.
    proven: bool,
    password: Option<Arc<str>>,
    /// The passwords that were refused, and when.
    refused: Vec<(Arc<str>, Instant)>,
    /// A nonce that had been good was refused since somebody got through.
    renewed: bool,
    /// The proxy wants to see a ticket with each request, not once a connection.
    each_request: bool,
}

/// What a refused password means for what comes next.
#[derive(Debug, PartialEq, Eq)]
enum Refused {
    /// There is another by now, which is known to be taken.
    Former,
    /// There may be another.
    MayChange,
    /// There is no other.
    Final,
}

/// What the proxy is known to want.
enum Wanted {
    Basic,
    Digest(digest::Session),
    Ntlm,
    Negotiate,
}

/// Why there are no credentials to send.
enum Missing {
    /// There are none, or they cannot be had.
    Unknown(String),
    /// The proxy has refused them.
    Refused(String),
}

impl ProxyAuth {
    /// What is to be said to a proxy, with these credentials.
    pub fn new(proxy: &ProxyUrl, login: ProxyLogin, secrets: Secrets) -> Self {
        Self {
            proxy: proxy.to_string(),
            host: proxy.host.clone(),
            schemes: login.schemes.clone().unwrap_or_else(|| Scheme::ALL.to_vec()),
            login,
            secrets,
            state: Mutex::default(),
            turn: Arc::default(),
            reading: tokio::sync::Mutex::default(),
            begins_to_read: Notify::new(),
        }
    }

    /// One for a new connection.
    pub fn conversation(self: &Arc<Self>) -> Conversation {
        Conversation::new(self.clone())
    }

    /// Whether requests must go on connections that have been authenticated as such.
    pub(crate) fn is_of_connection(&self) -> bool {
        self.state().wanted.as_ref().is_some_and(|wanted| wanted.scheme().is_of_connection())
    }

    /// Whether the proxy may yet ask who is asking, and could be told.
    pub(crate) fn may_ask(&self) -> bool {
        self.login.password.is_some() && !self.state().proven
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// User and password, read where they have not been.
    async fn credentials(&self) -> Result<(&str, Arc<str>), Missing> {
        let (Some(user), Some(source)) = (&self.login.user, &self.login.password) else {
            let what = "no user and password are known for it; put user and password into its URL: \
                        http://user:password@host:port, or into a [[proxy_login]] of the settings";
            return Err(Missing::Unknown(what.to_owned()));
        };
        let _reading = own(self.reading.lock()).await;
        let read = self.state().password.clone();
        let password = match read {
            Some(password) => password,
            None => {
                self.begins_to_read.notify_waiters();
                let password: Arc<str> = own(source.read()).await.map_err(Missing::Unknown)?.into();
                self.secrets.tell(&password);
                self.secrets.tell(&format!("{user}:{password}"));
                self.state().password = Some(password.clone());
                password
            }
        };
        let mut state = self.state();
        let refused = state.refused.iter().find(|(refused, when)| *refused == password && when.elapsed() < HOLD);
        if let Some((_, when)) = refused {
            let minutes = when.elapsed().as_secs() / 60;
            let left = (HOLD.saturating_sub(when.elapsed()).as_secs() / 60).max(1);
            // What may have changed is looked at again the next time.
            state.password = None;
            return Err(Missing::Refused(format!(
                "{}; it was refused {minutes} min ago, and is not sent again for {left} min, lest the account be locked",
                self.wrong()
            )));
        }
        Ok((user, password))
    }

    /// A ticket for the proxy, shown anew.
    async fn ticket(&self) -> Result<negotiate::Token, String> {
        own(negotiate::begin(&self.host, self.login.service.as_deref())).await
    }

    /// Waits until the turn of this connection has come. While whoever has it reads the password, the time is our own.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        let mut turn = std::pin::pin!(self.turn.clone().lock_owned());
        loop {
            let begins = async {
                let mut begins = std::pin::pin!(self.begins_to_read.notified());
                begins.as_mut().enable();
                // It may have begun before.
                if self.reading.try_lock().is_ok() {
                    begins.await;
                }
            };
            tokio::select! {
                biased;
                turn = turn.as_mut() => return turn,
                () = begins => drop(own(self.reading.lock()).await),
            }
        }
    }

    /// Notes that the proxy did not take this password, which may be older than the one that is sent now.
    fn refuse(&self, password: &Arc<str>) -> Refused {
        let mut state = self.state();
        state.refused.retain(|(other, when)| other != password && when.elapsed() < HOLD);
        // A store that gives another each time must not make this grow.
        if state.refused.len() >= MOST_REFUSED {
            state.refused.remove(0);
        }
        state.refused.push((password.clone(), Instant::now()));
        let newer = state.password.as_ref().is_some_and(|current| current != password);
        if newer && state.proven && state.wanted.is_some() {
            return Refused::Former;
        }
        if !newer {
            state.password = None;
            state.wanted = None;
            state.proven = false;
        }
        let may_change = self.login.password.as_ref().is_some_and(Password::may_change);
        if may_change { Refused::MayChange } else { Refused::Final }
    }

    /// What is said of a login that was refused.
    fn wrong(&self) -> String {
        let place = &self.login.place;
        let note = if place == "its URL" { " (special characters must be percent-encoded)" } else { "" };
        format!("the user name or password in {place} is wrong{note}")
    }
}

impl std::fmt::Debug for ProxyAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProxyAuth({})", self.proxy)
    }
}

impl Wanted {
    fn scheme(&self) -> Scheme {
        match self {
            Self::Basic => Scheme::Basic,
            Self::Digest(_) => Scheme::Digest,
            Self::Ntlm => Scheme::Ntlm,
            Self::Negotiate => Scheme::Negotiate,
        }
    }
}

/// Bytes that nobody can foresee.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    bytes
}
