//! Lock files that lie, and honest ones. `fixtures/projects/NAME/` is a project, its files with
//! `.txt` behind their names; `fixtures/cases/NAME.toml` says how changes alter it and what must be
//! found. Each rule that is switched off must turn a case red.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use bailiwick_deps::{
        Advisories, Decides, Ecosystem, Files, Inputs, PackageIndex, Policy, Report, Rule,
        SnapshotIndex, SnapshotIndexes, build_index, check, parse_rows,
    };
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct CaseFile {
        case: Vec<Case>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        state: String,
        expect: BTreeSet<String>,
        policy: Option<String>,
        edit: Vec<Edit>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Edit {
        file: String,
        replace: Option<String>,
        with: Option<String>,
        write: Option<String>,
        #[serde(default)]
        delete: bool,
    }

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
    }

    fn listed(directory: &Path) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    }

    fn project(name: &str) -> Files {
        listed(&fixtures().join("projects").join(name))
            .into_iter()
            .map(|path| {
                let file = path.file_name().unwrap().to_str().unwrap();
                (file.strip_suffix(".txt").unwrap().to_owned(), std::fs::read(&path).unwrap())
            })
            .collect()
    }

    fn after(before: &Files, case: &Case) -> Files {
        let mut files = before.clone();
        for edit in &case.edit {
            if edit.delete {
                assert!(files.remove(&edit.file).is_some(), "{}: {}", case.name, edit.file);
            } else if let Some(text) = &edit.write {
                files.insert(edit.file.clone(), text.clone().into_bytes());
            } else {
                let old = edit.replace.as_ref().unwrap();
                let text = String::from_utf8(files[&edit.file].clone()).unwrap();
                assert_eq!(text.matches(old.as_str()).count(), 1, "{}: {old}", case.name);
                let new = text.replacen(old.as_str(), edit.with.as_ref().unwrap(), 1);
                files.insert(edit.file.clone(), new.into_bytes());
            }
        }
        files
    }

    struct World {
        advisories: Advisories,
        indexes: SnapshotIndexes,
        now: jiff::Timestamp,
    }

    fn world() -> World {
        let now: jiff::Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
        let mut advisories = Advisories::default();
        for path in listed(&fixtures().join("advisories")) {
            advisories.add(&std::fs::read(path).unwrap()).unwrap();
        }
        advisories.made_at("2026-11-20T00:00:00Z".parse().unwrap());
        let mut indexes = SnapshotIndexes::default();
        for ecosystem in Ecosystem::ALL {
            let path = fixtures().join("index").join(format!("{ecosystem}.tsv"));
            let rows = parse_rows(&std::fs::read_to_string(path).unwrap()).unwrap();
            let bytes = build_index(ecosystem, rows, now).unwrap();
            indexes.add(SnapshotIndex::open(&bytes).unwrap());
        }
        World { advisories, indexes, now }
    }

    fn judged(world: &World, before: &Files, case: &Case, off: &BTreeSet<Rule>) -> Report {
        let policy = Policy::parse(case.policy.as_deref().unwrap_or("")).unwrap();
        check(&Inputs {
            base: before,
            head: &after(before, case),
            policy: &policy,
            advisories: Some(&world.advisories),
            index: Some(&world.indexes),
            now: world.now,
            off,
        })
    }

    /// What the two gates would say together, and by which rules.
    fn verdict(report: &Report) -> (&'static str, BTreeSet<String>) {
        let decided = |decides: Decides| {
            report.findings.iter().any(|found| found.rule.text().decides == decides)
        };
        let state = if decided(Decides::Block) {
            "fail"
        } else if !report.inconclusive.is_empty() {
            "inconclusive"
        } else if decided(Decides::Ask) {
            "ask"
        } else {
            "pass"
        };
        (state, report.findings.iter().map(|found| found.rule.text().id.to_owned()).collect())
    }

    fn cases() -> Vec<(String, Files, Vec<Case>)> {
        listed(&fixtures().join("cases"))
            .into_iter()
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                let file: CaseFile = toml::from_str(&text).unwrap();
                let before = project(&name);
                (name, before, file.case)
            })
            .collect()
    }

    #[test]
    fn every_lie_is_found_and_no_honest_change_is_stopped() {
        let world = world();
        let (mut bad, mut good) = (0, 0);
        let mut differences = Vec::new();
        for (_, before, cases) in cases() {
            for case in &cases {
                let report = judged(&world, &before, case, &BTreeSet::new());
                let found = verdict(&report);
                let expected = (case.state.as_str(), case.expect.clone());
                if case.state == "pass" {
                    good += 1;
                } else {
                    bad += 1;
                }
                if found != expected {
                    differences.push(format!(
                        "{}: {found:?}\n   wanted {expected:?}\n   {:?} {:?}",
                        case.name,
                        report.findings.iter().map(|one| &one.message).collect::<Vec<_>>(),
                        report.inconclusive
                    ));
                }
            }
        }
        assert!(differences.is_empty(), "\n{}", differences.join("\n"));
        assert!(bad >= 120 && good >= 60, "{bad} bad and {good} good");
    }

    #[test]
    fn each_rule_that_is_switched_off_turns_a_case_red() {
        let world = world();
        let cases = cases();
        let mut idle = Vec::new();
        for rule in Rule::ALL {
            let off = BTreeSet::from([rule]);
            let red = cases.iter().any(|(_, before, cases)| {
                cases.iter().filter(|case| case.expect.contains(rule.text().id)).any(|case| {
                    let (state, _) = verdict(&judged(&world, before, case, &off));
                    state != case.state
                })
            });
            if !red {
                idle.push(rule);
            }
        }
        assert_eq!(idle, Vec::new(), "no case needs them");
    }

    #[test]
    fn every_project_by_itself_is_read_and_clean() {
        let world = world();
        for (name, before, _) in cases() {
            let empty = Files::new();
            let case = Case {
                name: name.clone(),
                state: "pass".to_owned(),
                expect: BTreeSet::new(),
                policy: None,
                edit: Vec::new(),
            };
            // the whole project is new
            let policy = Policy::default();
            let report = check(&Inputs {
                base: &empty,
                head: &after(&before, &case),
                policy: &policy,
                advisories: Some(&world.advisories),
                index: Some(&world.indexes),
                now: world.now,
                off: &BTreeSet::new(),
            });
            assert_eq!(verdict(&report), ("pass", BTreeSet::new()), "{name}: {report:?}");
            assert!(!report.changes.is_empty(), "{name}");
        }
    }

    #[test]
    fn without_a_mirror_or_an_index_nothing_passes_unseen() {
        let world = world();
        let all = cases();
        let (_, before, cases) = all.iter().find(|(name, ..)| name == "npm3").unwrap();
        let case = cases.iter().find(|case| case.name.ends_with("good-name-of-its-own")).unwrap();
        let head = after(before, case);
        let run =
            |advisories: Option<&Advisories>, index: Option<&dyn PackageIndex>, policy: &str| {
                let policy = Policy::parse(policy).unwrap();
                let report = check(&Inputs {
                    base: before,
                    head: &head,
                    policy: &policy,
                    advisories,
                    index,
                    now: world.now,
                    off: &BTreeSet::new(),
                });
                verdict(&report).0
            };
        // the control run
        assert_eq!(run(Some(&world.advisories), Some(&world.indexes), ""), "pass");
        assert_eq!(run(None, Some(&world.indexes), ""), "inconclusive");
        assert_eq!(run(Some(&world.advisories), None, ""), "inconclusive");
        let old = "[advisories]\nmax_age_days = 4\n";
        assert_eq!(run(Some(&world.advisories), Some(&world.indexes), old), "inconclusive");
        let none = Advisories::default();
        assert_eq!(run(Some(&none), Some(&world.indexes), ""), "inconclusive");
        let off = "[advisories]\ncheck = 'off'\n[index]\ncheck = 'off'\n";
        assert_eq!(run(None, None, off), "pass");
        let known = "[advisories]\ncheck = 'off'\n[index]\nknown = ['npm:quietly-*']\n";
        assert_eq!(run(None, None, known), "pass");
    }

    #[test]
    fn a_change_says_through_what_a_package_came() {
        let world = world();
        let all = cases();
        let (_, before, cases) = all.iter().find(|(name, ..)| name == "npm3").unwrap();
        let case =
            cases.iter().find(|case| case.name.ends_with("good-update-of-a-transitive")).unwrap();
        let report = judged(&world, before, case, &BTreeSet::new());
        let change = &report.changes[0];
        assert_eq!(change.through, ["semver", "lru-cache", "yallist"]);
        assert!(!change.is_direct());
        assert_eq!(
            bailiwick_deps::sbom_changes(&report.changes),
            "~ yallist 4.0.0 → 4.0.1 (npm, through semver → lru-cache → yallist; package-lock.json)"
        );
    }
}
