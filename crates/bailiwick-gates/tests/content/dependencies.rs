//! The gates `dependencies` and `slopsquat` over the lying and honest lock files of
//! `bailiwick-deps`: what is wrong with each is its own affair there, here it is whether a change
//! is stopped.

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use bailiwick_deps::{
        Advisories, Ecosystem, SnapshotIndex, SnapshotIndexes, build_index, parse_rows,
    };
    use bailiwick_gates::{
        Change, ContentGate, DependenciesGate, FilePair, GateSettings, Input, MapTree,
        SlopsquatGate, Sources, judge_content, verdict,
    };
    use bailiwick_model::Timestamp;
    use bailiwick_model::evidence::{GateReport, GateState};
    use serde::Deserialize;

    use crate::mutation::BadCase;

    #[derive(Deserialize)]
    struct CaseFile {
        case: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        state: String,
        policy: Option<String>,
        edit: Vec<Edit>,
    }

    #[derive(Deserialize)]
    struct Edit {
        file: String,
        replace: Option<String>,
        with: Option<String>,
        write: Option<String>,
        #[serde(default)]
        delete: bool,
    }

    type Files = BTreeMap<String, Vec<u8>>;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../bailiwick-deps/fixtures")
    }

    fn listed(directory: &Path) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort();
        all
    }

    fn now() -> Timestamp {
        "2026-11-25T00:00:00Z".parse().unwrap()
    }

    fn sources() -> Sources {
        let mut advisories = Advisories::default();
        for path in listed(&fixtures().join("advisories")) {
            advisories.add(&std::fs::read(path).unwrap()).unwrap();
        }
        advisories.made_at("2026-11-20T00:00:00Z".parse().unwrap());
        let mut indexes = SnapshotIndexes::default();
        for ecosystem in Ecosystem::ALL {
            let path = fixtures().join("index").join(format!("{ecosystem}.tsv"));
            let rows = parse_rows(&std::fs::read_to_string(path).unwrap()).unwrap();
            let bytes = build_index(ecosystem, rows, now()).unwrap();
            indexes.add(SnapshotIndex::open(&bytes).unwrap());
        }
        Sources {
            advisories: Some(Arc::new(advisories)),
            index: Some(Arc::new(indexes)),
            ..Sources::default()
        }
    }

    fn after(before: &Files, case: &Case) -> Files {
        let mut files = before.clone();
        for edit in &case.edit {
            if edit.delete {
                files.remove(&edit.file);
            } else if let Some(text) = &edit.write {
                files.insert(edit.file.clone(), text.clone().into_bytes());
            } else {
                let text = String::from_utf8(files[&edit.file].clone()).unwrap();
                let old = edit.replace.as_ref().unwrap();
                let new = text.replacen(old.as_str(), edit.with.as_ref().unwrap(), 1);
                files.insert(edit.file.clone(), new.into_bytes());
            }
        }
        files
    }

    fn input(before: &Files, after: &Files, policy: Option<&str>) -> Input {
        let paths: std::collections::BTreeSet<&String> =
            before.keys().chain(after.keys()).collect();
        let mode = |content: Option<&Vec<u8>>| if content.is_some() { 0o100_644 } else { 0 };
        let pairs = paths
            .into_iter()
            .filter(|path| before.get(*path) != after.get(*path))
            .map(|path| FilePair {
                path: path.clone(),
                old_mode: mode(before.get(path)),
                new_mode: mode(after.get(path)),
                before: before.get(path).map(|bytes| bytes.as_slice().into()),
                after: after.get(path).map(|bytes| bytes.as_slice().into()),
                ..FilePair::default()
            })
            .collect();
        let mut settings = GateSettings::default();
        if let Some(policy) = policy {
            settings.tables.insert("dependencies".to_owned(), toml::from_str(policy).unwrap());
        }
        Input {
            change: Change { pairs, ..Change::default() },
            base: Box::new(MapTree(before.clone())),
            head: Box::new(MapTree(after.clone())),
            settings,
            now: now(),
            deadline: None,
        }
    }

    fn judged(sources: &Sources, input: Input) -> Vec<GateReport> {
        let gates: Vec<Arc<dyn ContentGate>> = vec![
            Arc::new(DependenciesGate::new(sources.clone())),
            Arc::new(SlopsquatGate::new(sources.clone())),
        ];
        judge_content(&gates, input, Duration::from_secs(60))
    }

    fn projects() -> Vec<(Files, Vec<Case>)> {
        listed(&fixtures().join("cases"))
            .into_iter()
            .map(|path| {
                let project = fixtures().join("projects").join(path.file_stem().unwrap());
                let before = listed(&project)
                    .into_iter()
                    .map(|path| {
                        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                        (name, std::fs::read(&path).unwrap())
                    })
                    .collect();
                let file: CaseFile =
                    toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                (before, file.case)
            })
            .collect()
    }

    /// Every case that does not pass, once for each of the two gates, and the honest ones, of which
    /// it is told what they change.
    pub(crate) fn bad_cases() -> Vec<BadCase> {
        let mut all = Vec::new();
        for (before, cases) in projects() {
            for case in cases {
                let after = after(&before, &case);
                let both = Arc::new((before.clone(), after, case.policy));
                for gate in ["dependencies", "slopsquat"] {
                    let both = Arc::clone(&both);
                    let judge = move |settings: GateSettings| {
                        let (before, after, policy) = &*both;
                        let mut input = input(before, after, policy.as_deref());
                        input.settings.off = settings.off;
                        let reports = judged(&SHARED, input);
                        reports.into_iter().find(|report| report.gate == gate).unwrap()
                    };
                    all.push(BadCase { name: case.name.clone(), gate, judge: Box::new(judge) });
                }
            }
        }
        all
    }

    static SHARED: std::sync::LazyLock<Sources> = std::sync::LazyLock::new(sources);

    #[test]
    fn every_bad_change_is_stopped_and_no_good_one() {
        let sources = sources();
        let (mut bad, mut good) = (0, 0);
        for (before, cases) in projects() {
            for case in cases {
                let change = input(&before, &after(&before, &case), case.policy.as_deref());
                let reports = judged(&sources, change);
                let wanted = match case.state.as_str() {
                    "pass" => GateState::Pass,
                    "ask" => GateState::NeedsApproval,
                    "fail" => GateState::Fail,
                    _ => GateState::Inconclusive,
                };
                if wanted == GateState::Pass {
                    good += 1;
                } else {
                    bad += 1;
                }
                assert_eq!(verdict(&reports), wanted, "{}: {reports:?}", case.name);
            }
        }
        assert!(bad >= 120 && good >= 60, "{bad} bad, {good} good");
    }

    /// Each way in which the gates can be kept from judging, beside a run in which nothing is.
    #[test]
    fn a_gate_that_is_broken_keeps_the_change_out() {
        let sources = sources();
        let projects = projects();
        let (before, cases) =
            projects.iter().find(|(_, cases)| cases[0].name.starts_with("npm3/")).unwrap();
        let case = cases.iter().find(|case| case.name == "npm3/good-name-of-its-own").unwrap();
        let after = after(before, case);
        let state = |sources: &Sources, input: Input| verdict(&judged(sources, input));
        assert_eq!(state(&sources, input(before, &after, None)), GateState::Pass);
        let inconclusive = [
            state(&Sources::default(), input(before, &after, None)),
            state(&Sources { index: None, ..sources.clone() }, input(before, &after, None)),
            state(&Sources { advisories: None, ..sources.clone() }, input(before, &after, None)),
            state(&sources, input(before, &after, Some("[advisories]\nmax_age = 1\n"))),
            state(&sources, input(before, &after, Some("[licences]\nallow = ['No such']\n"))),
            state(&sources, input(before, &after, Some("[advisories]\nmax_age_days = 1\n"))),
            // a lock file that is a link: in the change, and in no list of files
            state(
                &sources,
                Input {
                    head: Box::new(MapTree(
                        after
                            .iter()
                            .filter(|(path, _)| *path != "package-lock.json")
                            .map(|(p, b)| (p.clone(), b.clone()))
                            .collect(),
                    )),
                    ..input(before, &after, None)
                },
            ),
        ];
        assert_eq!(inconclusive, [GateState::Inconclusive; 7]);
    }

    #[test]
    fn what_changed_is_told_and_what_does_not_concern_them_is_left_alone() {
        let sources = sources();
        let projects = projects();
        let (before, cases) =
            projects.iter().find(|(_, cases)| cases[0].name.starts_with("npm3/")).unwrap();
        let case = cases.iter().find(|case| case.name == "npm3/good-update").unwrap();
        let reports = judged(&sources, input(before, &after(before, case), None));
        let told: Vec<&str> =
            reports[0].findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(told, ["~ debug 4.3.4 → 4.3.5 (npm, direct; package-lock.json)"]);
        assert!(reports[0].summary.contains("7 advisories, 5 days old"), "{}", reports[0].summary);
        let mut other = before.clone();
        other.insert("src/main.js".to_owned(), b"x".to_vec());
        let reports = judged(&Sources::default(), input(before, &other, None));
        assert_eq!(verdict(&reports), GateState::Pass);
    }
}
