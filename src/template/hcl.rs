//! The HCL2 front end: a parser and an evaluator with cty's semantics.

pub mod convert;
pub mod eval;
pub mod format;
pub mod functions;
pub mod nfc;
pub mod number;
pub mod scope;
pub mod show;
pub mod syntax;
pub(crate) mod type_expr;
mod types;
pub mod value;
