//! From a file's bytes to findings.

use std::collections::BTreeSet;

use ast_grep_core::tree_sitter::StrDoc;

use crate::eval::{Hit, Module, evaluate};
use crate::ir::Unit;
use crate::language::Language;
use crate::lower::lower;
use crate::pack::Pack;
use crate::parse::{Unread, is_minified, parse, text};
use crate::rule::{Rule, RuleError, bundled};
use crate::{patterns, routes};

/// The stack of the thread that follows nested code.
const STACK_BYTES: usize = 64 << 20;
/// The most files that are read to follow calls out of one file.
const MAX_MODULES: usize = 12;
/// Their size in all, in bytes.
const MAX_MODULE_BYTES: usize = 512 << 10;
/// Longest line in a finding, in characters.
const MAX_EXCERPT: usize = 160;

/// Other files of the same tree, for calls that lead into them.
pub trait Sources: Sync {
    /// The content of a file by its path from the root, if there is one.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
}

/// No other files.
#[derive(Debug, Clone, Copy)]
pub struct NoSources;

impl Sources for NoSources {
    fn read(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }
}

/// A weakness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The line where the value came in, for a flow.
    pub from_line: Option<u32>,
    /// The line's text, shortened.
    pub excerpt: String,
}

/// What a file's scan says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The language, if it is one of ours.
    pub language: Option<Language>,
    /// By line.
    pub findings: Vec<Finding>,
    /// Why the file was not judged wholly. What was found until then is among the findings.
    pub unread: Option<Unread>,
}

/// The rules, ready to scan files with.
pub struct Scanner {
    pack: Pack,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("rules", &self.pack.rules.len()).finish()
    }
}

impl Scanner {
    /// With the rules that are part of the program.
    pub fn bundled() -> Result<Self, RuleError> {
        let (rules, flows) = bundled()?;
        Ok(Self { pack: Pack::new(rules, &flows)? })
    }

    /// With the rules that are part of the program, but for one. For tests that show that a rule
    /// is needed.
    pub fn without(rule: &str) -> Result<Self, RuleError> {
        let (mut rules, flows) = bundled()?;
        for known in rules.iter_mut().filter(|known| known.id == rule) {
            // the name stays, for sanitizers that mention it
            known.sink.clear();
            known.pattern.clear();
            known.route.clear();
        }
        Ok(Self { pack: Pack::new(rules, &flows)? })
    }

    /// All rules.
    pub fn rules(&self) -> &[Rule] {
        &self.pack.rules
    }

    /// A rule by its name.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.pack.rules.iter().find(|rule| rule.id == id)
    }

    /// Scans one file by itself.
    pub fn scan(&self, path: &str, bytes: &[u8]) -> Scan {
        self.scan_among(path, bytes, &NoSources)
    }

    /// Scans a file, and follows calls into others of its tree.
    pub fn scan_among(&self, path: &str, bytes: &[u8], sources: &dyn Sources) -> Scan {
        let Some(language) = Language::of_path(path) else { return Scan::default() };
        let unread =
            |reason| Scan { language: Some(language), findings: Vec::new(), unread: Some(reason) };
        let text = match text(bytes) {
            Ok(text) => text,
            Err(reason) => return unread(reason),
        };
        if !self.pack.table(language).may_hold(text) {
            return Scan { language: Some(language), ..Scan::default() };
        }
        if is_minified(text) {
            return unread(Unread::Minified);
        }
        // nested code needs more stack than a caller's thread may have
        let result = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || self.scan_text(path, text, language, sources))
                .map(std::thread::ScopedJoinHandle::join)
        });
        match result {
            Ok(Ok(scan)) => scan,
            Ok(Err(_)) | Err(_) => unread(Unread::Failed),
        }
    }

    fn scan_text(&self, path: &str, text: &str, language: Language, sources: &dyn Sources) -> Scan {
        let mut scan = Scan { language: Some(language), ..Scan::default() };
        let document = match parse(text, language) {
            Ok(document) => document,
            Err(reason) => {
                scan.unread = Some(reason);
                return scan;
            }
        };
        if mostly_errors(&document) {
            scan.unread = Some(Unread::Unparsable);
        }
        let table = self.pack.table(language);
        let mut hits = BTreeSet::new();
        let unit = lower(document.tree.root_node(), text, language);
        if unit.cut.is_some() {
            scan.unread = Some(Unread::TooDeep);
        }
        let documents = neighbours(path, language, &unit, sources);
        hits.extend(routes::find(table, &unit, text));
        let mut modules = vec![Module { name: String::new(), unit }];
        for (name, document) in &documents {
            let unit = lower(document.tree.root_node(), &document.src, language);
            modules.push(Module { name: name.clone(), unit });
        }
        let outcome = evaluate(&self.pack, table, &modules, text);
        scan.unread = scan.unread.or(outcome.cut);
        hits.extend(outcome.hits);
        hits.extend(patterns::find(table, document));
        let lines: Vec<&str> = text.lines().collect();
        let mut seen = BTreeSet::new();
        for hit in hits {
            if seen.insert((hit.line, hit.rule)) {
                scan.findings.extend(self.finding(&hit, &lines));
            }
        }
        scan.findings.sort_by(|a, b| (a.line, &a.rule).cmp(&(b.line, &b.rule)));
        scan
    }

    fn finding(&self, hit: &Hit, lines: &[&str]) -> Option<Finding> {
        let rule = self.pack.rules.get(hit.rule)?;
        let at = usize::try_from(hit.line).ok()?.saturating_sub(1);
        let excerpt = lines.get(at).copied().unwrap_or_default().trim();
        Some(Finding {
            rule: rule.id.clone(),
            line: hit.line,
            from_line: (hit.from != 0).then_some(hit.from),
            excerpt: excerpt.chars().take(MAX_EXCERPT).collect(),
        })
    }
}

/// Whether more than a third of a file is no code of its language.
fn mostly_errors(document: &StrDoc<Language>) -> bool {
    let root = document.tree.root_node();
    if !root.has_error() {
        return false;
    }
    if root.is_error() {
        return true;
    }
    let mut cursor = root.walk();
    let broken: usize = root
        .children(&mut cursor)
        .filter(tree_sitter::Node::is_error)
        .map(|child| child.end_byte() - child.start_byte())
        .sum();
    broken * 3 > document.src.len()
}

/// The files that a file imports, and those that they import.
fn neighbours(
    path: &str,
    language: Language,
    unit: &Unit<'_>,
    sources: &dyn Sources,
) -> Vec<(String, StrDoc<Language>)> {
    let mut found: Vec<(String, StrDoc<Language>)> = Vec::new();
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
        let read = places(&importer, &module, language)
            .into_iter()
            .find_map(|place| sources.read(&place).map(|bytes| (place, bytes)));
        let Some((place, bytes)) = read else { continue };
        let (Ok(text), true) = (text(&bytes), place != path) else { continue };
        let Some(left) = bytes_left.checked_sub(text.len()) else { continue };
        let Ok(document) = parse(text, language) else { continue };
        bytes_left = left;
        let unit = lower(document.tree.root_node(), &document.src, language);
        waiting.extend(unit.modules.iter().map(|module| (place.clone(), module.clone())));
        found.push((module, document));
    }
    found
}

/// Where a module may stand.
fn places(importer: &str, module: &str, language: Language) -> Vec<String> {
    let directory = importer.rsplit_once('/').map_or("", |(directory, _)| directory);
    let join = |directory: &str, rest: &str| {
        if directory.is_empty() { rest.to_owned() } else { format!("{directory}/{rest}") }
    };
    match language {
        Language::Python => {
            let dots = module.len() - module.trim_start_matches('.').len();
            let file = module.trim_start_matches('.').replace('.', "/");
            let mut roots = vec![directory];
            while let Some((parent, _)) = roots.last().and_then(|last| last.rsplit_once('/')) {
                roots.push(parent);
            }
            if !directory.is_empty() {
                roots.push("");
            }
            if dots > 0 {
                roots = roots.into_iter().skip(dots - 1).take(1).collect();
            }
            let named = roots.into_iter().take(6).flat_map(|root| {
                [join(root, &format!("{file}.py")), join(root, &format!("{file}/__init__.py"))]
            });
            named.collect()
        }
        Language::JavaScript | Language::TypeScript | Language::Tsx if module.starts_with('.') => {
            let mut parts: Vec<&str> = directory.split('/').filter(|p| !p.is_empty()).collect();
            for part in module.split('/') {
                match part {
                    "." | "" => {}
                    ".." => {
                        parts.pop();
                    }
                    part => parts.push(part),
                }
            }
            let base = parts.join("/");
            ["", ".js", ".ts", ".mjs", ".cjs", ".tsx", ".jsx", "/index.js", "/index.ts"]
                .iter()
                .map(|ending| format!("{base}{ending}"))
                .collect()
        }
        Language::JavaScript
        | Language::TypeScript
        | Language::Tsx
        | Language::Go
        | Language::Java
        | Language::CSharp
        | Language::Rust => Vec::new(),
    }
}
