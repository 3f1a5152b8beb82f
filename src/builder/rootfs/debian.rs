//! A Debian or Ubuntu root file system made from an archive of packages, without apt or debootstrap on the host.
//!
//! The way: host's defaults -> signed Release -> Packages -> closure -> fetch and unpack -> dpkg's database ->
//! maintainer scripts in the guest -> clean-up. The set of packages and the tree are those of mmdebstrap
//! (docs/reference/debian-bootstrap.md lists the differences).

pub mod bootstrap;
pub mod closure;
pub mod configure;
mod control;
mod deb;
mod deb822;
mod dpkg;
mod fetch;
pub mod host;
mod openpgp;
pub mod outlook;
mod packages;
mod release;
mod root_dir;
pub mod spec;
mod version;

pub use bootstrap::{Bootstrap, Bootstrapped, Resolved};
pub use configure::RootRunner;
pub use host::Host;
pub use spec::{DebianOptions, DebianSpec, Keyring, Variant};

#[cfg(test)]
mod tests;
