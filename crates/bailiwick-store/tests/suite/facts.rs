//! What is known of a session and a task at each decision, through a restart.

use std::collections::BTreeMap;

use bailiwick_model::Timestamp;
use bailiwick_model::action::{
    Action, BudgetRaise, Command, HostRequest, Purpose, TaskRaise, TierChange,
};
use bailiwick_model::event::{Event, Fact};
use bailiwick_model::id::{Person, RepoName, SessionId, TaskId};
use bailiwick_model::path::WorkPath;
use bailiwick_model::subject::{Role, SessionFacts, Subject};
use bailiwick_model::task::{MicroUsd, PolicyText};
use bailiwick_model::verdict::{Denial, Verdict};
use bailiwick_store::Store;
use bailiwick_warden::{BudgetBook as _, Journal as _, Safeguards as _};

use crate::world::*;

fn permit() -> Verdict {
    Verdict::Permit { rules: vec!["r".to_owned()] }
}

/// A decision on a command that names a host.
fn connects(task: TaskId, session: Option<SessionId>, network: bool, verdict: Verdict) -> Event {
    let command = Command {
        argv: vec![
            "pip".to_owned(),
            "download".to_owned(),
            "https://Mirror.example/six".to_owned(),
        ],
        cwd: WorkPath::root(),
        env: BTreeMap::new(),
        purpose: Purpose::Setup,
        network,
        timeout_ms: 1,
    };
    let mut event = decided(task, action_id(), Action::Command(command), verdict);
    if let Event::Decided(decided) = &mut event {
        decided.subject.session = session;
    }
    event
}

fn request(host: &str) -> HostRequest {
    HostRequest {
        scheme: "https".to_owned(),
        host: host.to_owned(),
        port: 443,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        body_digest: None,
    }
}

fn facts(store: &Store, task: TaskId, session: Option<SessionId>) -> SessionFacts {
    facts_on(store, task, session, SessionFacts::default())
}

fn facts_on(
    store: &Store,
    task: TaskId,
    session: Option<SessionId>,
    mut facts: SessionFacts,
) -> SessionFacts {
    let subject = Subject {
        role: Role::Setup,
        on_behalf_of: Person::parse("ada").unwrap(),
        task: Some(task),
        subtask: None,
        session,
    };
    store.facts(&subject, &mut facts, Timestamp::now()).unwrap();
    facts
}

#[tokio::test]
async fn hosts_are_those_that_were_connected_to_by_the_same_and_no_others() {
    let world = World::new();
    let store = world.open();
    let (task, other, session) = (task_id(), task_id(), session_id());
    let denial = Denial {
        code: "policy.forbidden".to_owned(),
        rules: vec!["no-new-host".to_owned()],
        reason: "no".to_owned(),
        hint: "no".to_owned(),
    };
    store
        .append(vec![
            connects(task, None, true, permit()),
            // Nothing was connected to by these.
            connects(other, None, false, permit()),
            connects(other, None, true, Verdict::Deny(denial.clone())),
            connects(other, Some(session), true, permit()),
            decided(other, action_id(), Action::HostRequest(request("api.example")), permit()),
            connects(other, Some(session), true, Verdict::Deny(denial)),
        ])
        .await
        .unwrap();
    let check = |store: &Store| {
        let hosts = |task, session| -> Vec<String> {
            facts(store, task, session).hosts.into_iter().collect()
        };
        assert_eq!(hosts(task, None), ["mirror.example"]);
        // beside those that the platform itself names
        let named =
            SessionFacts { hosts: ["index.example".to_owned()].into(), ..SessionFacts::default() };
        let more: Vec<String> = facts_on(store, task, None, named).hosts.into_iter().collect();
        assert_eq!(more, ["index.example", "mirror.example"]);
        assert!(hosts(task, Some(session)).is_empty(), "another session's");
        // Not those that were refused, or without a network.
        assert_eq!(hosts(other, None), ["api.example"]);
        assert_eq!(hosts(other, Some(session)), ["mirror.example"]);
        assert_eq!(facts(store, other, Some(session)).denied_by["no-new-host"], 1);
    };
    check(&store);
    drop(store);
    check(&world.open());
}

#[tokio::test]
async fn the_rules_that_came_with_a_task_and_what_it_was_raised_to_are_known_through_a_restart() {
    let world = World::new();
    let store = world.open();
    let (task, other) = (task_id(), task_id());
    let file = PolicyText { name: "mine.toml".to_owned(), text: "[commands]\n".to_owned() };
    let raise = |verdict| {
        let raise = TaskRaise {
            task,
            repo: RepoName::parse("calc").unwrap(),
            budget: Some(BudgetRaise { from: MicroUsd(10), to: MicroUsd(25) }),
            tier: Some(TierChange { from: "process".to_owned(), to: "gvisor".to_owned() }),
            reason: "it needs more".to_owned(),
        };
        decided(task, action_id(), Action::TaskRaise(raise), verdict)
    };
    let ask = Verdict::NeedsApproval { groups: vec!["g".to_owned()], rules: vec!["r".to_owned()] };
    store
        .append(vec![
            submitted(task, 10),
            submitted(other, 10),
            Event::fact(Fact::TaskNarrowed {
                task,
                by: Person::parse("ada").unwrap(),
                files: vec![file.clone()],
            }),
            raise(ask),
        ])
        .await
        .unwrap();
    let state = |store: &Store, task| {
        let tier = store.people(|people| people.tier_of(task).map(str::to_owned));
        let narrowing = store.narrowing(task).unwrap().map(|files| files.to_vec());
        (store.left(task), tier, narrowing)
    };
    // Asked is not granted.
    assert_eq!(state(&store, task), (MicroUsd(10), None, Some(vec![file.clone()])));
    store.append(vec![raise(permit())]).await.unwrap();
    let raised = (MicroUsd(25), Some("gvisor".to_owned()), Some(vec![file]));
    assert_eq!(state(&store, task), raised);
    drop(store);
    let store = world.open();
    assert_eq!(state(&store, task), raised);
    assert_eq!(state(&store, other), (MicroUsd(10), None, None));
}
