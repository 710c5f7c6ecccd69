//! The taint pass: runs a program over what is known of its values.
//!
//! Both ways of a branch are followed unless its condition is known; functions of the program are
//! followed where they are called. Steps and depth are bounded, so that the worst input ends with
//! a reason and not with a stack overflow.

mod call;
mod expression;
mod guard;
mod model;
mod sink;
mod statement;

pub(crate) use sink::SESSION;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use regex::Regex;

use crate::env::{Env, Map};
use crate::ir::{Func, FuncId, Unit};
use crate::pack::{Pack, Table};
use crate::parse::Unread;
use crate::reach::Reach;
use crate::value::{Const, FuncRef, Taint, Value};

/// Steps that one file may take.
const MAX_STEPS: usize = 400_000;
/// How deep evaluation goes, calls of functions included.
const MAX_DEPTH: usize = 1_200;
/// How deep calls of functions are followed.
const MAX_CALLS: usize = 6;

/// A weakness at a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) rule: usize,
    pub(crate) line: u32,
    /// The line where the tainted value came in, or 0.
    pub(crate) from: u32,
}

/// What the taint pass found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) hits: Vec<Hit>,
    pub(crate) cut: Option<Unread>,
}

/// A file that takes part: the first one is judged, the others are followed into.
pub(crate) struct Module<'a> {
    /// The name by which it is imported.
    pub(crate) name: String,
    pub(crate) unit: Rc<Unit<'a>>,
}

/// What one activation of a function has collected.
#[derive(Debug, Default)]
struct Frame<'a> {
    unit: usize,
    returned: Option<Value<'a>>,
    /// Where loops and switches were left.
    left: Vec<Vec<Env<'a>>>,
    class: Option<&'a str>,
    /// Anonymous functions in it.
    lambdas: Vec<FuncId>,
    /// Whether what it returns goes to a browser.
    handler: bool,
}

pub(crate) struct Evaluator<'a, 'p> {
    pack: &'p Pack,
    table: &'p Table,
    modules: &'a [Module<'a>],
    text: &'a str,
    reach: Reach,
    imports: Vec<Map<&'a str, &'a str>>,
    functions: Map<(usize, &'a str), Vec<FuncId>>,
    methods: Map<(usize, &'a str, &'a str), Vec<FuncId>>,
    classes: Map<(usize, &'a str), Vec<(&'a str, Value<'a>)>>,
    globals: Vec<Option<Rc<Env<'a>>>>,
    /// Functions that were defined, with the variables around them.
    entries: Vec<(FuncRef, Rc<Env<'a>>)>,
    noted: HashSet<(usize, FuncId), foldhash::fast::RandomState>,
    /// What texts the file has, by the expression that asks for them.
    required: RefCell<Map<usize, bool>>,
    /// Keyed collections that keep what visitors are recognised by, by their paths.
    session_stores: HashSet<Rc<str>>,
    frame: Frame<'a>,
    stack: Vec<FuncRef>,
    /// The line in the judged file from where another one is followed.
    call_line: u32,
    steps: usize,
    depth: usize,
    cut: Option<Unread>,
    hits: BTreeMap<(usize, u32), Hit>,
    /// Room in which texts are put together.
    text_room: String,
}

/// Runs the first module.
pub(crate) fn evaluate<'a>(
    pack: &Pack,
    table: &Table,
    modules: &'a [Module<'a>],
    (text, reach): (&'a str, Reach),
) -> Outcome {
    let mut evaluator = Evaluator::new(pack, table, modules, (text, reach));
    evaluator.run();
    Outcome { hits: evaluator.hits.into_values().collect(), cut: evaluator.cut }
}

impl<'a, 'p> Evaluator<'a, 'p> {
    fn new(
        pack: &'p Pack,
        table: &'p Table,
        modules: &'a [Module<'a>],
        (text, reach): (&'a str, Reach),
    ) -> Self {
        let mut functions: Map<_, Vec<FuncId>> = Map::default();
        let mut methods: Map<_, Vec<FuncId>> = Map::default();
        for (at, module) in modules.iter().enumerate() {
            for (id, func) in module.unit.functions.iter().enumerate() {
                if func.anonymous {
                    continue;
                }
                functions.entry((at, func.name)).or_default().push(id);
                if let Some(class) = func.class {
                    methods.entry((at, class, func.name)).or_default().push(id);
                }
            }
        }
        Self {
            pack,
            table,
            modules,
            text,
            reach,
            imports: modules.iter().map(|_| Map::default()).collect(),
            functions,
            methods,
            classes: Map::default(),
            globals: modules.iter().map(|_| None).collect(),
            entries: Vec::new(),
            noted: HashSet::default(),
            required: RefCell::default(),
            session_stores: HashSet::new(),
            frame: Frame::default(),
            stack: Vec::new(),
            call_line: 0,
            steps: 0,
            depth: 0,
            cut: None,
            hits: BTreeMap::new(),
            text_room: String::new(),
        }
    }

    fn run(&mut self) {
        let globals = self.module_env(0);
        // every function is a beginning of its own: who calls it is not known
        let mut done = 0;
        while let Some((reference, around)) = self.entries.get(done).cloned() {
            done += 1;
            if reference.unit != 0 {
                continue;
            }
            if self.reach.is_outermost(reference.func) && !self.reach.runs(reference.func) {
                // what it would have defined is not run either, whoever calls it
                let inside = self.reach.inside(reference.func).map(|func| (0, func));
                self.noted.extend(inside);
                continue;
            }
            self.enter(reference, Env::within(around));
        }
        // definitions in code that is never reached are beginnings as well
        let count = self.modules.first().map_or(0, |module| module.unit.functions.len());
        for func in 0..count {
            if self.noted.insert((0, func)) && self.reach.runs(func) {
                self.enter(FuncRef { unit: 0, func }, Env::within(Rc::clone(&globals)));
            }
        }
    }

    /// The variables of a module after its body has run.
    fn module_env(&mut self, at: usize) -> Rc<Env<'a>> {
        match self.globals.get(at) {
            Some(Some(env)) => return Rc::clone(env),
            Some(None) => {}
            None => return Rc::default(),
        }
        if let Some(slot) = self.globals.get_mut(at) {
            // a module that imports itself, over however many others, sees nothing
            *slot = Some(Rc::default());
        }
        let Some(module) = self.modules.get(at) else { return Rc::default() };
        let outer = std::mem::replace(&mut self.frame, Frame { unit: at, ..Frame::default() });
        let mut env = Env::default();
        self.block(&module.unit.body, &mut env);
        let lambdas = std::mem::take(&mut self.frame.lambdas);
        self.note(&lambdas, &env);
        self.frame = outer;
        let env = Rc::new(env);
        if let Some(slot) = self.globals.get_mut(at) {
            *slot = Some(Rc::clone(&env));
        }
        env
    }

    fn function(&self, reference: FuncRef) -> Option<&'a Func<'a>> {
        self.modules.get(reference.unit)?.unit.functions.get(reference.func)
    }

    /// Runs a function that nobody calls, with what its parameters say about themselves.
    fn enter(&mut self, reference: FuncRef, mut env: Env<'a>) {
        let Some(func) = self.function(reference) else { return };
        let handler = self.handler_kind(func);
        self.bind_class(reference.unit, func, &mut env);
        for param in &func.params {
            let mut value = Value::of_path(param.name);
            if let Some(ty) = param.ty {
                value.ty = Some(self.type_path(reference.unit, ty).into());
            }
            if let Some(default) = &param.default {
                self.eval(default, &mut env);
            }
            let taint = self.param_taint(param, handler, func);
            if taint != 0 {
                value.taint = taint;
                value.from = func.line;
            }
            for name in param.names.iter().chain([&param.name]) {
                env.insert(name, value.clone());
            }
        }
        let frame = Frame {
            unit: reference.unit,
            class: func.class,
            handler: handler.is_some() && !func.anonymous,
            ..Frame::default()
        };
        let outer = std::mem::replace(&mut self.frame, frame);
        self.stack.push(reference);
        self.block(&func.body, &mut env);
        self.stack.pop();
        let lambdas = std::mem::take(&mut self.frame.lambdas);
        self.note(&lambdas, &env);
        self.frame = outer;
    }

    /// Whether the judged file has a text. Asked often, found out once.
    fn required(&self, expression: &'p Regex) -> bool {
        let key = std::ptr::from_ref(expression).addr();
        *self.required.borrow_mut().entry(key).or_insert_with(|| expression.is_match(self.text))
    }

    /// The fields of the class around a method, and the object itself.
    fn bind_class(&self, unit: usize, func: &Func<'a>, env: &mut Env<'a>) {
        let Some(class) = func.class else { return };
        let mut this = Value { class: Some((unit, class)), ..Value::default() };
        for (name, value) in self.classes.get(&(unit, class)).into_iter().flatten() {
            env.insert(name, value.clone());
            this.set_part(Some(name), value.clone());
        }
        for name in ["this", "self"] {
            env.insert(name, this.clone());
        }
    }

    /// Whether a function answers requests; if so, whether its parameters carry user input.
    fn handler_kind(&self, func: &Func<'a>) -> Option<bool> {
        let marks = || func.marks.iter().map(|mark| mark.text);
        self.table
            .handlers
            .iter()
            .filter(|handler| {
                let marked = handler.marks.as_ref().map(|re| marks().any(|text| re.is_match(text)));
                let based =
                    handler.bases.as_ref().map(|re| func.bases.iter().any(|b| re.is_match(b)));
                matches!((marked, based), (Some(true), None | Some(true)) | (None, Some(true)))
            })
            .map(|handler| handler.tainted)
            .reduce(|a, b| a || b)
    }

    fn param_taint(
        &self,
        param: &crate::ir::Param<'a>,
        handler: Option<bool>,
        func: &Func<'a>,
    ) -> Taint {
        if matches!(param.name, "self" | "this" | "cls") || param.ty.is_some_and(is_plain_type) {
            return 0;
        }
        if let Some(ty) = param.ty {
            let path = self.type_path(0, ty);
            let found = self.table.source_types.iter().find(|(name, _, requires)| {
                crate::paths::ends_with(&path, name)
                    && requires.as_ref().is_none_or(|requires| self.required(requires))
            });
            // a `Path` of the standard library is no part of a request
            if let Some((_, taint, _)) = found.filter(|_| !path.starts_with("std.")) {
                return *taint;
            }
        }
        for (mark, taint) in &self.table.source_marks {
            if mark.is_match(param.marks) {
                return *taint;
            }
        }
        let injected = param.default.as_ref().is_some_and(|default| is_injected(default))
            || matches!(param.name, "request" | "req" | "res" | "response" | "next" | "db" | "ctx")
            || param.ty.is_some_and(|ty| ty.starts_with('I') || ty.contains("Session"));
        if handler == Some(true) && !injected && !func.anonymous { self.pack.all_user } else { 0 }
    }

    /// A type's full path, over the imports.
    fn type_path(&self, unit: usize, ty: &str) -> String {
        let ty = ty.replace("::", ".");
        let (first, rest) = ty.split_once('.').map_or((ty.as_str(), None), |(a, b)| (a, Some(b)));
        let first = self.imports.get(unit).and_then(|names| names.get(first)).unwrap_or(&first);
        match rest {
            Some(rest) => format!("{first}.{rest}"),
            None => (*first).to_owned(),
        }
    }

    /// Parts as one text.
    fn glued(&mut self, parts: &[&str]) -> Rc<str> {
        self.text_room.clear();
        parts.iter().for_each(|part| self.text_room.push_str(part));
        Rc::from(self.text_room.as_str())
    }

    /// Counts a step; `false` if there are none left.
    fn step(&mut self) -> bool {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            self.cut = Some(Unread::AnalysisBudget);
        }
        self.steps <= MAX_STEPS
    }
}

/// Types whose values carry no injection.
fn is_plain_type(ty: &str) -> bool {
    matches!(
        ty,
        "int"
            | "long"
            | "float"
            | "double"
            | "bool"
            | "boolean"
            | "Integer"
            | "Long"
            | "Boolean"
            | "UUID"
            | "uuid.UUID"
            | "Guid"
            | "DateTime"
            | "date"
            | "datetime"
            | "number"
            | "short"
            | "decimal"
            | "Decimal"
            | "CancellationToken"
    )
}

/// Whether a parameter is filled in by the framework and not by the request.
fn is_injected(default: &crate::ir::Expr<'_>) -> bool {
    use crate::ir::ExprKind::{Attr, Call, Name};
    let Call { callee, .. } = &default.kind else { return false };
    match callee.kind {
        Name(name) | Attr(_, name) => matches!(name, "Depends" | "Security"),
        _ => false,
    }
}

fn known(truth: bool) -> Value<'static> {
    Value::constant(Const::Bool(truth))
}
