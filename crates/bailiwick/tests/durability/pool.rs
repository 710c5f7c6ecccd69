//! Many independent cases on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Whether the whole campaign is asked for, and not only a spread of it.
pub(crate) fn in_full() -> bool {
    std::env::var_os("BAILIWICK_TEST_FULL").is_some_and(|value| value == "1")
}

/// Tries every case and panics with what was found wrong, case by case.
pub(crate) fn try_all<T: Sync + std::fmt::Debug>(
    cases: &[T],
    check: impl Fn(&T) -> Vec<String> + Sync,
) {
    eprintln!("{} cases", cases.len());
    let next = Mutex::new(cases.iter());
    let found = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else { break };
                    let problems = catch_unwind(AssertUnwindSafe(|| check(case)));
                    let problems = problems.unwrap_or_else(|panic| vec![words(&*panic)]);
                    found
                        .lock()
                        .unwrap()
                        .extend(problems.into_iter().map(|problem| format!("{case:?}: {problem}")));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} of {} cases: {found:#?}", found.len(), cases.len());
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
