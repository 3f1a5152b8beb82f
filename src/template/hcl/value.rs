//! Values, as `cty` has them: what HCL expressions evaluate to.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::nfc;
pub use super::number::Number;
pub use super::types::{Attribute, Type};

mod collection;
#[cfg(test)]
mod tests;

use collection::Facts;
pub use collection::{Elements, Entries};

/// A value, or what is known of one. A sensitive value makes everything computed from it sensitive. Clones share their
/// parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    kind: Kind,
    sensitive: bool,
}

/// What a [`Value`] holds. Collections carry the type of their elements, as they may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value of this type that will be known later.
    Unknown(Type),
    /// No value of this type.
    Null(Type),
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(Arc<str>),
    /// Values of one type, in order.
    List(Type, Arc<Elements>),
    /// Values of one type, ordered, without duplicates.
    Set(Type, Arc<Elements>),
    /// Values of one type, by name.
    Map(Type, Arc<Entries>),
    /// Values in order.
    Tuple(Arc<Elements>),
    /// Values by name.
    Object(Arc<Entries>),
}

/// What makes values.
impl Value {
    /// A value of this kind that is not sensitive.
    pub fn new(kind: Kind) -> Self {
        Self { kind, sensitive: false }
    }

    /// Text, in its composed form.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::new(Kind::String(nfc::composed(text.into())))
    }

    /// Text as it is: that of legacy templates, which know no other form.
    pub fn verbatim(text: impl Into<Arc<str>>) -> Self {
        Self::new(Kind::String(text.into()))
    }

    /// `true` or `false`.
    pub fn bool(value: bool) -> Self {
        Self::new(Kind::Bool(value))
    }

    /// A number.
    pub fn number(number: impl Into<Number>) -> Self {
        Self::new(Kind::Number(number.into()))
    }

    /// No value of unknown type.
    pub fn null() -> Self {
        Self::null_of(Type::Dynamic)
    }

    /// No value of this type.
    pub fn null_of(ty: Type) -> Self {
        Self::new(Kind::Null(ty))
    }

    /// A value of this type that will be known later.
    pub fn unknown(ty: Type) -> Self {
        Self::new(Kind::Unknown(ty))
    }

    /// A tuple.
    pub fn tuple(elements: Vec<Self>) -> Self {
        Self::new(Kind::Tuple(Arc::new(Elements::new(elements))))
    }

    /// An object.
    pub fn object(attributes: BTreeMap<String, Self>) -> Self {
        Self::new(Kind::Object(Arc::new(Entries::new(attributes, false))))
    }

    /// An object with attributes besides these, strings that will be known later.
    pub fn open_object(attributes: BTreeMap<String, Self>) -> Self {
        Self::new(Kind::Object(Arc::new(Entries::new(attributes, true))))
    }

    /// A list of elements that are all of type `element`.
    pub fn list(element: Type, elements: Vec<Self>) -> Self {
        Self::new(Kind::List(element, Arc::new(Elements::new(elements))))
    }

    /// A list of strings.
    pub fn strings(elements: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Self::list(Type::String, elements.into_iter().map(|text| Self::string(text)).collect())
    }

    /// A set of elements that are all of type `element`. It is unknown if one of them is, as they may be equal, and
    /// sensitive if one of them is, as their order tells of them.
    pub fn set(element: Type, elements: Vec<Self>) -> Self {
        let sensitive = elements.iter().any(Self::contains_sensitive);
        if !elements.iter().all(Self::is_wholly_known) {
            return Self::unknown(Type::set(element)).mark(sensitive);
        }
        let mut elements: Vec<Self> = elements.into_iter().map(Self::unmark_deep).collect();
        elements.sort_by(Self::order);
        elements.dedup_by(|left, right| left.order(right) == Ordering::Equal);
        Self::new(Kind::Set(element, Arc::new(Elements::new(elements)))).mark(sensitive)
    }

    /// A map of elements that are all of type `element`.
    pub fn map(element: Type, elements: BTreeMap<String, Self>) -> Self {
        Self::new(Kind::Map(element, Arc::new(Entries::new(elements, false))))
    }
}

/// Marks.
impl Value {
    /// Whether the value as a whole must not be shown; its parts may be sensitive when it is not.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// Whether the value or a part of it must not be shown.
    pub fn contains_sensitive(&self) -> bool {
        self.facts().sensitive
    }

    /// The value, sensitive if it was or if `sensitive`.
    #[must_use]
    pub fn mark(mut self, sensitive: bool) -> Self {
        self.sensitive |= sensitive;
        self
    }

    /// The value without its mark; its parts keep theirs.
    #[must_use]
    pub fn unmark(mut self) -> Self {
        self.sensitive = false;
        self
    }

    /// The value without its mark and those of its parts.
    #[must_use]
    pub fn unmark_deep(mut self) -> Self {
        if !self.contains_sensitive() {
            return self;
        }
        self.sensitive = false;
        self.map_children(Self::unmark_deep)
    }

    /// Applies `change` to the direct parts, which must keep their types.
    #[must_use]
    pub fn map_children(mut self, mut change: impl FnMut(Self) -> Self) -> Self {
        let mut each = |elements: &Elements| elements.iter().cloned().map(&mut change).collect::<Vec<_>>();
        self.kind = match self.kind {
            Kind::List(ty, elements) => Kind::List(ty, Arc::new(Elements::new(each(&elements)))),
            Kind::Set(ty, elements) => Kind::Set(ty, Arc::new(Elements::new(each(&elements)))),
            Kind::Tuple(elements) => Kind::Tuple(Arc::new(Elements::new(each(&elements)))),
            Kind::Map(ty, entries) => Kind::Map(ty, Arc::new(map_values(&entries, change))),
            Kind::Object(entries) => Kind::Object(Arc::new(map_values(&entries, change))),
            other => other,
        };
        self
    }
}

/// What it holds.
impl Value {
    /// What it holds.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it holds, without the mark.
    pub fn into_kind(self) -> Kind {
        self.kind
    }

    /// The attributes of an object or elements of a map; they are copied only if another value shares them.
    pub fn into_entries(self) -> Option<BTreeMap<String, Self>> {
        match self.kind {
            Kind::Map(_, entries) | Kind::Object(entries) => {
                Some(Arc::try_unwrap(entries).map_or_else(|shared| (**shared).clone(), Entries::into_values))
            }
            _ => None,
        }
    }

    /// The direct parts of a collection; none of any other value.
    pub fn children(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match &self.kind {
            Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => Box::new(elements.iter()),
            Kind::Map(_, elements) | Kind::Object(elements) => Box::new(elements.values()),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// Whether it is not known yet; its parts may be unknown when it is not.
    pub fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown(_))
    }

    /// Whether it and all its parts are known.
    pub fn is_wholly_known(&self) -> bool {
        self.facts().known
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null(_))
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    pub fn as_number(&self) -> Option<&Number> {
        match &self.kind {
            Kind::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The value of a bool.
    pub fn as_bool(&self) -> Option<bool> {
        match &self.kind {
            Kind::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of a list, set or tuple.
    pub fn elements(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a map or object.
    pub fn entries(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.kind {
            Kind::Map(_, elements) | Kind::Object(elements) => Some(elements),
            _ => None,
        }
    }

    /// The value of a number if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.to_i64()
    }

    /// The text a known string, number or bool converts to.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::String(text) => Some(text.as_ref().to_owned()),
            Kind::Number(number) => Some(number.to_string()),
            Kind::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    /// Its type.
    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Unknown(ty) | Kind::Null(ty) => ty.clone(),
            Kind::Bool(_) => Type::Bool,
            Kind::Number(_) => Type::Number,
            Kind::String(_) => Type::String,
            Kind::List(ty, _) => Type::list(ty.clone()),
            Kind::Set(ty, _) => Type::set(ty.clone()),
            Kind::Map(ty, _) => Type::map(ty.clone()),
            Kind::Tuple(elements) => Type::tuple(elements.iter().map(Self::ty)),
            Kind::Object(attributes) => Type::object(attributes.iter().map(|(name, value)| (name.clone(), value.ty()))),
        }
    }

    /// The type of a value that is not known yet.
    pub fn ty_of_unknown(&self) -> Option<&Type> {
        match &self.kind {
            Kind::Unknown(ty) => Some(ty),
            _ => None,
        }
    }

    /// What to call it in a message: `a string`, `a list of 3 elements`. Never shows the value itself.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Unknown(_) => "a value not known yet".to_owned(),
            Kind::Null(_) => "null".to_owned(),
            Kind::Bool(_) => "a bool".to_owned(),
            Kind::Number(_) => "a number".to_owned(),
            Kind::String(_) => "a string".to_owned(),
            Kind::List(..) => "a list".to_owned(),
            Kind::Set(..) => "a set".to_owned(),
            Kind::Map(..) => "a map".to_owned(),
            Kind::Tuple(_) => "a tuple".to_owned(),
            Kind::Object(_) => "an object".to_owned(),
        }
    }

    /// How much there is of it: bytes of text, plus one for each part.
    pub fn weight(&self) -> usize {
        self.facts().weight
    }

    /// How deep collections are nested in it.
    pub fn depth(&self) -> usize {
        self.facts().depth
    }

    fn facts(&self) -> Facts {
        let mut facts = match &self.kind {
            Kind::String(text) => Facts { weight: 1 + text.len(), ..Facts::EMPTY },
            Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => elements.facts(),
            Kind::Map(_, entries) | Kind::Object(entries) => entries.facts(),
            Kind::Unknown(_) => Facts { known: false, ..Facts::EMPTY },
            Kind::Null(_) | Kind::Bool(_) | Kind::Number(_) => Facts::EMPTY,
        };
        facts.sensitive |= self.sensitive;
        facts
    }
}

/// Comparison.
impl Value {
    /// Whether two values are equal: of one type, and the same. Null equals null of any type; what is not known yet may
    /// be equal to anything.
    pub fn equals(&self, other: &Self) -> Option<bool> {
        let all = |results: &mut dyn Iterator<Item = Option<bool>>| {
            let mut equal = Some(true);
            for result in results {
                match result {
                    Some(true) => {}
                    Some(false) => return Some(false),
                    None => equal = None,
                }
            }
            equal
        };
        match (&self.kind, &other.kind) {
            (Kind::Unknown(_), _) | (_, Kind::Unknown(_)) => None,
            (Kind::Null(_), Kind::Null(_)) => Some(true),
            (Kind::Bool(left), Kind::Bool(right)) => Some(left == right),
            (Kind::Number(left), Kind::Number(right)) => Some(left == right),
            (Kind::String(left), Kind::String(right)) => Some(left == right),
            (Kind::List(one, left), Kind::List(two, right)) | (Kind::Set(one, left), Kind::Set(two, right))
                if one != two || left.len() != right.len() =>
            {
                Some(false)
            }
            (Kind::Tuple(left), Kind::Tuple(right)) if left.len() != right.len() => Some(false),
            (Kind::List(_, left), Kind::List(_, right))
            | (Kind::Set(_, left), Kind::Set(_, right))
            | (Kind::Tuple(left), Kind::Tuple(right)) => {
                all(&mut left.iter().zip(right.iter()).map(|(left, right)| left.equals(right)))
            }
            (Kind::Map(one, _), Kind::Map(two, _)) if one != two => Some(false),
            (Kind::Map(_, left), Kind::Map(_, right)) | (Kind::Object(left), Kind::Object(right)) => {
                if left.is_open() || right.is_open() {
                    return None;
                }
                if !left.keys().eq(right.keys()) {
                    return Some(false);
                }
                all(&mut left.values().zip(right.values()).map(|(left, right)| left.equals(right)))
            }
            _ => Some(false),
        }
    }

    /// The order of sets: by value for primitives, by shape for the rest.
    pub fn order(&self, other: &Self) -> Ordering {
        match (&self.kind, &other.kind) {
            (Kind::Bool(left), Kind::Bool(right)) => left.cmp(right),
            (Kind::Number(left), Kind::Number(right)) => left.cmp(right),
            (Kind::String(left), Kind::String(right)) => left.cmp(right),
            (Kind::Map(_, left), Kind::Map(_, right)) | (Kind::Object(left), Kind::Object(right)) => {
                let by_name = left.keys().cmp(right.keys());
                by_name.then_with(|| lexical(&mut left.values(), &mut right.values()))
            }
            _ => self.rank().cmp(&other.rank()).then_with(|| lexical(&mut self.children(), &mut other.children())),
        }
    }

    fn rank(&self) -> u8 {
        match &self.kind {
            Kind::Null(_) => 0,
            Kind::Bool(_) => 1,
            Kind::Number(_) => 2,
            Kind::String(_) => 3,
            Kind::List(..) => 4,
            Kind::Set(..) => 5,
            Kind::Tuple(_) => 6,
            Kind::Map(..) => 7,
            Kind::Object(_) => 8,
            Kind::Unknown(_) => 9,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::bool(value)
    }
}

fn map_values(entries: &Entries, mut change: impl FnMut(Value) -> Value) -> Entries {
    let values = entries.iter().map(|(name, value)| (name.clone(), change(value.clone()))).collect();
    Entries::new(values, entries.is_open())
}

fn lexical(left: &mut dyn Iterator<Item = &Value>, right: &mut dyn Iterator<Item = &Value>) -> Ordering {
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match left.order(right) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
        }
    }
}
