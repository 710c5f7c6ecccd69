//! The system call filter: what no build, test or tool needs, and what attacks on kernels use.
//!
//! It is a list of refusals on top of namespaces, missing capabilities and Landlock, each of which
//! already stops most of these calls. A call that this list does not know, because a newer kernel
//! brought it, is answered as if the kernel did not have it.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, sock_filter,
};

use super::sys;
use crate::reply::CageError;

/// The newest call whose meaning is known here: `removexattrat`. What follows, beginning with
/// `open_tree_attr`, does not exist inside.
const NEWEST_KNOWN: u32 = 466;
/// Set in the numbers of the x32 interface, which is no part of what is filtered by number.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// Refused with `EPERM`, whatever the arguments.
const REFUSED: &[i64] = &[
    // Mounts: nothing about the file system tree may change.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    // Namespaces of others.
    libc::SYS_setns,
    // Other processes' memory and files.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Large parts of the kernel that ordinary programs have no business in.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_lookup_dcookie,
    libc::SYS_memfd_secret,
    libc::SYS_vmsplice,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Keys, which are not divided by namespaces.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The machine itself.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Files by handle, which ignore where a mount begins.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Answered with `ENOSYS`, after which programs use the older call.
const UNKNOWN: &[i64] = &[
    // Its flags are in memory, where a filter cannot look.
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Every flag that makes a namespace.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// Only of `unshare`: in `clone` these bits are the signal's number.
const CLONE_NEWTIME: u64 = 0x80;

/// Terminal requests that put input into a terminal as if it had been typed.
const TERMINAL_INPUT: [u64; 2] = [0x5412, 0x541c];

/// Installs the filter for this process and all that it starts. Needs `no_new_privs`.
pub(super) fn install() -> Result<(), CageError> {
    for program in programs()
        .map_err(|error| CageError::new("making the system call filter", error.to_string()))?
    {
        sys::install_filter(&program, false)
            .map_err(CageError::at("installing the system call filter"))?;
    }
    Ok(())
}

/// The filters as bytes for `prctl(PR_SET_SECCOMP)`, for a first process elsewhere that installs
/// them itself: that of a container.
pub fn seccomp_filters() -> Result<Vec<Vec<u8>>, CageError> {
    let programs = programs()
        .map_err(|error| CageError::new("making the system call filter", error.to_string()))?;
    let bytes = |program: &BpfProgram| -> Vec<u8> {
        let instruction = |i: &sock_filter| {
            let [code, more] = i.code.to_ne_bytes();
            let [a, b, c, d] = i.k.to_ne_bytes();
            [code, more, i.jt, i.jf, a, b, c, d]
        };
        program.iter().flat_map(instruction).collect()
    };
    Ok(programs.iter().map(bytes).collect())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn programs() -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let target: TargetArch = std::env::consts::ARCH.try_into()?;
    let program =
        |rules: Rules, errno: libc::c_int| -> Result<BpfProgram, seccompiler::BackendError> {
            let answer = SeccompAction::Errno(errno.unsigned_abs());
            SeccompFilter::new(rules, SeccompAction::Allow, answer, target)?.try_into()
        };
    // Of several filters the strictest answer counts, so their order does not matter; the first
    // begins with what the library cannot say.
    let mut first = preamble();
    first.extend(program(refused()?, libc::EPERM)?);
    let unknown = UNKNOWN.iter().map(|call| (*call, Vec::new())).collect();
    Ok(vec![first, program(unknown, libc::ENOSYS)?, program(families()?, libc::EAFNOSUPPORT)?])
}

fn refused() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let flag = |flag: u64| one(0, Op::MaskedEq(flag), flag);
    let namespaces =
        || NAMESPACES.iter().map(|namespace| flag(u64::from(namespace.unsigned_abs())));
    rules.insert(libc::SYS_clone, namespaces().collect::<Result<_, _>>()?);
    rules.insert(
        libc::SYS_unshare,
        namespaces().chain([flag(CLONE_NEWTIME)]).collect::<Result<_, _>>()?,
    );
    let requests = TERMINAL_INPUT.iter().map(|request| one(1, Op::Eq, *request));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    // Asking for the personality and asking for the ordinary one are harmless.
    let other = SeccompRule::new(vec![
        SeccompCondition::new(0, Len::Dword, Op::Ne, 0)?,
        SeccompCondition::new(0, Len::Dword, Op::Ne, 0xffff_ffff)?,
    ])?;
    rules.insert(libc::SYS_personality, vec![other]);
    // Raw sockets of the internet families.
    let raw = |family| {
        SeccompRule::new(vec![
            SeccompCondition::new(0, Len::Dword, Op::Eq, number(family))?,
            SeccompCondition::new(1, Len::Dword, Op::MaskedEq(0xf), number(libc::SOCK_RAW))?,
        ])
    };
    rules.insert(libc::SYS_socket, vec![raw(libc::AF_INET)?, raw(libc::AF_INET6)?]);
    Ok(rules)
}

/// Sockets of other families than these do not exist. Of netlink there is only what lists network
/// interfaces, which runtimes do at their start; changing them takes a capability.
fn families() -> Result<Rules, seccompiler::BackendError> {
    let known = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let other =
        known.iter().map(|family| SeccompCondition::new(0, Len::Dword, Op::Ne, number(*family)));
    let other = SeccompRule::new(other.collect::<Result<_, _>>()?)?;
    let netlink = SeccompRule::new(vec![
        SeccompCondition::new(0, Len::Dword, Op::Eq, number(libc::AF_NETLINK))?,
        SeccompCondition::new(2, Len::Dword, Op::Ne, number(libc::NETLINK_ROUTE))?,
    ])?;
    let rules = vec![other, netlink];
    Ok(Rules::from([(libc::SYS_socket, rules.clone()), (libc::SYS_socketpair, rules)]))
}

fn one(argument: u8, operator: Op, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    // Comparing 32 bits, as the kernel does for these arguments: garbage above must not help.
    SeccompRule::new(vec![SeccompCondition::new(argument, Len::Dword, operator, value)?])
}

fn number(value: libc::c_int) -> u64 {
    u64::from(value.unsigned_abs())
}

/// Kills what calls through another architecture's interface or through x32, and answers calls
/// that are too new as unknown. Falls through to the instruction after it otherwise.
fn preamble() -> BpfProgram {
    // Of `struct seccomp_data`: the call's number and the architecture.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    #[cfg(target_arch = "x86_64")]
    const IF_AT_LEAST: u16 = 0x35;
    const IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let kill = instruction(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS);
    let no_call = instruction(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs());
    vec![
        instruction(LOAD, 0, 0, ARCHITECTURE),
        instruction(IF_EQUAL, 1, 0, NATIVE),
        kill.clone(),
        instruction(LOAD, 0, 0, NUMBER),
        #[cfg(target_arch = "x86_64")]
        instruction(IF_AT_LEAST, 0, 1, X32),
        #[cfg(target_arch = "x86_64")]
        kill,
        instruction(IF_GREATER, 0, 1, NEWEST_KNOWN),
        no_call,
    ]
}

/// `AUDIT_ARCH_…` of the native interface.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const NATIVE: u32 = 0xc000_00f3;
