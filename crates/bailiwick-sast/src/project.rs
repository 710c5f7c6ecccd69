//! The files that a scan follows calls into: read, looked through and parsed once, however many
//! files import them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use tree_sitter::Parser;
use typed_arena::Arena;

use crate::ir::Unit;
use crate::language::Language;
use crate::lower::lower;
use crate::needs::{Needs, Seen};
use crate::parse::{parse_with, text};
use crate::scan::Sources;

mod imports;

use imports::{named_modules, places};

/// The most files that are read to follow calls out of one file.
const MAX_MODULES: usize = 12;
/// Their size in all, in bytes.
const MAX_MODULE_BYTES: usize = 512 << 10;
/// The most files that are looked through to see that a file needs no analysis. With more behind it
/// the file is parsed, and what it really imports is looked through.
const MAX_GLANCES: usize = 24;
/// The most bytes that are kept for other files.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// The texts that units are slices of.
#[derive(Default)]
pub(crate) struct Texts {
    arena: Arena<String>,
    bytes: Cell<usize>,
}

/// A file that others import.
pub(crate) struct Imported<'t> {
    place: String,
    /// None if it is no text.
    content: Option<Content<'t>>,
}

struct Content<'t> {
    text: &'t str,
    seen: Seen,
    modules: Vec<String>,
    unit: OnceCell<Option<Rc<Unit<'t>>>>,
}

/// What an import in a language leads to, by its path; none where it leads to nothing.
type Files<'t> = HashMap<(Language, String), Option<Rc<Imported<'t>>>>;

/// What scans of files of one tree share.
pub(crate) struct Project<'t> {
    sources: &'t dyn Sources,
    texts: &'t Texts,
    files: RefCell<Files<'t>>,
    parser: RefCell<Parser>,
}

impl<'t> Project<'t> {
    pub(crate) fn new(sources: &'t dyn Sources, texts: &'t Texts) -> Self {
        let parser = RefCell::new(Parser::new());
        Self { sources, texts, files: RefCell::default(), parser }
    }

    /// Whether no more should be kept: a new one should take its place.
    pub(crate) fn is_full(&self) -> bool {
        self.texts.bytes.get() > MAX_KEPT_BYTES
    }

    pub(crate) fn parser(&self) -> &RefCell<Parser> {
        &self.parser
    }

    fn file(&self, language: Language, place: &str, needs: &Needs) -> Option<Rc<Imported<'t>>> {
        let key = (language, place.to_owned());
        if let Some(known) = self.files.borrow().get(&key) {
            return known.clone();
        }
        let imported = self.sources.read(place).map(|bytes| {
            let content = text(&bytes).ok().map(|text| {
                self.texts.bytes.set(self.texts.bytes.get() + text.len());
                let text: &'t str = self.texts.arena.alloc(text.to_owned());
                Content {
                    text,
                    seen: needs.look(text),
                    modules: named_modules(text, language),
                    unit: OnceCell::new(),
                }
            });
            Rc::new(Imported { place: place.to_owned(), content })
        });
        self.files.borrow_mut().insert(key, imported.clone());
        imported
    }

    fn unit(&self, language: Language, content: &Content<'t>) -> Option<Rc<Unit<'t>>> {
        let unit = content.unit.get_or_init(|| {
            let document =
                parse_with(&mut self.parser.borrow_mut(), content.text, language).ok()?;
            Some(Rc::new(lower(document.tree.root_node(), content.text, language)))
        });
        unit.clone()
    }

    fn module(
        &self,
        importer: &str,
        module: &str,
        language: Language,
        needs: &Needs,
    ) -> Option<Rc<Imported<'t>>> {
        places(importer, module, language)
            .into_iter()
            .find_map(|place| self.file(language, &place, needs))
    }

    /// What is seen in a file and in all that may stand behind its imports, by their text alone.
    /// None if that is too much.
    pub(crate) fn glance(
        &self,
        path: &str,
        text: &str,
        language: Language,
        (needs, own): (&Needs, &Seen),
    ) -> Option<Seen> {
        let mut seen = own.clone();
        let mut waiting: Vec<(String, String)> = named_modules(text, language)
            .into_iter()
            .map(|module| (path.to_owned(), module))
            .collect();
        let mut met: HashSet<String> = HashSet::from([path.to_owned()]);
        while let Some((importer, module)) = waiting.pop() {
            let Some(file) = self.module(&importer, &module, language, needs) else { continue };
            if !met.insert(file.place.clone()) {
                continue;
            }
            if met.len() > MAX_GLANCES {
                return None;
            }
            if let Some(content) = &file.content {
                seen.join(&content.seen);
                let behind = content.modules.iter();
                waiting.extend(behind.map(|module| (file.place.clone(), module.clone())));
            }
        }
        Some(seen)
    }

    /// The files that a file imports, and those that they import, by the names of the imports; and
    /// what is seen in them.
    pub(crate) fn neighbours(
        &self,
        path: &str,
        language: Language,
        unit: &Unit<'_>,
        needs: &Needs,
    ) -> (Vec<(String, Rc<Unit<'t>>)>, Seen) {
        let mut found: Vec<(String, Rc<Unit<'t>>)> = Vec::new();
        let mut seen = needs.look("");
        let mut waiting: Vec<(String, String)> =
            unit.modules.iter().map(|module| (path.to_owned(), module.clone())).collect();
        let mut bytes_left = MAX_MODULE_BYTES;
        let mut at = 0;
        while let Some((importer, module)) = waiting.get(at).cloned() {
            at += 1;
            if found.len() >= MAX_MODULES || at > 200 {
                break;
            }
            if found.iter().any(|(name, _)| *name == module) {
                continue;
            }
            let Some(file) = self.module(&importer, &module, language, needs) else { continue };
            let Some(content) = file.content.as_ref().filter(|_| file.place != path) else {
                continue;
            };
            let Some(left) = bytes_left.checked_sub(content.text.len()) else { continue };
            let Some(unit) = self.unit(language, content) else { continue };
            bytes_left = left;
            seen.join(&content.seen);
            waiting.extend(unit.modules.iter().map(|module| (file.place.clone(), module.clone())));
            found.push((module, unit));
        }
        (found, seen)
    }
}
