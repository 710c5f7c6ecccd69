//! The gates on real repositories with real commands.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod running;

#[cfg(test)]
mod tests {
    use super::bench::{Repository, findings};
    use bailiwick_gates::{AcceptanceGate, SecretsGate, TestsGate};
    use bailiwick_model::evidence::{GateReport, GateState, Level, TestCounts};
    use bailiwick_model::plan::Check;

    const MANIFEST: &str =
        "[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n";

    /// A crate with a function and one test for each of the results it should have.
    fn library(body: &str, expected: &[(u32, u32)]) -> String {
        let mut text = format!("pub fn half(n: u32) -> u32 {{ {body} }}\n");
        for (input, output) in expected {
            text += &format!(
                "#[test]\nfn half_of_{input}() {{ assert_eq!(half({input}), {output}); }}\n"
            );
        }
        text
    }

    async fn judge_library(before: &str, after: &str) -> GateReport {
        let repository = Repository::new();
        let base = repository
            .commit("base", &[("Cargo.toml", Some(MANIFEST)), ("src/lib.rs", Some(before))]);
        let head = repository.commit("change", &[("src/lib.rs", Some(after))]);
        repository.judge(&TestsGate, &base, &head, &[]).await
    }

    fn counts(passed: u32, failed: u32) -> Option<TestCounts> {
        Some(TestCounts { passed, failed, ignored: 0 })
    }

    #[tokio::test]
    async fn a_change_that_mends_a_test_passes_and_says_so() {
        let expected = [(4, 2), (6, 3)];
        let report = judge_library(&library("2", &expected), &library("n / 2", &expected)).await;
        assert_eq!(report.state, GateState::Pass, "{}", report.summary);
        assert_eq!(
            findings(&report),
            [(
                "tests/mended",
                Level::Note,
                "test `half_of_6` failed before the change and passes now"
            )]
        );
        let evidence: Vec<_> = report
            .evidence
            .iter()
            .map(|run| (run.name.as_str(), run.command.as_str(), run.exit_code, run.counts))
            .collect();
        let command = "cargo test --workspace --no-fail-fast";
        assert_eq!(
            evidence,
            [
                ("tests before", command, Some(101), counts(1, 1)),
                ("tests after", command, Some(0), counts(2, 0))
            ]
        );
        assert_ne!(report.evidence[0].commit, report.evidence[1].commit);
        assert!(report.evidence[1].log.text().unwrap().contains("test half_of_6 ... ok"));
    }

    #[tokio::test]
    async fn a_change_that_breaks_a_test_fails_and_names_it() {
        let expected = [(4, 2), (6, 3)];
        let report = judge_library(&library("n / 2", &expected), &library("2", &expected)).await;
        assert_eq!(report.state, GateState::Fail);
        assert_eq!(findings(&report), [("tests/failed", Level::Error, "test `half_of_6` fails")]);
    }

    #[tokio::test]
    async fn a_test_that_failed_before_is_told_apart() {
        let expected = [(4, 2), (5, 3), (6, 3)];
        let report = judge_library(&library("n / 2", &expected), &library("2", &expected)).await;
        assert_eq!(report.state, GateState::Fail);
        assert_eq!(
            findings(&report),
            [
                (
                    "tests/failed-before",
                    Level::Warning,
                    "test `half_of_5` fails, and failed before the change as well"
                ),
                ("tests/failed", Level::Error, "test `half_of_6` fails"),
            ]
        );
    }

    #[tokio::test]
    async fn a_change_that_does_not_compile_fails() {
        let good = library("n / 2", &[(4, 2)]);
        let report = judge_library(&good, "fn half( {").await;
        assert_eq!(report.state, GateState::Fail);
        assert_eq!(report.findings.len(), 1);
        assert_eq!(report.evidence[1].counts, None);
    }

    #[tokio::test]
    async fn no_tests_to_run_is_inconclusive() {
        let empty = library("n / 2", &[]);
        let report = judge_library(&empty, &empty).await;
        assert_eq!(report.state, GateState::Inconclusive);
        assert!(report.summary.contains("not one test ran"), "{}", report.summary);
        // control: one test is enough
        let report = judge_library(&empty, &library("n / 2", &[(4, 2)])).await;
        assert_eq!(report.state, GateState::Pass, "{}", report.summary);
    }

    #[tokio::test]
    async fn a_project_without_tests_is_inconclusive_with_a_hint() {
        let repository = Repository::new();
        let base = repository.commit("base", &[("a.txt", Some("a"))]);
        let head = repository.commit("change", &[("a.txt", Some("b"))]);
        let report = repository.judge(&TestsGate, &base, &head, &[]).await;
        assert_eq!((report.state, report.evidence.len()), (GateState::Inconclusive, 0));
        assert!(report.summary.contains("`.bailiwick/gates.toml`"), "{}", report.summary);
    }

    /// Each command in its own repository; the last one is the control.
    #[tokio::test]
    async fn a_configured_command_that_shows_nothing_is_inconclusive() {
        for (command, state, wanted) in [
            ("no-such-program --test", GateState::Inconclusive, "was not found"),
            ("./a.txt", GateState::Inconclusive, "cannot be executed"),
            ("while :; do :; done", GateState::Inconclusive, "limit `wall_clock`"),
            ("kill -9 $$; exit 137", GateState::Inconclusive, "killed"),
            ("exit 3", GateState::Fail, "exit code 3"),
            ("true", GateState::Pass, "`true` passes"),
        ] {
            // the shell itself is killed by its own signal only if nothing is left of it
            let command = command.replace("kill -9 $$; exit 137", "sh -c 'kill -9 $$'; exit $?");
            let repository = Repository::new();
            let settings = format!("[tests]\ncommand = \"{command}\"\ntimeout_seconds = 1\n");
            let base = repository.commit(
                "base",
                &[("a.txt", Some("a")), (".bailiwick/gates.toml", Some(&settings))],
            );
            let head = repository.commit("change", &[("a.txt", Some("b"))]);
            let report = repository.judge(&TestsGate, &base, &head, &[]).await;
            assert_eq!(report.state, state, "{command}: {}", report.summary);
            assert!(report.summary.contains(wanted), "{command}: {}", report.summary);
        }
    }

    #[tokio::test]
    async fn a_change_cannot_choose_how_it_is_judged() {
        let repository = Repository::new();
        let rule = |command: &str| format!("[tests]\ncommand = \"{command}\"\n");
        let path = ".bailiwick/gates.toml";
        let base = repository.commit("base", &[(path, Some(&rule("test -e needed")))]);
        let head = repository.commit("change", &[(path, Some(&rule("true")))]);
        let report = repository.judge(&TestsGate, &base, &head, &[]).await;
        assert_eq!(report.state, GateState::Fail, "{}", report.summary);
        // control: once the rule is on the protected branch, it counts
        let repository = Repository::new();
        let base = repository.commit("base", &[(path, Some(&rule("true")))]);
        let head = repository.commit("change", &[]);
        assert_eq!(repository.judge(&TestsGate, &base, &head, &[]).await.state, GateState::Pass);
    }

    #[tokio::test]
    async fn a_change_cannot_take_the_detected_tests_away() {
        let rule = |target: &str, command: &str| format!("{target}:\n\t{command}\n");
        for (head, state) in [
            (None, GateState::Inconclusive),
            // another target would be detected on the change by itself, and it succeeds
            (Some(rule("check", "true")), GateState::Inconclusive),
            (Some(rule("test", "false")), GateState::Fail),
            (Some(rule("test", "true")), GateState::Pass),
        ] {
            let repository = Repository::new();
            let base = repository.commit("base", &[("Makefile", Some(&rule("test", "true")))]);
            let head = repository.commit("change", &[("Makefile", head.as_deref())]);
            let report = repository.judge(&TestsGate, &base, &head, &[]).await;
            assert_eq!(report.state, state, "{}", report.summary);
        }
    }

    #[tokio::test]
    async fn acceptance_checks_run_on_the_change() {
        let check = |name: &str, command: &str| Check {
            name: name.to_owned(),
            command: command.to_owned(),
        };
        for (checks, state, wanted) in [
            (vec![], GateState::Pass, "no acceptance checks"),
            (vec![check("new file", "test -e new.txt")], GateState::Pass, "all 1"),
            (
                vec![check("new file", "test -e new.txt"), check("other", "test -e other.txt")],
                GateState::Fail,
                "1 of 2",
            ),
            (
                vec![check("tool", "no-such-program")],
                GateState::Inconclusive,
                "`tool`: the command was not found",
            ),
            (
                vec![check("tool", "no-such-program"), check("other", "false")],
                GateState::Fail,
                "0 of 2",
            ),
        ] {
            let repository = Repository::new();
            let base = repository.commit("base", &[("a.txt", Some("a"))]);
            let head = repository.commit("change", &[("new.txt", Some("b"))]);
            let report = repository.judge(&AcceptanceGate, &base, &head, &checks).await;
            assert_eq!(report.state, state, "{}", report.summary);
            assert!(report.summary.contains(wanted), "{}", report.summary);
            assert_eq!(report.evidence.len(), checks.len());
            assert!(report.evidence.iter().all(|run| run.commit == head));
        }
    }

    fn token(n: u32) -> String {
        format!("gh{}aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW3xY5z{n:02}", "p_")
    }

    #[test]
    fn secrets_of_every_commit_and_message_are_found_and_old_ones_are_not() {
        let repository = Repository::new();
        let base = repository.commit("base", &[("old.txt", Some(&token(1)))]);
        repository.commit(
            "first",
            &[("gone.txt", Some(&token(2))), ("old.txt", Some(&format!("{}\n", token(1))))],
        );
        let head = repository.commit(&format!("second {}", token(3)), &[("gone.txt", None)]);
        let report = repository.inspect(SecretsGate, &base, &head);
        assert_eq!(report.state, GateState::Fail);
        let places: Vec<_> =
            report.findings.iter().map(|finding| (finding.path.as_deref(), finding.line)).collect();
        assert_eq!(places, [(Some("gone.txt"), Some(1)), (None, None)], "{:?}", report.findings);

        // control: the same change without them
        let repository = Repository::new();
        let base = repository.commit("base", &[("old.txt", Some(&token(1)))]);
        let head = repository.commit("first", &[("old.txt", Some(&format!("{}\n", token(1))))]);
        let report = repository.inspect(SecretsGate, &base, &head);
        assert_eq!(
            (report.state, report.findings.len()),
            (GateState::Pass, 0),
            "{}",
            report.summary
        );
    }

    #[test]
    fn an_ignore_counts_only_on_the_protected_branch() {
        let fingerprint = bailiwick_scan::fingerprint("github-token", token(1).as_bytes());
        let ignore = format!(
            "[[ignore]]\nfingerprint = \"{fingerprint}\"\nperson = \"ada\"\nreason = \"revoked\"\nexpires = \"2027-01-01\"\n"
        );
        let path = ".bailiwick/secrets-ignore.toml";
        let secret = token(1);
        for (base_files, head_files, state) in [
            (
                vec![(path, Some(ignore.as_str()))],
                vec![("a.txt", Some(secret.as_str()))],
                GateState::Pass,
            ),
            (
                vec![("b.txt", Some("b"))],
                vec![("a.txt", Some(secret.as_str())), (path, Some(ignore.as_str()))],
                GateState::Fail,
            ),
        ] {
            let repository = Repository::new();
            let base = repository.commit("base", &base_files);
            let head = repository.commit("change", &head_files);
            let report = repository.inspect(SecretsGate, &base, &head);
            assert_eq!(report.state, state, "{:?}", report.findings);
        }
    }
}
