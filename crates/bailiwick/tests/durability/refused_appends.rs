//! When the ledger can't take an entry, what the entry is about does not happen.
//!
//! Every append of a run is made to fail, one at a time. Seen from outside there is then exactly
//! what the ledger has decisions for, for every kind of effect; and with the next append failing
//! instead, which is the control, one effect more.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bailiwick_model::event::Event;
use bailiwick_model::verdict::Verdict;

use super::fixture::{Case, PLAIN, object, told};
use super::outside::{Effects, effects};
use super::pool::{in_full, try_all};
use super::record::{kind, label, permitted, problems, task};

#[test]
fn without_its_entry_nothing_happens() {
    let reference = Case::new(PLAIN);
    let output = reference.run("");
    assert!(output.status.success(), "{}", told(&output));
    let entries = reference.entries();
    let labels: Vec<String> = entries.iter().map(label).collect();
    let numbers: Vec<usize> = (1..=entries.len()).collect();
    let seen: Mutex<BTreeMap<usize, Effects>> = Mutex::default();
    try_all(&numbers, |number| {
        let (effects, found) = refused(*number, &labels);
        seen.lock().unwrap().insert(*number, effects);
        found
    });
    let seen = seen.into_inner().unwrap();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, entry) in (1..).zip(&entries) {
        if let Event::Decided(decided) = &entry.event
            && matches!(decided.decision, Verdict::Permit { .. })
            && let Some(kind) = kind(decided)
            && let Some(without) = seen[&number].get(kind)
        {
            // The entry after a decision is its outcome: when that fails, the effect was there.
            let with = seen[&(number + 1)][kind];
            assert_eq!(without + 1, with, "append {number}, {kind}");
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let silent: Vec<&&str> = seen[&1].keys().filter(|kind| !kinds.contains_key(*kind)).collect();
    assert!(silent.is_empty(), "the run has no action of these kinds: {silent:?}");
}

/// Runs with one append that fails; gives what happened, and what is wrong with it.
fn refused(number: usize, labels: &[String]) -> (Effects, Vec<String>) {
    let case = Case::new(PLAIN);
    let output = case.run(&format!("fail-append={number}"));
    let mut found = Vec::new();
    let said = object(&output);
    let error = &said["error"];
    if output.status.code() != Some(1) || error["code"] != "ledger.unwritable" {
        found.push(format!("it did not say that the ledger can't be written: {}", told(&output)));
    }
    if error["hint"].as_str().unwrap_or_default().is_empty() {
        found.push(format!("it did not say what to do: {error}"));
    }
    let seen = effects(&case);
    let entries = case.entries();
    let recorded: Vec<String> = entries.iter().map(label).collect();
    if recorded.len() >= number || recorded[..] != labels[..recorded.len()] {
        found.push(format!("{} entries are recorded: {recorded:?}", recorded.len()));
    }
    let permitted = permitted(&entries);
    for (kind, times) in &seen {
        let decided = permitted.get(kind).copied().unwrap_or_default();
        if *times != decided {
            found.push(format!("{kind} was done {times} times and is recorded {decided} times"));
        }
    }
    if in_full() || number.is_multiple_of(9) {
        let output = match task(&entries) {
            Some(task) => case.call(&["task", "resume", &task.to_string()], ""),
            None => case.run(""),
        };
        if output.status.success() {
            found.extend(problems(&case, &case.entries()));
        } else {
            found.push(format!("it did not go on without the fault: {}", told(&output)));
        }
    }
    (seen, found)
}
