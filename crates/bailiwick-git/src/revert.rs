//! Which commits take back which others, as their messages say.

use bailiwick_model::id::Oid;

use crate::error::GitError;
use crate::run::Git;

/// What `git revert` writes, and what code hosts write.
const PHRASE: &str = "This reverts commit ";

impl Git {
    /// The newest commits of a history that say that they take another one back, at most `limit`:
    /// each with the commit that it takes back.
    pub fn reverts(&self, head: &Oid, limit: u32) -> Result<Vec<(Oid, Oid)>, GitError> {
        let output = self
            .command(["log", "--fixed-strings", "--format=%H%n%B%x00"])
            .arg(format!("--grep={PHRASE}"))
            .arg(format!("--max-count={limit}"))
            .arg(head.as_str())
            .arg("--")
            .run()?;
        Ok(read(&String::from_utf8_lossy(&output)))
    }
}

fn read(text: &str) -> Vec<(Oid, Oid)> {
    let mut found = Vec::new();
    for record in text.split('\0') {
        let Some((commit, message)) = record.trim_start().split_once('\n') else { continue };
        let Ok(commit) = Oid::parse(commit.trim()) else { continue };
        for (at, _) in message.match_indices(PHRASE) {
            let rest = message.get(at + PHRASE.len()..).unwrap_or_default();
            let name: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
            if let Ok(reverted) = Oid::parse(&name) {
                found.push((commit.clone(), reverted));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn messages_name_what_they_take_back() {
        let (one, two) = ("a".repeat(40), "b".repeat(40));
        let text = format!(
            "{one}\nRevert \"x\"\n\nThis reverts commit {two}, reversing\nchanges made to {one}.\n\0\n{two}\nThis reverts commit abc.\n\0\n\0garbage"
        );
        let found: Vec<(String, String)> =
            read(&text).iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        assert_eq!(found, [(one, two)]);
        assert!(read("").is_empty());
    }
}
