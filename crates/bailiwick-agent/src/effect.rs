//! What came of a tool's effect, in words for the model.

use bailiwick_model::outcome::Ended;
use bailiwick_model::path::WorkPath;
use bailiwick_sandbox::{CommandOutcome, ReadOutcome, WriteOutcome};

use crate::telling::numbered;

/// What to do about an edit whose `old` text does not occur exactly once.
pub(crate) const EDIT_HINT: &str = "read the file, copy `old` exactly as it stands there, white space included and without the line numbers; when it occurs more than once, take a neighbouring line along";

/// What was read: lines of a file with their numbers, from `first` on, and how many there are.
pub(crate) fn read_text(outcome: &ReadOutcome, first: u32) -> String {
    match outcome {
        ReadOutcome::Text { text, total_lines, cut, .. } => {
            let shown = u64::try_from(text.lines().count()).unwrap_or(u64::MAX);
            let last = u64::from(first).saturating_sub(1).saturating_add(shown);
            let mut told = numbered(text, first);
            if *cut || shown == 0 || last < *total_lines {
                told.push_str(&format!("[the file has {total_lines} lines]\n"));
            }
            told
        }
        ReadOutcome::Entries { entries, .. } if entries.is_empty() => {
            "[the directory is empty]\n".to_owned()
        }
        ReadOutcome::Matches { matches, files, skipped, .. } if matches.is_empty() => {
            format!(
                "[no line matches; {files} files searched, {skipped} of them left out: too large or not text]\n"
            )
        }
        ReadOutcome::Entries { .. } | ReadOutcome::Matches { .. } => outcome.to_text(),
    }
}

/// What was written.
pub(crate) fn written_text(path: &WorkPath, outcome: &WriteOutcome) -> String {
    let change = match outcome.before {
        None => "created",
        Some(before) if before == outcome.after => "left as it was",
        Some(_) => "changed",
    };
    format!("{path} {change}; it has {} bytes now", outcome.bytes)
}

/// How a command ended and what it printed, and whether a limit or a signal ended it.
pub(crate) fn ended_text(outcome: &CommandOutcome) -> (String, bool) {
    let (how, is_error) = match &outcome.ended {
        Ended::Exit { code } => (format!("exit code {code}"), false),
        Ended::Signal { signal } => (format!("ended by signal {signal}"), true),
        Ended::Limit { limit } => (format!("ended because it passed its limit of {limit}"), true),
    };
    let reached = if outcome.limits_reached.is_empty() || is_error {
        String::new()
    } else {
        format!("; limits reached: {}", outcome.limits_reached.join(", "))
    };
    let output = outcome.output_text();
    let output = if output.is_empty() { "[no output]\n".to_owned() } else { output };
    (format!("{how}{reached}\n{output}"), is_error)
}
