//! Resource limits of single processes: the only ones where there is no cgroup, and a second
//! line where there is.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::spec::Limits;

/// Lowers the limits of this process and all that it starts; none is ever raised.
///
/// `memory_too` is for machines without a memory cgroup: it limits what a process writes to, not
/// the address space, which runtimes reserve far more of than they use.
///
/// `counted` says that a cgroup counts processes too: it has to reach its limit first, because only
/// the cgroup tells that it did.
///
/// Processes are counted for the user *in the inner user namespace* (Linux 5.14 and later), which
/// holds nothing but this cage.
pub(super) fn lower(limits: &Limits, memory_too: bool, counted: bool) -> io::Result<()> {
    let spare = if counted { (limits.pids / 4).saturating_add(8) } else { 0 };
    let processes = limits.pids.saturating_add(spare);
    let seconds = limits.cpu_time_ms.div_ceil(1000);
    let mut wanted = vec![
        // A process is told one second before it is killed.
        (Resource::Cpu, seconds, seconds.saturating_add(1)),
        (Resource::Nofile, limits.open_files, limits.open_files),
        (Resource::Fsize, limits.file_size_bytes, limits.file_size_bytes),
        // Not 0: that stops core files, but a core handler of the host (a `|` in `core_pattern`)
        // would be started as root all the same and fed with what the payload likes. 1 stops both.
        (Resource::Core, 1, 1),
        (Resource::Memlock, 64 << 10, 64 << 10),
        (Resource::Msgqueue, 800 << 10, 800 << 10),
        (Resource::Nproc, processes, processes),
    ];
    if memory_too {
        wanted.push((Resource::Data, limits.memory_bytes, limits.memory_bytes));
    }
    for (resource, soft, hard) in wanted {
        let now = getrlimit(resource);
        let least = |wanted: u64| Some(now.maximum.map_or(wanted, |most| most.min(wanted)));
        setrlimit(resource, Rlimit { current: least(soft), maximum: least(hard) })?;
    }
    Ok(())
}
