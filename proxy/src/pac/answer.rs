//! What a PAC script answers: `PROXY a:1; HTTPS b:2; DIRECT`, read as browsers read it.

use std::fmt;

use crate::host_pattern::split_port;

/// How a proxy that a script names is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `PROXY` or `HTTP`: HTTP, unencrypted.
    Http,
    /// `HTTPS`: HTTP inside TLS.
    Https,
    /// `SOCKS` or `SOCKS4`: version 4, which browsers take `SOCKS` for.
    Socks4,
    /// `SOCKS5`: version 5; the proxy resolves names, as it does for browsers.
    Socks5,
}

/// One entry of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Directive {
    /// No proxy.
    Direct,
    /// A proxy.
    Proxy {
        /// How to speak to it.
        scheme: Scheme,
        /// Name or address, without brackets.
        host: String,
        /// Port; 80, 443 or 1080 where the script names none.
        port: u16,
    },
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Proxy { scheme, host, port } = self else { return f.write_str("DIRECT") };
        let word = match scheme {
            Scheme::Http => "PROXY",
            Scheme::Https => "HTTPS",
            Scheme::Socks4 => "SOCKS",
            Scheme::Socks5 => "SOCKS5",
        };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{word} {open}{host}{close}:{port}")
    }
}

/// An answer, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// In the script's order.
    pub(super) directives: Vec<Directive>,
    /// Entries that cannot be used, and why.
    pub(super) notes: Vec<String>,
}

/// Reads an answer. Where nothing is said, the way is direct; where something is said that cannot be used, there is no
/// directive: to go direct then would be a choice that nobody made.
pub(super) fn parse(text: &str) -> Answer {
    let mut answer = Answer::default();
    let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    for entry in entries {
        match directive(entry) {
            Ok(directive) if answer.directives.contains(&directive) => {}
            Ok(directive) => answer.directives.push(directive),
            Err(why) => answer.notes.push(format!("`{}`: {why}", super::plain(entry, 80))),
        }
    }
    if answer.directives.is_empty() && answer.notes.is_empty() {
        answer.directives.push(Directive::Direct);
    }
    answer
}

fn directive(entry: &str) -> Result<Directive, &'static str> {
    let mut words = entry.split_ascii_whitespace();
    let word = words.next().unwrap_or_default().to_ascii_uppercase();
    let (scheme, default_port) = match word.as_str() {
        "DIRECT" => {
            return if words.next().is_none() { Ok(Directive::Direct) } else { Err("DIRECT stands alone") };
        }
        "PROXY" | "HTTP" => (Scheme::Http, 80),
        "HTTPS" => (Scheme::Https, 443),
        "SOCKS" | "SOCKS4" => (Scheme::Socks4, 1080),
        "SOCKS5" => (Scheme::Socks5, 1080),
        _ => return Err("not a kind of proxy that is known"),
    };
    let (Some(place), None) = (words.next(), words.next()) else { return Err("not of the form `KIND host:port`") };
    let (host, port) = split_port(place).ok_or("its port is not a number up to 65535")?;
    // A URL, a login, a path: browsers take none of them here.
    let odd = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':'));
    if host.is_empty() || host.chars().any(odd) {
        return Err("its host is not a name or an address");
    }
    if port == Some(0) {
        return Err("its port is 0");
    }
    Ok(Directive::Proxy { scheme, host: host.to_ascii_lowercase(), port: port.unwrap_or(default_port) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let answer = parse(text);
        let words: Vec<String> = answer.directives.iter().map(ToString::to_string).collect();
        format!("{}|{}", words.join(";"), answer.notes.len())
    }

    #[test]
    fn answers_are_read_as_browsers_read_them() {
        let table = [
            ("", "DIRECT|0"),
            ("  ;; ", "DIRECT|0"),
            ("DIRECT", "DIRECT|0"),
            ("direct", "DIRECT|0"),
            ("PROXY a.example.org:8080", "PROXY a.example.org:8080|0"),
            ("PROXY A.Example.org", "PROXY a.example.org:80|0"),
            ("HTTP a:1", "PROXY a:1|0"),
            ("HTTPS a", "HTTPS a:443|0"),
            ("SOCKS a", "SOCKS a:1080|0"),
            ("SOCKS4 a:1", "SOCKS a:1|0"),
            ("SOCKS5 a:1", "SOCKS5 a:1|0"),
            ("PROXY a:1; HTTPS b:2; SOCKS5 c:3; DIRECT", "PROXY a:1;HTTPS b:2;SOCKS5 c:3;DIRECT|0"),
            ("PROXY\ta:1;\n SOCKS  b:2 ;", "PROXY a:1;SOCKS b:2|0"),
            ("PROXY a:1; PROXY a:1; DIRECT", "PROXY a:1;DIRECT|0"),
            ("PROXY [2001:db8::1]:3128", "PROXY [2001:db8::1]:3128|0"),
            ("PROXY 192.0.2.1:3128", "PROXY 192.0.2.1:3128|0"),
            ("QUIC a:1; PROXY b:2", "PROXY b:2|1"),
            ("PROXY", "|1"),
            ("PROXY a b", "|1"),
            ("PROXY a:99999", "|1"),
            ("PROXY a:0", "|1"),
            ("PROXY :80", "|1"),
            ("PROXY http://a:80", "|1"),
            ("PROXY user:secret@a:80; DIRECT", "DIRECT|1"),
            ("PROXY a:1, PROXY b:2", "|1"),
            ("PROXY a/b:1", "|1"),
            ("PROXY a\u{0}b:1", "|1"),
            ("DIRECT a:1", "|1"),
            ("nonsense", "|1"),
            ("\u{1F600} a:1", "|1"),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn notes_are_short_and_plain() {
        let answer = parse(&format!("\u{1b}[31m{}", "x".repeat(5000)));
        assert!(answer.notes[0].len() < 200 && !answer.notes[0].contains('\u{1b}'), "{:?}", answer.notes);
    }
}
