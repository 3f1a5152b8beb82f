//! HCL's native syntax: text to tokens, and tokens to a tree.

pub mod ast;
pub(crate) mod json;
pub mod parser;
pub mod scanner;
pub mod token;

#[cfg(test)]
mod shape;
