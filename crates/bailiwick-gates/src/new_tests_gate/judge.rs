//! From a run of new tests on the base to what they do there. Pure.

use crate::checkout::CommandRefusal;
use crate::tests_gate::judge::{RunResult, Said, said};
use std::collections::BTreeSet;

/// What new tests do on the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnBase {
    /// Every one of them passes.
    AllPass,
    /// The command succeeds, and does not say what it ran.
    Unseen,
    /// At least one fails, does not build or does not end; these pass.
    Fail {
        /// Those that pass.
        passing: BTreeSet<String>,
    },
    /// It could not be found out.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Judges the runs of all commands together. `files` are those that the new tests stand in.
pub(super) fn on_base(
    new: &BTreeSet<String>,
    files: &BTreeSet<&str>,
    runs: &[Result<RunResult, CommandRefusal>],
) -> OnBase {
    let mut passed = BTreeSet::new();
    let (mut failed, mut broken, mut listed) = (BTreeSet::new(), false, false);
    let mut recognised = false;
    for run in runs {
        let output = run.as_ref().ok().map(|run| &run.output);
        let names = |list: Option<&BTreeSet<String>>| -> BTreeSet<String> {
            let is_listed = |name: &&String| {
                list.is_some_and(|list| list.iter().any(|shown| is_named(shown, name)))
            };
            new.iter().filter(is_listed).cloned().collect()
        };
        match said(run) {
            // a test of something that hangs on the base hangs there
            Said::Nothing { .. } if run.as_ref().is_ok_and(RunResult::ran_out_of_time) => {
                broken = true;
            }
            Said::Nothing { reason } => return OnBase::Unknown { reason },
            Said::Passed => {}
            Said::Failed { .. } => {
                let all = output.map(|output| &output.failed);
                // nothing ran at all: it does not build; or a file could not be loaded
                broken |= all.is_none_or(BTreeSet::is_empty)
                    || all.is_some_and(|all| all.iter().any(|name| files.contains(name.as_str())));
                failed.extend(names(all));
            }
        }
        recognised |= output.is_some_and(|output| !output.runners.is_empty());
        listed |= output.is_some_and(|output| !output.passed.is_empty());
        passed.extend(names(output.map(|output| &output.passed)));
    }
    let passing: BTreeSet<String> = passed.difference(&failed).cloned().collect();
    if !failed.is_empty() || broken {
        return OnBase::Fail { passing };
    }
    // where the runner lists what passes, what is not listed did not run
    if listed && passing.len() < new.len() {
        return OnBase::Fail { passing };
    }
    if recognised { OnBase::AllPass } else { OnBase::Unseen }
}

/// Whether a runner's name of a test is that of this function or title.
fn is_named(shown: &str, name: &str) -> bool {
    let shown = shown.trim();
    let bare = shown.split('[').next().unwrap_or(shown);
    let top = bare.split('/').next().unwrap_or(bare);
    shown == name
        || bare == name
        || top == name
        || ["::", ".", " › ", " > ", " "].iter().any(|between| {
            bare.rsplit_once(between).is_some_and(|(_, last)| last == name)
                || shown.strip_suffix(name).is_some_and(|before| before.ends_with(between))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkout::CommandResult;
    use bailiwick_model::outcome::Ended;
    use bailiwick_model::payload::Payload;

    fn run(ended: Ended, output: &str) -> Result<RunResult, CommandRefusal> {
        Ok(RunResult::new(&CommandResult {
            ended,
            output: Payload::from(output),
            dropped_bytes: 0,
            duration_ms: 1,
        }))
    }

    fn exit(code: i32, output: &str) -> Result<RunResult, CommandRefusal> {
        run(Ended::Exit { code }, output)
    }

    fn fail(passing: &[&str]) -> OnBase {
        OnBase::Fail { passing: passing.iter().map(|name| (*name).to_owned()).collect() }
    }

    #[test]
    fn names_are_those_of_the_runner() {
        for shown in [
            "half_of_4",
            "tests::half_of_4",
            "sample tests::half_of_4",
            "tests/test_a.py::Half::half_of_4[4-2]",
            "test_a.Half.half_of_4",
            "half_of_4/negative",
            "suite › half_of_4",
            "file.test.ts > suite > half_of_4",
        ] {
            assert!(is_named(shown, "half_of_4"), "{shown}");
        }
        for shown in ["half_of_44", "a_half_of_4", "half_of", "tests::half_of_4::x"] {
            assert!(!is_named(shown, "half_of_4"), "{shown}");
        }
    }

    #[test]
    fn what_new_tests_do_is_told_by_their_names() {
        let cargo = |lines: &str, end: &str| format!("{lines}\ntest result: {end}\n");
        let ok = "ok. 2 passed; 0 failed; 0 ignored;";
        let bad = "FAILED. 1 passed; 1 failed; 0 ignored;";
        for (what, new, run, expected) in [
            (
                "both pass",
                "a b",
                exit(0, &cargo("test a ... ok\ntest b ... ok", ok)),
                OnBase::AllPass,
            ),
            (
                "one fails",
                "a b",
                exit(101, &cargo("test a ... ok\nfailures:\n    b\n", bad)),
                fail(&["a"]),
            ),
            (
                "an old one fails",
                "a",
                exit(101, &cargo("test a ... ok\nfailures:\n    b\n", bad)),
                OnBase::AllPass,
            ),
            ("does not build", "a", exit(101, "error[E0425]: cannot find function"), fail(&[])),
            ("did not run", "c", exit(0, &cargo("test a ... ok\ntest b ... ok", ok)), fail(&[])),
            ("says nothing", "a", exit(0, "fine"), OnBase::Unseen),
            ("names not listed", "a", exit(0, "3 passed in 0.02s"), OnBase::AllPass),
            (
                "a file is not loaded",
                "test_a",
                exit(2, "ERROR tests/test_new.py\n== 1 error in 0.1s =="),
                fail(&[]),
            ),
            ("hangs", "a", run(Ended::Limit { limit: "wall_clock".to_owned() }, ""), fail(&[])),
        ] {
            let new: BTreeSet<String> = new.split(' ').map(str::to_owned).collect();
            let judged = on_base(&new, &BTreeSet::from(["tests/test_new.py"]), &[run]);
            assert_eq!(judged, expected, "{what}");
        }
        let new = BTreeSet::from(["a".to_owned()]);
        for run in [
            exit(127, "sh: cargo: not found"),
            exit(0, "test result: ok. 0 passed; 0 failed; 0 ignored;"),
            run(Ended::Limit { limit: "memory".to_owned() }, ""),
        ] {
            let judged = on_base(&new, &BTreeSet::new(), &[run]);
            assert!(matches!(judged, OnBase::Unknown { .. }), "{judged:?}");
        }
    }
}
