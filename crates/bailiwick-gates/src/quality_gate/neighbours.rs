//! The files of the base that stand nearest to what a change touches: what new code is held
//! against. Bounded, so that a repository's size does not matter.

use super::sources;
use crate::content_gate::{FilePair, Input};
use bailiwick_sast::{Item, Language, items};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The most files that are looked at.
const MOST_FILES: usize = 300;
/// Their most bytes in all, and of one of them.
const MOST_BYTES: usize = 3 << 20;
const MOST_BYTES_OF_ONE: usize = 256 << 10;

/// Files of the base by their paths, without those that the change touches.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    pub(super) files: BTreeMap<String, String>,
    /// What they declare, once somebody asked.
    items: RefCell<BTreeMap<String, Rc<[Item]>>>,
}

impl Neighbours {
    /// Reads those nearest to files with added lines, of the same languages.
    pub(super) fn read(input: &Input) -> Result<Self, String> {
        let grown: Vec<&FilePair> = sources(input).filter(|pair| !pair.added.is_empty()).collect();
        let languages: BTreeSet<Language> =
            grown.iter().filter_map(|pair| Language::of_path(&pair.path)).collect();
        if languages.is_empty() {
            return Ok(Self::default());
        }
        let touched: BTreeSet<&str> =
            input.change.pairs.iter().flat_map(|pair| [pair.path_before(), &pair.path]).collect();
        let folders: BTreeSet<&str> = grown.iter().map(|pair| folder(&pair.path)).collect();
        let mut found: Vec<(usize, String)> = input
            .base
            .paths()?
            .into_iter()
            .filter(|path| {
                Language::of_path(path).is_some_and(|language| languages.contains(&language))
                    && !touched.contains(path.as_str())
            })
            .map(|path| {
                let near = folders.iter().map(|one| shared(one, &path)).max().unwrap_or(0);
                (near, path)
            })
            .collect();
        found.sort_by_key(|(near, path)| (Reverse(*near), path.clone()));
        let wanted: Vec<String> =
            found.into_iter().take(MOST_FILES).map(|(_, path)| path).collect();
        let mut contents = input.base.read_many(&wanted)?;
        let mut files = BTreeMap::new();
        let mut left = MOST_BYTES;
        for path in wanted {
            let Some(bytes) = contents.remove(&path) else { continue };
            if bytes.len() > MOST_BYTES_OF_ONE {
                continue;
            }
            let Some(rest) = left.checked_sub(bytes.len()) else { break };
            left = rest;
            files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
        Ok(Self { files, ..Self::default() })
    }

    /// What one of them declares.
    pub(super) fn items(&self, path: &str) -> Rc<[Item]> {
        if let Some(known) = self.items.borrow().get(path) {
            return Rc::clone(known);
        }
        let text = self.files.get(path);
        let read = text.and_then(|text| items(path, text.as_bytes())).unwrap_or_default();
        let read: Rc<[Item]> = read.into();
        self.items.borrow_mut().insert(path.to_owned(), Rc::clone(&read));
        read
    }

    /// The paths of those in the folder of a path, of its language.
    pub(super) fn beside<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let language = Language::of_path(path);
        self.files.keys().map(String::as_str).filter(move |other| {
            folder(other) == folder(path) && Language::of_path(other) == language
        })
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// How near a path is to a folder: shared folders count for it, and steps away against it.
fn shared(folder_of: &str, path: &str) -> usize {
    let here: Vec<&str> = folder_of.split('/').collect();
    let there: Vec<&str> = folder(path).split('/').collect();
    let shared = here.iter().zip(&there).take_while(|(one, other)| one == other).count();
    (shared * 2 + 100).saturating_sub(here.len().max(there.len()))
}
