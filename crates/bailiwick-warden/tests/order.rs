//! Decide, record, effect, record: the order, and what happens when a part of it fails.

#[cfg(test)]
mod doubles;

#[cfg(test)]
mod order {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::doubles::{hold, session};
    use async_trait::async_trait;
    use bailiwick_model::action::{ModelCall, SecretUse, ToolCall};
    use bailiwick_model::event::Event;
    use bailiwick_model::id::{BranchName, Person, RepoName, TaskId};
    use bailiwick_model::outcome::{EffectError, Outcome};
    use bailiwick_model::payload::{Digest, Payload};
    use bailiwick_model::subject::{Context, Role, Subject};
    use bailiwick_model::task::MicroUsd;
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;
    use bailiwick_warden::{
        ActError, BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden,
    };

    /// What happened, in order, the effect included.
    type Seen = Arc<Mutex<Vec<String>>>;

    struct Book {
        seen: Seen,
        fails_at: Option<usize>,
        events: Mutex<Vec<Event>>,
    }

    #[async_trait]
    impl Journal for Book {
        async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
            let mut all = self.events.lock().unwrap();
            if self.fails_at == Some(all.len()) {
                self.seen.lock().unwrap().push("append failed".to_owned());
                return Err(JournalError { message: "disk full".to_owned(), source: None });
            }
            for event in events {
                self.seen.lock().unwrap().push(event.name().to_owned());
                all.push(event);
            }
            Ok(0)
        }
    }

    struct Purse {
        left: Mutex<u64>,
        settled: Mutex<Vec<u64>>,
    }

    impl BudgetBook for Purse {
        fn left(&self, _task: TaskId) -> MicroUsd {
            MicroUsd(*self.left.lock().unwrap())
        }

        fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
            let mut left = self.left.lock().unwrap();
            if *left < amount.0 {
                return Err(BudgetExceeded { asked: amount, left: MicroUsd(*left) });
            }
            *left -= amount.0;
            Ok(Reservation { task, amount })
        }

        fn settle(&self, _reservation: Reservation, cost: MicroUsd) {
            self.settled.lock().unwrap().push(cost.0);
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("it broke")]
    struct Broke {
        possibly_done: bool,
    }

    impl EffectError for Broke {
        fn code(&self) -> String {
            "test.broke".to_owned()
        }

        fn hint(&self) -> Option<String> {
            None
        }

        fn possibly_done(&self) -> bool {
            self.possibly_done
        }
    }

    struct Stand {
        seen: Seen,
        book: Arc<Book>,
        purse: Arc<Purse>,
        warden: Warden,
    }

    fn stand(fails_at: Option<usize>) -> Stand {
        let seen = Seen::default();
        let book = Arc::new(Book { seen: Arc::clone(&seen), fails_at, events: Mutex::default() });
        let purse = Arc::new(Purse { left: Mutex::new(100), settled: Mutex::default() });
        let policy = Arc::new(PolicySet::standard().unwrap());
        let warden = Warden::new(
            policy,
            Arc::clone(&book) as Arc<dyn Journal>,
            Arc::clone(&purse) as Arc<dyn BudgetBook>,
        );
        hold(&warden);
        Stand { seen, book, purse, warden }
    }

    fn subject(role: Role) -> Subject {
        Subject {
            role,
            on_behalf_of: Person::parse("ada").unwrap(),
            task: Some("01980000-0000-7000-8000-000000000001".parse().unwrap()),
            subtask: None,
            session: Some(session()),
        }
    }

    fn context() -> Context {
        Context {
            repo: RepoName::parse("demo").unwrap(),
            protected_branch: BranchName::parse("main").unwrap(),
            taint: BTreeSet::new(),
            scope: vec!["**".to_owned()],
            budget_left: MicroUsd(u64::MAX),
            denials: 0,
            single_user: false,
            approvals: BTreeSet::new(),
            facts: bailiwick_model::subject::SessionFacts::default(),
        }
    }

    fn finish() -> ToolCall {
        ToolCall { tool: "finish".to_owned(), arguments: Payload::from("{}") }
    }

    fn call(estimate: u64) -> ModelCall {
        ModelCall {
            provider: "p".to_owned(),
            model: "m".to_owned(),
            role: Role::Implementor,
            subtask: None,
            round: 0,
            step: 1,
            prompt: Payload::from("[]"),
            request_digest: Digest::of(b""),
            estimate: MicroUsd(estimate),
            request: None,
        }
    }

    impl Stand {
        async fn act<A: bailiwick_model::action::Act>(
            &self,
            role: Role,
            action: A,
            result: Result<(), Broke>,
        ) -> Result<(), ActError<Broke>> {
            let seen = Arc::clone(&self.seen);
            self.warden
                .perform(&subject(role), &context(), action, |permit| async move {
                    seen.lock()
                        .unwrap()
                        .push(format!("effect {}", permit.action().to_action().kind()));
                    result
                })
                .await
        }

        fn seen(&self) -> Vec<String> {
            self.seen.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn the_decision_is_recorded_before_the_effect_and_the_outcome_after() {
        let stand = stand(None);
        stand.act(Role::Implementor, finish(), Ok(())).await.unwrap();
        assert_eq!(stand.seen(), ["decided", "effect tool_call", "finished"]);
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_not_done() {
        let stand = stand(Some(0));
        let error = stand.act(Role::Implementor, finish(), Ok(())).await.unwrap_err();
        assert!(matches!(error, ActError::Unrecordable(_)));
        assert_eq!(error.code(), "ledger.unwritable");
        assert_eq!(stand.seen(), ["append failed"], "and no effect");
        // The same for a call that had money set aside: it is given back.
        let error = stand.act(Role::Implementor, call(60), Ok(())).await.unwrap_err();
        assert!(error.is_ledger_failure());
        assert_eq!(*stand.purse.settled.lock().unwrap(), [0]);
    }

    #[tokio::test]
    async fn a_lost_outcome_is_an_error_even_when_the_effect_failed_too() {
        for result in [Ok(()), Err(Broke { possibly_done: false })] {
            let stand = stand(Some(1));
            let error = stand.act(Role::Implementor, finish(), result).await.unwrap_err();
            assert!(matches!(error, ActError::OutcomeUnrecorded(_)));
            assert_eq!(stand.seen(), ["decided", "effect tool_call", "append failed"]);
        }
    }

    #[tokio::test]
    async fn what_is_denied_is_recorded_and_not_done() {
        let stand = stand(None);
        let secret = || SecretUse {
            name: "commit-signing-key".to_owned(),
            purpose: "sign a commit".to_owned(),
        };
        let error = stand.act(Role::Implementor, secret(), Ok(())).await.unwrap_err();
        let ActError::Denied { id, denial } = error else { panic!("not denied") };
        assert!(!denial.code.is_empty() && !denial.hint.is_empty());
        assert_eq!(stand.seen(), ["decided"]);
        let events = stand.book.events.lock().unwrap().clone();
        let [Event::Decided(decided)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(decided.id, id);
        assert_eq!(decided.decision, Verdict::Deny(denial));
        // The control: the publisher may.
        stand.act(Role::Publisher, secret(), Ok(())).await.unwrap();
        assert_eq!(stand.seen(), ["decided", "decided", "effect secret_use", "finished"]);
    }

    #[tokio::test]
    async fn money_is_set_aside_before_and_settled_after() {
        let stand = stand(None);
        stand
            .act(Role::Implementor, call(60), Err(Broke { possibly_done: true }))
            .await
            .unwrap_err();
        assert_eq!(*stand.purse.settled.lock().unwrap(), [60], "a call that may be billed is paid");
        assert_eq!(*stand.purse.left.lock().unwrap(), 40);
        let error = stand.act(Role::Implementor, call(60), Ok(())).await.unwrap_err();
        assert!(matches!(error, ActError::Denied { .. }), "{error}");
        assert_eq!(stand.seen().iter().filter(|seen| seen.starts_with("effect")).count(), 1);
        stand
            .act(Role::Implementor, call(40), Err(Broke { possibly_done: false }))
            .await
            .unwrap_err();
        assert_eq!(
            *stand.purse.settled.lock().unwrap(),
            [60, 0],
            "what was certainly not done is free"
        );
        let last = stand.book.events.lock().unwrap().last().cloned();
        let Some(Event::Finished(finished)) = last else { panic!("{last:?}") };
        assert!(matches!(finished.result, Outcome::Failed { possibly_done: false, .. }));
    }

    #[tokio::test]
    async fn a_smaller_budget_that_the_caller_knows_of_counts() {
        let stand = stand(None);
        let mut context = context();
        context.budget_left = MicroUsd(30);
        let subject = subject(Role::Implementor);
        let ask = |estimate| {
            stand.warden.perform(&subject, &context, call(estimate), |_permit| async {
                Ok::<(), Broke>(())
            })
        };
        assert!(matches!(ask(31).await, Err(ActError::Denied { .. })));
        ask(30).await.unwrap();
    }
}
