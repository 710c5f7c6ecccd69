#![forbid(unsafe_code)]
//! Static analysis of source text: is there a weakness in it, and on which line?
//!
//! Three ways to find one, each written down as data in `rules/`: patterns of code ([ast-grep]),
//! calls and assignments with certain arguments, and flows from what a user sends to where it does
//! harm. The last two run the program over what is known of its values (`eval`): constants are
//! folded, dead branches left out, functions of the same file (and of files that the caller hands
//! in) followed. Of types it knows only what is written down; what it can't know it lets pass
//! taint through.
//!
//! **Invariants.** No IO, no clock, no randomness: the same bytes give the same answer. Steps,
//! depth and memory are bounded for every input; a file that exceeds them says so in
//! [`Scan::unread`] and is never taken for one without findings.
//!
//! [ast-grep]: https://ast-grep.github.io

mod env;
mod eval;
mod ir;
mod language;
mod lower;
mod mutate;
mod needs;
mod outline;
mod pack;
mod parse;
mod paths;
mod patterns;
mod project;
mod reach;
mod routes;
mod rule;
mod scan;
mod value;

pub use language::Language;
pub use mutate::{Mutant, mutants};
pub use outline::{Item, ItemKind, imports, items};
pub use parse::Unread;
pub use rule::{Confidence, Example, Rule, RuleError, Severity};
pub use scan::{Finding, NoSources, Scan, Scanner, Sources};
