//! Landlock: a second boundary around files, and the first around abstract sockets and signals
//! when the cage shares the host's network.

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use crate::reply::{Applied, NotApplied};
use crate::spec::{Access, Cage, HOME, SCRATCH, WORKSPACE};

/// The newest rights that this code was written for. On an older kernel fewer apply.
const NEWEST: ABI = ABI::V6;

/// Restricts this process and all that it starts.
pub(super) fn restrict(cage: &Cage) -> Result<Applied, NotApplied> {
    let refused = |reason: String| NotApplied { name: "Landlock".to_owned(), reason };
    let status = apply(cage).map_err(|error| refused(error.to_string()))?;
    let kernel = match status.landlock {
        LandlockStatus::NotEnabled => {
            return Err(refused("the kernel has it, but it is switched off".to_owned()));
        }
        LandlockStatus::NotImplemented => {
            return Err(refused("the kernel does not have it".to_owned()));
        }
        LandlockStatus::Available { effective_abi, kernel_abi, .. } => {
            kernel_abi.map_or_else(|| format!("ABI {effective_abi}"), |abi| format!("ABI {abi}"))
        }
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(Applied { name: "Landlock".to_owned(), detail: kernel }),
        RulesetStatus::PartiallyEnforced => Ok(Applied {
            name: "Landlock".to_owned(),
            detail: format!("{kernel}, without the rights this kernel does not know"),
        }),
        RulesetStatus::NotEnforced => {
            Err(refused(format!("the kernel enforces none of it ({kernel})")))
        }
    }
}

fn apply(cage: &Cage) -> Result<landlock::RestrictionStatus, Box<dyn std::error::Error>> {
    let all = AccessFs::from_all(NEWEST);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = read | AccessFs::Execute;
    // Nothing inside may make device files; every other right is a file system's or a mount's.
    let write = all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let device = AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::ReadDir
        | AccessFs::Truncate
        | AccessFs::IoctlDev;

    let access = |access| match access {
        Access::ReadOnly => run,
        Access::ReadWrite => write,
    };
    let mut rules: Vec<(&str, BitFlags<AccessFs>)> =
        vec![("/dev", device), ("/dev/shm", write), ("/etc", read), ("/proc", read)];
    for system in ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"] {
        rules.push((system, run));
    }
    rules.extend([("/tmp", write), (HOME, write), (WORKSPACE, access(cage.workspace_access))]);
    if cage.scratch.is_some() {
        rules.push((SCRATCH, write));
    }
    // Rights add up along a path, so that a mount in the home directory keeps the home's rights
    // here; that it cannot be written is the mount's own doing.
    rules.extend(
        cage.mounts.iter().filter_map(|mount| Some((mount.target.to_str()?, access(mount.access)))),
    );
    // Listing the root and the empty directories in it tells nothing.
    rules.push(("/", AccessFs::ReadDir.into()));

    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for (path, rights) in rules {
        match PathFd::new(path) {
            Ok(place) => {
                // A file takes no directory right; asking for one would be an error.
                let directory = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
                let rights = if directory { rights } else { rights & AccessFs::from_file(NEWEST) };
                ruleset = ruleset.add_rule(PathBeneath::new(place, rights))?;
            }
            Err(error) if path == WORKSPACE => return Err(error.into()),
            Err(_) => {}
        }
    }
    // `no_new_privs` is this crate's own step, before this one.
    Ok(ruleset.no_new_privs(false).restrict_self()?)
}
