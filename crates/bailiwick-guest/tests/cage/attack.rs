//! What the attacker does inside. The test program itself is the attacker: it is mounted into the
//! cage and started with [`MARKER`], upon which it does one thing and prints one line.

use std::arch::asm;
use std::ffi::{CString, c_long};
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::time::Duration;
use std::{fs, ptr};

/// The first argument that makes this program the attacker.
pub(crate) const MARKER: &str = "__attack";

#[expect(unsafe_code, reason = "the attacker must not be the test harness")]
// JUSTIFICATION: the harness owns `main`.
// SAFETY: a function of the C calling convention, called by the C library before `main`.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        let arguments: Vec<String> = std::env::args().collect();
        if arguments.get(1).map(String::as_str) == Some(MARKER) {
            let rest: Vec<&str> = arguments[2..].iter().map(String::as_str).collect();
            let line = match attack(&rest) {
                Ok(line) => line,
                Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), name_of),
            };
            println!("{line}");
            io::stdout().flush().unwrap();
            leave();
        }
    }
    before_main
};

fn name_of(errno: i32) -> String {
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::ESRCH => "ESRCH",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EROFS => "EROFS",
        libc::ENOTTY => "ENOTTY",
        libc::ENOSPC => "ENOSPC",
        libc::ENOSYS => "ENOSYS",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::ENETUNREACH => "ENETUNREACH",
        other => return format!("errno {other}"),
    };
    name.to_owned()
}

#[expect(unsafe_code, reason = "attacks are made of system calls")]
// JUSTIFICATION: no safe wrapper does what must not be done.
fn call(number: c_long, arguments: [c_long; 6]) -> io::Result<c_long> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: callers pass null, small numbers, or pointers to live C strings and buffers.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn address(text: &CString) -> c_long {
    text.as_ptr() as c_long
}

/// Does one thing; the line says what came of it.
fn attack(arguments: &[&str]) -> io::Result<String> {
    let done = |word: &str| Ok(word.to_owned());
    match arguments {
        ["remount", directory] => {
            let path = text(directory);
            let flags = (libc::MS_REMOUNT | libc::MS_BIND) as c_long;
            call(libc::SYS_mount, [0, address(&path), 0, flags, 0, 0])?;
            fs::write(format!("{directory}/planted"), "by the payload")?;
            done("written")
        }
        ["write", path] => fs::write(path, "by the payload").map(|()| "written".to_owned()),
        ["read", path] => {
            fs::read_to_string(path).map(|content| format!("read {}", content.trim()))
        }
        ["list", path] => {
            let mut names: Vec<String> = fs::read_dir(path)?
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            Ok(format!("listed {}", names.join(" ")))
        }
        ["mkdir", path] => fs::create_dir(path).map(|()| "made".to_owned()),
        ["connect", port] => {
            TcpStream::connect(("127.0.0.1", port.parse().unwrap())).map(|_| "connected".to_owned())
        }
        ["loopback"] => {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            TcpStream::connect(listener.local_addr()?)?;
            done("connected")
        }
        ["abstract", name] => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
            .map(|_| "connected".to_owned()),
        ["signal", pid] => call(libc::SYS_kill, [pid.parse().unwrap(), 0, 0, 0, 0, 0])
            .map(|_| "signalled".to_owned()),
        ["ptrace"] => {
            let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn()?;
            let pid = c_long::from(child.id());
            let result =
                call(libc::SYS_ptrace, [c_long::from(libc::PTRACE_SEIZE), pid, 0, 0, 0, 0]);
            child.kill()?;
            result.map(|_| "attached".to_owned())
        }
        ["mount"] => {
            let (kind, place) = (text("tmpfs"), text("/tmp"));
            call(libc::SYS_mount, [address(&kind), address(&place), address(&kind), 0, 0, 0])?;
            done("mounted")
        }
        ["unshare", flags] => {
            let flags = c_long::from_str_radix(flags, 16).unwrap();
            call(libc::SYS_unshare, [flags, 0, 0, 0, 0, 0]).map(|_| "unshared".to_owned())
        }
        ["clone", flags] => {
            let flags = c_long::from_str_radix(flags, 16).unwrap() | c_long::from(libc::SIGCHLD);
            exit_in_child(call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0])?);
            done("cloned")
        }
        ["clone3"] => {
            let mut arguments = [0u64; 8];
            arguments[4] = libc::SIGCHLD as u64;
            exit_in_child(call(
                libc::SYS_clone3,
                [arguments.as_mut_ptr() as c_long, 64, 0, 0, 0, 0],
            )?);
            done("cloned")
        }
        // Started as a program with the set-user-id bit, this tells as whom it runs.
        ["whoami"] => Ok(format!("user {}", rustix::process::geteuid().as_raw())),
        ["become", program] => {
            Err(std::process::Command::new(program).args([MARKER, "whoami"]).exec())
        }
        ["fork", count] => {
            for number in 0..count.parse::<u32>().unwrap() {
                match call(libc::SYS_clone, [c_long::from(libc::SIGCHLD), 0, 0, 0, 0, 0]) {
                    Ok(0) => loop {
                        std::thread::sleep(Duration::from_secs(60));
                    },
                    Ok(_) => {}
                    Err(error) => {
                        let errno = name_of(error.raw_os_error().unwrap());
                        return Ok(if number > 0 { format!("some, then {errno}") } else { errno });
                    }
                }
            }
            done("all forked")
        }
        ["allocate", mebibytes] => {
            let mut kept = Vec::new();
            for _ in 0..mebibytes.parse::<usize>().unwrap() {
                let mut block: Vec<u8> = Vec::new();
                block
                    .try_reserve_exact(1 << 20)
                    .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
                block.resize(1 << 20, 1);
                kept.push(std::hint::black_box(block));
            }
            done("allocated")
        }
        ["spin"] => loop {
            std::hint::spin_loop();
        },
        ["grow", path] => {
            let block = vec![0u8; 1 << 20];
            let mut file = fs::File::create(path)?;
            loop {
                file.write_all(&block)?;
            }
        }
        ["files"] => {
            let mut numbers: Vec<i32> = (0..64)
                .filter(|fd| {
                    call(libc::SYS_fcntl, [i64::from(*fd), libc::F_GETFD.into(), 0, 0, 0, 0])
                        .is_ok()
                })
                .collect();
            numbers.sort_unstable();
            Ok(format!("{numbers:?}"))
        }
        ["terminal"] => {
            let byte = b'x';
            call(
                libc::SYS_ioctl,
                [0, libc::TIOCSTI as c_long, ptr::from_ref(&byte) as c_long, 0, 0, 0],
            )?;
            done("typed")
        }
        // The same request with a bit set where the kernel does not look.
        ["terminal high"] => {
            let byte = b'x';
            call(
                libc::SYS_ioctl,
                [0, (1 << 40) | libc::TIOCSTI as c_long, ptr::from_ref(&byte) as c_long, 0, 0, 0],
            )?;
            done("typed")
        }
        ["socket", family, kind, protocol] => {
            let (family, kind) = (family.parse().unwrap(), kind.parse().unwrap());
            let protocol = protocol.parse().unwrap();
            call(libc::SYS_socket, [family, kind, protocol, 0, 0, 0]).map(|_| "made".to_owned())
        }
        ["call", number, rest @ ..] => {
            let mut arguments = [0; 6];
            for (slot, argument) in arguments.iter_mut().zip(rest) {
                *slot = argument.parse().unwrap();
            }
            call(number.parse().unwrap(), arguments).map(|_| "done".to_owned())
        }
        ["int80"] => {
            let mut result: i64 = 20; // getpid of the 32-bit interface
            #[expect(unsafe_code, reason = "the 32-bit interface")]
            // JUSTIFICATION: calls of another architecture's interface are what is to be stopped.
            // SAFETY: `getpid` changes nothing but the result register.
            unsafe {
                asm!("int 0x80", inlateout("rax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            }
            Ok(if result > 0 { "called".to_owned() } else { format!("no such interface {result}") })
        }
        ["rights"] => {
            let status = fs::read_to_string("/proc/self/status")?;
            let wanted = [
                "Groups",
                "CapInh",
                "CapPrm",
                "CapEff",
                "CapBnd",
                "CapAmb",
                "NoNewPrivs",
                "Seccomp",
            ];
            let line = |name: &&str| {
                let value =
                    status.lines().find_map(|line| line.strip_prefix(*name)?.strip_prefix(':'));
                format!("{name}={}", value.unwrap_or("?").trim())
            };
            Ok(wanted.iter().map(line).collect::<Vec<_>>().join(" "))
        }
        // A host process that starts a launcher and waits; to be killed. Runs outside any cage.
        ["hold", word] => super::life::hold(word),
        other => Ok(format!("unknown attack {other:?}")),
    }
}

fn exit_in_child(pid: c_long) {
    if pid == 0 {
        leave();
    }
}

fn leave() -> ! {
    #[expect(unsafe_code, reason = "the harness's own exit handlers must not run")]
    // JUSTIFICATION: this process never was the harness, or is a forked copy.
    // SAFETY: `_exit` has no precondition.
    unsafe {
        libc::_exit(0)
    }
}
