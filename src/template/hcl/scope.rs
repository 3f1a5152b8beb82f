//! The names an expression can use.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::value::Value;

/// Names and their values, over those of the scope around it.
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    names: Cow<'a, BTreeMap<String, Value>>,
    parent: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// A scope of its own with these names.
    pub fn new(names: BTreeMap<String, Value>) -> Self {
        Self { names: Cow::Owned(names), parent: None }
    }

    /// A scope with names that others use too.
    pub fn of(names: &'a BTreeMap<String, Value>) -> Self {
        Self { names: Cow::Borrowed(names), parent: None }
    }

    /// A scope with further names within this one.
    #[must_use]
    pub fn child(&'a self, names: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { names: Cow::Owned(names.into_iter().collect()), parent: Some(self) }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.parent?.get(name))
    }

    /// All names that can be used.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.parent.map(Scope::names).unwrap_or_default();
        names.extend(self.names.keys().map(String::as_str));
        names
    }
}
