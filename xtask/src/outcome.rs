//! The output of a run of tests, passed on as it comes; what failed is kept and said again at the
//! end, where somebody looks first and where a cut log still has it.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result};

/// More than this tells nobody anything.
const MOST_LINES: usize = 120;
const MOST_OF_A_LINE: usize = 400;

/// Which lines of a run tell what failed.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    lines: Vec<String>,
    within: bool,
    below: bool,
}

impl Failures {
    /// Takes the next line of what a run prints.
    pub(crate) fn line(&mut self, line: &str) {
        let text = line.trim_end();
        if text == "failures:" {
            self.within = true;
        } else if text.starts_with("test result:") || text.trim_start().starts_with("Running ") {
            self.within = false;
        }
        // A suite of its own, without the standard harness, marks what failed with this word, and
        // its reasons are set in below it.
        let marked = text.trim_start().starts_with("RED");
        self.below = marked || self.below && text.starts_with("       ");
        let kept = self.within || self.below || of_cargo(text);
        if kept && !text.is_empty() && !is_frame(text) {
            self.lines.push(text.chars().take(MOST_OF_A_LINE).collect());
        }
    }

    /// The lines, the last ones where there are too many.
    pub(crate) fn told(&self) -> &[String] {
        let from = self.lines.len().saturating_sub(MOST_LINES);
        self.lines.get(from..).unwrap_or_default()
    }
}

/// What cargo itself says of a program of tests: a signal that ended it leaves no other words.
fn of_cargo(text: &str) -> bool {
    text.starts_with("error: ")
        || text.starts_with("    `-p ")
        || text.trim_start().starts_with("process didn't exit successfully")
}

/// A line of a stack trace: it tells less than what was said before it.
fn is_frame(text: &str) -> bool {
    let text = text.trim_start();
    let number = text.split_once(": ").is_some_and(|(before, _)| before.parse::<u32>().is_ok());
    number || text.starts_with("at ") || text == "stack backtrace:"
}

/// Runs a command, passes on what it prints, and tells what failed.
pub(crate) fn watched(command: &mut Command) -> Result<(ExitStatus, Failures)> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let failures = Mutex::new(Failures::default());
    let output = child.stdout.take().context("no standard output")?;
    let errors = child.stderr.take().context("no standard error")?;
    thread::scope(|scope| {
        scope.spawn(|| pass_on(output, std::io::stdout(), &failures));
        scope.spawn(|| pass_on(errors, std::io::stderr(), &failures));
    });
    let status = child.wait().context("cannot wait for the tests")?;
    let failures = failures.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((status, failures))
}

fn pass_on(from: impl Read, mut to: impl Write, failures: &Mutex<Failures>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        // Whoever reads the output may have left; the tests go on.
        drop(to.write_all(&line));
        if let Ok(mut failures) = failures.lock() {
            failures.line(&String::from_utf8_lossy(&line));
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Failures;

    #[test]
    fn what_failed_is_kept_and_nothing_else() {
        let run = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\nleft: 1\nstack backtrace:\n   0: core::panicking\n             at ./src/b.rs:1:2\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed\n     Running tests/escape\n  RED  [mounts, T3] a remount\n       said \"ok\"\n  20 held\n       not this\nerror: test failed, to rerun pass `-p c --test d`\n\nCaused by:\n  process didn't exit successfully: `d` (signal: 11, SIGSEGV: invalid memory reference)\nerror: 1 target failed:\n    `-p c --test d`\n";
        let mut failures = Failures::default();
        run.lines().for_each(|line| failures.line(line));
        assert_eq!(
            failures.told(),
            [
                "failures:",
                "---- b stdout ----",
                "left: 1",
                "failures:",
                "    b",
                "  RED  [mounts, T3] a remount",
                "       said \"ok\"",
                "error: test failed, to rerun pass `-p c --test d`",
                "  process didn't exit successfully: `d` (signal: 11, SIGSEGV: invalid memory reference)",
                "error: 1 target failed:",
                "    `-p c --test d`",
            ]
        );
    }
}
