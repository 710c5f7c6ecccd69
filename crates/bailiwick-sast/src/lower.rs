//! From syntax trees to [`crate::ir`], for all languages at once.
//!
//! The grammars name the same things alike (`if_statement`, `condition`, `consequence`), so that
//! one function with a table of kinds serves them all. What no entry knows becomes
//! [`ExprKind::Other`] with its parts: taint flows through it.

mod declaration;
mod expression;
mod import;
mod statement;

use tree_sitter::Node;

use crate::ir::{Expr, ExprKind, Mark, Unit};
use crate::language::Language;

/// How deep expressions and blocks are followed.
const MAX_DEPTH: usize = 500;

/// Lowers a parsed file.
pub(crate) fn lower<'a>(root: Node<'_>, text: &'a str, language: Language) -> Unit<'a> {
    let mut lowering = Lowering {
        text,
        language: language.family(),
        unit: Unit::default(),
        depth: 0,
        classes: Vec::new(),
        shares: false,
    };
    let body = lowering.statements(root);
    lowering.unit.body = body;
    lowering.unit
}

/// The class around what is being lowered.
#[derive(Clone)]
struct Class<'a> {
    name: &'a str,
    marks: Vec<Mark<'a>>,
    bases: Vec<&'a str>,
}

struct Lowering<'a> {
    text: &'a str,
    language: Language,
    unit: Unit<'a>,
    depth: usize,
    classes: Vec<Class<'a>>,
    /// Whether the function that is lowered has an import or a class.
    shares: bool,
}

impl<'a> Lowering<'a> {
    fn slice(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Goes one level down, or gives up with `None`.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            self.unit.cut = Some("nested too deeply");
            return None;
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        Some(result)
    }

    fn field(&mut self, node: Node<'_>, name: &str) -> Option<Expr<'a>> {
        node.child_by_field_name(name).map(|child| self.expression(child))
    }

    fn field_or_null(&mut self, node: Node<'_>, name: &str) -> Expr<'a> {
        self.field(node, name).unwrap_or_else(|| at(node, ExprKind::Other(Vec::new())))
    }

    fn field_text(&self, node: Node<'_>, name: &str) -> Option<&'a str> {
        node.child_by_field_name(name).map(|child| self.slice(child))
    }

    /// All named children as expressions, in order, without comments.
    fn parts(&mut self, node: Node<'_>) -> Vec<Expr<'a>> {
        named(node).into_iter().map(|child| self.expression(child)).collect()
    }
}

/// An expression at a node's line, counted from 1.
fn at<'a>(node: Node<'_>, kind: ExprKind<'a>) -> Expr<'a> {
    Expr { kind, line: line(node) }
}

fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row).unwrap_or(u32::MAX).saturating_add(1)
}

/// The named children, without comments and attributes between.
fn named(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| !is_comment(child.kind())).collect()
}

fn child_of_kind<'t>(node: Node<'t>, kind: &str) -> Option<Node<'t>> {
    named(node).into_iter().find(|child| child.kind() == kind)
}

fn is_comment(kind: &str) -> bool {
    matches!(kind, "comment" | "line_comment" | "block_comment" | "html_comment")
}

/// A type's name without generics, references and arrays: `&mut HashMap<K, V>` is `HashMap`.
fn bare_type(text: &str) -> &str {
    let text = text.trim_start_matches([':', '*', '&', '[', ']', ' ', '?']);
    let text = text.strip_prefix("mut ").unwrap_or(text);
    let end = text.find(['<', '[', '?', ' ', '(', '{', '|', '"']).unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim()
}
