//! The fixtures of `bailiwick-scan` as changes, and a rule of a repository's own.

use crate::fixture::load;
use crate::mutation::BadCase;
use bailiwick_gates::{
    Change, GateSettings, Input, MapTree, SecretsGate, TouchedContent, judge_content,
};
use bailiwick_model::evidence::GateReport;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const OWN_RULES: &str = "title = 'ours'\n[[rules]]\nid = 'badge'\ndescription = 'a badge'\nregex = '''badge-[0-9]{6}'''\nkeywords = ['badge-']\n";

/// Each line of a fixture in which something is found, as a file of its own: what stands beside it
/// does not count for it. And each fixture whole, for what goes over several lines.
pub(crate) fn bad_cases() -> Vec<BadCase> {
    let mut all = Vec::new();
    let mut add = |name: String, path: &'static str, text: String| {
        let judge = move |settings| judge(settings, path, &text);
        all.push(BadCase { name, gate: "secrets", judge: Box::new(judge) });
    };
    for fixture in load("secrets").into_iter().filter(|fixture| !fixture.expected.is_empty()) {
        for (number, line) in fixture.text.lines().enumerate() {
            add(format!("{}:{}", fixture.name, number + 1), "new.txt", line.to_owned());
        }
        add(fixture.name, "new.txt", fixture.text);
    }
    add("own rule".to_owned(), "new.txt", "badge-123456\n".to_owned());
    // by the name of its file: the same anywhere else is nothing
    let random = ["k9vQ2", "mZ7xP", "4tLw8", "Rb3nY"].concat();
    add("file of one secret".to_owned(), "deploy/token.txt", random);
    all
}

fn judge(settings: GateSettings, path: &str, text: &str) -> GateReport {
    let after = TouchedContent { path: path.to_owned(), oid: None, bytes: text.as_bytes().into() };
    let own = BTreeMap::from([(".bailiwick/secrets.toml".to_owned(), OWN_RULES.into())]);
    let input = Input {
        change: Change { after: vec![after], ..Change::default() },
        base: Box::new(MapTree(own)),
        head: Box::new(MapTree::default()),
        settings,
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
        deadline: None,
    };
    judge_content(&[Arc::new(SecretsGate)], input, Duration::from_secs(600)).remove(0)
}

#[test]
fn no_report_shows_a_secret() {
    let mut checked = 0;
    for fixture in load("secrets").iter().filter(|fixture| !fixture.expected.is_empty()) {
        let report = format!("{:?}", judge(GateSettings::default(), "new.txt", &fixture.text));
        for secret in fixture.random.iter().filter(|secret| secret.len() >= 8) {
            assert!(!report.contains(secret.as_str()), "{} shows a secret", fixture.name);
            checked += 1;
        }
    }
    assert!(checked > 40);
}
