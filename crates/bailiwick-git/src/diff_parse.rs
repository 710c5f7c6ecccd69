//! Parsing what `git diff-tree` writes. Paths come from the NUL-separated form; lines come from the
//! unified form, whose hunks say how many lines they have, so no content can pass for a header.

use bailiwick_model::id::Oid;

use crate::diff::{FileChange, FileContent, FileDiff, Hunk, Line, LineKind};
use crate::error::GitError;
use crate::name::RepoPath;

/// One file that differs, as `--raw` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawEntry {
    pub(crate) old_path: Option<RepoPath>,
    pub(crate) new_path: Option<RepoPath>,
    pub(crate) change: FileChange,
    pub(crate) old_mode: u32,
    pub(crate) new_mode: u32,
    pub(crate) old_oid: Option<Oid>,
    pub(crate) new_oid: Option<Oid>,
}

/// Reads what `git diff-tree` wrote: the entries (`--raw -z`), and the same ones as a patch (`-p`).
///
/// # Errors
/// The two are not what git writes for one difference.
pub fn parse_diff(raw: &[u8], patch: &[u8]) -> Result<Vec<FileDiff>, GitError> {
    parse_patch(parse_raw(raw)?, patch)
}

pub(crate) fn parse_raw(output: &[u8]) -> Result<Vec<RawEntry>, GitError> {
    let mut fields = Fields { rest: output };
    let mut entries = Vec::new();
    while let Some(header) = fields.next() {
        let entry = parse_entry(header, &mut fields)
            .ok_or_else(|| GitError::malformed("diff-tree --raw", header))?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Parses the output for many pairs of trees: a line `TREE TREE`, then the entries.
pub(crate) fn parse_raw_pairs(output: &[u8]) -> Result<Vec<Vec<RawEntry>>, GitError> {
    let malformed = |found: &[u8]| GitError::malformed("diff-tree --stdin", found);
    let mut diffs: Vec<Vec<RawEntry>> = Vec::new();
    let mut fields = Fields { rest: output };
    while !fields.rest.is_empty() {
        if fields.rest.starts_with(b":") {
            let header = fields.next().unwrap_or_default();
            let entry = parse_entry(header, &mut fields).ok_or_else(|| malformed(header))?;
            diffs.last_mut().ok_or_else(|| malformed(header))?.push(entry);
        } else {
            let end = fields
                .rest
                .iter()
                .position(|byte| *byte == b'\n')
                .ok_or_else(|| malformed(fields.rest))?;
            fields.rest = fields.rest.get(end + 1..).unwrap_or_default();
            diffs.push(Vec::new());
        }
    }
    Ok(diffs)
}

/// Fields that each end with NUL.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == 0).unwrap_or(self.rest.len());
        let field = self.rest.get(..end)?;
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some(field)
    }
}

fn parse_entry<'a>(header: &[u8], fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<RawEntry> {
    let header = std::str::from_utf8(header).ok()?.strip_prefix(':')?;
    let words: Vec<&str> = header.split(' ').collect();
    let [old_mode, new_mode, old_oid, new_oid, status] = words.as_slice() else { return None };
    let mode = |text: &str| u32::from_str_radix(text, 8).ok();
    let oid = |text: &str| -> Option<Option<Oid>> {
        let absent = text.bytes().all(|byte| byte == b'0');
        if absent { Some(None) } else { Oid::parse(text).ok().map(Some) }
    };
    let path = |field: Option<&[u8]>| RepoPath::parse(field?).ok();
    let first = path(fields.next())?;
    let (letter, score) = status.split_at_checked(1)?;
    let (old_path, new_path, change) = match letter {
        "A" => (None, Some(first), FileChange::Added),
        "D" => (Some(first), None, FileChange::Deleted),
        "M" => (Some(first.clone()), Some(first), FileChange::Modified),
        "T" => (Some(first.clone()), Some(first), FileChange::TypeChanged),
        "R" => {
            let similarity = score.parse().ok()?;
            (Some(first), Some(path(fields.next())?), FileChange::Renamed { similarity })
        }
        _ => return None,
    };
    Some(RawEntry {
        old_path,
        new_path,
        change,
        old_mode: mode(old_mode)?,
        new_mode: mode(new_mode)?,
        old_oid: oid(old_oid)?,
        new_oid: oid(new_oid)?,
    })
}

pub(crate) fn parse_patch(entries: Vec<RawEntry>, patch: &[u8]) -> Result<Vec<FileDiff>, GitError> {
    let mut lines = Lines { rest: patch };
    let mut sections = Sections { lines: &mut lines };
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut content = sections.next()?;
        if entry.change == FileChange::TypeChanged {
            // git writes a change of type as a deletion and an addition
            content = match (content, sections.next()?) {
                (FileContent::Text { mut hunks }, FileContent::Text { hunks: more }) => {
                    hunks.extend(more);
                    FileContent::Text { hunks }
                }
                (FileContent::Binary, _) | (_, FileContent::Binary) => FileContent::Binary,
            };
        }
        files.push(file(entry, content));
    }
    match sections.lines.next() {
        None => Ok(files),
        Some(line) => Err(GitError::malformed("diff-tree -p", line)),
    }
}

fn file(entry: RawEntry, content: FileContent) -> FileDiff {
    let count = |kind: LineKind| match &content {
        FileContent::Text { hunks } => {
            let lines = hunks.iter().flat_map(|hunk| &hunk.lines);
            u32::try_from(lines.filter(|line| line.kind == kind).count()).unwrap_or(u32::MAX)
        }
        FileContent::Binary => 0,
    };
    let (added, removed) = (count(LineKind::Added), count(LineKind::Removed));
    FileDiff {
        old_path: entry.old_path,
        new_path: entry.new_path,
        change: entry.change,
        old_mode: entry.old_mode,
        new_mode: entry.new_mode,
        old_oid: entry.old_oid,
        new_oid: entry.new_oid,
        content,
        added,
        removed,
    }
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len());
        let line = self.rest.get(..end)?;
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some(line)
    }

    fn peek_is(&self, prefix: &[u8]) -> bool {
        self.rest.starts_with(prefix)
    }
}

struct Sections<'a, 'b> {
    lines: &'b mut Lines<'a>,
}

impl Sections<'_, '_> {
    fn next(&mut self) -> Result<FileContent, GitError> {
        match self.lines.next() {
            Some(line) if line.starts_with(b"diff --git ") => {}
            Some(line) => return Err(GitError::malformed("diff-tree -p", line)),
            None => return Err(GitError::malformed("diff-tree -p", b"a file is missing")),
        }
        let mut hunks = Vec::new();
        let mut binary = false;
        while !self.lines.peek_is(b"diff --git ") {
            let Some(line) = self.lines.next() else { break };
            if line.starts_with(b"@@ ") {
                hunks.push(
                    self.hunk(line).ok_or_else(|| GitError::malformed("diff-tree -p", line))?,
                );
            } else if line.starts_with(b"Binary files ") {
                binary = true;
            }
        }
        Ok(if binary { FileContent::Binary } else { FileContent::Text { hunks } })
    }

    fn hunk(&mut self, header: &[u8]) -> Option<Hunk> {
        let text = String::from_utf8_lossy(header);
        let (ranges, section) = text.strip_prefix("@@ -")?.split_once(" @@")?;
        let (old, new) = ranges.split_once(" +")?;
        let (old_start, old_lines) = range(old)?;
        let (new_start, new_lines) = range(new)?;
        let (mut old_left, mut new_left) = (old_lines, new_lines);
        let (mut old_line, mut new_line) = (old_start, new_start);
        let mut lines: Vec<Line> = Vec::new();
        while old_left > 0 || new_left > 0 {
            let raw = self.lines.next()?;
            let (mark, text) = raw.split_first()?;
            let kind = match mark {
                b' ' => LineKind::Context,
                b'+' => LineKind::Added,
                b'-' => LineKind::Removed,
                b'\\' => {
                    lines.last_mut()?.last_without_newline = true;
                    continue;
                }
                _ => return None,
            };
            let in_old = kind != LineKind::Added;
            let in_new = kind != LineKind::Removed;
            lines.push(Line {
                kind,
                old_line: in_old.then_some(old_line),
                new_line: in_new.then_some(new_line),
                text: String::from_utf8_lossy(text).into_owned(),
                last_without_newline: false,
            });
            if in_old {
                old_left = old_left.checked_sub(1)?;
                old_line += 1;
            }
            if in_new {
                new_left = new_left.checked_sub(1)?;
                new_line += 1;
            }
        }
        if self.lines.peek_is(b"\\ ") {
            self.lines.next();
            lines.last_mut()?.last_without_newline = true;
        }
        let section = section.trim_start().to_owned();
        Some(Hunk { old_start, old_lines, new_start, new_lines, section, lines })
    }
}

fn range(text: &str) -> Option<(u32, u32)> {
    match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_output_makes_the_parsers_panic(raw in proptest::collection::vec(0u8..=255, 0..200), patch in "(diff --git |@@ -1,2 \\+1 @@|[-+ \\\\a]|\n){0,40}") {
            parse_raw(&raw).ok();
            parse_raw_pairs(&raw).ok();
            parse_patch(Vec::new(), patch.as_bytes()).ok();
        }
    }
}
