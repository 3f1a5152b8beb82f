//! Users of the proxy and their passwords: Basic authentication (RFC 7617) against a file of `htpasswd`.
//!
//! A bcrypt hash is costly to check, on purpose; and clients send their password with every request. So what was found
//! right is remembered for some time, by a keyed digest; only so many checks run at once; and an address that keeps
//! being wrong has to wait.

mod attempts;
mod file;
mod proven;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::HeaderMap;
use http::header::PROXY_AUTHORIZATION;
use tokio::sync::Semaphore;

use self::attempts::Attempts;
pub use self::file::{UsersError, line, parse_line};
use self::proven::Proven;

/// Checks of a hash at a time. More would take the processors from those who are known.
const CHECKS: usize = 2;
/// Requests that may wait for one; the rest is told to come back.
const WAITING: usize = 64;
/// bcrypt looks at no more of a password.
const LONGEST: usize = 72;

/// Who may log in. What was proven is forgotten with it.
pub struct Users {
    hashes: HashMap<Arc<str>, String>,
    /// What a name that is not there is checked against, so that it takes no less time.
    decoy: String,
    proven: Proven,
    attempts: Attempts,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
}

/// What came of a request's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// This user, whose password was checked just now.
    Checked(Arc<str>),
    /// This user, whose password was found right before.
    Known(Arc<str>),
    /// There are none.
    Missing,
    /// They are wrong, or make no sense.
    Wrong,
    /// The address has been wrong too often, or too many wait: to come back after this time.
    Later(Duration),
}

impl Users {
    /// Reads the text of a file of `htpasswd -B`: a line `NAME:HASH` for each user.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let hashes = file::parse(text)?;
        let cost = hashes.values().filter_map(|hash| file::cost(hash)).max().unwrap_or(file::USUAL_COST);
        Ok(Self {
            decoy: file::decoy(cost),
            hashes,
            proven: Proven::new(),
            attempts: Attempts::new(),
            checks: Arc::new(Semaphore::new(CHECKS)),
            waiting: Semaphore::new(WAITING),
        })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is a user of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.hashes.contains_key(name)
    }

    /// Judges the credentials of a request from an address.
    pub async fn judge(&self, headers: &HeaderMap, from: Option<IpAddr>) -> Login {
        let Some(value) = headers.get(PROXY_AUTHORIZATION) else { return Login::Missing };
        // Two could be read as one by us, and as the other by whoever reads our log.
        let one = headers.get_all(PROXY_AUTHORIZATION).iter().count() == 1;
        let Some((user, password)) = value.to_str().ok().filter(|_| one).and_then(basic) else { return Login::Wrong };
        let now = Instant::now();
        let entry = self.hashes.get_key_value(user.as_str());
        let hash = entry.map_or(&self.decoy, |(_, hash)| hash);
        if let Some((name, _)) = entry
            && self.proven.holds(&user, &password, hash, now)
        {
            return Login::Known(name.clone());
        }
        if let Some(wait) = self.attempts.must_wait(from, &user, now) {
            return Login::Later(wait);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Login::Later(Duration::from_secs(1)) };
        // The semaphore is never closed.
        let Ok(turn) = self.checks.clone().acquire_owned().await else { return Login::Wrong };
        // Meanwhile another request with the same password may have been first: a build opens many connections at once.
        if let Some((name, _)) = entry
            && self.proven.holds(&user, &password, hash, Instant::now())
        {
            return Login::Known(name.clone());
        }
        // Or the same wrong one, of which a hundred wait.
        if let Some(wait) = self.attempts.must_wait(from, &user, now) {
            return Login::Later(wait);
        }
        let (hash, secret) = (hash.clone(), password.clone());
        let right = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            bcrypt::verify(secret, &hash).unwrap_or(false)
        });
        let right = right.await.unwrap_or(false);
        match entry {
            Some((name, hash)) if right => {
                self.proven.note(&user, &password, hash, Instant::now());
                Login::Checked(name.clone())
            }
            _ => {
                self.attempts.failed(from, &user, Instant::now());
                Login::Wrong
            }
        }
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}

/// User and password of a `Basic` value.
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // C's bcrypt ends at a NUL, and so would take a part for the whole.
    (!text.contains('\0')).then(|| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
