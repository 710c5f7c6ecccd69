//! What kind of path it is: inside a subtask's scope, or one that builds write to.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bailiwick_model::plan::compile_scope;
use globset::GlobSet;

/// Compiled scopes that are kept; a running platform has a handful of subtasks at a time.
const KEPT_SCOPES: usize = 256;

/// Compiles scopes, and remembers the last ones since a session asks with one scope all the time.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    compiled: RwLock<HashMap<Vec<String>, Arc<GlobSet>>>,
}

impl Scopes {
    /// The compiled scope; the error names the glob that is none.
    pub(crate) fn get(&self, globs: &[String]) -> Result<Arc<GlobSet>, String> {
        let known =
            self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(globs).cloned();
        if let Some(set) = known {
            return Ok(set);
        }
        let set = Arc::new(compile_scope(globs).map_err(|error| match error.glob() {
            Some(glob) => format!("`{}` is not a path glob: {}", shorten(glob), error.kind()),
            None => format!("the scope cannot be compiled: {error}"),
        })?);
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= KEPT_SCOPES {
            compiled.clear();
        }
        compiled.insert(globs.to_vec(), Arc::clone(&set));
        Ok(set)
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Directories that builds and tests write to and repositories ignore.
const BUILD_DIRS: [&str; 14] = [
    "target",
    "node_modules",
    "build",
    "dist",
    "out",
    "__pycache__",
    ".venv",
    "venv",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    "coverage",
    ".cache",
];

/// Whether a workspace path lies below a directory that builds write to.
pub(crate) fn is_build_output(path: &str) -> bool {
    path.split('/').any(|part| BUILD_DIRS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_one_part() {
        let scopes = Scopes::default();
        let set = scopes.get(&["src/*.rs".to_owned(), "docs/**".to_owned()]).unwrap();
        assert!(set.is_match("src/lib.rs") && set.is_match("docs/a/b.md"));
        assert!(!set.is_match("src/a/lib.rs") && !set.is_match("lib.rs") && !set.is_match("docs"));
        assert!(!scopes.get(&[]).unwrap().is_match("a"));
        assert!(scopes.get(&["a[".to_owned()]).unwrap_err().contains("`a[`"));
    }
}
