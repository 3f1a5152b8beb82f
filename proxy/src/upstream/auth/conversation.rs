//! What is said on one connection to a proxy.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};
use tokio::sync::OwnedMutexGuard;

use super::challenge::{Challenge, challenges, parameter};
use super::gssapi::Context;
use super::words::Attempts;
use super::{AuthError, Missing, ProxyAuth, Refused, Scheme, Wanted, basic, digest, negotiate, ntlm, random};
use crate::upstream::patience;

/// Challenges answered on one connection: NTLM takes two, a nonce that has run out one more.
const MOST: u8 = 6;
/// How long to wait for another connection to find out whether the login is taken.
const TURN: Duration = Duration::from_secs(10);
/// Seconds from 1601 to 1970.
const EPOCH_1601: u64 = 11_644_473_600;

const INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");

/// How to go on after a 407.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// On the same connection, or not at all.
    Same,
    /// On this connection or another.
    Any,
}

/// What is said on one connection. Dropped with it.
pub struct Conversation {
    auth: Arc<ProxyAuth>,
    step: Step,
    attempts: Attempts,
    rounds: u8,
    turn: Option<OwnedMutexGuard<()>>,
}

enum Step {
    /// Nothing has been said yet.
    Begun,
    /// Credentials were sent.
    Sent(Sent),
    /// NTLM's first message was sent.
    Offered,
    /// NTLM's third message is to be sent.
    Answer(ntlm::Challenge),
    /// A ticket is to be shown.
    Show(negotiate::Token),
    /// A ticket was shown; the context is there if the proxy is to answer.
    Shown(Option<Context>),
    /// The proxy has let a request pass.
    Through,
}

/// What a 407 is about: meanwhile another connection may have come by a newer nonce, or another password, of which it
/// says nothing.
struct Sent {
    scheme: Scheme,
    password: Arc<str>,
    /// That of Digest.
    nonce: Option<String>,
}

impl Conversation {
    pub(super) fn new(auth: Arc<ProxyAuth>) -> Self {
        Self { auth, step: Step::Begun, attempts: Attempts::default(), rounds: 0, turn: None }
    }

    /// The value of `Proxy-Authorization` for the next request, by its method and its target as it is sent; nothing
    /// where the proxy has not asked, or has what it wants.
    pub async fn authorization(&mut self, method: &str, target: &str) -> Result<Option<HeaderValue>, AuthError> {
        self.wait_for_turn().await;
        let field = match std::mem::replace(&mut self.step, Step::Begun) {
            Step::Answer(challenge) => Some(self.answer_ntlm(&challenge).await?),
            Step::Show(token) => Some(self.show(token)),
            before => self.unasked(before, method, target).await?,
        };
        let Some(field) = field else { return Ok(None) };
        let mut value = HeaderValue::from_bytes(field.as_bytes())
            .map_err(|_| self.give_up(Some("the user name cannot be sent in a header")))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The scheme of what was sent last, if anything was.
    pub(crate) fn sent(&self) -> Option<Scheme> {
        match &self.step {
            Step::Sent(sent) => Some(sent.scheme),
            Step::Offered | Step::Answer(_) => Some(Scheme::Ntlm),
            Step::Shown(_) => Some(Scheme::Negotiate),
            Step::Begun | Step::Show(_) | Step::Through => None,
        }
    }

    /// Whether what was sent last will be answered by a 407, and nothing else.
    pub(crate) fn is_opening(&self) -> bool {
        matches!(self.step, Step::Offered)
    }

    /// Only one connection finds out whether a password is taken; the others wait for it, but not for ever.
    pub(crate) async fn wait_for_turn(&mut self) {
        let asks = self.auth.login.password.is_some() && self.turn.is_none();
        if asks && !self.auth.state().proven {
            // The time in which a password is read, by whomever, is nobody's delay.
            self.turn = patience::within(TURN, self.auth.turn()).await;
            if self.auth.state().proven {
                self.turn = None;
            }
        }
    }

    /// What is sent because the proxy is known to want it.
    async fn unasked(&mut self, before: Step, method: &str, target: &str) -> Result<Option<String>, AuthError> {
        let (wanted, each_request) = {
            let state = self.auth.state();
            (state.wanted.as_ref().map(Wanted::scheme), state.each_request)
        };
        let auth = self.auth.clone();
        let through = matches!(before, Step::Through);
        self.step = before;
        match wanted {
            None => Ok(None),
            Some(Scheme::Ntlm) if through => Ok(None),
            Some(Scheme::Negotiate) if through && !each_request => Ok(None),
            Some(Scheme::Ntlm) => {
                self.step = Step::Offered;
                Ok(Some(ntlm::field(&ntlm::negotiate())))
            }
            Some(Scheme::Negotiate) => match auth.ticket().await {
                Ok(token) => Ok(Some(self.show(token))),
                // The ticket has run out, say. The proxy will ask, and hear of something else.
                Err(why) => {
                    self.attempts.failed(Scheme::Negotiate, why);
                    self.auth.state().wanted = None;
                    Ok(None)
                }
            },
            Some(scheme) => self.password_scheme(scheme, method, target).await,
        }
    }

    /// Nothing where the proxy was found to want something else meanwhile: it will ask.
    async fn password_scheme(
        &mut self,
        scheme: Scheme,
        method: &str,
        target: &str,
    ) -> Result<Option<String>, AuthError> {
        let auth = self.auth.clone();
        let (user, password) = auth.credentials().await.map_err(|missing| self.without(scheme, missing))?;
        let (answer, nonce) = match (scheme, &mut auth.state().wanted) {
            (Scheme::Digest, Some(Wanted::Digest(session))) => {
                let answer = session.answer(&digest::Asked { user, password: &password, method, target });
                (answer, Some(session.nonce().to_owned()))
            }
            (Scheme::Basic, Some(Wanted::Basic)) => match basic::answer(user, &password) {
                Some(answer) => (answer, None),
                None => return Err(self.give_up(Some("a user name cannot hold a colon"))),
            },
            _ => return Ok(None),
        };
        self.step = Step::Sent(Sent { scheme, password, nonce });
        Ok(Some(answer))
    }

    async fn answer_ntlm(&mut self, challenge: &ntlm::Challenge) -> Result<String, AuthError> {
        let auth = self.auth.clone();
        let (user, password) = auth.credentials().await.map_err(|missing| self.without(Scheme::Ntlm, missing))?;
        let (user, domain) = ntlm::split_domain(user);
        let service = format!("HTTP/{}", auth.host);
        let moment = ntlm::Moment { filetime: filetime(SystemTime::now()), nonce: random() };
        let field =
            ntlm::field(&challenge.answer(ntlm::Account { user, domain, password: &password }, &service, moment));
        self.step = Step::Sent(Sent { scheme: Scheme::Ntlm, password, nonce: None });
        Ok(field)
    }

    fn show(&mut self, token: negotiate::Token) -> String {
        self.step = Step::Shown(token.goes_on.then_some(token.context));
        token.field
    }

    /// Takes in a 407. The error says why there is nothing more to try.
    pub async fn challenged(&mut self, headers: &HeaderMap) -> Result<Next, AuthError> {
        let offered = challenges(headers);
        self.attempts.offers(&offered);
        self.rounds += 1;
        if self.rounds > MOST {
            return Err(self.give_up(Some("it asks again and again, whatever it is told")));
        }
        match std::mem::replace(&mut self.step, Step::Begun) {
            Step::Begun | Step::Answer(_) | Step::Show(_) => {
                if self.is_told_meanwhile().await {
                    return Ok(Next::Any);
                }
            }
            Step::Through => {
                let mut state = self.auth.state();
                state.each_request |= matches!(state.wanted, Some(Wanted::Negotiate));
            }
            Step::Offered => match token(&offered, Scheme::Ntlm).map(ntlm::Challenge::parse) {
                Some(Ok(challenge)) => {
                    self.step = Step::Answer(challenge);
                    return Ok(Next::Same);
                }
                Some(Err(why)) => self.attempts.failed(Scheme::Ntlm, why),
                None => self.attempts.failed(Scheme::Ntlm, "the proxy does not go on with it"),
            },
            Step::Shown(context) => {
                if let (Some(context), Some(token)) = (context, token(&offered, Scheme::Negotiate)) {
                    match negotiate::go_on(context, token).await {
                        Ok(token) => {
                            self.step = Step::Show(token);
                            return Ok(Next::Same);
                        }
                        Err(why) => self.attempts.failed(Scheme::Negotiate, why),
                    }
                } else {
                    self.attempts.failed(Scheme::Negotiate, "the proxy does not accept the Kerberos ticket");
                }
            }
            Step::Sent(sent) if self.renews(&sent, &of(&offered, Scheme::Digest)) => return Ok(Next::Any),
            Step::Sent(sent) => match self.auth.refuse(&sent.password) {
                Refused::Former => return Ok(Next::Any),
                Refused::MayChange => {}
                Refused::Final => {
                    let wrong = self.auth.wrong();
                    return Err(self.give_up(Some(&wrong)));
                }
            },
        }
        self.choose(&offered).await
    }

    /// Whether another connection has found out what the proxy wants. If none has, this one is to, though the proxy
    /// may have let others pass without a question: some ask by host.
    async fn is_told_meanwhile(&mut self) -> bool {
        let auth = self.auth.clone();
        {
            let mut state = auth.state();
            state.proven &= state.wanted.is_some();
        }
        self.wait_for_turn().await;
        let state = auth.state();
        state.proven && state.wanted.is_some()
    }

    /// Whether it was only the nonce that the proxy did not take; then there is another.
    fn renews(&self, sent: &Sent, offered: &[&Challenge]) -> bool {
        let Some(nonce) = &sent.nonce else { return false };
        // Another connection has got a newer one meanwhile: nothing is said of that, nor of the password.
        if matches!(&self.auth.state().wanted, Some(Wanted::Digest(session)) if session.nonce() != nonce) {
            return true;
        }
        let read = |one: &Challenge| digest::Session::new(one, hex::encode(random::<16>())).ok();
        let Some((challenge, session)) = offered.iter().find_map(|one| Some((one, read(one)?))) else {
            return false;
        };
        let mut state = self.auth.state();
        let stale = challenge.param("stale").is_some_and(|word| word.eq_ignore_ascii_case("true"));
        // A proxy that was started anew knows none of its nonces, and not all say then that they are stale.
        let forgotten = state.proven && !state.renewed;
        if stale || forgotten {
            if !stale {
                // If it was the password after all, one connection is to find out, and not each of those that wait.
                state.renewed = true;
                state.proven = false;
            }
            state.wanted = Some(Wanted::Digest(session));
        }
        stale || forgotten
    }

    /// Takes the first scheme that the proxy offers, the settings allow, and there are credentials for.
    async fn choose(&mut self, offered: &[Challenge]) -> Result<Next, AuthError> {
        let auth = self.auth.clone();
        for &scheme in &auth.schemes {
            let of = of(offered, scheme);
            if of.is_empty() || self.attempts.has_failed(scheme) {
                continue;
            }
            let wanted = if scheme == Scheme::Negotiate {
                match auth.ticket().await {
                    Ok(token) => {
                        self.step = Step::Show(token);
                        Ok(Wanted::Negotiate)
                    }
                    Err(why) => Err(why),
                }
            } else {
                match auth.credentials().await {
                    Ok((user, _)) => wanted(scheme, &of, user),
                    Err(Missing::Unknown(why)) => Err(why),
                    Err(Missing::Refused(why)) => return Err(self.give_up(Some(&why))),
                }
            };
            match wanted {
                Ok(wanted) => {
                    auth.state().wanted = Some(wanted);
                    return Ok(Next::Any);
                }
                Err(why) => self.attempts.failed(scheme, why),
            }
        }
        auth.state().wanted = None;
        Err(self.give_up(None))
    }

    /// Takes in an answer that is no 407: the proxy has let the request pass.
    pub fn accepted(&mut self, headers: &HeaderMap) {
        let next = headers.get(INFO).and_then(|value| parameter(value.as_bytes(), "nextnonce"));
        let mut state = self.auth.state();
        if let (Some(Wanted::Digest(session)), Some(next)) = (&mut state.wanted, next)
            && session.nonce() != next
        {
            session.next_nonce(next, hex::encode(random::<16>()));
        }
        state.proven = true;
        // A request that needed no login says nothing of the password.
        if let Step::Sent(sent) = &self.step {
            state.renewed = false;
            state.refused.retain(|(refused, _)| *refused != sent.password);
        }
        drop(state);
        self.step = Step::Through;
        self.rounds = 0;
        self.attempts = Attempts::default();
        self.turn = None;
    }

    fn without(&mut self, scheme: Scheme, missing: Missing) -> AuthError {
        match missing {
            Missing::Refused(why) => self.give_up(Some(&why)),
            Missing::Unknown(why) => {
                self.attempts.failed(scheme, why);
                self.give_up(None)
            }
        }
    }

    fn give_up(&mut self, refused: Option<&str>) -> AuthError {
        self.turn = None;
        AuthError(self.attempts.words(&self.auth.proxy, &self.auth.schemes, refused))
    }
}

/// The challenges of one scheme.
fn of(offered: &[Challenge], scheme: Scheme) -> Vec<&Challenge> {
    offered.iter().filter(|one| Scheme::named(&one.scheme) == Some(scheme)).collect()
}

/// The token that a scheme goes on with.
fn token(offered: &[Challenge], scheme: Scheme) -> Option<&str> {
    of(offered, scheme).into_iter().find_map(|one| one.token.as_deref())
}

/// What a proxy wants that offers these challenges of one scheme; the error says why it is not to be had.
fn wanted(scheme: Scheme, of: &[&Challenge], user: &str) -> Result<Wanted, String> {
    match scheme {
        Scheme::Basic if user.contains(':') => Err("a user name cannot hold a colon".to_owned()),
        Scheme::Basic => Ok(Wanted::Basic),
        Scheme::Ntlm => Ok(Wanted::Ntlm),
        Scheme::Negotiate => Ok(Wanted::Negotiate),
        Scheme::Digest => {
            // The proxy's own order (RFC 7616 section 3.7).
            let mut why = String::new();
            for challenge in of {
                match digest::Session::new(challenge, hex::encode(random::<16>())) {
                    Ok(session) => return Ok(Wanted::Digest(session)),
                    Err(not) => why = not,
                }
            }
            Err(why)
        }
    }
}

/// 100 ns since 1601.
fn filetime(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() + EPOCH_1601) * 10_000_000 + u64::from(since.subsec_nanos()) / 100
}
