//! What a benchmark is told: `cargo bench --bench NAME -- --only small --rounds 3 --json`.

use crate::Result;

pub(crate) struct Arguments {
    /// Scenarios or groups of them; empty for all.
    only: Vec<String>,
    /// Servers that are measured; empty for all.
    pub(crate) servers: Vec<String>,
    pub(crate) rounds: usize,
    /// How long each load lasts.
    pub(crate) seconds: u64,
    /// Size of what is called large, in MiB.
    pub(crate) large: u64,
    /// Answers in a full cache.
    pub(crate) entries: u64,
    pub(crate) json: bool,
    /// Whether cargo runs it as a benchmark, not as one of all targets' tests.
    pub(crate) wanted: bool,
}

const USAGE: &str = "takes --only NAME[,NAME...], --servers NAME[,NAME...], --rounds N, --seconds N, --large MIB, --entries N and --json";

impl Arguments {
    /// Reads the command line; the parameters are for what that does not say.
    pub(crate) fn read(seconds: u64, large: u64) -> Result<Self> {
        let (only, servers, entries, json, wanted) = (Vec::new(), Vec::new(), 1_000_000, false, false);
        let mut read = Self { only, servers, rounds: 3, seconds, large, entries, json, wanted };
        let mut given = std::env::args().skip(1);
        while let Some(argument) = given.next() {
            let mut number = || -> Result<u64> {
                let value = given.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
                Ok(value.ok_or_else(|| format!("{argument} takes a number above 0"))?)
            };
            match argument.as_str() {
                "--bench" => read.wanted = true,
                "--json" => read.json = true,
                "--rounds" => read.rounds = usize::try_from(number()?)?,
                "--seconds" => read.seconds = number()?,
                "--entries" => read.entries = number()?,
                "--large" => read.large = number()?,
                "--only" => read.only.extend(names(given.next())?),
                "--servers" => read.servers.extend(names(given.next())?),
                _ => return Err(format!("{argument} is not known; this {USAGE}").into()),
            }
        }
        Ok(read)
    }

    /// Says no to names that none of `all` has, and to servers that there are not.
    pub(crate) fn check(&self, all: &[(&str, &str)], servers: &[&str]) -> Result<()> {
        if let Some(name) = self.only.iter().find(|name| !all.iter().any(|(one, group)| name == one || name == group)) {
            let known: Vec<&str> = all.iter().map(|(one, _)| *one).collect();
            return Err(format!("there is no scenario {name}; there are {}", known.join(", ")).into());
        }
        match self.servers.iter().find(|name| !servers.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(format!("there is no server {name}; there are {}", servers.join(", ")).into()),
        }
    }

    pub(crate) fn wants(&self, name: &str, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name || only == group)
    }
}

fn names(given: Option<String>) -> Result<Vec<String>> {
    Ok(given.ok_or(USAGE)?.split(',').map(str::to_owned).collect())
}
