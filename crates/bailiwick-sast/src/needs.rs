//! What a file must hold for any rule to find something in it.
//!
//! Parsing costs a hundred times as much as looking for words, and most files have nothing that a
//! rule is after. What a rule needs is taken from the rule itself, so that the two can't drift
//! apart: every name in the path of a sink stands in the file (or in one that it imports) as a
//! word, since paths are made of nothing else; a flow needs a source of its kind besides.
//!
//! The only path that is not made of words of the text is the name of a module that is computed.
//! A file that might do that needs nothing.

use aho_corasick::AhoCorasick;
use regex::Regex;

use crate::env::Map;
use crate::language::Language;
use crate::rule::{CodePattern, Handler, Label, RouteRule, RuleError, Sink, Source, expression};

/// The words of a text that some rule needs, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    bits: Vec<u64>,
    /// Whether it has what keeps visitors' data: see [`Way::session`].
    session: bool,
    /// Whether a path may come from elsewhere than its words.
    computes_paths: bool,
}

impl Seen {
    fn add(&mut self, word: usize) {
        if let Some(bits) = self.bits.get_mut(word / 64) {
            *bits |= 1 << (word % 64);
        }
    }

    fn has(&self, word: usize) -> bool {
        self.bits.get(word / 64).is_some_and(|bits| bits & (1 << (word % 64)) != 0)
    }

    /// As if everything was seen that a value could need.
    #[cfg(test)]
    pub(crate) fn take_all(&mut self) {
        self.computes_paths = true;
    }

    /// What is seen in either.
    pub(crate) fn join(&mut self, other: &Self) {
        for (mine, other) in self.bits.iter_mut().zip(&other.bits) {
            *mine |= other;
        }
        self.session |= other.session;
        self.computes_paths |= other.computes_paths;
    }
}

/// A text that is somewhere in a file.
#[derive(Debug, Clone)]
struct Text {
    exact: Regex,
    /// The same without the ends of words: looking for those costs ten times as much in a text that
    /// is not all ASCII.
    loose: Option<Regex>,
}

impl Text {
    fn new(text: &str) -> Result<Self, RuleError> {
        let loose = text.replace(r"\b", "");
        let is_escaped = text.contains(r"\\b");
        let loose = (loose != text && !is_escaped).then(|| expression(&loose)).transpose()?;
        Ok(Self { exact: expression(text)?, loose })
    }

    fn is_in(&self, text: &str) -> bool {
        self.loose.as_ref().is_none_or(|loose| loose.is_match(text)) && self.exact.is_match(text)
    }
}

/// One way for a rule to hold.
#[derive(Debug, Clone, Default)]
struct Way {
    /// All of these words.
    words: Vec<usize>,
    /// All of these expressions, in the judged file itself.
    requires: Vec<Text>,
    /// A collection that is named for a session, or compared with a cookie.
    session: bool,
    /// A function that answers requests.
    handler: bool,
}

/// Which parts of an analysis can find anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Possible {
    /// Calls, assignments and flows.
    pub(crate) values: bool,
    pub(crate) patterns: bool,
    pub(crate) routes: bool,
}

impl Possible {
    pub(crate) fn anything(self) -> bool {
        self.values || self.patterns || self.routes
    }
}

/// Of some ways the words of each.
type Words<'n> = Vec<&'n [usize]>;

/// Words of which some have to be in one place.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'n> {
    /// Whether any place will do.
    pub(crate) everything: bool,
    plain: Words<'n>,
    /// Of sinks and of sources.
    flows: [(Words<'n>, Words<'n>); 2],
}

impl Wanted<'_> {
    /// Whether something can be found where this is seen.
    pub(crate) fn may_be_in(&self, seen: &Seen) -> bool {
        let any =
            |ways: &[&[usize]]| ways.iter().any(|words| words.iter().all(|word| seen.has(*word)));
        self.everything
            || any(&self.plain)
            || self.flows.iter().any(|(sinks, sources)| any(sources) && any(sinks))
    }
}

/// What the rules of one language need.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    words: Map<String, usize>,
    /// Calls and assignments that are weaknesses by themselves.
    plain: Vec<Way>,
    /// Sinks of flows and sources, by what flows.
    flows: [(Vec<Way>, Vec<Way>); 2],
    handlers: Vec<Way>,
    patterns: Vec<Way>,
    routes: Vec<Way>,
    /// Whether `require` names modules.
    modules_by_call: bool,
    /// The lengths of the words, a bit each, by their first byte.
    lengths: Vec<u64>,
    sessions: Option<AhoCorasick>,
    literal_requires: Option<Regex>,
}

impl Needs {
    pub(crate) fn new(language: Language) -> Self {
        let modules_by_call = language.family() == Language::JavaScript;
        Self { modules_by_call, lengths: vec![0; 256], ..Self::default() }
    }

    fn words_of(&mut self, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        for word in words(text) {
            let next = self.words.len();
            found.push(*self.words.entry(word.to_owned()).or_insert(next));
        }
        found
    }

    /// A sink of a rule, of a flow if it has one.
    pub(crate) fn sink(&mut self, flow: Option<Label>, sink: &Sink) -> Result<(), RuleError> {
        let requires: Vec<Text> =
            sink.requires.as_deref().map(Text::new).transpose()?.into_iter().collect();
        // an argument that is known by its name only has to be named
        let told = sink.conditions.iter().filter(|condition| !condition.absent);
        let keywords =
            told.filter(|told| told.arg.is_none()).filter_map(|told| told.keyword.as_deref());
        let keywords: Vec<usize> = keywords.flat_map(|keyword| self.words_of(keyword)).collect();
        let mut ways = Vec::new();
        for pattern in sink.calls.iter().chain(&sink.assigns) {
            let session = pattern == crate::eval::SESSION;
            let mut words = if session { Vec::new() } else { self.words_of(pattern) };
            words.extend(&keywords);
            ways.push(Way { words, requires: requires.clone(), session, handler: false });
        }
        if sink.returned {
            ways.push(Way { requires, handler: true, ..Way::default() });
        }
        match flow {
            Some(label) => self.flow(label).0.extend(ways),
            None => self.plain.extend(ways),
        }
        Ok(())
    }

    fn flow(&mut self, label: Label) -> &mut (Vec<Way>, Vec<Way>) {
        let [user, random] = &mut self.flows;
        match label {
            Label::User => user,
            Label::WeakRandom => random,
        }
    }

    pub(crate) fn source(&mut self, source: &Source) -> Result<(), RuleError> {
        let requires: Vec<Text> =
            source.requires.as_deref().map(Text::new).transpose()?.into_iter().collect();
        let mut ways = Vec::new();
        for path in source.paths.iter().chain(&source.types) {
            ways.push(Way {
                words: self.words_of(path),
                requires: requires.clone(),
                ..Way::default()
            });
        }
        for mark in &source.marks {
            ways.push(Way { requires: vec![anywhere(mark)?], ..Way::default() });
        }
        self.flow(source.label).1.extend(ways);
        Ok(())
    }

    pub(crate) fn handler(&mut self, handler: &Handler) -> Result<(), RuleError> {
        let mut ways = Vec::new();
        for call in &handler.calls {
            ways.push(Way { words: self.words_of(call), ..Way::default() });
        }
        let marks = handler.marks.as_deref().map(anywhere).transpose()?;
        let bases = handler.bases.as_deref().map(anywhere).transpose()?;
        let requires: Vec<Text> = marks.into_iter().chain(bases).collect();
        if !requires.is_empty() {
            let marked = Way { requires, ..Way::default() };
            self.handlers.push(marked.clone());
            ways.push(marked);
        }
        if handler.tainted {
            self.flow(Label::User).1.extend(ways);
        }
        Ok(())
    }

    pub(crate) fn pattern(&mut self, pattern: &CodePattern) -> Result<(), RuleError> {
        // with a kind only a part of the code counts, and which one is not known here
        let text = match &pattern.kind {
            Some(_) => crate::pack::longest_word(&pattern.code).to_owned(),
            None => metavariable()?.replace_all(&pattern.code, " ").into_owned(),
        };
        let words = self.words_of(&text);
        self.patterns.push(Way { words, ..Way::default() });
        Ok(())
    }

    pub(crate) fn route(&mut self, route: &RouteRule) -> Result<(), RuleError> {
        let requires = vec![anywhere(&route.handler)?, anywhere(&route.guard)?];
        self.routes.push(Way { requires, ..Way::default() });
        Ok(())
    }

    /// Makes what looking needs, once all rules are in.
    pub(crate) fn finish(&mut self) -> Result<(), RuleError> {
        for word in self.words.keys() {
            if let Some(lengths) =
                word.bytes().next().and_then(|b| self.lengths.get_mut(usize::from(b)))
            {
                *lengths |= 1_u64.checked_shl(length_of(word)).unwrap_or(0);
            }
        }
        self.sessions = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(["session", "cookie"])
            .map(Some)
            .map_err(|source| RuleError::Prefilter { source })?;
        self.literal_requires = Some(literal_requires()?);
        Ok(())
    }

    /// Where nothing was seen yet.
    pub(crate) fn none(&self) -> Seen {
        Seen { bits: vec![0; self.words.len().div_ceil(64)], ..Seen::default() }
    }

    /// Takes down a word if some rule needs it.
    pub(crate) fn mark(&self, seen: &mut Seen, word: &str) {
        let first = word.bytes().next().unwrap_or_default();
        let lengths = self.lengths.get(usize::from(first)).copied().unwrap_or_default();
        if lengths & 1_u64.checked_shl(length_of(word)).unwrap_or(0) != 0
            && let Some(number) = self.words.get(word)
        {
            seen.add(*number);
        }
    }

    /// What has to be seen in one place, where this is seen in all of them together.
    pub(crate) fn wanted(&self, all: &Seen, text: &str) -> Wanted<'_> {
        let handled = || self.handlers.iter().any(|way| holds(way, all, text, &|| true));
        let held = |way: &Way| holds(way, all, text, &handled);
        let plain = words_where(&self.plain, &held);
        Wanted {
            // what is recognised by anything but words can be anywhere
            everything: all.computes_paths || plain.iter().any(|words| words.is_empty()),
            plain,
            flows: self
                .flows
                .each_ref()
                .map(|(sinks, sources)| (words_where(sinks, &held), words_where(sources, &held))),
        }
    }

    /// Looks for the words of a text.
    pub(crate) fn look(&self, text: &str) -> Seen {
        let mut seen = self.none();
        let mut modules_named = 0_usize;
        for word in words(text) {
            self.mark(&mut seen, word);
            modules_named += usize::from(self.modules_by_call && word == "require");
        }
        seen.session = self.sessions.as_ref().is_none_or(|words| words.is_match(text));
        if modules_named > 0 {
            let literal =
                self.literal_requires.as_ref().map_or(0, |literal| literal.find_iter(text).count());
            seen.computes_paths = modules_named > literal;
        }
        seen
    }

    /// Whether a call, an assignment or a flow can be found in a file, when this is seen in it and in
    /// what it imports.
    pub(crate) fn values(&self, seen: &Seen, text: &str) -> bool {
        seen.computes_paths
            || self.any(&self.plain, seen, text)
            || self.flows.iter().any(|(sinks, sources)| {
                self.any(sources, seen, text) && self.any(sinks, seen, text)
            })
    }

    /// Whether a pattern can match in a file in which this is seen.
    pub(crate) fn patterns(&self, seen: &Seen, text: &str) -> bool {
        self.any(&self.patterns, seen, text)
    }

    /// Whether a file can have handlers, and guards of some.
    pub(crate) fn routes(&self, seen: &Seen, text: &str) -> bool {
        self.any(&self.routes, seen, text)
    }

    fn any(&self, ways: &[Way], seen: &Seen, text: &str) -> bool {
        let handled = || self.handlers.iter().any(|way| holds(way, seen, text, &|| true));
        ways.iter().any(|way| holds(way, seen, text, &handled))
    }
}

fn words_where<'n>(ways: &'n [Way], held: &dyn Fn(&Way) -> bool) -> Words<'n> {
    ways.iter().filter(|way| held(way)).map(|way| way.words.as_slice()).collect()
}

fn holds(way: &Way, seen: &Seen, text: &str, handled: &dyn Fn() -> bool) -> bool {
    way.words.iter().all(|word| seen.has(*word))
        && (!way.session || seen.session)
        && way.requires.iter().all(|required| required.is_in(text))
        && (!way.handler || handled())
}

/// The words of a text: what names are made of. Letters beyond ASCII part words, so that no name is
/// missed.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes.get(at..)?.iter().position(is_part)?;
        let rest = bytes.get(start..)?;
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        at = start + length;
        text.get(start..at)
    })
}

fn length_of(word: &str) -> u32 {
    u32::try_from(word.len()).unwrap_or(u32::MAX).min(63)
}

/// An expression about the beginning of a part, as one about anywhere in the whole.
fn anywhere(text: &str) -> Result<Text, RuleError> {
    Text::new(&unanchored(text))
}

fn unanchored(text: &str) -> String {
    let mut anywhere = String::with_capacity(text.len());
    let (mut escaped, mut in_class) = (false, false);
    for c in text.chars() {
        let is_anchor = c == '^' && !escaped && !in_class;
        if !is_anchor {
            anywhere.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
    }
    anywhere
}

fn metavariable() -> Result<Regex, RuleError> {
    expression(r"\$+\w+")
}

/// A call of `require` that names a module by a literal.
fn literal_requires() -> Result<Regex, RuleError> {
    let text = r#"\brequire\s*\(\s*(?:'[^'\n\\]*'|"[^"\n\\]*"|`[^`$\\]*`)\s*\)"#;
    Regex::new(text).map_err(|source| RuleError::Expression { expression: text.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_goes_and_what_looks_like_one_stays() {
        let regex = unanchored;
        assert_eq!(regex(r"^@[\w.]*\.(get|post)"), r"@[\w.]*\.(get|post)");
        assert_eq!(regex(r"^@(Get)\b|^@(GET)\b"), r"@(Get)\b|@(GET)\b");
        assert_eq!(regex(r"route\([^)]*\^[\]^]"), r"route\([^)]*\^[\]^]");
    }

    #[test]
    fn a_module_whose_name_is_computed_may_be_any() {
        let mut needs = Needs::new(Language::TypeScript);
        needs.finish().unwrap();
        let computes = |text: &str| needs.look(text).computes_paths;
        assert!(!computes("const a = require('child_process'); require(\n  `./b`\n)"));
        assert!(!computes("let required = 'x';"));
        assert!(computes("const a = require('child' + '_process');"));
        assert!(computes("const r = require; r(name); require('fs')"));
        assert!(computes("const a = require(`child_${x}`);"));
        assert!(computes("required('x'); require(name)"));
    }
}
