//! Who a request is attributed to.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The build and step a request belongs to. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the build, such as `rootfs.debian`; for other users of the proxy a label such as `exec`.
    pub build: Arc<str>,
    /// Step of the build that was under way when the request arrived.
    pub step: Option<Arc<str>>,
}

/// One client of the proxy: a build, an `exec`, or the proxy's own listener. Listeners carry one, and so
/// attribute each request; the step is changed while the client lives.
#[derive(Clone, Debug)]
pub struct Client {
    build: Arc<str>,
    step: Arc<Mutex<Option<Arc<str>>>>,
    guest: bool,
}

impl Client {
    /// A guest: refused loopback, link-local, metadata and the host's own addresses.
    pub fn guest(build: &str) -> Self {
        Self { build: build.into(), step: Arc::default(), guest: true }
    }

    /// The host's own user or Larder itself: may name any address.
    pub fn host(build: &str) -> Self {
        Self { build: build.into(), step: Arc::default(), guest: false }
    }

    /// Whether the restrictions for guests hold.
    pub fn is_guest(&self) -> bool {
        self.guest
    }

    /// Sets the step that requests from now on belong to.
    pub fn set_step(&self, step: Option<&str>) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step.map(Arc::from);
    }

    /// The identity of a request arriving now.
    pub fn identity(&self) -> Identity {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Identity { build: self.build.clone(), step }
    }
}
