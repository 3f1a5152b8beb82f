//! Collects the values that must not be shown.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hcl::value::{Kind, Value};

/// Every sensitive string met while a template is evaluated. Clones share one collection.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Met>>);

/// Is told each secret.
type Listener = Box<dyn Fn(&str) + Send>;

#[derive(Default)]
struct Met {
    texts: BTreeSet<String>,
    listeners: Vec<Listener>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").field(&self.met().texts.len()).finish()
    }
}

impl Secrets {
    /// Adds a secret. Empty text cannot be one: redacting it would redact everything.
    pub fn add(&self, secret: &str) {
        let mut met = self.met();
        if !secret.is_empty() && met.texts.insert(secret.to_owned()) {
            met.listeners.iter().for_each(|listener| listener(secret));
        }
    }

    /// Tells the secrets met so far, and each that is met from now on.
    pub fn tell(&self, listener: impl Fn(&str) + Send + 'static) {
        let mut met = self.met();
        met.texts.iter().for_each(|secret| listener(secret));
        met.listeners.push(Box::new(listener));
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the strings and numbers in `value`, or those in its sensitive parts if it is not sensitive as a whole.
    pub fn add_sensitive(&self, value: &Value) {
        self.walk(value, false);
    }

    /// Adds the longer texts among the sensitive parts of a value that was computed. A number or a short word tells little
    /// of what it was computed from, and would be hidden wherever it stands.
    pub fn add_computed(&self, value: &Value) {
        const SHORTEST: usize = 6;
        if !value.contains_sensitive() {
            return;
        }
        let found = Self::default();
        found.walk(value, false);
        found
            .values()
            .iter()
            .filter(|text| text.len() >= SHORTEST && text.parse::<f64>().is_err())
            .for_each(|text| self.add(text));
    }

    fn walk(&self, value: &Value, inherited: bool) {
        let sensitive = inherited || value.is_sensitive();
        match value.kind() {
            Kind::String(text) if sensitive => self.add(text),
            Kind::Number(_) if sensitive => {
                if let Some(text) = value.scalar_text() {
                    self.add(&text);
                }
            }
            _ => value.children().for_each(|child| self.walk(child, sensitive)),
        }
    }

    /// All secrets, longest first, so that one that contains another is redacted as a whole.
    pub fn values(&self) -> Vec<String> {
        let mut values: Vec<String> = self.met().texts.iter().cloned().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values
    }
}
