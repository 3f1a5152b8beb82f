//! The public names that guests ask for, which mirrors are proposed for. None is written down here: they are what the
//! cache was asked for, by the shape of paths, and what the user says.

mod cached;

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use larder_proxy::mirror::{Mirror, TargetConfig};
use larder_proxy::rules::Rules;
use url::Url;

/// What a public name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in crate::cli) enum Ecosystem {
    Debian,
    DebianSecurity,
    Ubuntu,
    UbuntuSecurity,
    UbuntuPorts,
    Pypi,
    Npm,
    /// Cargo's index.
    Cargo,
    /// What the index names for the crates themselves.
    Crates,
    Go,
    /// Maven's central repository.
    Maven,
    /// Docker's own registry.
    Docker,
}

impl Ecosystem {
    /// The word for it.
    pub(in crate::cli) fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Where it is on a host that is named without a path.
    fn path(self) -> &'static str {
        match self {
            Self::Debian => "/debian/",
            Self::DebianSecurity => "/debian-security/",
            Self::Ubuntu | Self::UbuntuSecurity => "/ubuntu/",
            Self::UbuntuPorts => "/ubuntu-ports/",
            Self::Maven => "/maven2/",
            Self::Pypi | Self::Npm | Self::Cargo | Self::Crates | Self::Go | Self::Docker => "/",
        }
    }
}

/// `ECOSYSTEM=HOST[/PATH/]`: a public name that the user has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicName {
    ecosystem: Ecosystem,
    name: String,
}

impl std::str::FromStr for PublicName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, name) = text.split_once('=').ok_or("it is written ECOSYSTEM=HOST, or ECOSYSTEM=HOST/PATH/")?;
        let ecosystem = Ecosystem::from_str(word, false).map_err(|_| {
            let words: Vec<String> = Ecosystem::value_variants().iter().map(|one| one.word()).collect();
            format!("`{word}` is none of {}", words.join(", "))
        })?;
        let whole = if name.contains('/') { format!("{}/", name.trim_end_matches('/')) } else { name.to_owned() };
        // As the settings are read, to which it is to go.
        Mirror::new(&whole, vec![TargetConfig::new("http://mirror.invalid/")])
            .map_err(|_| format!("`{name}` is no host name, with or without a path"))?;
        let name = match whole.split_once('/') {
            None if ecosystem.path() == "/" => whole,
            None => format!("{whole}{}", ecosystem.path()),
            Some((host, "")) => host.to_owned(),
            Some(_) => whole,
        };
        Ok(Self { ecosystem, name })
    }
}

/// All public names that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli::mirrors) struct Names {
    told: BTreeMap<Ecosystem, BTreeSet<String>>,
    cached: BTreeMap<Ecosystem, BTreeSet<String>>,
}

impl Names {
    /// Those told, and those of URLs in the cache with the rule that each came under.
    pub(in crate::cli::mirrors) fn new(told: &[PublicName], urls: &[(String, Option<String>)], rules: &Rules) -> Self {
        let mut names = Self { cached: cached::names(urls, rules), ..Self::default() };
        for PublicName { ecosystem, name } in told {
            names.told.entry(*ecosystem).or_default().insert(name.clone());
        }
        names
    }

    /// The public names of an ecosystem. What the user says overrules the cache, which counts only where it knows no
    /// other: of several, some may be mirrors and private indexes, and these must not be mixed up.
    pub(super) fn of(&self, ecosystem: Ecosystem) -> Vec<String> {
        match (self.told.get(&ecosystem), self.cached.get(&ecosystem)) {
            (Some(told), _) => told.iter().cloned().collect(),
            (None, Some(cached)) if cached.len() == 1 => cached.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Those that the cache knows for an ecosystem.
    pub(super) fn candidates(&self, ecosystem: Ecosystem) -> Vec<String> {
        self.cached.get(&ecosystem).into_iter().flatten().cloned().collect()
    }

    /// Whether a URL's host is one that mirrors stand in for.
    pub(super) fn is_public(&self, url: &Url) -> bool {
        Ecosystem::value_variants().iter().flat_map(|ecosystem| self.of(*ecosystem)).any(|name| same_host(&name, url))
    }

    /// What is asked for images of a registry that is known by this name. Docker's is known by its domain.
    pub(super) fn registry(&self, name: &str) -> String {
        let docker = self.of(Ecosystem::Docker);
        let mut hosts = docker.iter().filter(|host| host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')));
        hosts.next().cloned().unwrap_or_else(|| name.to_owned())
    }
}

fn same_host(name: &str, url: &Url) -> bool {
    let host = name.split_once("://").map_or(name, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    url.host_str().is_some_and(|found| host.eq_ignore_ascii_case(&format!("{found}{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_is_checked() {
        let read = |text: &str| text.parse::<PublicName>().map(|found| (found.ecosystem, found.name));
        let ok = |ecosystem, name: &str| Ok((ecosystem, name.to_owned()));
        assert_eq!(read("pypi=pypi.example.org"), ok(Ecosystem::Pypi, "pypi.example.org"));
        assert_eq!(read("debian=deb.example.org"), ok(Ecosystem::Debian, "deb.example.org/debian/"));
        assert_eq!(read("debian=deb.example.org/"), ok(Ecosystem::Debian, "deb.example.org"));
        assert_eq!(read("debian-security=d.example.org/sec"), ok(Ecosystem::DebianSecurity, "d.example.org/sec/"));
        assert!(read("pypi").unwrap_err().contains("ECOSYSTEM=HOST"));
        assert!(read("cpan=x.example.org").unwrap_err().contains("`cpan` is none of debian, debian-security, ubuntu"));
        for text in ["pypi=", "pypi=a b", "pypi=*.example.org", "pypi=u@x.example.org", "pypi=/simple/"] {
            assert!(read(text).unwrap_err().contains("is no host name"), "{text}");
        }
    }
}
