//! HCL's native syntax: text to tokens, and tokens to a tree.

pub mod ast;
pub mod parser;
pub mod scanner;
pub mod token;
