//! Paths inside a workspace.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::IdError;

/// A path relative to the workspace root, with `/` between parts; the root itself is `.`.
///
/// No absolute path, no `..`, no NUL, no line break can be written in this type. Symbolic links
/// are not its business: they are resolved inside the cage.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct WorkPath(String);

const RULE: &str = "a path relative to the workspace, without `..`, at most 1024 bytes";

impl WorkPath {
    /// The workspace root.
    pub fn root() -> Self {
        Self(".".to_owned())
    }

    /// Parses and normalises: `./a//b/` becomes `a/b`; a leading `/workspace/` is taken off.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError {
            text: text.chars().take(80).collect(),
            kind: "workspace path",
            rule: RULE,
        };
        let inner = match text.strip_prefix("/workspace") {
            Some("") => ".",
            Some(rest) => rest.strip_prefix('/').ok_or_else(refuse)?,
            None => text,
        };
        if inner.starts_with('/')
            || inner.len() > 1024
            || inner.chars().any(|c| matches!(c, '\0' | '\n' | '\r'))
        {
            return Err(refuse());
        }
        let parts: Vec<&str> =
            inner.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(refuse());
        }
        if parts.is_empty() {
            return if text.is_empty() { Err(refuse()) } else { Ok(Self::root()) };
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the workspace root.
    pub fn is_root(&self) -> bool {
        self.0 == "."
    }
}

impl fmt::Display for WorkPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WorkPath {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<WorkPath> for String {
    fn from(path: WorkPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms_and_refusals() {
        for (text, expected) in [
            ("a", Some("a")),
            ("./a//b/", Some("a/b")),
            ("/workspace/src/lib.rs", Some("src/lib.rs")),
            ("/workspace", Some(".")),
            (".", Some(".")),
            ("", None),
            ("/etc/passwd", None),
            ("/workspacex/a", None),
            ("a/../b", None),
            ("..", None),
            ("a\0b", None),
            ("a\nb", None),
            ("..a/b..", Some("..a/b..")),
        ] {
            let parsed = WorkPath::parse(text).ok();
            assert_eq!(parsed.as_ref().map(WorkPath::as_str), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_parses_stays_inside(text in ".{0,60}") {
            if let Ok(path) = WorkPath::parse(&text) {
                proptest::prop_assert!(!path.as_str().starts_with('/'));
                proptest::prop_assert!(path.as_str().split('/').all(|part| part != ".."));
                proptest::prop_assert_eq!(WorkPath::parse(path.as_str()).unwrap(), path);
            }
        }
    }
}
