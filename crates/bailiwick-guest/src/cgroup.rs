//! Limits for a whole cage: cgroup v1, v2 and both at once.
//!
//! [`detect`] finds, once for each machine, the directories below which a cage may have a cgroup
//! of its own: below the cgroup of this process, because nothing else is ours to touch. Each run
//! makes one child there, puts its limits in, moves the cage's init in before it does anything,
//! and removes it afterwards.

mod group;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use group::Group;
pub use table::{candidates, own_directories};

/// Something that a cgroup limits or counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// Memory.
    Memory,
    /// Processes and threads.
    Pids,
    /// Processor time.
    Cpu,
}

impl Controller {
    /// Every controller that a cage uses.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }
}

/// Which of the two interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavour {
    /// One hierarchy for each controller.
    V1,
    /// One hierarchy.
    V2,
}

impl Flavour {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// A directory in which a cage can have its cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgroupHome {
    /// The interface.
    pub flavour: Flavour,
    /// What it controls.
    pub controllers: Vec<Controller>,
    /// The directory.
    pub directory: PathBuf,
}

/// What [`detect`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// Directories that can be used, no controller in two of them.
    pub homes: Vec<CgroupHome>,
    /// Controllers that cannot be used, each with the reason.
    pub missing: Vec<(Controller, String)>,
}

impl Detected {
    /// One line for people, such as `v1: memory, v1: pids`.
    pub fn summary(&self) -> String {
        let home = |home: &CgroupHome| {
            let names: Vec<&str> =
                home.controllers.iter().map(|controller| controller.name()).collect();
            format!("{}: {}", home.flavour.name(), names.join(", "))
        };
        if self.homes.is_empty() {
            return "none".to_owned();
        }
        self.homes.iter().map(home).collect::<Vec<_>>().join("; ")
    }
}

/// Finds where cages of this process can have cgroups, by making one there and removing it.
pub fn detect() -> Detected {
    detect_as(&format!("bailiwick-probe-{}", std::process::id()))
}

/// The same, with this name for what is made and removed: whoever is killed meanwhile leaves it.
pub fn detect_as(probe: &str) -> Detected {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let candidates = candidates(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
    select(candidates, probe)
}

/// Every directory in which this process, or a container runtime that it starts, makes cgroups: in
/// each hierarchy the one of our own cgroup, and for cgroup v2 the one above.
pub fn places() -> Vec<PathBuf> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    own_directories(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn select(candidates: Vec<CgroupHome>, probe: &str) -> Detected {
    let mut homes: Vec<CgroupHome> = Vec::new();
    let mut missing = Vec::new();
    for controller in Controller::ALL {
        if homes.iter().any(|home| home.controllers.contains(&controller)) {
            continue;
        }
        let mut reason = "there is no cgroup hierarchy with this controller".to_owned();
        let mut found = None;
        for candidate in candidates.iter().filter(|home| home.controllers.contains(&controller)) {
            match usable(candidate, controller, probe) {
                Ok(()) => {
                    found = Some(candidate);
                    break;
                }
                Err(error) => reason = format!("{}: {error}", candidate.directory.display()),
            }
        }
        match found {
            Some(candidate) => {
                let same = homes.iter_mut().find(|home| home.directory == candidate.directory);
                match same {
                    Some(home) => home.controllers.push(controller),
                    None => homes
                        .push(CgroupHome { controllers: vec![controller], ..candidate.clone() }),
                }
            }
            None => missing.push((controller, reason)),
        }
    }
    Detected { homes, missing }
}

/// Tries it, and leaves nothing behind but an enabled controller.
fn usable(home: &CgroupHome, controller: Controller, probe: &str) -> std::io::Result<()> {
    let probe = home.directory.join(probe);
    fs::create_dir(&probe)?;
    let result = match home.flavour {
        Flavour::V1 => match controller {
            Controller::Memory => is_writable(&probe.join("memory.limit_in_bytes")),
            Controller::Pids => is_writable(&probe.join("pids.max")),
            Controller::Cpu => fs::read(probe.join("cpuacct.usage")).map(drop),
        },
        Flavour::V2 => enable(&home.directory, &probe, controller),
    };
    let removed = fs::remove_dir(&probe);
    result.and(removed)
}

fn is_writable(path: &Path) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).open(path).map(drop)
}

fn enable(directory: &Path, probe: &Path, controller: Controller) -> std::io::Result<()> {
    let enabled = || -> std::io::Result<bool> {
        let list = fs::read_to_string(probe.join("cgroup.controllers"))?;
        Ok(list.split_whitespace().any(|name| name == controller.name()))
    };
    if !enabled()? {
        fs::write(directory.join("cgroup.subtree_control"), format!("+{}", controller.name()))?;
        if !enabled()? {
            return Err(std::io::Error::other("the controller is not delegated to this cgroup"));
        }
    }
    // A process is moved by whoever may write to both its old and its new cgroup's nearest common
    // ancestor, which is this directory.
    is_writable(&directory.join("cgroup.procs"))?;
    is_writable(&probe.join("cgroup.procs"))
}

/// Kills what is left in a cage's cgroups and removes them: for whoever had to kill a launcher.
pub fn remove(homes: &[CgroupHome], name: &str) {
    Group::existing(homes, name).remove();
}

/// What [`sweep`] found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Cgroups that were removed.
    pub removed: usize,
    /// Cgroups that are still there.
    pub left: usize,
}

/// Kills what is in the cgroups below these directories whose name begins with `prefix`, and
/// removes them. Touches no other.
pub fn sweep(directories: &[PathBuf], prefix: &str) -> Swept {
    let mut swept = Swept::default();
    for directory in directories {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
            if !named || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if group::remove_tree(&entry.path()) {
                swept.removed = swept.removed.saturating_add(1);
            } else {
                swept.left = swept.left.saturating_add(1);
            }
        }
    }
    swept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_missing_with_its_reason() {
        let home = CgroupHome {
            flavour: Flavour::V1,
            controllers: vec![Controller::Memory],
            directory: PathBuf::from("/nonexistent/cgroup"),
        };
        let detected = select(vec![home], "bailiwick-probe");
        assert_eq!(detected.homes, vec![]);
        let reasons: Vec<_> =
            detected.missing.iter().map(|(c, why)| (*c, why.contains("/nonexistent"))).collect();
        assert_eq!(
            reasons,
            vec![(Controller::Memory, true), (Controller::Pids, false), (Controller::Cpu, false)]
        );
        assert_eq!(detected.summary(), "none");
    }
}
