//! The names of packages that a command would install, looked up before the command runs.
//!
//! What a command starts is read by `bailiwick-policy`, what is to be said of a name is known to
//! `bailiwick-deps`, and what comes of it is decided by policy and recorded with the decision.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_deps::{Files, Inputs, InstallVerdict, PackageIndex, Policy, judge_install};
use bailiwick_model::action::Command;
use bailiwick_model::subject::InstallFacts;
use bailiwick_policy::command::analyse;
use bailiwick_warden::InstallScreen;
use jiff::Timestamp;

/// Looks names up in an index; without one every name is doubtful.
#[derive(Debug, Clone)]
pub(crate) struct NameScreen {
    index: Option<Arc<dyn PackageIndex>>,
}

impl NameScreen {
    pub(crate) fn new(index: Option<Arc<dyn PackageIndex>>) -> Self {
        Self { index }
    }
}

#[async_trait]
impl InstallScreen for NameScreen {
    async fn look_at(&self, command: &Command) -> InstallFacts {
        let invocations = analyse(command).invocations;
        let installs =
            invocations.iter().any(|argv| !bailiwick_deps::install_requests(argv).is_empty());
        if !installs {
            return InstallFacts::default();
        }
        let index = self.index.clone();
        // an index may have to ask another server
        let judged = tokio::task::spawn_blocking(move || judge(&invocations, index.as_deref()));
        judged.await.unwrap_or_else(|error| InstallFacts {
            refused: BTreeSet::new(),
            doubtful: BTreeSet::from([format!("the names could not be looked up: {error}")]),
        })
    }
}

fn judge(invocations: &BTreeSet<Vec<String>>, index: Option<&dyn PackageIndex>) -> InstallFacts {
    let (nothing, policy) = (Files::new(), Policy::default());
    let inputs = Inputs {
        base: &nothing,
        head: &nothing,
        policy: &policy,
        advisories: None,
        index,
        now: Timestamp::now(),
        off: &BTreeSet::new(),
    };
    let mut facts = InstallFacts::default();
    for argv in invocations {
        match judge_install(argv, &inputs) {
            InstallVerdict::Fine => {}
            InstallVerdict::Ask(reasons) => facts.doubtful.extend(reasons),
            InstallVerdict::Deny(reasons) => facts.refused.extend(reasons),
            InstallVerdict::Unknown(reason) => {
                facts.doubtful.insert(reason);
            }
        }
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use bailiwick_deps::{Ecosystem, SnapshotIndex, build_index, parse_rows};
    use bailiwick_model::action::Purpose;
    use bailiwick_model::path::WorkPath;

    fn facts(line: &str, index: bool) -> InstallFacts {
        let rows = parse_rows("left-pad\t2014-03\t900000\nexpresss\t2024-01\t900\n").unwrap();
        let bytes = build_index(Ecosystem::Npm, rows, Timestamp::now()).unwrap();
        let snapshot = SnapshotIndex::open(&bytes).unwrap();
        let screen = NameScreen::new(index.then(|| Arc::new(snapshot) as Arc<dyn PackageIndex>));
        let command = Command {
            argv: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(),
            cwd: WorkPath::root(),
            env: std::collections::BTreeMap::new(),
            purpose: Purpose::Tool,
            network: false,
            timeout_ms: 1_000,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(screen.look_at(&command))
    }

    #[test]
    fn names_are_found_wherever_they_stand_in_a_command() {
        for line in [
            "npm install nothing-of-that-name",
            "cd web && npm i nothing-of-that-name",
            "true || (env A=1 timeout 5 pnpm add nothing-of-that-name)",
            "for i in 1 2; do npx nothing-of-that-name; done",
            "sh -c 'yarn add nothing-of-that-name'",
            "npm install left-pad nothing-of-that-name",
            "/usr/bin/npm install nothing-of-that-name@1.0.0",
        ] {
            let found = facts(line, true);
            assert_eq!(found.refused.len(), 1, "{line}: {found:?}");
            assert!(found.refused.first().unwrap().contains("nothing-of-that-name"), "{line}");
        }
        // near the name of one that everybody knows
        assert!(!facts("npm install expresss", true).is_empty());
        for line in ["npm install left-pad", "npm ci", "npm test", "echo npm install x", "ls"] {
            let found = facts(line, true);
            assert!(found.is_empty(), "{line}: {found:?}");
        }
        // what can't be found out is not fine
        for line in ["npm install seldom-heard-of", "pip install seldom-heard-of"] {
            assert!(!facts(line, false).doubtful.is_empty(), "{line}");
        }
        assert!(!facts("pip install seldom-heard-of", true).doubtful.is_empty());
        // what everybody uses is known without one
        assert!(facts("npm install left-pad", false).is_empty());
        assert!(facts("npm test", false).is_empty());
        // a name that is only known at run time is none that was looked up
        assert!(!facts("npm install \"$NAME\"", true).is_empty());
    }
}
