//! The variables at one point of a program.
//!
//! Both ways of every branch begin with the same ones: they share them until one way changes some.

use std::collections::HashMap;
use std::rc::Rc;

use crate::value::Value;

/// A table that is asked often. Its hashes are quick, and seeded so that nobody who writes a source
/// knows which names collide.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The variables at one point of a program, over those of the code around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Env<'a> {
    vars: Rc<Map<&'a str, Rc<Value<'a>>>>,
    outer: Option<Rc<Self>>,
}

impl<'a> Env<'a> {
    /// No variables of its own, over those of others, which it can't change.
    pub(crate) fn within(outer: Rc<Self>) -> Self {
        Self { vars: Rc::default(), outer: Some(outer) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.shared(name).map(|value| &**value)
    }

    fn shared(&self, name: &str) -> Option<&Rc<Value<'a>>> {
        let mut env = self;
        loop {
            if let Some(value) = env.vars.get(name) {
                return Some(value);
            }
            env = env.outer.as_deref()?;
        }
    }

    pub(crate) fn insert(&mut self, name: &'a str, value: Value<'a>) {
        Rc::make_mut(&mut self.vars).insert(name, Rc::new(value));
    }

    /// Takes bits of taint off a variable; one of the code around becomes one of its own.
    pub(crate) fn clean(&mut self, name: &'a str, bits: u64) {
        if let Some(own) = self.vars.get(name) {
            if own.deep_taint() & bits == 0 {
                return;
            }
        } else {
            let Some(outside) = self.shared(name).cloned() else { return };
            Rc::make_mut(&mut self.vars).insert(name, outside);
        }
        if let Some(value) = Rc::make_mut(&mut self.vars).get_mut(name)
            && value.deep_taint() & bits != 0
        {
            Rc::make_mut(value).clean(bits);
        }
    }

    /// The number of its own variables.
    pub(crate) fn len(&self) -> usize {
        self.vars.len()
    }

    /// What the variables are when either may have come before. Both are over the same others.
    pub(crate) fn join(&mut self, other: Self) {
        let mut joined: Vec<(&'a str, Rc<Value<'a>>)> = Vec::new();
        for (name, mine) in self.vars.iter() {
            let value = match other.vars.get(name) {
                Some(theirs) if Rc::ptr_eq(mine, theirs) && mine.is_settled() => continue,
                Some(theirs) => mine.joined(theirs),
                None => match other.outer.as_deref().and_then(|outer| outer.get(name)) {
                    Some(outside) => mine.joined(outside),
                    None => continue,
                },
            };
            joined.push((name, Rc::new(value)));
        }
        if !Rc::ptr_eq(&self.vars, &other.vars) {
            for (name, theirs) in other.vars.iter() {
                if !self.vars.contains_key(name) {
                    let value = match self.outer.as_deref().and_then(|outer| outer.get(name)) {
                        Some(outside) => Rc::new(outside.joined(theirs)),
                        None => Rc::clone(theirs),
                    };
                    joined.push((name, value));
                }
            }
        }
        drop(other);
        if !joined.is_empty() {
            Rc::make_mut(&mut self.vars).extend(joined);
        }
    }
}
