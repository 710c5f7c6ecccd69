//! Guard against case: what happens when one guard is missing.

use bailiwick_guest::Guard;

use super::case::{Case, Control};
use super::play::{Stage, play};
use super::suite::{Verdict, held, parallel, say, worked};
use super::world::{World, is_root};

/// What became of a case without one guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// As with it.
    Same,
    /// The attack succeeds.
    Escape,
    /// Something else stops it.
    Other,
    /// Nothing is run at all without this guard.
    Refused,
    /// Not played.
    Left,
}

/// Whether the suite was played as root just before.
fn as_second() -> bool {
    std::env::args().any(|word| word == "--second")
}

/// Guards that an ordinary user's cage has not got.
fn is_there(guard: Guard) -> bool {
    is_root() || !matches!(guard, Guard::PayloadUser | Guard::Cgroup)
}

/// Switches each guard off under every case, prints the matrix and says whether each guard turned
/// some case red.
pub(crate) fn print(world: &World, cases: &[&Case], verdicts: &[Verdict]) -> bool {
    let pairs: Vec<(Guard, &Case)> = Guard::ALL
        .into_iter()
        .filter(|guard| is_there(*guard))
        .flat_map(|guard| cases.iter().map(move |case| (guard, *case)))
        .collect();
    let sound = |case: &Case| {
        let at = cases.iter().position(|other| other.name == case.name);
        at.and_then(|at| verdicts.get(at))
            .is_some_and(|verdict| verdict.problems.is_empty() && verdict.skipped.is_none())
    };
    let cells = parallel(&pairs, |(guard, case)| {
        let named = case.guards.contains(guard) || case.with.contains(guard);
        // As an ordinary user only what a case is about: the rest was played as root.
        let far = !named && (case.slow || as_second());
        if far || !sound(case) || case.control == Control::Host {
            return Cell::Left;
        }
        let played = play(world, case, &Stage::Without(vec![*guard]));
        if held(world, case, "process", &played).is_none() {
            Cell::Same
        } else if played.ended == "refused" && case.survives.is_none() {
            Cell::Refused
        } else if worked(world, case, &played) {
            Cell::Escape
        } else {
            Cell::Other
        }
    });
    say("guard × case, one guard off at a time: E the attack succeeds, o something else stops it,");
    say(
        "R nothing is run without the guard, . as before, blank not played; ! the case is about it",
    );
    let mut good = true;
    for guard in Guard::ALL.into_iter().filter(|guard| is_there(*guard)) {
        let row: Vec<(Cell, &Case)> = pairs
            .iter()
            .zip(&cells)
            .filter(|((other, _), _)| *other == guard)
            .map(|((_, case), cell)| (*cell, *case))
            .collect();
        let count = |wanted: Cell| row.iter().filter(|(cell, _)| *cell == wanted).count();
        let name = serde_json::to_value(guard).unwrap();
        let name = name.as_str().unwrap_or_default().to_owned();
        let marks: String = row
            .iter()
            .map(|(cell, case)| match cell {
                Cell::Same if case.guards.contains(&guard) => '!',
                Cell::Same => '.',
                Cell::Escape => 'E',
                Cell::Other => 'o',
                Cell::Refused => 'R',
                Cell::Left => ' ',
            })
            .collect();
        say(&format!("{name:>22} {marks}"));
        let first = row.iter().find(|(cell, _)| *cell == Cell::Escape);
        let (escapes, others, refused) =
            (count(Cell::Escape), count(Cell::Other), count(Cell::Refused));
        let example = first.map_or(String::new(), |(_, case)| format!("; such as: {}", case.name));
        say(&format!(
            "{:>22} {escapes} succeed, {others} stopped otherwise, {refused} not run{example}",
            ""
        ));
        // Where another layer holds in the same way, the case's own runs have shown that the attack
        // succeeds without both and fails with either.
        let second = row.iter().find(|(cell, case)| {
            *cell == Cell::Same && case.guards.contains(&guard) && case.guards.len() > 1
        });
        if let (0, Some((_, case))) = (escapes + others + refused, second) {
            say(&format!(
                "{:>22} not missed alone; without {:?} the attack succeeds: {}",
                "", case.guards, case.name
            ));
        } else if escapes + others + refused == 0 {
            say(&format!("  RED  no case notices that `{name}` is missing"));
            good = false;
        }
    }
    good
}
