//! An index of packages that is asked over HTTP: which paths to ask for a name, and what the answers
//! mean. Pure: who sends the requests, and whether they may be sent, is not known here.
//!
//! An answer that is not what the index of its ecosystem says is garbage, and tells nothing: a page
//! of a proxy with status 200 must not make a name exist.

mod read;

use std::collections::VecDeque;

use crate::ecosystem::Ecosystem;
use crate::index::PackageFacts;
use crate::package::PackageName;

/// Most spellings of one name that are asked for.
const MOST_SPELLINGS: usize = 8;

/// What an index says of a name in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlineAnswer {
    /// It exists.
    Known(PackageFacts),
    /// It does not.
    Absent,
}

/// Why an answer tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnlineError {
    /// The name can't be one of the ecosystem.
    #[error("`{}` can't be a name of {ecosystem}", crate::package::shown(name))]
    Name {
        /// The ecosystem.
        ecosystem: Ecosystem,
        /// The name.
        name: String,
    },
    /// The index answers with another status than 200, 404 or 410.
    #[error("the index answered with status {status}")]
    Status {
        /// Which.
        status: u16,
    },
    /// It sends elsewhere, where nobody may follow it.
    #[error("the index sends elsewhere (status {status})")]
    Elsewhere {
        /// The status.
        status: u16,
    },
    /// The answer is not what such an index says.
    #[error("the index answered with something else than what one of {ecosystem} says: {reason}")]
    Garbage {
        /// The ecosystem.
        ecosystem: Ecosystem,
        /// What is wrong.
        reason: String,
    },
}

/// What is asked about one name, one path after the other.
#[derive(Debug, Clone)]
pub struct Inquiry {
    name: PackageName,
    /// What is asked next, the first of it now.
    waiting: VecDeque<Ask>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ask {
    /// Whether there is such a name, by its path.
    Name(String),
    /// The newest version of a Go module that has no list of versions.
    GoLatest(String),
    /// When the first version of a Go module was made.
    GoFirst(String),
}

impl Inquiry {
    /// What is to be asked about a name.
    pub fn of(name: &PackageName) -> Result<Self, OnlineError> {
        let ecosystem = name.ecosystem;
        // an index is asked for nothing that could be another path in it
        let is_path =
            |name: &str| name.split(['/', ':']).all(|part| !part.is_empty() && part != ".");
        if !ecosystem.accepts(&name.name) || !is_path(&name.name) {
            return Err(OnlineError::Name { ecosystem, name: name.name.clone() });
        }
        let name_text = name.name.as_str();
        let waiting = match ecosystem {
            Ecosystem::Cargo => spellings(name_text).iter().map(|name| cargo_path(name)).collect(),
            Ecosystem::Npm => vec![format!("/{}", escaped(name_text))],
            Ecosystem::Pypi => vec![format!("/{name_text}/")],
            Ecosystem::Go => vec![format!("/{}/@v/list", go_path(name_text))],
            Ecosystem::Maven => {
                let (group, artifact) = name_text.split_once(':').unwrap_or((name_text, ""));
                vec![format!("/{}/{artifact}/maven-metadata.xml", group.replace('.', "/"))]
            }
        };
        Ok(Self { name: name.clone(), waiting: waiting.into_iter().map(Ask::Name).collect() })
    }

    /// The path to ask now, to be put behind the address of the index.
    pub fn path(&self) -> &str {
        match self.waiting.front() {
            Some(Ask::Name(path) | Ask::GoLatest(path) | Ask::GoFirst(path)) => path,
            None => "/",
        }
    }

    /// Takes the answer to [`Self::path`]; none when more has to be asked.
    pub fn answered(
        &mut self,
        status: u16,
        body: &[u8],
    ) -> Result<Option<OnlineAnswer>, OnlineError> {
        let asked = self.waiting.pop_front();
        let is_there = match status {
            200 => true,
            404 | 410 => false,
            300..=399 => return Err(OnlineError::Elsewhere { status }),
            _ => return Err(OnlineError::Status { status }),
        };
        let ecosystem = self.name.ecosystem;
        let garbage = |reason: String| OnlineError::Garbage { ecosystem, reason };
        let known =
            |first_day| Some(OnlineAnswer::Known(PackageFacts { first_day, downloads: None }));
        match (asked, is_there) {
            // when it began is worth knowing, and no more
            (Some(Ask::GoFirst(_)), false) => Ok(known(None)),
            (Some(Ask::GoFirst(_)), true) => Ok(known(read::go_time(body).map_err(garbage)?)),
            (Some(Ask::GoLatest(_)), true) => {
                read::go_time(body).map_err(garbage)?;
                // of the newest version: nothing is known of the first
                Ok(known(None))
            }
            (Some(_), false) => Ok(self.waiting.is_empty().then_some(OnlineAnswer::Absent)),
            (Some(Ask::Name(_)), true) if ecosystem == Ecosystem::Go => {
                let module = go_path(&self.name.name);
                self.waiting.clear();
                self.waiting.push_back(match read::go_first(body).map_err(garbage)? {
                    Some(version) => {
                        Ask::GoFirst(format!("/{module}/@v/{}.info", go_path(&version)))
                    }
                    None => Ask::GoLatest(format!("/{module}/@latest")),
                });
                Ok(None)
            }
            (Some(Ask::Name(_)), true) => read::answer(&self.name, body).map(Some).map_err(garbage),
            (None, _) => Err(garbage("nothing was asked".to_owned())),
        }
    }
}

/// crates.io takes `-` and `_` for the same in names, its index does not: all mixtures of a name
/// with few of them, of others the two that are used.
fn spellings(name: &str) -> Vec<String> {
    let places: Vec<usize> = name.match_indices('-').map(|(at, _)| at).collect();
    let with = |is_low: &dyn Fn(usize) -> bool| -> String {
        let low = |at: usize| places.iter().position(|place| *place == at).is_some_and(is_low);
        name.char_indices().map(|(at, c)| if low(at) { '_' } else { c }).collect()
    };
    let count = 1_usize.checked_shl(u32::try_from(places.len()).unwrap_or(u32::MAX));
    match count {
        Some(count) if count <= MOST_SPELLINGS => {
            // the two that are used come first
            let mut all: Vec<usize> = vec![0, count - 1];
            all.extend(1..count.saturating_sub(1));
            all.dedup();
            all.iter().map(|bits| with(&|nth| bits >> nth & 1 == 1)).collect()
        }
        Some(_) | None => vec![with(&|_| false), with(&|_| true)],
    }
}

/// The path in a sparse index (Cargo book, "Index Format").
fn cargo_path(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let piece = |from: usize, to: usize| lower.get(from..to).unwrap_or_default();
    match lower.len() {
        1 => format!("/1/{lower}"),
        2 => format!("/2/{lower}"),
        3 => format!("/3/{}/{lower}", piece(0, 1)),
        _ => format!("/{}/{}/{lower}", piece(0, 2), piece(2, 4)),
    }
}

/// Capitals are written with a `!` before them (Go module reference, "module proxy").
fn go_path(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(c.to_ascii_lowercase());
    }
    escaped(&out)
}

/// What may not stand in a path as it is.
fn escaped(text: &str) -> String {
    text.replace('*', "%2A")
}

#[cfg(test)]
mod tests;
