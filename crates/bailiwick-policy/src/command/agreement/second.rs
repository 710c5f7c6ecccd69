//! The view of the second parser, from its concrete tree.

use std::borrow::Cow;
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Point};

use super::{Item, View, bare};

/// How often the parser may report progress (each time some hundred steps have gone by) before it
/// is stopped: repairing what it does not understand can take it long.
const MAX_REPORTS: usize = 20_000;
/// How deep its tree is walked.
const MAX_DEPTH: usize = 300;

/// What the second parser sees; none when it is not, or not wholly, shell text to it.
pub(super) fn view(text: &str) -> Option<View> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
    let mut reports = 0_usize;
    let mut progress = |_: &ParseState| {
        reports += 1;
        if reports > MAX_REPORTS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let digestible = digestible(text);
    let bytes = digestible.as_bytes();
    let tree = parser.parse_with_options(
        &mut |at: usize, _: Point| bytes.get(at..).unwrap_or_default(),
        None,
        Some(ParseOptions::new().progress_callback(&mut progress)),
    )?;
    let root = tree.root_node();
    if root.has_error() {
        return None;
    }
    let mut reader = Reader { text, view: View::default(), end: 0, timed: false };
    reader.node(root, 0)?;
    Some(reader.view)
}

/// The text with what the grammar's scanner can not read exchanged for letters that it can, of the
/// same length and the same meaning to a shell: after `{` and the digits of `{1..9}` it hands each
/// character to C's `isdigit`, whose table ends at U+00FF (tree-sitter-bash 0.25.1, scanner.c), and
/// the process reads where it must not.
fn digestible(text: &str) -> Cow<'_, str> {
    let beyond = |c: char| c > '\u{ff}';
    if !text.contains(beyond) {
        return Cow::Borrowed(text);
    }
    let mut scanned = false;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match (scanned && beyond(c), c.len_utf8()) {
            (true, 2) => safe.push('é'),
            (true, 3) => safe.push_str("éx"),
            (true, _) => safe.push_str("éé"),
            (false, _) => safe.push(c),
        }
        scanned = c == '{' || (scanned && (c.is_ascii_digit() || c == '.'));
    }
    Cow::Owned(safe)
}

struct Reader<'a> {
    text: &'a str,
    view: View,
    /// Where the last word ended: a word that begins there is a part of it.
    end: usize,
    /// Whether the command's name is still to come, since `time` is none.
    timed: bool,
}

impl<'a> Reader<'a> {
    fn slice(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    fn node(&mut self, node: Node<'_>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match node.kind() {
            "comment" | "file_descriptor" | "heredoc_end" => {}
            "command_name" => {
                let text = bare(self.slice(node));
                // a keyword to the first parser, and to most shells
                if matches!(text.as_str(), "time") {
                    self.timed = true;
                } else {
                    self.view.items.push(Item::Name(text));
                    self.end = node.end_byte();
                }
                self.substitutions(node, depth)?;
            }
            "declaration_command" | "unset_command" => {
                let mut cursor = node.walk();
                for (at, child) in node.children(&mut cursor).enumerate() {
                    if at == 0 {
                        self.view.items.push(Item::Name(bare(self.slice(child))));
                        self.end = child.end_byte();
                    } else if child.kind().ends_with("redirect") {
                        self.node(child, depth + 1)?;
                    } else {
                        self.word(child, depth)?;
                    }
                }
            }
            "test_command" => self.test(node, depth)?,
            "c_style_for_statement" => {
                self.calculation(node)?;
                let mut cursor = node.walk();
                let body = node
                    .children(&mut cursor)
                    .find(|child| matches!(child.kind(), "do_group" | "compound_statement"))?;
                self.node(body, depth + 1)?;
            }
            "compound_statement" if node.child(0).is_some_and(|child| child.kind() == "((") => {
                self.calculation(node)?;
            }
            "process_substitution" => {
                self.view.items.push(Item::Process);
                self.children(node, depth)?;
            }
            "heredoc_body" => {
                self.view.documents.push(bare(self.slice(node)));
                self.substitutions(node, depth)?;
            }
            "function_definition" => {
                let name = node.child_by_field_name("name")?;
                self.word(name, depth)?;
                let mut cursor = node.walk();
                for child in node.children(&mut cursor).filter(|child| *child != name) {
                    self.node(child, depth + 1)?;
                }
            }
            // known to one of the shells only, and to the first parser not at all
            "select" => return None,
            "word"
            | "string"
            | "raw_string"
            | "ansi_c_string"
            | "translated_string"
            | "concatenation"
            | "simple_expansion"
            | "expansion"
            | "command_substitution"
            | "number"
            | "brace_expression"
            | "arithmetic_expansion"
            | "regex"
            | "extglob_pattern"
            | "variable_name"
            | "special_variable_name"
            | "variable_assignment"
            | "heredoc_start"
            | "test_operator"
            | "=="
            | "=~" => {
                self.word(node, depth)?;
            }
            "<" | ">" | ">>" | "<>" | ">|" | "<&" | ">&" | "&>" | "&>>" | "<<" | "<<-" | "<<<"
            | "<&-" | ">&-" => {
                let operator = node.kind();
                match operator.strip_suffix('-').filter(|_| operator.contains('&')) {
                    Some(operator) => {
                        self.view.items.push(Item::Redirect(operator.to_owned()));
                        self.view.items.push(Item::Word("-".to_owned()));
                    }
                    None => self.view.items.push(Item::Redirect(operator.to_owned())),
                }
                self.end = 0;
            }
            _ => self.children(node, depth)?,
        }
        Some(())
    }

    fn children(&mut self, node: Node<'_>, depth: usize) -> Option<()> {
        let mut cursor = node.walk();
        let mut end = None;
        for child in node.children(&mut cursor) {
            // the grammar swallows a lone dash before a here-document (`python3 - <<E`)
            if let Some(end) = end.filter(|_| node.kind() == "redirected_statement")
                && self.text.get(end..child.start_byte()).is_some_and(|gap| gap.trim() == "-")
            {
                self.view.items.push(Item::Word("-".to_owned()));
            }
            end = Some(child.end_byte());
            self.node(child, depth + 1)?;
        }
        Some(())
    }

    fn word(&mut self, node: Node<'_>, depth: usize) -> Option<()> {
        let text = bare(self.slice(node));
        let joined = node.start_byte() == self.end && self.end > 0;
        self.end = node.end_byte();
        if self.timed {
            // what follows `time` is the name, or an option of the keyword
            if text != "-p" {
                self.timed = false;
                self.view.items.push(Item::Name(text));
            }
        } else if joined
            && let Some(Item::Name(last) | Item::Word(last)) = self.view.items.last_mut()
        {
            last.push_str(&text);
        } else {
            self.view.items.push(Item::Word(text));
        }
        self.substitutions(node, depth)
    }

    /// Notes the substitutions within a word that no other one encloses.
    fn substitutions(&mut self, node: Node<'_>, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        if node.kind() == "command_substitution" {
            let text = self.slice(node);
            let inner = text
                .strip_prefix("$(")
                .and_then(|text| text.strip_suffix(')'))
                .or_else(|| text.strip_prefix('`').and_then(|text| text.strip_suffix('`')))?;
            self.view.substitutions.push(bare(inner));
            return Some(());
        }
        // a process within a word is a word of its own to the first parser
        if node.kind() == "process_substitution" {
            return None;
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            self.substitutions(child, depth + 1)?;
        }
        Some(())
    }

    /// What stands between `((` and `))`.
    fn calculation(&mut self, node: Node<'_>) -> Option<()> {
        let mut cursor = node.walk();
        let (mut start, mut end) = (None, None);
        for child in node.children(&mut cursor) {
            match child.kind() {
                "((" => start = start.or_else(|| Some(child.end_byte())),
                "))" => end = Some(child.start_byte()),
                _ => {}
            }
        }
        let text = self.text.get(start?..end?)?;
        self.view.items.push(Item::Arithmetic(bare(text)));
        Some(())
    }

    fn test(&mut self, node: Node<'_>, depth: usize) -> Option<()> {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
        let (open, close) = (children.first()?, children.last()?);
        match open.kind() {
            "((" => self.calculation(node)?,
            "[[" => {
                let mut operands = String::new();
                self.operands(node, depth, &mut operands)?;
                self.view.items.push(Item::Test(operands));
            }
            // to the first parser a command like any other: the words as they are written
            "[" => {
                self.view.items.push(Item::Name("[".to_owned()));
                let inner = self.text.get(open.end_byte()..close.start_byte())?;
                self.view.items.extend(words(inner)?.into_iter().map(Item::Word));
                self.view.items.push(Item::Word("]".to_owned()));
            }
            _ => return None,
        }
        self.end = 0;
        self.substitutions(node, depth)
    }

    fn operands(&self, node: Node<'_>, depth: usize, operands: &mut String) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                "unary_expression" | "binary_expression" | "parenthesized_expression" => {
                    self.operands(child, depth + 1, operands)?;
                }
                "test_operator" => {}
                _ if child.is_named() => operands.push_str(&bare(self.slice(child))),
                _ => {}
            }
        }
        Some(())
    }
}

/// Words divided at white space outside quotes and substitutions. None when a quote is left open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut open = 0_usize;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(end)) if c == end => quote = None,
            ('(' | '{', None) => open += 1,
            (')' | '}', None) => open = open.saturating_sub(1),
            _ => {}
        }
        if c.is_whitespace() && quote.is_none() && open == 0 {
            if !word.is_empty() {
                words.push(bare(&std::mem::take(&mut word)));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        words.push(bare(&word));
    }
    quote.is_none().then_some(words)
}
