//! What of a workspace steers git, hooks, pipelines, policy or agents: commands find it read-only.
//!
//! The tool that writes files asks the policy about such a path, and the gates compare what became
//! of it with what people approved. A command names its paths to nobody, so that for it they are
//! fixed by their mounts. What is not there can't be mounted: that a command *makes* such a file is
//! seen by the gates only.

use std::path::Path;

use bailiwick_model::steering::is_protected;

use crate::error::SetupError;

/// The most paths that are fixed. More of them is no workspace that anybody works in.
const MOST: usize = 1_000;

/// Protected paths of a workspace, relative to it, outermost only.
pub(crate) fn find(workspace: &Path) -> Result<Vec<String>, SetupError> {
    let mut found = Vec::new();
    look(workspace, "", &mut found)
        .map_err(|source| SetupError::Directory { path: workspace.to_owned(), source })?;
    found.sort();
    Ok(found)
}

fn look(directory: &Path, so_far: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // A name that is no text is none of those that steer anything.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if so_far.is_empty() { name } else { format!("{so_far}/{name}") };
        let kind = entry.file_type()?;
        if is_protected(&path) {
            // A link is not followed by whoever reads these files for the platform, either.
            if kind.is_dir() || kind.is_file() {
                if found.len() >= MOST {
                    return Err(std::io::Error::other(format!(
                        "it has more than {MOST} protected paths (`.github`, `AGENTS.md`, …)"
                    )));
                }
                found.push(path);
            }
        } else if kind.is_dir() {
            look(&entry.path(), &path, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_are_found_and_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for path in [".github/workflows/ci.yml", "a/b/AGENTS.md", "a/b/c", ".bailiwick/gates.toml"]
        {
            make(path);
        }
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join("CLAUDE.md")).unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("root")).unwrap();
        let found = find(directory.path()).unwrap();
        assert_eq!(found, [".bailiwick", ".github", "a/b/AGENTS.md"]);
        for number in 0..MOST {
            make(&format!("d{number}/.gitattributes"));
        }
        assert!(find(directory.path()).is_err());
    }
}
