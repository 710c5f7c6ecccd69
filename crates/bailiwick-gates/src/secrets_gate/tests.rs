use super::*;
use crate::change::{ChangeText, TouchedContent};

/// Nothing that looks like a token stands in this file.
fn token(n: u32) -> String {
    format!("gh{}aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW3xY5z{n:02}", "p_")
}

fn content(path: &str, text: &str) -> TouchedContent {
    TouchedContent { path: path.to_owned(), oid: None, bytes: text.as_bytes().into() }
}

fn found(change: &Change) -> Vec<(String, Option<String>, Option<u32>)> {
    new_secrets(change, &RuleSet::with_own("").unwrap())
        .into_iter()
        .map(|hit| (hit.rule.into_owned(), hit.path, hit.line))
        .collect()
}

#[test]
fn a_secret_that_is_new_is_found_and_one_on_the_base_is_not() {
    let old = format!("key = {}\n", token(1));
    let mut change = Change {
        before: vec![content("a.txt", &old)],
        after: vec![content("a.txt", &format!("# moved\n{old}")), content("b.txt", &old)],
        ..Change::default()
    };
    assert_eq!(found(&change), []);
    change.after.push(content("c.txt", &format!("\n{}", token(2))));
    let rule = "secrets/github-token".to_owned();
    assert_eq!(found(&change), [(rule.clone(), Some("c.txt".to_owned()), Some(2))]);
    // control: without the base the old one is new, too
    change.before.clear();
    assert_eq!(found(&change).len(), 3);
}

#[test]
fn one_that_a_later_commit_removes_is_found() {
    let change = Change {
        after: vec![
            content("a.txt", &token(1)),
            content("a.txt", "clean"),
            content("a.txt", &format!("x {}", token(1))),
        ],
        ..Change::default()
    };
    assert_eq!(found(&change).len(), 1);
}

#[test]
fn names_and_texts_are_scanned_and_no_finding_shows_the_secret() {
    let change = Change {
        after: vec![content(&format!("keys/{}.txt", token(1)), &token(2))],
        texts: vec![ChangeText {
            place: "commit message of 1234abcd".to_owned(),
            text: format!("use {}", token(3)),
        }],
        ..Change::default()
    };
    let findings = new_secrets(&change, &RuleSet::with_own("").unwrap());
    let text = format!("{findings:?}");
    for n in 1..=3 {
        assert!(!text.contains(&token(n)), "{text}");
    }
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "github-token in file content: `[redacted:github-token]`, whose checksum or structure does not hold",
            "github-token in file name: `keys/[redacted:github-token].txt`, whose checksum or structure does not hold",
            "github-token in commit message of 1234abcd: `use [redacted:github-token]`, whose checksum or structure does not hold",
        ]
    );
}
