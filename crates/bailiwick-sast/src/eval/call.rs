//! Calls: sinks, sources, sanitizers, functions of the program, and all the rest.

use std::rc::Rc;

use super::Evaluator;
use super::model::{
    collection_method, is_cleaner, is_exit, is_lookup, is_plain_result, text_method,
};
use super::sink::Called;
use crate::env::Env;
use crate::ir::{Arg, Expr, ExprKind};
use crate::value::{Const, Shape, Value};

impl<'a> Evaluator<'a, '_> {
    /// Whether nothing runs after an expression.
    pub(super) fn ends(&self, expression: &Expr<'a>, _value: &Value<'a>) -> bool {
        let ExprKind::Call { callee, .. } = &expression.kind else { return false };
        match &callee.kind {
            ExprKind::Name(name) => is_exit(name, Some(name)),
            ExprKind::Attr(base, name) => match base.kind {
                ExprKind::Name(owner) => is_exit(name, Some(&format!("{owner}.{name}"))),
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn call(
        &mut self,
        callee: &'a Expr<'a>,
        args: &'a [Arg<'a>],
        new: bool,
        line: u32,
        env: &mut Env<'a>,
    ) -> Value<'a> {
        let (receiver, name, target) = match &callee.kind {
            ExprKind::Attr(base, name) => {
                let receiver = self.eval(base, env);
                let target = self.attribute(&receiver, name, line);
                (Some((&**base, receiver)), *name, target)
            }
            ExprKind::Name(name) => (None, *name, self.eval(callee, env)),
            _ => {
                let target = self.eval(callee, env);
                (None, "", target)
            }
        };
        let mut values: Vec<(Option<&'a str>, Value<'a>)> = Vec::with_capacity(args.len());
        for arg in args.iter().take(64) {
            let value = self.eval(&arg.value, env);
            values.push((arg.name, value));
        }
        // an imported name is known by what it was imported as
        let last = target
            .path
            .as_deref()
            .filter(|_| receiver.is_none())
            .map_or(name, crate::paths::last_part);
        let last = if last.is_empty() { name } else { last };
        let paths = [target.path.as_deref(), target.ty.as_deref()];
        self.check_call(&Called {
            name: last,
            paths,
            receiver: receiver.as_ref().map(|(_, value)| value),
            args: &values,
            line,
        });
        let mut result = self.outcome(callee, receiver, last, &target, &values, new, line, env);
        for (result, target) in [(&mut result.path, &target.path), (&mut result.ty, &target.ty)] {
            if let (None, Some(path)) = (&result, target) {
                *result = Some(if new { Rc::clone(path) } else { self.glued(&[path, "()"]) });
            }
        }
        if result.class.is_none() && result.func.is_none() {
            self.taint_call(&mut result, last, line);
        }
        result
    }

    fn taint_call(&self, value: &mut Value<'a>, last: &str, line: u32) {
        let before = value.taint;
        self.taint_source(value, last, line);
        if before != 0 && value.taint == before {
            return;
        }
        if value.taint != 0 && before == 0 {
            value.constant = None;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one call in its parts, used in one place")]
    fn outcome(
        &mut self,
        callee: &'a Expr<'a>,
        receiver: Option<(&'a Expr<'a>, Value<'a>)>,
        name: &str,
        target: &Value<'a>,
        values: &[(Option<&'a str>, Value<'a>)],
        new: bool,
        line: u32,
        env: &mut Env<'a>,
    ) -> Value<'a> {
        let positional: Vec<&Value<'a>> =
            values.iter().filter(|(name, _)| name.is_none()).map(|(_, value)| value).collect();
        if name == "require"
            && receiver.is_none()
            && let Some(Const::Str(module)) = positional.first().and_then(|v| v.constant.clone())
        {
            let module = module.strip_prefix("node:").unwrap_or(&module);
            return self.imported(module);
        }
        let paths = [target.path.as_deref(), target.ty.as_deref()];
        let cleaned = self.table.sanitizers.find(name, &paths).fold(0, |all, bits| all | bits);
        if cleaned != 0 {
            return self.passed_on(receiver.as_ref().map(|(_, v)| v), values, cleaned);
        }
        if let Some((class, unit)) = target.class.filter(|_| target.is_class).map(|(u, c)| (c, u)) {
            return self.constructed(unit, class, values, line);
        }
        if let Some(func) = target.func {
            let this = receiver.as_ref().map(|(_, value)| value.clone());
            let this = this.filter(|value| value.class.is_some());
            if let Some((result, changed)) = self.inline(func, values, this, line) {
                if let (Some(changed), Some((base, _))) = (changed, &receiver) {
                    self.write_back(base, changed, env);
                }
                return result;
            }
        }
        if let Some((base, mut owner)) = receiver {
            if let Some(Const::Str(text)) = owner.constant.clone()
                && let Some(result) = text_method(&text, name, &positional)
            {
                return result;
            }
            if owner.constant.is_none()
                && matches!(name, "replace" | "Replace" | "replaceAll" | "ReplaceAll")
                && let Some(Const::Str(removed)) =
                    positional.first().and_then(|value| value.constant.clone())
            {
                let harmless = &self.pack.harmless_without;
                let bits = super::guard::harmless_without(harmless, &removed);
                let mut result = self.passed_on(Some(&owner), values, bits);
                result.prefix = owner.start().filter(|_| bits != 0);
                return result;
            }
            if let Some((result, changed)) = collection_method(&mut owner, name, &positional) {
                if changed {
                    self.write_back(base, owner, env);
                }
                return result;
            }
            let is_vector = owner.path.as_deref().is_some_and(|path| {
                matches!(crate::paths::last_part(path), "Vec" | "VecDeque" | "LinkedList")
            });
            if is_vector && matches!(name, "new" | "with_capacity") {
                return Value::of_shape(Shape::List(Vec::new()));
            }
            if let Some(result) = self.callback(&owner, name, values, env) {
                return result;
            }
            return self.unknown(callee, Some(&owner), name, values, new);
        }
        if let Some(result) = self.builtin(name, &positional) {
            return result;
        }
        self.handlers(name, values, env);
        self.unknown(callee, None, name, values, new)
    }

    /// Calls that build in what every language has under some name.
    fn builtin(&mut self, name: &str, args: &[&Value<'a>]) -> Option<Value<'a>> {
        let first = args.first();
        match (name, first) {
            ("len", Some(value)) => match (&value.constant, value.shape.as_deref()) {
                (Some(Const::Str(text)), _) => {
                    let length = i64::try_from(text.chars().count()).ok()?;
                    Some(Value::constant(Const::Int(length)))
                }
                _ => Some(Value::default()),
            },
            ("str" | "String" | "string" | "repr", Some(value)) if value.shape.is_none() => {
                Some((*value).clone())
            }
            ("append", Some(list)) if args.len() > 1 => {
                let mut list = (*list).clone();
                for item in args.iter().skip(1) {
                    list.push((*item).clone(), false);
                }
                Some(list)
            }
            ("dict" | "list" | "set" | "tuple" | "defaultdict" | "OrderedDict", None) => {
                let shape = if name == "list" { Shape::List(Vec::new()) } else { Shape::default() };
                Some(Value::of_shape(shape))
            }
            ("vec!", _) => {
                Some(Value::of_shape(Shape::List(args.iter().map(|arg| (*arg).clone()).collect())))
            }
            ("list" | "tuple" | "sorted" | "reversed" | "iter", Some(value)) => {
                Some((*value).clone())
            }
            _ => None,
        }
    }

    /// An object of a class of the program.
    fn constructed(
        &mut self,
        unit: usize,
        class: &'a str,
        values: &[(Option<&'a str>, Value<'a>)],
        line: u32,
    ) -> Value<'a> {
        let mut object = Value { class: Some((unit, class)), ..Value::default() };
        for (name, value) in self.classes.get(&(unit, class)).into_iter().flatten() {
            object.set_part(Some(name), value.clone());
        }
        let constructor = ["__init__", "constructor", class]
            .iter()
            .find_map(|name| self.methods.get(&(unit, class, *name)))
            .and_then(|found| found.first())
            .map(|func| crate::value::FuncRef { unit, func: *func });
        if let Some(constructor) = constructor {
            let result = self.inline(constructor, values, Some(object.clone()), line);
            if let Some((_, Some(changed))) = result {
                object = changed;
            }
        } else {
            for (name, value) in values {
                object.set_part(*name, value.clone());
            }
        }
        object.class = Some((unit, class));
        object.is_class = false;
        object
    }

    /// A function handed to a method of a collection sees its elements.
    fn callback(
        &mut self,
        owner: &Value<'a>,
        name: &str,
        values: &[(Option<&'a str>, Value<'a>)],
        env: &mut Env<'a>,
    ) -> Option<Value<'a>> {
        let (_, function) = values.iter().find(|(_, value)| value.func.is_some())?;
        let reference = function.func?;
        let func = self.function(reference)?;
        if !func.anonymous {
            return None;
        }
        self.handlers(name, values, env);
        let element = self.element(owner);
        let args: Vec<(Option<&'a str>, Value<'a>)> =
            func.params.iter().map(|_| (None, element.clone())).collect();
        if element.deep_taint() == 0 {
            return None;
        }
        let (result, _) = self.inline_closure(reference, &args, env)?;
        let mut list = Value::of_shape(Shape::default());
        list.taint = owner.taint & result.deep_taint();
        list.from = owner.from;
        list.set_part(None, result);
        Some(list)
    }

    fn inline_closure(
        &mut self,
        reference: crate::value::FuncRef,
        args: &[(Option<&'a str>, Value<'a>)],
        env: &mut Env<'a>,
    ) -> Option<(Value<'a>, Option<Value<'a>>)> {
        let func = self.function(reference)?;
        if self.stack.contains(&reference) || self.stack.len() > super::MAX_CALLS {
            return None;
        }
        for (param, (_, value)) in func.params.iter().zip(args) {
            for name in param.names.iter().chain([&param.name]) {
                env.insert(name, value.clone());
            }
        }
        let outer = self.frame.returned.take();
        let handler = std::mem::replace(&mut self.frame.handler, false);
        self.stack.push(reference);
        self.block(&func.body, env);
        self.stack.pop();
        self.frame.handler = handler;
        let result = std::mem::replace(&mut self.frame.returned, outer);
        Some((result.unwrap_or_default(), None))
    }

    /// Functions handed to what registers handlers of requests.
    fn handlers(&mut self, name: &str, values: &[(Option<&'a str>, Value<'a>)], env: &mut Env<'a>) {
        let tainted = self.table.handler_calls.find(name, &[None, None]).any(|tainted| *tainted);
        if !tainted {
            return;
        }
        for reference in values.iter().filter_map(|(_, value)| value.func) {
            let Some(func) = self.function(reference) else { continue };
            let mut inside = env.clone();
            let args: Vec<_> = func
                .params
                .iter()
                .map(|param| {
                    let plain = param.ty.is_none_or(super::is_plain_type)
                        || param.ty.is_some_and(|ty| ty != "string");
                    let taint = if plain { 0 } else { self.pack.all_user };
                    (None, Value { taint, from: func.line, ..Value::default() })
                })
                .collect();
            self.inline_closure(reference, &args, &mut inside);
        }
    }

    /// A value that passed through a function which takes some harm away.
    fn passed_on(
        &self,
        receiver: Option<&Value<'a>>,
        values: &[(Option<&'a str>, Value<'a>)],
        cleaned: u64,
    ) -> Value<'a> {
        let mut all = Value::default();
        for value in receiver.into_iter().chain(values.iter().map(|(_, value)| value)) {
            all.absorb(value);
        }
        all.taint &= !cleaned;
        all
    }

    /// A call of what is not known: taint goes through, unless the name says otherwise.
    fn unknown(
        &mut self,
        _callee: &'a Expr<'a>,
        receiver: Option<&Value<'a>>,
        name: &str,
        values: &[(Option<&'a str>, Value<'a>)],
        new: bool,
    ) -> Value<'a> {
        let mut result = Value::default();
        if let Some(receiver) = receiver {
            result.made_from.add(receiver.made_from.all());
        }
        if is_plain_result(name) {
            return Value::default();
        }
        if let Some(receiver) = receiver {
            if let Some(start) = receiver.start()
                && matches!(name, "format" | "Format")
            {
                result.prefix = start.split('{').next().map(Into::into);
            }
            result.absorb(receiver);
        }
        let receiver_tainted = result.taint != 0;
        if is_lookup(name) && !receiver_tainted && receiver.is_some() {
            return result;
        }
        for (_, value) in values {
            result.absorb(value);
        }
        if matches!(name, "format!" | "Sprintf" | "sprintf" | "format" | "Format" | "formatted") {
            // what stands before the first hole is known
            let text = values.iter().find_map(|(_, value)| value.constant.as_ref());
            if let Some(text) = text.map(Const::text).filter(|_| result.prefix.is_none()) {
                result.prefix = text.split(['{', '%']).next().map(Into::into);
            }
        }
        if new && values.is_empty() {
            // `new ArrayList<>()`, `new StringBuilder()`: a collection until it is known better
            let is_list = name.ends_with("List")
                || name.ends_with("Queue")
                || name == "Vec"
                || name == "Stack"
                || name == "Array";
            let shape = if is_list { Shape::List(Vec::new()) } else { Shape::default() };
            result.shape = Some(Rc::new(shape));
        }
        if is_cleaner(name) {
            let html = name.to_ascii_lowercase().contains("html");
            result.taint &= if html { !self.pack.html_bits } else { !self.pack.all_user };
        }
        result
    }
}
