//! The first process inside a container: starts the payload, reaps what it leaves behind, hands on
//! its output, and ends everything when whoever asked for it goes away.
//!
//! It is built as a static program by the build script of the crate and embedded there, because
//! it must run in whatever root file system the container has. So it uses nothing but the standard
//! library and the C library's functions that are declared here.
//!
//! Standard input brings one message (see `src/inside.rs`): program, environment, working
//! directory and system call filters. As long as the input is open the container is wanted; its
//! end is the container's end. Standard output takes frames: one byte of kind, four of length
//! (little-endian), then the bytes.

use std::ffi::{CString, c_char, c_int, c_long, c_short, c_ulong, c_void};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicI32, Ordering};

const STANDING: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ENDED: u8 = 3;
const NOT_STARTED: u8 = 4;
const REFUSED: u8 = 5;

#[repr(C)]
struct PollFd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

#[repr(C)]
struct FilterProgram {
    length: u16,
    filter: *const c_void,
}

unsafe extern "C" {
    fn fork() -> c_int;
    fn pipe2(fds: *mut c_int, flags: c_int) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn close(fd: c_int) -> c_int;
    fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    fn write(fd: c_int, buffer: *const c_void, count: usize) -> isize;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn poll(fds: *mut PollFd, count: c_ulong, timeout: c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn setsid() -> c_int;
    fn umask(mask: u32) -> u32;
    fn chdir(path: *const c_char) -> c_int;
    fn execve(path: *const c_char, argv: *const *const c_char, env: *const *const c_char) -> c_int;
    fn prctl(option: c_int, ...) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn _exit(code: c_int) -> !;
}

const O_CLOEXEC: c_int = 0o2000000;
const POLLIN: c_short = 1;
const WNOHANG: c_int = 1;
const SIGKILL: c_int = 9;
const SIGPIPE: c_int = 13;
const SIGCHLD: c_int = 17;
const SIG_IGN: usize = 1;
const PR_SET_DUMPABLE: c_int = 4;
const PR_SET_SECCOMP: c_int = 22;
const PR_SET_NO_NEW_PRIVS: c_int = 38;
const SECCOMP_MODE_FILTER: c_ulong = 2;
const SYS_CLOSE_RANGE: c_long = 436;
/// The largest message: arguments and environment are bounded by the kernel far below.
const MAX_BYTES: usize = 64 << 20;

static CHILD_ENDED: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_child(_: c_int) {
    // SAFETY: `write` may be called from a signal handler; the byte lives on the stack.
    unsafe {
        let byte = [0u8];
        write(CHILD_ENDED.load(Ordering::Relaxed), byte.as_ptr().cast(), 1);
    }
}

struct Order {
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    filters: Vec<Vec<u8>>,
}

fn main() {
    let code = match run() {
        Ok(()) => 0,
        Err(error) => {
            frame(REFUSED, error.as_bytes());
            1
        }
    };
    std::process::exit(code);
}

fn frame(kind: u8, bytes: &[u8]) {
    let mut message = vec![kind];
    message.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    message.extend_from_slice(bytes);
    let mut out = std::io::stdout().lock();
    if out.write_all(&message).and_then(|()| out.flush()).is_err() {
        // Whoever asked is gone; with this process everything in the container ends.
        std::process::exit(1);
    }
}

fn last(step: &str) -> String {
    format!("{step}: {}", std::io::Error::last_os_error())
}

fn order() -> Result<Order, String> {
    let mut input = std::io::stdin().lock();
    let number = |input: &mut dyn Read| -> Result<usize, String> {
        let mut bytes = [0u8; 4];
        input.read_exact(&mut bytes).map_err(|error| format!("reading the order: {error}"))?;
        let number = u32::from_le_bytes(bytes) as usize;
        if number > MAX_BYTES { Err("the order is too long".to_owned()) } else { Ok(number) }
    };
    let list = |input: &mut dyn Read| -> Result<Vec<Vec<u8>>, String> {
        let count = number(input)?;
        let mut items = Vec::new();
        for _ in 0..count {
            let mut item = vec![0u8; number(input)?];
            input.read_exact(&mut item).map_err(|error| format!("reading the order: {error}"))?;
            items.push(item);
        }
        Ok(items)
    };
    let text = |items: Vec<Vec<u8>>| -> Result<Vec<CString>, String> {
        items
            .into_iter()
            .map(|item| CString::new(item).map_err(|_| "a text has a NUL character".to_owned()))
            .collect()
    };
    let argv = text(list(&mut input)?)?;
    let env = text(list(&mut input)?)?;
    let cwd = text(list(&mut input)?)?.pop().ok_or("there is no working directory")?;
    let filters = list(&mut input)?;
    Ok(Order { argv, env, cwd, filters })
}

fn pipe() -> Result<(c_int, c_int), String> {
    let mut fds = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    if unsafe { pipe2(fds.as_mut_ptr(), O_CLOEXEC) } != 0 {
        return Err(last("making a pipe"));
    }
    Ok((fds[0], fds[1]))
}

fn run() -> Result<(), String> {
    let order = order()?;
    let (out, out_end) = pipe()?;
    let (err, err_end) = pipe()?;
    let (failed, failed_end) = pipe()?;
    let (ended, ended_end) = pipe()?;
    CHILD_ENDED.store(ended_end, Ordering::Relaxed);
    // SAFETY: plain system calls on this process; the handler only writes to a pipe.
    unsafe {
        // The payload may not look into this process, whose descriptors lead outside.
        prctl(PR_SET_DUMPABLE, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, on_child as *const () as usize);
        if prctl(PR_SET_NO_NEW_PRIVS, 1 as c_ulong, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) != 0 {
            return Err(last("forbidding new privileges"));
        }
    }
    for filter in &order.filters {
        let program = FilterProgram {
            length: (filter.len() / 8) as u16,
            filter: filter.as_ptr().cast(),
        };
        // SAFETY: the program points to as many instructions of 8 bytes as it says.
        let set = unsafe { prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &raw const program) };
        if set != 0 {
            return Err(last("installing the system call filter"));
        }
    }
    frame(STANDING, b"");
    // SAFETY: this process has one thread.
    let child = unsafe { fork() };
    if child < 0 {
        return Err(last("starting the payload"));
    }
    if child == 0 {
        become_payload(&order, out_end, err_end, failed_end);
    }
    // SAFETY: they are this process's own ends, not used any more.
    unsafe {
        close(out_end);
        close(err_end);
        close(failed_end);
    }
    watch(child, [out, err, failed, ended])
}

fn become_payload(order: &Order, out: c_int, err: c_int, failed: c_int) -> ! {
    let argv: Vec<*const c_char> =
        order.argv.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    let env: Vec<*const c_char> =
        order.env.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    let places = places(order);
    // SAFETY: single-threaded after the fork; every pointer is to a live, terminated array.
    unsafe {
        dup2(open(c"/dev/null".as_ptr(), 0), 0);
        dup2(out, 1);
        dup2(err, 2);
        dup2(failed, 3);
        // Marked to be closed when the program starts, so that silence means that it did.
        const CLOSE_ON_EXEC: c_ulong = 4;
        if syscall(SYS_CLOSE_RANGE, 4 as c_ulong, 0xffff_ffff as c_ulong, 0 as c_ulong) != 0 {
            for fd in 4..1024 {
                close(fd);
            }
        }
        if syscall(SYS_CLOSE_RANGE, 3 as c_ulong, 3 as c_ulong, CLOSE_ON_EXEC) != 0 {
            unsafe extern "C" {
                fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
            }
            fcntl(3, 2, 1 as c_int);
        }
        signal(SIGPIPE, 0);
        signal(SIGCHLD, 0);
        umask(0o022);
        setsid();
        let mut worst = 2;
        if chdir(order.cwd.as_ptr()) != 0 {
            worst = std::io::Error::last_os_error().raw_os_error().unwrap_or(2);
        } else {
            for place in &places {
                execve(place.as_ptr(), argv.as_ptr(), env.as_ptr());
                let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
                if errno != 2 && errno != 20 {
                    worst = errno;
                }
            }
        }
        let bytes = worst.to_le_bytes();
        write(3, bytes.as_ptr().cast(), bytes.len());
        _exit(127)
    }
}

/// Where the program may be, as `execvp` looks for it.
fn places(order: &Order) -> Vec<CString> {
    let Some(program) = order.argv.first() else { return Vec::new() };
    if program.to_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let path = order.env.iter().find_map(|word| word.to_bytes().strip_prefix(b"PATH="));
    path.unwrap_or_default()
        .split(|byte| *byte == b':')
        .filter(|directory| directory.first() == Some(&b'/'))
        .filter_map(|directory| CString::new([directory, b"/", program.to_bytes()].concat()).ok())
        .collect()
}

/// Hands on output until the payload is over; then ends what is left and reports.
fn watch(child: c_int, fds: [c_int; 4]) -> Result<(), String> {
    let [out, err, mut failed, ended] = fds;
    // What has ended becomes -1, which is not polled.
    let mut streams = [(out, STDOUT), (err, STDERR)];
    let mut errno = Vec::new();
    let mut status = None;
    while status.is_none() {
        let wanted = [0, streams[0].0, streams[1].0, failed, ended];
        let mut ready = wanted.map(|fd| PollFd { fd, events: POLLIN, revents: 0 });
        // SAFETY: the array has as many entries as is said.
        if unsafe { poll(ready.as_mut_ptr(), 5, -1) } < 0 {
            continue;
        }
        if ready[0].revents != 0 && pump(0, None).is_none() {
            // Nobody wants it any more.
            end_all();
            std::process::exit(1);
        }
        for (stream, ready) in streams.iter_mut().zip(&ready[1..3]) {
            if ready.revents != 0 && pump(stream.0, Some(stream.1)).is_none() {
                stream.0 = -1;
            }
        }
        if ready[3].revents != 0 {
            match pump(failed, None) {
                Some(bytes) => errno.extend(bytes),
                None => failed = -1,
            }
        }
        if ready[4].revents != 0 {
            pump(ended, None);
            status = reap(child);
        }
    }
    // The payload may have written it and ended between two looks.
    if failed >= 0 && errno.is_empty() {
        errno.extend(pump(failed, None).unwrap_or_default());
    }
    finish(status, streams, errno)
}

/// Reaps everything that is over; the payload's status when it is among them.
fn reap(child: c_int) -> Option<c_int> {
    let mut payload = None;
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live integer.
        let pid = unsafe { waitpid(-1, &raw mut status, WNOHANG) };
        if pid <= 0 {
            return payload;
        }
        if pid == child {
            payload = Some(status);
        }
    }
}

fn end_all() {
    // SAFETY: every process of this pid namespace but this one.
    unsafe { kill(-1, SIGKILL) };
}

fn finish(status: Option<c_int>, streams: [(c_int, u8); 2], errno: Vec<u8>) -> Result<(), String> {
    end_all();
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live integer.
        let pid = unsafe { waitpid(-1, &raw mut status, 0) };
        if pid < 0 && std::io::Error::last_os_error().raw_os_error() == Some(10) {
            break;
        }
    }
    for (fd, kind) in streams {
        let mut ready = [PollFd { fd, events: POLLIN, revents: 0 }];
        // SAFETY: one entry.
        while unsafe { poll(ready.as_mut_ptr(), 1, 0) } > 0 {
            if pump(fd, Some(kind)).is_none() {
                break;
            }
        }
    }
    match (<[u8; 4]>::try_from(errno.as_slice()), status) {
        (Ok(errno), _) => frame(NOT_STARTED, &errno),
        (Err(_), Some(status)) => frame(ENDED, &status.to_le_bytes()),
        (Err(_), None) => return Err("the payload was lost".to_owned()),
    }
    // The reader looks at the container's figures now, and closes the input when it has them.
    let mut rest = Vec::new();
    drop(std::io::stdin().lock().read_to_end(&mut rest));
    Ok(())
}

/// Reads once; `None` at the end of the stream.
fn pump(fd: c_int, kind: Option<u8>) -> Option<Vec<u8>> {
    let mut buffer = [0u8; 32 << 10];
    // SAFETY: the buffer is as long as is said.
    let count = unsafe { read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    if count == 0 {
        return None;
    }
    let bytes = buffer.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default();
    if let Some(kind) = kind
        && !bytes.is_empty()
    {
        frame(kind, bytes);
    }
    Some(bytes.to_vec())
}
