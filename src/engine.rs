//! Runs builds: in parallel, each step by step, with clean-up in reverse; everything said goes to the event stream.

pub mod artifact;
pub mod asker;
pub mod build_run;
pub mod cancel;
pub mod clamp;
pub mod component;
pub mod control;
mod edits;
pub mod host;
pub mod job;
pub mod on_error;
pub mod place;
mod post_process;
mod provision;
pub mod registry;
pub mod run;
pub mod shell;
mod tracker;
pub mod ui;

#[cfg(test)]
mod tests;
