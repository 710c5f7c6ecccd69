//! Statements: what runs, and what the variables are afterwards.

use super::{Evaluator, Frame};
use crate::env::Env;
use crate::ir::{Case, Expr, Stmt, Switch};
use crate::parse::Unread;
use crate::value::{Const, FuncRef, Value};
use std::rc::Rc;

/// Whether what follows a statement is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Stop,
}

impl<'a> Evaluator<'a, '_> {
    /// Runs statements one after another.
    pub(super) fn block(&mut self, body: &'a [Stmt<'a>], env: &mut Env<'a>) -> Flow {
        // functions are known before the line that defines them
        for statement in body {
            match statement {
                Stmt::Import { name, path } => self.import(name, path, env),
                Stmt::Func(id) => {
                    let func = FuncRef { unit: self.frame.unit, func: *id };
                    if let Some(definition) = self.function(func) {
                        let value = Value { func: Some(func), ..Value::default() };
                        if definition.class.is_none() || self.frame.class.is_some() {
                            env.insert(definition.name, value);
                        }
                    }
                }
                _ => {}
            }
        }
        let mut flow = Flow::Next;
        for statement in body {
            flow = self.statement(statement, env);
            if flow == Flow::Stop {
                break;
            }
        }
        self.define(body, env);
        flow
    }

    /// Notes the functions that a block defines, with the variables around them.
    fn define(&mut self, body: &'a [Stmt<'a>], env: &Env<'a>) {
        let functions: Vec<usize> = body
            .iter()
            .filter_map(|statement| match statement {
                Stmt::Func(id) => Some(*id),
                _ => None,
            })
            .collect();
        self.note(&functions, env);
    }

    /// Notes functions as beginnings, each once.
    pub(super) fn note(&mut self, functions: &[usize], env: &Env<'a>) {
        if functions.is_empty() {
            return;
        }
        self.steps += env.len();
        let around = Rc::new(env.clone());
        for id in functions {
            let reference = FuncRef { unit: self.frame.unit, func: *id };
            if self.noted.insert((reference.unit, reference.func)) {
                self.entries.push((reference, Rc::clone(&around)));
            }
        }
    }

    fn import(&mut self, name: &'a str, path: &'a str, env: &mut Env<'a>) {
        if let Some(imports) = self.imports.get_mut(self.frame.unit) {
            imports.insert(name, path);
        }
        let value = self.imported(path);
        env.insert(name, value);
    }

    /// What a path stands for: a module that takes part, a name in one, or just the path.
    pub(super) fn imported(&mut self, path: &str) -> Value<'a> {
        if let Some((module, name)) = path.rsplit_once('.')
            && let Some(at) = self.modules.iter().skip(1).position(|m| m.name == module)
        {
            let env = self.module_env(at + 1);
            if let Some(value) = env.get(name) {
                let mut value = value.clone();
                value.path.get_or_insert_with(|| path.into());
                return value;
            }
        }
        Value::of_path(path)
    }

    pub(super) fn statement(&mut self, statement: &'a Stmt<'a>, env: &mut Env<'a>) -> Flow {
        if !self.step() {
            return Flow::Stop;
        }
        if self.depth >= super::MAX_DEPTH {
            self.cut = Some(Unread::TooDeep);
            return Flow::Next;
        }
        self.depth += 1;
        let flow = self.statement_here(statement, env);
        self.depth -= 1;
        flow
    }

    fn statement_here(&mut self, statement: &'a Stmt<'a>, env: &mut Env<'a>) -> Flow {
        match statement {
            Stmt::Expr(expression) => {
                let value = self.eval(expression, env);
                if self.ends(expression, &value) { Flow::Stop } else { Flow::Next }
            }
            Stmt::Declare { name, ty, value } => {
                let mut found = match value {
                    Some(value) => self.eval(value, env),
                    None => Value::constant(Const::Null),
                };
                if let Some(ty) = ty.filter(|ty| !matches!(*ty, "var" | "let" | "auto")) {
                    found.ty = Some(self.type_path(self.frame.unit, ty).into());
                }
                let line = value.as_ref().map_or(0, |value| value.line);
                self.assigned(name, None, &found, line);
                env.insert(name, found);
                Flow::Next
            }
            Stmt::If { test, then, otherwise } => self.branch(test, then, otherwise, env),
            Stmt::Loop { bind, test, body } => {
                self.repeat(bind.as_ref(), test.as_ref(), body, env);
                Flow::Next
            }
            Stmt::Return(value) => {
                let value = match value {
                    Some(value) => {
                        let result = self.eval(value, env);
                        if self.frame.handler {
                            self.returned(&result, value.line);
                        }
                        result
                    }
                    None => Value::constant(Const::Null),
                };
                let joined = match self.frame.returned.take() {
                    Some(old) => old.joined(&value),
                    None => value,
                };
                self.frame.returned = Some(joined);
                Flow::Stop
            }
            Stmt::Raise(value) => {
                if let Some(value) = value {
                    self.eval(value, env);
                }
                Flow::Stop
            }
            Stmt::Break | Stmt::Continue => {
                if let Some(left) = self.frame.left.last_mut()
                    && left.len() < 64
                {
                    self.steps += env.len();
                    left.push(env.clone());
                }
                Flow::Stop
            }
            Stmt::Try { body, handlers, finally } => self.attempt(body, handlers, finally, env),
            Stmt::Func(_) | Stmt::Import { .. } => Flow::Next,
            Stmt::Class { name, body } => {
                self.class(name, body, env);
                Flow::Next
            }
        }
    }

    fn branch(
        &mut self,
        test: &'a Expr<'a>,
        then: &'a [Stmt<'a>],
        otherwise: &'a [Stmt<'a>],
        env: &mut Env<'a>,
    ) -> Flow {
        let condition = self.eval(test, env);
        let truth = condition.constant.as_ref().map(Const::is_true);
        let when_true = self.learn(test, true, env);
        let when_false = self.learn(test, false, env);
        match truth {
            Some(true) => {
                self.apply(&when_true, env);
                self.block(then, env)
            }
            Some(false) => {
                self.apply(&when_false, env);
                self.block(otherwise, env)
            }
            None => {
                self.steps += env.len();
                let mut other = env.clone();
                self.apply(&when_true, env);
                self.apply(&when_false, &mut other);
                let first = self.block(then, env);
                let second = self.block(otherwise, &mut other);
                self.merge(env, first, other, second)
            }
        }
    }

    fn merge(&mut self, env: &mut Env<'a>, first: Flow, other: Env<'a>, second: Flow) -> Flow {
        match (first, second) {
            (Flow::Stop, Flow::Stop) => Flow::Stop,
            (Flow::Next, Flow::Stop) => Flow::Next,
            (Flow::Stop, Flow::Next) => {
                *env = other;
                Flow::Next
            }
            (Flow::Next, Flow::Next) => {
                self.steps += other.len();
                env.join(other);
                Flow::Next
            }
        }
    }

    fn repeat(
        &mut self,
        bind: Option<&'a (Expr<'a>, Expr<'a>)>,
        test: Option<&'a Expr<'a>>,
        body: &'a [Stmt<'a>],
        env: &mut Env<'a>,
    ) {
        self.frame.left.push(Vec::new());
        // twice: what one round leaves behind is there in the next one
        for _ in 0..2 {
            self.steps += env.len();
            let mut inside = env.clone();
            if let Some((target, source)) = bind {
                let source_value = self.eval(source, &mut inside);
                let element = self.element(&source_value);
                self.assign(target, element, &mut inside);
            }
            if let Some(test) = test {
                let condition = self.eval(test, &mut inside);
                if condition.constant.as_ref().is_some_and(|known| !known.is_true()) {
                    break;
                }
                let facts = self.learn(test, true, &inside);
                self.apply(&facts, &mut inside);
            }
            if self.block(body, &mut inside) == Flow::Next {
                env.join(inside);
            }
        }
        for left in self.frame.left.pop().unwrap_or_default() {
            env.join(left);
        }
    }

    fn attempt(
        &mut self,
        body: &'a [Stmt<'a>],
        handlers: &'a [(Option<&'a str>, Vec<Stmt<'a>>)],
        finally: &'a [Stmt<'a>],
        env: &mut Env<'a>,
    ) -> Flow {
        self.steps += env.len() * 2;
        let mut failed = env.clone();
        let mut flow = self.block(body, env);
        failed.join(env.clone());
        for (name, handler) in handlers {
            let mut inside = failed.clone();
            if let Some(name) = name {
                inside.insert(name, Value::default());
            }
            let ended = self.block(handler, &mut inside);
            flow = self.merge(env, flow, inside, ended);
        }
        if self.block(finally, env) == Flow::Stop { Flow::Stop } else { flow }
    }

    fn class(&mut self, name: &'a str, body: &'a [Stmt<'a>], env: &mut Env<'a>) {
        let mut fields = Vec::new();
        let outer_class = self.frame.class.replace(name);
        let mut inside = env.clone();
        for statement in body {
            self.statement(statement, &mut inside);
            let declared = match statement {
                Stmt::Declare { name, .. } => Some(*name),
                Stmt::Expr(Expr { kind: crate::ir::ExprKind::Assign { targets, .. }, .. }) => {
                    match targets.first().map(|target| &target.kind) {
                        Some(crate::ir::ExprKind::Name(name)) => Some(*name),
                        _ => None,
                    }
                }
                _ => None,
            };
            if let Some(field) = declared
                && let Some(value) = inside.get(field)
            {
                let mut value = value.clone();
                // a field that can be assigned elsewhere is not what it starts as
                value.constant = value.constant.filter(|_| {
                    field.chars().all(|c| c.is_uppercase() || c == '_' || c.is_ascii_digit())
                });
                fields.push((field, value));
            }
        }
        self.frame.class = outer_class;
        self.classes.insert((self.frame.unit, name), fields);
        let class = Some((self.frame.unit, name));
        let value = Value { class, is_class: true, path: Some(name.into()), ..Value::default() };
        env.insert(name, value);
        self.define(body, env);
    }

    /// Runs a switch; the value is what its cases yield.
    pub(super) fn switch(
        &mut self,
        switch: &'a Switch<'a>,
        env: &mut Env<'a>,
    ) -> (Value<'a>, Flow) {
        let subject = switch.subject.as_ref().map(|subject| self.eval(subject, env));
        let known = subject.as_ref().and_then(|subject| subject.constant.clone());
        let chosen = known.and_then(|known| self.chosen_case(switch, &known, env));
        self.frame.left.push(Vec::new());
        let mut result: Option<Value<'a>> = None;
        let mut after: Option<Env<'a>> = None;
        let mut flow = Flow::Stop;
        let mut running: Option<Env<'a>> = None;
        let has_default = switch.cases.iter().any(|case| case.is_default);
        for (at, case) in switch.cases.iter().enumerate() {
            let selected = match chosen {
                Some(Some(chosen)) => chosen == at,
                Some(None) => false,
                None => true,
            };
            if !selected && running.is_none() {
                continue;
            }
            self.steps += env.len();
            let mut inside = match running.take() {
                Some(mut running) if selected => {
                    running.join(env.clone());
                    running
                }
                Some(running) => running,
                None => env.clone(),
            };
            self.bind_case(case, subject.as_ref(), &mut inside);
            let (value, ended) = self.yielding(&case.body, &mut inside);
            result = Some(match result {
                Some(old) => old.joined(&value),
                None => value,
            });
            if ended == Flow::Next {
                let last = at + 1 == switch.cases.len();
                if switch.falls_through && !last {
                    running = Some(inside);
                } else {
                    flow = Flow::Next;
                    join_into(&mut after, inside);
                }
            }
        }
        if let Some(running) = running {
            flow = Flow::Next;
            join_into(&mut after, running);
        }
        for left in self.frame.left.pop().unwrap_or_default() {
            flow = Flow::Next;
            join_into(&mut after, left);
        }
        let may_skip = match chosen {
            Some(chosen) => chosen.is_none(),
            None => !has_default,
        };
        if may_skip {
            flow = Flow::Next;
            join_into(&mut after, env.clone());
        }
        if let Some(after) = after {
            *env = after;
        }
        (result.unwrap_or_default(), flow)
    }

    /// `Some(None)` if a known value selects no case; `None` if that can't be told.
    fn chosen_case(
        &mut self,
        switch: &'a Switch<'a>,
        known: &Const,
        env: &mut Env<'a>,
    ) -> Option<Option<usize>> {
        let mut fallback = None;
        for (at, case) in switch.cases.iter().enumerate() {
            if case.is_default {
                fallback = Some(at);
            } else if case.values.is_empty() {
                return None;
            }
            for value in &case.values {
                let value = self.eval(value, env).constant?;
                if value.text() == known.text() {
                    return Some(Some(at));
                }
            }
        }
        Some(fallback)
    }

    fn bind_case(&mut self, case: &'a Case<'a>, subject: Option<&Value<'a>>, env: &mut Env<'a>) {
        for name in &case.binds {
            let value = subject.map(Value::flattened).unwrap_or_default();
            env.insert(name, value);
        }
        // in a case of constants the subject is one of them
        let literal = !case.values.is_empty()
            && case.values.iter().all(|value| {
                matches!(value.kind, crate::ir::ExprKind::Str(_) | crate::ir::ExprKind::Int(_))
            });
        if literal && let Some(subject) = subject {
            for name in subject.made_from.all() {
                env.clean(name, self.pack.all_user);
            }
        }
    }

    /// Runs a block whose last statement is its value.
    pub(super) fn yielding(
        &mut self,
        body: &'a [Stmt<'a>],
        env: &mut Env<'a>,
    ) -> (Value<'a>, Flow) {
        if let [before @ .., Stmt::Expr(last)] = body {
            if self.block(before, env) == Flow::Stop {
                return (Value::default(), Flow::Stop);
            }
            if !self.step() {
                return (Value::default(), Flow::Stop);
            }
            let value = self.eval(last, env);
            let flow = if self.ends(last, &value) { Flow::Stop } else { Flow::Next };
            return (value, flow);
        }
        if let [before @ .., Stmt::If { test, then, otherwise }] = body {
            if self.block(before, env) == Flow::Stop {
                return (Value::default(), Flow::Stop);
            }
            let condition = self.eval(test, env);
            let truth = condition.constant.as_ref().map(Const::is_true);
            let facts = [self.learn(test, true, env), self.learn(test, false, env)];
            let mut other = env.clone();
            let [when_true, when_false] = facts;
            self.apply(&when_true, env);
            self.apply(&when_false, &mut other);
            return match truth {
                Some(true) => self.yielding(then, env),
                Some(false) => {
                    *env = other;
                    self.yielding(otherwise, env)
                }
                None => {
                    let (a, first) = self.yielding(then, env);
                    let (b, second) = self.yielding(otherwise, &mut other);
                    let flow = self.merge(env, first, other, second);
                    let value = match (first, second) {
                        (Flow::Next, Flow::Stop) => a,
                        (Flow::Stop, Flow::Next) => b,
                        _ => a.joined(&b),
                    };
                    (value, flow)
                }
            };
        }
        let flow = self.block(body, env);
        (Value::default(), flow)
    }

    /// Runs a function of the program with its arguments.
    pub(super) fn inline(
        &mut self,
        reference: FuncRef,
        args: &[(Option<&'a str>, Value<'a>)],
        this: Option<Value<'a>>,
        line: u32,
    ) -> Option<(Value<'a>, Option<Value<'a>>)> {
        let func = self.function(reference)?;
        if self.stack.contains(&reference)
            || self.stack.len() > super::MAX_CALLS
            || self.depth + 50 >= super::MAX_DEPTH
        {
            return None;
        }
        let outside = self.frame.unit == 0 && reference.unit != 0;
        let outer_line = self.call_line;
        if outside {
            self.call_line = line;
        }
        let mut env = if reference.unit == self.frame.unit {
            match self.globals.get(reference.unit) {
                Some(Some(env)) => Env::within(Rc::clone(env)),
                _ => Env::default(),
            }
        } else {
            Env::within(self.module_env(reference.unit))
        };
        self.steps += env.len();
        self.bind_class(reference.unit, func, &mut env);
        let mut params = func.params.iter();
        let first_is_self =
            func.params.first().is_some_and(|param| matches!(param.name, "self" | "cls"));
        if let Some(this) = &this {
            for name in ["this", "self"] {
                env.insert(name, this.clone());
            }
        }
        // fields are read by their bare names as well
        let fields: Vec<&'a str> = func
            .class
            .and_then(|class| self.classes.get(&(reference.unit, class)))
            .map(|fields| fields.iter().map(|(name, _)| *name).collect())
            .unwrap_or_default();
        if let Some(this) = &this {
            for name in &fields {
                if let Some(value) = this.part(name) {
                    env.insert(name, value);
                }
            }
        }
        if first_is_self {
            params.next();
        }
        let mut positional = args.iter().filter(|(name, _)| name.is_none());
        for param in params {
            let named = args.iter().find(|(name, _)| *name == Some(param.name));
            let mut value = match named.or_else(|| positional.next()) {
                Some((_, value)) => value.clone(),
                None => match &param.default {
                    Some(default) => self.eval(default, &mut env),
                    None => Value::default(),
                },
            };
            if let Some(ty) = param.ty {
                value.ty.get_or_insert_with(|| self.type_path(reference.unit, ty).into());
            }
            if param.ty.is_some_and(super::is_plain_type) {
                value.clean(self.pack.all_user);
            }
            value.made_from.clear();
            for name in &param.names {
                if *name != param.name {
                    let part = value.part(name).unwrap_or_else(|| value.flattened());
                    env.insert(name, part);
                }
            }
            env.insert(param.name, value);
        }
        let frame = Frame { unit: reference.unit, class: func.class, ..Frame::default() };
        let outer = std::mem::replace(&mut self.frame, frame);
        self.stack.push(reference);
        self.block(&func.body, &mut env);
        self.stack.pop();
        let lambdas = std::mem::take(&mut self.frame.lambdas);
        self.note(&lambdas, &env);
        let frame = std::mem::replace(&mut self.frame, outer);
        self.call_line = outer_line;
        let mut result = frame.returned.unwrap_or_default();
        result.made_from.clear();
        let this = this.and_then(|_| {
            let own = func.params.first().map_or("this", |param| param.name);
            let own = if first_is_self { own } else { "this" };
            let mut this = env.get(own).cloned()?;
            for name in fields {
                if let Some(value) = env.get(name).filter(|value| value.deep_taint() != 0)
                    && this.part(name).is_none_or(|part| part.deep_taint() == 0)
                {
                    this.set_part(Some(name), value.clone());
                }
            }
            Some(this)
        });
        Some((result, this))
    }
}

fn join_into<'a>(after: &mut Option<Env<'a>>, env: Env<'a>) {
    match after {
        Some(after) => after.join(env),
        None => *after = Some(env),
    }
}
