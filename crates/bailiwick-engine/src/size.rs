//! How large a change is, as policy asks for it before a merge.

use std::collections::BTreeSet;

use bailiwick_gates::path_class::{PathClass, classify};
use bailiwick_gates::risk::FileDelta;
use bailiwick_model::action::ChangeSize;

/// Directories that hold one part of a repository each.
const SHELVES: [&str; 7] = ["crates", "packages", "apps", "services", "libs", "modules", "cmd"];

/// Measures a change. Moving a file counts for both of its paths.
pub(crate) fn measure(files: &[FileDelta]) -> ChangeSize {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let lines = files
        .iter()
        .fold(0u32, |sum, file| sum.saturating_add(file.added).saturating_add(file.removed));
    let paths: BTreeSet<&str> = files
        .iter()
        .flat_map(|file| std::iter::once(file.path.as_str()).chain(file.old_path.as_deref()))
        .collect();
    let mut tests = false;
    let mut areas = BTreeSet::new();
    for path in &paths {
        let classes = classify(path);
        tests |= classes.contains(&PathClass::Test);
        let beside = [PathClass::Test, PathClass::Documentation, PathClass::LockFile];
        if !beside.iter().any(|class| classes.contains(class)) {
            areas.extend(area(path));
        }
    }
    ChangeSize { files: count(files.len()), lines, areas: count(areas.len()), tests }
}

/// The part of the repository that a path lies in; none at the top, where what belongs to every
/// part lies.
fn area(path: &str) -> Option<String> {
    let (first, rest) = path.split_once('/')?;
    match rest.split_once('/') {
        Some((second, _)) if SHELVES.contains(&first) => Some(format!("{first}/{second}")),
        _ => Some(first.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_directory_at_the_top_or_on_a_shelf() {
        assert_eq!(area("Cargo.toml"), None);
        assert_eq!(area("src/a/b.rs").as_deref(), Some("src"));
        assert_eq!(area("crates/a/src/lib.rs").as_deref(), Some("crates/a"));
        assert_eq!(area("crates/notes.txt").as_deref(), Some("crates"));
    }
}
