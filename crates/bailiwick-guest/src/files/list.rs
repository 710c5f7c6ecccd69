//! Listing a directory.

use std::os::fd::AsFd;

use rustix::fs::{FileType, OFlags};

use super::open_beneath;
use super::walk::{Go, walk};
use crate::reply::{Answer, Entry, FileError};

pub(super) fn list(root: impl AsFd, path: &str, depth: u32, max: u32) -> Result<Answer, FileError> {
    let directory = open_beneath(root, path, OFlags::PATH | OFlags::DIRECTORY)?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let mut entries = Vec::new();
    let mut cut = false;
    walk(directory, path, depth, &mut |step| {
        if entries.len() == max {
            cut = true;
            return Go::Stop;
        }
        let kind = match step.kind {
            FileType::RegularFile => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
            _ => "other",
        };
        entries.push(Entry {
            path: step.path.to_owned(),
            kind: kind.to_owned(),
            bytes: step.bytes,
        });
        if step.name.to_bytes() == b".git" { Go::Past } else { Go::On }
    })?;
    Ok(Answer::Entries { entries, cut })
}
