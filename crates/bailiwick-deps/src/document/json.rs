//! JSON into a [`Doc`], refusing repeated keys.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use super::{Doc, MAX_VALUES, one_line};
use crate::error::ReadError;

/// What is left of the number of values, and the first reason of our own to stop.
struct Bounds {
    left: Cell<usize>,
    refusal: RefCell<Option<ReadError>>,
}

#[derive(Clone, Copy)]
struct Value<'a>(&'a Bounds);

pub(super) fn read(text: &str) -> Result<Doc, ReadError> {
    let bounds = Bounds { left: Cell::new(MAX_VALUES), refusal: RefCell::new(None) };
    // serde_json itself stops at a depth of 128
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Value(&bounds)
        .deserialize(&mut deserializer)
        .and_then(|doc| deserializer.end().map(|()| doc));
    match (read, bounds.refusal.into_inner()) {
        (Ok(doc), None) => Ok(doc),
        (_, Some(refusal)) => Err(refusal),
        (Err(error), None) => {
            Err(ReadError::Malformed { format: "JSON", detail: one_line(&error.to_string()) })
        }
    }
}

impl Value<'_> {
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        match self.0.left.get().checked_sub(1) {
            Some(left) => {
                self.0.left.set(left);
                Ok(())
            }
            None => Err(self.refuse(ReadError::TooMany { most: MAX_VALUES })),
        }
    }

    fn refuse<E: serde::de::Error>(&self, error: ReadError) -> E {
        let message = error.to_string();
        self.0.refusal.borrow_mut().get_or_insert(error);
        E::custom(message)
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Doc;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Doc, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Doc;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Doc, E> {
        Ok(Doc::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Doc, E> {
        Ok(Doc::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Doc, E> {
        Ok(Doc::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Doc, E> {
        Ok(Doc::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Doc, E> {
        Ok(Doc::Number(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Doc, E> {
        Ok(Doc::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Doc, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Doc::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Doc, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(self)?;
            if map.contains_key(&key) {
                let key = key.chars().take(200).collect();
                return Err(self.refuse(ReadError::Repeated { key }));
            }
            map.insert(key, value);
        }
        if map.len() > MAX_VALUES {
            return Err(A::Error::custom("too many"));
        }
        Ok(Doc::Map(map))
    }
}
