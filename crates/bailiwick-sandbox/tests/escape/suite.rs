//! The whole run, and what it prints.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bailiwick_guest::Guard;
use bailiwick_sandbox::{ProcessTier, Tier, Tiers};

use super::case::{Case, Control, Starters, load};
use super::matrix;
use super::play::{Played, Stage, play};
use super::world::{USER, World, is_root};

pub(crate) fn say(line: &str) {
    println!("{line}");
}

struct Options {
    tiers: Vec<String>,
    only: Vec<String>,
    matrix: bool,
    cases: PathBuf,
    probe: PathBuf,
}

/// What is known of a case after its runs.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) problems: Vec<String>,
    pub(crate) skipped: Option<String>,
}

/// Runs everything.
pub(crate) fn run() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Something that payloads must not find in their environment.
    if std::env::var_os("ESCAPE_TOKEN").is_none() {
        let mut again = Process::new("/proc/self/exe");
        let status = again.args(&words).env("ESCAPE_TOKEN", "of the platform").status().unwrap();
        return if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let value = |name: &str| {
        words.iter().position(|word| word == name).and_then(|at| words.get(at + 1)).cloned()
    };
    // What the test harness of others is asked for.
    if words.iter().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let build = tempfile::Builder::new().prefix("escape-build-").tempdir().unwrap();
    std::fs::set_permissions(build.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/escape");
    let options = Options {
        tiers: match value("--tier").as_deref() {
            None => vec!["process".to_owned()],
            Some("all") => every_tier(),
            Some(tier) => vec![tier.to_owned()],
        },
        only: value("--only").into_iter().collect(),
        matrix: !words.iter().any(|word| word == "--no-matrix"),
        cases: value("--cases").map_or_else(|| here.join("cases"), PathBuf::from),
        probe: value("--probe").map_or_else(|| built(&here, build.path()), PathBuf::from),
    };
    let mut good = one_starter(&options);
    // The other tiers are root's.
    let process = options.tiers.iter().any(|tier| tier == "process");
    if is_root() && process && !words.iter().any(|word| word == "--root-only") {
        good &= as_user(&options, build.path());
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every tier with isolation that this machine has; the others are said aloud.
fn every_tier() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tiers = Tiers::new(ProcessTier::new().unwrap());
    let there = |tier: &Tier| match runtime.block_on(tiers.check(*tier)) {
        Ok(()) => true,
        Err(missing) => {
            say(&format!("SKIPPED: the escape suite on tier `{tier}`: {}", missing.reason));
            false
        }
    };
    let isolating = Tier::ALL.into_iter().filter(|tier| *tier > Tier::Worktree);
    isolating.filter(there).map(|tier| tier.name().to_owned()).collect()
}

/// Builds the probe: one file, no dependency, static, so that it runs in any sandbox.
fn built(here: &Path, place: &Path) -> PathBuf {
    let probe = place.join("probe");
    let mut rustc = Process::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg("--edition=2024").arg("-O").arg("-o").arg(&probe);
    rustc.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols", "-C", "panic=abort"]);
    let status = rustc.arg(here.join("probe/probe.rs")).status().unwrap();
    assert!(status.success(), "the probe cannot be built");
    probe
}

/// The same again as an ordinary user, who has no cgroups, no other user to become, and a user
/// namespace around everything.
fn as_user(options: &Options, place: &Path) -> bool {
    let cases = place.join("cases");
    std::fs::create_dir(&cases).unwrap();
    for entry in std::fs::read_dir(&options.cases).unwrap().flatten() {
        std::fs::copy(entry.path(), cases.join(entry.file_name())).unwrap();
    }
    let probe = place.join("probe-of-user");
    std::fs::copy(&options.probe, &probe).unwrap();
    let mut again = Process::new("/proc/self/exe");
    again.arg("--second").arg("--cases").arg(&cases).arg("--probe").arg(&probe).current_dir("/");
    again.args(["--tier", "process"]);
    for only in &options.only {
        again.args(["--only", only]);
    }
    if !options.matrix {
        again.arg("--no-matrix");
    }
    again.env("HOME", "/nonexistent").uid(USER).gid(USER).status().unwrap().success()
}

fn one_starter(options: &Options) -> bool {
    let world = World::new(&options.probe);
    let starter = if is_root() { "root" } else { "an ordinary user" };
    let all = load(&options.cases);
    let mut good = true;
    for tier in &options.tiers {
        let wanted = |case: &&Case| {
            let by = match case.starters {
                Starters::Both => true,
                Starters::Root => is_root(),
                Starters::User => !is_root(),
            };
            let there = case.tiers.is_empty() || case.tiers.contains(tier);
            let asked =
                options.only.iter().all(|word| case.name.contains(word) || case.file == *word);
            by && there && asked
        };
        let cases: Vec<&Case> = all.iter().filter(wanted).collect();
        say(&format!("escape suite: tier {tier}, started by {starter}: {} cases", cases.len()));
        let verdicts = parallel(&cases, |case| judge(&world, case, tier));
        let mut skips = BTreeMap::new();
        let mut red = 0;
        for (case, verdict) in cases.iter().zip(&verdicts) {
            if let Some(reason) = &verdict.skipped {
                skips.insert(case.name.clone(), reason.clone());
            }
            if !verdict.problems.is_empty() {
                red += 1;
                say(&format!("  RED  [{}, {}] {}", case.file, case.promise, case.name));
                for problem in &verdict.problems {
                    say(&format!("       {problem}"));
                }
            }
        }
        let outside = cases.iter().filter(|case| case.by == "outside").count();
        say(&format!(
            "  {} held for the reason they name, {red} red, {} skipped; {outside} of them written from the threat model, without a look at what builds the cage",
            cases.len() - red - skips.len(),
            skips.len()
        ));
        for (name, reason) in &skips {
            say(&format!("  skipped: {name}: {reason}"));
        }
        for case in &cases {
            if let Some(nature) = case.nature.get(tier) {
                say(&format!("  by its nature: {}: {}", case.name, nature.because));
            }
        }
        good &= red == 0;
        if options.matrix && tier == "process" && options.only.is_empty() {
            good &= matrix::print(&world, &cases, &verdicts);
        }
    }
    good
}

/// Every case once by a few threads; the results in the order of the cases.
pub(crate) fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let result = work(item);
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn fits(line: &str, expected: &[&str]) -> bool {
    expected.iter().any(|expected| match (expected.strip_prefix('*'), expected.strip_suffix('*')) {
        (Some(end), _) => line.ends_with(end),
        (None, Some(beginning)) => line.starts_with(beginning),
        (None, None) => line == *expected,
    })
}

/// What is wrong with how a guarded run went; nothing when it was stopped as it should be.
pub(crate) fn held(world: &World, case: &Case, tier: &str, played: &Played) -> Option<String> {
    let elsewhere = tier != "process" && !case.elsewhere.all().is_empty();
    let nature = case.nature.get(tier);
    let lines = match nature {
        Some(nature) => nature.blocked.all(),
        None if elsewhere => case.elsewhere.all(),
        None => case.blocked.all(),
    };
    let lines: Vec<String> =
        lines.into_iter().map(|line| world.fill(line, Path::new("{scene}"))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let ended = nature.map_or_else(|| case.ended.all(), |nature| nature.ended.all());
    let ended = if ended.is_empty() { vec!["exit 0"] } else { ended };
    let whole = played.all.trim().chars().take(300).collect::<String>();
    if played.trace {
        return Some(format!("ESCAPED: the trace is there; it said {whole:?}"));
    }
    if !lines.is_empty() && !fits(&played.line, &lines) {
        return Some(format!(
            "said {:?} instead of {lines:?} ({}); {whole:?}",
            played.line, played.ended
        ));
    }
    if !fits(&played.ended, &ended) {
        return Some(format!("ended with {} instead of {ended:?}; {whole:?}", played.ended));
    }
    None
}

/// Whether an attack succeeded.
pub(crate) fn worked(world: &World, case: &Case, played: &Played) -> bool {
    let lines: Vec<String> =
        case.works.all().into_iter().map(|line| world.fill(line, Path::new("{scene}"))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let said = lines.is_empty() || fits(&played.line, &lines);
    said && (case.trace.is_none() && case.survives.is_none() || played.trace)
}

fn judge(world: &World, case: &Case, tier: &str) -> Verdict {
    let mut verdict = Verdict::default();
    let off = [case.guards.clone(), case.with.clone()].concat();
    let stage = match case.control {
        Control::Off => Stage::Without(off),
        Control::Host => Stage::Host,
    };
    let control = play(world, case, &stage);
    if !worked(world, case, &control) {
        if fits(&control.line, &case.absent.all()) {
            verdict.skipped = Some(format!("this kernel answers {}", control.line));
        } else {
            verdict.problems.push(format!(
                "the control run does not show that the attack works: {:?} ({}), trace {}: {:?}",
                control.line,
                control.ended,
                control.trace,
                control.all.trim().chars().take(300).collect::<String>()
            ));
        }
        // Where what is attacked is missing, it still must not succeed.
    }
    let guarded = play(world, case, &Stage::Tier(tier.to_owned()));
    if let Some(problem) = held(world, case, tier, &guarded) {
        verdict.problems.push(problem);
    }
    if verdict.problems.is_empty() && verdict.skipped.is_none() && tier == "process" {
        verdict.problems.extend(alone(world, case));
    }
    verdict
}

/// Each of several guards stops the attack without the others.
fn alone(world: &World, case: &Case) -> Vec<String> {
    if case.guards.len() < 2 || case.control != Control::Off {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for guard in &case.guards {
        let others: Vec<Guard> =
            case.guards.iter().filter(|other| *other != guard).copied().collect();
        let played = play(world, case, &Stage::Without(others));
        if worked(world, case, &played) {
            problems.push(format!("{guard:?} alone does not stop it: {:?}", played.line));
        }
    }
    problems
}
