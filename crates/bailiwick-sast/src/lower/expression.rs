//! Expressions.

use tree_sitter::Node;

use super::{Lowering, at, bare_type, child_of_kind, named};
use crate::ir::{Arg, Expr, ExprKind};
use crate::language::Language;

impl<'a> Lowering<'a> {
    pub(super) fn expression(&mut self, node: Node<'_>) -> Expr<'a> {
        self.deeper(|this| this.expression_here(node))
            .unwrap_or_else(|| at(node, ExprKind::Other(Vec::new())))
    }

    fn boxed(&mut self, node: Node<'_>) -> Box<Expr<'a>> {
        Box::new(self.expression(node))
    }

    fn boxed_field(&mut self, node: Node<'_>, name: &str) -> Box<Expr<'a>> {
        Box::new(self.field_or_null(node, name))
    }

    fn expression_here(&mut self, node: Node<'_>) -> Expr<'a> {
        let kind = match node.kind() {
            "identifier"
            | "field_identifier"
            | "type_identifier"
            | "package_identifier"
            | "property_identifier"
            | "private_property_identifier"
            | "shorthand_property_identifier"
            | "this"
            | "self"
            | "super"
            | "crate"
            | "base"
            | "predefined_type"
            | "primitive_type"
            | "identifier_pattern" => ExprKind::Name(self.slice(node)),
            "generic_name" | "generic_type" => ExprKind::Name(bare_type(self.slice(node))),
            "this_expression" => ExprKind::Name("this"),
            "base_expression" => ExprKind::Name("base"),
            "string"
            | "string_literal"
            | "interpreted_string_literal"
            | "raw_string_literal"
            | "verbatim_string_literal"
            | "character_literal"
            | "char_literal"
            | "rune_literal"
            | "template_string"
            | "interpolated_string_expression" => self.string(node),
            "concatenated_string" => {
                let parts = self.parts(node);
                ExprKind::Interp(parts)
            }
            "integer"
            | "number"
            | "int_literal"
            | "decimal_integer_literal"
            | "hex_integer_literal"
            | "octal_integer_literal"
            | "integer_literal" => {
                number(self.slice(node)).map_or(ExprKind::Other(Vec::new()), ExprKind::Int)
            }
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "boolean_literal" => ExprKind::Bool(self.slice(node) == "true"),
            "none" | "null" | "null_literal" | "nil" | "undefined" => ExprKind::Null,
            "attribute" => self.attribute(node, "object", "attribute"),
            "member_expression" => self.attribute(node, "object", "property"),
            "selector_expression" => self.attribute(node, "operand", "field"),
            "field_access" => self.attribute(node, "object", "field"),
            "member_access_expression" => self.attribute(node, "expression", "name"),
            "field_expression" => self.attribute(node, "value", "field"),
            "scoped_identifier" | "scoped_type_identifier"
                if node.child_by_field_name("path").is_some() =>
            {
                self.attribute(node, "path", "name")
            }
            "qualified_name" => self.attribute(node, "qualifier", "name"),
            "conditional_access_expression" => self.conditional_access(node),
            "subscript" => self.python_subscript(node),
            "subscript_expression" => {
                ExprKind::Index(self.boxed_field(node, "object"), self.boxed_field(node, "index"))
            }
            "index_expression" if self.language == Language::Go => {
                ExprKind::Index(self.boxed_field(node, "operand"), self.boxed_field(node, "index"))
            }
            "array_access" => {
                ExprKind::Index(self.boxed_field(node, "array"), self.boxed_field(node, "index"))
            }
            "index_expression" | "element_access_expression" => self.index_by_position(node),
            "slice_expression" => {
                let start = self.field(node, "start").map(Box::new);
                let end = self.field(node, "end").map(Box::new);
                ExprKind::Slice(self.boxed_field(node, "operand"), start, end)
            }
            "call" | "call_expression" | "invocation_expression" => self.call(node),
            "method_invocation" => self.java_call(node),
            "object_creation_expression" | "new_expression" => self.creation(node),
            "implicit_object_creation_expression" => {
                let parts = self.parts(node);
                ExprKind::Other(parts)
            }
            "macro_invocation" => self.macro_call(node),
            "composite_literal" | "struct_expression" => self.composite(node),
            "binary_operator" | "boolean_operator" | "binary_expression" => self.binary(node),
            "comparison_operator" => self.comparison(node),
            "not_operator" => ExprKind::Not(self.boxed_field(node, "argument")),
            "unary_operator" | "unary_expression" | "prefix_unary_expression" => self.unary(node),
            "conditional_expression" if self.language == Language::Python => {
                let parts = named(node);
                match parts.as_slice() {
                    [then, test, otherwise] => {
                        ExprKind::Cond(self.boxed(*test), self.boxed(*then), self.boxed(*otherwise))
                    }
                    _ => ExprKind::Other(self.parts(node)),
                }
            }
            "conditional_expression" | "ternary_expression" => ExprKind::Cond(
                self.boxed_field(node, "condition"),
                self.boxed_field(node, "consequence"),
                self.boxed_field(node, "alternative"),
            ),
            "list"
            | "tuple"
            | "set"
            | "array"
            | "array_initializer"
            | "array_expression"
            | "tuple_expression"
            | "initializer_expression"
            | "expression_list"
            | "pattern_list"
            | "tuple_pattern"
            | "list_pattern"
            | "array_pattern" => ExprKind::List(self.parts(node)),
            "dictionary" | "object" | "object_pattern" => self.mapping(node),
            "literal_value" => self.literal_value(node),
            "list_comprehension"
            | "set_comprehension"
            | "generator_expression"
            | "dictionary_comprehension" => self.comprehension(node),
            "parenthesized_expression"
            | "await"
            | "await_expression"
            | "try_expression"
            | "non_null_expression"
            | "literal_element"
            | "argument"
            | "as_expression"
            | "satisfies_expression"
            | "parenthesized_type"
            | "constant_pattern"
            | "case_pattern"
            | "match_pattern"
            | "dotted_name"
            | "reference_expression"
            | "type_conversion_expression"
            | "checked_expression"
            | "arrow_expression_clause"
            | "arguments_wrapper"
            | "postfix_unary_expression" => return self.inner(node),
            "cast_expression" | "type_cast_expression" => {
                return self.cast(node);
            }
            "type_assertion_expression" => return self.field_or_null(node, "operand"),
            "generic_function" => return self.field_or_null(node, "function"),
            "named_expression" => ExprKind::Assign {
                targets: vec![self.field_or_null(node, "name")],
                op: None,
                value: self.boxed_field(node, "value"),
            },
            "assignment"
            | "assignment_expression"
            | "augmented_assignment"
            | "augmented_assignment_expression"
            | "compound_assignment_expr"
            | "assignment_statement"
            | "short_var_declaration" => self.assignment(node),
            "lambda"
            | "arrow_function"
            | "function_expression"
            | "function"
            | "generator_function"
            | "lambda_expression"
            | "anonymous_method_expression"
            | "func_literal"
            | "closure_expression" => ExprKind::Lambda(self.lambda(node)),
            "is_pattern_expression" | "instanceof_expression" => self.type_test(node),
            "let_condition" => self.let_condition(node),
            "switch_expression" | "match_expression" => self.switch_expression(node),
            "block" | "async_block" | "unsafe_block" => ExprKind::Block(self.statements(node)),
            "if_expression"
            | "loop_expression"
            | "while_expression"
            | "for_expression"
            | "return_expression"
            | "break_expression"
            | "continue_expression"
            | "throw_expression" => ExprKind::Block(self.statement(node)),
            "type" | "type_arguments" | "type_annotation" | "comment" | "line_comment"
            | "block_comment" => ExprKind::Other(Vec::new()),
            _ => ExprKind::Other(self.parts(node)),
        };
        at(node, kind)
    }

    /// The one thing inside of brackets and the like.
    fn inner(&mut self, node: Node<'_>) -> Expr<'a> {
        let inside = if matches!(node.kind(), "argument" | "reference_expression") {
            named(node).pop()
        } else {
            named(node).into_iter().next()
        };
        match inside {
            Some(child) => {
                let mut expression = self.expression(child);
                // patterns of Python's `case` with alternatives are kept apart by the statement
                if node.kind() == "dotted_name"
                    && let ExprKind::Name(_) = expression.kind
                {
                    expression.kind = ExprKind::Name(self.slice(node));
                }
                expression
            }
            None => at(node, ExprKind::Name(self.slice(node))),
        }
    }

    fn cast(&mut self, node: Node<'_>) -> Expr<'a> {
        let value = self.field_or_null(node, "value");
        let ty = self.field_text(node, "type").map(bare_type).unwrap_or_default();
        if is_number_type(ty) {
            // a number carries no injection
            let callee = Box::new(at(node, ExprKind::Name("int")));
            let args = vec![Arg { name: None, value }];
            return at(node, ExprKind::Call { callee, args, new: false });
        }
        value
    }

    fn attribute(&mut self, node: Node<'_>, object: &str, name: &str) -> ExprKind<'a> {
        let base = self.boxed_field(node, object);
        let name = node.child_by_field_name(name).map(|child| bare_type(self.slice(child)));
        ExprKind::Attr(base, name.unwrap_or_default())
    }

    /// `a?.b` in C#: the binding after the question mark belongs to what is before it.
    fn conditional_access(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let base = self.boxed_field(node, "condition");
        let Some(after) = named(node).pop() else { return ExprKind::Other(vec![*base]) };
        if after.kind() == "member_binding_expression" {
            return ExprKind::Attr(base, self.field_text(after, "name").unwrap_or_default());
        }
        if after.kind() == "invocation_expression"
            && let Some(function) = after.child_by_field_name("function")
            && function.kind() == "member_binding_expression"
        {
            let name = self.field_text(function, "name").map(bare_type).unwrap_or_default();
            let callee = Box::new(at(node, ExprKind::Attr(base, name)));
            let args = self.arguments(after);
            return ExprKind::Call { callee, args, new: false };
        }
        let rest = self.expression(after);
        ExprKind::Other(vec![*base, rest])
    }

    fn python_subscript(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let base = self.boxed_field(node, "value");
        let Some(subscript) = node.child_by_field_name("subscript") else {
            return ExprKind::Other(vec![*base]);
        };
        if subscript.kind() != "slice" {
            return ExprKind::Index(base, self.boxed(subscript));
        }
        let (mut bounds, mut at_bound) = ([None, None], 0);
        let mut cursor = subscript.walk();
        let children: Vec<Node<'_>> = subscript.children(&mut cursor).collect();
        for child in children {
            if child.kind() == ":" {
                at_bound += 1;
            } else if let Some(bound) = bounds.get_mut(at_bound) {
                *bound = Some(self.boxed(child));
            }
        }
        let [start, end] = bounds;
        ExprKind::Slice(base, start, end)
    }

    fn index_by_position(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let parts = named(node);
        let (Some(base), Some(index)) = (parts.first(), parts.get(1)) else {
            return ExprKind::Other(self.parts(node));
        };
        let base = self.boxed(*base);
        let index = if index.kind() == "bracketed_argument_list" {
            named(*index).first().map(|child| self.boxed(*child))
        } else {
            Some(self.boxed(*index))
        };
        match index {
            Some(index) => ExprKind::Index(base, index),
            None => *Box::new(ExprKind::Other(vec![*base])),
        }
    }

    fn call(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let callee = self.boxed_field(node, "function");
        let args = self.arguments(node);
        if let (ExprKind::Name("require"), Some(ExprKind::Str(module))) =
            (&callee.kind, args.first().map(|arg| &arg.value.kind))
        {
            self.unit.modules.push((*module).to_owned());
        }
        ExprKind::Call { callee, args, new: false }
    }

    fn java_call(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let name = self.field_text(node, "name").unwrap_or_default();
        let callee = match node.child_by_field_name("object") {
            Some(object) => ExprKind::Attr(self.boxed(object), name),
            None => ExprKind::Name(name),
        };
        let args = self.arguments(node);
        ExprKind::Call { callee: Box::new(at(node, callee)), args, new: false }
    }

    fn creation(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let callee = match node.child_by_field_name("constructor") {
            Some(constructor) => self.boxed(constructor),
            None => {
                let name = self.field_text(node, "type").map(bare_type).unwrap_or_default();
                Box::new(at(node, ExprKind::Name(name)))
            }
        };
        let mut args = self.arguments(node);
        let initializer = node.child_by_field_name("initializer");
        for child in initializer.map(named).unwrap_or_default() {
            if child.kind() == "assignment_expression" {
                let name = self.field_text(child, "left");
                let value = self.field_or_null(child, "right");
                args.push(Arg { name, value });
            } else {
                let value = self.expression(child);
                args.push(Arg { name: None, value });
            }
        }
        ExprKind::Call { callee, args, new: true }
    }

    /// The arguments of a call, named ones with their names.
    pub(super) fn arguments(&mut self, node: Node<'_>) -> Vec<Arg<'a>> {
        let list =
            node.child_by_field_name("arguments").or_else(|| child_of_kind(node, "argument_list"));
        let Some(list) = list else { return Vec::new() };
        if matches!(list.kind(), "generator_expression" | "template_string") {
            return vec![Arg { name: None, value: self.expression(list) }];
        }
        let mut args = Vec::new();
        for child in named(list) {
            let name = match child.kind() {
                "keyword_argument" | "argument" => self.field_text(child, "name"),
                _ => None,
            };
            let value = match child.kind() {
                "keyword_argument" => self.field_or_null(child, "value"),
                _ => self.expression(child),
            };
            args.push(Arg { name, value });
        }
        args
    }

    /// A macro's arguments are tokens: the names and literals among them, and the names inside of
    /// a format string.
    fn macro_call(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let name = self.field_text(node, "macro").unwrap_or_default();
        let callee = Box::new(at(node, ExprKind::Name(name)));
        let mut args = Vec::new();
        let mut waiting: Vec<Node<'_>> = child_of_kind(node, "token_tree").into_iter().collect();
        let mut found = Vec::new();
        while let Some(tree) = waiting.pop() {
            for child in named(tree) {
                if child.kind() == "token_tree" {
                    waiting.push(child);
                } else {
                    found.push(child);
                }
            }
        }
        for child in found {
            let value = self.expression(child);
            if let ExprKind::Str(text) = value.kind {
                args.extend(
                    inline_names(text).map(|name| Arg {
                        name: Some("{}"),
                        value: at(child, ExprKind::Name(name)),
                    }),
                );
            }
            args.push(Arg { name: None, value });
        }
        ExprKind::Call { callee, args, new: false }
    }

    fn composite(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let ty = node
            .child_by_field_name("type")
            .or_else(|| node.child_by_field_name("name"))
            .map(|child| bare_type(self.slice(child)))
            .unwrap_or_default();
        let mut args = Vec::new();
        let body = node.child_by_field_name("body");
        for child in body.map(named).unwrap_or_default() {
            let (name, value) = match child.kind() {
                "keyed_element" => {
                    (self.field_text(child, "key"), self.field_or_null(child, "value"))
                }
                "field_initializer" => {
                    (self.field_text(child, "field"), self.field_or_null(child, "value"))
                }
                _ => (None, self.expression(child)),
            };
            args.push(Arg { name, value });
        }
        let is_collection = node.child_by_field_name("type").is_some_and(|ty| {
            matches!(
                ty.kind(),
                "slice_type" | "array_type" | "map_type" | "implicit_length_array_type"
            )
        });
        if ty.is_empty() || is_collection {
            return literal_of(args);
        }
        // a package before the type's name is a path like any other
        let callee = match ty.rsplit_once('.') {
            Some((package, name)) => {
                ExprKind::Attr(Box::new(at(node, ExprKind::Name(package))), name)
            }
            None => ExprKind::Name(ty),
        };
        ExprKind::Call { callee: Box::new(at(node, callee)), args, new: true }
    }

    fn literal_value(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let mut args = Vec::new();
        for child in named(node) {
            if child.kind() == "keyed_element" {
                let name = self.field_text(child, "key");
                let value = self.field_or_null(child, "value");
                args.push(Arg { name, value });
            } else {
                args.push(Arg { name: None, value: self.expression(child) });
            }
        }
        literal_of(args)
    }

    fn mapping(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let mut pairs = Vec::new();
        for child in named(node) {
            match child.kind() {
                "pair" | "pair_pattern" => {
                    let key = child.child_by_field_name("key").map(|key| {
                        if matches!(key.kind(), "property_identifier") {
                            at(key, ExprKind::Str(self.slice(key)))
                        } else {
                            self.expression(key)
                        }
                    });
                    let value = self.field_or_null(child, "value");
                    pairs.push((key, value));
                }
                "shorthand_property_identifier" | "shorthand_property_identifier_pattern" => {
                    let name = self.slice(child);
                    let key = at(child, ExprKind::Str(name));
                    pairs.push((Some(key), at(child, ExprKind::Name(name))));
                }
                "method_definition" => {}
                _ => pairs.push((None, self.expression(child))),
            }
        }
        ExprKind::Map(pairs)
    }

    fn comprehension(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let (mut bindings, mut conditions) = (Vec::new(), Vec::new());
        let mut value = None;
        for child in named(node) {
            match child.kind() {
                "for_in_clause" => {
                    let left = self.field_or_null(child, "left");
                    let right = self.field_or_null(child, "right");
                    bindings.push((left, right));
                }
                "if_clause" => conditions.extend(self.parts(child)),
                _ => value = Some(self.expression(child)),
            }
        }
        let value = Box::new(value.unwrap_or_else(|| at(node, ExprKind::Null)));
        ExprKind::Each { bindings, conditions, value }
    }

    fn binary(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let operator = self.field_text(node, "operator").unwrap_or_default();
        if operator != "+" {
            return ExprKind::Binary(
                operator,
                self.boxed_field(node, "left"),
                self.boxed_field(node, "right"),
            );
        }
        // a long sum leans to the left: it is taken apart without going deeper
        let mut rights = Vec::new();
        let mut left = Some(node);
        while let Some(here) = left.filter(|here| {
            here.kind() == node.kind() && self.field_text(*here, "operator") == Some("+")
        }) {
            rights.extend(here.child_by_field_name("right"));
            left = here.child_by_field_name("left");
        }
        let mut parts: Vec<Expr<'a>> =
            left.map(|first| self.expression(first)).into_iter().collect();
        for right in rights.into_iter().rev() {
            parts.push(self.expression(right));
        }
        if parts.len() == 2
            && let (Some(right), Some(left)) = (parts.pop(), parts.pop())
        {
            return ExprKind::Binary("+", Box::new(left), Box::new(right));
        }
        ExprKind::Interp(parts)
    }

    fn comparison(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let parts = named(node);
        let operator: String = {
            let mut cursor = node.walk();
            let found: Vec<&str> = node
                .children_by_field_name("operators", &mut cursor)
                .map(|child| self.slice(child))
                .collect();
            found.join(" ")
        };
        match parts.as_slice() {
            [left, right] => {
                let operator = match operator.as_str() {
                    "not in" => "not in",
                    "is not" => "is not",
                    "in" => "in",
                    "is" => "is",
                    "==" => "==",
                    "!=" => "!=",
                    "<" => "<",
                    ">" => ">",
                    "<=" => "<=",
                    ">=" => ">=",
                    _ => "?",
                };
                ExprKind::Binary(operator, self.boxed(*left), self.boxed(*right))
            }
            _ => ExprKind::Other(self.parts(node)),
        }
    }

    fn unary(&mut self, node: Node<'_>) -> ExprKind<'a> {
        let text = self.slice(node);
        let Some(inside) = named(node).pop() else { return ExprKind::Other(Vec::new()) };
        if text.starts_with('!') || text.starts_with("not ") {
            return ExprKind::Not(self.boxed(inside));
        }
        if text.starts_with('-') {
            return ExprKind::Negate(self.boxed(inside));
        }
        if text.starts_with('&') || text.starts_with('*') || text.starts_with('+') {
            return self.expression(inside).kind;
        }
        ExprKind::Other(self.parts(node))
    }
}

fn literal_of<'a>(args: Vec<Arg<'a>>) -> ExprKind<'a> {
    if args.iter().all(|arg| arg.name.is_none()) {
        return ExprKind::List(args.into_iter().map(|arg| arg.value).collect());
    }
    let pairs = args.into_iter().map(|arg| {
        let line = arg.value.line;
        let key = arg
            .name
            .map(|name| Expr { kind: ExprKind::Str(name.trim_matches(['"', '`', '\''])), line });
        (key, arg.value)
    });
    ExprKind::Map(pairs.collect())
}

fn number(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let text = text.trim_end_matches(['l', 'L', 'n', 'u', 'U']);
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at_checked(digits)?;
    if suffix.starts_with(['.', 'e', 'E']) { None } else { digits.parse().ok() }
}

fn is_number_type(ty: &str) -> bool {
    matches!(
        ty,
        "int"
            | "long"
            | "short"
            | "byte"
            | "double"
            | "float"
            | "Integer"
            | "Long"
            | "u8"
            | "u16"
            | "u32"
            | "u64"
            | "usize"
            | "i8"
            | "i16"
            | "i32"
            | "i64"
            | "isize"
            | "f32"
            | "f64"
            | "decimal"
            | "bool"
            | "boolean"
    )
}

/// The names in the braces of a format string.
fn inline_names(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let end = rest.find(['}', ':'])?;
        let name = rest.get(..end)?.trim();
        let first = name.chars().next()?;
        let is_name = (first.is_alphabetic() || first == '_')
            && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then_some(name)
    })
}
