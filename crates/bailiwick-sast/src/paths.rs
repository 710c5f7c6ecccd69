//! Paths of values (`flask.request.args.get()`) and the patterns that rules name them by.
//!
//! `os.system` matches every path that ends with these parts; `*.execute` matches a method by its
//! name, whatever it is called on.

use crate::env::Map;

/// Patterns with what they stand for, found by their last part.
#[derive(Debug, Clone)]
pub(crate) struct PathMap<T> {
    by_last: Map<String, Vec<(Pattern, T)>>,
}

/// What a path has to be.
#[derive(Debug, Clone)]
enum Pattern {
    /// Any: a method by its name, whatever it is called on.
    Any,
    /// One that ends with these parts.
    Ending(String),
}

impl<T> Default for PathMap<T> {
    fn default() -> Self {
        Self { by_last: Map::default() }
    }
}

impl<T> PathMap<T> {
    pub(crate) fn insert(&mut self, pattern: &str, value: T) {
        let last = last_part(pattern).to_owned();
        let pattern = match pattern.strip_prefix("*.") {
            Some(rest) if !rest.contains('.') => Pattern::Any,
            Some(rest) => Pattern::Ending(rest.to_owned()),
            None => Pattern::Ending(pattern.to_owned()),
        };
        self.by_last.entry(last).or_default().push((pattern, value));
    }

    /// What the patterns that match stand for. `paths` are what is known of the thing, `last` its
    /// own name.
    pub(crate) fn find<'s>(
        &'s self,
        last: &'s str,
        paths: &'s [Option<&'s str>],
    ) -> impl Iterator<Item = &'s T> {
        self.by_last
            .get(last)
            .into_iter()
            .flatten()
            .filter(move |(pattern, _)| matches(pattern, paths))
            .map(|(_, value)| value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_last.is_empty()
    }
}

fn matches(pattern: &Pattern, paths: &[Option<&str>]) -> bool {
    match pattern {
        Pattern::Any => true,
        Pattern::Ending(ending) => paths.iter().flatten().any(|path| ends_with(path, ending)),
    }
}

/// Whether a path ends with the parts of another.
pub(crate) fn ends_with(path: &str, pattern: &str) -> bool {
    path.strip_suffix(pattern).is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
}

/// The name after the last dot, without the mark of a call.
pub(crate) fn last_part(path: &str) -> &str {
    let path = path.strip_suffix("()").unwrap_or(path);
    path.rsplit('.').next().unwrap_or(path)
}
