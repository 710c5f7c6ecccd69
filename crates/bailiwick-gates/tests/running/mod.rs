//! The gates that run something, each with what it finds, what it lets through, and what happens
//! when it is broken.

mod abuse;
mod analysers;
mod coverage;
mod mutants;
mod new_tests;

use crate::bench::Repository;
use bailiwick_gates::Gate;
use bailiwick_model::evidence::{GateReport, GateState};

/// Files of a commit; `None` takes one away.
pub(crate) type Files<'a> = &'a [(&'a str, Option<&'a str>)];

/// Judges the change from one commit to the next.
pub(crate) async fn judge(gate: &dyn Gate, base: Files<'_>, head: Files<'_>) -> GateReport {
    let repository = Repository::new();
    let base = repository.commit("base", base);
    let head = repository.commit("change", head);
    repository.judge(gate, &base, &head, &[]).await
}

/// The rules of the findings that do more than inform, and the state.
pub(crate) fn said(report: &GateReport) -> (GateState, Vec<&str>) {
    let mut rules: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.level > bailiwick_model::evidence::Level::Note)
        .map(|finding| finding.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    (report.state, rules)
}

/// A change that one rule of a gate finds.
pub(crate) struct BadCase {
    pub(crate) gate: Box<dyn Gate>,
    pub(crate) rule: &'static str,
    /// The settings of the protected branch but for `[gates]`.
    pub(crate) settings: String,
    pub(crate) base: Vec<(&'static str, String)>,
    pub(crate) head: Vec<(&'static str, String)>,
}

impl BadCase {
    async fn judge(&self, off: &str) -> GateReport {
        let rules = format!("[gates]\noff = [{off}]\n{}", self.settings);
        let mut base: Vec<(&str, Option<&str>)> = vec![(".bailiwick/gates.toml", Some(&rules))];
        base.extend(self.base.iter().map(|(path, text)| (*path, Some(text.as_str()))));
        let head: Vec<_> =
            self.head.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect();
        judge(&*self.gate, &base, &head).await
    }
}

/// With any rule of these gates switched off, or the gate itself, a case turns red. Gates that
/// have no rules of their own are switched off as a whole.
#[tokio::test]
async fn each_rule_and_each_gate_that_is_switched_off_turns_a_case_red() {
    let mut cases = abuse::bad_cases();
    cases.extend(analysers::bad_cases());
    cases.extend(coverage::bad_cases());
    cases.extend(mutants::bad_cases());
    cases.extend(new_tests::bad_cases());
    let (mut gates, mut rules) = (0, 0);
    for gate in bailiwick_gates::sandbox_gates(&bailiwick_gates::Sources::default()) {
        if ["tests", "acceptance"].contains(&gate.name()) {
            // nobody can switch them off: see `nobody_switches_the_tests_off`
            continue;
        }
        gates += 1;
        let of_gate: Vec<&BadCase> =
            cases.iter().filter(|case| case.gate.name() == gate.name()).collect();
        assert!(!of_gate.is_empty(), "no case needs the gate {}", gate.name());
        for rule in gate.rules() {
            assert!(of_gate.iter().any(|case| case.rule == rule.id), "no case for {}", rule.id);
        }
        for (nth, case) in of_gate.into_iter().enumerate() {
            rules += 1;
            let has = |report: &GateReport| report.findings.iter().any(|one| one.rule == case.rule);
            let report = case.judge("").await;
            assert!(has(&report), "{}: {}", case.rule, report.summary);
            let without = case.judge(&format!("'{}'", case.rule)).await;
            assert!(!has(&without), "{}: {}", case.rule, without.summary);
            let informs = report.state == GateState::Pass;
            assert!(informs || without.state == GateState::Pass, "{}", without.summary);
            if nth == 0 {
                assert_ne!(report.state, GateState::Pass, "{}", case.rule);
                let nothing = case.judge(&format!("'{}'", gate.name())).await;
                assert_eq!((nothing.state, nothing.evidence.len()), (GateState::Pass, 0));
            }
        }
    }
    println!("{rules} rules of {gates} gates switched off in turn, each turned a case red");
    assert!(gates >= 5 && rules >= 15, "{rules} rules of {gates} gates");
}

/// What a change is judged by can't be switched off, and is all that stands against these changes.
#[tokio::test]
async fn nobody_switches_the_tests_off() {
    use bailiwick_gates::{GateSettings, Sources, check_settings, content_gates};
    for off in ["tests", "acceptance", "scope"] {
        let settings = GateSettings { off: [off.to_owned()].into(), ..GateSettings::default() };
        let error = check_settings(&settings, &content_gates(&Sources::default())).unwrap_err();
        assert!(error.contains(off), "{error}");
    }
    let repository = Repository::new();
    let test = "[tests]\ncommand = 'test -e needed'\n";
    let files = [(".bailiwick/gates.toml", Some(test)), ("needed", Some("1"))];
    let base = repository.commit("base", &files);
    let head = repository.commit("change", &[("needed", None)]);
    let check = bailiwick_model::plan::Check {
        name: "there".to_owned(),
        command: "test -e wanted".to_owned(),
    };
    let change = bailiwick_gates::Change::load(&repository.git, &base, &head).unwrap();
    let rules = bailiwick_gates::ProtectedRules::read(&repository.git, &base).unwrap();
    let context = bailiwick_gates::GateContext {
        base: &repository.checkout(&base, "base"),
        head: &repository.checkout(&head, "head"),
        bench: &repository,
        change: &change,
        rules: &rules,
        acceptance: &[check],
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
    };
    let gates = bailiwick_gates::sandbox_gates(&Sources::default());
    let reports = bailiwick_gates::run_all(&gates, &context).await;
    let scope = bailiwick_gates::scope_report(&change, &["src/**".to_owned()], &[].into());
    let failing: Vec<&str> = reports
        .iter()
        .chain([&scope])
        .filter(|report| report.state == GateState::Fail)
        .map(|report| report.gate.as_str())
        .collect();
    // each by itself: without it nothing stands for it
    assert_eq!(failing, ["tests", "acceptance", "scope"]);
}
