//! The rules made ready: bits for flows, tables for each language, words to look for first.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use ast_grep_core::Pattern;
use regex::Regex;

use crate::language::Language;
use crate::needs::Needs;
use crate::paths::{PathMap, last_part};
use crate::rule::{
    CodePattern, Flows, Label, RouteRule, Rule, RuleError, Sink, expression, prefilter,
};
use crate::value::Taint;

/// Flow rules are bits of a number; this many of them at most.
const MAX_FLOWS: usize = 48;

/// Which sink of which rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SinkRef {
    pub(crate) rule: usize,
    pub(crate) sink: usize,
}

/// What a rule needs besides its text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared {
    /// The bit of a flow rule, otherwise nothing.
    pub(crate) bit: Taint,
    pub(crate) harmless_prefix: Option<Regex>,
    pub(crate) sinks: Vec<PreparedSink>,
}

/// The compiled expressions of a sink.
#[derive(Debug, Clone, Default)]
pub(crate) struct PreparedSink {
    pub(crate) requires: Option<Regex>,
    pub(crate) conditions: Vec<Option<Regex>>,
}

/// Functions whose parameters are a request's.
#[derive(Debug, Clone)]
pub(crate) struct PreparedHandler {
    pub(crate) marks: Option<Regex>,
    pub(crate) bases: Option<Regex>,
    pub(crate) tainted: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct PreparedRoute {
    pub(crate) rule: usize,
    /// Whether handlers are registered in one line and not marked.
    pub(crate) by_line: bool,
    pub(crate) handler: Regex,
    pub(crate) guard: Regex,
    pub(crate) open: Regex,
}

#[derive(Clone)]
pub(crate) struct PreparedPattern {
    pub(crate) rule: usize,
    pub(crate) pattern: Pattern,
    /// A word without which it can't match.
    pub(crate) word: String,
    pub(crate) conditions: Vec<(String, Regex)>,
}

/// What applies to one language.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) calls: PathMap<SinkRef>,
    pub(crate) assigns: PathMap<SinkRef>,
    pub(crate) returned: Vec<SinkRef>,
    pub(crate) sources: PathMap<(Taint, Option<Regex>)>,
    pub(crate) source_types: Vec<(String, Taint, Option<Regex>)>,
    pub(crate) source_marks: Vec<(Regex, Taint)>,
    pub(crate) sanitizers: PathMap<Taint>,
    pub(crate) handlers: Vec<PreparedHandler>,
    pub(crate) handler_calls: PathMap<bool>,
    pub(crate) patterns: Vec<PreparedPattern>,
    pub(crate) routes: Vec<PreparedRoute>,
    /// Words of sinks that need no source, and of patterns and routes.
    plain_words: Option<AhoCorasick>,
    flow_words: Option<AhoCorasick>,
    source_words: Option<AhoCorasick>,
    pub(crate) needs: Needs,
}

impl Table {
    /// Whether any rule can hold in a text, at a first glance; [`Needs`] looks closer.
    pub(crate) fn may_hold(&self, text: &str) -> bool {
        let has = |words: &Option<AhoCorasick>| words.as_ref().is_some_and(|w| w.is_match(text));
        has(&self.plain_words) || (has(&self.flow_words) && has(&self.source_words))
    }
}

/// All rules, ready for use.
pub(crate) struct Pack {
    pub(crate) rules: Vec<Rule>,
    pub(crate) prepared: Vec<Prepared>,
    pub(crate) all_user: Taint,
    /// Rules for which a checked beginning of a value suffices.
    pub(crate) prefix_bits: Taint,
    /// Rules for which an HTML encoder suffices.
    pub(crate) html_bits: Taint,
    /// Constants whose absence suffices.
    pub(crate) harmless_without: Vec<(String, Taint)>,
    /// The same for the inside of a value.
    pub(crate) harmless_inside: Vec<(String, Taint)>,
    tables: HashMap<Language, Table>,
    empty: Table,
}

impl Pack {
    pub(crate) fn table(&self, language: Language) -> &Table {
        self.tables.get(&language).unwrap_or(&self.empty)
    }

    pub(crate) fn new(rules: Vec<Rule>, flows: &Flows) -> Result<Self, RuleError> {
        let mut prepared = Vec::with_capacity(rules.len());
        let (mut all_user, mut weak_random, mut next) = (0, 0, 0_usize);
        for rule in &rules {
            let mut ready = Prepared::default();
            if let Some(label) = rule.flow {
                if next >= MAX_FLOWS {
                    return Err(RuleError::TooMany);
                }
                ready.bit = 1 << next;
                next += 1;
                match label {
                    Label::User => all_user |= ready.bit,
                    Label::WeakRandom => weak_random |= ready.bit,
                }
            }
            ready.harmless_prefix = rule.harmless_prefix.as_deref().map(expression).transpose()?;
            for sink in &rule.sink {
                ready.sinks.push(prepare_sink(sink)?);
            }
            prepared.push(ready);
        }
        let bits_where = |wanted: &dyn Fn(&Rule) -> bool| {
            let chosen = rules.iter().zip(&prepared).filter(|(rule, _)| wanted(rule));
            chosen.fold(0, |all, (_, ready)| all | ready.bit)
        };
        let prefix_bits = bits_where(&|rule| rule.harmless_with_prefix);
        let html_bits = bits_where(&|rule| rule.cwe == 79);
        let absent = |texts: fn(&Rule) -> &Vec<String>| {
            let pairs = rules
                .iter()
                .zip(&prepared)
                .flat_map(|(rule, ready)| texts(rule).iter().map(|text| (text.clone(), ready.bit)));
            pairs.collect::<Vec<_>>()
        };
        let harmless_without = absent(|rule| &rule.harmless_without);
        let harmless_inside = absent(|rule| &rule.harmless_inside_without);
        let mut pack = Self {
            rules,
            prepared,
            all_user,
            prefix_bits,
            html_bits,
            harmless_without,
            harmless_inside,
            tables: HashMap::new(),
            empty: Table::default(),
        };
        for language in Language::ALL {
            let table = pack.build_table(language, flows, weak_random)?;
            pack.tables.insert(language, table);
        }
        Ok(pack)
    }

    fn build_table(
        &self,
        language: Language,
        flows: &Flows,
        weak_random: Taint,
    ) -> Result<Table, RuleError> {
        let family = language.family();
        let mut table = Table { needs: Needs::new(language), ..Table::default() };
        let (mut plain, mut flowing, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for (at_rule, rule) in self.rules.iter().enumerate() {
            let words = if rule.flow.is_some() { &mut flowing } else { &mut plain };
            for (at_sink, sink) in rule.sink.iter().enumerate().filter(|(_, s)| s.lang == family) {
                let reference = SinkRef { rule: at_rule, sink: at_sink };
                table.needs.sink(rule.flow, sink)?;
                // a method that many things have is told by the argument that matters
                let argument = sink
                    .conditions
                    .iter()
                    .filter(|condition| !condition.absent && condition.arg.is_none())
                    .find_map(|condition| condition.keyword.as_deref());
                for pattern in &sink.calls {
                    table.calls.insert(pattern, reference);
                    words.push(argument.unwrap_or_else(|| rarest_part(pattern)).to_owned());
                }
                for pattern in &sink.assigns {
                    table.assigns.insert(pattern, reference);
                    words.push(rarest_part(pattern).to_owned());
                }
                if sink.returned {
                    table.returned.push(reference);
                    words.push("return".to_owned());
                }
            }
            for pattern in rule.pattern.iter().filter(|pattern| pattern.lang == family) {
                table.patterns.push(prepare_pattern(at_rule, rule, pattern, language)?);
                table.needs.pattern(pattern)?;
                plain.push(longest_word(&pattern.code).to_owned());
            }
            for route in rule.route.iter().filter(|route| route.lang == family) {
                table.routes.push(prepare_route(at_rule, route)?);
                table.needs.route(route)?;
                plain.extend(route.words.iter().cloned());
            }
        }
        let taint_of = |label| match label {
            Label::User => self.all_user,
            Label::WeakRandom => weak_random,
        };
        for source in flows.source.iter().filter(|source| source.lang == family) {
            let requires = source.requires.as_deref().map(expression).transpose()?;
            table.needs.source(source)?;
            for path in &source.paths {
                table.sources.insert(path, (taint_of(source.label), requires.clone()));
                origins.push(rarest_part(path).to_owned());
            }
            for ty in &source.types {
                table.source_types.push((ty.clone(), taint_of(source.label), requires.clone()));
                origins.push(last_part(ty).to_owned());
            }
            for mark in &source.marks {
                table.source_marks.push((expression(mark)?, taint_of(source.label)));
                origins.push(longest_word(mark).to_owned());
            }
        }
        for sanitizer in &flows.sanitizer {
            if sanitizer.lang.is_some_and(|lang| lang != family) {
                continue;
            }
            let bits = self.bits(&sanitizer.cleans)?;
            for call in &sanitizer.calls {
                table.sanitizers.insert(call, bits);
            }
        }
        for handler in flows.handler.iter().filter(|handler| handler.lang == family) {
            table.needs.handler(handler)?;
            for call in &handler.calls {
                table.handler_calls.insert(call, handler.tainted);
                origins.push(last_part(call).to_owned());
            }
            if handler.tainted {
                origins.extend(handler.words.iter().cloned());
            }
            table.handlers.push(PreparedHandler {
                marks: handler.marks.as_deref().map(expression).transpose()?,
                bases: handler.bases.as_deref().map(expression).transpose()?,
                tainted: handler.tainted,
            });
        }
        table.needs.finish()?;
        table.plain_words = some_words(&plain)?;
        table.flow_words = some_words(&flowing)?;
        table.source_words = some_words(&origins)?;
        Ok(table)
    }

    fn bits(&self, names: &[String]) -> Result<Taint, RuleError> {
        let mut bits = 0;
        for name in names {
            if name == "*" {
                bits |= self.all_user;
                continue;
            }
            let at = self.rules.iter().position(|rule| rule.id == *name);
            let ready = at.and_then(|at| self.prepared.get(at));
            match ready {
                Some(ready) => bits |= ready.bit,
                None => return Err(RuleError::UnknownRule { rule: name.clone() }),
            }
        }
        Ok(bits)
    }
}

fn some_words(words: &[String]) -> Result<Option<AhoCorasick>, RuleError> {
    if words.is_empty() { Ok(None) } else { prefilter(words).map(Some) }
}

fn prepare_sink(sink: &Sink) -> Result<PreparedSink, RuleError> {
    let mut conditions = Vec::new();
    for condition in &sink.conditions {
        let whole = condition.is.as_deref().map(|text| format!("^(?:{text})$"));
        conditions.push(whole.as_deref().map(expression).transpose()?);
    }
    Ok(PreparedSink { requires: sink.requires.as_deref().map(expression).transpose()?, conditions })
}

fn prepare_pattern(
    at: usize,
    rule: &Rule,
    pattern: &CodePattern,
    language: Language,
) -> Result<PreparedPattern, RuleError> {
    let error = || RuleError::Pattern { rule: rule.id.clone(), code: pattern.code.clone() };
    let compiled = match &pattern.kind {
        Some(kind) => Pattern::contextual(&pattern.code, kind, language),
        None => Pattern::try_new(&pattern.code, language),
    };
    let compiled = compiled.map_err(|_| error())?;
    let mut conditions = Vec::new();
    for condition in &pattern.conditions {
        conditions.push((condition.var.clone(), expression(&condition.is)?));
    }
    Ok(PreparedPattern {
        rule: at,
        pattern: compiled,
        word: longest_word(&pattern.code).to_owned(),
        conditions,
    })
}

fn prepare_route(at: usize, route: &RouteRule) -> Result<PreparedRoute, RuleError> {
    Ok(PreparedRoute {
        rule: at,
        by_line: matches!(route.lang, Language::JavaScript | Language::Go | Language::Rust),
        handler: expression(&route.handler)?,
        guard: expression(&route.guard)?,
        open: expression(&route.open)?,
    })
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() > 2)
}

pub(crate) fn longest_word(text: &str) -> &str {
    words_of(text)
        .filter(|word| !word.chars().all(|c| c.is_uppercase()))
        .max_by_key(|word| word.len())
        .unwrap_or(text)
}

/// The part of a path that fewest files will have: all of them stand in a file that uses it.
fn rarest_part(path: &str) -> &str {
    path.split(['.', '/', '(', ')', '[', ']'])
        .filter(|part| *part != "*")
        .max_by_key(|part| part.len())
        .unwrap_or(path)
}
