//! What is done for somebody is what policy allows and what they may do on the forge, never more.

#[cfg(test)]
mod doubles;

#[cfg(test)]
mod rights {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::Mutex;

    use super::doubles::{Book, Purse};
    use async_trait::async_trait;
    use bailiwick_model::action::{Act, Action};
    use bailiwick_model::event::Event;
    use bailiwick_model::id::{Person, RepoName};
    use bailiwick_model::identity::RepoRight;
    use bailiwick_model::outcome::NoEffect;
    use bailiwick_model::subject::{Role, Subject};

    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{ACTION_KINDS, PolicySet, PolicySource, parse_action, usual_context};
    use bailiwick_warden::{ActError, ForgeRights, Journal, RIGHTS_CODES, RightsError, Warden};

    /// A forge; of what it has no entry for it gives no answer.
    struct Forge(BTreeMap<&'static str, RepoRight>);

    #[async_trait]
    impl ForgeRights for Forge {
        async fn right_of(
            &self,
            person: &Person,
            repo: &RepoName,
        ) -> Result<RepoRight, RightsError> {
            assert_eq!(person.as_str(), "ada");
            let right = self.0.get(repo.as_str()).copied();
            right.ok_or_else(|| RightsError { message: "the forge answers 503".to_owned() })
        }
    }

    const ALL: &str = "@id(\"all\") @reason(\"a test\") permit(principal, action, resource);";
    const NONE: &str =
        "@id(\"none\") @reason(\"a test\") @hint(\"h\") forbid(principal, action, resource);";

    async fn perform<A: Act>(warden: &Warden, subject: &Subject, repo: &str, act: A) -> String {
        let context = usual_context(repo, &serde_json::Map::new()).unwrap();
        let done = Mutex::new(false);
        let result = warden
            .perform(subject, &context, act, |_permit| async {
                *done.lock().unwrap() = true;
                Ok::<(), NoEffect>(())
            })
            .await;
        let code = result.as_ref().map_or_else(ActError::code, |()| "done".to_owned());
        assert_eq!(*done.lock().unwrap(), code == "done", "{code}");
        code
    }

    /// Does an action of ada's in `shop`; gives the code, `done` when it was done.
    async fn act(policy: &str, forge: &[(&'static str, RepoRight)], action: &Action) -> String {
        let policy = PolicySet::load(&[PolicySource::new("p.cedar", policy)]).unwrap();
        let book = Arc::new(Book::default());
        let journal = Arc::clone(&book) as Arc<dyn Journal>;
        let warden = Warden::new(Arc::new(policy), journal, Arc::new(Purse(0)))
            .with_rights(Arc::new(Forge(forge.iter().copied().collect())));
        // The publisher acts for ada: what it does is bounded by what she may do.
        let subject = Subject {
            role: Role::Publisher,
            on_behalf_of: Person::parse("ada").unwrap(),
            task: None,
            subtask: None,
            session: None,
        };
        let code = match action.clone() {
            Action::ModelCall(act) => perform(&warden, &subject, "shop", act).await,
            Action::ToolCall(act) => perform(&warden, &subject, "shop", act).await,
            Action::Command(act) => perform(&warden, &subject, "shop", act).await,
            Action::FileRead(act) => perform(&warden, &subject, "shop", act).await,
            Action::FileWrite(act) => perform(&warden, &subject, "shop", act).await,
            Action::SecretUse(act) => perform(&warden, &subject, "shop", act).await,
            Action::HostRequest(act) => perform(&warden, &subject, "shop", act).await,
            Action::RepoRead(act) => perform(&warden, &subject, "shop", act).await,
            Action::BranchPush(act) => perform(&warden, &subject, "shop", act).await,
            Action::PullRequestOpen(act) => perform(&warden, &subject, "shop", act).await,
            Action::ReviewSubmit(act) => perform(&warden, &subject, "shop", act).await,
            Action::PullRequestMerge(act) => perform(&warden, &subject, "shop", act).await,
            Action::TaskRaise(act) => perform(&warden, &subject, "shop", act).await,
            Action::AgentStart(act) => perform(&warden, &subject, "shop", act).await,
        };
        // Whatever it was, it stands in the ledger with its code.
        let events = book.0.lock().unwrap();
        let Some(Event::Decided(decided)) = events.first() else { panic!("nothing recorded") };
        match &decided.decision {
            Verdict::Deny(denial) => assert_eq!(denial.code, code),
            other => assert!(matches!(other, Verdict::Permit { .. }) && code == "done"),
        }
        code
    }

    /// One action of each kind, with the right that it takes.
    const KINDS: [(&str, RepoRight); 15] = [
        ("model_call: anthropic/claude", RepoRight::Read),
        ("tool_call: finish", RepoRight::Read),
        ("command: cargo test", RepoRight::Read),
        ("file_read: src/lib.rs", RepoRight::Read),
        ("file_write: src/lib.rs", RepoRight::Write),
        ("secret_use: provider/a for model call", RepoRight::Read),
        ("request: GET https://example.org/x", RepoRight::Read),
        ("repo_read: check-out", RepoRight::Read),
        ("repo_read: import from /srv/shop", RepoRight::Write),
        ("branch_push: bailiwick/x", RepoRight::Write),
        ("pull_request_open: bailiwick/x", RepoRight::Write),
        ("review_submit: approve", RepoRight::Write),
        ("pull_request_merge: #1", RepoRight::Write),
        ("agent_start: verifier", RepoRight::Read),
        ("task_raise: budget to 5000000", RepoRight::Write),
    ];

    #[tokio::test]
    async fn what_is_done_is_the_smaller_of_policy_and_right() {
        let mut kinds: Vec<&str> =
            KINDS.iter().map(|(text, _)| text.split_once(':').unwrap().0).collect();
        kinds.dedup();
        assert_eq!(kinds, ACTION_KINDS);
        for (text, needed) in KINDS {
            let action = parse_action(text, "shop", "ada").unwrap();
            for right in RepoRight::ALL {
                let expected = if right >= needed { "done" } else { "forge.right_missing" };
                assert_eq!(act(ALL, &[("shop", right)], &action).await, expected, "{text}");
                // A right on the forge is no reason to allow what policy does not.
                assert_eq!(act(NONE, &[("shop", right)], &action).await, "policy.forbidden");
            }
        }
    }

    #[tokio::test]
    async fn a_forge_that_gives_no_answer_refuses() {
        for (text, _) in KINDS {
            let action = parse_action(text, "shop", "ada").unwrap();
            assert_eq!(act(ALL, &[], &action).await, "forge.rights_unknown", "{text}");
        }
    }

    #[tokio::test]
    async fn an_action_on_another_repository_needs_the_right_there_as_well() {
        let push = parse_action("branch_push: bailiwick/x", "bank", "ada").unwrap();
        let write = |repo| (repo, RepoRight::Write);
        assert_eq!(act(ALL, &[write("shop"), write("bank")], &push).await, "done");
        let read = ("bank", RepoRight::Read);
        assert_eq!(act(ALL, &[write("shop"), read], &push).await, "forge.right_missing");
        assert_eq!(act(ALL, &[write("shop")], &push).await, "forge.rights_unknown");
        assert_eq!(
            RIGHTS_CODES.map(|(code, _)| code),
            ["forge.right_missing", "forge.rights_unknown"]
        );
    }
}
