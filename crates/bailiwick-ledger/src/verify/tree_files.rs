//! Walks through the directory: whatever is not a file of this ledger is a problem.

use std::fs;
use std::path::Path;

use super::blobs::Blobs;
use super::report::Problems;
use crate::layout::LedgerFile;

/// How deep a ledger's folders can be nested: `tile/entries/` and seven parts of an index.
const MAX_DEPTH: usize = 12;

pub(super) fn check(dir: &Path, size: u64, blobs: &mut Blobs, problems: &mut Problems) {
    folder(dir, "", MAX_DEPTH, size, &mut |hash| blobs.check(dir, hash), problems);
}

fn folder(
    dir: &Path,
    relative: &str,
    depth: usize,
    size: u64,
    blob: &mut impl FnMut(crate::Hash),
    problems: &mut Problems,
) {
    let shown = if relative.is_empty() { "." } else { relative };
    if depth == 0 {
        return problems.add(shown, None, "is nested too deeply");
    }
    let entries = fs::read_dir(dir.join(relative)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return problems.add(shown, None, format!("cannot be read: {error}")),
    };
    if entries.is_empty() && !relative.is_empty() {
        problems.add(shown, None, "is an empty folder");
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if problems.full() {
            return;
        }
        let name = entry.file_name();
        let separator = if relative.is_empty() { "" } else { "/" };
        let path = format!("{relative}{separator}{}", name.to_string_lossy());
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => {
                problems.add(path, None, format!("cannot be read: {error}"));
                continue;
            }
        };
        // A name that is not UTF-8 was changed above and must not pass for the changed one.
        let file = name.to_str().and_then(|_| LedgerFile::from_path(&path));
        match file {
            _ if kind.is_dir() && name.to_str().is_some() => {
                folder(dir, &path, depth - 1, size, blob, problems);
            }
            _ if !kind.is_file() => problems.add(path, None, "is neither a file nor a folder"),
            Some(file) if !file.belongs_to(size) => {
                let what = format!("does not belong to a ledger of {size} entries");
                problems.add(path, None, what);
            }
            Some(LedgerFile::Blob { hash }) => blob(hash),
            Some(_) => {}
            None => problems.add(path, None, "is not a file of a ledger"),
        }
    }
}
