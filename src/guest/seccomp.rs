//! The system calls a guest is refused beyond what its missing capabilities refuse: those that reach things no
//! namespace divides (keyrings, address families such as vsock), and those that would give it capabilities again (a
//! user namespace of its own). Calls that wait for the disk do nothing.

use nix::libc::{self, sock_filter};

/// Refused with EPERM.
const REFUSED: &[libc::c_long] = &[
    // Keyrings belong to the user id, not to a namespace: a guest's root would read the host root's keys.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // Opens files by number, past the mount namespace.
    libc::SYS_open_by_handle_at,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fsconfig,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
];

/// Said not to exist, so that programs take the older way, which can be looked into.
const ABSENT: &[libc::c_long] =
    &[libc::SYS_clone3, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Answered with success and not carried out. A guest's files are of no use before the build has ended well, and are
/// written to disk when the image is: package managers, which sync after every file, are several times faster so.
const IDLE: &[libc::c_long] =
    &[libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_sync, libc::SYS_syncfs, libc::SYS_sync_file_range];

/// Address families a guest may have sockets of; all of them are divided by network namespaces.
const FAMILIES: &[libc::c_int] =
    &[libc::AF_UNSPEC, libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

/// Offsets into `struct seccomp_data`; the low half of the first argument on a little-endian machine.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// The filter, as the kernel runs it for each system call. Programs for another instruction set of the machine (such
/// as 32-bit x86, whose socket calls cannot be looked into) are refused every call.
pub(super) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        step(LOAD, ARCHITECTURE, 0, 0),
        step(EQUAL, NATIVE, 1, 0),
        refuse(libc::ENOSYS),
        step(LOAD, NUMBER, 0, 0),
        // The x32 calls of x86-64; no other machine has numbers as high.
        step(AT_LEAST, 0x4000_0000, 0, 1),
        refuse(libc::ENOSYS),
    ];
    for call in REFUSED {
        program.extend([step(EQUAL, number(*call), 0, 1), refuse(libc::EPERM)]);
    }
    for call in ABSENT {
        program.extend([step(EQUAL, number(*call), 0, 1), refuse(libc::ENOSYS)]);
    }
    for call in IDLE {
        // The kernel takes no error for a result of 0.
        program.extend([step(EQUAL, number(*call), 0, 1), refuse(0)]);
    }
    let user_namespace = libc::CLONE_NEWUSER.cast_unsigned();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        program.extend([
            step(EQUAL, number(call), 0, 4),
            step(LOAD, FIRST_ARGUMENT, 0, 0),
            step(ANY_BIT, user_namespace, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ]);
    }
    let families = u8::try_from(FAMILIES.len()).expect("a handful");
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        program.extend([step(EQUAL, number(call), 0, families + 3), step(LOAD, FIRST_ARGUMENT, 0, 0)]);
        for (left, family) in (1..=families).rev().zip(FAMILIES) {
            program.push(step(EQUAL, family.cast_unsigned(), left, 0));
        }
        program.extend([refuse(libc::EAFNOSUPPORT), allow()]);
    }
    program.push(allow());
    program
}

fn step(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("BPF codes are 16 bits"), jt, jf, k }
}

fn refuse(error: i32) -> sock_filter {
    step(RETURN, libc::SECCOMP_RET_ERRNO | error.cast_unsigned(), 0, 0)
}

fn allow() -> sock_filter {
    step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0)
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).expect("system call numbers are small")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter as the kernel does, for a call of the native instruction set.
    fn verdict(call: libc::c_long, first_argument: u32) -> u32 {
        let program = program();
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let instruction = program[at];
            at += 1;
            let taken = match u32::from(instruction.code) {
                LOAD => {
                    accumulator = match instruction.k {
                        NUMBER => number(call),
                        ARCHITECTURE => NATIVE,
                        _ => first_argument,
                    };
                    continue;
                }
                EQUAL => accumulator == instruction.k,
                AT_LEAST => accumulator >= instruction.k,
                ANY_BIT => accumulator & instruction.k != 0,
                _ => return instruction.k,
            };
            at += usize::from(if taken { instruction.jt } else { instruction.jf });
        }
    }

    fn errno(error: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | error.cast_unsigned()
    }

    #[test]
    fn refuses_what_it_lists_and_allows_the_rest() {
        for call in REFUSED {
            assert_eq!(verdict(*call, 0), errno(libc::EPERM), "{call}");
        }
        for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_setresuid, libc::SYS_chroot, libc::SYS_capset] {
            assert_eq!(verdict(call, 0), libc::SECCOMP_RET_ALLOW, "{call}");
        }
        assert_eq!(verdict(libc::SYS_clone3, 0), errno(libc::ENOSYS));
        assert_eq!(verdict(libc::SYS_fsync, 0), errno(0));
    }

    #[test]
    fn looks_into_the_first_argument() {
        let new_user = libc::CLONE_NEWUSER.cast_unsigned();
        let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::SIGCHLD).cast_unsigned();
        for call in [libc::SYS_clone, libc::SYS_unshare] {
            assert_eq!(verdict(call, new_user | 0x11), errno(libc::EPERM));
            assert_eq!(verdict(call, thread), libc::SECCOMP_RET_ALLOW);
        }
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            for family in FAMILIES {
                assert_eq!(verdict(call, family.cast_unsigned()), libc::SECCOMP_RET_ALLOW, "{call} {family}");
            }
            for family in [libc::AF_VSOCK, libc::AF_ALG, libc::AF_BLUETOOTH] {
                assert_eq!(verdict(call, family.cast_unsigned()), errno(libc::EAFNOSUPPORT), "{call} {family}");
            }
        }
    }
}
