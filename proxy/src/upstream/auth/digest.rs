//! Digest (RFC 7616): `qop=auth`, or none as in RFC 2069.

use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use md5::{Digest as _, Md5};

use super::challenge::Challenge;

/// What a proxy has asked for by Digest, and what is counted against its nonce. Shared by all connections.
#[derive(Clone, Debug)]
pub(super) struct Session {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm's name as the proxy writes it, which not all do.
    algorithm_name: Option<String>,
    /// Whether requests are counted; not where the proxy speaks only RFC 2069.
    counts: bool,
    userhash: bool,
    utf8: bool,
    /// Requests so far with this nonce.
    count: u32,
    /// One for as long as the nonce: what `-sess` derives its key from must not change within it.
    cnonce: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Algorithm {
    hash: Hash,
    session: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let (hash, session) = name.strip_suffix("-SESS").map_or((name.as_str(), false), |hash| (hash, true));
        let hash = match hash {
            "MD5" => Hash::Md5,
            "SHA-256" => Hash::Sha256,
            "SHA-512-256" => Hash::Sha512_256,
            _ => return None,
        };
        Some(Self { hash, session })
    }

    fn of(self, text: &str) -> String {
        match self.hash {
            Hash::Md5 => hex::encode(Md5::digest(text)),
            Hash::Sha256 => hex::encode(digest(&SHA256, text.as_bytes())),
            Hash::Sha512_256 => hex::encode(digest(&SHA512_256, text.as_bytes())),
        }
    }
}

/// Who asks for what.
pub(super) struct Asked<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    /// The request's target as it is sent.
    pub(super) target: &'a str,
}

impl Session {
    /// Reads a challenge; the error says why it cannot be answered.
    pub(super) fn new(challenge: &Challenge, cnonce: String) -> Result<Self, String> {
        let name = challenge.param("algorithm");
        let algorithm = Algorithm::named(name.unwrap_or("MD5"))
            .ok_or_else(|| format!("the algorithm {} is not known", name.unwrap_or_default()))?;
        let qop = challenge.param("qop");
        if let Some(qop) = qop
            && !qop.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"))
        {
            return Err(format!("only `qop=auth` is known, and the proxy wants {qop}"));
        }
        let nonce = challenge.param("nonce").filter(|nonce| !nonce.is_empty()).ok_or("the proxy sends no nonce")?;
        Ok(Self {
            realm: challenge.param("realm").unwrap_or_default().to_owned(),
            nonce: nonce.to_owned(),
            opaque: challenge.param("opaque").map(str::to_owned),
            algorithm,
            algorithm_name: name.map(str::to_owned),
            counts: qop.is_some(),
            userhash: challenge.param("userhash").is_some_and(|word| word.eq_ignore_ascii_case("true")),
            utf8: challenge.param("charset").is_some_and(|word| word.eq_ignore_ascii_case("utf-8")),
            count: 0,
            cnonce,
        })
    }

    /// Takes the nonce that the proxy wants to see next.
    pub(super) fn next_nonce(&mut self, nonce: String, cnonce: String) {
        self.nonce = nonce;
        self.cnonce = cnonce;
        self.count = 0;
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The value of `Proxy-Authorization` for one request (RFC 7616 section 3.4).
    pub(super) fn answer(&mut self, asked: &Asked<'_>) -> String {
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let hash = |text: &str| self.algorithm.of(text);
        let mut key = hash(&format!("{}:{}:{}", asked.user, self.realm, asked.password));
        if self.algorithm.session {
            key = hash(&format!("{key}:{}:{}", self.nonce, self.cnonce));
        }
        let request = hash(&format!("{}:{}", asked.method, asked.target));
        let response = if self.counts {
            hash(&format!("{key}:{}:{count}:{}:auth:{request}", self.nonce, self.cnonce))
        } else {
            hash(&format!("{key}:{}:{request}", self.nonce))
        };
        let user = if self.userhash {
            format!("username={}", quoted(&hash(&format!("{}:{}", asked.user, self.realm))))
        } else if self.utf8 && !asked.user.is_ascii() {
            let all = percent_encoding::NON_ALPHANUMERIC;
            format!("username*=UTF-8''{}", percent_encoding::utf8_percent_encode(asked.user, all))
        } else {
            format!("username={}", quoted(asked.user))
        };
        let mut answer = format!(
            "Digest {user}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(asked.target)
        );
        if let Some(name) = &self.algorithm_name {
            answer.push_str(&format!(", algorithm={name}"));
        }
        if self.counts {
            answer.push_str(&format!(", qop=auth, nc={count}, cnonce={}", quoted(&self.cnonce)));
        }
        if let Some(opaque) = &self.opaque {
            answer.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        if self.userhash {
            answer.push_str(", userhash=true");
        }
        answer
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, PROXY_AUTHENTICATE};

    use super::super::challenge::challenges;
    use super::*;

    fn session(challenge: &str, cnonce: &str) -> Result<Session, String> {
        let mut headers = HeaderMap::new();
        headers.insert(PROXY_AUTHENTICATE, challenge.parse().unwrap());
        Session::new(&challenges(&headers)[0], cnonce.to_owned())
    }

    fn field(answer: &str, name: &str) -> String {
        super::super::challenge::parameter(answer.strip_prefix("Digest ").unwrap().as_bytes(), name).unwrap_or_default()
    }

    const MUFASA: Asked<'_> =
        Asked { user: "Mufasa", password: "Circle of Life", method: "GET", target: "/dir/index.html" };

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 7616 section 3.9.1.
        let challenge = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=ALG, \
                         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let mut session =
                session(&challenge.replace("ALG", algorithm), "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ").unwrap();
            let answer = session.answer(&MUFASA);
            assert_eq!(field(&answer, "response"), response);
            assert_eq!(field(&answer, "nc"), "00000001");
            assert_eq!(field(&answer, "opaque"), "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
            assert_eq!(field(&session.answer(&MUFASA), "nc"), "00000002");
        }
    }

    #[test]
    fn the_example_with_a_hashed_user_name() {
        // The input of RFC 7616 section 3.9.2. What it prints are no SHA-512/256 sums, as its errata say; these are,
        // reckoned with OpenSSL.
        let challenge = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true";
        let mut session = session(challenge, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm").unwrap();
        let user = "J\u{e4}s\u{f8}n Doe";
        let asked = Asked { user, password: "Secret, or not?", method: "GET", target: "/doe.json" };
        let answer = session.answer(&asked);
        assert_eq!(field(&answer, "username"), USER_HASH);
        assert_eq!(field(&answer, "response"), RESPONSE);
        assert_eq!(field(&answer, "userhash"), "true");
    }

    const USER_HASH: &str = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b";
    const RESPONSE: &str = "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c";

    #[test]
    fn a_session_key_and_what_is_older() {
        // The input of RFC 2617 section 3.5, the first without `qop` as in RFC 2069; reckoned with OpenSSL.
        let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let asked = Asked { password: "Circle Of Life", ..MUFASA };
        let answer = session(challenge, "0a4f113b").unwrap().answer(&asked);
        assert_eq!(field(&answer, "response"), "670fd8c2df070c60b045671b8b24ff02");
        assert!(!answer.contains("nc=") && !answer.contains("algorithm"), "{answer}");
        let answer = session(&format!("{challenge}, qop=auth"), "0a4f113b").unwrap().answer(&asked);
        assert_eq!(field(&answer, "response"), "6629fae49393a05397450978507c4ef1");
        let answer = session(&format!("{challenge}, qop=auth, algorithm=MD5-sess"), "0a4f113b").unwrap().answer(&asked);
        assert_eq!(field(&answer, "response"), SESSION);
    }

    const SESSION: &str = "8e3825c57e897f5a0dec6c2d4e5059d0";

    #[test]
    fn what_is_not_understood_is_said() {
        for (challenge, why) in [
            ("Digest nonce=x, algorithm=SHA-1", "SHA-1"),
            ("Digest nonce=x, qop=auth-int", "auth-int"),
            ("Digest realm=x", "no nonce"),
        ] {
            assert!(session(challenge, "c").unwrap_err().contains(why), "{challenge}");
        }
    }

    #[test]
    fn quotes_do_not_break_out() {
        let mut session = session("Digest realm=\"a\\\"b\", nonce=n", "c").unwrap();
        let answer = session.answer(&Asked { user: "x\", y=\"z\\", ..MUFASA });
        assert_eq!(field(&answer, "username"), "x\", y=\"z\\");
        assert_eq!(field(&answer, "realm"), "a\"b");
    }
}
