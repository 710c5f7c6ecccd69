//! Which functions of a file can lead to a finding.
//!
//! A call is found by the words of its path. They stand in the function that makes the call, in one
//! that it calls, or in the code around, from where values with paths of their own may come. Where
//! all of these together lack a word that every rule needs, running the function finds nothing.
//!
//! Calls are followed by name alone, whatever they are called on: more is taken to be reached than
//! is. What changes a module's names for all of its functions (an import, a class) makes a function
//! count as code around.

use std::cell::OnceCell;

use crate::env::Map;
use crate::eval::Module;
use crate::ir::{Expr, ExprKind, FuncId, Stmt, Switch, Unit};
use crate::needs::{Needs, Seen, Wanted, words};

/// The longest text that may be a key, in bytes.
const MAX_KEY: usize = 100;

/// What stands in a part of a file.
#[derive(Debug, Default)]
struct Part {
    seen: Seen,
    /// Names that may be functions or classes. Two that are taken for one only add to what is reached.
    names: Vec<u64>,
}

/// What the parts of a file hold.
#[derive(Debug, Default)]
struct Parts {
    /// The code around all functions.
    around: Part,
    /// What is called there for nothing but what it does.
    dropped: Vec<u64>,
    /// By function; nothing for those that are inside of others.
    functions: Vec<Option<Part>>,
    /// The outermost function around each; none for what runs with the code around.
    owners: Vec<Option<FuncId>>,
}

/// The parts of a unit, found out once.
#[derive(Debug, Default)]
pub(crate) struct KnownParts(OnceCell<Parts>);

impl KnownParts {
    fn of(&self, unit: &Unit<'_>, needs: &Needs) -> &Parts {
        self.0.get_or_init(|| parts_of(unit, needs))
    }
}

/// Which functions of the judged file are worth running.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// By function.
    runs: Vec<bool>,
    owners: Vec<Option<FuncId>>,
    around: bool,
}

impl Reach {
    /// Whether running anything can find something.
    pub(crate) fn anything(&self) -> bool {
        self.around || self.runs.contains(&true)
    }

    /// Whether a function has to be run.
    pub(crate) fn runs(&self, func: FuncId) -> bool {
        self.runs.get(func).copied().unwrap_or(true)
    }

    /// Whether a function stands inside of no other.
    pub(crate) fn is_outermost(&self, func: FuncId) -> bool {
        self.owners.get(func).copied().flatten() == Some(func)
    }

    /// The functions inside of one.
    pub(crate) fn inside(&self, func: FuncId) -> impl Iterator<Item = FuncId> {
        let with_owners = self.owners.iter().enumerate();
        with_owners.filter(move |(_, owner)| **owner == Some(func)).map(|(inner, _)| inner)
    }
}

/// Looks what can be reached from each function of the first module.
pub(crate) fn reach(modules: &[Module<'_>], needs: &Needs, wanted: &Wanted<'_>) -> Reach {
    let Some(judged) = modules.first() else { return Reach::default() };
    let parts: Vec<&Parts> =
        modules.iter().map(|module| module.unit.parts.of(&module.unit, needs)).collect();
    let Some(own) = parts.first() else { return Reach::default() };
    if wanted.everything {
        let runs = vec![true; judged.unit.functions.len()];
        return Reach { runs, owners: own.owners.clone(), around: true };
    }
    let mut graph = Graph::new(modules, &parts);
    let mut around = needs.none();
    let (mut called, mut dropped) = (Vec::new(), Vec::new());
    for parts in &parts {
        around.join(&parts.around.seen);
        graph.called(&parts.around.names, &mut called);
        graph.called(&parts.dropped, &mut dropped);
    }
    let own_nodes = graph.nodes.iter().take_while(|node| node.unit == 0).count();
    let starts = (0..own_nodes).chain(called.iter().chain(&dropped).copied()).collect();
    graph.settle(starts);
    let join = |seen: &mut Seen, nodes: &[usize]| {
        nodes.iter().filter_map(|at| graph.nodes.get(*at)).for_each(|node| seen.join(&node.seen));
    };
    join(&mut around, &called);
    let mut at_start = around.clone();
    join(&mut at_start, &dropped);
    let mut runs = vec![true; judged.unit.functions.len()];
    for (func, owner) in own.owners.iter().enumerate() {
        let node = graph.nodes.iter().take(own_nodes).find(|node| Some(node.func) == *owner);
        if let (Some(node), Some(runs)) = (node, runs.get_mut(func)) {
            let mut seen = around.clone();
            seen.join(&node.seen);
            *runs = wanted.may_be_in(&seen);
        }
    }
    Reach { runs, owners: own.owners.clone(), around: wanted.may_be_in(&at_start) }
}

/// An outermost function.
struct Node<'p> {
    unit: usize,
    func: FuncId,
    names: &'p [u64],
    /// What is seen in it and in all that it calls.
    seen: Seen,
    calls: Vec<usize>,
    is_met: bool,
}

struct Graph<'p> {
    nodes: Vec<Node<'p>>,
    by_name: Map<u64, Vec<usize>>,
}

impl<'p> Graph<'p> {
    fn new(modules: &[Module<'_>], parts: &[&'p Parts]) -> Self {
        let mut graph = Self { nodes: Vec::new(), by_name: Map::default() };
        for (unit, (module, parts)) in modules.iter().zip(parts).enumerate() {
            let functions = module.unit.functions.iter().zip(&parts.functions).enumerate();
            for (func, (function, part)) in functions {
                // what stands inside of another function is a part of that one
                let Some(part) = part else { continue };
                let at = graph.nodes.len();
                graph.by_name.entry(number_of(function.name)).or_default().push(at);
                if let Some(class) = function.class
                    && matches!(function.name, "__init__" | "constructor")
                {
                    graph.by_name.entry(number_of(class)).or_default().push(at);
                }
                graph.nodes.push(Node {
                    unit,
                    func,
                    names: &part.names,
                    seen: part.seen.clone(),
                    calls: Vec::new(),
                    is_met: false,
                });
            }
        }
        graph
    }

    fn called(&self, names: &[u64], called: &mut Vec<usize>) {
        for name in names {
            called.extend(self.by_name.get(name).into_iter().flatten());
        }
    }

    /// Lets each function that is reached see what those that it calls see.
    fn settle(&mut self, from: Vec<usize>) {
        let mut waiting = from;
        let mut met = Vec::new();
        while let Some(at) = waiting.pop() {
            let Some(names) = self.nodes.get(at).filter(|node| !node.is_met).map(|node| node.names)
            else {
                continue;
            };
            let mut calls = Vec::new();
            self.called(names, &mut calls);
            calls.sort_unstable();
            calls.dedup();
            waiting.extend(&calls);
            met.push(at);
            if let Some(node) = self.nodes.get_mut(at) {
                node.is_met = true;
                node.calls = calls;
            }
        }
        let mut changed = true;
        while changed {
            changed = false;
            // what was met last is called by what was met before
            for at in met.iter().rev() {
                let Some(node) = self.nodes.get(*at) else { continue };
                let mut seen = node.seen.clone();
                for called in node.calls.iter().filter_map(|called| self.nodes.get(*called)) {
                    seen.join(&called.seen);
                }
                if let Some(node) = self.nodes.get_mut(*at)
                    && node.seen != seen
                {
                    node.seen = seen;
                    changed = true;
                }
            }
        }
    }
}

fn parts_of(unit: &Unit<'_>, needs: &Needs) -> Parts {
    let count = unit.functions.len();
    let mut walk = Walk {
        unit,
        needs,
        around: Part { seen: needs.none(), names: Vec::new() },
        dropped: Vec::new(),
        inside: None,
        owner: None,
        is_shared: false,
        functions: (0..count).map(|_| None).collect(),
        owners: vec![None; count],
    };
    walk.block(&unit.body);
    let Walk { mut around, mut functions, owners, dropped, .. } = walk;
    for part in functions.iter_mut().flatten().chain([&mut around]) {
        part.names.sort_unstable();
        part.names.dedup();
    }
    Parts { around, dropped, functions, owners }
}

/// A number for a name, the same for the same name.
fn number_of(name: &str) -> u64 {
    use std::hash::BuildHasher as _;
    foldhash::fast::FixedState::default().hash_one(name)
}

/// Goes through a unit and takes down the words of each part.
struct Walk<'u, 'a> {
    unit: &'u Unit<'a>,
    needs: &'u Needs,
    around: Part,
    dropped: Vec<u64>,
    /// The part of the function that is gone through.
    inside: Option<Part>,
    owner: Option<FuncId>,
    /// Whether functions here count as code around, because what they stand in does.
    is_shared: bool,
    functions: Vec<Option<Part>>,
    owners: Vec<Option<FuncId>>,
}

impl<'u, 'a> Walk<'u, 'a> {
    /// A name that may stand for a function, or several with dots between.
    fn name(&mut self, name: &str) {
        let needs = self.needs;
        let part = self.inside.as_mut().unwrap_or(&mut self.around);
        let mut is_word = false;
        for word in words(name) {
            needs.mark(&mut part.seen, word);
            part.names.push(number_of(word));
            is_word = word.len() == name.len();
        }
        if !is_word {
            part.names.push(number_of(name));
        }
    }

    /// A name that stands for no function.
    fn word(&mut self, name: &str) {
        let needs = self.needs;
        let part = self.inside.as_mut().unwrap_or(&mut self.around);
        words(name).for_each(|word| needs.mark(&mut part.seen, word));
    }

    fn block(&mut self, body: &'u [Stmt<'a>]) {
        body.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &'u Stmt<'a>) {
        match statement {
            Stmt::Expr(expression) if self.owner.is_none() => self.dropped(expression),
            Stmt::Expr(expression) => self.expression(expression),
            Stmt::Declare { name, ty, value } => {
                self.word(name);
                if let Some(ty) = ty {
                    self.word(ty);
                }
                self.expressions(value);
            }
            Stmt::If { test, then, otherwise } => {
                self.expression(test);
                self.block(then);
                self.block(otherwise);
            }
            Stmt::Loop { bind, test, body } => {
                if let Some((target, source)) = bind {
                    self.expression(target);
                    self.expression(source);
                }
                self.expressions(test);
                self.block(body);
            }
            Stmt::Return(value) | Stmt::Raise(value) => self.expressions(value),
            Stmt::Break | Stmt::Continue => {}
            Stmt::Try { body, handlers, finally } => {
                self.block(body);
                for (name, handler) in handlers {
                    name.iter().for_each(|name| self.word(name));
                    self.block(handler);
                }
                self.block(finally);
            }
            Stmt::Func(id) => self.function(*id),
            Stmt::Class { name, body } => {
                self.word(name);
                self.block(body);
            }
            Stmt::Import { name, path } => {
                self.word(path);
                // under its own name it is called by that
                let last = crate::paths::last_part(path);
                if *name != last {
                    self.name(last);
                }
            }
        }
    }

    /// An expression whose value nothing takes: a function that is called there leaves nothing
    /// behind for others.
    fn dropped(&mut self, expression: &'u Expr<'a>) {
        let ExprKind::Call { callee, args, .. } = &expression.kind else {
            return self.expression(expression);
        };
        match &callee.kind {
            ExprKind::Name(name) => {
                self.word(name);
                self.dropped.push(number_of(name));
            }
            ExprKind::Attr(base, name @ ("exit" | "_exit" | "run"))
                if matches!(base.kind, ExprKind::Name(_)) =>
            {
                self.expression(base);
                self.word(name);
            }
            _ => return self.expression(expression),
        }
        for arg in args {
            arg.name.iter().for_each(|name| self.word(name));
            self.dropped(&arg.value);
        }
    }

    fn function(&mut self, id: FuncId) {
        let Some(func) = self.unit.functions.get(id) else { return };
        if self.owner.is_some() || self.is_shared {
            return self.inner(id);
        }
        if func.shares {
            return self.shared(id);
        }
        self.owner = Some(id);
        self.inside = Some(Part { seen: self.needs.none(), names: Vec::new() });
        self.inner(id);
        self.owner = None;
        if let Some(slot) = self.functions.get_mut(id) {
            *slot = self.inside.take();
        }
    }

    /// A function without a name: what holds it is not known.
    fn lambda(&mut self, id: FuncId) {
        if self.owner.is_some() { self.inner(id) } else { self.shared(id) }
    }

    /// A function that counts as code around.
    fn shared(&mut self, id: FuncId) {
        let outer = std::mem::replace(&mut self.is_shared, true);
        self.inner(id);
        self.is_shared = outer;
    }

    fn inner(&mut self, id: FuncId) {
        let unit = self.unit;
        let Some(func) = unit.functions.get(id) else { return };
        if let Some(owner) = self.owners.get_mut(id) {
            *owner = self.owner;
        }
        for param in &func.params {
            self.word(param.name);
            param.names.iter().for_each(|name| self.word(name));
            param.ty.iter().for_each(|ty| self.word(ty));
            self.expressions(&param.default);
        }
        self.block(&func.body);
    }

    fn expressions(&mut self, expressions: impl IntoIterator<Item = &'u Expr<'a>>) {
        expressions.into_iter().for_each(|expression| self.expression(expression));
    }

    fn expression(&mut self, expression: &'u Expr<'a>) {
        match &expression.kind {
            // the key of a field, or the name of a module
            ExprKind::Str(text) if text.len() <= MAX_KEY && !text.contains(' ') => self.word(text),
            ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::Null => {}
            ExprKind::Name(name) => self.name(name),
            ExprKind::Attr(base, name) => {
                self.expression(base);
                self.name(name);
            }
            ExprKind::Index(one, other) | ExprKind::Binary(_, one, other) => {
                self.expression(one);
                self.expression(other);
            }
            ExprKind::Slice(base, start, end) => {
                self.expression(base);
                start.iter().chain(end).for_each(|bound| self.expression(bound));
            }
            ExprKind::Call { callee, args, .. } => {
                self.expression(callee);
                for arg in args {
                    arg.name.iter().for_each(|name| self.word(name));
                    self.expression(&arg.value);
                }
            }
            ExprKind::Not(inside) | ExprKind::Negate(inside) => self.expression(inside),
            ExprKind::Cond(test, then, otherwise) => {
                [test, then, otherwise].into_iter().for_each(|part| self.expression(part));
            }
            ExprKind::Interp(parts) | ExprKind::List(parts) | ExprKind::Other(parts) => {
                self.expressions(parts);
            }
            ExprKind::Map(pairs) => {
                for (key, value) in pairs {
                    match key.as_ref().map(|key| &key.kind) {
                        // taken apart, an object gives its fields by these names
                        Some(ExprKind::Str(name)) => self.name(name),
                        _ => self.expressions(key),
                    }
                    self.expression(value);
                }
            }
            ExprKind::Assign { targets, value, .. } => {
                self.expressions(targets);
                self.expression(value);
            }
            ExprKind::Lambda(id) => self.lambda(*id),
            ExprKind::Block(body) => self.block(body),
            ExprKind::Switch(switch) => self.switch(switch),
            ExprKind::Each { bindings, conditions, value } => {
                for (target, source) in bindings {
                    self.expression(target);
                    self.expression(source);
                }
                self.expressions(conditions);
                self.expression(value);
            }
            ExprKind::Bind(value, name, ty) => {
                self.expression(value);
                self.word(name);
                ty.iter().for_each(|ty| self.word(ty));
            }
        }
    }

    fn switch(&mut self, switch: &'u Switch<'a>) {
        self.expressions(&switch.subject);
        for case in &switch.cases {
            self.expressions(&case.values);
            case.binds.iter().for_each(|name| self.word(name));
            self.block(&case.body);
        }
    }
}
