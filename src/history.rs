//! What is kept of runs: their logs, and a record of each with its steps, times and downloads.

pub mod log_store;
