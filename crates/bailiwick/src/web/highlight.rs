//! Words of code by their kind: comments, strings, numbers, keywords. One small scanner for the
//! common families of languages; a line it gets wrong is coloured wrongly and reads the same.

use maud::{Markup, html};

use super::text::shown;

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Comment,
    Text,
    Number,
    Keyword,
}

/// How a language marks its comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `//`, braces: Rust, C, Go, Java, JavaScript.
    Braces,
    /// `#`: Python, shell, TOML, YAML.
    Hash,
    /// Not code, or none that we know.
    None,
}

/// The family of a file, by its name.
pub(crate) fn family(path: &str) -> Family {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map_or(name, |(_, ending)| ending) {
        "rs" | "c" | "h" | "cc" | "cpp" | "hpp" | "go" | "java" | "kt" | "js" | "mjs" | "cjs"
        | "ts" | "tsx" | "jsx" | "cs" | "swift" | "scala" | "php" | "css" | "scss" | "proto" => {
            Family::Braces
        }
        "py" | "sh" | "bash" | "toml" | "yaml" | "yml" | "rb" | "pl" | "Makefile"
        | "Dockerfile" | "cfg" | "ini" | "tf" => Family::Hash,
        _ => Family::None,
    }
}

const KEYWORDS: [&str; 62] = [
    "abstract",
    "and",
    "as",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "def",
    "default",
    "del",
    "do",
    "elif",
    "else",
    "enum",
    "except",
    "export",
    "extends",
    "false",
    "final",
    "finally",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "if",
    "impl",
    "import",
    "in",
    "interface",
    "is",
    "let",
    "loop",
    "match",
    "mod",
    "mut",
    "new",
    "not",
    "null",
    "or",
    "package",
    "private",
    "pub",
    "public",
    "raise",
    "return",
    "self",
    "static",
    "struct",
    "this",
    "throw",
    "trait",
    "true",
    "try",
    "type",
    "use",
    "var",
    "while",
];

/// The pieces of a line, in order; together they are the line.
pub(crate) fn pieces(line: &str, family: Family) -> Vec<(Kind, &str)> {
    if family == Family::None || line.len() > 2_000 {
        return vec![(Kind::Plain, line)];
    }
    let mut pieces: Vec<(Kind, &str)> = Vec::new();
    let mut rest = line;
    let mut plain_from = line;
    while let Some(c) = rest.chars().next() {
        let found = next(rest, c, family);
        let Some((kind, length)) = found else {
            rest = rest.get(skip(rest, c)..).unwrap_or_default();
            continue;
        };
        let plain = plain_from.len() - rest.len();
        if let Some(before) = plain_from.get(..plain).filter(|before| !before.is_empty()) {
            pieces.push((Kind::Plain, before));
        }
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        pieces.push((kind, piece));
        rest = after;
        plain_from = after;
    }
    if !plain_from.is_empty() {
        pieces.push((Kind::Plain, plain_from));
    }
    pieces
}

/// How far to go when nothing begins here: past a whole word, so that no keyword is seen inside.
fn skip(rest: &str, first: char) -> usize {
    if first.is_alphanumeric() || first == '_' { word(rest) } else { first.len_utf8() }
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// What begins at the start of `rest`, and how many bytes it has.
fn next(rest: &str, first: char, family: Family) -> Option<(Kind, usize)> {
    let comment = match family {
        Family::Braces => rest.starts_with("//") || rest.starts_with("/*"),
        Family::Hash => first == '#',
        Family::None => false,
    };
    if comment {
        return Some((Kind::Comment, rest.len()));
    }
    match first {
        '"' | '`' => Some((Kind::Text, quoted(rest, first))),
        // A lone quote is a lifetime or an apostrophe.
        '\'' if family == Family::Hash || rest.get(1..).is_some_and(closes_soon) => {
            Some((Kind::Text, quoted(rest, first)))
        }
        '0'..='9' => Some((Kind::Number, word(rest))),
        c if c.is_alphabetic() || c == '_' => {
            let length = word(rest);
            let is_keyword =
                rest.get(..length).is_some_and(|word| KEYWORDS.binary_search(&word).is_ok());
            is_keyword.then_some((Kind::Keyword, length))
        }
        _ => None,
    }
}

fn closes_soon(after: &str) -> bool {
    after.char_indices().take(4).any(|(at, c)| at > 0 && c == '\'')
}

/// The length of a quoted text, its quotes included; to the end of the line when it does not end.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// A line as HTML; `marked` is the byte range that a word difference points at.
pub(crate) fn line(text: &str, family: Family, marked: Option<std::ops::Range<usize>>) -> Markup {
    if let Some(range) = marked {
        let (before, rest) = text.split_at_checked(range.start).unwrap_or((text, ""));
        let (middle, after) =
            rest.split_at_checked(range.end.saturating_sub(range.start)).unwrap_or((rest, ""));
        return html! { (spans(before, family)) b { (spans(middle, family)) } (spans(after, family)) };
    }
    spans(text, family)
}

fn spans(text: &str, family: Family) -> Markup {
    html! {
        @for (kind, piece) in pieces(text, family) {
            @match kind {
                Kind::Plain => { (shown(piece)) }
                Kind::Comment => { span.c { (shown(piece)) } }
                Kind::Text => { span.s { (shown(piece)) } }
                Kind::Number => { span.d { (piece) } }
                Kind::Keyword => { span.k { (piece) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, KEYWORDS, Kind, pieces};
    use proptest::prelude::*;

    #[test]
    fn keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn a_line_of_code_falls_into_its_kinds() {
        let found = pieces("let x = \"a\\\"b\" + 12; // done", Family::Braces);
        let kinds: Vec<(Kind, &str)> =
            found.into_iter().filter(|(kind, _)| *kind != Kind::Plain).collect();
        assert_eq!(
            kinds,
            [
                (Kind::Keyword, "let"),
                (Kind::Text, "\"a\\\"b\""),
                (Kind::Number, "12"),
                (Kind::Comment, "// done")
            ]
        );
    }

    proptest! {
        #[test]
        fn the_pieces_of_any_line_are_the_line(line in ".*") {
            for family in [Family::Braces, Family::Hash, Family::None] {
                let whole: String = pieces(&line, family).into_iter().map(|(_, piece)| piece).collect();
                prop_assert_eq!(&whole, &line);
            }
        }
    }
}
