//! What policy promises in numbers: how long a decision takes beside many policies, by the index and
//! by Cedar alone in the same run; a million recorded actions decided anew; a bundle that is loaded
//! while decisions are made.
//!
//! `cargo bench -p bailiwick-policy --bench promises` prints a table, and fails when a promise is
//! broken. `-- --quick` takes a tenth of everything and breaks nothing.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement prints, and stops at the first fault"
)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::verdict::Verdict;
use bailiwick_policy::{
    ACTION_KINDS, PolicySet, PolicySource, Recorded, Replayer, parse_action, usual_context,
};
use cedar_policy::{Authorizer, Entities, Entity, EntityUid, Request, RestrictedExpression};

const P50: Duration = Duration::from_micros(50);
const P99: Duration = Duration::from_micros(500);
const REPLAY: Duration = Duration::from_secs(60);
const RELOAD: Duration = Duration::from_millis(100);

fn subject(role: &str) -> Subject {
    serde_json::from_value(serde_json::json!({"role": role, "on_behalf_of": "ana"})).unwrap()
}

fn context(changes: serde_json::Value) -> Context {
    usual_context("shop", changes.as_object().unwrap()).unwrap()
}

/// Policies as a large organisation has them: about other kinds of action, about other files, about
/// other repositories.
fn organisation(count: usize) -> Vec<PolicySource> {
    let others: Vec<&str> = ACTION_KINDS.into_iter().filter(|kind| *kind != "file_write").collect();
    let texts: Vec<String> = (0..count)
        .map(|at| {
            let scope = match at % 3 {
                0 => format!("action == Action::\"{}\", resource", others[at % others.len()]),
                1 => format!("action == Action::\"file_write\", resource == File::\"src/{at}.rs\""),
                _ => format!("action == Action::\"file_write\", resource in Repository::\"r{at}\""),
            };
            format!(
                "@id(\"x{at}\") @reason(\"r\") @hint(\"h\") forbid(principal is Agent, {scope}) \
                 when {{ context.denials > 20 && context.budget_left < {at} }};\n"
            )
        })
        .collect();
    // a source has 1 MiB at most, and people keep files that they can read
    let parts = texts.chunks(50).enumerate();
    parts.map(|(at, part)| PolicySource::new(format!("part-{at}.cedar"), part.concat())).collect()
}

/// The standard policy with so many beside it.
fn beside(count: usize) -> Vec<PolicySource> {
    std::iter::once(PolicySet::standard_source()).chain(organisation(count)).collect()
}

/// Half and nearly all of the measured times lie below these.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn measure(rounds: usize, mut once: impl FnMut()) -> (Duration, Duration) {
    for _ in 0..rounds.min(200) {
        once();
    }
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        once();
        start.elapsed()
    });
    percentiles(times.collect())
}

/// The same question to Cedar alone.
fn plain(count: usize) -> impl FnMut() {
    let uid = |text: &str| text.parse::<EntityUid>().unwrap();
    let mut set = cedar_policy::PolicySet::new();
    for source in organisation(count) {
        let part: cedar_policy::PolicySet = source.text.parse().unwrap();
        for policy in part.policies() {
            let id = policy.annotation("id").unwrap().parse().unwrap();
            set.add(policy.new_id(id)).unwrap();
        }
    }
    let facts = [
        ("denials".to_owned(), RestrictedExpression::new_long(0)),
        ("budget_left".to_owned(), RestrictedExpression::new_long(1_000_000)),
    ];
    let (agent, file) = (uid("Agent::\"implementor\""), uid("File::\"src/lib.rs\""));
    let request = Request::new(
        agent.clone(),
        uid("Action::\"file_write\""),
        file.clone(),
        cedar_policy::Context::from_pairs(facts).unwrap(),
        None,
    )
    .unwrap();
    let entities = Entities::from_entities(
        [
            Entity::new(agent, [].into(), [uid("Role::\"implementor\"")].into()).unwrap(),
            Entity::new(file, [].into(), [uid("Repository::\"shop\"")].into()).unwrap(),
        ],
        None,
    )
    .unwrap();
    let authorizer = Authorizer::new();
    move || {
        black_box(authorizer.is_authorized(black_box(&request), &set, &entities));
    }
}

fn decisions(quick: bool, broken: &mut Vec<String>) {
    println!(
        "decision beside policies      p50        p99   Cedar alone p50        p99   times faster"
    );
    let (who, about) = (subject("implementor"), context(serde_json::json!({})));
    let action = parse_action("file_write: src/lib.rs", "shop", "ana").unwrap();
    let rounds = if quick { 500 } else { 20_000 };
    let mut medians = Vec::new();
    for count in [0, 1_000, 10_000] {
        let set = PolicySet::load(&beside(count)).unwrap();
        let (p50, p99) = measure(rounds, || {
            black_box(set.decide(&who, black_box(&action), &about));
        });
        let (slow50, slow99) = measure(rounds / 50, plain(count));
        println!(
            "{count:>6} and the standard  {p50:>9.1?}  {p99:>9.1?}   {slow50:>14.1?}  {slow99:>9.1?}   {:>11.1}",
            slow50.as_secs_f64() / p50.as_secs_f64()
        );
        if p50 > P50 || p99 > P99 {
            broken.push(format!("beside {count} policies a decision takes {p50:?}, {p99:?}"));
        }
        medians.push(p50.as_secs_f64());
    }
    // flat: ten times the policies, and not a quarter more time
    if medians[2] > medians[1] * 1.25 {
        broken.push(format!("it is not flat: {medians:?} seconds"));
    }
    for text in ["cargo test", "cd src && grep -rn 'a\\|b' . | sort | head -n 5 > /tmp/x; ls"] {
        let action = parse_action(&format!("command: {text}"), "shop", "ana").unwrap();
        let set = PolicySet::load(&beside(1_000)).unwrap();
        let (p50, p99) = measure(rounds / 10, || {
            black_box(set.decide(&who, black_box(&action), &about));
        });
        println!("  1000, command `{text}`: {p50:.1?}, {p99:.1?}");
    }
}

/// Actions as sessions have them: many alike, none of the contexts the same for long.
fn recorded(count: usize) -> impl Iterator<Item = Recorded> {
    let commands = [
        "cargo test",
        "cargo build",
        "cargo clippy -- -D warnings",
        "git status",
        "git diff",
        "npm test",
        "grep -rn needle src | head",
        "ls -la src",
        "cat src/lib.rs",
        "sed -n 1,80p src/main.rs",
    ];
    let who = subject("implementor");
    (0..count).map(move |at| {
        let text = match at % 4 {
            0 => format!("command: {} # {}", commands[at / 4 % commands.len()], at / 4 % 5_000),
            1 => format!("file_read: src/m{}/f{}.rs", at % 97, at % 1_009),
            2 => format!("file_write: src/m{}/f{}.rs", at % 89, at % 997),
            _ => "tool_call: finish".to_owned(),
        };
        Recorded {
            entry: at as u64,
            subject: who.clone(),
            action: parse_action(&text, "shop", "ana").unwrap(),
            context: context(serde_json::json!({
                "budget_left": 5_000_000 - at % 3_000 * 1_000,
                "denials": at % 7,
            })),
            decision: Verdict::Permit { rules: vec![] },
        }
    })
}

fn replay(quick: bool, broken: &mut Vec<String>) {
    let count = if quick { 100_000 } else { 1_000_000 };
    let set = PolicySet::load(&beside(1_000)).unwrap();
    let mut replayer = Replayer::new(&set);
    let mut spent = Duration::ZERO;
    for one in recorded(count) {
        let start = Instant::now();
        replayer.add(&one);
        spent += start.elapsed();
    }
    let start = Instant::now();
    let found = replayer.finish();
    spent += start.elapsed();
    println!(
        "replay of {} recorded actions beside 1000 policies: {spent:.1?}, {:.1?} each",
        found.total,
        spent / u32::try_from(count).unwrap()
    );
    if spent > REPLAY && !quick {
        broken.push(format!("the replay takes {spent:?}"));
    }
}

fn reload(quick: bool, broken: &mut Vec<String>) {
    for count in [0, 100, 1_000] {
        // Texts that nobody has read before.
        let mut sources = beside(count);
        for source in sources.iter_mut().skip(1) {
            source.text =
                source.text.replace("denials > 20", &format!("denials > {}", 1_000 + count));
        }
        let start = Instant::now();
        let first = PolicySet::load(&sources).unwrap();
        let first_time = start.elapsed();
        let in_force = Arc::new(RwLock::new(Arc::new(first)));
        let stop = AtomicBool::new(false);
        let (times, made, longest) = std::thread::scope(|scope| {
            let deciding = scope.spawn(|| {
                let (who, about) = (subject("implementor"), context(serde_json::json!({})));
                let action = parse_action("file_write: src/lib.rs", "shop", "ana").unwrap();
                let (mut made, mut longest) = (0u64, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let set = Arc::clone(&in_force.read().unwrap());
                    let verdict = set.decide(&who, &action, &about);
                    longest = longest.max(start.elapsed());
                    assert!(matches!(verdict, Verdict::Permit { .. }), "{verdict:?}");
                    made += 1;
                }
                (made, longest)
            });
            let rounds = if quick { 3 } else { 20 };
            let times: Vec<Duration> = (0..rounds)
                .map(|round| {
                    // Somebody changed a policy: its file is another one each time.
                    let mut sources = sources.clone();
                    let last = sources.last_mut().unwrap();
                    last.text =
                        last.text.replace("denials > 1", &format!("denials > {}1", 2 + round));
                    let start = Instant::now();
                    let next = Arc::new(PolicySet::load(&sources).unwrap());
                    *in_force.write().unwrap() = next;
                    start.elapsed()
                })
                .collect();
            stop.store(true, Ordering::Relaxed);
            let (made, longest) = deciding.join().unwrap();
            (times, made, longest)
        });
        let (p50, p99) = percentiles(times);
        println!(
            "reload of the standard and {count} policies, one file of them changed: {p50:.1?}, at most {p99:.1?} (the first time {first_time:.1?}); {made} decisions meanwhile, none lost, the longest {longest:.1?}"
        );
        if p50 > RELOAD && !quick {
            broken.push(format!("a reload of the standard and {count} takes {p50:?}"));
        }
    }
}

fn main() {
    // `cargo test --benches` asks for nothing to be measured
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    let quick = std::env::args().any(|word| word == "--quick");
    let mut broken = Vec::new();
    decisions(quick, &mut broken);
    replay(quick, &mut broken);
    reload(quick, &mut broken);
    if broken.is_empty() || quick {
        return;
    }
    panic!("a promise is broken:\n{}", broken.join("\n"));
}
