//! Copying a directory into a workspace.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::error::SetupError;

/// Copies a directory. Symbolic links stay what they are and are not followed; sockets, pipes and
/// devices are left out. The file system shares the blocks of files where it can.
pub fn copy_tree(from: &Path, to: &Path) -> Result<(), SetupError> {
    if !from.is_dir() {
        let path = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
        return Err(SetupError::NotADirectory { path });
    }
    copy_directory(from, to)
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), SetupError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| SetupError::Directory { path, source }
    };
    fs::create_dir(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&source))?;
        if kind.is_dir() {
            copy_directory(&source, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(at(&source))?;
            symlink(link, &target).map_err(at(&target))?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(at(&source))?;
        }
    }
    let mode = fs::metadata(from).map_err(at(from))?.permissions().mode();
    // A directory that its owner cannot enter could not be worked in.
    fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o777 | 0o700)).map_err(at(to))
}
