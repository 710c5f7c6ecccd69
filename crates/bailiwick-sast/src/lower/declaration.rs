//! Functions, classes and declared variables.

use tree_sitter::Node;

use super::{Class, Lowering, at, bare_type, child_of_kind, line, named};
use crate::ir::{Expr, ExprKind, Func, FuncId, Mark, Param, Stmt};
use crate::language::Language;

impl<'a> Lowering<'a> {
    pub(super) fn function(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let mut marks = self.marks(node);
        let mut definition = node;
        if node.kind() == "decorated_definition" {
            let Some(inner) = node.child_by_field_name("definition") else { return Vec::new() };
            if inner.kind() == "class_definition" {
                return self.class_with(inner, marks);
            }
            definition = inner;
        }
        let name = self.field_text(definition, "name").unwrap_or_default();
        let own_marks = std::mem::take(&mut marks);
        let func = self.make_function(definition, name, own_marks, false);
        vec![Stmt::Func(func)]
    }

    pub(super) fn lambda(&mut self, node: Node<'_>) -> FuncId {
        self.make_function(node, "", Vec::new(), true)
    }

    fn make_function(
        &mut self,
        node: Node<'_>,
        name: &'a str,
        marks: Vec<Mark<'a>>,
        anonymous: bool,
    ) -> FuncId {
        let class = self.classes.last().cloned();
        let mut params = Vec::new();
        if let Some(receiver) = node.child_by_field_name("receiver") {
            // a method of Go: its receiver is the first parameter
            params.extend(self.params(receiver));
        }
        if let Some(list) = node.child_by_field_name("parameters") {
            params.extend(self.params(list));
        } else if let Some(single) = node.child_by_field_name("parameter") {
            params.push(self.plain_param(single));
        } else if let Some(list) = child_of_kind(node, "lambda_parameters") {
            params.extend(self.params(list));
        }
        let shares_outside = std::mem::take(&mut self.shares);
        let body = match node.child_by_field_name("body") {
            Some(body) if is_block(body.kind()) => {
                if self.language == Language::Rust {
                    self.tail_returned(body)
                } else {
                    self.statements(body)
                }
            }
            Some(body) => vec![Stmt::Return(Some(self.expression(body)))],
            None => Vec::new(),
        };
        let func = Func {
            name,
            class: class.as_ref().map(|class| class.name),
            params,
            body,
            marks,
            class_marks: class.as_ref().map(|class| class.marks.clone()).unwrap_or_default(),
            bases: class.map(|class| class.bases).unwrap_or_default(),
            line: line(node),
            text: self.slice(node),
            anonymous,
            shares: self.shares,
        };
        self.shares |= shares_outside;
        self.unit.functions.push(func);
        self.unit.functions.len() - 1
    }

    /// A block whose last expression is what the function returns.
    fn tail_returned(&mut self, body: Node<'_>) -> Vec<Stmt<'a>> {
        let mut children = named(body);
        let tail = children.pop().filter(|last| {
            last.kind() != "expression_statement" && !last.kind().ends_with("declaration")
        });
        let Some(tail) = tail else { return self.statements(body) };
        let mut statements: Vec<Stmt<'a>> =
            children.into_iter().flat_map(|child| self.statement(child)).collect();
        if tail.kind().ends_with("_item") {
            statements.extend(self.statement(tail));
        } else {
            let value = self.expression(tail);
            statements.push(Stmt::Return(Some(value)));
        }
        statements
    }

    fn params(&mut self, list: Node<'_>) -> Vec<Param<'a>> {
        let mut params = Vec::new();
        if list.kind() == "identifier" || list.kind() == "implicit_parameter" {
            return vec![self.plain_param(list)];
        }
        for node in named(list) {
            match node.kind() {
                "parameter_declaration" => {
                    // `a, b string`
                    let ty = self.field_text(node, "type").map(bare_type);
                    let mut cursor = node.walk();
                    let names: Vec<Node<'_>> =
                        node.children_by_field_name("name", &mut cursor).collect();
                    params.extend(names.into_iter().map(|name| Param {
                        name: self.slice(name),
                        ty,
                        marks: "",
                        default: None,
                        names: Vec::new(),
                    }));
                }
                "attribute_list" | "type_parameters" => {}
                _ => params.push(self.plain_param(node)),
            }
        }
        params
    }

    fn plain_param(&mut self, node: Node<'_>) -> Param<'a> {
        let name_node = ["name", "pattern", "left"]
            .iter()
            .find_map(|field| node.child_by_field_name(field))
            .or_else(|| {
                let inner = named(node);
                inner.into_iter().find(|child| child.kind() == "identifier")
            })
            .unwrap_or(node);
        let mut names = Vec::new();
        self.bound_names(name_node, &mut names);
        if names.is_empty() {
            self.bound_names(node, &mut names);
        }
        let is_plain = matches!(name_node.kind(), "identifier" | "self_parameter" | "this");
        let name = if is_plain {
            self.slice(name_node).trim_start_matches(['&', '*'])
        } else if node.kind() == "self_parameter" {
            "self"
        } else {
            names.first().copied().unwrap_or_default()
        };
        let name = if node.kind() == "self_parameter" { "self" } else { name };
        let ty = self.field_text(node, "type").map(|ty| {
            // the type with its path; `Query<T>` and `Json<T>` are told apart by their name
            bare_type(ty)
        });
        let default = ["value", "right"]
            .iter()
            .find_map(|field| node.child_by_field_name(field))
            .map(|value| self.expression(value));
        let marks = named(node)
            .into_iter()
            .find(|child| matches!(child.kind(), "modifiers" | "attribute_list" | "decorator"))
            .map(|child| self.slice(child))
            .unwrap_or_default();
        Param { name, ty, marks, default, names }
    }

    pub(super) fn class(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        let marks = self.marks(node);
        self.class_with(node, marks)
    }

    fn class_with(&mut self, node: Node<'_>, marks: Vec<Mark<'a>>) -> Vec<Stmt<'a>> {
        let name = self
            .field_text(node, "name")
            .or_else(|| self.field_text(node, "type"))
            .map(bare_type)
            .unwrap_or_default();
        let is_scope = matches!(
            node.kind(),
            "mod_item" | "namespace_declaration" | "internal_module" | "module"
        );
        let Some(body) = node.child_by_field_name("body") else { return Vec::new() };
        if is_scope {
            return self.statements(body);
        }
        let mut bases = Vec::new();
        for child in named(node) {
            if matches!(
                child.kind(),
                "argument_list"
                    | "class_heritage"
                    | "superclass"
                    | "super_interfaces"
                    | "base_list"
            ) {
                bases.push(self.slice(child));
            }
        }
        self.classes.push(Class { name, marks, bases });
        let body = self.statements(body);
        self.classes.pop();
        self.shares = true;
        vec![Stmt::Class { name, body }]
    }

    /// The decorators, annotations and attributes of a declaration.
    fn marks(&self, node: Node<'_>) -> Vec<Mark<'a>> {
        let mut found = Vec::new();
        for child in named(node) {
            match child.kind() {
                "decorator" => found.push(child),
                "modifiers" => found.extend(
                    named(child)
                        .into_iter()
                        .filter(|mark| matches!(mark.kind(), "annotation" | "marker_annotation")),
                ),
                "attribute_list" => {
                    found
                        .extend(named(child).into_iter().filter(|mark| mark.kind() == "attribute"));
                }
                _ => {}
            }
        }
        // in Rust, and for methods of JavaScript, they stand before
        let mut before = node.prev_named_sibling();
        while let Some(sibling) =
            before.filter(|sibling| matches!(sibling.kind(), "attribute_item" | "decorator"))
        {
            found.push(sibling);
            before = sibling.prev_named_sibling();
        }
        let marks = found.into_iter().map(|mark| Mark { text: self.slice(mark) });
        marks.collect()
    }

    pub(super) fn declaration(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        match node.kind() {
            "let_declaration" => {
                let ty = self.field_text(node, "type").map(bare_type);
                let value = self.field(node, "value");
                let mut out = Vec::new();
                if let Some(alternative) = node.child_by_field_name("alternative") {
                    // `let … else` leaves the function when it does not match
                    drop(self.statement(alternative));
                }
                match node.child_by_field_name("pattern") {
                    Some(name) if name.kind() == "identifier" => {
                        out.push(Stmt::Declare { name: self.slice(name), ty, value });
                    }
                    Some(pattern) => out.extend(self.bind(pattern, value)),
                    None => {}
                }
                out
            }
            "const_item"
            | "static_item"
            | "field_definition"
            | "public_field_definition"
            | "property_declaration" => {
                let name = self
                    .field_text(node, "name")
                    .or_else(|| self.field_text(node, "property"))
                    .unwrap_or_default();
                let ty = self.field_text(node, "type").map(bare_type);
                let value = self.field(node, "value");
                vec![Stmt::Declare { name, ty, value }]
            }
            "var_spec" | "const_spec" => {
                let ty = self.field_text(node, "type").map(bare_type);
                let mut cursor = node.walk();
                let names: Vec<&'a str> = node
                    .children_by_field_name("name", &mut cursor)
                    .filter(Node::is_named)
                    .map(|name| self.slice(name))
                    .collect();
                let values = node.child_by_field_name("value").map(named).unwrap_or_default();
                let mut out = Vec::new();
                for (at_name, name) in names.into_iter().enumerate() {
                    let value = values.get(at_name).or_else(|| values.first());
                    let value = value.map(|value| self.expression(*value));
                    out.push(Stmt::Declare { name, ty, value });
                }
                out
            }
            _ => {
                let ty = self.field_text(node, "type").map(bare_type);
                let mut out = Vec::new();
                for child in named(node) {
                    match child.kind() {
                        "variable_declarator" => out.extend(self.declarator(child, ty)),
                        "variable_declaration" | "var_spec" | "const_spec" | "var_spec_list" => {
                            out.extend(self.declaration(child));
                        }
                        _ => {}
                    }
                }
                out
            }
        }
    }

    fn declarator(&mut self, node: Node<'_>, ty: Option<&'a str>) -> Vec<Stmt<'a>> {
        let name_node = node.child_by_field_name("name").or_else(|| named(node).first().copied());
        let Some(name_node) = name_node else { return Vec::new() };
        let ty = self.field_text(node, "type").map(bare_type).or(ty);
        let value = match node.child_by_field_name("value") {
            Some(value) => Some(self.expression(value)),
            // C# names only the name
            None if self.language == Language::CSharp => named(node)
                .into_iter()
                .skip(1)
                .find(|child| child.kind() != "bracketed_argument_list")
                .map(|value| self.expression(value)),
            None => None,
        };
        if name_node.kind() == "identifier" {
            return vec![Stmt::Declare { name: self.slice(name_node), ty, value }];
        }
        self.bind(name_node, value)
    }

    /// A pattern with its value: each name takes what the pattern takes out.
    fn bind(&mut self, pattern: Node<'_>, value: Option<Expr<'a>>) -> Vec<Stmt<'a>> {
        let Some(value) = value else { return Vec::new() };
        let target = self.target_of(pattern);
        let kind = ExprKind::Assign { targets: vec![target], op: None, value: Box::new(value) };
        vec![Stmt::Expr(at(pattern, kind))]
    }
}

fn is_block(kind: &str) -> bool {
    matches!(kind, "block" | "statement_block" | "constructor_body")
}
