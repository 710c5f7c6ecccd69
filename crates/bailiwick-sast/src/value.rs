//! What is known of a value at one point of a program.

use std::rc::Rc;

use crate::ir::FuncId;

/// The rules that a value can still do harm to, one bit each.
pub(crate) type Taint = u64;

/// The most elements of a collection that are told apart.
const MAX_ELEMENTS: usize = 64;
/// How deep collections in collections are looked into.
const MAX_NESTING: usize = 5;

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Const {
    Str(Rc<str>),
    Int(i64),
    Bool(bool),
    Null,
}

impl Const {
    /// As a rule's condition sees it, and as the key of a collection.
    pub(crate) fn text(&self) -> Rc<str> {
        match self {
            Self::Str(text) => Rc::clone(text),
            Self::Int(number) => number.to_string().into(),
            Self::Bool(truth) => if *truth { "true" } else { "false" }.into(),
            Self::Null => "null".into(),
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Str(text) => !text.is_empty(),
            Self::Int(number) => *number != 0,
            Self::Bool(truth) => *truth,
            Self::Null => false,
        }
    }
}

/// What a collection or an object contains.
#[derive(Debug, Clone)]
pub(crate) enum Shape<'a> {
    List(Vec<Value<'a>>),
    /// Known keys, and all else joined.
    Fields {
        known: Vec<(Rc<str>, Value<'a>)>,
        rest: Option<Box<Value<'a>>>,
    },
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self::Fields { known: Vec::new(), rest: None }
    }
}

/// A function of this program, by the number of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FuncRef {
    pub(crate) unit: usize,
    pub(crate) func: FuncId,
}

/// A few names, which copies share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names<'a>(Option<Rc<[&'a str]>>);

impl<'a> Names<'a> {
    /// The most that are kept.
    const MAX: usize = 8;

    pub(crate) fn all(&self) -> &[&'a str] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Adds those that are not there, as long as there is room.
    pub(crate) fn add(&mut self, names: &[&'a str]) {
        let mine = self.all();
        let is_new = |name: &&'a str| !mine.contains(name);
        if mine.len() >= Self::MAX || !names.iter().any(is_new) {
            return;
        }
        if mine.is_empty() && names.len() == 1 {
            self.0 = Some(names.into());
            return;
        }
        let mut all = mine.to_vec();
        for name in names {
            if all.len() < Self::MAX && !all.contains(name) {
                all.push(name);
            }
        }
        self.0 = Some(all.into());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.all().contains(&name) {
            self.0 = Some(self.all().iter().copied().filter(|other| *other != name).collect());
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

/// What is known of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Value<'a> {
    pub(crate) taint: Taint,
    /// The line where the taint came in.
    pub(crate) from: u32,
    pub(crate) constant: Option<Const>,
    /// The few constants that it may be, when it is not known which.
    pub(crate) options: Option<Rc<[Rc<str>]>>,
    /// Where it came from: `os.path`, `flask.request.args.get()`.
    pub(crate) path: Option<Rc<str>>,
    /// The declared type.
    pub(crate) ty: Option<Rc<str>>,
    pub(crate) shape: Option<Rc<Shape<'a>>>,
    /// What a text begins with, if that is known.
    pub(crate) prefix: Option<Rc<str>>,
    /// The variables that it was made from.
    pub(crate) made_from: Names<'a>,
    pub(crate) func: Option<FuncRef>,
    /// The class that it is (`is_class`) or is an instance of.
    pub(crate) class: Option<(usize, &'a str)>,
    pub(crate) is_class: bool,
}

impl<'a> Value<'a> {
    pub(crate) fn constant(constant: Const) -> Self {
        Self { constant: Some(constant), ..Self::default() }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::constant(Const::Str(text.into()))
    }

    pub(crate) fn of_path(path: &str) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    pub(crate) fn of_shape(shape: Shape<'a>) -> Self {
        Self { shape: Some(Rc::new(shape)), ..Self::default() }
    }

    /// Its taint and that of all that it contains.
    pub(crate) fn deep_taint(&self) -> Taint {
        self.taint_within(MAX_NESTING)
    }

    fn taint_within(&self, depth: usize) -> Taint {
        let Some(shape) = self.shape.as_deref().filter(|_| depth > 0) else { return self.taint };
        let inside = match shape {
            Shape::List(items) => {
                items.iter().fold(0, |all, item| all | item.taint_within(depth - 1))
            }
            Shape::Fields { known, rest } => known
                .iter()
                .map(|(_, value)| value)
                .chain(rest.as_deref())
                .fold(0, |all, value| all | value.taint_within(depth - 1)),
        };
        self.taint | inside
    }

    /// The first line that a tainted part came from.
    pub(crate) fn deep_from(&self) -> u32 {
        if self.taint != 0 {
            return self.from;
        }
        match self.shape.as_deref() {
            Some(Shape::List(items)) => {
                items.iter().find(|item| item.taint != 0).map_or(0, |item| item.from)
            }
            Some(Shape::Fields { known, rest }) => known
                .iter()
                .map(|(_, value)| value)
                .chain(rest.as_deref())
                .find(|value| value.taint != 0)
                .map_or(0, |value| value.from),
            None => 0,
        }
    }

    /// A value of which only the taint is known.
    pub(crate) fn flattened(&self) -> Self {
        Self {
            taint: self.deep_taint(),
            from: self.deep_from(),
            made_from: self.made_from.clone(),
            ..Self::default()
        }
    }

    /// Takes bits of taint away, inside as well.
    pub(crate) fn clean(&mut self, bits: Taint) {
        self.clean_within(bits, MAX_NESTING);
    }

    fn clean_within(&mut self, bits: Taint, depth: usize) {
        self.taint &= !bits;
        let Some(shape) = self.shape.as_mut().filter(|_| depth > 0) else { return };
        match Rc::make_mut(shape) {
            Shape::List(items) => {
                items.iter_mut().for_each(|item| item.clean_within(bits, depth - 1));
            }
            Shape::Fields { known, rest } => {
                known.iter_mut().for_each(|(_, value)| value.clean_within(bits, depth - 1));
                if let Some(rest) = rest {
                    rest.clean_within(bits, depth - 1);
                }
            }
        }
    }

    /// Adds another's taint.
    pub(crate) fn absorb(&mut self, other: &Self) {
        let taint = other.deep_taint();
        if self.taint == 0 && taint != 0 {
            self.from = other.deep_from();
        }
        self.taint |= taint;
        self.made_from.add(other.made_from.all());
    }

    /// What it is when it may be either.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        self.joined_within(other, MAX_NESTING)
    }

    fn joined_within(&self, other: &Self, depth: usize) -> Self {
        fn same<T: Clone + PartialEq>(a: &Option<T>, b: &Option<T>) -> Option<T> {
            a.as_ref().filter(|_| a == b).cloned()
        }
        let either = |a: &Option<Rc<str>>, b: &Option<Rc<str>>| match (a, b) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => a.as_ref().or(b.as_ref()).cloned(),
        };
        let shape = match (&self.shape, &other.shape) {
            (Some(a), Some(b)) if Rc::ptr_eq(a, b) => Some(Rc::clone(a)),
            (Some(a), Some(b)) if depth > 0 => Some(Rc::new(join_shapes(a, b, depth - 1))),
            (Some(a), None) | (None, Some(a)) => Some(Rc::clone(a)),
            _ => None,
        };
        let constant = same(&self.constant, &other.constant);
        let options = if constant.is_some() { None } else { join_options(self, other) };
        let mut joined = Self {
            options,
            taint: self.taint | other.taint,
            from: if self.taint == 0 { other.from } else { self.from },
            constant,
            path: either(&self.path, &other.path),
            ty: either(&self.ty, &other.ty),
            shape,
            prefix: same(&self.start(), &other.start()),
            made_from: self.made_from.clone(),
            func: same(&self.func, &other.func),
            class: self.class.or(other.class),
            is_class: self.is_class && other.is_class,
        };
        joined.made_from.add(other.made_from.all());
        joined
    }

    /// Whether joined with itself it stays as it is. With one exception every value does: what a
    /// constant begins with is written down by a join.
    pub(crate) fn is_settled(&self) -> bool {
        match (&self.constant, &self.prefix) {
            (None, _) => true,
            (Some(Const::Str(text)), Some(prefix)) => Rc::ptr_eq(text, prefix) || text == prefix,
            (Some(constant), Some(prefix)) => constant.text() == *prefix,
            (Some(_), None) => false,
        }
    }

    /// What the text begins with.
    pub(crate) fn start(&self) -> Option<Rc<str>> {
        match &self.constant {
            Some(constant) => Some(constant.text()),
            None => self.prefix.clone(),
        }
    }

    /// A part by key.
    pub(crate) fn part(&self, key: &str) -> Option<Self> {
        match self.shape.as_deref()? {
            Shape::List(items) => {
                let index: i64 = key.parse().ok()?;
                let length = i64::try_from(items.len()).ok()?;
                let index = if index < 0 { index + length } else { index };
                items.get(usize::try_from(index).ok()?).cloned()
            }
            Shape::Fields { known, rest } => known
                .iter()
                .find(|(name, _)| **name == *key)
                .map(|(_, value)| value.clone())
                .or_else(|| rest.as_deref().cloned()),
        }
    }

    /// All parts joined.
    pub(crate) fn any_part(&self) -> Option<Self> {
        let parts: Vec<&Self> = match self.shape.as_deref()? {
            Shape::List(items) => items.iter().collect(),
            Shape::Fields { known, rest } => {
                known.iter().map(|(_, value)| value).chain(rest.as_deref()).collect()
            }
        };
        let mut parts = parts.into_iter();
        let first = parts.next()?.clone();
        Some(parts.fold(first, |all, part| all.joined(part)))
    }

    /// Puts a part in. Without a key it may be anywhere.
    pub(crate) fn set_part(&mut self, key: Option<&str>, value: Self) {
        let shape = self.shape.get_or_insert_with(|| Rc::new(Shape::default()));
        let shape = Rc::make_mut(shape);
        if let (Shape::List(items), Some(key)) = (&mut *shape, key)
            && let Some(slot) = key.parse::<usize>().ok().and_then(|at| items.get_mut(at))
        {
            *slot = value;
            return;
        }
        if let Shape::List(items) = shape {
            let rest = items.drain(..).reduce(|all, item| all.joined(&item)).map(Box::new);
            *shape = Shape::Fields { known: Vec::new(), rest };
        }
        let Shape::Fields { known, rest } = shape else { return };
        match key {
            Some(key) => {
                if let Some((_, slot)) = known.iter_mut().find(|(name, _)| **name == *key) {
                    *slot = value;
                } else if known.len() < MAX_ELEMENTS {
                    known.push((key.into(), value));
                } else {
                    add_rest(rest, &value);
                }
            }
            None => add_rest(rest, &value),
        }
    }

    /// Adds an element at the end or at the front of a list.
    pub(crate) fn push(&mut self, value: Self, front: bool) {
        let shape = self.shape.get_or_insert_with(|| Rc::new(Shape::List(Vec::new())));
        match Rc::make_mut(shape) {
            Shape::List(items) if items.len() < MAX_ELEMENTS => {
                let at = if front { 0 } else { items.len() };
                items.insert(at, value);
            }
            Shape::List(items) => {
                if let Some(last) = items.last_mut() {
                    *last = last.joined(&value);
                }
            }
            Shape::Fields { rest, .. } => add_rest(rest, &value),
        }
    }

    /// Takes an element out of a list whose contents are known.
    pub(crate) fn take_element(&mut self, index: i64) -> Option<Self> {
        let Shape::List(items) = Rc::make_mut(self.shape.as_mut()?) else { return None };
        let length = i64::try_from(items.len()).ok()?;
        let index = usize::try_from(if index < 0 { index + length } else { index }).ok()?;
        (index < items.len()).then(|| items.remove(index))
    }
}

fn join_options(a: &Value<'_>, b: &Value<'_>) -> Option<Rc<[Rc<str>]>> {
    let is_open = |value: &Value<'_>| value.constant.is_none() && value.options.is_none();
    if is_open(a) || is_open(b) {
        return None;
    }
    let mut options: Vec<Rc<str>> = Vec::new();
    for value in [a, b] {
        let several = value.options.iter().flat_map(|options| options.iter().cloned());
        for text in value.constant.iter().map(Const::text).chain(several) {
            if !options.contains(&text) {
                options.push(text);
            }
        }
    }
    (options.len() <= 4).then(|| options.into())
}

fn add_rest<'a>(rest: &mut Option<Box<Value<'a>>>, value: &Value<'a>) {
    let joined = match rest.as_deref() {
        Some(old) => old.joined(value),
        None => value.clone(),
    };
    *rest = Some(Box::new(joined));
}

fn join_shapes<'a>(a: &Shape<'a>, b: &Shape<'a>, depth: usize) -> Shape<'a> {
    match (a, b) {
        (Shape::List(a), Shape::List(b)) if a.len() == b.len() => {
            Shape::List(a.iter().zip(b).map(|(a, b)| a.joined_within(b, depth)).collect())
        }
        (Shape::Fields { known: a, rest: a_rest }, Shape::Fields { known: b, rest: b_rest }) => {
            let mut known = a.clone();
            for (key, value) in b {
                match known.iter_mut().find(|(name, _)| name == key) {
                    Some((_, slot)) => *slot = slot.joined_within(value, depth),
                    None => known.push((Rc::clone(key), value.clone())),
                }
            }
            known.truncate(MAX_ELEMENTS * 2);
            let rest = match (a_rest, b_rest) {
                (Some(a), Some(b)) => Some(Box::new(a.joined_within(b, depth))),
                (a, b) => a.as_ref().or(b.as_ref()).cloned(),
            };
            Shape::Fields { known, rest }
        }
        (a, b) => {
            let mut rest = None;
            for shape in [a, b] {
                let parts: Vec<&Value<'a>> = match shape {
                    Shape::List(items) => items.iter().collect(),
                    Shape::Fields { known, rest } => {
                        known.iter().map(|(_, value)| value).chain(rest.as_deref()).collect()
                    }
                };
                parts.into_iter().for_each(|part| add_rest(&mut rest, part));
            }
            Shape::Fields { known: Vec::new(), rest }
        }
    }
}
