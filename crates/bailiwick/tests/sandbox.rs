//! `bailiwick sandbox run`, as a person uses it.

#[cfg(test)]
mod sandbox {
    use std::process::{Command, Output};

    use serde_json::Value;

    fn run(options: &[&str], command: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(["sandbox", "run"])
            .args(options)
            .arg("--")
            .args(command)
            .env("USER", "ada")
            .current_dir(std::env::temp_dir())
            .output()
            .unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn output_and_exit_code_are_handed_on() {
        for (script, code, stdout, stderr) in [
            ("echo out; echo err >&2; exit 7", 7, "out\n", "err\n"),
            ("printf 'no\\0newline'", 0, "no\0newline", ""),
            ("kill -9 $$", 137, "", ""),
        ] {
            let output = run(&["--tier", "process"], &["/bin/sh", "-c", script]);
            assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
            assert_eq!(text(&output.stdout), stdout, "{script}");
            assert_eq!(text(&output.stderr), stderr, "{script}");
        }
    }

    #[test]
    fn a_limit_is_named_and_has_an_exit_code_of_its_own() {
        let output = run(&["--timeout", "1"], &["/bin/sleep", "1000"]);
        assert_eq!(output.status.code(), Some(124), "{output:?}");
        assert!(text(&output.stderr).contains("ended by its limit `wall_clock`"), "{output:?}");
    }

    #[test]
    fn json_says_what_held_and_why_this_tier() {
        let output = run(&["--tier", "process", "--json"], &["/bin/sh", "-c", "echo x; exit 3"]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["tier"], "process");
        assert_eq!(report["reason"], "asked for with `--tier`");
        assert_eq!(report["ended"], serde_json::json!({"how": "exit", "code": 3}));
        assert_eq!(report["stdout"], "x\n");
        assert!(report["limits"]["pids"].is_u64(), "{report}");
        assert!(report["not_applied"].is_array(), "{report}");
        let applied = report["applied"].as_array().unwrap();
        let held = |name: &str| applied.iter().any(|line| line.as_str().unwrap().starts_with(name));
        assert!(held("seccomp: ") && held("capabilities: "), "{report}");
    }

    #[test]
    fn the_repository_is_copied_and_stays_as_it_was() {
        let repo = tempfile::tempdir().unwrap();
        std::fs::write(repo.path().join("file"), "before").unwrap();
        let path = repo.path().to_str().unwrap();
        let script = "cat file && echo after > file && cat file && pwd";
        let output = run(&["--repo", path], &["/bin/sh", "-c", script]);
        assert_eq!(text(&output.stdout), "beforeafter\n/workspace\n", "{output:?}");
        assert_eq!(std::fs::read_to_string(repo.path().join("file")).unwrap(), "before");
        let output = run(&["--repo", path, "--read-only"], &["/bin/sh", "-c", script]);
        assert!(text(&output.stderr).contains("Read-only file system"), "{output:?}");
        let output = run(&["--repo", "/nonexistent"], &["/bin/true"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("[sandbox.workspace]"), "{output:?}");
    }

    #[test]
    fn a_tier_that_nobody_knows_is_bad_usage() {
        let output = run(&["--tier", "prison"], &["/bin/true"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("there is no tier `prison`; there are: worktree"));
    }
}
