//! Searching files for a regular expression.

use std::os::fd::{AsFd, OwnedFd};

use regex::{Regex, RegexBuilder};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

use super::walk::{Go, walk};
use super::{open_beneath, open_regular, read_all, regular};
use crate::reply::{Answer, FileError, Match};

/// Larger files are left out, and counted.
const MAX_SEARCHED_BYTES: u64 = 4 << 20;
/// Longer lines are cut.
const MAX_LINE_BYTES: usize = 400;
/// How large an expression may become.
const MAX_PATTERN_BYTES: usize = 2 << 20;

pub(super) fn search(
    root: impl AsFd,
    path: &str,
    pattern: &str,
    max: u32,
) -> Result<Answer, FileError> {
    // The engine takes time linear in the text, whatever the expression.
    let built = RegexBuilder::new(pattern)
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES)
        .build();
    let regex = built.map_err(|error| FileError::Pattern {
        pattern: pattern.chars().take(200).collect(),
        detail: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    })?;
    let mut found = Found {
        max: usize::try_from(max).unwrap_or(usize::MAX),
        matches: Vec::new(),
        cut: false,
        files: 0,
        skipped: 0,
    };
    let place = open_beneath(&root, path, OFlags::PATH)?;
    let kind = fstat(&place).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if kind == Ok(FileType::Directory) {
        walk(place, path, u32::MAX, &mut |step| match step.kind {
            FileType::Directory if step.name.to_bytes() == b".git" => Go::Past,
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                match openat(step.directory, step.name, flags, Mode::empty()) {
                    Ok(file) => found.look_at(file, step.path, &regex),
                    Err(_) => found.skipped += 1,
                }
                if found.cut { Go::Stop } else { Go::On }
            }
            _ => Go::On,
        })?;
    } else {
        let (file, _) = open_regular(&root, path)?;
        found.look_at(file, path, &regex);
    }
    Ok(Answer::Matches {
        matches: found.matches,
        cut: found.cut,
        files: found.files,
        skipped: found.skipped,
    })
}

struct Found {
    max: usize,
    matches: Vec<Match>,
    cut: bool,
    files: u64,
    skipped: u64,
}

impl Found {
    fn look_at(&mut self, file: OwnedFd, path: &str, regex: &Regex) {
        self.files += 1;
        let bearable = regular(&file, path).is_ok_and(|bytes| bytes <= MAX_SEARCHED_BYTES);
        let text = if bearable {
            read_all(file, path).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        } else {
            None
        };
        let Some(text) = text else {
            self.skipped += 1;
            return;
        };
        for (line, number) in text.lines().zip(1u64..) {
            if !regex.is_match(line) {
                continue;
            }
            if self.matches.len() == self.max {
                self.cut = true;
                return;
            }
            let end = line.floor_char_boundary(MAX_LINE_BYTES);
            let shown = line.get(..end).unwrap_or_default().to_owned();
            self.matches.push(Match { path: path.to_owned(), line: number, text: shown });
        }
    }
}
