//! What the taint pass reads: one small tree for all languages, made by [`crate::lower`].
//!
//! It keeps what values flow through (names, calls, assignments, branches) and drops the rest.
//! Texts are slices of the source.

use crate::reach::KnownParts;

/// Number of a function in [`Unit::functions`].
pub(crate) type FuncId = usize;

/// A file as the taint pass sees it.
#[derive(Debug, Default)]
pub(crate) struct Unit<'a> {
    pub(crate) body: Vec<Stmt<'a>>,
    pub(crate) functions: Vec<Func<'a>>,
    /// What is imported, as written.
    pub(crate) modules: Vec<String>,
    /// What its parts hold, for [`crate::reach`].
    pub(crate) parts: KnownParts,
    /// Why something was left out, if it was.
    pub(crate) cut: Option<&'static str>,
}

/// A function, method, lambda or closure.
#[derive(Debug)]
pub(crate) struct Func<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: Option<&'a str>,
    pub(crate) params: Vec<Param<'a>>,
    pub(crate) body: Vec<Stmt<'a>>,
    /// Decorators, annotations and attributes, its own and its class's.
    pub(crate) marks: Vec<Mark<'a>>,
    /// Marks of the class alone.
    pub(crate) class_marks: Vec<Mark<'a>>,
    /// Base classes of its class.
    pub(crate) bases: Vec<&'a str>,
    pub(crate) line: u32,
    /// The whole text, for rules about what a handler mentions.
    pub(crate) text: &'a str,
    /// Whether it is an anonymous function in an expression.
    pub(crate) anonymous: bool,
    /// Whether there are imports or classes in it, which other functions see.
    pub(crate) shares: bool,
}

/// A decorator, annotation or attribute.
#[derive(Debug, Clone)]
pub(crate) struct Mark<'a> {
    /// All of it.
    pub(crate) text: &'a str,
}

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) struct Param<'a> {
    pub(crate) name: &'a str,
    pub(crate) ty: Option<&'a str>,
    pub(crate) marks: &'a str,
    pub(crate) default: Option<Expr<'a>>,
    /// Further names bound by a pattern (`{ query }`, `Query(params)`).
    pub(crate) names: Vec<&'a str>,
}

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Expr<'a> {
    pub(crate) kind: ExprKind<'a>,
    pub(crate) line: u32,
}

/// One argument of a call.
#[derive(Debug, Clone)]
pub(crate) struct Arg<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) value: Expr<'a>,
}

/// What an expression is.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind<'a> {
    Str(&'a str),
    Int(i64),
    Bool(bool),
    Null,
    Name(&'a str),
    Attr(Box<Expr<'a>>, &'a str),
    Index(Box<Expr<'a>>, Box<Expr<'a>>),
    /// A part of a sequence; the bounds where they are given.
    Slice(Box<Expr<'a>>, Option<Box<Expr<'a>>>, Option<Box<Expr<'a>>>),
    Call {
        callee: Box<Expr<'a>>,
        args: Vec<Arg<'a>>,
        new: bool,
    },
    Binary(&'a str, Box<Expr<'a>>, Box<Expr<'a>>),
    Not(Box<Expr<'a>>),
    Negate(Box<Expr<'a>>),
    Cond(Box<Expr<'a>>, Box<Expr<'a>>, Box<Expr<'a>>),
    /// A string made of parts.
    Interp(Vec<Expr<'a>>),
    List(Vec<Expr<'a>>),
    /// Keys and values; a spread has no key.
    Map(Vec<(Option<Expr<'a>>, Expr<'a>)>),
    Assign {
        targets: Vec<Expr<'a>>,
        op: Option<&'a str>,
        value: Box<Expr<'a>>,
    },
    Lambda(FuncId),
    /// Statements whose last one is the value.
    Block(Vec<Stmt<'a>>),
    Switch(Box<Switch<'a>>),
    /// A comprehension: bindings, conditions, then what is yielded.
    Each {
        bindings: Vec<(Expr<'a>, Expr<'a>)>,
        conditions: Vec<Expr<'a>>,
        value: Box<Expr<'a>>,
    },
    /// A type test or cast by pattern that binds a name: value, name, type.
    Bind(Box<Expr<'a>>, &'a str, Option<&'a str>),
    /// Anything else: its parts.
    Other(Vec<Expr<'a>>),
}

/// A switch or match.
#[derive(Debug, Clone)]
pub(crate) struct Switch<'a> {
    pub(crate) subject: Option<Expr<'a>>,
    pub(crate) cases: Vec<Case<'a>>,
    /// Whether a case runs on into the next one unless it breaks.
    pub(crate) falls_through: bool,
}

/// One case of a switch.
#[derive(Debug, Clone)]
pub(crate) struct Case<'a> {
    /// Values that select it; nothing known about them if empty and not the default.
    pub(crate) values: Vec<Expr<'a>>,
    pub(crate) is_default: bool,
    /// Names that the pattern binds.
    pub(crate) binds: Vec<&'a str>,
    pub(crate) body: Vec<Stmt<'a>>,
}

/// A statement.
#[derive(Debug, Clone)]
pub(crate) enum Stmt<'a> {
    Expr(Expr<'a>),
    /// A declaration with a type: name, type, value.
    Declare {
        name: &'a str,
        ty: Option<&'a str>,
        value: Option<Expr<'a>>,
    },
    If {
        test: Expr<'a>,
        then: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Loop {
        bind: Option<(Expr<'a>, Expr<'a>)>,
        test: Option<Expr<'a>>,
        body: Vec<Self>,
    },
    Return(Option<Expr<'a>>),
    Raise(Option<Expr<'a>>),
    Break,
    Continue,
    Try {
        body: Vec<Self>,
        handlers: Vec<(Option<&'a str>, Vec<Self>)>,
        finally: Vec<Self>,
    },
    Func(FuncId),
    Class {
        name: &'a str,
        body: Vec<Self>,
    },
    /// A name and the full path that it stands for.
    Import {
        name: &'a str,
        path: String,
    },
}
