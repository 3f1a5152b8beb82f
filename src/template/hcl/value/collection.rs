//! What collections hold, and what is known of it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::OnceLock;

use super::{Value, nfc};

/// What is found by walking through a value; collections remember it, as values that share their parts may be far
/// larger than the memory they take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) weight: usize,
    pub(super) depth: usize,
    pub(super) known: bool,
    pub(super) sensitive: bool,
}

impl Facts {
    pub(super) const EMPTY: Self = Self { weight: 1, depth: 0, known: true, sensitive: false };

    fn of<'a>(own: usize, known: bool, parts: impl Iterator<Item = &'a Value>) -> Self {
        let mut all = Self { weight: 1_usize.saturating_add(own), depth: 0, known, sensitive: false };
        for part in parts {
            let facts = part.facts();
            all.weight = all.weight.saturating_add(facts.weight);
            all.depth = all.depth.max(facts.depth);
            all.known &= facts.known;
            all.sensitive |= facts.sensitive;
        }
        all.depth += 1;
        all
    }
}

/// The elements of a list, set or tuple.
#[derive(Debug)]
pub struct Elements {
    values: Vec<Value>,
    facts: OnceLock<Facts>,
}

impl Elements {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self { values, facts: OnceLock::new() }
    }

    pub(super) fn facts(&self) -> Facts {
        *self.facts.get_or_init(|| Facts::of(0, true, self.values.iter()))
    }
}

impl Deref for Elements {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.values
    }
}

impl PartialEq for Elements {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl Eq for Elements {}

/// The elements of a map or object.
#[derive(Debug)]
pub struct Entries {
    values: BTreeMap<String, Value>,
    open: bool,
    facts: OnceLock<Facts>,
}

impl Entries {
    /// Names are in their composed form, as all strings are.
    pub(super) fn new(mut values: BTreeMap<String, Value>, open: bool) -> Self {
        if !values.keys().all(|name| nfc::is_composed(name)) {
            let composed = |(name, value): (String, _)| (nfc::composed(name.into()).as_ref().to_owned(), value);
            values = values.into_iter().map(composed).collect();
        }
        Self { values, open, facts: OnceLock::new() }
    }

    /// Whether there may be further attributes, not known yet.
    pub fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn into_values(self) -> BTreeMap<String, Value> {
        self.values
    }

    pub(super) fn facts(&self) -> Facts {
        let names = || self.values.keys().map(String::len).sum();
        *self.facts.get_or_init(|| Facts::of(names(), !self.open, self.values.values()))
    }
}

impl Deref for Entries {
    type Target = BTreeMap<String, Value>;

    fn deref(&self) -> &BTreeMap<String, Value> {
        &self.values
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open && self.values == other.values
    }
}

impl Eq for Entries {}
