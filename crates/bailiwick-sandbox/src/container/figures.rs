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
}

impl Figures {
    /// Reads the counters of the cgroup with this name in each home.
    pub(super) fn read(homes: &[CgroupHome], name: &str) -> Self {
        let mut figures = Self::default();
        for home in homes {
            let directory = home.directory.join(name);
            for controller in &home.controllers {
                figures.take(home.flavour, *controller, &directory);
            }
        }
        figures
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
