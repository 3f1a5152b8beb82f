//! What legacy JSON templates brought: the Go template subset, which HCL2 strings go through as well.

pub mod interpolate;
