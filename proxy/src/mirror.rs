//! Mirrors: what goes by a public name is fetched from elsewhere, unseen by the guest.
//!
//! The mapping happens behind the cache, so a byte is kept under its public URL wherever it came from.

use http::Uri;
use url::Url;

use crate::error::ConfigError;

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    from: From,
    /// Always ends in `/`.
    to: Url,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum From {
    /// Every path of a host, over `http` and `https`.
    Host(String),
    /// Everything below a URL, which ends in `/`.
    Prefix(Url),
}

impl Mirror {
    /// Reads a rule: `from` is a host name or an `http(s)` URL prefix, `to` an `http(s)` URL prefix.
    pub fn parse(from: &str, to: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::Mirror { from: from.to_owned(), to: to.to_owned(), reason };
        let prefix = |text: &str| -> Result<Url, ConfigError> {
            let mut url = Url::parse(text).map_err(|_| refuse("not a URL"))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(refuse("only http and https URLs can be mirrored"));
            }
            if url.query().is_some() || url.fragment().is_some() {
                return Err(refuse("a prefix has neither query nor fragment"));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err(refuse("a prefix has no user name"));
            }
            if !url.path().ends_with('/') {
                let path = format!("{}/", url.path());
                url.set_path(&path);
            }
            Ok(url)
        };
        let to = prefix(to)?;
        let from = if from.contains("://") {
            From::Prefix(prefix(from)?)
        } else if from.is_empty() || from.contains(['/', ':', '@', '*', ' ']) {
            return Err(refuse("what is mirrored is a host name or a URL"));
        } else {
            From::Host(from.trim_end_matches('.').to_ascii_lowercase())
        };
        Ok(Self { from, to })
    }

    /// Host and port of the mirror, which the user's configuration names.
    pub fn target(&self) -> &Url {
        &self.to
    }

    /// The public prefix this rule stands for, given a URL it covers.
    fn public_prefix(&self, url: &Url) -> Option<String> {
        match &self.from {
            From::Host(host) => {
                let covered = url.host_str() == Some(host) && url.port().is_none();
                covered.then(|| format!("{}://{host}/", url.scheme()))
            }
            From::Prefix(prefix) => url.as_str().starts_with(prefix.as_str()).then(|| prefix.to_string()),
        }
    }
}

/// A request on its way to a mirror.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Where to fetch it.
    pub uri: Uri,
    /// The mirror's prefix, for the flow's route.
    pub to: Url,
    public_prefix: String,
}

impl Mapped {
    /// What a redirect's `Location` means to somebody who knows only the public name: inside the mirror's own
    /// prefix it is mapped back, anything else becomes absolute.
    pub fn map_back(&self, location: &str) -> Option<String> {
        let base = Url::parse(&self.uri.to_string()).ok()?;
        let target = base.join(location).ok()?;
        Some(match target.as_str().strip_prefix(self.to.as_str()) {
            Some(rest) => format!("{}{rest}", self.public_prefix),
            None => target.to_string(),
        })
    }
}

/// The mirror for a URI, if there is one: the longest public prefix wins, then the first in the list.
pub fn map(mirrors: &[Mirror], uri: &Uri) -> Option<Mapped> {
    if mirrors.is_empty() {
        return None;
    }
    let text = uri.to_string();
    let url = Url::parse(&text).ok()?;
    // The URI's own spelling is kept behind the prefix: a mirror may tell `%7E` from `~`.
    let (mirror, prefix) = mirrors
        .iter()
        .filter_map(|mirror| Some((mirror, mirror.public_prefix(&url)?)))
        .rev()
        .max_by_key(|(_, prefix)| prefix.len())?;
    let rest = text.get(prefix.len()..).filter(|_| text.starts_with(&prefix))?;
    let mapped = format!("{}{rest}", mirror.to).parse().ok()?;
    Some(Mapped { uri: mapped, to: mirror.to.clone(), public_prefix: prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(rules: &[(&str, &str)], uri: &str) -> Option<String> {
        let rules: Vec<_> = rules.iter().map(|(from, to)| Mirror::parse(from, to).unwrap()).collect();
        map(&rules, &uri.parse().unwrap()).map(|mapped| mapped.uri.to_string())
    }

    #[test]
    fn names_and_prefixes_are_replaced() {
        let rules = [
            ("deb.example.org", "http://10.0.0.5:8081/debian"),
            ("https://example.org/files/", "https://mirror.example.net/a/"),
            ("https://example.org/files/iso/", "https://iso.example.net/"),
        ];
        let table = [
            ("http://deb.example.org/dists/x?y=%7E", Some("http://10.0.0.5:8081/debian/dists/x?y=%7E")),
            ("https://deb.example.org/", Some("http://10.0.0.5:8081/debian/")),
            ("http://deb.example.org:8080/", None),
            ("http://notdeb.example.org/", None),
            ("https://example.org/files/x", Some("https://mirror.example.net/a/x")),
            ("https://example.org/files/iso/x", Some("https://iso.example.net/x")),
            ("https://example.org/filesx", None),
            ("http://example.org/files/x", None),
        ];
        for (uri, expected) in table {
            assert_eq!(mapped(&rules, uri).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn a_redirect_inside_the_mirror_is_mapped_back() {
        let rules = [Mirror::parse("deb.example.org", "http://10.0.0.5/debian").unwrap()];
        let mapped = map(&rules, &"http://deb.example.org/a/b".parse().unwrap()).unwrap();
        let table = [
            ("http://10.0.0.5/debian/c", "http://deb.example.org/c"),
            ("/debian/c?d", "http://deb.example.org/c?d"),
            ("c", "http://deb.example.org/a/c"),
            ("/elsewhere", "http://10.0.0.5/elsewhere"),
            ("https://cdn.example.net/x", "https://cdn.example.net/x"),
        ];
        for (location, expected) in table {
            assert_eq!(mapped.map_back(location).as_deref(), Some(expected), "{location}");
        }
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        for (from, to) in
            [("", "http://m/"), ("a/b", "http://m/"), ("a", "ftp://m/"), ("a", "m"), ("a", "http://u:p@m/")]
        {
            assert!(Mirror::parse(from, to).is_err(), "{from} -> {to}");
        }
    }
}
