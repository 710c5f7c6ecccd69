//! Handlers that lack a guard which their neighbours have.
//!
//! Whether a handler needs one can't be read from its text. That most of the handlers beside it
//! have one can.

use crate::eval::Hit;
use crate::ir::{Func, Unit};
use crate::pack::{PreparedRoute, Table};

/// The fewest guarded handlers in a file that make a rule of it.
const MIN_GUARDED: usize = 2;

pub(crate) fn find(table: &Table, unit: &Unit<'_>, text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    for route in &table.routes {
        let mut judged: Vec<(u32, bool)> = Vec::new();
        if route.by_line {
            judged.extend(lines(route, text));
        } else {
            judged.extend(unit.functions.iter().filter_map(|func| function(route, func)));
        }
        let guarded = judged.iter().filter(|(_, guarded)| *guarded).count();
        let open = judged.len() - guarded;
        if guarded >= MIN_GUARDED && guarded > open {
            let bare = judged.into_iter().filter(|(_, guarded)| !guarded);
            hits.extend(bare.map(|(line, _)| Hit { rule: route.rule, line, from: 0 }));
        }
    }
    hits
}

/// Whether a function is such a handler, and if so whether it is guarded.
fn function(route: &PreparedRoute, func: &Func<'_>) -> Option<(u32, bool)> {
    let marks: Vec<&str> = func.marks.iter().map(|mark| mark.text).collect();
    let handler = marks.iter().find(|mark| route.handler.is_match(mark))?;
    if route.open.is_match(func.name) || route.open.is_match(handler) {
        return None;
    }
    let class = func.class_marks.iter().map(|mark| mark.text);
    let guarded = marks.iter().copied().chain(class).any(|mark| route.guard.is_match(mark))
        || route.guard.is_match(func.text);
    Some((func.line, guarded))
}

fn lines<'t>(route: &'t PreparedRoute, text: &'t str) -> impl Iterator<Item = (u32, bool)> + 't {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        if !route.handler.is_match(line) || route.open.is_match(line) {
            return None;
        }
        Some((number, route.guard.is_match(line)))
    })
}
