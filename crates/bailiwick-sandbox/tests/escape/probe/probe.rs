//! The attacker: one static program without any dependency, built by the suite with `rustc` and put
//! into every sandbox. It does one thing and prints one line: what came of it, or the name of the
//! error. Exit code 0 says only that a line was printed.

use std::ffi::{CString, c_char, c_int, c_long};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn _exit(code: c_int) -> !;
    fn shmget(key: c_int, size: usize, flags: c_int) -> c_int;
    fn shmat(id: c_int, address: *const u8, flags: c_int) -> *const c_char;
    fn msgget(key: c_int, flags: c_int) -> c_int;
    fn semget(key: c_int, count: c_int, flags: c_int) -> c_int;
}

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const MMAP: i64 = 9;
    pub const IOCTL: i64 = 16;
    pub const CLONE: i64 = 56;
    pub const EXECVE: i64 = 59;
    pub const KILL: i64 = 62;
    pub const FCNTL: i64 = 72;
    pub const PTRACE: i64 = 101;
    pub const PRCTL: i64 = 157;
    pub const MOUNT: i64 = 165;
    pub const UNSHARE: i64 = 272;
    pub const OPENAT: i64 = 257;
    pub const PROCESS_VM_READV: i64 = 310;
    pub const MEMFD_CREATE: i64 = 319;
    pub const EXECVEAT: i64 = 322;
    pub const CLONE3: i64 = 435;
    pub const MOUNT_SETATTR: i64 = 442;
}

type Answer = io::Result<String>;

fn call(number: i64, arguments: [i64; 6]) -> io::Result<i64> {
    let [a, b, c, d, e, f] = arguments;
    let result = unsafe { syscall(number, a, b, c, d, e, f) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn leave(code: i32) -> ! {
    unsafe { _exit(code) }
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn address(text: &CString) -> i64 {
    text.as_ptr() as i64
}

fn number(word: &str) -> i64 {
    let (sign, word) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
    let value = match word.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).unwrap() as i64,
        None => word.parse::<u64>().unwrap_or_else(|_| panic!("`{word}` is no number")) as i64,
    };
    sign * value
}

fn done(word: &str) -> Answer {
    Ok(word.to_owned())
}

fn told(host: &str, port: &str, words: &[u8], word: &str) -> Answer {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((host, port.parse::<u16>().unwrap()))?;
    for _ in 0..3 {
        socket.send(words)?;
        std::thread::sleep(Duration::from_millis(10));
    }
    done(word)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let line = match attack(&words) {
        Ok(line) => line,
        Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), name_of),
    };
    println!("{line}");
    io::stdout().flush().unwrap();
}

fn attack(words: &[&str]) -> Answer {
    match words {
        // ------------------------------------------------------------ any system call
        ["call", nr, rest @ ..] => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            let mut values = [0i64; 6];
            for (slot, word) in values.iter_mut().zip(rest) {
                *slot = match word.split_once(':') {
                    Some(("buf", size)) => {
                        kept.push(vec![0; size.parse().unwrap()]);
                        kept.last().unwrap().as_ptr() as i64
                    }
                    Some(("ints", list)) => {
                        let list: Vec<u8> =
                            list.split(',').flat_map(|n| (number(n) as i32).to_ne_bytes()).collect();
                        kept.push(list);
                        kept.last().unwrap().as_ptr() as i64
                    }
                    Some(("str", value)) => {
                        kept.push([value.as_bytes(), &[0]].concat());
                        kept.last().unwrap().as_ptr() as i64
                    }
                    Some(("pid", "self")) => i64::from(std::process::id()),
                    _ => number(word),
                };
            }
            call(number(nr), values)?;
            done("done")
        }
        // ------------------------------------------------------------ files
        ["write", path] => fs::write(path, "by the payload\n").map(|()| "written".to_owned()),
        ["append", path] => {
            fs::OpenOptions::new().append(true).open(path)?.write_all(b"by the payload\n")?;
            done("written")
        }
        ["put", path, content] => fs::write(path, content).map(|()| "written".to_owned()),
        ["read", path] => {
            let mut content = Vec::new();
            fs::File::open(path)?.take(200).read_to_end(&mut content)?;
            let content = String::from_utf8_lossy(&content).into_owned();
            Ok(format!("read {}", content.split_whitespace().collect::<Vec<_>>().join(" ")))
        }
        ["list", path] => {
            let mut names: Vec<String> = fs::read_dir(path)?
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            Ok(format!("listed {}", names.join(" ")).trim_end().to_owned())
        }
        ["open", path, flags] => {
            let path = text(path);
            call(nr::OPENAT, [-100, address(&path), number(flags), 0o600, 0, 0])?;
            done("opened")
        }
        ["mkdir", path] => fs::create_dir(path).map(|()| "made".to_owned()),
        ["unlink", path] => fs::remove_file(path).map(|()| "removed".to_owned()),
        ["rmdir", path] => fs::remove_dir(path).map(|()| "removed".to_owned()),
        ["rename", from, to] => fs::rename(from, to).map(|()| "renamed".to_owned()),
        ["link", from, to] => fs::hard_link(from, to).map(|()| "linked".to_owned()),
        ["chmod", path, mode] => {
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            done("changed")
        }
        ["chown", path, id] => {
            let id = id.parse().unwrap();
            std::os::unix::fs::chown(path, Some(id), Some(id)).map(|()| "changed".to_owned())
        }
        ["owner", path] => {
            fs::write(path, "x")?;
            Ok(format!("owner {}", fs::metadata(path)?.uid()))
        }
        ["truncate", path] => {
            fs::OpenOptions::new().write(true).truncate(true).open(path)?;
            done("emptied")
        }
        // Through a symbolic link that the payload plants first.
        ["via-link", link, target, how] => {
            drop(fs::remove_file(link));
            std::os::unix::fs::symlink(target, link)?;
            attack(&[how, link])
        }
        // A link and a directory change places while a path through them is used.
        ["race", place, target, file] => {
            let (inside, link) = (format!("{place}/d"), format!("{place}/l"));
            fs::create_dir_all(&inside)?;
            std::os::unix::fs::symlink(target, &link)?;
            let swaps = Arc::new(AtomicU64::new(0));
            let stop = Arc::new(AtomicU64::new(0));
            {
                let (inside, link) = (text(&inside), text(&link));
                let (swaps, stop) = (Arc::clone(&swaps), Arc::clone(&stop));
                std::thread::spawn(move || {
                    while stop.load(Ordering::Relaxed) == 0 {
                        // renameat2 with RENAME_EXCHANGE: half of the time the name is the link.
                        let _ = call(316, [-100, address(&inside), -100, address(&link), 2, 0]);
                        swaps.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            // By exchanges and tries, not by time: a busy machine must not make it harder.
            let begun = Instant::now();
            let mut last = "nothing".to_owned();
            let mut tries = 0;
            while (swaps.load(Ordering::Relaxed) < 3000 || tries < 300)
                && begun.elapsed() < Duration::from_secs(10)
            {
                tries += 1;
                match fs::read_to_string(format!("{inside}/{file}")) {
                    Ok(content) => return Ok(format!("read {}", content.trim())),
                    Err(error) => last = error.raw_os_error().map_or(String::new(), name_of),
                }
            }
            stop.store(1, Ordering::Relaxed);
            Ok(last)
        }
        // Climbing out of a directory that is opened as a place only.
        ["o_path", directory, rest] => {
            let directory = fs::OpenOptions::new().read(true).custom_flags(0o10000000).open(directory)?;
            let path = text(rest);
            let file = call(nr::OPENAT, [i64::from(directory.as_raw_fd()), address(&path), 0, 0, 0, 0])?;
            let mut content = String::new();
            unsafe { fs::File::from_raw_fd(file as i32) }.read_to_string(&mut content)?;
            Ok(format!("read {}", content.trim()))
        }
        ["mknod", path, kind, device] => {
            let path = text(path);
            call(133, [address(&path), number(kind) | 0o600, number(device), 0, 0, 0])?;
            done("made")
        }
        // ------------------------------------------------------------ mounts
        ["remount", directory] => {
            let path = text(directory);
            call(nr::MOUNT, [0, address(&path), 0, 32 | 4096, 0, 0])?;
            fs::write(format!("{directory}/planted"), "by the payload")?;
            done("written")
        }
        ["mount-setattr", directory] => {
            let path = text(directory);
            let attributes = [0u64, 1, 0, 0];
            call(nr::MOUNT_SETATTR, [-100, address(&path), 0x8000, attributes.as_ptr() as i64, 32, 0])?;
            fs::write(format!("{directory}/planted"), "by the payload")?;
            done("written")
        }
        ["mount", kind, place] => {
            let (kind, place) = (text(kind), text(place));
            call(nr::MOUNT, [address(&kind), address(&place), address(&kind), 0, 0, 0])?;
            done("mounted")
        }
        ["bind", from, to] => {
            let (from, to) = (text(from), text(to));
            call(nr::MOUNT, [address(&from), address(&to), 0, 4096, 0, 0])?;
            done("mounted")
        }
        // A mount without a flag that every mount but the named ones should have.
        ["mounts-without", flag, except @ ..] => {
            let table = fs::read_to_string("/proc/self/mountinfo")?;
            let mut bad: Vec<&str> = Vec::new();
            for line in table.lines() {
                let fields: Vec<&str> = line.split(' ').collect();
                let (place, flags) = (fields[4], fields[5]);
                let excepted = except.iter().any(|name| place == *name || place.starts_with(&format!("{name}/")));
                if !excepted && !flags.split(',').any(|one| one == *flag) {
                    bad.push(place);
                }
            }
            Ok(if bad.is_empty() { "none".to_owned() } else { "some".to_owned() })
        }
        // ------------------------------------------------------------ namespaces and users
        ["unshare", flags] => call(nr::UNSHARE, [number(flags), 0, 0, 0, 0, 0]).map(|_| "unshared".to_owned()),
        ["clone", flags] => {
            if call(nr::CLONE, [number(flags) | 17, 0, 0, 0, 0, 0])? == 0 {
                leave(0);
            }
            done("cloned")
        }
        ["clone3", flags] => {
            let arguments = [number(flags) as u64, 0, 0, 0, 17, 0, 0, 0];
            if call(nr::CLONE3, [arguments.as_ptr() as i64, 64, 0, 0, 0, 0])? == 0 {
                leave(0);
            }
            done("cloned")
        }
        ["whoami"] => {
            let status = fs::read_to_string("/proc/self/status")?;
            let ids = status.lines().find(|line| line.starts_with("Uid:")).unwrap_or("?");
            Ok(format!("user {}", ids.split_whitespace().nth(2).unwrap_or("?")))
        }
        ["become", program, rest @ ..] => Err(Command::new(program).args(rest).exec()),
        ["status", field] => {
            let status = fs::read_to_string("/proc/self/status")?;
            let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            Ok(format!("{field} {}", value.unwrap_or("?").trim()).trim_end().to_owned())
        }
        ["namespace", name] => {
            Ok(fs::read_link(format!("/proc/self/ns/{name}"))?.display().to_string())
        }
        ["same-namespace", name, other] => {
            let own = fs::read_link(format!("/proc/self/ns/{name}"))?.display().to_string();
            Ok(if own == *other { "the same".to_owned() } else { "its own".to_owned() })
        }
        ["setuid", id] => call(105, [number(id), 0, 0, 0, 0, 0]).map(|_| "changed".to_owned()),
        ["prctl", option, argument] => {
            call(nr::PRCTL, [number(option), number(argument), 0, 0, 0, 0]).map(|_| "done".to_owned())
        }
        ["hostname", name] => {
            let name = text(name);
            call(170, [address(&name), name.as_bytes().len() as i64, 0, 0, 0, 0]).map(|_| "changed".to_owned())
        }
        ["env", name] => Ok(std::env::var(name).map_or("unset".to_owned(), |value| format!("set {value}"))),
        ["environ-of", pid] => {
            let all = fs::read(format!("/proc/{pid}/environ"))?;
            Ok(if all.is_empty() { "empty".to_owned() } else { "read".to_owned() })
        }
        // ------------------------------------------------------------ network
        ["connect", host, port] => {
            let address = (*host, port.parse().unwrap()).to_socket_addrs()?.next().unwrap();
            TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(|_| "connected".to_owned())
        }
        // The second datagram learns whether anybody heard the first.
        ["udp", host, port, words] => told(host, port, words.as_bytes(), "sent"),
        ["look-up", host, port, name] => {
            // The query as it is on the wire, so that no resolver library is needed.
            let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            for label in name.split('.') {
                query.push(label.len() as u8);
                query.extend_from_slice(label.as_bytes());
            }
            query.extend_from_slice(&[0, 0, 1, 0, 1]);
            told(host, port, &query, "asked")
        }
        ["loopback"] => {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            TcpStream::connect(listener.local_addr()?)?;
            done("connected")
        }
        ["unix", path] => UnixStream::connect(path).map(|_| "connected".to_owned()),
        ["unix-datagram", path] => {
            UnixDatagram::unbound()?.connect(path).map(|()| "connected".to_owned())
        }
        ["abstract", name] => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
            .map(|_| "connected".to_owned()),
        ["socket", family, kind, protocol] => {
            call(41, [number(family), number(kind), number(protocol), 0, 0, 0]).map(|_| "made".to_owned())
        }
        ["interfaces"] => {
            let table = fs::read_to_string("/proc/net/dev")?;
            let mut names: Vec<&str> =
                table.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
            names.sort_unstable();
            Ok(format!("interfaces {}", names.join(" ")))
        }
        // ------------------------------------------------------------ processes
        ["signal", pid, signal] => {
            call(nr::KILL, [number(pid), number(signal), 0, 0, 0, 0]).map(|_| "signalled".to_owned())
        }
        ["ptrace", pid] => call(nr::PTRACE, [0x4206, number(pid), 0, 0, 0, 0]).map(|_| "attached".to_owned()),
        ["ptrace-child"] => {
            let mut child = Command::new("/bin/sleep").arg("60").spawn()?;
            let result = call(nr::PTRACE, [0x4206, i64::from(child.id()), 0, 0, 0, 0]);
            child.kill()?;
            result.map(|_| "attached".to_owned())
        }
        ["vm-read-child"] => {
            let mut child = Command::new("/bin/sleep").arg("60").spawn()?;
            let buffer = [0u8; 8];
            let (local, remote) = ([buffer.as_ptr() as u64, 8], [0x400000u64, 8]);
            let result = call(
                nr::PROCESS_VM_READV,
                [i64::from(child.id()), local.as_ptr() as i64, 1, remote.as_ptr() as i64, 1, 0],
            );
            child.kill()?;
            match result {
                // The address need not be mapped: what counts is whether the kernel looks.
                Err(error) if error.raw_os_error() == Some(14) => done("read"),
                other => other.map(|_| "read".to_owned()),
            }
        }
        ["sees", pid] => {
            fs::metadata(format!("/proc/{pid}"))?;
            done("seen")
        }
        ["memory-of", pid] => {
            fs::OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
            done("opened")
        }
        ["processes"] => {
            let count = fs::read_dir("/proc")?
                .flatten()
                .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()))
                .count();
            Ok(if count > 3 { "others too".to_owned() } else { "its own".to_owned() })
        }
        ["files"] => {
            let open = (3..256)
                .filter(|fd| call(nr::FCNTL, [*fd, 1, 0, 0, 0, 0]).is_ok())
                .count();
            Ok(if open == 0 { "none".to_owned() } else { "some".to_owned() })
        }
        ["threads-of-init"] => fs::read_link("/proc/1/exe").map(|_| "seen".to_owned()),
        // ------------------------------------------------------------ shared memory of System V
        ["shm", key] => {
            let id = unsafe { shmget(number(key) as c_int, 0, 0) };
            if id < 0 {
                return Err(io::Error::last_os_error());
            }
            let place = unsafe { shmat(id, std::ptr::null(), 0o10000) };
            if place as isize == -1 { Err(io::Error::last_os_error()) } else { done("attached") }
        }
        ["msg", key] => {
            let id = unsafe { msgget(number(key) as c_int, 0) };
            if id < 0 { Err(io::Error::last_os_error()) } else { done("attached") }
        }
        ["sem", key] => {
            let id = unsafe { semget(number(key) as c_int, 0, 0) };
            if id < 0 { Err(io::Error::last_os_error()) } else { done("attached") }
        }
        // ------------------------------------------------------------ limits
        ["fork", count] => {
            let mut children = Vec::new();
            for made in 0..count.parse::<u32>().unwrap() {
                match call(nr::CLONE, [17, 0, 0, 0, 0, 0]) {
                    Ok(0) => loop {
                        std::thread::sleep(Duration::from_secs(60));
                    },
                    Ok(child) => children.push(child),
                    Err(error) => {
                        let errno = name_of(error.raw_os_error().unwrap());
                        for child in &children {
                            let _ = call(nr::KILL, [*child, 9, 0, 0, 0, 0]);
                        }
                        return Ok(if made > 0 { format!("some, then {errno}") } else { errno });
                    }
                }
            }
            for child in &children {
                let _ = call(nr::KILL, [*child, 9, 0, 0, 0, 0]);
            }
            done("all forked")
        }
        // Every child forks on: what a limit on one process does not stop.
        // The first process only waits, so that a bomb that nobody stops comes to an end.
        ["bomb", milliseconds] => {
            if call(nr::CLONE, [17, 0, 0, 0, 0, 0])? == 0 {
                loop {
                    if call(nr::CLONE, [17, 0, 0, 0, 0, 0]).is_err() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
            done("waited")
        }
        ["threads", count] => {
            for made in 0..count.parse::<u32>().unwrap() {
                let thread = std::thread::Builder::new().stack_size(32 << 10);
                if thread.spawn(|| std::thread::sleep(Duration::from_secs(60))).is_err() {
                    return Ok(if made > 0 { "some".to_owned() } else { "none".to_owned() });
                }
            }
            done("all started")
        }
        ["allocate", mebibytes] => {
            let mut kept = Vec::new();
            for _ in 0..mebibytes.parse::<usize>().unwrap() {
                let mut block: Vec<u8> = Vec::new();
                block.try_reserve_exact(1 << 20).map_err(|_| io::Error::from_raw_os_error(12))?;
                block.resize(1 << 20, 1);
                kept.push(std::hint::black_box(block));
            }
            done("allocated")
        }
        // By many processes together, each of them modest.
        ["allocate-by", processes, mebibytes] => {
            let mut children = Vec::new();
            for _ in 0..processes.parse::<usize>().unwrap() {
                children.push(Command::new("/proc/self/exe").args(["hold", mebibytes]).stdout(std::process::Stdio::piped()).spawn()?);
            }
            let mut held = 0;
            for child in &mut children {
                let mut line = [0u8; 4];
                if child.stdout.as_mut().unwrap().read_exact(&mut line).is_ok() && &line == b"held" {
                    held += 1;
                }
            }
            let all = held == children.len();
            for child in &mut children {
                let _ = child.kill();
            }
            Ok(if all { "allocated".to_owned() } else { "killed".to_owned() })
        }
        ["hold", mebibytes] => {
            let block = std::hint::black_box(vec![1u8; mebibytes.parse::<usize>().unwrap() << 20]);
            println!("held");
            io::stdout().flush()?;
            std::thread::sleep(Duration::from_secs(60));
            Ok(format!("{}", block.len()))
        }
        ["lock-memory", mebibytes] => {
            let size = mebibytes.parse::<i64>().unwrap() << 20;
            // MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED
            call(nr::MMAP, [0, size, 3, 0x2022, -1, 0]).map(|_| "locked".to_owned())
        }
        ["spin", milliseconds] => {
            // By its own processor time: a busy machine must not make it easier.
            let wanted = milliseconds.parse::<u64>().unwrap();
            loop {
                let time = [0u64; 2];
                call(228, [2, time.as_ptr() as i64, 0, 0, 0, 0])?;
                let time = std::hint::black_box(time);
                if time[0] * 1000 + time[1] / 1_000_000 >= wanted {
                    break;
                }
                (0..100_000).for_each(|_| std::hint::spin_loop());
            }
            done("spun")
        }
        ["spin-by", processes, milliseconds] => {
            let mut children = Vec::new();
            for _ in 0..processes.parse::<usize>().unwrap() {
                children.push(Command::new("/proc/self/exe").args(["spin", milliseconds]).spawn()?);
            }
            for child in &mut children {
                child.wait()?;
            }
            done("spun")
        }
        ["wait", milliseconds] => {
            std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
            done("waited")
        }
        ["grow", path, mebibytes] => {
            let block = vec![1u8; 1 << 20];
            let mut file = fs::File::create(path)?;
            for _ in 0..mebibytes.parse::<u32>().unwrap() {
                file.write_all(&block)?;
            }
            done("grown")
        }
        ["grow-many", directory, files, mebibytes] => {
            let block = vec![1u8; mebibytes.parse::<usize>().unwrap() << 20];
            for number in 0..files.parse::<u32>().unwrap() {
                fs::write(format!("{directory}/filler{number}"), &block)?;
                // A filler in no hurry: the launcher has to look often enough all the same.
                std::thread::sleep(Duration::from_millis(30));
            }
            done("grown")
        }
        ["grow-nameless", path, mebibytes] => {
            let block = vec![1u8; 1 << 20];
            let mut file = fs::File::create(path)?;
            fs::remove_file(path)?;
            for _ in 0..mebibytes.parse::<u32>().unwrap() {
                file.write_all(&block)?;
                std::thread::sleep(Duration::from_millis(3));
            }
            // Held, so that the launcher, which looks from time to time, has the time to look.
            std::thread::sleep(Duration::from_secs(5));
            done("grown")
        }
        ["many-files", directory, count] => {
            for number in 0..count.parse::<u32>().unwrap() {
                fs::File::create(format!("{directory}/f{number}"))?;
            }
            done("made")
        }
        ["flood", mebibytes] => {
            let block = vec![b'x'; 1 << 20];
            for _ in 0..mebibytes.parse::<u32>().unwrap() {
                io::stdout().write_all(&block)?;
            }
            done("\nflooded")
        }
        ["open-files", count] => {
            let mut kept = Vec::new();
            for _ in 0..count.parse::<u32>().unwrap() {
                kept.push(fs::File::open("/dev/null")?);
            }
            done("all opened")
        }
        ["limit", resource, value] => {
            let limits = [number(value), number(value)];
            call(160, [number(resource), limits.as_ptr() as i64, 0, 0, 0, 0]).map(|_| "raised".to_owned())
        }
        ["core"] => {
            let child = call(nr::CLONE, [17, 0, 0, 0, 0, 0])?;
            if child == 0 {
                let me = i64::from(std::process::id());
                let _ = call(nr::KILL, [me, 11, 0, 0, 0, 0]);
                leave(0);
            }
            let mut status = 0i32;
            call(61, [child, (&raw mut status) as i64, 0, 0, 0, 0])?;
            Ok(if status & 0x80 != 0 { "dumped".to_owned() } else { "no core".to_owned() })
        }
        // What the command leaves behind: a process in a session of its own.
        ["leave-behind", word] => {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("exec sleep {word}")]);
            command.stdin(std::process::Stdio::null());
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            // A session of its own, and no parent that waits.
            if call(nr::CLONE, [17, 0, 0, 0, 0, 0])? == 0 {
                let _ = call(112, [0; 6]);
                let _ = command.spawn();
                leave(0);
            }
            std::thread::sleep(Duration::from_millis(50));
            done("left")
        }
        // ------------------------------------------------------------ terminals
        ["terminal", request] => {
            let byte = b'x';
            call(nr::IOCTL, [0, number(request), (&raw const byte) as i64, 0, 0, 0])?;
            done("typed")
        }
        // ------------------------------------------------------------ running programs
        ["exec", path, rest @ ..] => Err(Command::new(path).args(rest).exec()),
        ["exec-memory", path, rest @ ..] => {
            let name = text("innocent");
            let memory = call(nr::MEMFD_CREATE, [address(&name), 0, 0, 0, 0, 0])?;
            let mut file = unsafe { fs::File::from_raw_fd(memory as i32) };
            file.write_all(&fs::read(path)?)?;
            let arguments: Vec<CString> =
                std::iter::once("innocent").chain(rest.iter().copied()).map(text).collect();
            let mut pointers: Vec<i64> = arguments.iter().map(address).collect();
            pointers.push(0);
            let (empty, environment) = (text(""), [0i64]);
            call(
                nr::EXECVEAT,
                [memory, address(&empty), pointers.as_ptr() as i64, environment.as_ptr() as i64, 0x1000, 0],
            )?;
            done("started")
        }
        ["exec-fd", path, rest @ ..] => {
            let file = fs::File::open(path)?;
            let name = text(&format!("/proc/self/fd/{}", file.as_raw_fd()));
            let arguments: Vec<CString> =
                std::iter::once(*path).chain(rest.iter().copied()).map(text).collect();
            let mut pointers: Vec<i64> = arguments.iter().map(address).collect();
            pointers.push(0);
            let environment = [0i64];
            call(nr::EXECVE, [address(&name), pointers.as_ptr() as i64, environment.as_ptr() as i64, 0, 0, 0])?;
            done("started")
        }
        ["exec-deleted", path, copy, rest @ ..] => {
            fs::copy(path, copy)?;
            let file = fs::File::open(copy)?;
            fs::remove_file(copy)?;
            let name = text(&format!("/proc/self/fd/{}", file.as_raw_fd()));
            let arguments: Vec<CString> =
                std::iter::once("innocent").chain(rest.iter().copied()).map(text).collect();
            let mut pointers: Vec<i64> = arguments.iter().map(address).collect();
            pointers.push(0);
            let environment = [0i64];
            call(nr::EXECVE, [address(&name), pointers.as_ptr() as i64, environment.as_ptr() as i64, 0, 0, 0])?;
            done("started")
        }
        // ------------------------------------------------------------ other interfaces of the kernel
        #[cfg(target_arch = "x86_64")]
        ["int80"] => {
            let mut result: i64 = 20; // getpid of the 32-bit interface
            unsafe {
                std::arch::asm!("int 0x80", inlateout("rax") result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            }
            Ok(if result > 0 { "called".to_owned() } else { "ENOSYS".to_owned() })
        }
        other => Ok(format!("unknown attack {other:?}")),
    }
}

fn name_of(errno: i32) -> String {
    let name = match errno {
        1 => "EPERM",
        2 => "ENOENT",
        3 => "ESRCH",
        5 => "EIO",
        6 => "ENXIO",
        7 => "E2BIG",
        8 => "ENOEXEC",
        9 => "EBADF",
        10 => "ECHILD",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        15 => "ENOTBLK",
        16 => "EBUSY",
        17 => "EEXIST",
        18 => "EXDEV",
        19 => "ENODEV",
        20 => "ENOTDIR",
        21 => "EISDIR",
        22 => "EINVAL",
        24 => "EMFILE",
        25 => "ENOTTY",
        26 => "ETXTBSY",
        27 => "EFBIG",
        28 => "ENOSPC",
        30 => "EROFS",
        38 => "ENOSYS",
        40 => "ELOOP",
        93 => "EPROTONOSUPPORT",
        94 => "ESOCKTNOSUPPORT",
        95 => "EOPNOTSUPP",
        97 => "EAFNOSUPPORT",
        99 => "EADDRNOTAVAIL",
        101 => "ENETUNREACH",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        113 => "EHOSTUNREACH",
        126 => "ENOKEY",
        other => return format!("errno {other}"),
    };
    name.to_owned()
}
