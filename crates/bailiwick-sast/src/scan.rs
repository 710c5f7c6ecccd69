//! From a file's bytes to findings.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use ast_grep_core::tree_sitter::StrDoc;

use crate::eval::{Hit, Module, evaluate};
use crate::language::Language;
use crate::lower::lower;
use crate::needs::{Possible, Seen};
use crate::pack::Pack;
use crate::parse::{Unread, is_minified, parse_with, text};
use crate::project::{Project, Texts};
use crate::reach::reach;
use crate::rule::{Rule, RuleError, bundled};
use crate::{patterns, routes};

/// The stack on which nested code is followed, where the caller has less than enough left.
const STACK_BYTES: usize = 64 << 20;
/// What is enough.
const STACK_LEFT_BYTES: usize = 48 << 20;
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
        let texts = Texts::default();
        self.scan_in(&Project::new(sources, &texts), path, bytes)
    }

    /// Scans files of one tree, and follows calls into others of it. What many of them import is
    /// read once. Ends early where `done` says so.
    pub fn scan_each<'f>(
        &self,
        files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
        sources: &dyn Sources,
        mut done: impl FnMut(&'f str, Scan) -> ControlFlow<()>,
    ) {
        let mut files = files.into_iter().peekable();
        while files.peek().is_some() {
            let texts = Texts::default();
            let project = Project::new(sources, &texts);
            while !project.is_full() {
                let Some((path, bytes)) = files.next() else { return };
                if done(path, self.scan_in(&project, path, bytes)).is_break() {
                    return;
                }
            }
        }
    }

    fn scan_in(&self, project: &Project<'_>, path: &str, bytes: &[u8]) -> Scan {
        let Some(language) = Language::of_path(path) else { return Scan::default() };
        let unread =
            |reason| Scan { language: Some(language), findings: Vec::new(), unread: Some(reason) };
        let text = match text(bytes) {
            Ok(text) => text,
            Err(reason) => return unread(reason),
        };
        let nothing = || Scan { language: Some(language), ..Scan::default() };
        let table = self.pack.table(language);
        if !table.may_hold(text) {
            return nothing();
        }
        let seen = table.needs.look(text);
        let possible = Possible {
            values: table.needs.values(&seen, text)
                || project
                    .glance(path, text, language, (&table.needs, &seen))
                    .is_none_or(|all| table.needs.values(&all, text)),
            patterns: table.needs.patterns(&seen, text),
            routes: table.needs.routes(&seen, text),
        };
        if !possible.anything() {
            return nothing();
        }
        self.scan_possible(project, (path, text, language), (&seen, possible))
    }

    fn scan_possible(
        &self,
        project: &Project<'_>,
        (path, text, language): (&str, &str, Language),
        (seen, possible): (&Seen, Possible),
    ) -> Scan {
        let unread =
            |reason| Scan { language: Some(language), findings: Vec::new(), unread: Some(reason) };
        if is_minified(text) {
            return unread(Unread::Minified);
        }
        // nested code needs more stack than a caller's thread may have
        let scanned = stacker::maybe_grow(STACK_LEFT_BYTES, STACK_BYTES, || {
            catch_unwind(AssertUnwindSafe(|| {
                self.scan_text(project, (path, text, language), (seen, possible))
            }))
        });
        scanned.unwrap_or_else(|_| unread(Unread::Failed))
    }

    fn scan_text(
        &self,
        project: &Project<'_>,
        (path, text, language): (&str, &str, Language),
        (seen, possible): (&Seen, Possible),
    ) -> Scan {
        let mut scan = Scan { language: Some(language), ..Scan::default() };
        let document = match parse_with(&mut project.parser().borrow_mut(), text, language) {
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
        if possible.values || possible.routes {
            let unit = lower(document.tree.root_node(), text, language);
            if unit.cut.is_some() {
                scan.unread = Some(Unread::TooDeep);
            }
            hits.extend(routes::find(table, &unit, text));
            let (neighbours, mut all) = project.neighbours(path, language, &unit, &table.needs);
            all.join(seen);
            if table.needs.values(&all, text) {
                let mut modules = vec![Module { name: String::new(), unit: Rc::new(unit) }];
                let neighbours = neighbours.into_iter();
                modules.extend(neighbours.map(|(name, unit)| Module { name, unit }));
                let reach = reach(&modules, &table.needs, &table.needs.wanted(&all, text));
                if reach.anything() {
                    let outcome = evaluate(&self.pack, table, &modules, (text, reach));
                    scan.unread = scan.unread.or(outcome.cut);
                    hits.extend(outcome.hits);
                }
            }
        }
        if possible.patterns {
            hits.extend(patterns::find(table, document));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is skipped by its words alone is what has no findings: each text is also scanned whole.
    fn check(scanner: &Scanner, path: &str, text: &str) {
        let texts = Texts::default();
        let project = Project::new(&NoSources, &texts);
        let language = Language::of_path(path).unwrap();
        let mut seen = scanner.pack.table(language).needs.look(text);
        seen.take_all();
        let all = Possible { values: true, patterns: true, routes: true };
        let whole = scanner.scan_possible(&project, (path, text, language), (&seen, all));
        assert_eq!(scanner.scan(path, text.as_bytes()).findings, whole.findings, "{text}");
    }

    /// Functions that lack the words of what is found in them: those stand elsewhere in the file.
    #[test]
    fn a_function_is_run_for_what_it_reaches() {
        let scanner = Scanner::bundled().unwrap();
        let harmless = "def area(width):\n    return width * width\n";
        for text in [
            // another name for a function, given outside of all functions
            "import os\nfrom flask import request\nrun = os.system\ndef f():\n    run(request.args['a'])\n",
            // a name that a third function imports for all
            "from flask import request\ndef f():\n    o.system(request.args['a'])\ndef g():\n    import os as o\n    f()\ng()\n",
            // what the called one calls
            "import os\nfrom flask import request\ndef f():\n    g(request.args['a'])\ndef g(x):\n    h(x)\ndef h(x):\n    os.system(x)\n",
            // and what its value comes from
            "import os\nfrom flask import request\ndef f():\n    os.system(g())\ndef g():\n    return request.args['a']\n",
            // a method, a constructor, a function inside
            "import os\nfrom flask import request\nclass A:\n    def __init__(self, x):\n        os.system(x)\ndef f():\n    A(request.args['a'])\n",
            "import os\nfrom flask import request\ndef f():\n    a = request.args['a']\n    def g():\n        os.system(a)\n    return g\n",
            // a call outside of all functions
            "import os\nfrom flask import request\ndef main():\n    os.system(request.args['a'])\nif __name__ == '__main__':\n    main()\n",
        ] {
            for text in [text.to_owned(), format!("{harmless}{text}{harmless}")] {
                check(&scanner, "a.py", &text);
                assert!(!scanner.scan("a.py", text.as_bytes()).findings.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn what_is_skipped_has_no_findings() {
        let scanner = Scanner::bundled().unwrap();
        let examples: Vec<_> = scanner.rules().iter().flat_map(|rule| &rule.example).collect();
        let ending = |language| match language {
            Language::Python => "py",
            Language::JavaScript => "js",
            Language::TypeScript => "ts",
            Language::Tsx => "tsx",
            Language::Go => "go",
            Language::Java => "java",
            Language::CSharp => "cs",
            Language::Rust => "rs",
        };
        assert!(examples.len() > 50);
        for example in examples {
            let path = format!("a.{}", ending(example.lang));
            for text in [&example.good, &example.bad] {
                check(&scanner, &path, text);
                // and with some of its words gone
                for gone in ["request", "Request", "os", "import", "new", "http", "'", "exec"] {
                    check(&scanner, &path, &text.replace(gone, "it"));
                }
            }
        }
    }
}
