//! Who owns which path, as `CODEOWNERS` on the base says: the last pattern that matches decides.

use crate::content_gate::Tree;
use globset::{GlobBuilder, GlobMatcher};

/// Where code hosts look for the file, in their order.
const PLACES: [&str; 4] =
    [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"];
/// Most lines that are read.
const MOST_LINES: usize = 20_000;

/// Owners of paths.
#[derive(Debug, Default)]
pub struct CodeOwners {
    entries: Vec<(Vec<GlobMatcher>, Vec<String>)>,
}

impl CodeOwners {
    /// Reads them from a tree; empty when it has none.
    pub fn read(tree: &dyn Tree) -> Result<Self, String> {
        for place in PLACES {
            if let Some(bytes) = tree.read(place)? {
                return Ok(Self::parse(&String::from_utf8_lossy(&bytes)));
            }
        }
        Ok(Self::default())
    }

    /// Parses the file. A line that is not one is passed over, as code hosts do.
    pub fn parse(text: &str) -> Self {
        let mut entries = Vec::new();
        for line in text.lines().take(MOST_LINES) {
            let line = line.split(" #").next().unwrap_or_default().trim();
            // `[section]` of GitLab
            if line.is_empty() || line.starts_with(['#', '[', '^']) {
                continue;
            }
            let mut words = line.split_whitespace();
            let Some(pattern) = words.next() else { continue };
            let globs = globs(pattern);
            if !globs.is_empty() {
                entries.push((globs, words.map(str::to_owned).collect()));
            }
        }
        Self { entries }
    }

    /// The owners of a path; empty when nobody is named.
    pub fn of(&self, path: &str) -> &[String] {
        self.entries
            .iter()
            .rev()
            .find(|(globs, _)| globs.iter().any(|glob| glob.is_match(path)))
            .map_or(&[], |(_, owners)| owners.as_slice())
    }

    /// Whether anybody owns anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// A pattern in the manner of `.gitignore`: without a slash it matches at any depth, and a folder
/// matches all below it.
fn globs(pattern: &str) -> Vec<GlobMatcher> {
    let folder = pattern.ends_with('/');
    let bare = pattern.trim_end_matches('/');
    let anchored = bare.trim_start_matches('/');
    let prefix = if bare.contains('/') { "" } else { "**/" };
    let mut texts = Vec::new();
    if !folder {
        texts.push(format!("{prefix}{anchored}"));
    }
    if folder || !anchored.ends_with('*') {
        texts.push(format!("{prefix}{anchored}/**"));
    }
    texts
        .iter()
        .filter_map(|text| GlobBuilder::new(text).literal_separator(true).build().ok())
        .map(|glob| glob.compile_matcher())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_match_decides() {
        let owners = CodeOwners::parse(
            "# all\n* @all\n*.rs @rust # note\n/docs/ @docs\nsrc/auth @auth @sec\n[section]\n/free\n",
        );
        for (path, expected) in [
            ("readme.txt", vec!["@all"]),
            ("deep/a.rs", vec!["@rust"]),
            ("docs/a/b.md", vec!["@docs"]),
            ("x/docs/a.md", vec!["@all"]),
            ("src/auth/deep/a.rs", vec!["@auth", "@sec"]),
            ("free", vec![]),
        ] {
            assert_eq!(owners.of(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}", path in "[a-z/.]{0,20}") {
            CodeOwners::parse(&text).of(&path);
        }
    }
}
