//! What a file declares: its functions and types with what a reviewer would ask of each. How many
//! ways lead through it, whether others see it, whether it says what it is for, and what its body
//! looks like when names don't count.
//!
//! For heuristics that ask a person; nothing here says that code is wrong.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ast_grep_core::tree_sitter::StrDoc;
use tree_sitter::Node;

use crate::ir::Stmt;
use crate::language::Language;
use crate::lower::lower;
use crate::parse::{is_minified, parse, text};

/// The most declarations of one file that are told.
const MAX_ITEMS: usize = 5_000;
/// How deep a file is looked into.
const MAX_DEPTH: usize = 400;

/// What a declaration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A function or method.
    Function,
    /// A class, structure, enumeration, interface or trait.
    Type,
}

/// A declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its name.
    pub name: String,
    /// Its first line, counted from 1.
    pub line: u32,
    /// Its last line.
    pub last_line: u32,
    /// Whether other files see it.
    pub public: bool,
    /// Whether it says what it is for.
    pub documented: bool,
    /// How many independent ways lead through it: 1 and one more for each branch.
    pub complexity: u32,
    /// How many tokens its body has.
    pub tokens: u32,
    /// A number that is the same for two bodies that differ in names and literals of their own only.
    pub shape: u64,
}

/// What a file declares, in its order; none for a file of no language of ours, or one that can't be
/// read.
pub fn items(path: &str, bytes: &[u8]) -> Option<Vec<Item>> {
    let (document, language) = parsed(path, bytes)?;
    let mut reader = Reader { text: &document.src, language: language.family(), items: Vec::new() };
    reader.walk(document.tree.root_node(), 0);
    Some(reader.items)
}

/// What a file imports, as written; none as above.
pub fn imports(path: &str, bytes: &[u8]) -> Option<Vec<String>> {
    let (document, language) = parsed(path, bytes)?;
    let unit = lower(document.tree.root_node(), &document.src, language);
    let mut imports = unit.modules;
    imports.extend(unit.body.into_iter().filter_map(|statement| match statement {
        Stmt::Import { path, .. } => Some(path),
        _ => None,
    }));
    imports.sort();
    imports.dedup();
    Some(imports)
}

fn parsed(path: &str, bytes: &[u8]) -> Option<(StrDoc<Language>, Language)> {
    let language = Language::of_path(path)?;
    let text = text(bytes).ok().filter(|text| !is_minified(text))?;
    Some((parse(text, language).ok()?, language))
}

struct Reader<'a> {
    text: &'a str,
    language: Language,
    items: Vec<Item>,
}

impl<'a> Reader<'a> {
    fn slice(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn walk(&mut self, node: Node<'_>, depth: usize) {
        if depth > MAX_DEPTH || self.items.len() >= MAX_ITEMS {
            return;
        }
        if let Some(kind) = declared(node.kind()) {
            self.declaration(node, kind);
        }
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            self.walk(child, depth + 1);
        }
    }

    fn declaration(&mut self, node: Node<'_>, kind: ItemKind) {
        let named = match node.kind() {
            // `const area = (width) => …`
            "arrow_function" | "function_expression" => {
                node.parent().filter(|parent| parent.kind() == "variable_declarator")
            }
            _ => Some(node),
        };
        let Some(name) = named.and_then(|named| named.child_by_field_name("name")) else { return };
        let name = self.slice(name).to_owned();
        let outer = outermost(named.unwrap_or(node));
        let body = node.child_by_field_name("body");
        let (mut complexity, mut tokens) = (1, 0);
        let mut shape = DefaultHasher::new();
        if let Some(body) = body {
            let mut names = HashMap::new();
            self.measure(body, 0, &mut names, &mut shape, &mut (&mut complexity, &mut tokens));
        }
        let row = |row: usize| u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1);
        self.items.push(Item {
            kind,
            line: row(outer.start_position().row),
            last_line: row(node.end_position().row),
            public: self.is_public(node, outer, &name),
            documented: self.is_documented(outer, body),
            complexity,
            tokens,
            shape: shape.finish(),
            name,
        });
    }

    /// Counts branches and tokens, and takes the body's shape.
    fn measure<'t>(
        &self,
        node: Node<'t>,
        depth: usize,
        names: &mut HashMap<&'a str, usize>,
        shape: &mut DefaultHasher,
        counts: &mut (&mut u32, &mut u32),
    ) {
        if depth > MAX_DEPTH || node.kind().contains("comment") {
            return;
        }
        if is_branch(node.kind()) {
            *counts.0 += 1;
        }
        if node.child_count() == 0 {
            *counts.1 += 1;
            let kind = node.kind();
            if matches!(kind, "&&" | "||" | "and" | "or" | "??") {
                *counts.0 += 1;
            }
            kind.hash(shape);
            if kind.ends_with("identifier") {
                let next = names.len();
                names.entry(self.slice(node)).or_insert(next).hash(shape);
            }
            return;
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            // a function in a function counts for itself
            if declared(child.kind()) == Some(ItemKind::Function)
                && child.child_by_field_name("name").is_some()
            {
                continue;
            }
            self.measure(child, depth + 1, names, shape, counts);
        }
    }

    fn is_public(&self, node: Node<'_>, outer: Node<'_>, name: &str) -> bool {
        let modifiers = || {
            let mut cursor = node.walk();
            let words: Vec<&str> = node
                .children(&mut cursor)
                .filter(|child| {
                    matches!(child.kind(), "modifiers" | "modifier" | "visibility_modifier")
                })
                .map(|child| self.slice(child))
                .collect();
            words.join(" ")
        };
        match self.language {
            Language::Python => !name.starts_with('_') && !is_inside(node, "function_definition"),
            Language::Go => name.chars().next().is_some_and(char::is_uppercase),
            Language::Rust => modifiers() == "pub",
            Language::Java | Language::CSharp => modifiers().contains("public"),
            Language::JavaScript | Language::TypeScript | Language::Tsx => {
                outer.kind() == "export_statement"
            }
        }
    }

    fn is_documented(&self, outer: Node<'_>, body: Option<Node<'_>>) -> bool {
        if self.language == Language::Python {
            let first = body.and_then(|body| body.named_child(0));
            return first.is_some_and(|first| {
                first.kind() == "expression_statement"
                    && first.named_child(0).is_some_and(|inner| inner.kind() == "string")
            });
        }
        let mut before = outer.prev_sibling();
        let mut next_row = outer.start_position().row;
        while let Some(node) = before {
            let comment = node.kind().contains("comment");
            if !comment && !matches!(node.kind(), "attribute_item" | "decorator") {
                return false;
            }
            // a comment of the line before, not of another paragraph
            let ends = node.end_position();
            let last_row = if ends.column == 0 { ends.row.saturating_sub(1) } else { ends.row };
            if next_row.saturating_sub(last_row) > 1 {
                return false;
            }
            let text = self.slice(node);
            let is_doc = match self.language {
                Language::Rust => text.starts_with("///") || text.starts_with("/**"),
                Language::CSharp => text.starts_with("///"),
                Language::Go => true,
                _ => text.starts_with("/**"),
            };
            if comment && is_doc || text.starts_with("#[doc") {
                return true;
            }
            next_row = node.start_position().row;
            before = node.prev_sibling();
        }
        false
    }
}

/// What stands around a declaration and belongs to it: `export`, decorators.
fn outermost(node: Node<'_>) -> Node<'_> {
    let mut outer = node;
    while let Some(parent) = outer.parent() {
        match parent.kind() {
            "export_statement"
            | "decorated_definition"
            | "lexical_declaration"
            | "type_declaration" => outer = parent,
            _ => break,
        }
    }
    outer
}

fn is_inside(node: Node<'_>, kind: &str) -> bool {
    let mut around = node.parent();
    while let Some(parent) = around {
        if parent.kind() == kind {
            return true;
        }
        around = parent.parent();
    }
    false
}

fn declared(kind: &str) -> Option<ItemKind> {
    match kind {
        "function_definition"
        | "function_declaration"
        | "generator_function_declaration"
        | "method_definition"
        | "method_declaration"
        | "constructor_declaration"
        | "function_item"
        | "arrow_function"
        | "function_expression" => Some(ItemKind::Function),
        "class_definition"
        | "class_declaration"
        | "interface_declaration"
        | "enum_declaration"
        | "struct_declaration"
        | "record_declaration"
        | "struct_item"
        | "enum_item"
        | "trait_item"
        | "type_spec" => Some(ItemKind::Type),
        _ => None,
    }
}

fn is_branch(kind: &str) -> bool {
    matches!(
        kind,
        "if_statement"
            | "if_expression"
            | "elif_clause"
            | "for_statement"
            | "for_in_statement"
            | "for_expression"
            | "foreach_statement"
            | "enhanced_for_statement"
            | "while_statement"
            | "while_expression"
            | "do_statement"
            | "match_arm"
            | "case_clause"
            | "switch_case"
            | "switch_section"
            | "switch_label"
            | "expression_case"
            | "type_case"
            | "communication_case"
            | "except_clause"
            | "catch_clause"
            | "conditional_expression"
            | "ternary_expression"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(path: &str, text: &str) -> Vec<(String, bool, bool, u32)> {
        let items = super::items(path, text.as_bytes()).unwrap();
        let told = |item: Item| (item.name, item.public, item.documented, item.complexity);
        items.into_iter().map(told).collect()
    }

    fn row(
        name: &str,
        public: bool,
        documented: bool,
        complexity: u32,
    ) -> (String, bool, bool, u32) {
        (name.to_owned(), public, documented, complexity)
    }

    #[test]
    fn declarations_are_read_in_each_language() {
        assert_eq!(
            items(
                "a.py",
                "def area(w, h):\n    \"\"\"The area.\"\"\"\n    if w < 0 and h < 0:\n        return 0\n    return w * h\n\n\nclass Box:\n    def _side(self):\n        return 1\n",
            ),
            [row("area", true, true, 3), row("Box", true, false, 1), row("_side", false, false, 1)]
        );
        assert_eq!(
            items(
                "a.rs",
                "/// The area.\n#[must_use]\npub fn area(w: u32) -> u32 {\n    match w { 0 => 1, _ => 2 }\n}\n\nfn side() {}\npub(crate) struct Box;\n",
            ),
            [row("area", true, true, 3), row("side", false, false, 1), row("Box", false, false, 1)]
        );
        assert_eq!(
            items(
                "a.ts",
                "/** The area. */\nexport function area(w: number) { return w ? 1 : 2; }\nexport const side = (w: number) => w;\nfunction own() {}\n",
            ),
            [row("area", true, true, 2), row("side", true, false, 1), row("own", false, false, 1)]
        );
        assert_eq!(
            items(
                "a.go",
                "package a\n\n// Area of it.\nfunc Area(w int) int {\n\tfor w > 0 {\n\t\tw--\n\t}\n\treturn w\n}\n\nfunc side() {}\n",
            ),
            [row("Area", true, true, 2), row("side", false, false, 1)]
        );
        assert_eq!(
            items(
                "A.java",
                "class A {\n    /** The area. */\n    public int area(int w) { if (w > 0 || w < -5) { return 1; } return 2; }\n    int side() { return 1; }\n}\n",
            ),
            [row("A", false, false, 1), row("area", true, true, 3), row("side", false, false, 1)]
        );
        assert_eq!(
            items(
                "A.cs",
                "public class A {\n    /// <summary>The area.</summary>\n    public int Area(int w) { return w; }\n    private int Side() { return 1; }\n}\n",
            ),
            [row("A", true, false, 1), row("Area", true, true, 1), row("Side", false, false, 1)]
        );
        assert_eq!(super::items("a.txt", b"x"), None);
    }

    #[test]
    fn a_body_has_the_same_shape_whatever_its_names_are() {
        let shape = |text: &str| super::items("a.py", text.as_bytes()).unwrap()[0].shape;
        let one = shape("def a(x):\n    y = x + 1\n    return y * x\n");
        assert_eq!(one, shape("def b(n):\n    m = n + 2\n    return m * n\n"));
        assert_ne!(one, shape("def b(n):\n    m = n + 2\n    return m * m\n"));
        assert_ne!(one, shape("def b(n):\n    m = n - 2\n    return m * n\n"));
    }

    #[test]
    fn imports_are_told() {
        let imports = imports("a.py", b"import os\nfrom shop.cart import total\n").unwrap();
        assert!(imports.iter().any(|import| import.contains("shop.cart")));
    }
}
