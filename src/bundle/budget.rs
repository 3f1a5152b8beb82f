//! How much may come out of a bundle.

use std::cell::Cell;

use super::fault::BundleError;
use crate::output::text::bytes;

/// Below so many bytes the ratio says nothing.
const GRACE: u64 = 64 << 20;

/// The limits, as the user gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of everything that is unpacked.
    pub total: u64,
    /// Bodies and other blobs.
    pub count: u64,
    /// Unpacked bytes for each byte of the file.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: 200_000_000_000, count: 1_000_000, ratio: 200 }
    }
}

/// The sum of sizes that somebody else wrote down: as much as there can be, where it would be more.
pub fn sum(sizes: impl IntoIterator<Item = u64>) -> u64 {
    sizes.into_iter().fold(0, u64::saturating_add)
}

/// What has been used of the limits. Shared by the readers that lie one in another.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    unpacked: Cell<u64>,
    packed: Cell<u64>,
    count: Cell<u64>,
}

impl Budget {
    /// Nothing is used of `limits` yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, unpacked: Cell::default(), packed: Cell::default(), count: Cell::default() }
    }

    /// Notes bytes read from the file.
    pub fn read(&self, count: u64) {
        self.packed.set(self.packed.get().saturating_add(count));
    }

    /// Notes bytes unpacked.
    pub fn spend(&self, count: u64) -> Result<(), BundleError> {
        let unpacked = self.unpacked.get().saturating_add(count);
        self.unpacked.set(unpacked);
        self.expect(0)?;
        let most = self.packed.get().saturating_mul(self.limits.ratio);
        if unpacked > GRACE && unpacked > most {
            return Err(BundleError::Budget {
                what: "the bundle unpacks to more than such a file does",
                found: format!("{} out of {}", bytes(unpacked), bytes(self.packed.get())),
                allowed: format!("{} to 1", self.limits.ratio),
                option: "--max-ratio",
            });
        }
        Ok(())
    }

    /// Fails where so many more bytes would be too many.
    pub fn expect(&self, more: u64) -> Result<(), BundleError> {
        let found = self.unpacked.get().saturating_add(more);
        if found > self.limits.total {
            return Err(BundleError::Budget {
                what: "the bundle unpacks to too much",
                found: bytes(found),
                allowed: bytes(self.limits.total),
                option: "--max-size",
            });
        }
        Ok(())
    }

    /// Notes one more blob or body.
    pub fn one(&self) -> Result<(), BundleError> {
        self.count.set(self.count.get() + 1);
        if self.count.get() > self.limits.count {
            return Err(BundleError::Budget {
                what: "the bundle holds too many bodies",
                found: format!("more than {}", self.limits.count),
                allowed: self.limits.count.to_string(),
                option: "--max-count",
            });
        }
        Ok(())
    }

    /// Bytes read from the file.
    pub fn packed(&self) -> u64 {
        self.packed.get()
    }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sizes_beyond_measure_are_as_much_as_there_can_be() {
        assert_eq!(sum([1, 2, 3]), 6);
        assert_eq!(sum([u64::MAX, 1, u64::MAX]), u64::MAX);
    }
}
