//! Removes what a crash may have left: files beyond the checkpoint, superseded and temporary ones.

use std::fs;
use std::io;
use std::path::Path;

use crate::disk::{Disk, TEMP_PREFIX};
use crate::layout::LedgerFile;

/// Removes every file of the ledger's own layout that a ledger of `size` entries does not have,
/// temporary files, and folders that are left empty. Files of other names are not ours to remove.
pub(super) fn drop_beyond(disk: &mut Disk, dir: &Path, size: u64) -> io::Result<()> {
    for (name, kind) in children(dir)? {
        let path = dir.join(&name);
        if name.starts_with(TEMP_PREFIX) {
            disk.remove_file(&path)?;
        } else if kind.is_dir() && matches!(name.as_str(), "tile" | "events") {
            drop_below(disk, &path, &name, size)?;
        } else if kind.is_dir() && name == "blobs" {
            drop_unfinished_blobs(disk, &path)?;
        }
    }
    Ok(())
}

fn drop_below(disk: &mut Disk, folder: &Path, relative: &str, size: u64) -> io::Result<()> {
    for (name, kind) in children(folder)? {
        let path = folder.join(&name);
        let relative = format!("{relative}/{name}");
        if kind.is_dir() {
            drop_below(disk, &path, &relative, size)?;
        } else if LedgerFile::from_path(&relative).is_some_and(|file| !file.belongs_to(size)) {
            disk.remove_file(&path)?;
        }
    }
    remove_if_empty(disk, folder)
}

/// Temporary files of blobs lie in `blobs/` itself, so the blobs need not be walked through.
fn drop_unfinished_blobs(disk: &mut Disk, folder: &Path) -> io::Result<()> {
    for (name, kind) in children(folder)? {
        let path = folder.join(&name);
        if name.starts_with(TEMP_PREFIX) {
            disk.remove_file(&path)?;
        } else if kind.is_dir() {
            remove_if_empty(disk, &path)?;
        }
    }
    remove_if_empty(disk, folder)
}

fn remove_if_empty(disk: &mut Disk, folder: &Path) -> io::Result<()> {
    if fs::read_dir(folder)?.next().is_none() {
        disk.remove_empty_folder(folder)?;
    }
    Ok(())
}

/// Lists a folder; names that are not UTF-8 are none of ours.
fn children(folder: &Path) -> io::Result<Vec<(String, fs::FileType)>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            children.push((name, entry.file_type()?));
        }
    }
    children.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(children)
}
