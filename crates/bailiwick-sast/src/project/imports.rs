//! Which files the imports of a file may lead to.

use crate::language::Language;

/// Where a module may stand.
pub(super) fn places(importer: &str, module: &str, language: Language) -> Vec<String> {
    let directory = importer.rsplit_once('/').map_or("", |(directory, _)| directory);
    let join = |directory: &str, rest: &str| {
        if directory.is_empty() { rest.to_owned() } else { format!("{directory}/{rest}") }
    };
    match language {
        Language::Python => {
            let dots = module.len() - module.trim_start_matches('.').len();
            let file = module.trim_start_matches('.').replace('.', "/");
            let mut roots = vec![directory];
            while let Some((parent, _)) = roots.last().and_then(|last| last.rsplit_once('/')) {
                roots.push(parent);
            }
            if !directory.is_empty() {
                roots.push("");
            }
            if dots > 0 {
                roots = roots.into_iter().skip(dots - 1).take(1).collect();
            }
            let named = roots.into_iter().take(6).flat_map(|root| {
                [join(root, &format!("{file}.py")), join(root, &format!("{file}/__init__.py"))]
            });
            named.collect()
        }
        Language::JavaScript | Language::TypeScript | Language::Tsx if module.starts_with('.') => {
            let mut parts: Vec<&str> = directory.split('/').filter(|p| !p.is_empty()).collect();
            for part in module.split('/') {
                match part {
                    "." | "" => {}
                    ".." => {
                        parts.pop();
                    }
                    part => parts.push(part),
                }
            }
            let base = parts.join("/");
            ["", ".js", ".ts", ".mjs", ".cjs", ".tsx", ".jsx", "/index.js", "/index.ts"]
                .iter()
                .map(|ending| format!("{base}{ending}"))
                .collect()
        }
        Language::JavaScript
        | Language::TypeScript
        | Language::Tsx
        | Language::Go
        | Language::Java
        | Language::CSharp
        | Language::Rust => Vec::new(),
    }
}

/// The modules that a text may import, by its words alone: all that it does import, and what only
/// looks like it (in a comment, in a text).
pub(super) fn named_modules(text: &str, language: Language) -> Vec<String> {
    let mut modules = match language {
        Language::Python => python_modules(text),
        Language::JavaScript | Language::TypeScript | Language::Tsx => relative_literals(text),
        Language::Go | Language::Java | Language::CSharp | Language::Rust => Vec::new(),
    };
    modules.sort();
    modules.dedup();
    modules
}

/// `import a.b as c, d` names `a.b` and `d`; `from a import b` names `a` and `a.b`.
fn python_modules(text: &str) -> Vec<String> {
    let mut modules = Vec::new();
    let mut words = DottedWords { text, at: 0 };
    while let Some((_, word)) = words.next() {
        let from = match word {
            "from" => {
                let before = words.at;
                let module = words.next().map(|(_, module)| module);
                // `from a import`, and nothing else between
                let Some((_, "import")) = words.next() else {
                    words.at = before;
                    continue;
                };
                module
            }
            "import" => None,
            _ => continue,
        };
        let end = words.at + imported_length(text.get(words.at..).unwrap_or_default());
        while let Some((_, name)) = words.next().filter(|(start, _)| *start < end) {
            modules.extend(match from {
                Some(module) => {
                    vec![module.to_owned(), format!("{}.{name}", module.trim_end_matches('.'))]
                }
                None => vec![name.to_owned()],
            });
        }
        words.at = end;
    }
    modules
}

/// How far the names of an import go: to the end of its line, or of its brackets.
fn imported_length(rest: &str) -> usize {
    let (mut in_brackets, mut in_comment, mut continued) = (false, false, false);
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'\n' if in_comment => in_comment = false,
            _ if in_comment => {}
            b'\n' if !in_brackets && !continued => return at,
            b'#' if in_brackets => in_comment = true,
            b'#' | b';' => return at,
            b'(' => in_brackets = true,
            b')' => return at,
            _ => {}
        }
        continued = byte == b'\\' || (continued && byte == b'\r');
    }
    rest.len()
}

/// Names with dots, and where they begin.
struct DottedWords<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for DottedWords<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        // letters beyond ASCII are part of a name
        let is_part = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || *byte >= 0x80
        };
        let bytes = self.text.as_bytes();
        let start = self.at + bytes.get(self.at..)?.iter().position(is_part)?;
        let rest = bytes.get(start..)?;
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.at = start + length;
        Some((start, self.text.get(start..self.at)?))
    }
}

/// Every text in quotes that begins with a dot.
fn relative_literals(text: &str) -> Vec<String> {
    let mut literals = Vec::new();
    for quote in ['\'', '"', '`'] {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(quote) {
            rest = after;
            if after.starts_with('.') {
                let end = after.find([quote, '\n']).unwrap_or(after.len());
                literals.extend(after.get(..end).map(str::to_owned));
            }
        }
    }
    literals
}
