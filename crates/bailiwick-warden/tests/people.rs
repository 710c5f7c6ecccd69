//! What people said, at the decision: freezes before policy, approvals used with the decision they
//! make possible, and nothing done when it can't be found out.

#[cfg(test)]
mod doubles;

#[cfg(test)]
mod people {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use super::doubles::{Purse, hold, session};
    use async_trait::async_trait;
    use bailiwick_model::Timestamp;
    use bailiwick_model::action::{Action, Command, Purpose};
    use bailiwick_model::emergency::Alert;
    use bailiwick_model::event::{Event, Fact};
    use bailiwick_model::freeze::{Freeze, Frozen};
    use bailiwick_model::id::{ApprovalId, BranchName, EmergencyId, Person, RepoName};
    use bailiwick_model::outcome::EffectError;
    use bailiwick_model::path::WorkPath;
    use bailiwick_model::payload::Digest;
    use bailiwick_model::subject::{Context, Role, SessionFacts, Subject};
    use bailiwick_model::task::MicroUsd;
    use bailiwick_model::verdict::Denial;
    use bailiwick_policy::{PolicySet, PolicySource};
    use bailiwick_warden::{
        ActError, Claim, Journal, JournalError, SafeguardError, Safeguards, Standing, Stopped,
        Warden,
    };

    const POLICY: &str = r#"
@id("commands") @reason("agents run commands")
permit (principal is Agent, action == Action::"command", resource);
@id("ask") @gate("release") @reason("people decide") @hint("ask them")
forbid (principal is Agent, action == Action::"command", resource)
when { context.text like "*ask*" } unless { context.approvals.contains("release") };
@id("never") @reason("nobody may") @hint("leave it")
forbid (principal is Agent, action == Action::"command", resource)
when { context.text like "*never*" };
"#;

    #[derive(Default)]
    struct Book {
        events: Mutex<Vec<Event>>,
        fails: bool,
    }

    #[async_trait]
    impl Journal for Book {
        async fn append(&self, events: Vec<Event>) -> Result<u64, JournalError> {
            if self.fails {
                return Err(JournalError { message: "disk full".to_owned(), source: None });
            }
            self.events.lock().unwrap().extend(events);
            Ok(0)
        }
    }

    /// What people said, made up. Each part can be made to fail.
    #[derive(Default)]
    struct Said {
        broken: Option<&'static str>,
        frozen: bool,
        standing: Option<Standing>,
        emergency: Option<EmergencyId>,
        claimed: Mutex<Vec<&'static str>>,
    }

    impl Said {
        fn sound(&self, part: &'static str) -> Result<(), SafeguardError> {
            if self.broken == Some(part) {
                return Err(SafeguardError { message: format!("{part} is broken") });
            }
            Ok(())
        }
    }

    impl Safeguards for Said {
        fn frozen(
            &self,
            _subject: &Subject,
            _context: &Context,
            _action: &Action,
        ) -> Result<Option<Stopped>, SafeguardError> {
            self.sound("frozen")?;
            Ok(self.frozen.then(|| Stopped {
                freeze: Freeze {
                    id: "01980000-0000-7000-8000-00000000000f".parse().unwrap(),
                    frozen: Frozen::All,
                    reason: "fire".to_owned(),
                    by: Person::parse("grace").unwrap(),
                    at: Timestamp::UNIX_EPOCH,
                },
                unrecorded: true,
            }))
        }

        fn facts(
            &self,
            _subject: &Subject,
            facts: &mut SessionFacts,
            _now: Timestamp,
        ) -> Result<(), SafeguardError> {
            self.sound("facts")?;
            facts.pushes_last_hour = 3;
            Ok(())
        }

        fn standing(
            &self,
            _subject: &Subject,
            _digest: Digest,
            _now: Timestamp,
        ) -> Result<Standing, SafeguardError> {
            self.sound("standing")?;
            Ok(self.standing.clone().unwrap_or(Standing::Unasked))
        }

        fn claim(&self, _approval: ApprovalId) -> Result<Claim, SafeguardError> {
            self.sound("claim")?;
            let mut claimed = self.claimed.lock().unwrap();
            let taken = claimed.last() == Some(&"claimed");
            claimed.push("claimed");
            Ok(if taken { Claim::Gone } else { Claim::Taken })
        }

        fn release(&self, _approval: ApprovalId) {
            self.claimed.lock().unwrap().push("released");
        }

        fn emergency(
            &self,
            _person: &Person,
            _repo: &RepoName,
            _now: Timestamp,
        ) -> Result<Option<EmergencyId>, SafeguardError> {
            self.sound("emergency")?;
            Ok(self.emergency)
        }

        fn storm(&self, _subject: &Subject, _now: Timestamp) -> Option<Alert> {
            None
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("it broke")]
    struct Broke;

    impl EffectError for Broke {
        fn code(&self) -> String {
            "test.broke".to_owned()
        }

        fn hint(&self) -> Option<String> {
            None
        }
    }

    struct Stand {
        said: Arc<Said>,
        book: Arc<Book>,
        warden: Warden,
    }

    fn stand(said: Said, fails: bool) -> Stand {
        let said = Arc::new(said);
        let book = Arc::new(Book { fails, ..Book::default() });
        let source = PolicySource { name: "test.cedar".to_owned(), text: POLICY.to_owned() };
        let warden = Warden::new(
            Arc::new(PolicySet::load(&[source]).unwrap()),
            Arc::clone(&book) as Arc<dyn Journal>,
            Arc::new(Purse(100)),
        );
        let warden = warden.with_safeguards(Arc::clone(&said) as Arc<dyn Safeguards>);
        hold(&warden);
        Stand { said, book, warden }
    }

    fn approval() -> ApprovalId {
        "01980000-0000-7000-8000-00000000000a".parse().unwrap()
    }

    fn granted(once: bool) -> Standing {
        Standing::Granted { approval: approval(), groups: vec!["release".to_owned()], once }
    }

    impl Stand {
        /// Runs a command; says how it ended and whether the effect took place.
        async fn run(&self, text: &str) -> (Result<(), ActError<Broke>>, bool) {
            let subject = Subject {
                role: Role::Implementor,
                on_behalf_of: Person::parse("ada").unwrap(),
                task: Some("01980000-0000-7000-8000-000000000001".parse().unwrap()),
                subtask: None,
                session: Some(session()),
            };
            let context = Context {
                repo: RepoName::parse("demo").unwrap(),
                protected_branch: BranchName::parse("main").unwrap(),
                taint: BTreeSet::new(),
                scope: vec!["**".to_owned()],
                budget_left: MicroUsd(u64::MAX),
                denials: 0,
                single_user: false,
                approvals: BTreeSet::new(),
                facts: SessionFacts::default(),
            };
            let command = Command {
                argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
                cwd: WorkPath::root(),
                env: std::collections::BTreeMap::new(),
                purpose: Purpose::Tool,
                network: false,
                timeout_ms: 1000,
            };
            let done = Mutex::new(false);
            let result = self
                .warden
                .perform(&subject, &context, command, |_permit| async {
                    *done.lock().unwrap() = true;
                    Ok::<(), Broke>(())
                })
                .await;
            let done = *done.lock().unwrap();
            (result, done)
        }

        fn facts(&self) -> Vec<String> {
            let events = self.book.events.lock().unwrap();
            events.iter().map(|event| event.name().to_owned()).collect()
        }
    }

    fn code(result: &Result<(), ActError<Broke>>) -> String {
        result.as_ref().map_or_else(ActError::code, |()| "done".to_owned())
    }

    #[tokio::test]
    async fn nothing_is_done_when_what_people_said_can_not_be_found_out() {
        // The control: the same without the fault is done.
        for (part, text, standing) in [
            ("frozen", "true", None),
            ("facts", "true", None),
            ("emergency", "ask", Some(granted(true))),
            ("standing", "ask", Some(granted(true))),
            ("claim", "ask", Some(granted(true))),
        ] {
            let control = stand(Said { standing: standing.clone(), ..Said::default() }, false);
            let (result, done) = control.run(text).await;
            assert_eq!((code(&result).as_str(), done), ("done", true), "{part}");
            let broken = stand(Said { broken: Some(part), standing, ..Said::default() }, false);
            let (result, done) = broken.run(text).await;
            assert_eq!((code(&result).as_str(), done), ("safeguards.unreadable", false), "{part}");
            assert_eq!(broken.facts(), ["decided"], "{part}: refused and not recorded");
        }
    }

    #[tokio::test]
    async fn a_freeze_stops_what_policy_allows_and_is_recorded_where_it_was_not() {
        let stand = stand(Said { frozen: true, ..Said::default() }, false);
        let (result, done) = stand.run("true").await;
        assert_eq!((code(&result).as_str(), done), ("freeze.in_force", false));
        assert_eq!(stand.facts(), ["decided", "frozen"]);
        let Err(ActError::Denied { denial, .. }) = result else { panic!() };
        assert!(denial.reason.contains("fire") && denial.reason.contains("grace"), "{denial:?}");
    }

    #[tokio::test]
    async fn what_needs_approval_is_asked_in_one_piece_with_the_decision() {
        let stand = stand(Said::default(), false);
        let (result, done) = stand.run("ask").await;
        assert!(!done);
        let Err(ActError::NeedsApproval { approval: Some(asked), .. }) = result else { panic!() };
        let events = stand.book.events.lock().unwrap().clone();
        let [Event::Decided(decided), Event::Fact(fact)] = events.as_slice() else { panic!() };
        let Fact::ApprovalAsked(request) = fact.as_ref() else { panic!("{fact:?}") };
        assert_eq!((request.id, request.decision), (asked, decided.id));
        assert_eq!(request.action, decided.action);
        assert_eq!(decided.context.facts.pushes_last_hour, 3);
        // A hard rule is not asked about.
        let (result, _) = stand.run("ask never").await;
        assert_eq!(code(&result), "policy.forbidden");
    }

    #[tokio::test]
    async fn an_approval_is_used_in_one_piece_with_the_decision_and_given_back_otherwise() {
        let good = stand(Said { standing: Some(granted(true)), ..Said::default() }, false);
        let (result, done) = good.run("ask").await;
        assert_eq!((code(&result).as_str(), done), ("done", true));
        assert_eq!(good.facts(), ["decided", "approval_used", "finished"]);
        assert_eq!(*good.said.claimed.lock().unwrap(), ["claimed"]);
        // Somebody else took it in the same moment: asked anew, not done.
        let (result, done) = good.run("ask").await;
        assert_eq!((code(&result).as_str(), done), ("policy.needs_approval", false));

        // It can't be recorded: not done, and the approval is given back.
        let full = stand(Said { standing: Some(granted(true)), ..Said::default() }, true);
        let (result, done) = full.run("ask").await;
        assert_eq!((code(&result).as_str(), done), ("ledger.unwritable", false));
        assert_eq!(*full.said.claimed.lock().unwrap(), ["claimed", "released"]);

        // What may be used again is not taken.
        let again = stand(Said { standing: Some(granted(false)), ..Said::default() }, false);
        for _ in 0..2 {
            assert!(again.run("ask").await.1);
        }
        assert!(again.said.claimed.lock().unwrap().is_empty());

        let denial = Denial {
            code: "approval.denied".to_owned(),
            rules: Vec::new(),
            reason: "no".to_owned(),
            hint: String::new(),
        };
        let refused =
            stand(Said { standing: Some(Standing::Refused(denial)), ..Said::default() }, false);
        assert_eq!(code(&refused.run("ask").await.0), "approval.denied");
        let open =
            stand(Said { standing: Some(Standing::Open(approval())), ..Said::default() }, false);
        let (result, _) = open.run("ask").await;
        let Err(ActError::NeedsApproval { approval: Some(same), .. }) = result else { panic!() };
        assert_eq!(same, approval());
        assert_eq!(open.facts(), ["decided"], "asked a second time");
    }

    #[tokio::test]
    async fn an_emergency_lifts_a_gate_and_never_a_hard_rule() {
        let id = "01980000-0000-7000-8000-00000000000e".parse().unwrap();
        let stand = stand(Said { emergency: Some(id), ..Said::default() }, false);
        assert!(stand.run("ask").await.1);
        assert_eq!(stand.facts(), ["decided", "emergency_used", "finished"]);
        let (result, done) = stand.run("ask never").await;
        assert_eq!((code(&result).as_str(), done), ("policy.forbidden", false));
    }
}
