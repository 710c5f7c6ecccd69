//! Where the program speaks: results on standard output, everything else on standard error.

use std::io::{IsTerminal as _, Write as _};

/// Prints a result.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // A reader that went away (`| head`) is no error of ours.
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).is_err() {
        return;
    }
    drop(stdout.flush());
}

/// Hands on what a command wrote, as it is.
pub(crate) fn write_both(stdout: &[u8], stderr: &[u8]) {
    let mut out = std::io::stdout().lock();
    let mut err = std::io::stderr().lock();
    // A reader that went away is no error of ours.
    drop(out.write_all(stdout).and_then(|()| out.flush()));
    drop(err.write_all(stderr).and_then(|()| err.flush()));
}

/// Prints a JSON result.
pub(crate) fn out_json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => out(&text),
        Err(error) => say(&format!("the result can't be written as JSON: {error}")),
    }
}

/// Says something beside the result.
pub(crate) fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    if stderr.write_all(text.as_bytes()).and_then(|()| stderr.write_all(b"\n")).is_ok() {
        drop(stderr.flush());
    }
}

/// Whether a person watches standard error.
pub(crate) fn is_watched() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person can answer.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether colour is wanted (<https://no-color.org>).
pub(crate) fn has_colour() -> bool {
    is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text of an agent, a repository or a user, with everything a terminal would obey made visible.
pub(crate) fn safe(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => '\u{fffd}',
            // Bidirectional controls can make a line read as another.
            '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{061c}' => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Asks a question and gives the answer, trimmed; none at the end of input.
pub(crate) fn ask(question: &str) -> Option<String> {
    let mut stderr = std::io::stderr().lock();
    let asked = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    drop(stderr);
    asked.ok()?;
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim().to_owned()),
    }
}
