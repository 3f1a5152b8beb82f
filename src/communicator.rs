//! Ways to run commands and move files: in a guest, or on the host.
