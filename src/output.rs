//! What consumes the event stream: log files and renderers, on a thread of their own.

pub mod ansi;
pub mod consumer;
pub mod held;
pub mod json;
pub mod log_file;
pub mod machine;
pub mod machine_line;
pub mod missing;
pub mod plain;
pub mod quiet;
pub mod renderer;
pub mod report;
pub mod terminal;
pub mod text;
