//! From one machine to another, with the real program.
