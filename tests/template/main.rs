//! Templates as the real program reads them: what `inspect` and `validate` make of them.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test's helpers fail by panicking")]

mod components;
mod console;
mod corpus;
mod diagnostics;
mod expressions;
mod fix;
mod fixtures;
mod fmt;
mod go_templates;
mod inspect;
mod invalid;
#[path = "../support/larder.rs"]
mod support;
mod syntax;
mod upgrade;
