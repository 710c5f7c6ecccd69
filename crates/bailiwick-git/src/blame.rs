//! Which lines of a file were written lately.

use bailiwick_model::id::Oid;
use jiff::Timestamp;
use std::collections::HashMap;

use crate::error::GitError;
use crate::name::RepoPath;
use crate::run::Git;

impl Git {
    /// Whether the history of a commit begins before an instant.
    pub fn reaches_before(&self, commit: &Oid, instant: Timestamp) -> Result<bool, GitError> {
        let output = self
            .command(["rev-list", "--max-count=1"])
            .arg(format!("--before={}", instant.as_second()))
            .arg(commit.as_str())
            .arg("--")
            .run()?;
        Ok(!output.is_empty())
    }

    /// The lines of a file at a commit, by their numbers from 1, that were committed at an instant
    /// or later.
    pub fn lines_since(
        &self,
        commit: &Oid,
        path: &RepoPath,
        since: Timestamp,
    ) -> Result<Vec<u32>, GitError> {
        let output = self
            .command(["blame", "--porcelain", "--root", "-w"])
            .arg(format!("--since={}", since.as_second()))
            .arg(commit.as_str())
            .arg("--")
            .arg(path.as_path())
            .run()?;
        Ok(recent(&output, since.as_second()))
    }
}

/// Reads `git blame --porcelain`: each line has a heading with its commit and its number, what is
/// known of the commit follows its first one, and then the line itself after a tab.
fn recent(output: &[u8], since: i64) -> Vec<u32> {
    let mut times: HashMap<&[u8], i64> = HashMap::new();
    let mut at: Option<(&[u8], u32)> = None;
    let mut lines = Vec::new();
    for line in output.split(|byte| *byte == b'\n') {
        if line.first() == Some(&b'\t') {
            if let Some((commit, number)) = at.take()
                && times.get(commit).is_some_and(|time| *time >= since)
            {
                lines.push(number);
            }
        } else if at.is_none() {
            let mut words = line.split(|byte| *byte == b' ');
            let commit = words.next().unwrap_or_default();
            let number = words.nth(1).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
            at = number.map(|number| (commit, number));
        } else if let (Some(time), Some((commit, _))) = (line.strip_prefix(b"committer-time "), at)
            && let Some(time) = std::str::from_utf8(time).ok().and_then(|time| time.parse().ok())
        {
            times.insert(commit, time);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::recent;
    use proptest::prelude::*;

    #[test]
    fn lines_of_late_commits_are_told() {
        let text = b"aaaa 1 1 2\nauthor A\ncommitter-time 50\nfilename f\n\tone\naaaa 2 2\n\ttwo\nbbbb 3 3 1\nauthor committer-time 9\ncommitter-time 100\nfilename f\n\tcommitter-time 1\naaaa 4 4 1\n\t\n";
        assert_eq!(recent(text, 60), [3]);
        assert_eq!(recent(text, 50), [1, 2, 3, 4]);
        assert_eq!(recent(text, 101), [0_u32; 0]);
        assert_eq!(recent(b"", 0), [0_u32; 0]);
    }

    proptest! {
        #[test]
        fn any_output_is_taken(text in "[a0-9 \t\n]{0,200}") {
            recent(text.as_bytes(), 0);
        }
    }
}
