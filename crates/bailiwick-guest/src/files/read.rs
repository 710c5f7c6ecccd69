//! Reading lines of a file.

use std::os::fd::AsFd;

use super::{open_regular, read_all};
use crate::capture::sha256;
use crate::reply::{Answer, FileError};

pub(super) fn read(
    root: impl AsFd,
    path: &str,
    first_line: u64,
    max_lines: u64,
    max_bytes: u64,
) -> Result<Answer, FileError> {
    let (file, _) = open_regular(root, path)?;
    let bytes = read_all(file, path)?;
    let digest = sha256(&bytes);
    let Ok(all) = String::from_utf8(bytes) else {
        return Err(FileError::NotUtf8 { path: path.to_owned() });
    };
    let lines = all.split_inclusive('\n');
    let skip = usize::try_from(first_line.saturating_sub(1)).unwrap_or(usize::MAX);
    let take = usize::try_from(max_lines).unwrap_or(usize::MAX);
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let mut text = String::new();
    let mut cut = false;
    for line in lines.clone().skip(skip).take(take) {
        let room = most.saturating_sub(text.len());
        if line.len() > room {
            let end = line.floor_char_boundary(room);
            text.push_str(line.get(..end).unwrap_or_default());
            cut = true;
            break;
        }
        text.push_str(line);
    }
    Ok(Answer::Text {
        text,
        total_lines: lines.count() as u64,
        total_bytes: all.len() as u64,
        sha256: digest,
        cut,
    })
}
