//! `bailiwick gate run` over seeded changes: what happens with each gate off.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::change::{Change, Mirrors, Seeded};
use crate::harness::git;

/// A repository with the base, and the mirrors beside it.
struct Bench {
    place: tempfile::TempDir,
    mirrors: Mirrors,
    seeded: Seeded,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let seeded = Seeded::read();
        let files: Vec<_> = seeded.base.clone().into_iter().collect();
        git::make_repository(&place.path().join("repo"), &files);
        let mirrors = Mirrors::make(place.path());
        Self { place, mirrors, seeded }
    }

    fn top(&self) -> std::path::PathBuf {
        self.place.path().join("repo")
    }

    /// What the gates say of a change: the exit code, and each gate with its state.
    fn judge(&self, change: &Change) -> (i32, BTreeMap<String, String>, String) {
        let top = self.top();
        for (path, content) in self.seeded.written(change) {
            write(&top, &path, &content);
        }
        for path in &change.gone {
            std::fs::remove_file(top.join(path)).unwrap();
        }
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(["gate", "run", "--json", "--advisories"])
            .arg(&self.mirrors.advisories)
            .arg("--index")
            .arg(&self.mirrors.index)
            .current_dir(&top)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        let states = json["reports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|report| {
                let word = |name: &str| report[name].as_str().unwrap().to_owned();
                (word("gate"), word("state"))
            })
            .collect();
        git::git(&top, &["reset", "-q", "--hard"]);
        git::git(&top, &["clean", "-q", "-f", "-d", "-x"]);
        (output.status.code().unwrap(), states, text)
    }
}

fn write(top: &Path, path: &str, content: &str) {
    let path = top.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Each gate switched off in turn, on the protected branch: a change that it alone stops passes.
#[test]
fn with_a_gate_off_a_bad_change_gets_through() {
    let bench = Bench::new();
    let mut seen = BTreeSet::new();
    for change in bench.seeded.all().filter(|change| !change.platform_only) {
        let Some(gate) = change.gate.clone() else { continue };
        if seen.contains(&gate) {
            continue;
        }
        let (_, states, _) = bench.judge(change);
        let only = states.iter().all(|(name, state)| *name == gate || state == "pass");
        if !only {
            continue;
        }
        let top = bench.top();
        write(&top, ".bailiwick/gates.toml", &format!("[gates]\noff = ['{gate}']\n"));
        git::git(&top, &["add", "--all"]);
        git::git(&top, &["commit", "--quiet", "--message", "off"]);
        let (code, _, text) = bench.judge(change);
        assert_eq!(code, 0, "`{}` is stopped without `{gate}`: {text}", change.name);
        git::git(&top, &["reset", "-q", "--hard", "HEAD~1"]);
        seen.insert(gate);
    }
    assert!(seen.len() >= 8, "{seen:?}");
}
