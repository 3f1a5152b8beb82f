//! Who a request is attributed to.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::current::Current;

/// The build and step a request belongs to. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the build, such as `rootfs.debian`; for other users of the proxy a label such as `exec`.
    pub build: Arc<str>,
    /// Step of the build that was under way when the request arrived.
    pub step: Option<Arc<str>>,
    /// The user who logged in, where the proxy asked for that.
    #[serde(default)]
    pub user: Option<Arc<str>>,
    /// The address the request came from, where the proxy serves a network.
    #[serde(default)]
    pub address: Option<IpAddr>,
}

/// Who shares with others what is scarce: a build, or of a network's clients each user and each address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    build: Arc<str>,
    user: Option<Arc<str>>,
    address: Option<IpAddr>,
}

impl Identity {
    /// Whose request it is, whatever the step.
    pub(crate) fn owner(&self) -> Owner {
        Owner { build: self.build.clone(), user: self.user.clone(), address: self.address }
    }
}

/// One client of the proxy: a build, an `exec`, or the proxy's own listener. Listeners carry one, and so
/// attribute each request; the step is changed while the client lives.
#[derive(Clone, Debug)]
pub struct Client {
    build: Arc<str>,
    step: Arc<Current<Option<Arc<str>>>>,
    guest: bool,
    user: Option<Arc<str>>,
    address: Option<IpAddr>,
}

impl Client {
    /// A guest: refused loopback, link-local, metadata and the host's own addresses.
    pub fn guest(build: &str) -> Self {
        Self::new(build, true)
    }

    /// The host's own user or Larder itself: may name any address.
    pub fn host(build: &str) -> Self {
        Self::new(build, false)
    }

    fn new(build: &str, guest: bool) -> Self {
        Self { build: build.into(), step: Arc::default(), guest, user: None, address: None }
    }

    /// The client at an address, or at a Unix socket: refused what a guest is, unless it is of this machine. Where
    /// others may come, a loopback address and a Unix socket say nothing of that: a tunnel or another proxy may end
    /// there. `label` stands for the network it is of.
    #[must_use]
    pub(crate) fn at(&self, address: Option<IpAddr>, label: Option<&Arc<str>>, others_may_come: bool) -> Self {
        let remote = others_may_come || address.is_some_and(|address| !address.is_loopback());
        Self { build: label.unwrap_or(&self.build).clone(), guest: self.guest || remote, address, ..self.clone() }
    }

    /// The same once it has logged in.
    #[must_use]
    pub(crate) fn known_as(&self, user: Arc<str>) -> Self {
        Self { user: Some(user), ..self.clone() }
    }

    /// The same for one connection: what all connections count the users of, threads fetch from each other for each
    /// request.
    #[must_use]
    pub(crate) fn apart(&self) -> Self {
        Self { build: Arc::from(&*self.build), ..self.clone() }
    }

    /// Whether the restrictions for guests hold.
    pub fn is_guest(&self) -> bool {
        self.guest
    }

    /// Sets the step that requests from now on belong to.
    pub fn set_step(&self, step: Option<&str>) {
        self.step.set(step.map(Arc::from));
    }

    /// The identity of a request arriving now.
    pub fn identity(&self) -> Identity {
        let step = Option::clone(&self.step.look());
        Identity { build: self.build.clone(), step, user: self.user.clone(), address: self.address }
    }
}
