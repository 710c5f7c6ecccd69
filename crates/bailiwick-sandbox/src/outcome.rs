//! What comes of an effect in a sandbox, and how it is recorded.

use bailiwick_guest::Captured;
use bailiwick_model::outcome::{Ended, Outcome, Recorded};
use bailiwick_model::payload::{Digest, Payload};

pub use bailiwick_guest::{Entry, Match};

/// How a command went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutcome {
    /// How it ended.
    pub ended: Ended,
    /// Limits that it reached, whether or not they ended it.
    pub limits_reached: Vec<String>,
    /// Its standard output: beginning and end.
    pub stdout: Captured,
    /// Its standard error: beginning and end.
    pub stderr: Captured,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Processor time of everything it started, in milliseconds, where it is measured.
    pub cpu_ms: Option<u64>,
    /// The most memory used at once, where it is measured.
    pub peak_memory_bytes: Option<u64>,
    /// The guards and limits in force, each as `name: detail`.
    pub applied: Vec<String>,
    /// What this machine does not let us apply, each as `name: reason`.
    pub not_applied: Vec<String>,
}

impl CommandOutcome {
    /// Whether it exited with code 0.
    pub fn succeeded(&self) -> bool {
        self.ended.code() == Some(0)
    }

    /// Standard output as text, with a line in place of what was not kept.
    pub fn stdout_text(&self) -> String {
        text(&self.stdout)
    }

    /// Standard error as text, with a line in place of what was not kept.
    pub fn stderr_text(&self) -> String {
        text(&self.stderr)
    }

    /// Standard output as it came, with a line in place of what was not kept.
    pub fn stdout_bytes(&self) -> Vec<u8> {
        bytes(&self.stdout)
    }

    /// Standard error as it came, with a line in place of what was not kept.
    pub fn stderr_bytes(&self) -> Vec<u8> {
        bytes(&self.stderr)
    }

    /// Standard output, then standard error.
    pub fn output_text(&self) -> String {
        let (stdout, stderr) = (self.stdout_text(), self.stderr_text());
        let between = if stdout.is_empty() || stderr.is_empty() || stdout.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        format!("{stdout}{between}{stderr}")
    }

    /// How many bytes of output were not kept.
    pub fn dropped_bytes(&self) -> u64 {
        self.stdout.dropped_bytes().saturating_add(self.stderr.dropped_bytes())
    }
}

fn bytes(captured: &Captured) -> Vec<u8> {
    let between = match captured.dropped_bytes() {
        0 => String::new(),
        dropped => format!("\n[… {dropped} bytes left out …]\n"),
    };
    [captured.head.as_slice(), between.as_bytes(), captured.tail.as_slice()].concat()
}

fn text(captured: &Captured) -> String {
    let (head, tail) =
        (String::from_utf8_lossy(&captured.head), String::from_utf8_lossy(&captured.tail));
    match captured.dropped_bytes() {
        // A character may lie across the two.
        0 => {
            String::from_utf8_lossy(&[captured.head.as_slice(), captured.tail.as_slice()].concat())
                .into_owned()
        }
        dropped => format!("{head}\n[… {dropped} bytes left out …]\n{tail}"),
    }
}

impl Recorded for CommandOutcome {
    fn outcome(&self) -> Outcome {
        Outcome::Command {
            ended: self.ended.clone(),
            output: Payload::from(self.output_text()),
            dropped_bytes: self.dropped_bytes(),
            duration_ms: self.duration_ms,
            not_applied: self.not_applied.clone(),
        }
    }
}

/// What reading gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Lines of a file.
    Text {
        /// The lines asked for.
        text: String,
        /// How many lines the file has.
        total_lines: u64,
        /// How many bytes the file has.
        total_bytes: u64,
        /// SHA-256 of the whole file.
        file: Digest,
        /// Whether lines asked for were left out because there are too many bytes.
        cut: bool,
    },
    /// Names below a directory.
    Entries {
        /// Sorted by path.
        entries: Vec<Entry>,
        /// Whether there are more.
        cut: bool,
    },
    /// Lines that match.
    Matches {
        /// By path and line.
        matches: Vec<Match>,
        /// Whether there are more.
        cut: bool,
        /// How many files were looked at.
        files: u64,
        /// How many of them were left out: too large, no UTF-8 text, or unreadable.
        skipped: u64,
    },
}

impl ReadOutcome {
    /// What was handed out as text: lines as they are, one entry or match a line.
    pub fn to_text(&self) -> String {
        let more = |cut: bool| if cut { "[… there is more …]\n" } else { "" };
        match self {
            Self::Text { text, cut: false, .. } => text.clone(),
            Self::Text { text, cut: true, .. } => format!("{text}\n{}", more(true)),
            Self::Entries { entries, cut } => {
                let line = |entry: &Entry| match entry.kind.as_str() {
                    "directory" => format!("{}/\n", entry.path),
                    "symlink" => format!("{}@\n", entry.path),
                    _ => format!("{} ({} bytes)\n", entry.path, entry.bytes),
                };
                format!("{}{}", entries.iter().map(line).collect::<String>(), more(*cut))
            }
            Self::Matches { matches, cut, .. } => {
                let line =
                    |found: &Match| format!("{}:{}: {}\n", found.path, found.line, found.text);
                format!("{}{}", matches.iter().map(line).collect::<String>(), more(*cut))
            }
        }
    }
}

impl Recorded for ReadOutcome {
    fn outcome(&self) -> Outcome {
        let text = self.to_text();
        Outcome::Read { digest: Digest::of(text.as_bytes()), bytes: text.len() as u64 }
    }
}

/// What writing gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOutcome {
    /// SHA-256 of the file before; none when there was none.
    pub before: Option<Digest>,
    /// SHA-256 of the file now.
    pub after: Digest,
    /// How many bytes it has now.
    pub bytes: u64,
}

impl Recorded for WriteOutcome {
    fn outcome(&self) -> Outcome {
        Outcome::Written { before: self.before, after: self.after, bytes: self.bytes }
    }
}
