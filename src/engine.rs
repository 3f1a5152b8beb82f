//! Runs a plan: builds in parallel, steps in order, clean-up in reverse.

pub mod artifact;
pub mod component;
pub mod registry;
