//! The files of a repository that lies inside a workspace. Git would record only its `HEAD`, which
//! would hide every file in it from reviewers.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::error::GitError;
use crate::name::RepoPath;

/// Every file and link below a directory, but nothing in a `.git`; links are not followed.
pub(crate) fn files_below(
    work_tree: &Path,
    directory: &RepoPath,
    limit: usize,
) -> Result<Vec<RepoPath>, GitError> {
    let mut files = Vec::new();
    let mut directories = vec![directory.clone()];
    while let Some(current) = directories.pop() {
        let full = work_tree.join(current.as_path());
        let failed = |source| GitError::Io { doing: "list", path: full.clone(), source };
        for entry in fs::read_dir(&full).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name.as_bytes() == b".git" {
                continue;
            }
            let path = RepoPath::parse([current.as_bytes(), b"/", name.as_bytes()].concat())?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() || kind.is_symlink() {
                files.push(path);
            }
        }
        if files.len() > limit || directories.len() > limit {
            return Err(GitError::TooManyFiles { limit });
        }
    }
    files.sort();
    Ok(files)
}
