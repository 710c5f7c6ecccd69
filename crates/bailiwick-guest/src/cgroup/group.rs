//! The cgroup of one cage, from making it to removing it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use super::{CgroupHome, Controller, Flavour};
use crate::reply::{Applied, NotApplied};
use crate::spec::Limits;

/// The directories that together are one cage's cgroup.
#[derive(Debug)]
pub(crate) struct Group {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    flavour: Flavour,
    controllers: Vec<Controller>,
    directory: PathBuf,
}

impl Group {
    /// Makes the cgroup and sets its limits. What fails is named, and then not part of it.
    pub(crate) fn make(
        homes: &[CgroupHome],
        name: &str,
        limits: &Limits,
        applied: &mut Vec<Applied>,
        not_applied: &mut Vec<NotApplied>,
    ) -> Self {
        let mut parts = Vec::new();
        for home in homes {
            let directory = home.directory.join(name);
            if let Err(error) = fs::create_dir(&directory) {
                let reason = format!("`{}` cannot be made: {error}", directory.display());
                not_applied.push(NotApplied { name: cgroup_name(home), reason });
                continue;
            }
            let mut controllers = Vec::new();
            for controller in &home.controllers {
                match set_limit(home.flavour, *controller, &directory, limits) {
                    Ok(()) => controllers.push(*controller),
                    Err(error) => not_applied.push(NotApplied {
                        name: format!("cgroup {}", controller.name()),
                        reason: format!("its limit cannot be set: {error}"),
                    }),
                }
            }
            applied
                .push(Applied { name: cgroup_name(home), detail: directory.display().to_string() });
            parts.push(Part { flavour: home.flavour, controllers, directory });
        }
        Self { parts }
    }

    /// The cgroup that a launcher made which can no longer see to it.
    pub(crate) fn existing(homes: &[CgroupHome], name: &str) -> Self {
        let part = |home: &CgroupHome| Part {
            flavour: home.flavour,
            controllers: home.controllers.clone(),
            directory: home.directory.join(name),
        };
        Self { parts: homes.iter().map(part).filter(|part| part.directory.is_dir()).collect() }
    }

    /// Whether this cgroup limits something.
    pub(crate) fn limits(&self, controller: Controller) -> bool {
        self.parts.iter().any(|part| part.controllers.contains(&controller))
    }

    /// Moves a process in; what it forks from then on is in as well.
    pub(crate) fn attach(&self, pid: Pid) -> std::io::Result<()> {
        let id = pid.as_raw_nonzero().to_string();
        self.parts.iter().try_for_each(|part| fs::write(part.directory.join("cgroup.procs"), &id))
    }

    /// How many processes were killed for lack of memory.
    pub(crate) fn memory_kills(&self) -> u64 {
        self.figure(
            Controller::Memory,
            ("memory.oom_control", "oom_kill"),
            ("memory.events", "oom_kill"),
        )
        .unwrap_or(0)
    }

    /// How often a process could not be started because of the limit.
    pub(crate) fn refused_forks(&self) -> u64 {
        self.figure(Controller::Pids, ("pids.events", "max"), ("pids.events", "max")).unwrap_or(0)
    }

    /// Processor time so far, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Option<u64> {
        let part = self.part(Controller::Cpu)?;
        match part.flavour {
            Flavour::V1 => {
                read_number(&part.directory.join("cpuacct.usage")).map(|ns| ns / 1_000_000)
            }
            Flavour::V2 => {
                keyed(&part.directory.join("cpu.stat"), "usage_usec").map(|us| us / 1_000)
            }
        }
    }

    /// The most memory used at once.
    pub(crate) fn peak_memory_bytes(&self) -> Option<u64> {
        let part = self.part(Controller::Memory)?;
        read_number(&part.directory.join(match part.flavour {
            Flavour::V1 => "memory.max_usage_in_bytes",
            Flavour::V2 => "memory.peak",
        }))
    }

    /// Kills what is left and removes the directories. The kernel may hold a cgroup for a moment
    /// after its last process is gone, hence the attempts.
    pub(crate) fn remove(self) {
        for part in &self.parts {
            remove_killing(&part.directory);
        }
    }

    fn part(&self, controller: Controller) -> Option<&Part> {
        self.parts.iter().find(|part| part.controllers.contains(&controller))
    }

    fn figure(&self, controller: Controller, v1: (&str, &str), v2: (&str, &str)) -> Option<u64> {
        let part = self.part(controller)?;
        let (file, key) = match part.flavour {
            Flavour::V1 => v1,
            Flavour::V2 => v2,
        };
        keyed(&part.directory.join(file), key)
    }
}

/// Whether the directory is gone.
fn remove_killing(directory: &Path) -> bool {
    for _ in 0..50 {
        match fs::remove_dir(directory) {
            Ok(()) => return true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return true,
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                kill_all(directory);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            Err(_) => return false,
        }
    }
    false
}

/// The same with the cgroups below it, which runtimes of containers make.
pub(super) fn remove_tree(directory: &Path) -> bool {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    remove_killing(directory)
}

fn cgroup_name(home: &CgroupHome) -> String {
    let names: Vec<&str> = home.controllers.iter().map(|controller| controller.name()).collect();
    format!("cgroup {} {}", home.flavour.name(), names.join(", "))
}

fn set_limit(
    flavour: Flavour,
    controller: Controller,
    directory: &Path,
    limits: &Limits,
) -> std::io::Result<()> {
    let set = |file: &str, value: u64| fs::write(directory.join(file), value.to_string());
    let optional = |file: &str, value: u64| {
        if directory.join(file).exists() { set(file, value) } else { Ok(()) }
    };
    match (controller, flavour) {
        (Controller::Memory, Flavour::V1) => {
            set("memory.limit_in_bytes", limits.memory_bytes)?;
            optional("memory.memsw.limit_in_bytes", limits.memory_bytes)
        }
        (Controller::Memory, Flavour::V2) => {
            set("memory.max", limits.memory_bytes)?;
            optional("memory.swap.max", 0)?;
            // The cage is one thing: half of it killed is of no use to anybody.
            optional("memory.oom.group", 1)
        }
        (Controller::Pids, _) => set("pids.max", limits.pids),
        // Counted by the kernel, limited by the launcher.
        (Controller::Cpu, _) => Ok(()),
    }
}

fn kill_all(directory: &Path) {
    if fs::write(directory.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let list = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    for pid in list.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw) {
        // It may have ended by itself meanwhile, which is as good.
        let _gone_already = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after `key` in a file of `key number` lines.
fn keyed(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}
