//! YAML into a [`Doc`], event by event: one document, no anchors, aliases or tags.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::{Doc, MAX_DEPTH, MAX_VALUES, one_line};
use crate::error::ReadError;

/// A collection that is being read.
enum Open {
    List(Vec<Doc>),
    Map { entries: BTreeMap<String, Doc>, key: Option<String> },
}

pub(super) fn read(text: &str) -> Result<Doc, ReadError> {
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Doc> = None;
    let mut left = MAX_VALUES;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| ReadError::Malformed {
            format: "YAML",
            detail: one_line(&error.to_string()),
        })?;
        let done = match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
            Event::Alias(_) => return Err(ReadError::Reference),
            Event::Scalar(value, style, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    return Err(ReadError::Reference);
                }
                scalar(&value, style)
            }
            Event::SequenceStart(anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    return Err(ReadError::Reference);
                }
                open.push(Open::List(Vec::new()));
                if open.len() > MAX_DEPTH {
                    return Err(ReadError::TooDeep { most: MAX_DEPTH });
                }
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    return Err(ReadError::Reference);
                }
                open.push(Open::Map { entries: BTreeMap::new(), key: None });
                if open.len() > MAX_DEPTH {
                    return Err(ReadError::TooDeep { most: MAX_DEPTH });
                }
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Doc::List(items),
                Some(Open::Map { entries, .. }) => Doc::Map(entries),
                None => Doc::Null,
            },
        };
        left = left.checked_sub(1).ok_or(ReadError::TooMany { most: MAX_VALUES })?;
        place(done, &mut open, &mut root)?;
    }
    Ok(root.unwrap_or(Doc::Null))
}

fn place(done: Doc, open: &mut [Open], root: &mut Option<Doc>) -> Result<(), ReadError> {
    match open.last_mut() {
        None if root.is_some() => {
            return Err(ReadError::Malformed {
                format: "YAML",
                detail: "more than one document".to_owned(),
            });
        }
        None => *root = Some(done),
        Some(Open::List(items)) => items.push(done),
        Some(Open::Map { entries, key }) => match key.take() {
            Some(name) => {
                if entries.contains_key(&name) {
                    return Err(ReadError::Repeated { key: name.chars().take(200).collect() });
                }
                entries.insert(name, done);
            }
            None => match done {
                Doc::Text(name) | Doc::Number(name) => *key = Some(name),
                Doc::Bool(truth) => *key = Some(truth.to_string()),
                Doc::Null | Doc::List(_) | Doc::Map(_) => {
                    return Err(ReadError::Malformed {
                        format: "YAML",
                        detail: "a key that is not text".to_owned(),
                    });
                }
            },
        },
    }
    Ok(())
}

fn scalar(value: &str, style: ScalarStyle) -> Doc {
    if style != ScalarStyle::Plain {
        return Doc::Text(value.to_owned());
    }
    match value {
        "" | "~" | "null" => Doc::Null,
        "true" => Doc::Bool(true),
        "false" => Doc::Bool(false),
        _ if value.parse::<f64>().is_ok() && !value.contains(['n', 'N', 'i', 'I']) => {
            Doc::Number(value.to_owned())
        }
        _ => Doc::Text(value.to_owned()),
    }
}
