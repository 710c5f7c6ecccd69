//! What a condition says about the variables in it.
//!
//! `if name not in ALLOWED: return` makes `name` harmless afterwards. Each language has its own
//! words for such checks; what they mean is the same. A check also speaks for what the checked
//! value was made from: a look at `urlparse(target).netloc` is a look at `target`.

use super::Evaluator;
use crate::env::Env;
use crate::ir::{Arg, Expr, ExprKind};
use crate::value::Taint;

/// Variables and the taint that is gone.
pub(super) type Facts<'a> = Vec<(&'a str, Taint)>;

impl<'a> Evaluator<'a, '_> {
    /// Takes away what a condition has shown to be harmless.
    pub(super) fn apply(&self, facts: &Facts<'a>, env: &mut Env<'a>) {
        for (name, bits) in facts {
            env.clean(name, *bits);
        }
    }

    /// What is known once a condition is true or false.
    pub(super) fn learn(&self, test: &'a Expr<'a>, truth: bool, env: &Env<'a>) -> Facts<'a> {
        self.learn_within(test, truth, env, 12)
    }

    fn learn_within(
        &self,
        test: &'a Expr<'a>,
        truth: bool,
        env: &Env<'a>,
        depth: usize,
    ) -> Facts<'a> {
        if depth == 0 {
            return Vec::new();
        }
        match &test.kind {
            ExprKind::Not(inside) => self.learn_within(inside, !truth, env, depth - 1),
            ExprKind::Binary(operator, left, right) => match (*operator, truth) {
                ("and" | "&&", true) | ("or" | "||", false) => {
                    let mut facts = self.learn_within(left, truth, env, depth - 1);
                    facts.extend(self.learn_within(right, truth, env, depth - 1));
                    facts
                }
                ("and" | "&&", false) | ("or" | "||", true) => {
                    let first = self.learn_within(left, truth, env, depth - 1);
                    let second = self.learn_within(right, truth, env, depth - 1);
                    first
                        .into_iter()
                        .filter_map(|(name, bits)| {
                            let other = second.iter().find(|(other, _)| *other == name)?;
                            Some((name, bits & other.1))
                        })
                        .collect()
                }
                ("==" | "===" | "is", true) | ("!=" | "!==" | "is not", false) => {
                    self.equal(left, right, env)
                }
                ("in", truth) => self.contained(left, right, truth, env),
                ("not in", truth) => self.contained(left, right, !truth, env),
                // `text.indexOf("..") >= 0`, `== -1`
                (">=" | ">" | "<" | "<=", _) => Vec::new(),
                ("==" | "===", false) | ("!=" | "!==", true) => self.index_absent(left, env),
                _ => Vec::new(),
            },
            ExprKind::Call { callee, args, .. } => self.checked(callee, args, truth, env),
            ExprKind::Assign { value, .. } => self.learn_within(value, truth, env, depth - 1),
            ExprKind::Bind(value, ..) => self.learn_within(value, truth, env, depth - 1),
            _ => Vec::new(),
        }
    }

    fn equal(&self, left: &'a Expr<'a>, right: &'a Expr<'a>, env: &Env<'a>) -> Facts<'a> {
        let (subject, other) = if self.tainted(left, env) { (left, right) } else { (right, left) };
        if self.tainted(other, env) {
            return Vec::new();
        }
        let bits = if is_direct(subject) { self.pack.all_user } else { self.pack.prefix_bits };
        if matches!(other.kind, ExprKind::Null | ExprKind::Bool(_)) {
            return Vec::new();
        }
        if let ExprKind::Int(-1) | ExprKind::Negate(_) = other.kind {
            return self.index_absent(subject, env);
        }
        // an empty text is no value to rely on, but harmless
        self.facts(subject, bits, env)
    }

    /// `text.find("..") == -1`.
    fn index_absent(&self, subject: &'a Expr<'a>, env: &Env<'a>) -> Facts<'a> {
        let ExprKind::Call { callee, args, .. } = &subject.kind else { return Vec::new() };
        let ExprKind::Attr(base, name) = &callee.kind else { return Vec::new() };
        if !matches!(*name, "find" | "indexOf" | "IndexOf") {
            return Vec::new();
        }
        match args.first().map(|arg| &arg.value.kind) {
            Some(ExprKind::Str(text)) => self.absent(base, text, env),
            _ => Vec::new(),
        }
    }

    /// `needle in hay`.
    fn contained(
        &self,
        needle: &'a Expr<'a>,
        hay: &'a Expr<'a>,
        truth: bool,
        env: &Env<'a>,
    ) -> Facts<'a> {
        if let ExprKind::Str(text) = needle.kind {
            return if truth { Vec::new() } else { self.absent(hay, text, env) };
        }
        if !truth || self.tainted(hay, env) {
            return Vec::new();
        }
        let bits = if is_direct(needle) { self.pack.all_user } else { self.pack.prefix_bits };
        self.facts(needle, bits, env)
    }

    /// A text is not in a value.
    fn absent(&self, value: &'a Expr<'a>, text: &str, env: &Env<'a>) -> Facts<'a> {
        let inside = matches!(value.kind, ExprKind::Slice(..));
        let known = if inside { &self.pack.harmless_inside } else { &self.pack.harmless_without };
        self.facts(value, harmless_without(known, text), env)
    }

    fn checked(
        &self,
        callee: &'a Expr<'a>,
        args: &'a [Arg<'a>],
        truth: bool,
        env: &Env<'a>,
    ) -> Facts<'a> {
        let (receiver, name) = match &callee.kind {
            ExprKind::Attr(base, name) => (Some(&**base), *name),
            ExprKind::Name(name) => (None, *name),
            _ => return Vec::new(),
        };
        let first = args.first().map(|arg| &arg.value);
        let second = args.get(1).map(|arg| &arg.value);
        let receiver_tainted = receiver.is_some_and(|receiver| self.tainted(receiver, env));
        // the value that is asked about, and what it is asked with
        let (subject, with) = match receiver.filter(|_| receiver_tainted) {
            Some(receiver) => (Some(receiver), first),
            None => (first, second),
        };
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "includes" | "contains" | "has" | "containskey" | "contains_key" | "containsany"
            | "containsvalue" => {
                if let (Some(subject), Some(ExprKind::Str(text))) = (subject, with.map(|w| &w.kind))
                {
                    return if truth { Vec::new() } else { self.absent(subject, text, env) };
                }
                let member = if receiver_tainted { None } else { second.or(first) };
                match member {
                    Some(member) if truth => {
                        let bits = if is_direct(member) {
                            self.pack.all_user
                        } else {
                            self.pack.prefix_bits
                        };
                        self.facts(member, bits, env)
                    }
                    _ => Vec::new(),
                }
            }
            "startswith" | "hasprefix" | "starts_with" | "is_relative_to" | "isrelativeto" => {
                match subject {
                    Some(subject) if truth => self.facts(subject, self.pack.prefix_bits, env),
                    _ => Vec::new(),
                }
            }
            "equals" | "equalsignorecase" | "eq" | "equalfold" => {
                match (receiver.or(first), if receiver.is_some() { first } else { second }) {
                    (Some(left), Some(right)) if truth => self.equal(left, right, env),
                    _ => Vec::new(),
                }
            }
            _ if truth && is_check(&lower) => {
                let mut facts = Vec::new();
                for expression in receiver.into_iter().chain(args.iter().map(|arg| &arg.value)) {
                    facts.extend(self.facts(expression, self.pack.all_user, env));
                }
                facts
            }
            _ => Vec::new(),
        }
    }

    /// The tainted variables of an expression, and what they were made from.
    fn facts(&self, expression: &'a Expr<'a>, bits: Taint, env: &Env<'a>) -> Facts<'a> {
        if bits == 0 {
            return Vec::new();
        }
        let mut names = Vec::new();
        names_of(expression, &mut names, 8);
        let mut facts = Vec::new();
        for name in names {
            let Some(value) = env.get(name) else { continue };
            facts.push((name, bits));
            facts.extend(value.made_from.all().iter().map(|origin| (*origin, bits)));
        }
        facts
    }

    fn tainted(&self, expression: &'a Expr<'a>, env: &Env<'a>) -> bool {
        let mut names = Vec::new();
        names_of(expression, &mut names, 8);
        names.iter().any(|name| env.get(name).is_some_and(|value| value.deep_taint() != 0))
    }
}

/// The rules for which a value without a text is harmless.
pub(super) fn harmless_without(known: &[(String, Taint)], text: &str) -> Taint {
    // literals are kept as they are written
    let bare = text.strip_prefix('\\').filter(|rest| rest.len() == 1).unwrap_or(text);
    let bare = if bare == "\\\\" { "\\" } else { bare };
    known.iter().filter(|(other, _)| other == bare).fold(0, |all, (_, bits)| all | bits)
}

/// Whether an expression is the value itself and not something derived from it.
fn is_direct(expression: &Expr<'_>) -> bool {
    match &expression.kind {
        ExprKind::Name(_) => true,
        ExprKind::Call { callee, args, .. } => match &callee.kind {
            ExprKind::Attr(base, name) => {
                let lower = name.to_ascii_lowercase();
                is_direct(base)
                    && matches!(
                        lower.as_str(),
                        "lower"
                            | "tolowercase"
                            | "tolower"
                            | "strip"
                            | "trim"
                            | "upper"
                            | "as_str"
                            | "tostring"
                            | "to_lowercase"
                            | "toupper"
                            | "touppercase"
                    )
            }
            ExprKind::Name("str" | "String") => {
                args.first().is_some_and(|arg| is_direct(&arg.value))
            }
            _ => false,
        },
        _ => false,
    }
}

/// The names that an expression is about, without those of functions that are called.
fn names_of<'a>(expression: &Expr<'a>, names: &mut Vec<&'a str>, depth: usize) {
    if depth == 0 {
        return;
    }
    match &expression.kind {
        ExprKind::Name(name) => names.push(name),
        ExprKind::Attr(base, _) | ExprKind::Index(base, _) | ExprKind::Slice(base, ..) => {
            names_of(base, names, depth - 1);
        }
        ExprKind::Call { callee, args, .. } => {
            if let ExprKind::Attr(base, _) = &callee.kind {
                names_of(base, names, depth - 1);
            }
            for arg in args {
                names_of(&arg.value, names, depth - 1);
            }
        }
        ExprKind::Binary(_, left, right) => {
            names_of(left, names, depth - 1);
            names_of(right, names, depth - 1);
        }
        ExprKind::Other(parts) | ExprKind::Interp(parts) | ExprKind::List(parts) => {
            parts.iter().for_each(|part| names_of(part, names, depth - 1));
        }
        _ => {}
    }
}

/// Names of functions that say whether a value may be used.
fn is_check(lower: &str) -> bool {
    const PARTS: &[&str] = &[
        "valid",
        "allowed",
        "is_safe",
        "issafe",
        "isdigit",
        "isalnum",
        "isalpha",
        "isdecimal",
        "isnumeric",
        "isidentifier",
        "fullmatch",
        "ismatch",
        "is_match",
        "matchstring",
        "islocalurl",
        "trusted",
        "permitted",
        "whitelist",
        "allowlist",
        "isalphanumeric",
    ];
    matches!(lower, "match" | "matches" | "test" | "url_has_allowed_host_and_scheme" | "isinteger")
        || PARTS.iter().any(|part| lower.contains(part))
}
