//! Expressions: what is known of their values.

use super::{Evaluator, known};
use crate::env::Env;
use crate::ir::{Expr, ExprKind};
use crate::parse::Unread;
use crate::value::{Const, FuncRef, Shape, Value};

impl<'a> Evaluator<'a, '_> {
    pub(super) fn eval(&mut self, expression: &'a Expr<'a>, env: &mut Env<'a>) -> Value<'a> {
        if !self.step() {
            return Value::default();
        }
        if self.depth >= super::MAX_DEPTH {
            self.cut = Some(Unread::TooDeep);
            return Value::default();
        }
        self.depth += 1;
        let value = self.eval_here(expression, env);
        self.depth -= 1;
        value
    }

    fn eval_here(&mut self, expression: &'a Expr<'a>, env: &mut Env<'a>) -> Value<'a> {
        match &expression.kind {
            ExprKind::Str(text) => Value::text(text),
            ExprKind::Int(number) => Value::constant(Const::Int(*number)),
            ExprKind::Bool(truth) => known(*truth),
            ExprKind::Null => Value::constant(Const::Null),
            ExprKind::Name(name) => self.name(name, expression.line, env),
            ExprKind::Attr(base, name) => {
                let base = self.eval(base, env);
                self.attribute(&base, name, expression.line)
            }
            ExprKind::Index(base, index) => {
                let base = self.eval(base, env);
                let index = self.eval(index, env);
                self.indexed(&base, &index, expression.line)
            }
            ExprKind::Slice(base, start, end) => {
                let base = self.eval(base, env);
                let start = start.as_ref().map(|start| self.eval(start, env));
                let end = end.as_ref().map(|end| self.eval(end, env));
                super::model::sliced(&base, start.as_ref(), end.as_ref())
            }
            ExprKind::Call { callee, args, new } => {
                self.call(callee, args, *new, expression.line, env)
            }
            ExprKind::Binary(operator, left, right) => self.binary(operator, left, right, env),
            ExprKind::Not(inside) => {
                let value = self.eval(inside, env);
                value.constant.map_or_else(Value::default, |constant| known(!constant.is_true()))
            }
            ExprKind::Negate(inside) => {
                let value = self.eval(inside, env);
                match value.constant {
                    Some(Const::Int(number)) => number
                        .checked_neg()
                        .map_or_else(Value::default, |number| Value::constant(Const::Int(number))),
                    _ => value.flattened(),
                }
            }
            ExprKind::Cond(test, then, otherwise) => self.conditional(test, then, otherwise, env),
            ExprKind::Interp(parts) => {
                let values: Vec<Value<'a>> =
                    parts.iter().map(|part| self.eval(part, env)).collect();
                self.concatenated(&values)
            }
            ExprKind::List(items) => {
                let items = items.iter().take(256).map(|item| self.eval(item, env)).collect();
                Value::of_shape(Shape::List(items))
            }
            ExprKind::Map(pairs) => {
                let mut map = Value::of_shape(Shape::default());
                for (key, value) in pairs.iter().take(256) {
                    let key = key.as_ref().map(|key| self.eval(key, env));
                    let value = self.eval(value, env);
                    match key {
                        Some(key) => {
                            let text = key.constant.as_ref().map(Const::text);
                            map.set_part(text.as_deref(), value);
                            map.taint |= key.taint;
                        }
                        None => {
                            map.absorb(&value);
                            if let Some(part) = value.any_part() {
                                map.set_part(None, part);
                            }
                        }
                    }
                }
                map
            }
            ExprKind::Assign { targets, op, value } => {
                let mut found = self.eval(value, env);
                for target in targets {
                    if let Some(op) = op {
                        let old = self.eval(target, env);
                        found = self.arithmetic(op, &old, &found);
                    }
                    self.assign(target, found.clone(), env);
                }
                found
            }
            ExprKind::Lambda(id) => {
                let func = FuncRef { unit: self.frame.unit, func: *id };
                self.frame.lambdas.push(*id);
                Value { func: Some(func), ..Value::default() }
            }
            ExprKind::Block(body) => self.yielding(body, env).0,
            ExprKind::Switch(switch) => self.switch(switch, env).0,
            ExprKind::Each { bindings, conditions, value } => {
                for (target, source) in bindings {
                    let source = self.eval(source, env);
                    let element = self.element(&source);
                    self.assign(target, element, env);
                }
                for condition in conditions {
                    self.eval(condition, env);
                    let facts = self.learn(condition, true, env);
                    self.apply(&facts, env);
                }
                let element = self.eval(value, env);
                let mut list = Value::of_shape(Shape::default());
                list.set_part(None, element);
                list
            }
            ExprKind::Bind(value, name, ty) => {
                let mut value = self.eval(value, env);
                if let Some(ty) = ty {
                    value.ty = Some(self.type_path(self.frame.unit, ty).into());
                }
                let part = value.part("0").unwrap_or(value);
                env.insert(name, part);
                Value::default()
            }
            ExprKind::Other(parts) => {
                let mut all = Value::default();
                for part in parts {
                    let value = self.eval(part, env);
                    all.absorb(&value);
                }
                all
            }
        }
    }

    fn name(&mut self, name: &'a str, line: u32, env: &Env<'a>) -> Value<'a> {
        if let Some(value) = env.get(name) {
            let mut value = value.clone();
            value.made_from.add(&[name]);
            return value;
        }
        let unit = self.frame.unit;
        // a constructor may have its class's name
        if self.classes.contains_key(&(unit, name)) {
            let class = Some((unit, name));
            return Value { class, is_class: true, path: Some(name.into()), ..Value::default() };
        }
        let functions = self.functions.get(&(unit, name));
        if let Some(func) = functions.and_then(|found| found.first()) {
            let func = Some(FuncRef { unit, func: *func });
            return Value { func, path: Some(name.into()), ..Value::default() };
        }
        let imported = self.imports.get(unit).and_then(|names| names.get(name).copied());
        let mut value = Value::of_path(imported.unwrap_or(name));
        self.taint_source(&mut value, name, line);
        value
    }

    /// A field of a value.
    pub(super) fn attribute(&mut self, base: &Value<'a>, name: &'a str, line: u32) -> Value<'a> {
        if let Some(part) = base.part(name) {
            let mut part = part;
            part.made_from.add(base.made_from.all());
            return part;
        }
        let mut value = Value {
            path: base.path.as_ref().map(|path| self.glued(&[path, ".", name])),
            ty: base.ty.as_ref().map(|ty| self.glued(&[ty, ".", name])),
            made_from: base.made_from.clone(),
            ..Value::default()
        };
        if let Some((unit, class)) = base.class {
            if let Some(func) = self.methods.get(&(unit, class, name)).and_then(|f| f.first()) {
                value.func = Some(FuncRef { unit, func: *func });
            }
            let fields = self.classes.get(&(unit, class));
            let field = fields.and_then(|fields| fields.iter().find(|(field, _)| *field == name));
            if let Some((_, field)) = field {
                return field.clone();
            }
        }
        if value.func.is_none()
            && let Some(path) = value.path.clone()
            && self.modules.len() > 1
            && base.class.is_none()
        {
            let imported = self.imported(&path);
            if imported.func.is_some() || imported.class.is_some() || imported.shape.is_some() {
                return imported;
            }
        }
        if !super::model::is_plain_field(name) {
            value.taint = base.taint;
            value.from = base.from;
        }
        self.taint_source(&mut value, name, line);
        value
    }

    /// Adds the taint of a source if the value is one.
    pub(super) fn taint_source(&self, value: &mut Value<'a>, last: &str, line: u32) {
        let paths = [value.path.as_deref(), value.ty.as_deref()];
        let mut taint = 0;
        for (bits, requires) in self.table.sources.find(last, &paths) {
            if requires.as_ref().is_none_or(|re| self.required(re)) {
                taint |= bits;
            }
        }
        if taint != 0 {
            value.taint |= taint;
            value.from = if self.frame.unit == 0 { line } else { self.call_line };
        }
    }

    fn indexed(&mut self, base: &Value<'a>, index: &Value<'a>, line: u32) -> Value<'a> {
        if let Some(key) = index.constant.as_ref().map(Const::text) {
            if let Some(mut part) = base.part(&key) {
                part.made_from.add(base.made_from.all());
                return part;
            }
            if let (Some(Const::Str(text)), Some(Const::Int(at))) =
                (&base.constant, &index.constant)
            {
                return super::model::char_at(text, *at);
            }
            if base.shape.is_some() {
                return Value { taint: base.taint, from: base.from, ..Value::default() };
            }
        }
        if base.shape.is_some() {
            return base.any_part().map_or_else(Value::default, |part| part.flattened());
        }
        let mut value = Value {
            taint: base.taint,
            from: base.from,
            path: base.path.as_ref().map(|path| self.glued(&[path, "[]"])),
            ty: base.ty.as_ref().map(|ty| self.glued(&[ty, "[]"])),
            made_from: base.made_from.clone(),
            ..Value::default()
        };
        self.taint_source(&mut value, "[]", line);
        value
    }

    fn conditional(
        &mut self,
        test: &'a Expr<'a>,
        then: &'a Expr<'a>,
        otherwise: &'a Expr<'a>,
        env: &mut Env<'a>,
    ) -> Value<'a> {
        let condition = self.eval(test, env);
        let when_true = self.learn(test, true, env);
        let when_false = self.learn(test, false, env);
        self.steps += env.len();
        let one = |this: &mut Self, facts, side| {
            let mut inside = env.clone();
            this.apply(facts, &mut inside);
            this.eval(side, &mut inside)
        };
        match condition.constant.as_ref().map(Const::is_true) {
            Some(true) => one(self, &when_true, then),
            Some(false) => one(self, &when_false, otherwise),
            None => {
                let first = one(self, &when_true, then);
                let second = one(self, &when_false, otherwise);
                first.joined(&second)
            }
        }
    }

    fn binary(
        &mut self,
        operator: &'a str,
        left: &'a Expr<'a>,
        right: &'a Expr<'a>,
        env: &mut Env<'a>,
    ) -> Value<'a> {
        let left_value = self.eval(left, env);
        match operator {
            "and" | "&&" | "or" | "||" | "??" => {
                let truth = left_value.constant.as_ref().map(Const::is_true);
                let decides = match operator {
                    "and" | "&&" => Some(false),
                    "or" | "||" => Some(true),
                    _ => None,
                };
                if truth.is_some() && truth == decides {
                    return left_value;
                }
                let mut inside = env.clone();
                if let Some(decides) = decides {
                    let facts = self.learn(left, !decides, env);
                    self.apply(&facts, &mut inside);
                }
                let right_value = self.eval(right, &mut inside);
                // what the right side assigns may have happened
                if inside.len() != env.len() {
                    env.join(inside);
                }
                if truth.is_some() && decides.is_some() {
                    return right_value;
                }
                left_value.joined(&right_value)
            }
            _ => {
                let right_value = self.eval(right, env);
                if matches!(operator, "==" | "===" | "!=" | "!==") {
                    self.compared(&left_value, &right_value);
                }
                self.arithmetic(operator, &left_value, &right_value)
            }
        }
    }

    /// An operator on two values.
    pub(super) fn arithmetic(
        &mut self,
        operator: &str,
        left: &Value<'a>,
        right: &Value<'a>,
    ) -> Value<'a> {
        if let (Some(a), Some(b)) = (&left.constant, &right.constant)
            && let Some(result) = super::model::folded(operator, a, b)
        {
            return Value::constant(result);
        }
        match operator {
            "+" => {
                if let (Some(Shape::List(a)), Some(Shape::List(b))) =
                    (left.shape.as_deref(), right.shape.as_deref())
                {
                    return Value::of_shape(Shape::List(a.iter().chain(b).cloned().collect()));
                }
                self.concatenated(&[left.clone(), right.clone()])
            }
            "==" | "!=" | "===" | "!==" | "<" | ">" | "<=" | ">=" | "in" | "not in" | "is"
            | "is not" | "instanceof" | "?" => Value::default(),
            "%" if left.constant.is_some() || left.prefix.is_some() => {
                let mut text = left.flattened();
                text.prefix = left.start().and_then(|start| {
                    let end = start.find('%')?;
                    start.get(..end).map(Into::into)
                });
                text.absorb(right);
                text
            }
            "-" | "*" | "**" | "//" | "<<" | ">>" | "&" | "|" | "^" | "%" => {
                let mut number = Value::default();
                number.absorb(left);
                number.absorb(right);
                number
            }
            _ => {
                let mut both = left.flattened();
                // a path joined with `/` keeps what it begins with
                both.prefix = left.start();
                both.path.clone_from(&left.path);
                both.absorb(right);
                both
            }
        }
    }

    /// Texts one after another.
    pub(super) fn concatenated(&mut self, values: &[Value<'a>]) -> Value<'a> {
        let mut all = Value::default();
        let mut text = String::new();
        let mut is_known = true;
        for value in values {
            match &value.constant {
                Some(constant) if is_known && text.len() < 10_000 => {
                    text.push_str(&constant.text());
                }
                _ if is_known => {
                    is_known = false;
                    if let Some(start) = &value.prefix {
                        text.push_str(start);
                    }
                }
                _ => {}
            }
            all.absorb(value);
        }
        if is_known {
            all.constant = Some(Const::Str(text.into()));
        } else if !text.is_empty() {
            all.prefix = Some(text.into());
        }
        all
    }

    /// One of what a value contains.
    pub(super) fn element(&mut self, value: &Value<'a>) -> Value<'a> {
        match value.any_part() {
            Some(mut part) => {
                part.taint |= value.taint;
                part.from = part.from.max(value.from);
                part
            }
            None => {
                let mut element = value.flattened();
                element.path = value.path.as_ref().map(|path| self.glued(&[path, "[]"]));
                element
            }
        }
    }

    /// Puts a value where a target says.
    pub(super) fn assign(&mut self, target: &'a Expr<'a>, value: Value<'a>, env: &mut Env<'a>) {
        match &target.kind {
            ExprKind::Name(name) => {
                self.assigned(name, None, &value, target.line);
                env.insert(name, value);
            }
            ExprKind::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    let part = match value.shape {
                        Some(_) => value.part(&at.to_string()),
                        None => None,
                    };
                    let part = part.unwrap_or_else(|| {
                        let mut part = value.flattened();
                        // the first result of a call is what the call is about
                        if at == 0 {
                            part.path.clone_from(&value.path);
                            part.ty.clone_from(&value.ty);
                        }
                        part
                    });
                    self.assign(item, part, env);
                }
            }
            ExprKind::Map(pairs) => {
                for (key, item) in pairs {
                    match key.as_ref().map(|key| &key.kind) {
                        Some(ExprKind::Str(name)) => {
                            let part = self.attribute(&value, name, target.line);
                            self.assign(item, part, env);
                        }
                        _ => self.assign(item, value.flattened(), env),
                    }
                }
            }
            ExprKind::Attr(base, name) => {
                let owner = self.eval(base, env);
                self.assigned(name, Some(&owner), &value, target.line);
                self.store_part(base, Some(name), value, env);
            }
            ExprKind::Index(base, index) => {
                let owner = self.eval(base, env);
                let key = self.eval(index, env);
                let mut stored = value.clone();
                if key.taint != 0 {
                    stored.absorb(&key);
                }
                self.assigned("[]", Some(&owner), &stored, target.line);
                if let Some(key) = key.constant.as_ref().map(Const::text) {
                    self.store_part(base, Some(&key), value, env);
                } else {
                    self.store_part(base, None, value, env);
                }
            }
            ExprKind::Slice(base, _, _) => self.store_part(base, None, value, env),
            ExprKind::Assign { targets, value: default, .. } => {
                // a target with a default
                let default = self.eval(default, env);
                let joined = value.joined(&default);
                for target in targets {
                    self.assign(target, joined.clone(), env);
                }
            }
            ExprKind::Other(parts) => {
                for part in parts {
                    if matches!(part.kind, ExprKind::Name(_) | ExprKind::Attr(..)) {
                        self.assign(part, value.flattened(), env);
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts a part into what an expression names.
    pub(super) fn store_part(
        &mut self,
        base: &'a Expr<'a>,
        key: Option<&str>,
        value: Value<'a>,
        env: &mut Env<'a>,
    ) {
        let mut owner = self.eval(base, env);
        owner.set_part(key, value);
        self.write_back(base, owner, env);
    }

    /// Stores a changed value under the expression that it was read from.
    pub(super) fn write_back(&mut self, target: &'a Expr<'a>, value: Value<'a>, env: &mut Env<'a>) {
        match &target.kind {
            ExprKind::Name(name) => {
                let mut value = value;
                value.made_from.remove(name);
                env.insert(name, value);
            }
            ExprKind::Attr(base, name) => self.store_part(base, Some(name), value, env),
            ExprKind::Index(base, index) => {
                let key = self.eval(index, env).constant.as_ref().map(Const::text);
                self.store_part(base, key.as_deref(), value, env);
            }
            // a builder that hands itself on is changed by every link of the chain
            ExprKind::Call { callee, .. } => {
                if let ExprKind::Attr(base, "append" | "Append" | "push_str" | "AppendLine") =
                    &callee.kind
                {
                    self.write_back(base, value, env);
                }
            }
            _ => {}
        }
    }
}
