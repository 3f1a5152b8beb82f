//! What happens when a step fails.

/// The `-on-error` choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Undo the steps in reverse (the default). The error-cleanup-provisioner runs first.
    #[default]
    Cleanup,
    /// Undo nothing, and list what is left.
    Abort,
    /// Run the error-cleanup-provisioner, then undo nothing.
    RunCleanupProvisioner,
    /// Ask a person, step by step.
    Ask,
}

impl OnError {
    /// Whether the error-cleanup-provisioner runs.
    pub const fn runs_provisioner(self) -> bool {
        matches!(self, Self::Cleanup | Self::RunCleanupProvisioner)
    }

    /// Whether steps are undone.
    pub const fn cleans_up(self) -> bool {
        matches!(self, Self::Cleanup)
    }
}
