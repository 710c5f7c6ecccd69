//! From a shell word to the text that a program would be given, if the word alone decides it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use brush_parser::word::{Parameter, ParameterExpr, WordPiece, WordPieceWithSource};
use brush_parser::{ParserOptions, word};
use globset::GlobBuilder;

use super::Analysis;
use bailiwick_model::steering::{self, is_protected};

/// What a word becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Exactly this text.
    Known(String),
    /// Names that match this pattern, or several texts made from braces.
    Pattern(String),
    /// Something of which a part is only known at run time: a star stands for each such part.
    Partial(String),
    /// Something that is only known at run time.
    Unknown,
}

impl Value {
    /// The text, when it is known exactly.
    pub(super) fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Pattern(_) | Self::Partial(_) | Self::Unknown => None,
        }
    }

    /// The text as far as it is known: a pattern as it was written.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Known(text) | Self::Pattern(text) => Some(text),
            Self::Partial(_) | Self::Unknown => None,
        }
    }
}

/// Collects the pieces of one word.
#[derive(Default)]
struct Built {
    text: String,
    pattern: bool,
    unknown: bool,
}

impl Built {
    /// A part that is only known at run time.
    fn hide(&mut self) {
        self.unknown = true;
        self.text.push('*');
    }
}

impl Analysis {
    /// Reads a word, and the effects of what is expanded in it.
    pub(super) fn word(&mut self, raw: &str) -> Value {
        let options = ParserOptions::default();
        let parsed = catch_unwind(AssertUnwindSafe(|| word::parse(raw, &options)));
        let Ok(Ok(pieces)) = parsed else {
            self.doubt("a word cannot be parsed");
            return Value::Unknown;
        };
        let mut built = Built::default();
        self.pieces(&pieces, false, &mut built);
        if built.unknown {
            let known = built.text.contains(|c: char| c != '*');
            return if known { Value::Partial(built.text) } else { Value::Unknown };
        }
        // a bracket alone is the command `[`
        if built.pattern && built.text != "[" {
            Value::Pattern(built.text)
        } else {
            Value::Known(built.text)
        }
    }

    /// Reads the body of a here-document that is expanded.
    pub(super) fn here_document(&mut self, raw: &str) {
        let options = ParserOptions::default();
        let parsed = catch_unwind(AssertUnwindSafe(|| word::parse_heredoc(raw, &options)));
        match parsed {
            Ok(Ok(pieces)) => self.pieces(&pieces, true, &mut Built::default()),
            _ => self.doubt("a here-document cannot be parsed"),
        }
    }

    fn pieces(&mut self, pieces: &[WordPieceWithSource], quoted: bool, built: &mut Built) {
        for WordPieceWithSource { piece, .. } in pieces {
            match piece {
                WordPiece::Text(text) => {
                    if ["`", "$(", "${", "$["].iter().any(|mark| text.contains(mark)) {
                        self.doubt("an expansion is not understood");
                        built.hide();
                    }
                    // zsh and ksh expand `=name`, and brackets, braces and stars are patterns
                    built.pattern |= !quoted && text.contains(['*', '?', '[', '{']);
                    built.text.push_str(text);
                }
                WordPiece::SingleQuotedText(text) => built.text.push_str(text),
                // bash decodes it, dash takes the dollar sign as text: two shells, two words
                WordPiece::AnsiCQuotedText(_) => built.hide(),
                WordPiece::DoubleQuotedSequence(inner) => self.pieces(inner, true, built),
                WordPiece::GettextDoubleQuotedSequence(inner) => {
                    self.pieces(inner, true, built);
                    built.hide();
                }
                WordPiece::TildeExpansion(_) => built.text.push_str("/~"),
                WordPiece::EscapeSequence(text) => {
                    built.text.extend(text.chars().skip(1).filter(|c| *c != '\n'));
                }
                WordPiece::CommandSubstitution(text) => {
                    built.hide();
                    self.substitutions.push(text.clone());
                    self.nested(text);
                }
                WordPiece::BackquotedCommandSubstitution(text) => {
                    built.hide();
                    self.substitutions.push(text.clone());
                    // within backquotes one level of backslashes is taken off before the text is read
                    self.nested(
                        &text.replace("\\`", "`").replace("\\$", "$").replace("\\\\", "\\"),
                    );
                }
                WordPiece::ParameterExpansion(expression) => {
                    built.hide();
                    self.parameter(expression);
                }
                WordPiece::ArithmeticExpression(expression) => {
                    built.hide();
                    self.arithmetic(&expression.value);
                }
            }
        }
    }

    /// A parameter expansion gives unknown text; what matters is what else it makes the shell do.
    fn parameter(&mut self, expression: &ParameterExpr) {
        let parameter = match expression {
            ParameterExpr::Parameter { parameter, indirect: false } => parameter,
            ParameterExpr::UseDefaultValues {
                parameter, indirect: false, default_value, ..
            } => {
                self.operand(default_value.as_deref());
                parameter
            }
            ParameterExpr::UseAlternativeValue {
                parameter,
                indirect: false,
                alternative_value,
                ..
            } => {
                self.operand(alternative_value.as_deref());
                parameter
            }
            ParameterExpr::IndicateErrorIfNullOrUnset {
                parameter,
                indirect: false,
                error_message,
                ..
            } => {
                self.operand(error_message.as_deref());
                parameter
            }
            ParameterExpr::RemoveSmallestSuffixPattern { parameter, indirect: false, pattern }
            | ParameterExpr::RemoveLargestSuffixPattern { parameter, indirect: false, pattern }
            | ParameterExpr::RemoveSmallestPrefixPattern { parameter, indirect: false, pattern }
            | ParameterExpr::RemoveLargestPrefixPattern { parameter, indirect: false, pattern } => {
                self.operand(pattern.as_deref());
                parameter
            }
            ParameterExpr::ParameterLength { parameter, indirect: false } => parameter,
            ParameterExpr::ReplaceSubstring {
                parameter,
                indirect: false,
                pattern,
                replacement,
                ..
            } => {
                self.operand(Some(pattern));
                self.operand(replacement.as_deref());
                parameter
            }
            ParameterExpr::Substring { parameter, indirect: false, offset, length } => {
                self.arithmetic(&offset.value);
                if let Some(length) = length {
                    self.arithmetic(&length.value);
                }
                parameter
            }
            // `${x@P}` expands the content as a prompt, `${!x}` names another variable, `${x:=y}`
            // changes one: none of them is needed often enough to be judged finely
            _ => return self.doubt("a parameter expansion does more than give text"),
        };
        if let Parameter::NamedWithIndex { index, .. } = parameter {
            let index = index.clone();
            self.arithmetic(&index);
        }
    }

    fn operand(&mut self, text: Option<&str>) {
        if let Some(text) = text
            && text.contains(['$', '`', '<', '>'])
        {
            self.guarded_word(text);
        }
    }

    fn guarded_word(&mut self, text: &str) {
        if self.depth >= super::MAX_DEPTH {
            return self.doubt("expansions are nested too deep");
        }
        self.depth += 1;
        let value = self.word(text);
        self.depth -= 1;
        if value.text().is_some_and(|text| text.contains(['`', '$'])) {
            self.doubt("an expansion is not understood");
        }
    }

    /// Arithmetic: substitutions in it are read; variables in it are checked at the end.
    pub(super) fn arithmetic(&mut self, expression: &str) {
        let expression = expression.trim();
        if expression.contains(['`', '[', '\\', '\'', '"'])
            || expression.contains("$(")
            || expression.contains("${")
        {
            return self.doubt("arithmetic with a subscript or a substitution");
        }
        let mut name = String::new();
        for c in expression.chars().chain(std::iter::once(' ')) {
            if c.is_ascii_alphanumeric() || c == '_' {
                name.push(c);
                continue;
            }
            if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                self.evaluated.insert(std::mem::take(&mut name));
            }
            name.clear();
        }
    }

    /// A path as written, from the workspace root: all it can be, given where the shell may be.
    /// None when that is not known. Paths outside the workspace begin with `/`.
    pub(super) fn places(&self, path: &str) -> Option<Vec<String>> {
        if path.starts_with('/') {
            return Some(vec![from_root(path)]);
        }
        let cwds = self.cwds.as_ref().filter(|_| !self.lost)?;
        Some(cwds.iter().map(|cwd| join(cwd, path)).collect())
    }
}

/// An absolute path, made relative when it lies in the workspace.
fn from_root(path: &str) -> String {
    let clean = normal(path);
    match clean.strip_prefix("/workspace") {
        Some("") => ".".to_owned(),
        Some(rest) => rest.strip_prefix('/').map_or_else(|| clean.clone(), str::to_owned),
        None => clean,
    }
}

/// Joins a relative path to a directory; what leaves the workspace becomes an absolute path.
pub(super) fn join(cwd: &str, path: &str) -> String {
    if path.starts_with('/') {
        return from_root(path);
    }
    let base = if cwd.starts_with('/') { cwd.to_owned() } else { format!("/workspace/{cwd}") };
    from_root(&format!("{base}/{path}"))
}

fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a path, or a name that a pattern in it can match, is protected.
pub(super) fn may_be_protected(path: &str) -> bool {
    if is_protected(path) {
        return true;
    }
    if !path.contains(['*', '?', '[', '{', '(']) {
        return false;
    }
    // A brace can hold slashes, and a pattern with a leading dot can match `.git`.
    let lower = path.to_lowercase();
    if lower.contains(['{', '('])
        && ["{.", ",.", "(.", "|.", "git", ".m", "ci"].iter().any(|part| lower.contains(part))
    {
        return true;
    }
    lower.split('/').filter(|part| part.contains(['*', '?', '[', '{', '('])).any(|part| {
        part.starts_with('.')
            || GlobBuilder::new(part).build().map_or(true, |glob| {
                let matcher = glob.compile_matcher();
                steering::plain_names().any(|name| matcher.is_match(name))
            })
    })
}
