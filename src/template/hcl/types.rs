//! The types of values, and constraints on them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::value::Value;

/// The type of a [`Value`], or a constraint on it. Clones share their parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any type, or one not known yet.
    Dynamic,
    /// Text.
    String,
    /// A number of any size.
    Number,
    /// `true` or `false`.
    Bool,
    /// Values of one type, in order.
    List(Arc<Type>),
    /// Values of one type without duplicates, ordered by value.
    Set(Arc<Type>),
    /// Values of one type by name.
    Map(Arc<Type>),
    /// Values each of its own type, in order.
    Tuple(Arc<[Type]>),
    /// Values each of its own type, by name.
    Object(Arc<BTreeMap<String, Attribute>>),
}

/// An attribute of an object type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub ty: Type,
    /// Whether a value converted to the object type may lack it.
    pub optional: bool,
    /// What it is if the value lacks it; null without.
    pub default: Option<Value>,
}

impl From<Type> for Attribute {
    /// A required attribute of this type.
    fn from(ty: Type) -> Self {
        Self { ty, optional: false, default: None }
    }
}

impl Type {
    /// A list of elements of this type.
    pub fn list(element: Self) -> Self {
        Self::List(Arc::new(element))
    }

    /// A set of elements of this type.
    pub fn set(element: Self) -> Self {
        Self::Set(Arc::new(element))
    }

    /// A map of elements of this type.
    pub fn map(element: Self) -> Self {
        Self::Map(Arc::new(element))
    }

    /// A tuple of elements of these types.
    pub fn tuple(elements: impl IntoIterator<Item = Self>) -> Self {
        Self::Tuple(elements.into_iter().collect())
    }

    /// An object type with required attributes.
    pub fn object(attributes: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self::Object(Arc::new(attributes.into_iter().map(|(name, ty)| (name, ty.into())).collect()))
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

    /// The type without what only matters while values are converted to it: whether attributes are optional.
    #[must_use]
    pub fn required(&self) -> Self {
        match self {
            Self::Dynamic | Self::String | Self::Number | Self::Bool => self.clone(),
            Self::List(element) => Self::list(element.required()),
            Self::Set(element) => Self::set(element.required()),
            Self::Map(element) => Self::map(element.required()),
            Self::Tuple(elements) => Self::tuple(elements.iter().map(Self::required)),
            Self::Object(attributes) => {
                Self::object(attributes.iter().map(|(name, attribute)| (name.clone(), attribute.ty.required())))
            }
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
                    .map(|(name, attribute)| match (attribute.optional, attribute.default.is_some()) {
                        (false, _) => format!("{name} = {}", attribute.ty),
                        (true, false) => format!("{name} = optional({})", attribute.ty),
                        (true, true) => format!("{name} = optional({}, …)", attribute.ty),
                    })
                    .collect();
                write!(f, "object({{{}}})", attributes.join(", "))
            }
        }
    }
}
