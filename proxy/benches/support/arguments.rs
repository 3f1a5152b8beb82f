//! What a benchmark is told: `cargo bench --bench NAME -- --only small --rounds 3 --json`.

use crate::Result;

pub(crate) struct Arguments {
    /// Scenarios or groups of them; empty for all.
    only: Vec<String>,
    pub(crate) rounds: usize,
    /// How long each load lasts.
    pub(crate) seconds: u64,
    /// Size of what is called large, in MiB.
    pub(crate) large: u64,
    pub(crate) json: bool,
    /// Whether cargo runs it as a benchmark, not as one of all targets' tests.
    pub(crate) wanted: bool,
}

const USAGE: &str = "takes --only NAME[,NAME...], --rounds N, --seconds N, --large MIB and --json";

impl Arguments {
    /// Reads the command line; `seconds` is how long a load lasts unless that says something else.
    pub(crate) fn read(seconds: u64) -> Result<Self> {
        let mut read = Self { only: Vec::new(), rounds: 3, seconds, large: 1024, json: false, wanted: false };
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
                "--large" => read.large = number()?,
                "--only" => {
                    let names = given.next().ok_or(USAGE)?;
                    read.only.extend(names.split(',').map(str::to_owned));
                }
                _ => return Err(format!("{argument} is not known; this {USAGE}").into()),
            }
        }
        Ok(read)
    }

    /// Says no to names that none of `all` has.
    pub(crate) fn check(&self, all: &[(&str, &str)]) -> Result<()> {
        match self.only.iter().find(|name| !all.iter().any(|(one, group)| [one, group].contains(&&name.as_str()))) {
            None => Ok(()),
            Some(name) => {
                let known: Vec<&str> = all.iter().map(|(one, _)| *one).collect();
                Err(format!("there is no scenario {name}; there are {}", known.join(", ")).into())
            }
        }
    }

    pub(crate) fn wants(&self, name: &str, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name || only == group)
    }
}
