//! Which names exist: a port for whoever can ask, and a snapshot in one file.

use std::collections::BTreeMap;

use bailiwick_model::Timestamp;
use bailiwick_model::payload::Digest;
use serde::{Deserialize, Serialize};

use crate::ecosystem::Ecosystem;
use crate::package::PackageName;

/// What an index knows of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackageFacts {
    /// The day of the first publication, counted from 1970-01-01, where known.
    pub first_day: Option<u32>,
    /// Downloads in a month, where known.
    pub downloads: Option<u64>,
}

impl PackageFacts {
    /// How old the package is, in days.
    pub fn age_days(&self, now: Timestamp) -> Option<i64> {
        let today = now.as_second().div_euclid(86_400);
        self.first_day.map(|day| today - i64::from(day))
    }
}

/// What an index answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The name exists.
    Known(PackageFacts),
    /// There is no such name in an index that is so old.
    Absent {
        /// The age of the index, in days.
        index_age_days: i64,
    },
    /// It could not be found out.
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// Something that knows which names exist. May block.
pub trait PackageIndex: Send + Sync + std::fmt::Debug {
    /// Looks up a name in its canonical spelling.
    fn look_up(&self, name: &PackageName, now: Timestamp) -> Lookup;
}

/// One row of the text that a snapshot is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRow {
    /// The name.
    pub name: String,
    /// What is known of it.
    pub facts: PackageFacts,
}

/// A snapshot can't be made or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It is no snapshot, or it is damaged.
    #[error("it is no snapshot of an index: {reason}")]
    NotASnapshot {
        /// What is wrong.
        reason: String,
    },
    /// A row of the text can't be read.
    #[error("line {line}: {reason}")]
    Row {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There are no names.
    #[error("there is no name in it")]
    Empty,
}

const MAGIC: &str = "bailiwick-index 1";
const UNKNOWN_DOWNLOADS: u64 = (1 << 40) - 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    ecosystem: Ecosystem,
    made_at: Timestamp,
    names: usize,
    digest: Digest,
}

/// Reads rows of name, day or month of the first publication (`2019-05` or `2019-05-31`) and
/// downloads in a month, separated by tabs; the last two may be missing or empty. A first row
/// that begins with `name` is a heading.
pub fn parse_rows(text: &str) -> Result<Vec<IndexRow>, IndexError> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut fields = line.split('\t').map(str::trim);
        let name = fields.next().unwrap_or_default();
        if name.is_empty() || at == 0 && name.eq_ignore_ascii_case("name") {
            continue;
        }
        let row = |reason: String| IndexError::Row { line: at + 1, reason };
        let first_day = match fields.next().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let whole = if text.len() == 7 { format!("{text}-01") } else { text.to_owned() };
                let date: jiff::civil::Date = whole.parse().map_err(|_| {
                    row(format!("`{}` is no date", text.chars().take(40).collect::<String>()))
                })?;
                let since = date.since(jiff::civil::date(1970, 1, 1)).ok();
                since.and_then(|span| u32::try_from(span.get_days()).ok())
            }
        };
        let downloads = match fields.next().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                row(format!("`{}` is no number", text.chars().take(40).collect::<String>()))
            })?),
        };
        rows.push(IndexRow { name: name.to_owned(), facts: PackageFacts { first_day, downloads } });
    }
    Ok(rows)
}

/// Makes the bytes of a snapshot.
pub fn build_index(
    ecosystem: Ecosystem,
    mut rows: Vec<IndexRow>,
    made_at: Timestamp,
) -> Result<Vec<u8>, IndexError> {
    for row in &mut rows {
        row.name = ecosystem.canonical(&row.name);
    }
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    rows.dedup_by(|one, other| one.name == other.name);
    if rows.is_empty() {
        return Err(IndexError::Empty);
    }
    let broken = |error: fst::Error| IndexError::NotASnapshot { reason: error.to_string() };
    let mut builder = fst::MapBuilder::memory();
    let names = rows.len();
    for row in rows {
        builder.insert(&row.name, pack(row.facts)).map_err(broken)?;
    }
    let map = builder.into_inner().map_err(broken)?;
    let header = Header { ecosystem, made_at, names, digest: Digest::of(&map) };
    let header = serde_json::to_string(&header)
        .map_err(|error| IndexError::NotASnapshot { reason: error.to_string() })?;
    let mut bytes = format!("{MAGIC}\n{header}\n").into_bytes();
    bytes.extend(map);
    Ok(bytes)
}

fn pack(facts: PackageFacts) -> u64 {
    let day = u64::from(facts.first_day.map_or(0, |day| day.saturating_add(1)).min(0xff_ffff));
    let downloads = facts.downloads.map_or(UNKNOWN_DOWNLOADS, |n| n.min(UNKNOWN_DOWNLOADS - 1));
    day << 40 | downloads
}

fn unpack(value: u64) -> PackageFacts {
    let day = u32::try_from(value >> 40).unwrap_or(0);
    let downloads = value & UNKNOWN_DOWNLOADS;
    PackageFacts {
        first_day: day.checked_sub(1),
        downloads: (downloads != UNKNOWN_DOWNLOADS).then_some(downloads),
    }
}

/// A snapshot of the names of one ecosystem.
#[derive(Clone)]
pub struct SnapshotIndex {
    header: Header,
    map: fst::Map<Vec<u8>>,
}

impl std::fmt::Debug for SnapshotIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} names of {} of {}",
            self.header.names, self.header.ecosystem, self.header.made_at
        )
    }
}

impl SnapshotIndex {
    /// Opens the bytes of a snapshot, and checks that nothing is missing of them.
    pub fn open(bytes: &[u8]) -> Result<Self, IndexError> {
        let broken = |reason: &str| IndexError::NotASnapshot { reason: reason.to_owned() };
        let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
        if parts.next() != Some(MAGIC.as_bytes()) {
            return Err(broken("its first line is another"));
        }
        let header: Header = serde_json::from_slice(parts.next().unwrap_or_default())
            .map_err(|error| broken(&error.to_string()))?;
        let map = parts.next().unwrap_or_default();
        if Digest::of(map) != header.digest {
            return Err(broken("its content has another digest than its header says"));
        }
        let map = fst::Map::new(map.to_vec()).map_err(|error| broken(&error.to_string()))?;
        Ok(Self { header, map })
    }

    /// The ecosystem whose names it has.
    pub fn ecosystem(&self) -> Ecosystem {
        self.header.ecosystem
    }

    /// How many names it has.
    pub fn len(&self) -> usize {
        self.header.names
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.header.names == 0
    }

    /// When it was made.
    pub fn made_at(&self) -> Timestamp {
        self.header.made_at
    }
}

impl PackageIndex for SnapshotIndex {
    fn look_up(&self, name: &PackageName, now: Timestamp) -> Lookup {
        if name.ecosystem != self.header.ecosystem {
            let reason = format!("there is no index of {}", name.ecosystem);
            return Lookup::Unavailable { reason };
        }
        let days = (now.as_second() - self.header.made_at.as_second()).div_euclid(86_400);
        match self.map.get(&name.name) {
            Some(value) => Lookup::Known(unpack(value)),
            None => Lookup::Absent { index_age_days: days },
        }
    }
}

/// Snapshots of several ecosystems.
#[derive(Debug, Default)]
pub struct SnapshotIndexes {
    all: BTreeMap<Ecosystem, SnapshotIndex>,
}

impl SnapshotIndexes {
    /// Adds a snapshot; the later one of two of the same ecosystem stays.
    pub fn add(&mut self, index: SnapshotIndex) {
        let newer =
            self.all.get(&index.ecosystem()).is_none_or(|there| there.made_at() <= index.made_at());
        if newer {
            self.all.insert(index.ecosystem(), index);
        }
    }
}

impl PackageIndex for SnapshotIndexes {
    fn look_up(&self, name: &PackageName, now: Timestamp) -> Lookup {
        match self.all.get(&name.ecosystem) {
            Some(index) => index.look_up(name, now),
            None => {
                Lookup::Unavailable { reason: format!("there is no index of {}", name.ecosystem) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_answers_what_its_rows_say_and_notices_damage() {
        let made: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let rows = parse_rows(
            "name\tfirst\tdownloads\nZope.Interface\t2009-05\t12\nb\n\na\t2026-01-02\t\n",
        )
        .unwrap();
        let bytes = build_index(Ecosystem::Pypi, rows, made).unwrap();
        let index = SnapshotIndex::open(&bytes).unwrap();
        let ask = |name: &str, now: &str| {
            index.look_up(&PackageName::new(Ecosystem::Pypi, name), now.parse().unwrap())
        };
        let now = "2026-01-12T00:00:00Z";
        let known = |first_day, downloads| Lookup::Known(PackageFacts { first_day, downloads });
        assert_eq!(ask("zope_interface", now), known(Some(14365), Some(12)));
        assert_eq!(ask("b", now), known(None, None));
        assert_eq!(ask("c", now), Lookup::Absent { index_age_days: 11 });
        assert_eq!(ask("b", "2026-06-01T00:00:00Z"), known(None, None));
        let Lookup::Known(facts) = ask("a", now) else { panic!() };
        assert_eq!(facts.age_days(now.parse().unwrap()), Some(10));
        let other = PackageName::new(Ecosystem::Npm, "b");
        assert!(matches!(index.look_up(&other, made), Lookup::Unavailable { .. }));
        for at in [0, 20, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(SnapshotIndex::open(&damaged).is_err(), "{at}");
        }
        assert!(SnapshotIndex::open(&bytes[..bytes.len() - 5]).is_err());
        assert!(parse_rows("a\tyesterday").is_err());
        assert_eq!(build_index(Ecosystem::Npm, Vec::new(), made), Err(IndexError::Empty));
    }
}
