//! The HCL2 front end: `hcl-edit` parses, evaluation is ours, with cty's semantics.

pub mod convert;
pub mod eval;
pub mod format;
pub mod functions;
pub mod nfc;
pub mod number;
pub(crate) mod parse;
pub mod scope;
pub mod show;
pub mod syntax;
pub(crate) mod type_expr;
mod types;
pub mod value;
