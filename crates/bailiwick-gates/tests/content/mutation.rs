//! With any rule of any gate switched off, some case turns red: it is judged differently or, where
//! another rule of the gate always asks as well, a place that people should look at is not shown.
//! A rule that no case needs has to go, or to get a case.

use bailiwick_gates::{Effect, GateSettings, Sources, content_gates};
use bailiwick_model::evidence::{GateReport, GateState};
use std::collections::{BTreeMap, BTreeSet};

/// A change that a gate does not let through without a word.
pub(crate) struct BadCase {
    /// Where it stands.
    pub(crate) name: String,
    /// The gate that judges it.
    pub(crate) gate: &'static str,
    /// Judges it by that gate alone.
    pub(crate) judge: Box<dyn Fn(GateSettings) -> GateReport>,
}

fn bad_cases() -> Vec<BadCase> {
    let mut all = crate::cases::tests::bad_cases();
    all.extend(crate::dependencies::tests::bad_cases());
    all.extend(crate::sast::bad_cases());
    all.extend(crate::secrets::bad_cases());
    all
}

fn without(off: &str) -> GateSettings {
    GateSettings { off: BTreeSet::from([off.to_owned()]), ..GateSettings::default() }
}

/// What people are led to.
fn places_of(report: &GateReport) -> BTreeSet<(Option<&str>, Option<u32>)> {
    report.findings.iter().map(|finding| (finding.path.as_deref(), finding.line)).collect()
}

fn rules_of(report: &GateReport) -> BTreeSet<&str> {
    report.findings.iter().map(|finding| finding.rule.as_str()).collect()
}

#[test]
fn each_rule_and_each_gate_that_is_switched_off_turns_a_case_red() {
    let mut by_gate: BTreeMap<&str, Vec<(BadCase, GateReport)>> = BTreeMap::new();
    for case in bad_cases() {
        let report = (case.judge)(GateSettings::default());
        by_gate.entry(case.gate).or_default().push((case, report));
    }
    let mut idle: Vec<String> = Vec::new();
    let (mut gates, mut rules, mut deciding) = (0, 0, 0);
    for gate in content_gates(&Sources::default()) {
        gates += 1;
        let cases = by_gate.remove(gate.name()).unwrap_or_default();
        for rule in gate.rules() {
            rules += 1;
            let (mut expecting, mut decides, mut shows) = (0, false, false);
            let has = |report: &GateReport| rules_of(report).contains(rule.id.as_ref());
            for (case, report) in cases.iter().filter(|(_, report)| has(report)) {
                let without = (case.judge)(without(&rule.id));
                assert!(!has(&without), "{}: {} is not off", case.name, rule.id);
                expecting += 1;
                decides |= report.state != without.state;
                shows |= places_of(report) != places_of(&without);
                if decides || (rule.effect == Effect::Informs && shows) {
                    break;
                }
            }
            match rule.effect {
                Effect::Blocks | Effect::AsksPerson if decides => deciding += 1,
                Effect::AsksPerson | Effect::Informs if shows => {}
                Effect::Blocks | Effect::AsksPerson | Effect::Informs => {
                    idle.push(format!("{} ({expecting} cases have it)", rule.id));
                }
            }
        }
        let gate_is_needed = cases.iter().any(|(case, report)| {
            report.state != GateState::Pass
                && (case.judge)(without(gate.name())).state == GateState::Pass
        });
        if !gate_is_needed {
            idle.push(format!("the gate {}", gate.name()));
        }
    }
    assert!(by_gate.is_empty(), "cases of no gate: {:?}", by_gate.keys());
    println!(
        "{rules} rules of {gates} gates switched off in turn: {deciding} change a verdict, \
         {} a place that is shown, {} nothing",
        rules - deciding - idle.len(),
        idle.len()
    );
    assert!(idle.is_empty(), "no case turns red without\n{}", idle.join("\n"));
    assert!(gates >= 8 && rules >= 150, "{rules} rules of {gates} gates");
}
