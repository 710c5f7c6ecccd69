//! Which files a ledger of a given size consists of, and their paths (C2SP tlog-tiles).

use crate::hash::Hash;

/// How many hashes, entries or records a full file holds.
pub(crate) const WIDTH: u16 = 256;

/// The highest tile level that a tree of at most 2^64 entries can have.
const MAX_LEVEL: u8 = 7;

/// A file of a ledger, by what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerFile {
    /// `checkpoint`: the signed tree head.
    Checkpoint,
    /// `key.pub`: the verifier key.
    Key,
    /// `tile/<level>/<index>[.p/<width>]`: hashes.
    Tile {
        /// 0 for the hashes of leaves, each further level over 256 times as many.
        level: u8,
        /// Which tile of that level.
        index: u64,
        /// How many hashes it holds, 1 to 256.
        width: u16,
    },
    /// `tile/entries/<index>[.p/<width>]`: leaves.
    Entries {
        /// Which bundle.
        index: u64,
        /// How many leaves it holds, 1 to 256.
        width: u16,
    },
    /// `events/<index>.jsonl`: records.
    Events {
        /// Which file.
        index: u64,
    },
    /// `blobs/<first 2 digits>/<64 digits>`: bytes that records refer to.
    Blob {
        /// The SHA-256 of the bytes.
        hash: Hash,
    },
}

impl LedgerFile {
    /// Returns the path inside the ledger, with `/` between its parts.
    pub fn path(&self) -> String {
        match self {
            Self::Checkpoint => "checkpoint".to_owned(),
            Self::Key => "key.pub".to_owned(),
            Self::Tile { level, index, width } => {
                format!("tile/{level}/{}{}", index_path(*index), suffix(*width))
            }
            Self::Entries { index, width } => {
                format!("tile/entries/{}{}", index_path(*index), suffix(*width))
            }
            Self::Events { index } => format!("events/{}.jsonl", index_path(*index)),
            Self::Blob { hash } => {
                let name = hash.to_string();
                format!("blobs/{}/{name}", name.chars().take(2).collect::<String>())
            }
        }
    }

    /// Says which file a path is, if it is one in canonical spelling.
    pub fn from_path(path: &str) -> Option<Self> {
        let file = match path {
            "checkpoint" => Self::Checkpoint,
            "key.pub" => Self::Key,
            _ => {
                let (folder, rest) = path.split_once('/')?;
                match folder {
                    "events" => Self::Events { index: parse_index(rest.strip_suffix(".jsonl")?)? },
                    "blobs" => Self::Blob { hash: rest.split_once('/')?.1.parse().ok()? },
                    "tile" => {
                        let (level, rest) = rest.split_once('/')?;
                        let (index, width) = match rest.split_once(".p/") {
                            Some((index, width)) => (parse_index(index)?, width.parse().ok()?),
                            None => (parse_index(rest)?, WIDTH),
                        };
                        if width == 0 || width > WIDTH {
                            return None;
                        }
                        match level {
                            "entries" => Self::Entries { index, width },
                            level => Self::Tile { level: level.parse().ok()?, index, width },
                        }
                    }
                    _ => return None,
                }
            }
        };
        (file.path() == path).then_some(file)
    }

    /// Says whether a ledger with `size` entries consists of this file. For a blob it may.
    pub fn belongs_to(&self, size: u64) -> bool {
        match self {
            Self::Checkpoint | Self::Key | Self::Blob { .. } => true,
            Self::Events { index } => *index < size.div_ceil(u64::from(WIDTH)),
            Self::Entries { index, width } => width_at(size, 0, *index) == Some(*width),
            Self::Tile { level, index, width } => width_at(size, *level, *index) == Some(*width),
        }
    }
}

/// The width that tile `index` of `level` has in a tree of `size` entries, if there is one.
pub(crate) fn width_at(size: u64, level: u8, index: u64) -> Option<u16> {
    if level > MAX_LEVEL {
        return None;
    }
    let hashes = size >> (8 * u32::from(level));
    let full = hashes / u64::from(WIDTH);
    match index.cmp(&full) {
        std::cmp::Ordering::Less => Some(WIDTH),
        std::cmp::Ordering::Equal => Some(u16::from(low_byte(hashes))).filter(|width| *width != 0),
        std::cmp::Ordering::Greater => None,
    }
}

/// All files other than full ones that a tree of `size` entries has: its right edge.
pub(crate) fn partial_files(size: u64) -> Vec<LedgerFile> {
    let mut files = Vec::new();
    for level in 0..=MAX_LEVEL {
        let hashes = size >> (8 * u32::from(level));
        let (index, width) = (hashes / u64::from(WIDTH), u16::from(low_byte(hashes)));
        if width == 0 {
            continue;
        }
        files.push(LedgerFile::Tile { level, index, width });
        if level == 0 {
            files.push(LedgerFile::Entries { index, width });
        }
    }
    files
}

/// The number modulo 256.
pub(crate) const fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

/// Three digits per path element, all but the last marked by an `x`: `x001/x234/067`.
fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// The inverse, lenient: the caller compares the path that comes out.
fn parse_index(path: &str) -> Option<u64> {
    path.split('/').try_fold(0_u64, |index, part| {
        let digits = part.strip_prefix('x').unwrap_or(part);
        if digits.len() != 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        index.checked_mul(1000)?.checked_add(digits.parse().ok()?)
    })
}

fn suffix(width: u16) -> String {
    if width == WIDTH { String::new() } else { format!(".p/{width}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |level, index, width| LedgerFile::Tile { level, index, width }.path();
        assert_eq!(tile(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile(2, 0, 1), "tile/2/000.p/1");
        assert_eq!(LedgerFile::Entries { index: 273, width: 112 }.path(), "tile/entries/273.p/112");
        assert_eq!(LedgerFile::Events { index: 1000 }.path(), "events/x001/000.jsonl");
    }

    #[test]
    fn a_tree_of_70000_has_the_files_of_the_specification() {
        let mut expected = vec!["tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/001.p/17"];
        expected.push("tile/2/000.p/1");
        let found: Vec<_> = partial_files(70_000).iter().map(LedgerFile::path).collect();
        assert_eq!(found, expected);
        assert_eq!(width_at(70_000, 0, 272), Some(256));
        assert_eq!(width_at(70_000, 1, 0), Some(256));
        assert_eq!(width_at(70_000, 3, 0), None);
        let found: Vec<_> = partial_files(256).iter().map(LedgerFile::path).collect();
        assert_eq!(found, ["tile/1/000.p/1"]);
    }

    #[test]
    fn paths_in_another_spelling_are_no_files() {
        for path in [
            "",
            "checkpoint/",
            "./checkpoint",
            "tile/00/000",
            "tile/0/0",
            "tile/0/x000/001",
            "tile/0/001/001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p",
            "tile/0/000.p/+1",
            "tile/+0/000",
            "events/000",
            "events/000.jsonl.p/1",
            "tile/entries/x1/000",
            "blobs/00/ab",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/0/../000",
            "events//000.jsonl",
        ] {
            assert_eq!(LedgerFile::from_path(path), None, "{path}");
        }
        let name = "ab".repeat(32);
        assert_eq!(LedgerFile::from_path(&format!("blobs/ac/{name}")), None);
        assert!(LedgerFile::from_path(&format!("blobs/ab/{name}")).is_some());
    }

    proptest::proptest! {
        #[test]
        fn every_path_reads_back(level in 0..8_u8, index: u64, width in 1..=256_u16) {
            for file in [
                LedgerFile::Tile { level, index, width },
                LedgerFile::Entries { index, width },
                LedgerFile::Events { index },
            ] {
                proptest::prop_assert_eq!(LedgerFile::from_path(&file.path()), Some(file));
            }
        }

        #[test]
        fn the_files_of_a_size_belong_to_it_and_not_to_the_next(size in 1..u64::MAX / 2) {
            for file in partial_files(size) {
                proptest::prop_assert!(file.belongs_to(size));
            }
            for file in partial_files(size).into_iter().take(2) {
                proptest::prop_assert_eq!(file.belongs_to(size + 1), size.is_multiple_of(256));
            }
        }
    }
}
