use super::*;
use crate::change::Change;
use crate::content_gate::{EmptyTree, FilePair};
use crate::rule::Rule;
use crate::settings::{GateSettings, Suppression};
use bailiwick_model::evidence::Severity;

const BAD: Rule =
    Rule::blocks("test/bad", "bad", Severity::High, Some(1), ["it harms", "take it out"]);
const ODD: Rule = Rule::asks("test/odd", "odd", Severity::Low, None, ["it may harm", "look at it"]);

/// What the gate of these tests does.
enum Does {
    Scan,
    Panic,
    Hang,
    Doubt,
    UnknownRule,
}

struct TestGate(Does);

impl ContentGate for TestGate {
    fn name(&self) -> &'static str {
        "test"
    }

    fn purpose(&self) -> &'static str {
        "for tests"
    }

    fn rules(&self) -> Vec<Rule> {
        vec![BAD, ODD]
    }

    fn inspect(&self, input: &Input) -> Inspected {
        match self.0 {
            Does::Scan => input.new_hits(|_| true, |path, bytes| Ok(scan(path, bytes))),
            Does::Panic => panic!("on purpose"),
            Does::Hang => {
                while !input.is_late() {
                    std::thread::yield_now();
                }
                Inspected::default()
            }
            Does::Doubt => {
                Inspected { doubts: vec!["`x`: unreadable".to_owned()], ..Inspected::default() }
            }
            Does::UnknownRule => Inspected {
                hits: vec![Hit::in_change("test/other", "x", String::new())],
                ..Inspected::default()
            },
        }
    }
}

fn scan(path: &str, bytes: &[u8]) -> Vec<Hit> {
    let text = String::from_utf8_lossy(bytes);
    let mut hits = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        for (word, rule) in [("bad", "test/bad"), ("odd", "test/odd")] {
            if line.contains(word) {
                hits.push(Hit::at(rule, path, number, line, word.to_owned()));
            }
        }
    }
    hits
}

fn input(before: Option<&str>, after: &str) -> Input {
    let pair = FilePair {
        path: "a".to_owned(),
        old_mode: if before.is_some() { 0o100_644 } else { 0 },
        new_mode: 0o100_644,
        before: before.map(|text| text.as_bytes().into()),
        after: Some(after.as_bytes().into()),
        ..FilePair::default()
    };
    Input {
        change: Change { pairs: vec![pair], ..Change::default() },
        base: Box::new(EmptyTree),
        head: Box::new(EmptyTree),
        settings: GateSettings::default(),
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
        deadline: None,
    }
}

fn run(does: Does, input: Input, limit: Duration) -> GateReport {
    judge_content(&[Arc::new(TestGate(does))], input, limit).remove(0)
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn only_what_is_new_counts_wherever_it_moved() {
    for (before, after, state, lines) in [
        (None, "good", GateState::Pass, vec![]),
        (None, "bad", GateState::Fail, vec![1]),
        (Some("bad"), "x\ny\n  bad", GateState::Pass, vec![]),
        (Some("bad"), "bad\nbad", GateState::Fail, vec![2]),
        (Some("bad"), "bad and more", GateState::Fail, vec![1]),
        (None, "odd", GateState::NeedsApproval, vec![1]),
        (Some("odd"), "odd", GateState::Pass, vec![]),
        (None, "odd\nbad", GateState::Fail, vec![2, 1]),
    ] {
        let report = run(Does::Scan, input(before, after), LONG);
        let found: Vec<u32> = report.findings.iter().filter_map(|finding| finding.line).collect();
        assert_eq!((report.state, found), (state, lines), "{before:?} {after}");
    }
}

#[test]
fn a_fingerprint_survives_a_move_and_tells_equal_lines_apart() {
    let prints = |text: &str| -> Vec<Digest> {
        let report = run(Does::Scan, input(None, text), LONG);
        report.findings.iter().map(|finding| finding.fingerprint).collect()
    };
    let two = prints("bad\nbad");
    assert_ne!(two[0], two[1]);
    assert_eq!(two, prints("\n\n  bad\n\nbad"));
    assert_ne!(prints("bad")[0], prints("bad too")[0]);
}

#[test]
fn a_finding_says_why_and_what_to_do() {
    let report = run(Does::Scan, input(None, "bad\nodd"), LONG);
    let explained: Vec<_> = report
        .findings
        .iter()
        .filter_map(|finding| finding.explanation.as_deref())
        .map(|text| (text.severity, text.cwe, text.why.as_str(), text.fix.as_str(), text.heuristic))
        .collect();
    assert_eq!(
        explained,
        [
            (Severity::High, Some(1), "it harms", "take it out", false),
            (Severity::Low, None, "it may harm", "look at it", true),
        ]
    );
}

#[test]
fn a_suppression_counts_until_it_expires() {
    let fingerprint = run(Does::Scan, input(None, "bad"), LONG).findings[0].fingerprint;
    for (now, state) in
        [("2026-06-01T23:59:59Z", GateState::Pass), ("2026-06-02T00:00:00Z", GateState::Fail)]
    {
        let mut input = input(None, "bad");
        input.now = now.parse().unwrap();
        input.settings.suppressions.insert(
            fingerprint,
            Suppression {
                person: bailiwick_model::id::Person::parse("ada").unwrap(),
                reason: "known".to_owned(),
                expires_at: "2026-06-02T00:00:00Z".parse().unwrap(),
            },
        );
        let report = run(Does::Scan, input, LONG);
        assert_eq!(report.state, state, "{now}");
        let message = &report.findings[0].message;
        let expired = message.contains("expired at 2026-06-02");
        assert_eq!(expired, state == GateState::Fail, "{message}");
        assert_eq!(message.contains("suppressed by ada until"), !expired, "{message}");
    }
}

#[test]
fn a_rule_or_a_gate_that_is_off_finds_nothing() {
    for (off, state) in
        [("test/bad", GateState::Pass), ("test", GateState::Pass), ("test/odd", GateState::Fail)]
    {
        let mut input = input(None, "bad");
        input.settings.off.insert(off.to_owned());
        assert_eq!(run(Does::Scan, input, LONG).state, state, "{off}");
    }
}

#[test]
fn a_gate_that_breaks_down_in_any_way_is_inconclusive() {
    let mut unread = input(None, "good");
    unread.change.unread.push("`big`: too large".to_owned());
    for (does, input, limit, reason) in [
        (Does::Panic, input(None, "good"), LONG, "broke down: on purpose"),
        (Does::Hang, input(None, "good"), Duration::ZERO, "took longer than 0 s"),
        (Does::Doubt, input(None, "good"), LONG, "`x`: unreadable"),
        (Does::UnknownRule, input(None, "good"), LONG, "no rule `test/other`"),
        (Does::Scan, unread, LONG, "`big`: too large"),
    ] {
        let report = run(does, input, limit);
        assert_eq!(report.state, GateState::Inconclusive, "{reason}");
        assert!(report.state.blocks());
        assert!(report.summary.contains(reason), "{}", report.summary);
    }
}
