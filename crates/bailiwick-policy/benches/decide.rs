//! How long one decision takes: under the standard policy, and beside many policies about other
//! kinds of action (with the index, and by Cedar alone in the same run).
#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use bailiwick_model::action::{Action, Command, FileWrite, Purpose, WriteMode};
use bailiwick_model::id::{BranchName, Person, RepoName};
use bailiwick_model::path::WorkPath;
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::{ACTION_KINDS, PolicySet, PolicySource};
use cedar_policy::{Authorizer, Entities, Request};
use criterion::{Criterion, criterion_group, criterion_main};

fn subject() -> Subject {
    Subject {
        role: Role::Implementor,
        on_behalf_of: Person::parse("ana").unwrap(),
        task: None,
        subtask: None,
        session: None,
    }
}

fn context() -> Context {
    Context {
        repo: RepoName::parse("shop").unwrap(),
        protected_branch: BranchName::parse("main").unwrap(),
        taint: BTreeSet::new(),
        scope: vec!["src/**".to_owned()],
        budget_left: MicroUsd(1_000_000),
        denials: 0,
        single_user: false,
        approvals: BTreeSet::new(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    }
}

fn write() -> Action {
    Action::FileWrite(FileWrite {
        path: WorkPath::parse("src/lib.rs").unwrap(),
        mode: WriteMode::Whole { content: Payload::from("x") },
    })
}

fn command(text: &str) -> Action {
    Action::Command(Command {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
        cwd: WorkPath::root(),
        env: BTreeMap::new(),
        purpose: Purpose::Tool,
        network: false,
        timeout_ms: 1000,
    })
}

/// Policies spread over the kinds of action other than `file_write`.
fn others(count: usize) -> PolicySource {
    let kinds: Vec<&str> = ACTION_KINDS.into_iter().filter(|kind| *kind != "file_write").collect();
    let text = (0..count)
        .map(|at| {
            let kind = kinds.get(at % kinds.len()).unwrap();
            format!(
                "@id(\"x{at}\") @reason(\"r\") @hint(\"h\") forbid(principal is Agent, action == Action::\"{kind}\", resource) \
                 when {{ context.denials > {at} && context.repository == Repository::\"r{at}\" }};\n"
            )
        })
        .collect();
    PolicySource { name: "others.cedar".to_owned(), text }
}

fn decide(c: &mut Criterion) {
    let (subject, context) = (subject(), context());
    let set = PolicySet::standard().unwrap();
    let mut group = c.benchmark_group("standard");
    group.bench_function("file_write", |b| {
        b.iter(|| set.decide(&subject, black_box(&write()), &context));
    });
    for (name, text) in [
        ("command_short", "cargo test"),
        ("command_long", "cd src && grep -rn 'a\\|b' . | sort | head -n 5 > /tmp/x; ls"),
    ] {
        let action = command(text);
        group.bench_function(name, |b| {
            b.iter(|| set.decide(&subject, black_box(&action), &context));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("beside_others");
    for count in [0, 1000, 5000] {
        let source = others(count);
        let set = PolicySet::load(&[PolicySet::standard_source(), source.clone()]).unwrap();
        let action = write();
        group.bench_function(format!("indexed_{count}"), |b| {
            b.iter(|| set.decide(&subject, black_box(&action), &context));
        });
        let cedar: cedar_policy::PolicySet = source.text.parse().unwrap();
        let request = Request::new(
            "Agent::\"a\"".parse().unwrap(),
            "Action::\"file_write\"".parse().unwrap(),
            "File::\"f\"".parse().unwrap(),
            cedar_policy::Context::empty(),
            None,
        )
        .unwrap();
        let (authorizer, entities) = (Authorizer::new(), Entities::empty());
        group.bench_function(format!("cedar_alone_{count}"), |b| {
            b.iter(|| authorizer.is_authorized(black_box(&request), &cedar, &entities));
        });
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
