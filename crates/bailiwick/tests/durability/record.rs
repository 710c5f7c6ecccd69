//! What the ledger says, and whether it fits what is so.

use std::collections::BTreeMap;

use bailiwick_model::action::Action;
use bailiwick_model::event::{Decided, Entry, Event, Fact, TaskEnd};
use bailiwick_model::id::{ActionId, TaskId};
use bailiwick_model::outcome::Outcome;
use bailiwick_model::subject::Role;
use bailiwick_model::verdict::Verdict;

use super::fixture::{Case, REPO, git, told};
use super::outside::{self, Effects};

/// The kind of effect that an action has, as [`outside::effects`] counts it.
pub(crate) fn kind(decided: &Decided) -> Option<&'static str> {
    match &decided.action {
        // Elsewhere the checkout is mounted read-only, and its reads leave no trace.
        Action::FileRead(_) if decided.subject.role != Role::Implementor => None,
        Action::RepoRead(read) if read.source.is_some() => Some("import"),
        Action::RepoRead(_) => Some("checkout"),
        Action::SecretUse(secret) if secret.name == "commit-signing-key" => Some("signature"),
        // No provider here has a key.
        Action::SecretUse(_) | Action::AgentStart(_) | Action::ToolCall(_) => None,
        action => Some(action.kind()),
    }
}

/// Counts the actions that were permitted, by the kind of their effect.
pub(crate) fn permitted(entries: &[Entry]) -> Effects {
    let mut effects = Effects::new();
    for entry in entries {
        if let Event::Decided(decided) = &entry.event
            && matches!(decided.decision, Verdict::Permit { .. })
            && let Some(kind) = kind(decided)
        {
            *effects.entry(kind).or_default() += 1;
        }
    }
    effects
}

/// The task that was submitted.
pub(crate) fn task(entries: &[Entry]) -> Option<TaskId> {
    facts(entries).find_map(|fact| match fact {
        Fact::TaskSubmitted { task } => Some(task.id),
        _ => None,
    })
}

fn facts(entries: &[Entry]) -> impl Iterator<Item = &Fact> {
    entries.iter().filter_map(|entry| match &entry.event {
        Event::Fact(fact) => Some(fact.as_ref()),
        _ => None,
    })
}

/// What a text of an entry would be if ids and times were the same in every run.
pub(crate) fn label(entry: &Entry) -> String {
    match &entry.event {
        Event::Decided(decided) => {
            format!("decided {} {}", decided.subject.role.name(), decided.action.kind())
        }
        other => other.name().to_owned(),
    }
}

/// Says what is wrong with a task that is said to be over: in the ledger, in the repository, or
/// between the two.
pub(crate) fn problems(case: &Case, entries: &[Entry]) -> Vec<String> {
    let mut problems = pairing(entries);
    problems.extend(once(entries, case.story.pulls));
    problems.extend(delivered(case));
    problems.extend(verified(case));
    problems.extend(calls(case, entries));
    problems
        .extend(outside::leftovers(case).into_iter().map(|left| format!("left behind: {left}")));
    problems
}

/// Every permitted action has exactly one end after it; nothing else has one.
pub(crate) fn pairing(entries: &[Entry]) -> Vec<String> {
    let mut open: BTreeMap<ActionId, (bool, usize)> = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::Decided(decided) => {
                let permitted = matches!(decided.decision, Verdict::Permit { .. });
                if open.insert(decided.id, (permitted, 0)).is_some() {
                    problems.push(format!("entry {}: decided twice", entry.seq));
                }
            }
            Event::Finished(finished) => match open.get_mut(&finished.id) {
                Some((true, ends)) => *ends += 1,
                Some((false, _)) => problems.push(format!("entry {}: it was refused", entry.seq)),
                None => problems.push(format!("entry {}: it was never decided", entry.seq)),
            },
            Event::Fact(_) => {}
        }
    }
    let bad = open.iter().filter(|(_, (permitted, ends))| *ends != usize::from(*permitted));
    problems.extend(bad.map(|(id, (_, ends))| format!("action {id} has {ends} ends")));
    problems
}

/// What must be so once, is so once.
fn once(entries: &[Entry], pulls: usize) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut done: BTreeMap<ActionId, &Action> = BTreeMap::new();
    for entry in entries {
        let what = match &entry.event {
            Event::Decided(decided) => {
                done.insert(decided.id, &decided.action);
                None
            }
            Event::Finished(finished) if matches!(finished.result, Outcome::Failed { .. }) => None,
            Event::Finished(finished) => match done.get(&finished.id) {
                Some(Action::ModelCall(call)) => {
                    finished.session.map(|session| format!("model call {session}/{}", call.step))
                }
                Some(Action::BranchPush(push)) => push
                    .commit
                    .as_ref()
                    .map(|commit| format!("push of {} to {commit}", push.branch)),
                Some(Action::PullRequestMerge(merge)) => {
                    Some(format!("merge of #{}", merge.number))
                }
                _ => None,
            },
            Event::Fact(fact) => match fact.as_ref() {
                Fact::TaskSubmitted { .. } => Some("submission".to_owned()),
                Fact::PlanAccepted { .. } => Some("plan".to_owned()),
                Fact::Merged { subtask, .. } => Some(format!("merged {subtask}")),
                Fact::TaskEnded { end: TaskEnd::Merged, .. } => Some("end".to_owned()),
                Fact::TaskEnded { .. } => Some("wrong end, twice".to_owned()),
                Fact::StepTaken(step) => Some(format!("step {}/{}", step.session, step.step)),
                Fact::SessionEnded { session, .. } => Some(format!("end of run {session}")),
                _ => None,
            },
        };
        if let Some(what) = what {
            *seen.entry(what).or_default() += 1;
        }
    }
    let mut problems: Vec<String> = seen
        .iter()
        .filter(|(what, times)| **times != 1 || what.starts_with("wrong"))
        .map(|(what, times)| format!("{times} times: {what}"))
        .collect();
    let merged = seen.keys().filter(|what| what.starts_with("merged ")).count();
    if merged != pulls || !seen.contains_key("end") {
        problems.push(format!("{merged} of {pulls} subtasks are recorded as merged: {seen:?}"));
    }
    problems
}

/// Git and the forge's files: each pull request once, merged once, and the tests pass.
fn delivered(case: &Case) -> Vec<String> {
    let mut problems = Vec::new();
    let (pulls, expected) = (outside::pulls(case), case.story.pulls);
    if pulls.len() != expected || outside::merges(case) != expected {
        let merges = outside::merges(case);
        problems.push(format!("{} pull requests and {merges} merges, not {expected}", pulls.len()));
    }
    for pull in &pulls {
        if !pull["state"].to_string().contains("merged") {
            problems.push(format!("a pull request is not merged: {pull}"));
        }
        let reviews = pull["reviews"].as_array().unwrap();
        let newest = reviews.iter().filter(|review| review["head"] == pull["head_commit"]).count();
        if newest != 1 {
            problems.push(format!("{newest} reviews of the newest commit: {pull}"));
        }
    }
    let clone = case.path("clone");
    if !clone.exists() {
        let from = case.forge_git();
        git(
            case.root.path(),
            &["clone", "--quiet", "--branch=main", from.to_str().unwrap(), "clone"],
        );
        git(&clone, &["fsck", "--strict", "--no-dangling"]);
        let tests = std::process::Command::new("sh").arg("test.sh").current_dir(&clone).output();
        let tests = tests.unwrap();
        if !tests.status.success() {
            problems.push(format!("the tests of {REPO} fail on main: {}", told(&tests)));
        }
        for (_, file, text) in case.story.writes {
            let content = std::fs::read_to_string(clone.join(file)).unwrap_or_default();
            if !content.contains(text) {
                problems.push(format!("`{file}` is not what was asked for: {content}"));
            }
        }
    }
    problems
}

/// The ledger on its files alone, with the key from outside.
fn verified(case: &Case) -> Option<String> {
    let key = case.call(&["ledger", "key"], "");
    let key = super::fixture::object(&key)["key"].as_str().unwrap().to_owned();
    let ledger = case.data.join("ledger");
    let verify = case.call(&["ledger", "verify", ledger.to_str().unwrap(), "--key", &key], "");
    let report = super::fixture::object(&verify);
    let good =
        verify.status.success() && report["verified"] == true && report["trusted"] != "nothing";
    (!good).then(|| format!("the ledger does not verify: {}", told(&verify)))
}

/// No call reached the model without a decision for it, and none that was answered was made again.
fn calls(case: &Case, entries: &[Entry]) -> Option<String> {
    let recorded = permitted(entries).get("model_call").copied().unwrap_or_default();
    let made = case.model.log().len();
    (made > recorded).then(|| format!("{made} calls reached the model, {recorded} are recorded"))
}
