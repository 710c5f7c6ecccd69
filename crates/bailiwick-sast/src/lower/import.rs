//! Imports: which full path a name stands for.

use tree_sitter::Node;

use super::statement::literal_text;
use super::{Lowering, named};
use crate::ir::Stmt;
use crate::language::Language;

impl<'a> Lowering<'a> {
    pub(super) fn import(&mut self, node: Node<'_>) -> Vec<Stmt<'a>> {
        self.shares = true;
        let mut found = Vec::new();
        match self.language {
            Language::Python => self.python_import(node, &mut found),
            Language::JavaScript | Language::TypeScript | Language::Tsx => {
                self.script_import(node, &mut found);
            }
            Language::Go => self.go_import(node, &mut found),
            Language::Java => self.java_import(node, &mut found),
            Language::CSharp => {}
            Language::Rust => {
                if let Some(argument) = node.child_by_field_name("argument") {
                    self.rust_import(argument, "", &mut found, 0);
                }
            }
        }
        found.into_iter().map(|(name, path)| Stmt::Import { name, path }).collect()
    }

    fn python_import(&mut self, node: Node<'_>, found: &mut Vec<(&'a str, String)>) {
        let module = self.field_text(node, "module_name");
        let mut cursor = node.walk();
        let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
        for name in names {
            let (path, alias) = if name.kind() == "aliased_import" {
                (self.field_text(name, "name").unwrap_or_default(), self.field_text(name, "alias"))
            } else {
                (self.slice(name), None)
            };
            match module {
                Some(module) => {
                    let full = format!("{}.{path}", module.trim_end_matches('.'));
                    self.unit.modules.extend([module.to_owned(), full]);
                }
                None => self.unit.modules.push(path.to_owned()),
            }
            match module {
                Some(module) => {
                    let full = format!("{}.{path}", module.trim_end_matches('.'));
                    found.push((alias.unwrap_or(path), full));
                }
                None => match alias {
                    Some(alias) => found.push((alias, path.to_owned())),
                    // `import a.b` binds `a`
                    None => {
                        let first = path.split('.').next().unwrap_or(path);
                        found.push((first, first.to_owned()));
                    }
                },
            }
        }
    }

    fn script_import(&mut self, node: Node<'_>, found: &mut Vec<(&'a str, String)>) {
        let Some(source) = self.field_text(node, "source").map(literal_text) else { return };
        let source = source.strip_prefix("node:").unwrap_or(source);
        self.unit.modules.push(source.to_owned());
        let mut waiting = named(node);
        while let Some(child) = waiting.pop() {
            match child.kind() {
                "identifier" => found.push((self.slice(child), source.to_owned())),
                "import_specifier" => {
                    let name = self.field_text(child, "name").unwrap_or_default();
                    let alias = self.field_text(child, "alias").unwrap_or(name);
                    found.push((alias, format!("{source}.{name}")));
                }
                "import_clause" | "named_imports" | "namespace_import" => {
                    waiting.extend(named(child));
                }
                _ => {}
            }
        }
    }

    fn go_import(&self, node: Node<'_>, found: &mut Vec<(&'a str, String)>) {
        let mut waiting = named(node);
        while let Some(child) = waiting.pop() {
            if child.kind() != "import_spec" {
                waiting.extend(named(child));
                continue;
            }
            let Some(path) = self.field_text(child, "path").map(literal_text) else { continue };
            let mut last = path.rsplit('/').next().unwrap_or(path);
            let is_version = last.strip_prefix('v').is_some_and(|rest| rest.parse::<u32>().is_ok());
            if is_version {
                last = path.rsplit('/').nth(1).unwrap_or(path);
            }
            let name = self.field_text(child, "name").unwrap_or(last);
            found.push((name, path.to_owned()));
        }
    }

    fn java_import(&self, node: Node<'_>, found: &mut Vec<(&'a str, String)>) {
        let text = self.slice(node);
        if text.contains('*') {
            return;
        }
        let Some(path) = named(node).into_iter().next().map(|child| self.slice(child)) else {
            return;
        };
        found.push((path.rsplit('.').next().unwrap_or(path), path.to_owned()));
    }

    fn rust_import(
        &self,
        node: Node<'_>,
        prefix: &str,
        found: &mut Vec<(&'a str, String)>,
        depth: usize,
    ) {
        if depth > 8 {
            return;
        }
        let join = |text: &str| {
            let text = text.replace("::", ".");
            if prefix.is_empty() { text } else { format!("{prefix}.{text}") }
        };
        match node.kind() {
            "use_as_clause" => {
                let path = self.field_text(node, "path").unwrap_or_default();
                if let Some(alias) = self.field_text(node, "alias") {
                    found.push((alias, join(path)));
                }
            }
            "scoped_use_list" => {
                let path = join(self.field_text(node, "path").unwrap_or_default());
                if let Some(list) = node.child_by_field_name("list") {
                    for child in named(list) {
                        self.rust_import(child, &path, found, depth + 1);
                    }
                }
            }
            "use_list" => {
                for child in named(node) {
                    self.rust_import(child, prefix, found, depth + 1);
                }
            }
            "identifier" | "scoped_identifier" => {
                let path = self.slice(node);
                found.push((path.rsplit("::").next().unwrap_or(path), join(path)));
            }
            _ => {}
        }
    }
}
