//! Bounded parsing: a file that costs too much is given up with a reason.
//!
//! The bound is a count of parser steps and not a clock, so that the same bytes always give the
//! same answer.

use std::ops::ControlFlow;

use ast_grep_core::tree_sitter::{LanguageExt as _, StrDoc};
use tree_sitter::{ParseOptions, ParseState, Parser};

use crate::language::Language;

/// The largest file that is parsed, in bytes.
pub(crate) const MAX_BYTES: usize = 2 << 20;
/// The longest line of a file that a person wrote.
const MAX_LINE_BYTES: usize = 20_000;
/// Calls of the progress callback that every file may use; one call is about a hundred steps.
const FREE_CALLS: usize = 20_000;
/// Further calls for each KiB of source. Ordinary sources need fewer than thirty.
const CALLS_PER_KIB: usize = 150;

/// Why a file was not judged, or not wholly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// More bytes than are parsed.
    #[error("the file has more than 2 MiB")]
    TooLarge,
    /// Bytes that are no text in UTF-8.
    #[error("the file is not text in UTF-8")]
    NotText,
    /// A line so long that no person wrote it.
    #[error("the file is minified: a line has more than 20,000 bytes")]
    Minified,
    /// The parser ran out of steps.
    #[error("the file takes too long to parse")]
    ParseBudget,
    /// Expressions or blocks nested deeper than is followed.
    #[error("the file is nested too deeply")]
    TooDeep,
    /// The taint pass ran out of steps.
    #[error("the file has too many paths to follow")]
    AnalysisBudget,
    /// Much of the file is not in the language that its name promises.
    #[error("much of the file does not parse")]
    Unparsable,
    /// The analysis broke off.
    #[error("the analysis broke off")]
    Failed,
}

impl Unread {
    /// The stable name of the reason.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotText => "not-text",
            Self::Minified => "minified",
            Self::ParseBudget => "parse-budget",
            Self::TooDeep => "too-deep",
            Self::AnalysisBudget => "analysis-budget",
            Self::Unparsable => "unparsable",
            Self::Failed => "failed",
        }
    }
}

/// Takes bytes as the text of a source, if they are one.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Unread> {
    if bytes.len() > MAX_BYTES {
        return Err(Unread::TooLarge);
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| Unread::NotText)?;
    if text.contains('\0') {
        return Err(Unread::NotText);
    }
    Ok(text)
}

/// Whether some line is longer than a person writes.
pub(crate) fn is_minified(text: &str) -> bool {
    text.len() > MAX_LINE_BYTES && text.split('\n').any(|line| line.len() > MAX_LINE_BYTES)
}

/// Parses a source within its budget.
pub(crate) fn parse(text: &str, language: Language) -> Result<StrDoc<Language>, Unread> {
    parse_with(&mut Parser::new(), text, language)
}

/// The same with a parser that was used before: it keeps what memory it has.
pub(crate) fn parse_with(
    parser: &mut Parser,
    text: &str,
    language: Language,
) -> Result<StrDoc<Language>, Unread> {
    // where the last file was given up it would go on
    parser.reset();
    parser.set_language(&language.get_ts_language()).map_err(|_| Unread::Unparsable)?;
    let mut left = FREE_CALLS + text.len() / 1024 * CALLS_PER_KIB;
    let mut progress = |_: &ParseState| match left.checked_sub(1) {
        Some(rest) => {
            left = rest;
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = text.as_bytes();
    let tree = parser
        .parse_with_options(
            &mut |offset, _| bytes.get(offset..).unwrap_or_default(),
            None,
            Some(options),
        )
        .ok_or(Unread::ParseBudget)?;
    Ok(StrDoc { src: text.to_owned(), lang: language, tree })
}
