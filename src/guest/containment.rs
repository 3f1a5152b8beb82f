//! What a process of a guest may do: the last steps between init's fork and the guest's own program.

use std::io;

use nix::unistd::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{raw, seccomp};

/// The capabilities of a guest's root: enough for packages to install, none that reaches the host. MKNOD, SYS_ADMIN,
/// SYS_MODULE, SYS_TIME, SYS_RAWIO, SYS_PTRACE, NET_ADMIN, NET_RAW and DAC_READ_SEARCH (which opens files by number)
/// are not among them.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::AUDIT_WRITE);

/// Gives up everything a guest must not have, for good, for this process and all it will run, and becomes the given
/// user. `no_new_privs` stays off, so that `su` and `sudo` work. Without a network of its own it may not listen on the
/// low ports of the host.
pub(super) fn enter(uid: u32, gid: u32, own_network: bool) -> io::Result<()> {
    let kept = if own_network { KEPT } else { KEPT.difference(CapabilitySet::NET_BIND_SERVICE) };
    // First: it needs CAP_SYS_ADMIN where no_new_privs is off.
    raw::install_filter(&seccomp::program())?;
    drop_bounding_set(kept)?;
    nix::unistd::setgroups(&[])?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    if uid.is_root() {
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        rustix::thread::set_capabilities(None, sets)?;
    }
    Ok(())
}

fn drop_bounding_set(kept: CapabilitySet) -> io::Result<()> {
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last capability this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
