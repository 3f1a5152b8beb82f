//! Values and types, as `cty` has them: what HCL expressions evaluate to.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive};

/// The type of a [`Value`], or a constraint on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// Any type, or one not known yet.
    Dynamic,
    /// Text.
    String,
    /// A decimal number of any size.
    Number,
    /// `true` or `false`.
    Bool,
    /// Values of one type, in order.
    List(Box<Type>),
    /// Values of one type without duplicates, ordered by value.
    Set(Box<Type>),
    /// Values of one type by name.
    Map(Box<Type>),
    /// Values each of its own type, in order.
    Tuple(Vec<Type>),
    /// Values each of its own type, by name.
    Object(BTreeMap<String, Attribute>),
}

/// An attribute of an object type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attribute {
    /// Its type.
    pub ty: Type,
    /// Whether a value converted to the object type may lack it.
    pub optional: bool,
}

impl Type {
    /// An object type with required attributes.
    pub fn object(attributes: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self::Object(attributes.into_iter().map(|(name, ty)| (name, Attribute { ty, optional: false })).collect())
    }

    /// Whether the type is `string`, `number` or `bool`.
    pub fn is_primitive(&self) -> bool {
        matches!(self, Self::String | Self::Number | Self::Bool)
    }

    /// Whether no part of the type is [`Type::Dynamic`].
    pub fn is_concrete(&self) -> bool {
        match self {
            Self::Dynamic => false,
            Self::String | Self::Number | Self::Bool => true,
            Self::List(element) | Self::Set(element) | Self::Map(element) => element.is_concrete(),
            Self::Tuple(elements) => elements.iter().all(Self::is_concrete),
            Self::Object(attributes) => attributes.values().all(|attribute| attribute.ty.is_concrete()),
        }
    }
}

impl fmt::Display for Type {
    /// The type as a template writes it, such as `list(string)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dynamic => f.write_str("any"),
            Self::String => f.write_str("string"),
            Self::Number => f.write_str("number"),
            Self::Bool => f.write_str("bool"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Set(element) => write!(f, "set({element})"),
            Self::Map(element) => write!(f, "map({element})"),
            Self::Tuple(elements) => {
                let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
                write!(f, "tuple([{}])", elements.join(", "))
            }
            Self::Object(attributes) => {
                let attributes: Vec<String> = attributes
                    .iter()
                    .map(|(name, attribute)| match attribute.optional {
                        true => format!("{name} = optional({})", attribute.ty),
                        false => format!("{name} = {}", attribute.ty),
                    })
                    .collect();
                write!(f, "object({{{}}})", attributes.join(", "))
            }
        }
    }
}

/// A value, or what is known of one. A sensitive value makes everything computed from it sensitive.
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
    Number(BigDecimal),
    /// Text.
    String(String),
    /// Values of one type, in order.
    List(Type, Vec<Value>),
    /// Values of one type, ordered, without duplicates.
    Set(Type, Vec<Value>),
    /// Values of one type, by name.
    Map(Type, BTreeMap<String, Value>),
    /// Values in order.
    Tuple(Vec<Value>),
    /// Values by name.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// A value of this kind that is not sensitive.
    pub fn new(kind: Kind) -> Self {
        Self { kind, sensitive: false }
    }

    /// Text.
    pub fn string(text: impl Into<String>) -> Self {
        Self::new(Kind::String(text.into()))
    }

    /// `true` or `false`.
    pub fn bool(value: bool) -> Self {
        Self::new(Kind::Bool(value))
    }

    /// A number.
    pub fn number(number: impl Into<BigDecimal>) -> Self {
        Self::new(Kind::Number(number.into()))
    }

    /// No value of unknown type.
    pub fn null() -> Self {
        Self::new(Kind::Null(Type::Dynamic))
    }

    /// A value of this type that will be known later.
    pub fn unknown(ty: Type) -> Self {
        Self::new(Kind::Unknown(ty))
    }

    /// A tuple.
    pub fn tuple(elements: Vec<Self>) -> Self {
        Self::new(Kind::Tuple(elements))
    }

    /// An object.
    pub fn object(attributes: BTreeMap<String, Self>) -> Self {
        Self::new(Kind::Object(attributes))
    }

    /// A list of elements that are all of type `element`.
    pub fn list(element: Type, elements: Vec<Self>) -> Self {
        Self::new(Kind::List(element, elements))
    }

    /// A list of strings.
    pub fn strings(elements: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::list(Type::String, elements.into_iter().map(|text| Self::string(text)).collect())
    }

    /// A set of elements that are all of type `element`.
    pub fn set(element: Type, mut elements: Vec<Self>) -> Self {
        elements.sort_by(Self::order);
        elements.dedup_by(|left, right| left.order(right) == Ordering::Equal);
        Self::new(Kind::Set(element, elements))
    }

    /// A map of elements that are all of type `element`.
    pub fn map(element: Type, elements: BTreeMap<String, Self>) -> Self {
        Self::new(Kind::Map(element, elements))
    }

    /// What it holds.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it holds, without the mark.
    pub fn into_kind(self) -> Kind {
        self.kind
    }

    /// Whether the value as a whole must not be shown; its parts may be sensitive when it is not.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// Whether the value or a part of it must not be shown.
    pub fn contains_sensitive(&self) -> bool {
        self.sensitive || self.children().any(Self::contains_sensitive)
    }

    /// The value, sensitive if it was or if `sensitive`.
    #[must_use]
    pub fn mark(mut self, sensitive: bool) -> Self {
        self.sensitive |= sensitive;
        self
    }

    /// The value without its mark and those of its parts.
    #[must_use]
    pub fn unmark_deep(mut self) -> Self {
        self.sensitive = false;
        self.map_children(Self::unmark_deep)
    }

    /// Applies `change` to the direct parts.
    #[must_use]
    pub fn map_children(mut self, change: impl FnMut(Self) -> Self) -> Self {
        self.kind = match self.kind {
            Kind::List(ty, elements) => Kind::List(ty, elements.into_iter().map(change).collect()),
            Kind::Set(ty, elements) => Kind::Set(ty, elements.into_iter().map(change).collect()),
            Kind::Tuple(elements) => Kind::Tuple(elements.into_iter().map(change).collect()),
            Kind::Map(ty, elements) => Kind::Map(ty, map_values(elements, change)),
            Kind::Object(elements) => Kind::Object(map_values(elements, change)),
            other => other,
        };
        self
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
        !self.is_unknown() && self.children().all(Self::is_wholly_known)
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
        match &self.kind {
            Kind::Number(number) if number.is_integer() => number.to_i64(),
            _ => None,
        }
    }

    /// The text a known string, number or bool converts to.
    pub fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::String(text) => Some(text.clone()),
            Kind::Number(number) => Some(number_text(number)),
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
            Kind::List(ty, _) => Type::List(Box::new(ty.clone())),
            Kind::Set(ty, _) => Type::Set(Box::new(ty.clone())),
            Kind::Map(ty, _) => Type::Map(Box::new(ty.clone())),
            Kind::Tuple(elements) => Type::Tuple(elements.iter().map(Self::ty).collect()),
            Kind::Object(attributes) => Type::object(attributes.iter().map(|(name, value)| (name.clone(), value.ty()))),
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
        let own = match &self.kind {
            Kind::String(text) => text.len(),
            Kind::Map(_, elements) | Kind::Object(elements) => elements.keys().map(String::len).sum(),
            _ => 0,
        };
        1 + own + self.children().map(Self::weight).sum::<usize>()
    }

    /// Whether two known values are equal. Types must be equal too, except that null equals null.
    pub fn equals(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Null(_), Kind::Null(_)) => true,
            (Kind::Bool(left), Kind::Bool(right)) => left == right,
            (Kind::Number(left), Kind::Number(right)) => left == right,
            (Kind::String(left), Kind::String(right)) => left == right,
            (Kind::List(_, left), Kind::List(_, right))
            | (Kind::Set(_, left), Kind::Set(_, right))
            | (Kind::Tuple(left), Kind::Tuple(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.equals(right))
            }
            (Kind::Map(_, left), Kind::Map(_, right)) | (Kind::Object(left), Kind::Object(right)) => {
                left.len() == right.len()
                    && left.iter().zip(right).all(|((name, left), (other, right))| name == other && left.equals(right))
            }
            _ => false,
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

fn map_values(elements: BTreeMap<String, Value>, mut change: impl FnMut(Value) -> Value) -> BTreeMap<String, Value> {
    elements.into_iter().map(|(name, value)| (name, change(value))).collect()
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

/// Most digits a number may have before or after its point. `1e999999999` must not become a gigabyte of zeros.
pub const MAX_DIGITS: i64 = 4096;

/// Reads a decimal number such as `-1.5e3`; `None` if it is none, or too long to write out.
pub fn parse_number(text: &str) -> Option<BigDecimal> {
    let well_formed = text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.len() <= 8192;
    let number = well_formed.then(|| BigDecimal::from_str(text).ok()).flatten()?;
    in_range(&number).then(|| number.normalized())
}

/// Whether a number can be written out in at most [`MAX_DIGITS`] digits on each side of the point.
pub fn in_range(number: &BigDecimal) -> bool {
    let (_, exponent) = number.as_bigint_and_exponent();
    let digits = i64::try_from(number.digits()).unwrap_or(i64::MAX);
    exponent.abs() <= MAX_DIGITS && digits.saturating_sub(exponent) <= MAX_DIGITS
}

/// A number as a template would write it: without exponent and trailing zeros.
pub fn number_text(number: &BigDecimal) -> String {
    let number = number.normalized();
    if number.is_integer() { number.with_scale(0).to_plain_string() } else { number.to_plain_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_kept_and_shown_in_full() {
        for text in ["0", "-1", "0.1", "123456789012345678901234567890", "100", "-0.0000001"] {
            assert_eq!(number_text(&parse_number(text).expect(text)), text);
        }
        assert_eq!(number_text(&parse_number("1e3").expect("a number")), "1000");
        assert_eq!(number_text(&parse_number("1.50").expect("a number")), "1.5");
        for text in ["", "x", "0x10", "1e999999999", "--1", "NaN", "1_000"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }

    #[test]
    fn sets_are_ordered_and_without_duplicates() {
        let set = Value::set(Type::String, vec!["b".into(), "a".into(), "b".into()]);
        assert_eq!(set.elements().map(<[Value]>::len), Some(2));
        assert_eq!(set.elements().and_then(|elements| elements[0].as_str()), Some("a"));
    }

    #[test]
    fn marks_of_parts_are_found_and_removed() {
        let value = Value::tuple(vec![Value::string("x").mark(true)]);
        assert!(!value.is_sensitive());
        assert!(value.contains_sensitive());
        assert!(!value.unmark_deep().contains_sensitive());
    }

    #[test]
    fn types_are_shown_as_written() {
        let ty = Type::object([("a".to_owned(), Type::List(Box::new(Type::String)))]);
        assert_eq!(ty.to_string(), "object({a = list(string)})");
    }
}
