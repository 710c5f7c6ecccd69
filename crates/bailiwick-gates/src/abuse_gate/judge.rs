//! From answers to what they mean. Pure.

use super::library::{Class, Expected, Probe};
use super::script::{Answer, Answers};
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use regex::RegexSet;
use std::sync::LazyLock;

/// What gives away what is inside.
#[expect(
    clippy::expect_used,
    reason = "constant patterns, which a test compiles; dropping one would be a rule that is silently off"
)]
static INSIDES: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"root:[^:\s]*:0:0:",
        r"Traceback \(most recent call last\)",
        r"panicked at ",
        r"goroutine \d+ \[running\]",
        r"\n\s+at [\w.<>$]+ ?\(?[^\n]*:\d+(:\d+)?\)?",
        r"(?i)you have an error in your sql syntax|sqlite3?\.OperationalError|syntax error at or near|ORA-\d{5}",
        r"java\.lang\.\w+(Exception|Error)",
        r"System\.\w+Exception:",
    ])
    .expect("constant patterns")
});

/// A finding of misuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misused {
    /// The rule.
    pub(super) rule: &'static str,
    /// The probe's name.
    pub(super) name: String,
    /// What happened.
    pub(super) message: String,
}

/// What the answers of one side show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// What went wrong.
    pub(super) misused: Vec<Misused>,
    /// Interfaces whose request that works does not work, and why nothing else was shown.
    pub(super) doubts: Vec<String>,
    /// How many probes got an answer that counts.
    pub(super) judged: usize,
}

const CRASH: &str = "abuse/crash";
const NO_ANSWER: &str = "abuse/no-answer";
const FAILS: &str = "abuse/server-error";
const NO_AUTH: &str = "abuse/no-auth";
const REPLAY: &str = "abuse/replay";
const OVERSIZE: &str = "abuse/oversize";
const LEAKS: &str = "abuse/leaks";
const ACCEPTED: &str = "abuse/accepted";

/// Every rule.
pub(super) fn rules() -> Vec<Rule> {
    let blocks =
        |id, title, severity, cwe, texts| Rule::blocks(id, title, severity, Some(cwe), texts);
    vec![
        blocks(
            CRASH,
            "program that misuse ends",
            Severity::High,
            248,
            [
                "whoever can send it can end the program for everybody",
                "refuse the input with an error, and let no request end the program",
            ],
        ),
        blocks(
            NO_ANSWER,
            "misuse that gets no answer",
            Severity::High,
            400,
            [
                "whoever can send it can keep the program busy, or a part of it has died",
                "bound the work for one request, and answer with an error",
            ],
        ),
        blocks(
            FAILS,
            "misuse that is answered as a fault of the server",
            Severity::Medium,
            755,
            [
                "the program did not expect it: what it left half done is not known",
                "check the input where it comes in, and answer with 400 to 499",
            ],
        ),
        blocks(
            NO_AUTH,
            "address that answers without credentials",
            Severity::Critical,
            306,
            [
                "anybody can do what only some may",
                "check credentials before anything else, for each address",
            ],
        ),
        blocks(
            REPLAY,
            "request that can be done twice",
            Severity::High,
            294,
            [
                "whoever has seen it can do it again",
                "remember what was done by its key, and refuse it the second time",
            ],
        ),
        blocks(
            OVERSIZE,
            "more than the limit is taken",
            Severity::Medium,
            770,
            [
                "memory and time go to whoever sends the most",
                "refuse a body as soon as it is over the limit, with 413",
            ],
        ),
        blocks(
            LEAKS,
            "answer that shows what is inside",
            Severity::Medium,
            209,
            [
                "traces, files and messages of a database tell an attacker where to go on",
                "answer with a short sentence, and write the details to a log",
            ],
        ),
        Rule::asks(
            ACCEPTED,
            "input that is not valid is accepted",
            Severity::Low,
            Some(20),
            [
                "what is taken without a check is in the data from then on",
                "refuse it with 400 to 499; or see that it means something here",
            ],
        ),
    ]
}

/// Judges the answers to all probes. `is_program` says which of them went to a program's input.
pub(super) fn judge(probes: &[Probe], answers: &Answers, programs: usize) -> Shown {
    let mut shown = Shown::default();
    if let Some(reason) = &answers.broke_off {
        shown.doubts.push(reason.clone());
    }
    // what does not work as it is says nothing when it is misused
    let mut broken: Vec<&str> = Vec::new();
    for (number, probe) in (0_usize..).zip(probes) {
        let Some(answer) = answers.answers.get(&number) else { continue };
        let is_program = number < programs;
        if probe.expected == Expected::Works {
            let works = match answer {
                Answer::Said { code, .. } if is_program => *code == 0,
                Answer::Said { code, .. } => (200..400).contains(code),
                Answer::Silent | Answer::Closed { .. } => false,
            };
            if !works {
                broken.push(&probe.interface);
                let got = described(answer, is_program);
                shown.doubts.push(format!(
                    "`{}` does not work as it should by itself: {got}; mend it, or what `[settings.abuse]` says of it",
                    probe.interface
                ));
            }
            continue;
        }
        if broken.contains(&probe.interface.as_str()) {
            continue;
        }
        shown.judged += 1;
        if let Some(rule) = broken_rule(probe, answer, is_program) {
            shown.misused.push(Misused {
                rule,
                name: probe.name.clone(),
                message: format!(
                    "{}: {} (looks for CWE-{})",
                    probe.name,
                    described(answer, is_program),
                    probe.cwe
                ),
            });
        }
    }
    shown
}

fn broken_rule(probe: &Probe, answer: &Answer, is_program: bool) -> Option<&'static str> {
    let (code, text) = match answer {
        Answer::Said { alive: false, .. } | Answer::Closed { alive: false } => return Some(CRASH),
        Answer::Silent => return Some(NO_ANSWER),
        Answer::Closed { alive: true } => {
            return (probe.expected != Expected::Closed).then_some(NO_ANSWER);
        }
        Answer::Said { code, text, .. } => (*code, text),
    };
    if is_program {
        return match code {
            124 | 137 => Some(NO_ANSWER),
            128.. => Some(CRASH),
            // Rust's code for a panic; others use it for what they like
            101 if text.contains("panicked at ") => Some(CRASH),
            _ if INSIDES.is_match(text) => Some(LEAKS),
            _ => None,
        };
    }
    if INSIDES.is_match(text) {
        return Some(LEAKS);
    }
    if code >= 500 {
        // it may say that it does not do this at all
        return (code != 501).then_some(FAILS);
    }
    let success = code < 400;
    match (probe.expected, probe.class) {
        (Expected::Works | Expected::Handled, _) => None,
        (Expected::Unknown, _) => (!matches!(code, 401 | 403 | 404)).then_some(NO_AUTH),
        (Expected::Refused | Expected::Closed, _) if !success => None,
        (Expected::Refused | Expected::Closed, Some(Class::Replay)) => Some(REPLAY),
        // only what goes over a limit that is named is more than is allowed
        (Expected::Refused | Expected::Closed, Some(Class::Oversize)) => {
            probe.name.ends_with("more-than-the-limit").then_some(OVERSIZE)
        }
        (Expected::Refused | Expected::Closed, _) => Some(ACCEPTED),
    }
}

fn described(answer: &Answer, is_program: bool) -> String {
    match answer {
        Answer::Said { code, alive, .. } => {
            let what = if is_program { "it ended with exit code" } else { "answered with" };
            let end = if *alive { "" } else { ", and the program ended" };
            format!("{what} {code}{end}")
        }
        Answer::Silent => "no answer in time".to_owned(),
        Answer::Closed { alive: true } => "the connection was closed without an answer".to_owned(),
        Answer::Closed { alive: false } => "the program ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn probe(class: Option<Class>, expected: Expected, name: &str) -> Probe {
        Probe {
            name: name.to_owned(),
            interface: "POST /a".to_owned(),
            class,
            cwe: 20,
            expected,
            bytes: Vec::new(),
            before: None,
        }
    }

    fn said(code: u32, text: &str) -> Answer {
        Answer::Said { code, text: text.to_owned(), alive: true }
    }

    /// The rule that an answer breaks, with a request before that works.
    fn broken(
        class: Class,
        expected: Expected,
        answer: Answer,
        programs: usize,
    ) -> Option<&'static str> {
        let probes = [
            probe(None, Expected::Works, "what works"),
            probe(Some(class), expected, "POST /a: more-than-the-limit"),
        ];
        let works = if programs > 0 { said(0, "") } else { said(201, "HTTP/1.1 201 Created") };
        let answers =
            Answers { answers: BTreeMap::from([(0, works), (1, answer)]), broke_off: None };
        let shown = judge(&probes, &answers, programs);
        assert_eq!((shown.doubts.len(), shown.judged), (0, 1));
        shown.misused.first().map(|one| one.rule)
    }

    #[test]
    fn each_answer_breaks_the_rule_that_it_should() {
        use Class::{BadInput, MissingAuth, Oversize, Replay};
        use Expected::{Closed, Handled, Refused, Unknown};
        for (class, expected, answer, rule) in [
            (BadInput, Refused, said(400, ""), None),
            (BadInput, Refused, said(200, ""), Some(ACCEPTED)),
            (BadInput, Refused, said(500, ""), Some(FAILS)),
            (BadInput, Refused, said(501, ""), None),
            (BadInput, Refused, said(400, "Traceback (most recent call last):"), Some(LEAKS)),
            (BadInput, Handled, said(200, "root:x:0:0:root:/root"), Some(LEAKS)),
            (BadInput, Handled, said(200, "fine"), None),
            (BadInput, Handled, Answer::Silent, Some(NO_ANSWER)),
            (BadInput, Handled, Answer::Closed { alive: true }, Some(NO_ANSWER)),
            (BadInput, Handled, Answer::Closed { alive: false }, Some(CRASH)),
            (BadInput, Closed, Answer::Closed { alive: true }, None),
            (MissingAuth, Unknown, said(401, ""), None),
            (MissingAuth, Unknown, said(404, ""), None),
            (MissingAuth, Unknown, said(200, ""), Some(NO_AUTH)),
            (MissingAuth, Unknown, said(400, ""), Some(NO_AUTH)),
            (Replay, Refused, said(409, ""), None),
            (Replay, Refused, said(201, ""), Some(REPLAY)),
            (Oversize, Closed, said(413, ""), None),
            (Oversize, Closed, said(200, ""), Some(OVERSIZE)),
        ] {
            assert_eq!(broken(class, expected, answer.clone(), 0), rule, "{class:?} {answer:?}");
        }
        for (answer, rule) in [
            (said(0, ""), None),
            (said(1, "error: not JSON"), None),
            (said(101, "thread 'main' panicked at src/main.rs:3"), Some(CRASH)),
            (said(101, "bad input"), None),
            (said(139, ""), Some(CRASH)),
            (said(124, ""), Some(NO_ANSWER)),
            (said(1, "Traceback (most recent call last):\n  File"), Some(LEAKS)),
        ] {
            assert_eq!(broken(BadInput, Handled, answer.clone(), 2), rule, "{answer:?}");
        }
    }

    #[test]
    fn what_does_not_work_by_itself_shows_nothing() {
        let probes = [
            probe(None, Expected::Works, "what works"),
            probe(Some(Class::BadInput), Expected::Refused, "x"),
        ];
        let answers = Answers {
            answers: BTreeMap::from([(0, said(404, "")), (1, said(404, ""))]),
            broke_off: None,
        };
        let shown = judge(&probes, &answers, 0);
        assert_eq!((shown.judged, shown.misused.len(), shown.doubts.len()), (0, 0, 1));
    }

    #[test]
    fn every_rule_can_be_broken() {
        assert_eq!(rules().len(), 8);
        assert!(!INSIDES.is_match("hello, at 12:30 we met"));
    }
}
