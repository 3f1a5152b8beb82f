//! The names an expression can use.

use std::collections::BTreeMap;

use super::value::Value;

/// Names and their values, over those of the scope around it.
#[derive(Clone, Debug, Default)]
pub struct Scope<'a> {
    names: BTreeMap<String, Value>,
    parent: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    /// A scope of its own with these names.
    pub fn new(names: BTreeMap<String, Value>) -> Self {
        Self { names, parent: None }
    }

    /// The names of this scope alone.
    pub fn into_names(self) -> BTreeMap<String, Value> {
        self.names
    }

    /// A scope with further names within this one.
    pub fn child(&'a self, names: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self { names: names.into_iter().collect(), parent: Some(self) }
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.names.get(name).or_else(|| self.parent?.get(name))
    }

    /// Sets a name.
    pub fn set(&mut self, name: impl Into<String>, value: Value) {
        self.names.insert(name.into(), value);
    }

    /// All names that can be used.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.parent.map(Scope::names).unwrap_or_default();
        names.extend(self.names.keys().map(String::as_str));
        names
    }
}
