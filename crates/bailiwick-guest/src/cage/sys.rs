//! System calls that no safe wrapper exists for. Every `unsafe` of the cage is in this file.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::mount::MountAttrFlags;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Which side of a fork this is.
#[derive(Debug)]
pub(crate) enum Forked {
    /// The process that forked, with the new one's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks into new namespaces (`CLONE_NEW…` flags, possibly none).
///
/// To be called from a process with one thread: the child goes on with a copy of its memory.
pub(crate) fn fork_into(namespaces: libc::c_int) -> io::Result<Forked> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    #[expect(unsafe_code, reason = "forking into namespaces has no safe wrapper")]
    // JUSTIFICATION: `fork` cannot make namespaces, and `unshare` cannot move the caller into a
    // pid namespace.
    // SAFETY: without `CLONE_VM` and with a null stack, `clone` behaves as `fork`: the child has
    // a copy of the memory and returns here. The launcher has no other thread whose locks could
    // be held in the copy. No flag passed makes the kernel read or write the other arguments.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            flags,
            0 as libc::c_long,
            0 as libc::c_long,
            0 as libc::c_long,
            0 as libc::c_long,
        )
    };
    match i32::try_from(pid) {
        Ok(0) => Ok(Forked::Child),
        Ok(pid @ 1..) => {
            Pid::from_raw(pid).map(Forked::Parent).ok_or_else(io::Error::last_os_error)
        }
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Ends this process without running destructors or exit handlers.
pub(crate) fn exit(code: i32) -> ! {
    #[expect(unsafe_code, reason = "ending a forked copy has no safe wrapper")]
    // JUSTIFICATION: a forked copy must not run the exit handlers of the program it was copied from.
    // SAFETY: `_exit` has no precondition and does not return.
    unsafe {
        libc::_exit(code)
    }
}

/// Moves this process into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(unsafe_code, reason = "`unshare` may break the file table that safe code relies on")]
    // JUSTIFICATION: the inner user and mount namespace can be had in no other way.
    // SAFETY: only `CLONE_FILES` makes `unshare` unsafe (file descriptors become invalid for other
    // threads); callers pass namespace flags only, and there is one thread.
    let result = unsafe { rustix::thread::unshare_unsafe(flags) };
    Ok(result?)
}

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Sets attributes of a mount, of everything mounted below it as well if `recursive`, and makes it
/// private, so that nothing mounted on the host later appears in it.
pub(crate) fn set_mount_attributes(
    mount: impl AsFd,
    set: MountAttrFlags,
    recursive: bool,
) -> io::Result<()> {
    let attr = MountAttr {
        set: u64::from(set.bits()),
        clear: 0,
        propagation: libc::MS_PRIVATE,
        user_namespace: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let empty: &CStr = c"";
    #[expect(unsafe_code, reason = "`mount_setattr` has no safe wrapper")]
    // JUSTIFICATION: only this call sets attributes of a whole tree of mounts at once.
    // SAFETY: the descriptor is open, the path is a C string, and `attr` has the layout and, in
    // the last argument, the size of the kernel's `struct mount_attr`; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            empty.as_ptr(),
            flags,
            ptr::from_ref(&attr),
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    #[expect(unsafe_code, reason = "interface flags have no safe wrapper")]
    // JUSTIFICATION: tests that listen on 127.0.0.1 need the interface, and nothing safe sets it.
    // SAFETY: `ifreq` is plain data, for which all-zero bytes are valid; the name fits with its
    // terminating zero; the kernel reads the union member that was written (flags).
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = libc::c_char::from_ne_bytes([*from]);
        }
        request.ifr_ifru.ifru_flags =
            libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0);
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, ptr::from_ref(&request))
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Closes every file from 3 on, or marks it to be closed by `execve`.
pub(crate) fn close_from_3(only_on_exec: bool) -> io::Result<()> {
    let flags: libc::c_uint = if only_on_exec { libc::CLOSE_RANGE_CLOEXEC } else { 0 };
    #[expect(unsafe_code, reason = "closing files that are not owned has no safe wrapper")]
    // JUSTIFICATION: files leaked by whoever started us must not reach the payload.
    // SAFETY: called when this program owns no file from 3 on (at its very start), or with the
    // flag that closes nothing now.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, flags)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts a signal's handling back to the default, or ignores it.
pub(crate) fn handle_by_default(signal: libc::c_int, ignore: bool) {
    let handler = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    #[expect(unsafe_code, reason = "signal handling has no safe wrapper")]
    // JUSTIFICATION: the payload must not inherit what this program set for itself.
    // SAFETY: no handler function is installed; an invalid number is an error without effect.
    let _previous = unsafe { libc::signal(signal, handler) };
}

/// Blocks no signal.
pub(crate) fn unblock_signals() {
    #[expect(unsafe_code, reason = "signal masks have no safe wrapper")]
    // JUSTIFICATION: the payload must not inherit a mask.
    // SAFETY: `set` is initialised by `sigemptyset` before it is read; no old mask is asked for.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
    }
}

/// Replaces this process by a program. Only returns when that fails.
pub(crate) fn execute(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain(std::iter::once(ptr::null())).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    #[expect(unsafe_code, reason = "`execve` has no safe wrapper")]
    // JUSTIFICATION: `std::process` would add an environment and a fork of its own.
    // SAFETY: both arrays end with a null pointer and point to C strings that outlive the call.
    unsafe {
        libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr());
    }
    io::Error::last_os_error()
}

/// Makes `file` the descriptor `number`, one of 0, 1 and 2.
pub(crate) fn put_at(file: impl AsFd, number: libc::c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "`dup2` replaces a descriptor that is not owned")]
    // JUSTIFICATION: the standard streams of the payload are these three numbers.
    // SAFETY: both are valid descriptors; 0 to 2 are never owned by a Rust object of this program.
    let result = unsafe { libc::dup2(file.as_fd().as_raw_fd(), number) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Installs a system call filter for this process and all that it starts; with `listener` gives the
/// file over which calls are asked about. Unlike the library's way this does not set
/// `no_new_privs` on the side: without it, and without a capability, the kernel refuses.
pub(crate) fn install_filter(
    program: &[seccompiler::sock_filter],
    listener: bool,
) -> io::Result<Option<OwnedFd>> {
    #[repr(C)]
    struct Program {
        length: libc::c_ushort,
        filter: *const seccompiler::sock_filter,
    }
    let length = libc::c_ushort::try_from(program.len())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = Program { length, filter: program.as_ptr() };
    let flags = if listener { libc::SECCOMP_FILTER_FLAG_NEW_LISTENER } else { 0 };
    #[expect(unsafe_code, reason = "a filter with a listener has no safe wrapper")]
    // JUSTIFICATION: the library can install filters, but none with a listener.
    // SAFETY: `program` has the layout of `struct sock_fprog` and points to `length` instructions
    // that outlive the call; the kernel copies and checks them. A listener that is given is a new
    // descriptor that nobody else owns.
    unsafe {
        let result = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            ptr::from_ref(&program),
        );
        match libc::c_int::try_from(result) {
            Ok(0) if !listener => Ok(None),
            Ok(file @ 0..) if listener => Ok(Some(OwnedFd::from_raw_fd(file))),
            Ok(_) | Err(_) => Err(io::Error::last_os_error()),
        }
    }
}
