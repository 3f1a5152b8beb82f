//! What is kept of runs: their logs, and a record of each with its steps, times and downloads.

pub mod compare;
pub mod estimate;
pub mod log_store;
pub mod record;
pub mod recorder;
pub mod run;
pub mod run_store;
#[cfg(test)]
pub(crate) mod testing;
