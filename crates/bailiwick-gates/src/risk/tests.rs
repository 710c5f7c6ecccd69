use super::*;
use proptest::prelude::*;

fn file(path: &str, added: u32, removed: u32) -> FileDelta {
    FileDelta { path: path.to_owned(), added, removed, ..FileDelta::default() }
}

fn facts(files: &[FileDelta]) -> RiskFacts {
    RiskFacts { files: files.to_vec(), ..RiskFacts::default() }
}

/// Compares the whole list of signals, so that a signal that fires unasked is seen as well.
fn check(facts: &RiskFacts, expected: &[(&str, u32)]) {
    let report = assess(facts);
    let signals: Vec<(&str, u32)> =
        report.signals.iter().map(|signal| (signal.name.as_str(), signal.points)).collect();
    assert_eq!(signals, expected);
    assert_eq!(report.score, expected.iter().map(|(_, points)| points).sum::<u32>().min(100));
    assert!(report.signals.iter().all(|signal| !signal.reason.is_empty()));
}

#[test]
fn a_small_tested_change_has_no_signal() {
    check(&facts(&[file("src/lib.rs", 10, 2), file("tests/lib.rs", 8, 0)]), &[]);
    check(&RiskFacts::default(), &[]);
}

#[test]
fn size_has_steps() {
    for (lines, points) in
        [(50, 0), (51, 5), (200, 5), (201, 12), (501, 20), (1000, 20), (1001, 30), (u32::MAX, 30)]
    {
        let expected = [("lines-changed", points)];
        check(&facts(&[file("tests/a.rs", lines, 0)]), if points == 0 { &[] } else { &expected });
    }
    for (count, points) in [(3, 0), (4, 4), (11, 8), (26, 15)] {
        let files: Vec<_> = (0..count).map(|n| file(&format!("tests/{n}.rs"), 1, 0)).collect();
        let expected = [("files-touched", points)];
        check(&facts(&files), if points == 0 { &[] } else { &expected });
    }
}

#[test]
fn a_lock_file_does_not_count_as_lines() {
    check(&facts(&[file("Cargo.lock", 4000, 4000)]), &[("lock-file-changed", 5)]);
}

#[test]
fn each_kind_of_path_has_its_signal() {
    for (path, signal, points) in [
        ("Cargo.toml", "dependencies-changed", 10),
        (".github/workflows/ci.yml", "ci-changed", 30),
        ("AGENTS.md", "agent-rules-changed", 30),
        (".bailiwick/gates.toml", "policy-changed", 40),
        ("Dockerfile", "deployment-changed", 15),
    ] {
        check(&facts(&[file(path, 1, 1)]), &[(signal, points)]);
    }
    check(&facts(&[file("src/a.rs", 1, 1)]), &[("no-test-touched", 10)]);
}

#[test]
fn moving_a_policy_away_counts_as_changing_it() {
    let moved = FileDelta {
        old_path: Some(".bailiwick/gates.toml".to_owned()),
        ..file("notes/gates.md", 0, 0)
    };
    check(&facts(&[moved]), &[("policy-changed", 40)]);
}

#[test]
fn weaker_tests_are_seen() {
    let deleted = FileDelta { deleted: true, ..file("tests/a.rs", 0, 9) };
    check(&facts(&[deleted]), &[("tests-deleted", 20)]);
    check(&facts(&[file("tests/a.rs", 3, 4)]), &[("tests-shrunk", 10)]);
    check(&facts(&[file("tests/a.rs", 4, 4)]), &[]);
}

#[test]
fn sessions_have_signals() {
    let all = RiskFacts {
        secrets: 1,
        taint: [
            Taint::TaskText,
            Taint::Repository,
            Taint::CommandOutput,
            Taint::Instructions,
            Taint::Secret,
        ]
        .into(),
        repair_rounds: 9,
        denials: 2,
        out_of_scope: vec!["a".to_owned()],
        findings: 2,
        owners: ["@a".to_owned(), "@b".to_owned()].into(),
        packages: 2,
        recent_lines: 30,
        uncovered: 9,
        ..RiskFacts::default()
    };
    let expected = [
        ("packages-changed", 6),
        ("recent-lines", 4),
        ("scope-exceeded", 30),
        ("new-secrets", 60),
        ("taint-task-text", 5),
        ("taint-instructions", 30),
        ("taint-secret", 15),
        ("repair-rounds", 12),
        ("findings-for-a-person", 10),
        ("uncovered", 10),
        ("several-owners", 10),
        ("denials", 8),
    ];
    check(&all, &expected);
    assert_eq!(assess(&all).band, RiskBand::High);
}

#[test]
fn the_riskier_the_fewer_freedoms_and_the_more_reviewers() {
    use bailiwick_model::evidence::Autonomy::{Joint, Reviewed, Unattended};
    let owners: BTreeSet<String> = ["@a".to_owned()].into();
    for (files, autonomy, reviewers) in [
        (vec![file("src/a.rs", 1, 1)], Unattended, 0),
        (vec![file("src/a.rs", 900, 1), file("Cargo.toml", 1, 1)], Unattended, 0),
        (vec![file(".github/workflows/ci.yml", 1, 1)], Reviewed, 1),
        (vec![file(".bailiwick/x.toml", 1, 1), file("AGENTS.md", 1, 1)], Joint, 2),
    ] {
        let report = assess(&RiskFacts { owners: owners.clone(), ..facts(&files) });
        assert_eq!((report.autonomy, report.autonomy.reviewers()), (autonomy, reviewers));
        assert_eq!(report.owners.is_empty(), report.band == RiskBand::Low, "{files:?}");
    }
    // enough by itself, whatever the weights say
    let light = Weights { ci_definition: 1, ..WEIGHTS };
    let report = assess_with(&facts(&[file(".github/workflows/ci.yml", 1, 1)]), &light);
    assert_eq!((report.band, report.autonomy), (RiskBand::Low, Reviewed));
}

#[test]
fn binary_files_are_named() {
    let logo = FileDelta { binary: true, ..file("assets/logo.png", 0, 0) };
    let report = assess(&facts(&[logo]));
    assert_eq!(report.signals[0].reason, "not text: `assets/logo.png`");
}

#[test]
fn bands_have_borders() {
    let bands = [0, 29, 30, 59, 60, 100].map(band);
    use RiskBand::{High, Low, Medium};
    assert_eq!(bands, [Low, Low, Medium, Medium, High, High]);
}

proptest! {
    #[test]
    fn more_facts_never_lower_the_score(
        paths in proptest::collection::vec("(src|tests|docs|\\.bailiwick|\\.github/workflows)/[a-z]{1,3}\\.(rs|md|yml)", 0..8),
        denials in 0_u32..50,
        rounds in 0_u32..9,
    ) {
        let files: Vec<_> = paths.iter().map(|path| file(path, 30, 1)).collect();
        let mut facts = RiskFacts { denials, repair_rounds: rounds, ..facts(&files) };
        let before = assess(&facts).score;
        prop_assert!(before <= 100);
        facts.denials += 1;
        facts.secrets += 1;
        facts.findings += 1;
        facts.out_of_scope.push("x".to_owned());
        facts.files.push(file(".bailiwick/x.toml", 1, 0));
        prop_assert!(assess(&facts).score >= before);
    }
}
