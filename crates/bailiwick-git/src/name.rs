//! Names that git takes: references, trees, paths. Parsed once, so that none can be an option.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bailiwick_model::id::{BranchName, Oid};
use serde::{Deserialize, Serialize};

/// Text that is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind}")]
pub struct NameError {
    /// What was given, cut after 120 characters.
    pub text: String,
    /// What was expected.
    pub kind: &'static str,
}

impl NameError {
    pub(crate) fn new(text: &[u8], kind: &'static str) -> Self {
        Self { text: String::from_utf8_lossy(text).chars().take(120).collect(), kind }
    }
}

/// The object id of a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TreeId(Oid);

impl TreeId {
    /// Wraps the id of an object that the caller knows to be a tree.
    pub fn new(oid: Oid) -> Self {
        Self(oid)
    }

    /// The object id.
    pub fn oid(&self) -> &Oid {
        &self.0
    }

    /// The object id as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<TreeId> for Oid {
    fn from(tree: TreeId) -> Self {
        tree.0
    }
}

/// A full reference name such as `refs/heads/main` (`git check-ref-format`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// Parses a full name; it must start with `refs/` and what follows must be a valid branch name
    /// with at least two parts.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let rest = text.strip_prefix("refs/").filter(|rest| rest.contains('/'));
        match rest.map(BranchName::parse) {
            Some(Ok(_)) => Ok(Self(text.to_owned())),
            Some(Err(_)) | None => Err(NameError::new(text.as_bytes(), "reference name")),
        }
    }

    /// The reference of a branch.
    pub fn branch(branch: &BranchName) -> Self {
        Self(format!("refs/heads/{branch}"))
    }

    /// The reference that keeps the head of a pull request.
    pub fn pull_head(number: u64) -> Self {
        Self(format!("refs/pull/{number}/head"))
    }

    /// The branch, when the reference is one.
    pub fn as_branch(&self) -> Option<BranchName> {
        self.0.strip_prefix("refs/heads/").and_then(|name| BranchName::parse(name).ok())
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path in a tree: bytes, relative, with `/` between parts and none of them empty, `.` or `..`.
///
/// Shown and serialised as text; bytes that are not UTF-8 and control characters as `\xNN`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Vec<u8>);

impl RepoPath {
    /// Parses a path.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, NameError> {
        let bytes = bytes.into();
        let sound = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
        if bytes.contains(&0) || !bytes.split(|byte| *byte == b'/').all(sound) {
            return Err(NameError::new(&bytes, "path in a repository"));
        }
        Ok(Self(bytes))
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, when it is UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The path for the file system, relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "\\x{:02x}", u32::from(c))?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl Serialize for RepoPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_names() {
        for (text, ok) in [
            ("refs/heads/main", true),
            ("refs/heads/a/b.c", true),
            ("refs/pull/1/head", true),
            ("refs/main", false),
            ("heads/main", false),
            ("refs/heads/", false),
            ("refs/heads/a..b", false),
            ("refs/heads/a.lock", false),
            ("refs/heads/a b", false),
            ("refs/heads/a\n", false),
            ("--upload-pack=x", false),
        ] {
            assert_eq!(RefName::parse(text).is_ok(), ok, "{text:?}");
        }
    }

    #[test]
    fn repository_paths() {
        for (bytes, ok) in [
            (&b"a/b"[..], true),
            (b"-x", true),
            (b"a\nb", true),
            (b"\xff", true),
            (b"", false),
            (b"/a", false),
            (b"a//b", false),
            (b"a/../b", false),
            (b"a\0b", false),
        ] {
            assert_eq!(RepoPath::parse(bytes).is_ok(), ok, "{bytes:?}");
        }
        assert_eq!(RepoPath::parse(&b"a\n\xff"[..]).unwrap().to_string(), "a\\x0a\\xff");
    }

    proptest::proptest! {
        #[test]
        fn a_branch_name_is_never_an_option_and_always_a_reference(text in "[-a-c/.@{~ \\\\\u{e9}]{0,12}") {
            if let Ok(branch) = BranchName::parse(&text) {
                proptest::prop_assert!(!branch.as_str().starts_with('-'));
                let name = RefName::branch(&branch);
                proptest::prop_assert_eq!(RefName::parse(name.as_str()).unwrap().as_branch(), Some(branch));
            }
        }
    }
}
