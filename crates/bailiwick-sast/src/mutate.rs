//! Small changes of meaning, for tests to notice.
//!
//! A mutant exchanges one operator, one truth value or one number. That a mutant is no valid
//! program is possible and harmless: it does not build, and then says nothing.

use tree_sitter::{Node, TreeCursor};

use crate::language::Language;
use crate::parse::{Unread, is_minified, parse, text};

/// Most mutants of one file that are listed.
const MOST_MUTANTS: usize = 2_000;

/// One small change of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The line, counted from 1.
    pub line: u32,
    /// Where the piece that is exchanged begins, in bytes.
    pub at: usize,
    /// The piece.
    pub old: String,
    /// What comes in its place.
    pub new: String,
}

impl Mutant {
    /// The source with the change.
    pub fn apply(&self, source: &str) -> Option<String> {
        let (before, rest) = source.split_at_checked(self.at)?;
        let rest = rest.strip_prefix(self.old.as_str())?;
        Some(format!("{before}{}{rest}", self.new))
    }
}

/// Every mutant of the lines that `wanted` asks for, in the order in which they stand. Nothing for a
/// file of a language that is not understood.
pub fn mutants(
    path: &str,
    bytes: &[u8],
    wanted: impl Fn(u32) -> bool,
) -> Result<Vec<Mutant>, Unread> {
    let Some(language) = Language::of_path(path) else { return Ok(Vec::new()) };
    let source = text(bytes)?;
    // positions are those of the file as it is
    let skipped = bytes.len() - source.len();
    if is_minified(source) {
        return Err(Unread::Minified);
    }
    let document = parse(source, language)?;
    let mut found = Vec::new();
    let mut cursor = document.tree.walk();
    // asking a node for its parent would go down from the top each time
    let mut above: Vec<&str> = Vec::new();
    loop {
        let node = cursor.node();
        let is_test = node.kind() == "mod_item" && is_for_tests(node, source);
        if !is_test {
            let line =
                u32::try_from(node.start_position().row).unwrap_or(u32::MAX).saturating_add(1);
            if wanted(line)
                && let Some(mutant) = mutant(node, above.last().copied(), source, language, line)
            {
                found.push(Mutant { at: mutant.at + skipped, ..mutant });
            }
            if found.len() >= MOST_MUTANTS {
                return Ok(found);
            }
        }
        if !advance(&mut cursor, is_test, &mut above) {
            return Ok(found);
        }
    }
}

/// To the next node in the order of the text. Without recursion: sources nest as deep as they like.
fn advance<'tree>(cursor: &mut TreeCursor<'tree>, skip: bool, above: &mut Vec<&'tree str>) -> bool {
    let kind = cursor.node().kind();
    if !skip && cursor.goto_first_child() {
        above.push(kind);
        return true;
    }
    while !cursor.goto_next_sibling() {
        if !cursor.goto_parent() {
            return false;
        }
        above.pop();
    }
    true
}

/// Rust's `#[cfg(test)] mod tests { … }`.
fn is_for_tests(node: Node<'_>, source: &str) -> bool {
    let mut before = node.prev_sibling();
    while let Some(attribute) = before.filter(|it| it.kind() == "attribute_item") {
        let text = source.get(attribute.byte_range()).unwrap_or_default();
        if text.contains("cfg(test)") {
            return true;
        }
        before = attribute.prev_sibling();
    }
    false
}

fn mutant(
    node: Node<'_>,
    parent: Option<&str>,
    source: &str,
    language: Language,
    line: u32,
) -> Option<Mutant> {
    let old = source.get(node.byte_range())?;
    let new = if node.is_named() {
        literal(node.kind(), old, language)?
    } else {
        operator(parent?, old)?.to_owned()
    };
    Some(Mutant { line, at: node.start_byte(), old: old.to_owned(), new })
}

/// An operator in place of another, where it stands in an expression and not in a type.
fn operator(parent: &str, old: &str) -> Option<&'static str> {
    let is_expression = matches!(
        parent,
        "binary_expression" | "binary_operator" | "comparison_operator" | "boolean_operator"
    );
    if is_expression {
        return Some(match old {
            "<" => "<=",
            "<=" => "<",
            ">" => ">=",
            ">=" => ">",
            "==" => "!=",
            "!=" => "==",
            "===" => "!==",
            "!==" => "===",
            "+" => "-",
            "-" => "+",
            "*" => "/",
            "/" => "*",
            "%" => "*",
            "&&" => "||",
            "||" => "&&",
            "and" => "or",
            "or" => "and",
            _ => return None,
        });
    }
    let is_negation =
        matches!(parent, "unary_expression" | "prefix_unary_expression" | "not_operator");
    (is_negation && matches!(old, "!" | "not")).then_some("")
}

fn literal(kind: &str, old: &str, language: Language) -> Option<String> {
    let is_truth = matches!(kind, "true" | "false" | "boolean_literal");
    if is_truth {
        return Some(
            match old {
                "true" => "false",
                "false" => "true",
                "True" => "False",
                "False" => "True",
                _ => return None,
            }
            .to_owned(),
        );
    }
    let is_number = match language {
        Language::Python => kind == "integer",
        Language::JavaScript | Language::TypeScript | Language::Tsx => kind == "number",
        Language::Go => kind == "int_literal",
        Language::Java => kind == "decimal_integer_literal",
        Language::CSharp | Language::Rust => kind == "integer_literal",
    };
    // no suffix, no other base, nothing so large that one more does not fit
    let plain = old.len() <= 9 && old.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && plain)
        .then(|| old.parse::<u32>().ok()?.checked_add(1))
        .flatten()
        .map(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The mutants of a source as `line: old→new`.
    fn shown(path: &str, source: &str) -> Vec<String> {
        let found = mutants(path, source.as_bytes(), |_| true).unwrap();
        for mutant in &found {
            let changed = mutant.apply(source).unwrap();
            assert_ne!(changed, source);
            assert_eq!(changed.len() + mutant.old.len(), source.len() + mutant.new.len());
        }
        found.iter().map(|one| format!("{}: {}→{}", one.line, one.old, one.new)).collect()
    }

    #[test]
    fn each_language_has_its_mutants() {
        for (path, source, expected) in [
            (
                "a.rs",
                "fn f<T: A>(n: u32) -> bool {\n    !g(n) && n < 10 || true\n}\n#[cfg(test)]\nmod tests {\n    const A: u32 = 1;\n}\n",
                vec!["2: !→", "2: &&→||", "2: <→<=", "2: 10→11", "2: ||→&&", "2: true→false"],
            ),
            (
                "a.py",
                "def f(n):\n    return not n and n >= 2 or False\n",
                vec!["2: not→", "2: and→or", "2: >=→>", "2: 2→3", "2: or→and", "2: False→True"],
            ),
            (
                "a.js",
                "const f = (n) => n === 1 && !n;\n",
                vec!["1: ===→!==", "1: 1→2", "1: &&→||", "1: !→"],
            ),
            ("a.ts", "const f = (n: Array<number>) => n.length * 2;\n", vec!["1: *→/", "1: 2→3"]),
            (
                "a.go",
                "package a\n\nfunc f(n int) bool {\n\treturn n%2 == 0\n}\n",
                vec!["4: %→*", "4: 2→3", "4: ==→!=", "4: 0→1"],
            ),
            (
                "A.java",
                "class A { boolean f(int n) { return n > 7; } }\n",
                vec!["1: >→>=", "1: 7→8"],
            ),
            (
                "A.cs",
                "class A { bool F(int n) { return !B(n) || n != 7; } }\n",
                vec!["1: !→", "1: ||→&&", "1: !=→==", "1: 7→8"],
            ),
            ("a.txt", "1 + 1\n", vec![]),
        ] {
            assert_eq!(shown(path, source), expected, "{path}");
        }
    }

    #[test]
    fn only_the_wanted_lines_are_changed_and_positions_are_those_of_the_file() {
        let source = "\u{feff}a = 1\nb = 2\nc = 3\n";
        let found = mutants("a.py", source.as_bytes(), |line| line == 2).unwrap();
        let changed: Vec<_> = found.iter().map(|one| one.apply(source).unwrap()).collect();
        assert_eq!(changed, ["\u{feff}a = 1\nb = 3\nc = 3\n"]);
    }

    #[test]
    fn a_file_that_nobody_wrote_is_not_changed() {
        let minified = "a=1+".repeat(30_000);
        assert_eq!(mutants("a.js", minified.as_bytes(), |_| true), Err(Unread::Minified));
        assert_eq!(mutants("a.py", b"\xff\xfe", |_| true), Err(Unread::NotText));
        let deep = format!("a = {}1{}\n", "(\n".repeat(20_000), ")\n".repeat(20_000));
        drop(mutants("a.py", deep.as_bytes(), |_| true));
        let many = "a = 1 + 1\n".repeat(5_000);
        assert_eq!(mutants("a.py", many.as_bytes(), |_| true).unwrap().len(), MOST_MUTANTS);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(if |a|1|<|==|!|\\(|\\)|\\{|\\}|\n|not |\\PC){0,40}") {
            for path in ["a.rs", "a.py", "a.ts", "a.go", "A.java", "A.cs"] {
                for mutant in mutants(path, text.as_bytes(), |_| true).unwrap_or_default() {
                    prop_assert!(mutant.apply(&text).is_some());
                }
            }
        }
    }
}
