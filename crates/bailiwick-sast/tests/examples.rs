//! Each rule's own examples, and that each rule is needed for them.

use bailiwick_sast::{Language, Scanner};

fn path(language: Language) -> &'static str {
    match language {
        Language::Python => "a.py",
        Language::JavaScript => "a.js",
        Language::TypeScript => "a.ts",
        Language::Tsx => "a.tsx",
        Language::Go => "a.go",
        Language::Java => "a.java",
        Language::CSharp => "a.cs",
        Language::Rust => "a.rs",
    }
}

#[test]
fn every_rule_finds_its_bad_examples_and_passes_its_good_ones() {
    let scanner = Scanner::bundled().unwrap();
    let mut wrong = Vec::new();
    for rule in scanner.rules() {
        assert!(!rule.example.is_empty(), "{} has no example", rule.id);
        for example in &rule.example {
            for (text, expected) in [(&example.bad, true), (&example.good, false)] {
                let scan = scanner.scan(path(example.lang), text.as_bytes());
                assert_eq!(scan.unread, None, "{} {:?}", rule.id, example.lang);
                let found = scan.findings.iter().any(|finding| finding.rule == rule.id);
                if found != expected {
                    wrong.push(format!(
                        "{} {:?} bad={expected}: {:?}",
                        rule.id, example.lang, scan.findings
                    ));
                }
                if !expected && !scan.findings.is_empty() && !found {
                    wrong.push(format!("{} {:?} good: {:?}", rule.id, example.lang, scan.findings));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_rule_its_examples_are_not_found() {
    let all = Scanner::bundled().unwrap();
    for rule in all.rules() {
        let without = Scanner::without(&rule.id).unwrap();
        for example in &rule.example {
            let scan = without.scan(path(example.lang), example.bad.as_bytes());
            let found = scan.findings.iter().any(|finding| finding.rule == rule.id);
            assert!(!found, "{} is found without itself", rule.id);
        }
    }
}
