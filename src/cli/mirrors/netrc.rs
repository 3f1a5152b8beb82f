//! Files in netrc form, as curl, pip and apt (`auth.conf`, apt_auth.conf(5)) read them.

use url::Url;

/// An entry that has a password.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) struct Entry {
    /// A host, in apt's files also with scheme, port and the beginning of a path; empty for `default`.
    machine: String,
    pub(in crate::cli) login: String,
    pub(in crate::cli) password: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({:?} as {:?})", self.machine, self.login)
    }
}

/// Reads the entries in their order; macros are left out.
pub(in crate::cli) fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut current: Option<Entry> = None;
    let lines = text.lines().map(|line| if line.trim_start().starts_with('#') { "" } else { line });
    let mut words = lines.flat_map(str::split_whitespace);
    while let Some(word) = words.next() {
        match (word, &mut current) {
            ("machine" | "default", _) => {
                entries.extend(current.take());
                let machine = if word == "machine" { words.next().unwrap_or_default() } else { "" };
                current = Some(Entry { machine: machine.to_owned(), login: String::new(), password: String::new() });
            }
            ("login", Some(entry)) => words.next().unwrap_or_default().clone_into(&mut entry.login),
            ("password", Some(entry)) => words.next().unwrap_or_default().clone_into(&mut entry.password),
            ("account", Some(_)) => drop(words.next()),
            _ => {}
        }
    }
    entries.extend(current);
    entries.retain(|entry| !entry.password.is_empty());
    entries
}

impl Entry {
    /// Whether it is for every host that no other is for.
    pub(in crate::cli) fn is_default(&self) -> bool {
        self.machine.is_empty()
    }

    /// Whether it is for what is at a URL.
    pub(in crate::cli) fn is_for(&self, url: &Url) -> bool {
        let (scheme, rest) = match self.machine.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, self.machine.as_str()),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let port_fits = port.is_none_or(|port| url.port_or_known_default().is_some_and(|own| own.to_string() == port));
        (host.is_empty() || url.host_str() == Some(host))
            && scheme.is_none_or(|scheme| scheme == url.scheme())
            && port_fits
            && url.path().starts_with(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_url() {
        let entries = parse(
            "# a comment with machine x\nmachine a.example.org\n\tlogin me\n\tpassword one\n\
             machine https://b.example.org:8443/deb login you account x password two\n\
             machine c.example.org login nobody\ndefault login any password three\n",
        );
        let found = |url: &str| {
            let url = Url::parse(url).unwrap();
            entries.iter().find(|entry| entry.is_for(&url)).map(|entry| (entry.login.as_str(), entry.password.as_str()))
        };
        assert_eq!(found("https://a.example.org/x"), Some(("me", "one")));
        assert_eq!(found("https://b.example.org:8443/debian/"), Some(("you", "two")));
        assert_eq!(found("http://b.example.org:8443/debian/"), Some(("any", "three")));
        assert_eq!(found("https://c.example.org/"), Some(("any", "three")));
        assert!(!format!("{entries:?}").contains("two"));
    }
}
