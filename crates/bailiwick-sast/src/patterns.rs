//! Patterns that are written as code.

use ast_grep_core::AstGrep;
use ast_grep_core::tree_sitter::StrDoc;

use crate::eval::Hit;
use crate::language::Language;
use crate::pack::Table;

/// Finds what matches in a parsed file.
pub(crate) fn find(table: &Table, document: StrDoc<Language>) -> Vec<Hit> {
    let possible: Vec<_> = table
        .patterns
        .iter()
        .filter(|pattern| document.src.contains(pattern.word.as_str()))
        .collect();
    if possible.is_empty() {
        return Vec::new();
    }
    let root = AstGrep::doc(document);
    let mut hits = Vec::new();
    for pattern in possible {
        for found in root.root().find_all(&pattern.pattern) {
            let holds = pattern.conditions.iter().all(|(name, expression)| {
                found
                    .get_env()
                    .get_match(name)
                    .is_some_and(|node| expression.is_match(&node.text()))
            });
            if holds {
                let line = u32::try_from(found.start_pos().line()).unwrap_or(u32::MAX);
                hits.push(Hit { rule: pattern.rule, line: line.saturating_add(1), from: 0 });
            }
        }
    }
    hits
}
