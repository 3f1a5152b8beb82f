//! Templates in JSON: legacy ones, with Go templates in their strings, and HCL2's JSON form.

pub mod fixer;
mod legacy;
pub(crate) mod parse;
pub(crate) mod tree;
pub mod upgrade;
pub(crate) mod value;
