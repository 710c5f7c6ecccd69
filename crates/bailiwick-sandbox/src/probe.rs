//! What works on this machine, found out by doing it.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_guest::{Cage, CageSpec, Operation};

use crate::error::SandboxError;
use crate::launch::launch;
use crate::outcome::CommandOutcome;
use crate::process::{ProcessTier, command_outcome, default_limits};

/// One thing that works on this machine, or does not.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Probe {
    /// What.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// Whether the tier cannot be used without it.
    pub needed: bool,
    /// With what, or why not.
    pub detail: String,
    /// How to get it, when it does not work.
    pub how_to_get: Option<String>,
}

/// What every cage must have; what else is missing is reported with every command.
const ESSENTIAL: [&str; 12] = [
    "cage",
    "namespaces",
    "root",
    "user",
    "no_new_privs",
    "capabilities",
    "seccomp",
    "no capability inside",
    "no capability to be had inside",
    "no new privileges inside",
    "system call filter inside",
    "not root inside",
];

impl ProcessTier {
    /// Builds a cage around an empty directory, looks at it from inside and says what held.
    pub(crate) async fn look(&self) -> Vec<Probe> {
        let mut probes = vec![self.cgroups_probe()];
        for (name, directory) in &self.config.toolchains.found {
            probes.push(good(&format!("toolchain {name}"), &directory.display().to_string()));
        }
        match self.look_inside().await {
            Ok(outcome) => probes.extend(from_inside(&outcome)),
            Err(error) => probes.push(Probe {
                name: "cage".to_owned(),
                ok: false,
                needed: true,
                how_to_get: Some(how_to_get_a_cage(&error).to_owned()),
                detail: error.to_string(),
            }),
        }
        for probe in &mut probes {
            probe.needed = ESSENTIAL.contains(&probe.name.as_str());
        }
        probes
    }

    fn cgroups_probe(&self) -> Probe {
        let missing: Vec<String> = self
            .cgroups
            .missing
            .iter()
            .map(|(controller, why)| format!("{}: {why}", controller.name()))
            .collect();
        let mut probe = good("cgroups", &self.cgroups.summary());
        if !missing.is_empty() {
            probe.ok = false;
            probe.detail = format!("{}; missing {}", probe.detail, missing.join("; "));
            probe.how_to_get = Some("run as root, or in a systemd unit with `Delegate=yes`; without it single processes are limited, not the cage as a whole".to_owned());
        }
        probe
    }

    async fn look_inside(&self) -> Result<CommandOutcome, SandboxError> {
        let io = |source| SandboxError::Launch { source };
        let directory = self.lease.directory().map_err(io)?;
        let result = self.look_from(&directory).await;
        std::fs::remove_dir(&directory).map_err(io)?;
        result
    }

    async fn look_from(&self, directory: &Path) -> Result<CommandOutcome, SandboxError> {
        let mut limits = default_limits();
        limits.wall_clock_ms = 10_000;
        let (name, id) = (self.lease.name(), self.config.payload_id);
        let mut cage = Cage::new(name, directory.to_owned(), limits, id);
        cage.cgroups = self.cgroups.homes.clone();
        // The shell's own words only: nothing has to be installed for this.
        let script = "while read -r line; do echo \"$line\"; done < /proc/self/status";
        let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let operation = Operation::Exec { argv, env: BTreeMap::new(), cwd: ".".to_owned() };
        let (reply, parts) =
            launch(&self.config.launcher, &CageSpec { cage, operation }, &[]).await?;
        command_outcome(reply, parts)
    }
}

fn from_inside(outcome: &CommandOutcome) -> Vec<Probe> {
    let mut probes = Vec::new();
    for line in &outcome.applied {
        let (name, detail) = line.split_once(": ").unwrap_or((line, ""));
        probes.push(good(name, detail));
    }
    for line in &outcome.not_applied {
        let (name, reason) = line.split_once(": ").unwrap_or((line, ""));
        probes.push(Probe {
            name: name.to_owned(),
            ok: false,
            needed: false,
            detail: reason.to_owned(),
            how_to_get: how_to_get(name),
        });
    }
    let status = outcome.stdout_text();
    for (field, wanted, what) in [
        ("CapEff", "0000000000000000", "no capability inside"),
        ("CapBnd", "0000000000000000", "no capability to be had inside"),
        ("NoNewPrivs", "1", "no new privileges inside"),
        ("Seccomp", "2", "system call filter inside"),
    ] {
        let seen = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(str::trim);
        let seen = seen.unwrap_or("not shown, because there is no `/proc` inside");
        probes.push(Probe {
            name: what.to_owned(),
            ok: seen == wanted,
            needed: true,
            detail: format!("{field} {seen}"),
            how_to_get: (seen != wanted)
                .then(|| "this is not expected: please report it".to_owned()),
        });
    }
    let root = status
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().any(|id| id == "0"));
    probes.push(Probe {
        name: "not root inside".to_owned(),
        ok: !root && outcome.succeeded(),
        needed: true,
        detail: if root { "user 0".to_owned() } else { "an ordinary user".to_owned() },
        how_to_get: root.then(|| "this is not expected: please report it".to_owned()),
    });
    probes
}

pub(crate) fn good(name: &str, detail: &str) -> Probe {
    Probe {
        name: name.to_owned(),
        ok: true,
        needed: false,
        detail: detail.to_owned(),
        how_to_get: None,
    }
}

fn how_to_get(name: &str) -> Option<String> {
    let how = match name {
        "Landlock" => "use Linux 5.13 or later with `landlock` in the `lsm=` boot parameter",
        "inner user namespace" | "limit on nested user namespaces" => {
            "raise `user.max_user_namespaces` with sysctl"
        }
        "/proc" => "run outside a container, or in one that leaves `/proc` uncovered",
        "dropping supplementary groups" => "run as root, or as a user without further groups",
        _ if name.contains("cgroup") || name.contains("whole cage") => {
            "run as root, or in a systemd unit with `Delegate=yes`"
        }
        _ => return None,
    };
    Some(how.to_owned())
}

fn how_to_get_a_cage(error: &SandboxError) -> &'static str {
    match error {
        SandboxError::Cage(cage) if cage.step.contains("namespaces") => {
            "allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 kernel.apparmor_restrict_unprivileged_userns=0`), or run as root outside a container"
        }
        SandboxError::Cage(cage) if cage.step.contains("filter") => {
            "use a kernel with CONFIG_SECCOMP_FILTER"
        }
        SandboxError::Cage(_) => {
            "use Linux 5.12 or later, outside a container or in a privileged one"
        }
        _ => "check that the program calls `bailiwick_guest::dispatch` first thing in `main`",
    }
}
