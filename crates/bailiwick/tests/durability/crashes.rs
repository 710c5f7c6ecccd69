//! Kill -9, everywhere: before and after each commit of the ledger, before and after each change
//! that git makes, at named points, and at any time.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;
use std::time::{Duration, Instant};

use super::fixture::{Case, PLAIN, Story, WIDE, object, told};
use super::outside::effects;
use super::pool::{in_full, try_all};
use super::record::{pairing, permitted, problems, task};

/// Where the program is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Point {
    /// By a fault of the build for tests, as `BAILIWICK_FAULTS` names it.
    Fault(String),
    /// When it starts git for the n-th time, before git does anything.
    BeforeGit(usize),
    /// When git, started for the n-th time, is done.
    AfterGit(usize),
    /// After this share of the time that a run takes, in thousandths.
    Time(u32),
}

#[derive(Debug, Clone)]
struct Crash {
    story: &'static str,
    point: Point,
    /// Faults of the first attempt to go on.
    again: Option<String>,
}

fn story(name: &str) -> Story {
    if name == "wide" { WIDE } else { PLAIN }
}

/// What a run looks like that nothing happens to.
struct Reference {
    appends: usize,
    /// The subcommands of git that were started.
    gits: Vec<String>,
    takes: Duration,
}

fn reference(name: &str) -> Reference {
    let case = Case::new(story(name));
    let began = Instant::now();
    let output = run_with_git(&case, None);
    let takes = began.elapsed();
    assert!(output.status.success(), "{}", told(&output));
    let entries = case.entries();
    assert_eq!(problems(&case, &entries), Vec::<String>::new());
    assert_eq!(effects_after_the_end(&case), permitted_outside(&entries));
    let gits = fs::read_to_string(case.path("git.log")).unwrap();
    Reference { appends: entries.len(), gits: gits.lines().map(str::to_owned).collect(), takes }
}

/// What is still to be seen from outside when the work directories are gone.
fn effects_after_the_end(case: &Case) -> Vec<(&'static str, usize)> {
    let all = effects(case).into_iter();
    all.filter(|(kind, _)| LASTING.contains(kind)).collect()
}

fn permitted_outside(entries: &[bailiwick_model::event::Entry]) -> Vec<(&'static str, usize)> {
    permitted(entries).into_iter().filter(|(kind, _)| LASTING.contains(kind)).collect()
}

const LASTING: [&str; 2] = ["import", "model_call"];

/// Runs with a git that counts how often it is started, and that kills its parent when asked to.
fn run_with_git(case: &Case, point: Option<&Point>) -> Output {
    let folder = case.path("bin");
    fs::create_dir_all(&folder).unwrap();
    let (before, after) = match point {
        Some(Point::BeforeGit(n)) => (*n, 0),
        Some(Point::AfterGit(n)) => (0, *n),
        _ => (0, 0),
    };
    let real = real_git();
    let (log, real) = (case.path("git.log"), real.display());
    let script = format!(
        // Several gits at a time each get a number of their own: a file that is there already is
        // not made again.
        "#!/bin/sh\necho \"$*\" >> {log}\nset -C\nn=1\n\
         until {{ true > {log}.$n; }} 2> /dev/null; do n=$((n + 1)); done\nset +C\n\
         [ $n = {before} ] && kill -9 $PPID && exit 1\n\
         [ $n = {after} ] && {real} \"$@\" && kill -9 $PPID && exit 1\n\
         exec {real} \"$@\"\n",
        log = log.display()
    );
    fs::write(folder.join("git"), script).unwrap();
    fs::set_permissions(folder.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    case.run_with_path(&folder)
}

fn real_git() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join("git"));
    found.into_iter().find(|git| git.is_file()).unwrap()
}

/// Kills a run, looks, lets it go on, looks again.
fn survives(crash: &Crash, reference: &Reference) -> Vec<String> {
    let case = Case::new(story(crash.story));
    let output = match &crash.point {
        Point::Fault(faults) => case.run(faults),
        Point::BeforeGit(_) | Point::AfterGit(_) => run_with_git(&case, Some(&crash.point)),
        Point::Time(share) => {
            let mut child = case.start(&case.run_arguments(), "");
            std::thread::sleep(reference.takes * *share / 1000);
            child.kill().unwrap();
            child.wait_with_output().unwrap()
        }
    };
    let mut found = Vec::new();
    let killed = output.status.signal() == Some(9);
    if !killed && !matches!(crash.point, Point::Time(_)) {
        found.push(format!("it was not killed: {}", told(&output)));
    }
    if killed && !output.stdout.is_empty() {
        found.push(format!("it said how it ended before it had: {}", told(&output)));
    }
    let seen = effects(&case);
    let entries = case.entries();
    let recorded = permitted(&entries);
    for (kind, times) in &seen {
        let recorded = recorded.get(kind).copied().unwrap_or_default();
        if *times > recorded {
            found.push(format!("{kind} was done {times} times and decided {recorded} times"));
        }
    }
    if let Some(faults) = &crash.again {
        go_on(&case, faults);
    }
    let output = go_on(&case, "");
    let outcome = object(&output);
    if !output.status.success() || outcome["standing"] != "merged" {
        found.push(format!("it did not go on to the end: {}", told(&output)));
        return found;
    }
    let entries = case.entries();
    found.extend(problems(&case, &entries));
    found
}

/// Goes on where a crash left off: with the task if it was accepted, from the start otherwise.
fn go_on(case: &Case, faults: &str) -> Output {
    match task(&case.entries()) {
        Some(task) => case.call(&["task", "resume", &task.to_string()], faults),
        None => case.run(faults),
    }
}

/// At most `most` of some numbers, spread evenly.
fn spread(numbers: Vec<usize>, most: usize) -> Vec<usize> {
    let step = numbers.len().div_ceil(most.max(1)).max(1);
    numbers.into_iter().step_by(step).collect()
}

fn fault(story: &'static str, faults: String) -> Crash {
    Crash { story, point: Point::Fault(faults), again: None }
}

#[test]
fn a_crash_around_any_append_loses_nothing_and_repeats_nothing() {
    let reference = reference("plain");
    let all: Vec<usize> = (1..=reference.appends).collect();
    // From the push on everything, and of what comes before that an even part.
    let (early, late) = all.split_at(reference.appends.saturating_sub(20));
    let numbers =
        if in_full() { all.clone() } else { [spread(early.to_vec(), 12), late.to_vec()].concat() };
    let mut crashes: Vec<Crash> = Vec::new();
    for number in numbers {
        crashes.push(fault("plain", format!("crash-before-append={number}")));
        crashes.push(fault("plain", format!("crash-after-append={number}")));
    }
    assert!(crashes.len() >= 60, "{}", crashes.len());
    try_all(&crashes, |crash| survives(crash, &reference));
}

#[test]
fn a_crash_around_any_step_of_git_loses_nothing_and_repeats_nothing() {
    let reference = reference("plain");
    let of = |wanted: fn(&str) -> bool| -> Vec<usize> {
        let numbered = (1..).zip(&reference.gits);
        numbered.filter(|(_, line)| wanted(line)).map(|(number, _)| number).collect()
    };
    let changing = of(|line| line.contains("update-ref"));
    let others = of(|line| !line.contains("update-ref"));
    let others = if in_full() { others } else { spread(others, 4) };
    assert!(changing.len() >= 3, "{:?}", reference.gits);
    let points = changing.into_iter().chain(others);
    let crashes: Vec<Crash> = points
        .flat_map(|number| [Point::BeforeGit(number), Point::AfterGit(number)])
        .map(|point| Crash { story: "plain", point, again: None })
        .collect();
    try_all(&crashes, |crash| survives(crash, &reference));
}

#[test]
fn a_crash_while_going_on_after_a_crash_is_a_crash_like_any_other() {
    let reference = reference("plain");
    let numbers: Vec<usize> = (6..reference.appends).collect();
    let numbers = spread(numbers, if in_full() { 60 } else { 8 });
    let crashes: Vec<Crash> = numbers
        .into_iter()
        .enumerate()
        .map(|(index, number)| Crash {
            again: Some(format!(
                "crash-{}-append={}",
                ["before", "after"][index % 2],
                1 + index % 5
            )),
            ..fault("plain", format!("crash-after-append={number}"))
        })
        .collect();
    try_all(&crashes, |crash| survives(crash, &reference));
}

#[test]
fn a_crash_at_a_named_point_or_at_any_time_loses_nothing() {
    let mut crashes: Vec<Crash> =
        NAMED.iter().map(|name| fault("plain", format!("crash-at={name}"))).collect();
    let reference = reference("plain");
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for _ in 0..if in_full() { 100 } else { 8 } {
        let share = u32::try_from(random.next() % 1000).unwrap();
        crashes.push(Crash { story: "plain", point: Point::Time(share), again: None });
    }
    try_all(&crashes, |crash| survives(crash, &reference));
}

/// Points that have neither a commit nor git beside them.
const NAMED: [&str; 7] = [
    "store.blobs_stored",
    "store.blobs_stored@9",
    "store.records_written",
    "store.published",
    "engine.checkout_cleared",
    "engine.task_over",
    "engine.published",
];

#[test]
fn a_crash_amid_parallel_and_stacked_subtasks_loses_nothing() {
    let reference = reference("wide");
    let numbers = spread((10..reference.appends).collect(), if in_full() { 150 } else { 7 });
    let mut crashes: Vec<Crash> = numbers
        .into_iter()
        .map(|number| fault("wide", format!("crash-after-append={number}")))
        .collect();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..if in_full() { 100 } else { 4 } {
        let share = u32::try_from(random.next() % 1000).unwrap();
        crashes.push(Crash { story: "wide", point: Point::Time(share), again: None });
    }
    try_all(&crashes, |crash| survives(crash, &reference));
}

/// Marsaglia's xorshift: the same times in every run of the tests.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn what_is_checked_can_fail() {
    let case = Case::new(PLAIN);
    let output = case.run("crash-after-append=4");
    assert_eq!(output.status.signal(), Some(9), "{}", told(&output));
    let entries = case.entries();
    assert_eq!((entries.len(), effects(&case)["import"]), (4, 1));
    // An effect whose decision is missing, and a decision whose end is.
    assert_eq!(permitted(&entries[..2]).get("import"), None);
    assert_eq!(pairing(&entries[..3]).len(), 1);
    assert_eq!(pairing(&[&entries[..], &entries[3..]].concat()).len(), 1);
    // A task that did not come to its end.
    let found = problems(&case, &entries);
    assert!(found.iter().any(|problem| problem.contains("0 of 1 subtasks")), "{found:?}");
    assert!(
        found.iter().any(|problem| problem.contains("0 pull requests and 0 merges")),
        "{found:?}"
    );
}
