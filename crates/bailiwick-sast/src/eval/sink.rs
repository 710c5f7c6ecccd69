//! Where values do harm.

use super::{Evaluator, Hit};
use crate::pack::SinkRef;
use crate::rule::{Condition, Sink};
use crate::value::{Shape, Value};

/// The pattern for keyed collections that keep what visitors are recognised by.
pub(crate) const SESSION: &str = "session[]";

/// What a call is made with.
pub(super) struct Called<'s, 'a> {
    pub(super) name: &'s str,
    pub(super) paths: [Option<&'s str>; 2],
    pub(super) receiver: Option<&'s Value<'a>>,
    pub(super) args: &'s [(Option<&'a str>, Value<'a>)],
    pub(super) line: u32,
}

impl<'a, 'p> Evaluator<'a, 'p> {
    /// Looks whether a call is a weakness.
    pub(super) fn check_call(&mut self, called: &Called<'_, 'a>) {
        let table = self.table;
        for reference in table.calls.find(called.name, &called.paths) {
            let Some((sink, bit)) = self.sink(*reference) else { continue };
            if !self.holds(*reference, sink, called) {
                continue;
            }
            if bit == 0 {
                self.hit(reference.rule, called.line, 0);
                continue;
            }
            let mut place = 0;
            let mut from = None;
            for (name, value) in called.args {
                let matters = match name {
                    Some("{}") => sink.args.is_empty(),
                    Some(name) => {
                        sink.keywords.iter().any(|keyword| keyword == name)
                            || (sink.keywords.is_empty() && sink.args.is_empty())
                    }
                    None => {
                        place += 1;
                        sink.args.is_empty() || sink.args.contains(&(place - 1))
                    }
                };
                if matters && !sink.receiver {
                    from = from.or_else(|| self.harm(reference.rule, sink, value));
                }
                // options of JavaScript are fields of an object
                if let (false, None, Some(Shape::Fields { known, .. })) =
                    (sink.keywords.is_empty(), name, value.shape.as_deref())
                {
                    for (field, value) in known {
                        if sink.keywords.iter().any(|keyword| **keyword == **field) {
                            from = from.or_else(|| self.harm(reference.rule, sink, value));
                        }
                    }
                }
            }
            if sink.receiver
                && let Some(receiver) = called.receiver
            {
                from = self.harm(reference.rule, sink, receiver);
            }
            if let Some(from) = from {
                self.hit(reference.rule, called.line, from);
            }
        }
    }

    fn sink(&self, reference: SinkRef) -> Option<(&'p Sink, u64)> {
        let pack = self.pack;
        let rule = pack.rules.get(reference.rule)?;
        let bit = pack.prepared.get(reference.rule)?.bit;
        rule.sink.get(reference.sink).map(|sink| (sink, bit))
    }

    /// The line that a harmful value came from.
    fn harm(&self, rule: usize, sink: &Sink, value: &Value<'a>) -> Option<u32> {
        let ready = self.pack.prepared.get(rule)?;
        let taint = if sink.shallow { value.taint } else { value.deep_taint() };
        if taint & ready.bit == 0 {
            return None;
        }
        if let (Some(harmless), Some(start)) = (&ready.harmless_prefix, value.start())
            && harmless.is_match(&start)
        {
            return None;
        }
        Some(value.deep_from())
    }

    fn holds(&self, reference: SinkRef, sink: &Sink, called: &Called<'_, 'a>) -> bool {
        let Some(ready) =
            self.pack.prepared.get(reference.rule).and_then(|rule| rule.sinks.get(reference.sink))
        else {
            return false;
        };
        if ready.requires.as_ref().is_some_and(|re| !self.required(re)) {
            return false;
        }
        sink.conditions.iter().zip(&ready.conditions).all(|(condition, expression)| {
            let Some(value) = find_arg(condition, called) else { return condition.absent };
            if let Some(ty) = &condition.ty {
                return [&value.ty, &value.path]
                    .into_iter()
                    .flatten()
                    .any(|path| crate::paths::ends_with(path, ty));
            }
            let Some(expression) = expression else { return !condition.absent };
            match texts(value) {
                texts if texts.is_empty() => condition.unknown,
                texts => texts.iter().any(|text| expression.is_match(text)),
            }
        })
    }

    /// Looks whether an assignment is a weakness.
    pub(super) fn assigned(
        &mut self,
        name: &str,
        owner: Option<&Value<'a>>,
        value: &Value<'a>,
        line: u32,
    ) {
        let table = self.table;
        if table.assigns.is_empty() {
            return;
        }
        let path = |path: Option<&str>| {
            path.map(
                |path| if name == "[]" { format!("{path}[]") } else { format!("{path}.{name}") },
            )
        };
        let [by_path, by_type] = match owner {
            Some(owner) => [path(owner.path.as_deref()), path(owner.ty.as_deref())],
            None => [Some(name.to_owned()), None],
        };
        // a keyed collection is known by the last name before the brackets
        let last = by_path.as_deref().map_or(name, crate::paths::last_part).to_owned();
        let paths = [by_path.as_deref(), by_type.as_deref()];
        let mut found: Vec<SinkRef> = table.assigns.find(&last, &paths).copied().collect();
        if last != name {
            found.extend(table.assigns.find(name, &paths).copied());
        }
        if let Some(last) = by_type.as_deref().map(crate::paths::last_part) {
            found.extend(table.assigns.find(last, &paths).copied());
        }
        if name == "[]" && owner.is_some_and(|owner| self.is_session(owner)) {
            found.extend(table.assigns.find(SESSION, &[Some(SESSION)]).copied());
        }
        for reference in found {
            let Some((sink, bit)) = self.sink(reference) else { continue };
            let args = [(None, value.clone())];
            let called = Called { name, paths, receiver: None, args: &args, line };
            if !self.holds(reference, sink, &called) {
                continue;
            }
            let from = if bit == 0 { Some(0) } else { self.harm(reference.rule, sink, value) };
            if let Some(from) = from {
                self.hit(reference.rule, line, from);
            }
        }
    }

    /// Whether a keyed collection keeps what visitors are recognised by: its name or its type ends
    /// in `session`, or what it holds is compared with a request's cookie.
    fn is_session(&self, owner: &Value<'a>) -> bool {
        [&owner.path, &owner.ty].into_iter().flatten().any(|path| {
            let last = crate::paths::last_part(path).to_ascii_lowercase();
            let last = last.strip_suffix('s').unwrap_or(&last);
            let named = last.ends_with("session")
                && !["possession", "obsession"].iter().any(|word| last.ends_with(word));
            named || self.session_stores.contains(path)
        })
    }

    /// Takes note of a keyed collection whose element is compared with a request's cookie.
    pub(super) fn compared(&mut self, one: &Value<'a>, other: &Value<'a>) {
        for (element, cookie) in [(one, other), (other, one)] {
            let from_cookie = cookie
                .path
                .as_deref()
                .is_some_and(|path| path.to_ascii_lowercase().contains("cookie"));
            if let (true, Some(store)) =
                (from_cookie, element.path.as_deref().and_then(|path| path.strip_suffix("[]")))
                && !store.to_ascii_lowercase().contains("cookie")
            {
                self.session_stores.insert(store.into());
            }
        }
    }

    /// Looks whether what a handler returns is a weakness.
    pub(super) fn returned(&mut self, value: &Value<'a>, line: u32) {
        let table = self.table;
        for reference in &table.returned {
            let Some((sink, _)) = self.sink(*reference) else { continue };
            let called = Called { name: "", paths: [None, None], receiver: None, args: &[], line };
            if !self.holds(*reference, sink, &called) {
                continue;
            }
            // a status code may stand beside the text
            let text =
                value.part("0").filter(|_| matches!(value.shape.as_deref(), Some(Shape::List(_))));
            if let Some(from) = self.harm(reference.rule, sink, text.as_ref().unwrap_or(value)) {
                self.hit(reference.rule, line, from);
            }
        }
    }

    pub(super) fn hit(&mut self, rule: usize, line: u32, from: u32) {
        let line = if self.frame.unit == 0 { line } else { self.call_line };
        self.hits.entry((rule, line)).or_insert(Hit { rule, line, from });
    }
}

fn find_arg<'s, 'a>(condition: &Condition, called: &'s Called<'_, 'a>) -> Option<&'s Value<'a>> {
    if let Some(keyword) = &condition.keyword {
        let named = called.args.iter().find(|(name, _)| *name == Some(keyword.as_str()));
        if let Some((_, value)) = named {
            return Some(value);
        }
        let fields = called.args.iter().filter_map(|(_, value)| match value.shape.as_deref() {
            Some(Shape::Fields { known, .. }) => Some(known),
            _ => None,
        });
        let field = fields.flatten().find(|(name, _)| **name == **keyword);
        if let Some((_, value)) = field {
            return Some(value);
        }
    }
    let at = condition.arg?;
    called.args.iter().filter(|(name, _)| name.is_none()).nth(at).map(|(_, value)| value)
}

/// What a value may be, as texts; a list as its elements one after another.
fn texts(value: &Value<'_>) -> Vec<String> {
    if let Some(constant) = &value.constant {
        return vec![constant.text().to_string()];
    }
    if let Some(options) = &value.options {
        return options.iter().map(ToString::to_string).collect();
    }
    if let Some(Shape::List(items)) = value.shape.as_deref() {
        let mut all = vec![String::new()];
        for item in items.iter().take(8) {
            let words = match &item.constant {
                Some(constant) => vec![constant.text()],
                None => match &item.options {
                    Some(options) => options.to_vec(),
                    None => vec!["?".into()],
                },
            };
            all = all
                .iter()
                .flat_map(|start| words.iter().map(move |word| format!("{start}{word} ")))
                .take(16)
                .collect();
        }
        return all;
    }
    if let Some(path) = &value.path {
        return vec![path.to_string()];
    }
    Vec::new()
}
