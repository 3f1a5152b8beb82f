//! Cancellation with a cause: a tree of tokens, run > build > step.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Why work was cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The person pressed Ctrl-C.
    Interrupt,
    /// The person cancelled this one build.
    User,
    /// The process was asked to end (SIGTERM, SIGHUP).
    Terminate,
    /// The work took longer than it may.
    Timeout(Duration),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupt => f.write_str("interrupted"),
            Self::User => f.write_str("cancelled"),
            Self::Terminate => f.write_str("terminated"),
            Self::Timeout(limit) => write!(f, "timed out after {}", super::ui::duration(*limit)),
        }
    }
}

/// A node of the tree. Cancelling it cancels those below.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    token: CancellationToken,
    /// Own cause first, then those of the nodes above.
    causes: Vec<Arc<OnceLock<Cause>>>,
}

impl Cancel {
    /// The top of a new tree.
    pub fn root() -> Self {
        Self { token: CancellationToken::new(), causes: vec![Arc::default()] }
    }

    /// A node below this one.
    #[must_use]
    pub fn child(&self) -> Self {
        let mut causes = vec![Arc::default()];
        causes.extend(self.causes.iter().cloned());
        Self { token: self.token.child_token(), causes }
    }

    /// Cancels this node and those below it. The first cause stays.
    pub fn cancel(&self, cause: Cause) {
        if let Some(own) = self.causes.first() {
            let _ = own.set(cause);
        }
        self.token.cancel();
    }

    /// The cause nearest to this node, if it was cancelled.
    pub fn cause(&self) -> Option<Cause> {
        self.causes.iter().find_map(|cause| cause.get().cloned())
    }

    /// The token to give to the work.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether this node or one above it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_knows_the_cause_of_its_parent_and_not_the_other_way() {
        let root = Cancel::root();
        let child = root.child();
        let sibling = root.child();
        child.cancel(Cause::Timeout(Duration::from_secs(3)));
        assert!(child.is_cancelled() && !root.is_cancelled() && !sibling.is_cancelled());
        root.cancel(Cause::Interrupt);
        root.cancel(Cause::Terminate);
        assert_eq!(sibling.cause(), Some(Cause::Interrupt));
        assert_eq!(child.cause(), Some(Cause::Timeout(Duration::from_secs(3))));
    }
}
