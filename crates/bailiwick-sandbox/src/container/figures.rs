//! What the cgroups of a container say.

use std::fs;
use std::path::Path;

use bailiwick_guest::cgroup::{CgroupHome, Controller, Flavour};

/// A look at the counters. What cannot be read is 0 or unknown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) memory_kills: u64,
    pub(super) refused_forks: u64,
    pub(super) cpu_ms: Option<u64>,
    pub(super) peak_memory_bytes: Option<u64>,
    /// The most processes and threads at one time, with Linux 6.1 or later.
    pub(super) peak_pids: Option<u64>,
}

/// The container's own cgroup, below one that is ours.
const INNER: &str = "container";

/// Two cgroups, one in the other: a runtime removes the inner one with its container, and the
/// counters of the outer one still tell afterwards what the container had used.
pub(super) struct Nest<'a> {
    homes: &'a [CgroupHome],
    name: &'a str,
}

impl<'a> Nest<'a> {
    /// Makes the outer ones; the runtime makes the inner ones.
    pub(super) fn make(homes: &'a [CgroupHome], name: &'a str) -> std::io::Result<Self> {
        let nest = Self { homes, name };
        for home in homes {
            fs::create_dir(home.directory.join(name))?;
        }
        Ok(nest)
    }

    /// What a bundle calls the inner one.
    pub(super) fn path(name: &str) -> String {
        format!("{name}/{INNER}")
    }

    /// The counters of the inner ones while they are there.
    pub(super) fn inner(&self) -> Figures {
        self.read(&Self::path(self.name))
    }

    /// The counters of the outer ones: what was used in all. With cgroup v1 events are counted
    /// where they happen only, and are missing here.
    pub(super) fn outer(&self) -> Figures {
        self.read(self.name)
    }

    fn read(&self, path: &str) -> Figures {
        let mut figures = Figures::default();
        for home in self.homes {
            let directory = home.directory.join(path);
            for controller in &home.controllers {
                figures.take(home.flavour, *controller, &directory);
            }
        }
        figures
    }

    /// What runs in the container, as the host numbers it.
    pub(super) fn processes(&self) -> Vec<u32> {
        let lists = self.homes.iter().map(|home| home.directory.join(Self::path(self.name)));
        let lists = lists.filter_map(|cgroup| fs::read_to_string(cgroup.join("cgroup.procs")).ok());
        let mut processes: Vec<u32> = lists
            .flat_map(|list| list.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
            .collect();
        processes.sort_unstable();
        processes.dedup();
        processes
    }
}

impl Drop for Nest<'_> {
    fn drop(&mut self) {
        bailiwick_guest::cgroup::remove(self.homes, &Self::path(self.name));
        bailiwick_guest::cgroup::remove(self.homes, self.name);
        // A runtime makes its cgroups in hierarchies too in which nothing is limited.
        for place in bailiwick_guest::cgroup::places() {
            let outer = place.join(self.name);
            // What is not there, or not empty, is none of ours: the janitor looks again.
            drop(fs::remove_dir(outer.join(INNER)));
            drop(fs::remove_dir(outer));
        }
    }
}

impl Figures {
    /// Takes over what only a later look tells: counters never go down.
    pub(super) fn at_least(&mut self, later: Self) {
        self.memory_kills = self.memory_kills.max(later.memory_kills);
        self.refused_forks = self.refused_forks.max(later.refused_forks);
        self.cpu_ms = self.cpu_ms.max(later.cpu_ms);
        self.peak_memory_bytes = self.peak_memory_bytes.max(later.peak_memory_bytes);
        self.peak_pids = self.peak_pids.max(later.peak_pids);
    }

    fn take(&mut self, flavour: Flavour, controller: Controller, directory: &Path) {
        let number =
            |file: &str| fs::read_to_string(directory.join(file)).ok()?.trim().parse().ok();
        let keyed = |file: &str, key: &str| -> Option<u64> {
            let text = fs::read_to_string(directory.join(file)).ok()?;
            text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
        };
        match (controller, flavour) {
            (Controller::Memory, Flavour::V1) => {
                self.memory_kills = keyed("memory.oom_control", "oom_kill ").unwrap_or(0);
                self.peak_memory_bytes = number("memory.max_usage_in_bytes");
            }
            (Controller::Memory, Flavour::V2) => {
                self.memory_kills = keyed("memory.events", "oom_kill ").unwrap_or(0);
                self.peak_memory_bytes = number("memory.peak");
            }
            (Controller::Pids, _) => {
                self.refused_forks = keyed("pids.events", "max ").unwrap_or(0);
                self.peak_pids = number("pids.peak");
            }
            (Controller::Cpu, Flavour::V1) => {
                self.cpu_ms = number("cpuacct.usage").map(|ns: u64| ns / 1_000_000);
            }
            (Controller::Cpu, Flavour::V2) => {
                self.cpu_ms = keyed("cpu.stat", "usage_usec ").map(|us| us / 1_000);
            }
        }
    }
}
