//! What a person at a terminal sees: the program on a pseudo-terminal (`script`, of every Debian).

#[cfg(test)]
mod terminal {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Runs the binary on a terminal, types `input`, and gives what the screen got.
    fn on_a_terminal(arguments: &str, input: &str) -> (String, bool) {
        let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_bailiwick"));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(keyboard);
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
    }

    #[test]
    fn the_demonstration_shows_stages_live_and_asks_before_it_merges() {
        let dir = tempfile::tempdir().unwrap();
        let arguments = format!("demo --data {}", dir.path().join("data").display());
        let (screen, ok) = on_a_terminal(&arguments, "y\n");
        assert!(ok, "{screen}");
        for expected in [
            "The model is scripted",
            "estimated cost",
            "Orchestration",
            "tokens",
            "1 refused",
            // the pull request, each hunk with its step, and the question
            "seconds += number * factor",
            "r0.4",
            "Approve and merge pull request #1?",
            "single-user mode",
            "merged at",
            "verified",
        ] {
            assert!(screen.contains(expected), "no `{expected}` in:\n{screen}");
        }
        assert!(screen.contains("\u{1b}["), "a terminal is drawn on in place");
    }

    #[test]
    fn later_leaves_the_pull_request_open_and_says_what_comes_next() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let (screen, ok) = on_a_terminal(&format!("demo --data {}", data.display()), "l\n");
        assert!(!ok, "a person is still needed");
        assert!(screen.contains("next: bailiwick pr show 1"), "{screen}");
        let data = data.display();
        let (screen, ok) = on_a_terminal(&format!("pr approve 1 --data {data}"), "");
        assert!(ok, "{screen}");
        let (screen, ok) = on_a_terminal(&format!("pr merge 1 --data {data}"), "");
        assert!(ok && screen.contains("merged as"), "{screen}");
    }
}
