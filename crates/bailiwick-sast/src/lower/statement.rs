//! Statements, strings, assignments and switches.

use tree_sitter::Node;

use super::{Lowering, at, bare_type, child_of_kind, is_comment, named};
use crate::ir::{Case, Expr, ExprKind, Stmt, Switch};
use crate::language::Language;

impl<'a> Lowering<'a> {
    /// The statements in a block.
    pub(super) fn statements(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let mut statements = Vec::new();
        for child in named(node) {
            statements.extend(self.statement(child));
        }
        statements
    }

    pub(super) fn statement(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        self.deeper(|this| this.statement_here(node)).unwrap_or_default()
    }

    fn block_field(&mut self, node: Node<'_>, name: &str) -> Vec<Stmt<'a>> {
        node.child_by_field_name(name).map(|child| self.statement(child)).unwrap_or_default()
    }

    fn statement_here(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let one = match node.kind() {
            kind if is_comment(kind) => return Vec::new(),
            "expression_statement" if self.language == Language::Rust => {
                match named(node).into_iter().next() {
                    Some(child) if is_rust_statement(child.kind()) => return self.statement(child),
                    Some(child) => Stmt::Expr(self.expression(child)),
                    None => return Vec::new(),
                }
            }
            "block"
            | "statement_block"
            | "declaration_list"
            | "class_body"
            | "statement_list"
            | "else_clause"
            | "finally_clause"
            | "global_statement"
            | "enum_body"
            | "interface_body"
            | "labeled_statement"
            | "unsafe_block"
            | "checked_statement"
            | "lock_statement"
            | "fixed_statement"
            | "synchronized_statement"
            | "constructor_body"
            | "enum_body_declarations"
            | "type_case" => {
                return self.statements(node);
            }
            "expression_statement"
            | "defer_statement"
            | "go_statement"
            | "yield_statement"
            | "export_statement"
            | "ambient_declaration" => {
                return named(node).into_iter().flat_map(|child| self.statement(child)).collect();
            }
            "if_statement" | "if_expression" => return self.branch(node),
            "while_statement" | "do_statement" | "while_expression" | "loop_expression" => {
                let test = self.field(node, "condition");
                let body = self.block_field(node, "body");
                Stmt::Loop { bind: None, test, body }
            }
            "for_statement"
            | "for_in_statement"
            | "enhanced_for_statement"
            | "foreach_statement"
            | "for_expression" => return self.repeat(node),
            "return_statement" | "return_expression" => {
                Stmt::Return(named(node).first().map(|child| self.expression(*child)))
            }
            "raise_statement" | "throw_statement" | "throw_expression" => {
                Stmt::Raise(named(node).first().map(|child| self.expression(*child)))
            }
            "break_statement" | "break_expression" => Stmt::Break,
            "continue_statement" | "continue_expression" => Stmt::Continue,
            "try_statement" | "try_with_resources_statement" => self.attempt(node),
            "with_statement" | "using_statement" => return self.with(node),
            "match_statement" => self.python_match(node),
            "switch_statement"
            | "switch_expression"
            | "expression_switch_statement"
            | "match_expression"
            | "type_switch_statement"
            | "select_statement" => {
                let kind = self.switch_expression(node);
                Stmt::Expr(at(node, kind))
            }
            "function_definition"
            | "function_declaration"
            | "generator_function_declaration"
            | "method_definition"
            | "method_declaration"
            | "constructor_declaration"
            | "function_item"
            | "local_function_statement"
            | "decorated_definition"
            | "compact_constructor_declaration" => return self.function(node),
            "class_definition"
            | "class_declaration"
            | "interface_declaration"
            | "impl_item"
            | "struct_declaration"
            | "record_declaration"
            | "enum_declaration"
            | "mod_item"
            | "namespace_declaration"
            | "abstract_class_declaration"
            | "trait_item"
            | "internal_module"
            | "module" => return self.class(node),
            "import_statement"
            | "import_from_statement"
            | "future_import_statement"
            | "import_declaration"
            | "using_directive"
            | "use_declaration" => {
                return self.import(node);
            }
            "lexical_declaration"
            | "variable_declaration"
            | "local_variable_declaration"
            | "local_declaration_statement"
            | "field_declaration"
            | "let_declaration"
            | "const_declaration"
            | "const_item"
            | "static_item"
            | "var_declaration"
            | "var_spec"
            | "const_spec"
            | "var_spec_list"
            | "field_definition"
            | "public_field_definition"
            | "property_declaration" => {
                return self.declaration(node);
            }
            "macro_definition"
            | "struct_item"
            | "enum_item"
            | "type_alias_declaration"
            | "pass_statement"
            | "empty_statement"
            | "type_declaration" => return Vec::new(),
            _ => Stmt::Expr(self.expression(node)),
        };
        vec![one]
    }

    fn branch(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let mut statements = self.block_field(node, "initializer");
        let test = self.field_or_null(node, "condition");
        let then = self.block_field(node, "consequence");
        let mut cursor = node.walk();
        let alternatives: Vec<Node<'_>> =
            node.children_by_field_name("alternative", &mut cursor).collect();
        let mut otherwise = Vec::new();
        for alternative in alternatives.into_iter().rev() {
            if alternative.kind() == "elif_clause" {
                let test = self.field_or_null(alternative, "condition");
                let then = self.block_field(alternative, "consequence");
                otherwise = vec![Stmt::If { test, then, otherwise }];
            } else {
                otherwise = match alternative.child_by_field_name("body") {
                    Some(body) => self.statement(body),
                    None => self.statement(alternative),
                };
            }
        }
        statements.push(Stmt::If { test, then, otherwise });
        statements
    }

    fn repeat(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let clause = child_of_kind(node, "range_clause");
        let over = clause.unwrap_or(node);
        let target =
            ["left", "name", "pattern"].iter().find_map(|field| over.child_by_field_name(field));
        let source = ["right", "value"].iter().find_map(|field| over.child_by_field_name(field));
        let mut body = self.block_field(node, "body");
        if let (Some(target), Some(source)) = (target, source) {
            let bind = Some((self.expression(target), self.expression(source)));
            return vec![Stmt::Loop { bind, test: None, body }];
        }
        let clause = child_of_kind(node, "for_clause").unwrap_or(node);
        let mut statements = self.block_field(clause, "initializer");
        if let Some(init) = clause.child_by_field_name("init") {
            statements.extend(self.statement(init));
        }
        let test = self.field(clause, "condition");
        for field in ["update", "increment"] {
            body.extend(self.block_field(clause, field));
        }
        statements.push(Stmt::Loop { bind: None, test, body });
        statements
    }

    fn attempt(&mut self, node: Node<'_>) -> Stmt<'a> {
        let mut body = node
            .child_by_field_name("resources")
            .map(|resources| self.resources(resources))
            .unwrap_or_default();
        body.extend(self.block_field(node, "body"));
        let (mut handlers, mut finally) = (Vec::new(), Vec::new());
        for child in named(node) {
            match child.kind() {
                "except_clause" => {
                    let name = self.field_text(child, "alias").or_else(|| {
                        let value = child.child_by_field_name("value")?;
                        self.field_text(value, "alias")
                    });
                    let block = child_of_kind(child, "block");
                    let block = block.map(|block| self.statement(block)).unwrap_or_default();
                    handlers.push((name, block));
                }
                "catch_clause" => {
                    let name = child
                        .child_by_field_name("parameter")
                        .map(|parameter| self.slice(parameter))
                        .or_else(|| {
                            ["catch_formal_parameter", "catch_declaration"]
                                .iter()
                                .find_map(|kind| child_of_kind(child, kind))
                                .and_then(|parameter| self.field_text(parameter, "name"))
                        });
                    let block = self.block_field(child, "body");
                    handlers.push((name, block));
                }
                "finally_clause" => finally = self.statements(child),
                "else_clause" => {
                    if let Some(block) = child.child_by_field_name("body") {
                        body.extend(self.statement(block));
                    }
                }
                _ => {}
            }
        }
        Stmt::Try { body, handlers, finally }
    }

    fn resources(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let mut statements = Vec::new();
        for child in named(node) {
            match self.field_text(child, "name") {
                Some(name) => {
                    let ty = self.field_text(child, "type").map(bare_type);
                    let value = self.field(child, "value");
                    statements.push(Stmt::Declare { name, ty, value });
                }
                None => statements.push(Stmt::Expr(self.expression(child))),
            }
        }
        statements
    }

    fn with(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let mut statements = Vec::new();
        let items = child_of_kind(node, "with_clause").map(named).unwrap_or_default();
        for item in items {
            let Some(value) = item.child_by_field_name("value") else { continue };
            let alias = value.child_by_field_name("alias");
            if let (Some(alias), Some(inner)) = (alias, named(value).into_iter().next()) {
                let target = match named(alias).into_iter().next() {
                    Some(inside) => self.expression(inside),
                    None => self.expression(alias),
                };
                let inner = Box::new(self.expression(inner));
                let kind = ExprKind::Assign { targets: vec![target], op: None, value: inner };
                statements.push(Stmt::Expr(at(value, kind)));
            } else {
                statements.push(Stmt::Expr(self.expression(value)));
            }
        }
        if node.kind() == "using_statement" {
            for child in named(node) {
                if Some(child) != node.child_by_field_name("body") {
                    statements.extend(self.statement(child));
                }
            }
        }
        statements.extend(self.block_field(node, "body"));
        statements
    }

    fn python_match(&mut self, node: Node<'_>) -> Stmt<'a> {
        let subject = self.field(node, "subject");
        let mut cases = Vec::new();
        for clause in node.child_by_field_name("body").map(named).unwrap_or_default() {
            let guarded = clause.child_by_field_name("guard").is_some();
            let body = self.block_field(clause, "consequence");
            let pattern = child_of_kind(clause, "case_pattern");
            let mut case = Case { values: Vec::new(), is_default: false, binds: Vec::new(), body };
            if let Some(pattern) = pattern {
                if self.slice(pattern) == "_" && !guarded {
                    case.is_default = true;
                } else if !guarded {
                    self.case_values(pattern, &mut case);
                }
            }
            cases.push(case);
        }
        let switch = Switch { subject, cases, falls_through: false };
        Stmt::Expr(at(node, ExprKind::Switch(Box::new(switch))))
    }

    /// Literals of a pattern as values, names as bindings.
    fn case_values(&mut self, pattern: Node<'_>, case: &mut Case<'a>) {
        match pattern.kind() {
            "case_pattern"
            | "union_pattern"
            | "or_pattern"
            | "match_pattern"
            | "parenthesized_pattern"
            | "constant_pattern"
            | "switch_label"
            | "expression_list" => {
                for child in named(pattern) {
                    self.case_values(child, case);
                }
            }
            "string"
            | "integer"
            | "true"
            | "false"
            | "none"
            | "string_literal"
            | "integer_literal"
            | "char_literal"
            | "character_literal"
            | "boolean_literal"
            | "decimal_integer_literal"
            | "interpreted_string_literal"
            | "int_literal"
            | "number"
            | "rune_literal"
            | "raw_string_literal" => {
                let value = self.expression(pattern);
                case.values.push(value);
            }
            _ => {
                self.bound_names(pattern, &mut case.binds);
                let value = at(pattern, ExprKind::Other(Vec::new()));
                case.values.push(value);
            }
        }
    }

    /// The names that a pattern binds.
    pub(super) fn bound_names(&self, pattern: Node<'_>, names: &mut Vec<&'a str>) {
        let mut waiting = vec![pattern];
        while let Some(node) = waiting.pop() {
            match node.kind() {
                "identifier"
                | "shorthand_property_identifier_pattern"
                | "shorthand_field_identifier" => names.push(self.slice(node)),
                "tuple_struct_pattern" | "struct_pattern" => {
                    let ty = node.child_by_field_name("type");
                    waiting.extend(named(node).into_iter().filter(|child| Some(*child) != ty));
                }
                "type" | "scoped_identifier" | "type_identifier" => {}
                _ if names.len() < 32 => waiting.extend(named(node)),
                _ => {}
            }
        }
    }

    pub(super) fn switch_expression(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let mut subject = ["value", "condition"]
            .iter()
            .find_map(|field| node.child_by_field_name(field))
            .map(|child| self.expression(child));
        let body = node.child_by_field_name("body");
        if subject.is_none() && self.language == Language::CSharp {
            subject = named(node).first().map(|child| self.expression(*child));
        }
        let mut cases = Vec::new();
        let mut falls_through = false;
        for child in named(body.unwrap_or(node)) {
            let mut case = Case { values: vec![], is_default: false, binds: vec![], body: vec![] };
            match child.kind() {
                "switch_case" | "switch_default" => {
                    falls_through = true;
                    case.is_default = child.kind() == "switch_default";
                    case.values.extend(self.field(child, "value"));
                    let mut cursor = child.walk();
                    let body: Vec<Node<'_>> =
                        child.children_by_field_name("body", &mut cursor).collect();
                    case.body = body.into_iter().flat_map(|part| self.statement(part)).collect();
                }
                "switch_block_statement_group" | "switch_rule" => {
                    falls_through |= child.kind() == "switch_block_statement_group";
                    for part in named(child) {
                        if part.kind() == "switch_label" {
                            case.is_default |= self.slice(part).starts_with("default");
                            self.case_values(part, &mut case);
                        } else {
                            case.body.extend(self.statement(part));
                        }
                    }
                }
                "expression_case" | "default_case" | "type_case" | "communication_case" => {
                    case.is_default = child.kind() == "default_case";
                    let value = child.child_by_field_name("value");
                    if let Some(value) = value {
                        self.case_values(value, &mut case);
                    }
                    for part in named(child) {
                        if Some(part) != value {
                            case.body.extend(self.statement(part));
                        }
                    }
                }
                "switch_section" => {
                    falls_through = true;
                    case.is_default = self.slice(child).starts_with("default");
                    for part in named(child) {
                        if part.kind().ends_with("_pattern") || part.kind().ends_with("literal") {
                            self.case_values(part, &mut case);
                        } else {
                            case.body.extend(self.statement(part));
                        }
                    }
                }
                "switch_expression_arm" | "match_arm" => {
                    let pattern = named(child).into_iter().next();
                    if let Some(pattern) = pattern {
                        let text = self.slice(pattern);
                        case.is_default = text == "_";
                        if !case.is_default {
                            self.case_values(pattern, &mut case);
                        }
                    }
                    case.body = match child.child_by_field_name("value") {
                        Some(value) => vec![Stmt::Expr(self.expression(value))],
                        None => named(child)
                            .last()
                            .map(|value| Stmt::Expr(self.expression(*value)))
                            .into_iter()
                            .collect(),
                    };
                }
                _ => continue,
            }
            cases.push(case);
        }
        ExprKind::Switch(Box::new(Switch { subject, cases, falls_through }))
    }

    pub(super) fn assignment(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let Some(left) = node.child_by_field_name("left") else {
            return ExprKind::Other(self.parts(node));
        };
        let operator = self.field_text(node, "operator").unwrap_or("=");
        let op = operator.strip_suffix('=').filter(|op| !op.is_empty() && *op != ":");
        let mut target = self.expression(left);
        let Some(right) = node.child_by_field_name("right") else {
            return ExprKind::Other(vec![target]);
        };
        let mut value = self.expression(right);
        let is_list = |node: Node<'_>| node.kind() == "expression_list";
        // `a := f()` has lists of one on both sides
        if is_list(left)
            && let ExprKind::List(items) = &mut target.kind
            && items.len() == 1
            && let Some(only) = items.pop()
        {
            target = only;
        }
        if is_list(right)
            && let ExprKind::List(items) = &mut value.kind
            && items.len() == 1
            && let Some(only) = items.pop()
        {
            value = only;
        }
        ExprKind::Assign { targets: vec![target], op, value: Box::new(value) }
    }

    pub(super) fn string(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let is_hole =
            |child: &Node<'_>| matches!(child.kind(), "interpolation" | "template_substitution");
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.children(&mut cursor).collect();
        let holes: Vec<Node<'_>> = children.iter().copied().filter(is_hole).collect();
        let whole = self.slice(node);
        if holes.is_empty() {
            return ExprKind::Str(literal_text(whole));
        }
        let mut parts = Vec::new();
        let mut from = node.start_byte();
        for hole in holes {
            let before = self.text.get(from..hole.start_byte()).unwrap_or_default();
            let before = if from == node.start_byte() { opening_cut(before) } else { before };
            if !before.is_empty() {
                parts.push(at(node, ExprKind::Str(before)));
            }
            let inside = hole
                .child_by_field_name("expression")
                .or_else(|| named(hole).into_iter().find(|c| c.kind() != "interpolation_brace"));
            if let Some(inside) = inside {
                parts.push(self.expression(inside));
            }
            from = hole.end_byte();
        }
        let after = self.text.get(from..node.end_byte()).unwrap_or_default();
        let after = after.trim_end_matches(['"', '\'', '`']);
        if !after.is_empty() {
            parts.push(at(node, ExprKind::Str(after)));
        }
        ExprKind::Interp(parts)
    }

    pub(super) fn type_test(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let parts = named(node);
        let Some(value) = parts.first() else { return ExprKind::Other(Vec::new()) };
        let name = self.field_text(node, "name").or_else(|| {
            let pattern = node.child_by_field_name("pattern")?;
            self.field_text(pattern, "name")
        });
        let value = Box::new(self.expression(*value));
        match name {
            Some(name) => ExprKind::Bind(value, name, None),
            None => ExprKind::Other(vec![*value]),
        }
    }

    pub(super) fn let_condition(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let value = self.field_or_null(node, "value");
        let mut names = Vec::new();
        if let Some(pattern) = node.child_by_field_name("pattern") {
            self.bound_names(pattern, &mut names);
        }
        let mut kind = value.kind;
        for name in names {
            kind = ExprKind::Bind(Box::new(at(node, kind)), name, None);
        }
        kind
    }

    pub(super) fn target_of(&mut self, node: Node<'_>) -> Expr<'a> {
        match node.kind() {
            "tuple_pattern"
            | "tuple_struct_pattern"
            | "struct_pattern"
            | "slice_pattern"
            | "captured_pattern"
            | "ref_pattern"
            | "mut_pattern"
            | "reference_pattern" => {
                let mut names = Vec::new();
                self.bound_names(node, &mut names);
                let names = names.into_iter().map(|name| at(node, ExprKind::Name(name)));
                at(node, ExprKind::List(names.collect()))
            }
            _ => self.expression(node),
        }
    }
}

fn is_rust_statement(kind: &str) -> bool {
    matches!(
        kind,
        "if_expression"
            | "while_expression"
            | "loop_expression"
            | "for_expression"
            | "return_expression"
            | "break_expression"
            | "continue_expression"
            | "match_expression"
    )
}

/// What follows the prefix and the opening quotes of a literal.
fn opening_cut(text: &str) -> &str {
    let Some(quote) = text.find(['"', '\'', '`']) else { return text };
    let after = text.get(quote..).unwrap_or_default();
    let mark = after.chars().next().unwrap_or('"');
    if after.starts_with("\"\"\"") || after.starts_with("'''") {
        return after.get(3..).unwrap_or_default();
    }
    after.strip_prefix(mark).unwrap_or(after)
}

/// A literal's content, escapes left as they are.
pub(super) fn literal_text(text: &str) -> &str {
    let inside = opening_cut(text.trim_end_matches('#'));
    for mark in ["\"\"\"", "'''", "\"", "'", "`"] {
        if text.contains(mark)
            && let Some(cut) = inside.strip_suffix(mark)
        {
            return cut;
        }
    }
    inside
}
