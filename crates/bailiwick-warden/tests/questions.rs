//! What a person is asked about by default: each kind of question asked, answered with yes and with
//! no, and beside it something of the same kind that is no question.

#[cfg(test)]
mod doubles;

#[cfg(test)]
mod questions {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::doubles::{Book, Purse, hold, session};

    use bailiwick_model::Timestamp;
    use bailiwick_model::action::{Act, Action};
    use bailiwick_model::emergency::Alert;
    use bailiwick_model::event::Event;
    use bailiwick_model::id::{ApprovalId, EmergencyId, Person, RepoName};
    use bailiwick_model::outcome::NoEffect;
    use bailiwick_model::payload::Digest;
    use bailiwick_model::subject::{Context, Role, SessionFacts, Subject};

    use bailiwick_model::verdict::Denial;
    use bailiwick_policy::{PolicySet, parse_action, usual_context};
    use bailiwick_warden::{
        ActError, Claim, Journal, SafeguardError, Safeguards, Standing, Stopped, Warden,
    };
    use serde_json::json;

    /// The question, who wants it done, what, and something of the same kind that nobody is asked.
    const QUESTIONS: [(&str, Role, &str, &str); 9] = [
        ("reviewers", Role::Publisher, "pull_request_merge: #7", ""),
        (
            "production-approvers",
            Role::Implementor,
            "secret_use: production/database for a migration",
            "secret_use: provider/scripted for model call",
        ),
        (
            "pipeline-owners",
            Role::Implementor,
            "file_write: .github/workflows/ci.yml",
            "file_write: src/ci.yml",
        ),
        (
            "dependency-approvers",
            Role::Implementor,
            "command: cargo add --offline serde",
            "command: cargo build --offline",
        ),
        (
            "repository-owners",
            Role::Implementor,
            r#"{"kind":"repo_read","repo":"other","object":"0000000000000000000000000000000000000000","branch":"main"}"#,
            "repo_read: check-out",
        ),
        (
            "budget-owners",
            Role::Human,
            "task_raise: budget to 5000000",
            "repo_read: import from /srv/x",
        ),
        (
            "tier-owners",
            Role::Human,
            "task_raise: tier to container",
            "repo_read: import from /srv/x",
        ),
        (
            "agent-rule-owners",
            Role::Implementor,
            "file_write: AGENTS.md",
            "file_write: docs/agents.txt",
        ),
        (
            "agent-rule-owners",
            Role::Implementor,
            "file_write: .claude/settings.json",
            "file_write: claude/settings.json",
        ),
    ];

    /// What came of the question.
    struct Said(Standing);

    impl Safeguards for Said {
        fn frozen(
            &self,
            _subject: &Subject,
            _context: &Context,
            _action: &Action,
        ) -> Result<Option<Stopped>, SafeguardError> {
            Ok(None)
        }

        fn facts(
            &self,
            _subject: &Subject,
            _facts: &mut SessionFacts,
            _now: Timestamp,
        ) -> Result<(), SafeguardError> {
            Ok(())
        }

        fn standing(
            &self,
            _subject: &Subject,
            _digest: Digest,
            _now: Timestamp,
        ) -> Result<Standing, SafeguardError> {
            Ok(self.0.clone())
        }

        fn claim(&self, _approval: ApprovalId) -> Result<Claim, SafeguardError> {
            Ok(Claim::Taken)
        }

        fn release(&self, _approval: ApprovalId) {}

        fn emergency(
            &self,
            _person: &Person,
            _repo: &RepoName,
            _now: Timestamp,
        ) -> Result<Option<EmergencyId>, SafeguardError> {
            Ok(None)
        }

        fn storm(&self, _subject: &Subject, _now: Timestamp) -> Option<Alert> {
            None
        }
    }

    async fn perform<A: Act>(
        warden: &Warden,
        subject: &Subject,
        context: &Context,
        action: A,
    ) -> (String, bool) {
        let done = Mutex::new(false);
        let result = warden
            .perform(subject, context, action, |_permit| async {
                *done.lock().unwrap() = true;
                Ok::<(), NoEffect>(())
            })
            .await;
        let done = *done.lock().unwrap();
        (result.map_or_else(|error: ActError<NoEffect>| error.code(), |()| "done".to_owned()), done)
    }

    /// Tries it once; says how it ended, and whether the effect took place.
    async fn attempt(standing: Standing, role: Role, action: &str) -> (String, bool, Vec<Event>) {
        let book = Arc::new(Book::default());
        let warden = Warden::new(
            Arc::new(PolicySet::standard().unwrap()),
            Arc::clone(&book) as Arc<dyn Journal>,
            Arc::new(Purse(100)),
        )
        .with_safeguards(Arc::new(Said(standing)));
        let subject = Subject {
            role,
            on_behalf_of: Person::parse("ana").unwrap(),
            task: Some("01890000-0000-7000-8000-000000000001".parse().unwrap()),
            subtask: None,
            session: Some(session()),
        };
        hold(&warden);
        let context = json!({"scope": ["**"]});
        let mut context = usual_context("shop", context.as_object().unwrap()).unwrap();
        context.approvals = BTreeSet::new();
        let (code, done) = match parse_action(action, "shop", "ana").unwrap() {
            Action::PullRequestMerge(merge) => perform(&warden, &subject, &context, merge).await,
            Action::SecretUse(secret) => perform(&warden, &subject, &context, secret).await,
            Action::FileWrite(write) => perform(&warden, &subject, &context, write).await,
            Action::Command(command) => perform(&warden, &subject, &context, command).await,
            Action::RepoRead(read) => perform(&warden, &subject, &context, read).await,
            Action::TaskRaise(raise) => perform(&warden, &subject, &context, raise).await,
            other => panic!("{other:?}"),
        };
        let events = book.0.lock().unwrap().clone();
        (code, done, events)
    }

    #[tokio::test]
    async fn each_is_asked_and_done_after_a_yes_and_not_after_a_no() {
        for (group, role, action, control) in QUESTIONS {
            if !control.is_empty() {
                let (code, done, _) = attempt(Standing::Unasked, role, control).await;
                assert_eq!((code.as_str(), done), ("done", true), "{control}");
            }
            let (code, done, events) = attempt(Standing::Unasked, role, action).await;
            assert_eq!((code.as_str(), done), ("policy.needs_approval", false), "{action}");
            let asked = events.iter().find_map(|event| match event {
                Event::Fact(fact) => match fact.as_ref() {
                    bailiwick_model::event::Fact::ApprovalAsked(request) => Some(request.clone()),
                    _ => None,
                },
                _ => None,
            });
            let asked = asked.unwrap_or_else(|| panic!("{action}: nobody was asked"));
            let groups: Vec<&str> = asked.needs.iter().map(|need| need.group.as_str()).collect();
            assert_eq!(groups, [group], "{action}");
            assert_eq!(asked.action, parse_action(action, "shop", "ana").unwrap(), "{action}");

            let granted = Standing::Granted {
                approval: asked.id,
                groups: vec![group.to_owned()],
                once: true,
            };
            let (code, done, _) = attempt(granted, role, action).await;
            assert_eq!((code.as_str(), done), ("done", true), "{action}");
            let others = Standing::Granted {
                approval: asked.id,
                groups: vec!["somebody-else".to_owned()],
                once: true,
            };
            let (code, done, _) = attempt(others, role, action).await;
            assert_eq!((code.as_str(), done), ("policy.needs_approval", false), "{action}");

            let no = Standing::Refused(Denial {
                code: "approval.denied".to_owned(),
                rules: Vec::new(),
                reason: "no".to_owned(),
                hint: String::new(),
            });
            let (code, done, _) = attempt(no, role, action).await;
            assert_eq!((code.as_str(), done), ("approval.denied", false), "{action}");
        }
    }
}
