//! Cases as data: `cases/GATE/RULE/*.toml`, each with changes that the rule finds (`[[bad]]`) and
//! changes that it does not (`[[good]]`). A new file is a new test.
//!
//! Texts may hold `\u{…}` as TOML has it; `{{alnum:N}}`-like templates are not needed here.

#[cfg(test)]
pub(crate) mod tests {
    use crate::mutation::BadCase;
    use bailiwick_gates::{
        Change, ContentGate, FilePair, GateSettings, Input, LineRange, MapTree, Sources, Tree,
        content_gates, judge_content,
    };
    use bailiwick_model::evidence::{GateReport, GateState};
    use serde::Deserialize;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    /// Gates whose rules all have cases here.
    const GATES: [&str; 4] = ["hidden-text", "configuration", "test-integrity", "quality"];

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        #[serde(default)]
        base: BTreeMap<String, String>,
        #[serde(default)]
        head: BTreeMap<String, String>,
        /// Lines of the base that were written only lately, where its past is known.
        recent: Option<BTreeMap<String, Vec<u32>>>,
        /// The gate's own settings.
        #[serde(default)]
        settings: BTreeMap<String, toml::Table>,
    }

    /// The files of a base, with what is known of their past.
    struct Past {
        files: MapTree,
        recent: Option<BTreeMap<String, Vec<u32>>>,
    }

    impl Tree for Past {
        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
            self.files.read(path)
        }

        fn paths(&self) -> Result<Vec<String>, String> {
            self.files.paths()
        }

        fn written_since(
            &self,
            path: &str,
            _: bailiwick_model::Timestamp,
        ) -> Result<Option<Vec<u32>>, String> {
            let known = self.recent.as_ref();
            Ok(known.map(|recent| recent.get(path).cloned().unwrap_or_default()))
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cases {
        bad: Vec<Case>,
        good: Vec<Case>,
    }

    fn folders(path: &Path) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    fn cases() -> Vec<(String, String, Cases)> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
        let mut all = Vec::new();
        for gate in folders(&top) {
            for rule in folders(&gate) {
                for file in folders(&rule) {
                    let id = rule.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
                    let name = file.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
                    let text = std::fs::read_to_string(&file).unwrap();
                    let cases: Cases =
                        toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                    all.push((id, name, cases));
                }
            }
        }
        all
    }

    /// The files of a case as a change. Lines that differ are found by their text, which is enough
    /// for these.
    fn change(case: &Case) -> Change {
        let paths: BTreeSet<&String> = case.base.keys().chain(case.head.keys()).collect();
        let mut change = Change::default();
        for path in paths {
            let (before, after) = (case.base.get(path), case.head.get(path));
            if before == after {
                continue;
            }
            let added = lines_only_in(after, before);
            let removed = lines_only_in(before, after);
            change.files.push(bailiwick_gates::risk::FileDelta {
                path: path.clone(),
                old_path: None,
                deleted: after.is_none(),
                binary: false,
                added: u32::try_from(added.len()).unwrap(),
                removed: u32::try_from(removed.len()).unwrap(),
            });
            change.pairs.push(FilePair {
                path: path.clone(),
                old_path: None,
                old_mode: before.map_or(0, |_| 0o100_644),
                new_mode: after.map_or(0, |_| 0o100_644),
                before: before.map(|text| text.as_bytes().into()),
                after: after.map(|text| text.as_bytes().into()),
                added,
                removed,
                binary: false,
            });
        }
        change
    }

    fn lines_only_in(text: Option<&String>, other: Option<&String>) -> Vec<LineRange> {
        let mut known: BTreeMap<&str, u32> = BTreeMap::new();
        for line in other.map_or("", String::as_str).lines() {
            *known.entry(line).or_default() += 1;
        }
        let mut ranges = Vec::new();
        for (line, number) in text.map_or("", String::as_str).lines().zip(1..) {
            match known.get_mut(line) {
                Some(count) if *count > 0 => *count -= 1,
                _ => ranges.push(LineRange { first: number, last: number }),
            }
        }
        ranges
    }

    fn tree(files: &BTreeMap<String, String>) -> MapTree {
        let files = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
        MapTree(files.collect())
    }

    fn judge(case: &Case, mut settings: GateSettings) -> Vec<GateReport> {
        let gates: Vec<Arc<dyn ContentGate>> = content_gates(&Sources::default())
            .into_iter()
            .filter(|gate| GATES.contains(&gate.name()))
            .collect();
        settings.tables.extend(case.settings.clone());
        let input = Input {
            change: change(case),
            base: Box::new(Past { files: tree(&case.base), recent: case.recent.clone() }),
            head: Box::new(tree(&case.head)),
            settings,
            now: "2026-06-01T00:00:00Z".parse().unwrap(),
            deadline: None,
        };
        judge_content(&gates, input, Duration::from_secs(600))
    }

    /// Every bad case, judged by the gate whose rule it is for.
    pub(crate) fn bad_cases() -> Vec<BadCase> {
        let of_gate = |gate: &str| GATES.into_iter().find(|known| *known == gate).unwrap();
        let mut all = Vec::new();
        for (rule, name, cases) in cases() {
            let gate = of_gate(rule.split('/').next().unwrap());
            for case in cases.bad {
                let judge = move |settings: GateSettings| {
                    let reports = judge(&case, settings);
                    reports.into_iter().find(|report| report.gate == gate).unwrap()
                };
                all.push(BadCase { name: name.clone(), gate, judge: Box::new(judge) });
            }
        }
        all
    }

    fn found(reports: &[GateReport]) -> Vec<String> {
        reports
            .iter()
            .flat_map(|report| &report.findings)
            .map(|finding| format!("{} {:?}:{:?}", finding.rule, finding.path, finding.line))
            .collect()
    }

    #[test]
    fn each_case_is_found_or_let_through() {
        let mut wrong = Vec::new();
        for (rule, name, cases) in cases() {
            let prefix = format!("{rule} ");
            for (kind, list) in [("bad", &cases.bad), ("good", &cases.good)] {
                assert!(!list.is_empty(), "{name}: no `[[{kind}]]`");
                for (index, case) in list.iter().enumerate() {
                    let reports = judge(case, GateSettings::default());
                    let inconclusive =
                        reports.iter().find(|report| report.state == GateState::Inconclusive);
                    assert!(inconclusive.is_none(), "{name} {kind} {index}: {inconclusive:?}");
                    let found = found(&reports);
                    let hit = found.iter().any(|found| found.starts_with(&prefix));
                    if hit != (kind == "bad") {
                        wrong.push(format!("{name}, {kind} {index}: {found:?}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    /// With a rule, or its gate, switched off, its own cases are not found any more: they would be
    /// red. And every rule has such cases.
    #[test]
    fn each_rule_and_each_gate_is_needed() {
        let all = cases();
        let with_cases: BTreeSet<&str> = all.iter().map(|(rule, _, _)| rule.as_str()).collect();
        for gate in content_gates(&Sources::default()) {
            if !GATES.contains(&gate.name()) {
                continue;
            }
            for rule in gate.rules() {
                assert!(with_cases.contains(rule.id.as_ref()), "no case for `{}`", rule.id);
            }
        }
        for (rule, name, cases) in &all {
            let gate = rule.split('/').next().unwrap();
            for off in [rule.as_str(), gate] {
                let mut settings = GateSettings::default();
                settings.off.insert(off.to_owned());
                let reports = judge(&cases.bad[0], settings);
                let prefix = format!("{rule} ");
                let still = found(&reports).iter().any(|found| found.starts_with(&prefix));
                assert!(!still, "{name}: found by something else than `{off}`");
            }
        }
    }

    /// What each gate does when it can't judge: the change stays shut.
    #[test]
    fn a_gate_that_is_not_given_its_files_is_inconclusive() {
        for gate in content_gates(&Sources::default()) {
            let change = Change { unread: vec!["`x`: unreadable".to_owned()], ..Change::default() };
            let input = Input {
                change,
                base: Box::new(MapTree::default()),
                head: Box::new(MapTree::default()),
                settings: GateSettings::default(),
                now: "2026-06-01T00:00:00Z".parse().unwrap(),
                deadline: None,
            };
            let name = gate.name();
            if name != "secrets" && !GATES.contains(&name) {
                continue;
            }
            let report = judge_content(&[gate], input, Duration::from_secs(600)).remove(0);
            assert_eq!(report.state, GateState::Inconclusive, "{name}");
        }
    }
}
