//! What a build will fetch, as far as that is known before it runs, and what of it is there already.

use serde::Serialize;

use crate::error::Result;

/// Something that will be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fetch {
    /// What it is: `base`, `checksum`, `index` or `package`.
    pub what: &'static str,
    /// Where it is, by its public name: a mirror may stand in for it.
    pub url: String,
    /// Bytes, where an index or the cache tells.
    pub size: Option<u64>,
}

/// How the cache has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Held {
    /// It is served as it is.
    Fresh,
    /// Upstream is asked whether it is still the same; offline it is served as it is.
    Stale,
    /// It has to be fetched.
    Missing,
}

impl Held {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Missing => "missing",
        }
    }
}

/// What the cache has of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// How it has it.
    pub held: Held,
    /// Bytes of what it has.
    pub size: Option<u64>,
}

/// What plans know of the cache.
pub trait CacheView {
    /// What it has of a URL.
    ///
    /// # Errors
    /// It cannot be read.
    fn holding(&self, url: &str) -> Result<Holding>;
}

/// What a builder will fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// What is known.
    pub fetches: Vec<Fetch>,
    /// What is not, and why: a sentence each.
    pub unknown: Vec<String>,
}

/// Something to be fetched, beside what the cache has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is fetched.
    #[serde(flatten)]
    pub fetch: Fetch,
    /// How the cache has it.
    pub cache: Held,
}

/// Looks everything up.
///
/// # Errors
/// The cache cannot be read.
pub fn look_up(fetches: Vec<Fetch>, cache: &dyn CacheView) -> Result<Vec<Item>> {
    let one = |mut fetch: Fetch| {
        let holding = cache.holding(&fetch.url)?;
        fetch.size = fetch.size.or(holding.size);
        Ok(Item { fetch, cache: holding.held })
    };
    fetches.into_iter().map(one).collect()
}

/// Sums over items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How many.
    pub count: u64,
    /// Their bytes, as far as known.
    pub bytes: u64,
    /// How many of them have a size that is not known.
    pub unsized_count: u64,
}

impl Sums {
    /// Over those of `items` that are wanted.
    pub fn of<'a>(items: impl Iterator<Item = &'a Item>) -> Self {
        items.fold(Self::default(), |sums, item| Self {
            count: sums.count + 1,
            bytes: sums.bytes + item.fetch.size.unwrap_or(0),
            unsized_count: sums.unsized_count + u64::from(item.fetch.size.is_none()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Odd;

    impl CacheView for Odd {
        fn holding(&self, url: &str) -> Result<Holding> {
            let odd = url.len() % 2 == 1;
            Ok(if odd {
                Holding { held: Held::Fresh, size: Some(7) }
            } else {
                Holding { held: Held::Missing, size: None }
            })
        }
    }

    #[test]
    fn sizes_come_from_the_index_or_the_cache() {
        let fetch = |url: &str, size| Fetch { what: "package", url: url.to_owned(), size };
        let items = look_up(vec![fetch("a", None), fetch("b", Some(3)), fetch("cc", None)], &Odd).unwrap();
        assert_eq!(items.iter().map(|item| item.fetch.size).collect::<Vec<_>>(), [Some(7), Some(3), None]);
        let missing = Sums::of(items.iter().filter(|item| item.cache == Held::Missing));
        assert_eq!(missing, Sums { count: 1, bytes: 0, unsized_count: 1 });
        assert_eq!(Sums::of(items.iter()), Sums { count: 3, bytes: 10, unsized_count: 1 });
    }
}
