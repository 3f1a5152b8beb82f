//! What functions take.

use crate::template::hcl::value::Type;

/// The type of a parameter or result.
#[derive(Clone, Copy, Debug)]
pub enum Ty {
    /// Any type.
    Any,
    /// Text.
    String,
    /// A number.
    Number,
    /// A bool.
    Bool,
    /// A list of elements of a type.
    List(&'static Ty),
    /// A set of elements of a type.
    Set(&'static Ty),
}

impl Ty {
    /// As the type of a value.
    pub(super) fn to_type(self) -> Type {
        match self {
            Self::Any => Type::Dynamic,
            Self::String => Type::String,
            Self::Number => Type::Number,
            Self::Bool => Type::Bool,
            Self::List(element) => Type::list(element.to_type()),
            Self::Set(element) => Type::set(element.to_type()),
        }
    }
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub(super) name: &'static str,
    pub(super) ty: Ty,
    /// Whether it may be null.
    pub(super) null: bool,
    /// Whether the function does with an argument that is not known yet, or not in all its parts.
    pub(super) unknown: bool,
    /// Whether the function hands on the parts of the argument as they are, with their marks.
    pub(super) parts: bool,
}

impl Parameter {
    /// It may be null.
    pub(super) const fn or_null(self) -> Self {
        Self { null: true, ..self }
    }

    /// It need not be known in full, and its parts keep their marks.
    pub(super) const fn in_parts(self) -> Self {
        Self { unknown: true, parts: true, ..self }
    }
}

pub(super) const fn parameter(name: &'static str, ty: Ty) -> Parameter {
    Parameter { name, ty, null: false, unknown: false, parts: false }
}

pub(super) const fn any(name: &'static str) -> Parameter {
    parameter(name, Ty::Any)
}

pub(super) const fn text(name: &'static str) -> Parameter {
    parameter(name, Ty::String)
}

pub(super) const fn number(name: &'static str) -> Parameter {
    parameter(name, Ty::Number)
}

pub(super) const fn list(name: &'static str, element: &'static Ty) -> Parameter {
    parameter(name, Ty::List(element))
}
