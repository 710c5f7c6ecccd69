//! Session tokens on the one path: a child never exceeds its parent, however it is made, and what is
//! no token, or no longer one, allows nothing.

#[cfg(test)]
mod doubles;

#[cfg(test)]
mod tokens {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::sync::{Arc, LazyLock};

    use super::doubles::{Book, Purse};

    use bailiwick_model::Timestamp;
    use bailiwick_model::action::{Act, Action};
    use bailiwick_model::event::{Event, Fact};
    use bailiwick_model::id::{Person, RepoName, SessionId, SubtaskKey, TaskId};
    use bailiwick_model::outcome::NoEffect;
    use bailiwick_model::subject::{Context, Role, Subject};
    use bailiwick_model::task::MicroUsd;
    use bailiwick_policy::{PolicySet, PolicySource, parse_action, usual_context};
    use bailiwick_warden::{
        ActError, Bounds, Journal, MAX_TOKEN_BYTES, SessionToken, TOKEN_CODES, TokenError, Use,
        Warden, kinds_of,
    };
    use biscuit_auth::builder::Algorithm;
    use biscuit_auth::{BlockBuilder, KeyPair, UnverifiedBiscuit};
    use serde::Deserialize;

    #[derive(Debug, Clone, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Row {
        task: Option<TaskId>,
        subtask: Option<SubtaskKey>,
        repo: Option<RepoName>,
        on_behalf_of: Option<Person>,
        session: Option<SessionId>,
        role: Option<Role>,
        kinds: Option<BTreeSet<String>>,
        scope: Option<Vec<String>>,
        spend: Option<u64>,
        seconds: Option<i64>,
    }

    impl Row {
        fn bounds(&self) -> Bounds {
            let row = self.clone();
            Bounds {
                task: row.task,
                subtask: row.subtask,
                repo: row.repo,
                on_behalf_of: row.on_behalf_of,
                session: row.session,
                role: row.role,
                kinds: row.kinds,
                scope: row.scope,
                spend: row.spend.map(MicroUsd),
                until: row.seconds.map(within),
            }
        }
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Deed {
        does: String,
        role: Option<Role>,
        session: Option<SessionId>,
        task: Option<TaskId>,
        subtask: Option<SubtaskKey>,
        repo: Option<String>,
        on_behalf_of: Option<Person>,
        estimate: Option<u64>,
    }

    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Attempt {
        name: String,
        #[serde(default)]
        chain: Vec<Row>,
        block: Option<String>,
        parent_seconds: Option<i64>,
        act: Deed,
        code: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        parent: Row,
        within: Vec<Attempt>,
        attempt: Vec<Attempt>,
    }

    static TABLE: LazyLock<Table> =
        LazyLock::new(|| toml::from_str(include_str!("subagents.toml")).unwrap());

    fn within(seconds: i64) -> Timestamp {
        Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
    }

    /// What is asked of the warden, whole.
    struct Asked {
        subject: Subject,
        context: Context,
        action: Action,
    }

    impl Deed {
        fn asked(&self) -> Asked {
            let parent = &TABLE.parent;
            let deed = self.clone();
            let subject = Subject {
                role: deed.role.or(parent.role).unwrap(),
                on_behalf_of: deed.on_behalf_of.or_else(|| parent.on_behalf_of.clone()).unwrap(),
                task: deed.task.or(parent.task),
                subtask: deed.subtask.or_else(|| parent.subtask.clone()),
                session: deed.session.or(parent.session),
            };
            let repo = deed.repo.unwrap_or_else(|| "shop".to_owned());
            let context = usual_context(&repo, &serde_json::Map::new()).unwrap();
            let mut action = parse_action(&deed.does, &repo, "ada").unwrap();
            if let (Action::ModelCall(call), Some(estimate)) = (&mut action, deed.estimate) {
                call.estimate = MicroUsd(estimate);
            }
            Asked { subject, context, action }
        }
    }

    /// A warden that policy lets do everything: what is tested here is the token.
    struct Stand {
        book: Arc<Book>,
        warden: Warden,
    }

    impl Stand {
        fn new() -> Self {
            let text = "@id(\"all\") @reason(\"a test\") permit(principal, action, resource);";
            let policy = PolicySet::load(&[PolicySource::new("all.cedar", text)]).unwrap();
            let book = Arc::new(Book::default());
            let warden = Warden::new(
                Arc::new(policy),
                Arc::clone(&book) as Arc<dyn Journal>,
                Arc::new(Purse(u64::MAX)),
            );
            Self { book, warden }
        }

        fn grant(&self, bounds: &Bounds) -> SessionToken {
            self.warden.tokens().grant(bounds, Timestamp::now()).unwrap()
        }

        /// A token that bounds nothing but its time.
        fn unbounded(&self) -> SessionToken {
            self.grant(&Bounds { until: Some(within(3600)), ..Bounds::default() })
        }

        fn parent(&self, seconds: Option<i64>) -> SessionToken {
            let mut row = TABLE.parent.clone();
            row.seconds = seconds.or(row.seconds);
            self.grant(&row.bounds())
        }

        /// Holds the token for who acts and does it; gives the code, `done` when it was done.
        async fn act(&self, token: SessionToken, asked: &Asked) -> String {
            self.warden.tokens().hold(asked.subject.session.unwrap(), token);
            self.try_it(asked).await
        }

        async fn try_it(&self, asked: &Asked) -> String {
            match asked.action.clone() {
                Action::ModelCall(act) => self.perform(asked, act).await,
                Action::ToolCall(act) => self.perform(asked, act).await,
                Action::Command(act) => self.perform(asked, act).await,
                Action::FileRead(act) => self.perform(asked, act).await,
                Action::FileWrite(act) => self.perform(asked, act).await,
                Action::SecretUse(act) => self.perform(asked, act).await,
                Action::HostRequest(act) => self.perform(asked, act).await,
                Action::RepoRead(act) => self.perform(asked, act).await,
                Action::BranchPush(act) => self.perform(asked, act).await,
                Action::PullRequestOpen(act) => self.perform(asked, act).await,
                Action::ReviewSubmit(act) => self.perform(asked, act).await,
                Action::PullRequestMerge(act) => self.perform(asked, act).await,
                Action::AgentStart(act) => self.perform(asked, act).await,
                Action::TaskRaise(act) => self.perform(asked, act).await,
            }
        }

        async fn perform<A: Act>(&self, asked: &Asked, act: A) -> String {
            let done = Mutex::new(false);
            let result = self
                .warden
                .perform(&asked.subject, &asked.context, act, |_permit| async {
                    *done.lock().unwrap() = true;
                    Ok::<(), NoEffect>(())
                })
                .await;
            let done = *done.lock().unwrap();
            let code = result.as_ref().map_or_else(ActError::code, |()| "done".to_owned());
            assert_eq!(done, code == "done", "{code}");
            code
        }

        /// The code that the last decision in the ledger was refused with.
        fn recorded(&self) -> Option<String> {
            let events = self.book.0.lock().unwrap();
            events.iter().rev().find_map(|event| match event {
                Event::Decided(decided) => match &decided.decision {
                    bailiwick_model::verdict::Verdict::Deny(denial) => Some(denial.code.clone()),
                    _ => None,
                },
                _ => None,
            })
        }

        fn alerts(&self) -> usize {
            let events = self.book.0.lock().unwrap();
            let alerts = events.iter().filter(|event| match event {
                Event::Fact(fact) => matches!(fact.as_ref(), Fact::AlertRaised(_)),
                _ => false,
            });
            alerts.count()
        }
    }

    fn chained(mut token: SessionToken, attempt: &Attempt) -> SessionToken {
        for row in &attempt.chain {
            token = token.narrow(&row.bounds()).unwrap();
        }
        match &attempt.block {
            Some(code) => by_hand(&token, code),
            None => token,
        }
    }

    /// A child that somebody made by hand, with whatever they like in its block.
    fn by_hand(parent: &SessionToken, code: &str) -> SessionToken {
        let block =
            BlockBuilder::new().code(code).unwrap_or_else(|error| panic!("{code}: {error}"));
        let child = UnverifiedBiscuit::from(parent.biscuit().unwrap()).unwrap();
        SessionToken::around(&child.append(block).unwrap().to_vec().unwrap())
    }

    #[tokio::test]
    async fn what_is_within_every_bound_of_the_chain_is_done() {
        for row in &TABLE.within {
            let stand = Stand::new();
            let token = chained(stand.parent(None), row);
            assert_eq!(stand.act(token, &row.act.asked()).await, "done", "{}", row.name);
        }
    }

    #[tokio::test]
    async fn every_attempt_of_a_sub_agent_to_exceed_its_parent_is_refused_and_recorded() {
        assert!(TABLE.attempt.len() >= 30, "{}", TABLE.attempt.len());
        for attempt in &TABLE.attempt {
            let (name, asked) = (&attempt.name, attempt.act.asked());
            let code = attempt.code.as_deref().unwrap();
            // The control: nothing but the token stands in the way.
            let stand = Stand::new();
            assert_eq!(stand.act(stand.unbounded(), &asked).await, "done", "control of {name}");
            // From the parent itself, and from a child of a child of it.
            let parent = stand.parent(attempt.parent_seconds);
            let none = Bounds::default();
            let deep = parent.narrow(&none).unwrap().narrow(&none).unwrap();
            for from in [parent, deep] {
                let token = chained(from, attempt);
                assert_eq!(stand.act(token, &asked).await, code, "{name}");
                assert_eq!(stand.recorded().as_deref(), Some(code), "{name}");
            }
        }
    }

    /// A block that somebody else signed says nothing here, whoever it is.
    #[tokio::test]
    async fn a_block_that_somebody_else_signed_is_refused() {
        let stand = Stand::new();
        let asked = TABLE.within[0].act.asked();
        let parent = stand.parent(None);
        let stranger = KeyPair::new_with_algorithm(Algorithm::Ed25519);
        let unverified = UnverifiedBiscuit::from(parent.biscuit().unwrap()).unwrap();
        let request = unverified.third_party_request().unwrap();
        let block = BlockBuilder::new().code("check if true;").unwrap();
        let block = request.create_block(&stranger.private(), block).unwrap();
        let child = unverified.append_third_party(&block.serialize().unwrap()).unwrap();
        let token = SessionToken::around(&child.to_vec().unwrap());
        assert_eq!(stand.act(token, &asked).await, "token.widened");
        assert_eq!(stand.alerts(), 1);
    }

    #[tokio::test]
    async fn whatever_is_no_token_allows_nothing_and_says_which_it_is() {
        let asked = TABLE.within[0].act.asked();
        let stand = Stand::new();
        let token = stand.parent(None);
        let bytes = token.as_bytes().to_vec();
        let part = |length: usize| bytes[..length].to_vec();
        let other = Stand::new().parent(None);
        let mut lying = SessionToken::around(other.biscuit().unwrap()).as_bytes().to_vec();
        lying.push(0);
        let rows: Vec<(&str, Vec<u8>, &str)> = vec![
            ("nothing", vec![], "token.truncated"),
            ("a beginning", part(3), "token.truncated"),
            ("no length", part(7), "token.truncated"),
            ("half of it", part(bytes.len() / 2), "token.truncated"),
            ("all but a byte", part(bytes.len() - 1), "token.truncated"),
            ("text", b"not a token at all".to_vec(), "token.malformed"),
            ("a byte too many", [bytes.clone(), vec![0]].concat(), "token.malformed"),
            ("two in one", [bytes.clone(), bytes.clone()].concat(), "token.malformed"),
            (
                "no biscuit",
                SessionToken::around(b"no biscuit").as_bytes().to_vec(),
                "token.malformed",
            ),
            ("too large", vec![0; MAX_TOKEN_BYTES + 1], "token.too_large"),
            ("of another platform", other.as_bytes().to_vec(), "token.wrong_key"),
            ("of another platform, and longer", lying, "token.malformed"),
        ];
        for (name, bytes, code) in rows {
            let alerts = stand.alerts();
            let token = SessionToken::from_bytes(bytes);
            assert_eq!(stand.act(token, &asked).await, code, "{name}");
            assert_eq!(stand.recorded().as_deref(), Some(code), "{name}");
            assert_eq!(stand.alerts(), alerts + 1, "{name}");
        }
        assert_eq!(stand.act(token, &asked).await, "done");
    }

    #[tokio::test]
    async fn no_byte_of_a_token_can_be_exchanged() {
        let asked = TABLE.within[0].act.asked();
        let stand = Stand::new();
        let child = stand.parent(None).narrow(&TABLE.within[2].chain[0].bounds()).unwrap();
        assert_eq!(stand.act(child.clone(), &asked).await, "done");
        let known: BTreeSet<&str> = TOKEN_CODES.into_iter().map(|(code, _)| code).collect();
        let mut bad_signatures = 0;
        for at in 0..child.as_bytes().len() {
            let mut bytes = child.as_bytes().to_vec();
            bytes[at] ^= 1;
            let code = stand.act(SessionToken::from_bytes(bytes), &asked).await;
            assert!(known.contains(code.as_str()), "byte {at}: {code}");
            bad_signatures += usize::from(code == "token.bad_signature");
        }
        assert!(bad_signatures > 100, "{bad_signatures}");
    }

    #[tokio::test]
    async fn an_agent_without_a_token_does_nothing_and_one_that_ended_does_no_more() {
        let stand = Stand::new();
        let tokens = stand.warden.tokens();
        let now = Timestamp::now();
        let asked = TABLE.within[0].act.asked();
        let session = asked.subject.session.unwrap();
        assert_eq!(stand.try_it(&asked).await, "token.missing");
        // A run without a name is nobody's.
        let mut nameless = TABLE.within[0].act.asked();
        nameless.subject.session = None;
        assert_eq!(stand.try_it(&nameless).await, "token.missing");
        // People and the platform itself have none.
        nameless.subject.role = Role::Publisher;
        assert_eq!(stand.try_it(&nameless).await, "done");

        let task = asked.subject.task.unwrap();
        let of_task = tokens.of_task(task, &Bounds::default(), 3600, now).unwrap();
        assert_eq!(of_task, tokens.of_task(task, &Bounds::default(), 3600, now).unwrap());
        let own = Bounds { session: Some(session), ..Bounds::default() };
        let token = of_task.narrow(&own).unwrap();
        assert_eq!(stand.act(token.clone(), &asked).await, "done");
        tokens.end(session, now);
        assert_eq!(stand.try_it(&asked).await, "token.revoked");
        // Keeping the token does not help, nor does narrowing it.
        assert_eq!(stand.act(token.clone(), &asked).await, "token.revoked");
        let child = token.narrow(&Bounds::default()).unwrap();
        assert_eq!(stand.act(child, &asked).await, "token.revoked");
        // Taken up again, the run has a new one, and ends with its task.
        let again = of_task.narrow(&own).unwrap();
        assert_eq!(stand.act(again, &asked).await, "done");
        tokens.end_task(task, now);
        assert_eq!(stand.try_it(&asked).await, "token.revoked");
        assert_ne!(of_task, tokens.of_task(task, &Bounds::default(), 3600, now).unwrap());
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_is_not_believed() {
        let stand = Stand::new();
        let asked = TABLE.within[0].act.asked();
        let token = stand.parent(None);
        let at = |now| Use {
            subject: &asked.subject,
            context: &asked.context,
            action: &asked.action,
            estimate: MicroUsd(0),
            now,
        };
        let tokens = stand.warden.tokens();
        assert_eq!(tokens.verify(&token, &at(within(0))), Ok(()));
        // A little is what clocks do.
        assert_eq!(tokens.verify(&token, &at(within(-60))), Ok(()));
        let back = tokens.verify(&token, &at(within(-3000))).unwrap_err();
        assert_eq!(back.code(), "token.clock_went_back");
        // Seen once, the later time counts: an expired token is not good again.
        assert_eq!(tokens.verify(&token, &at(within(3700))), Err(TokenError::Expired));
        assert_eq!(tokens.verify(&token, &at(within(3500))), Err(TokenError::Expired));
        // And on the one path: it was later, by all that is known.
        assert_eq!(stand.act(token, &asked).await, "token.clock_went_back");
        assert_eq!(stand.alerts(), 1);
    }

    #[test]
    fn a_token_ends_within_a_week_and_each_role_has_its_kinds() {
        let stand = Stand::new();
        let grant = |until| {
            let bounds = Bounds { until, ..Bounds::default() };
            stand.warden.tokens().grant(&bounds, Timestamp::now()).map(|_| ())
        };
        assert!(grant(None).is_err());
        assert!(grant(Some(within(8 * 86_400))).is_err());
        assert_eq!(grant(Some(within(6 * 86_400))), Ok(()));
        let has = |role, kind: &str| kinds_of(role).contains(kind);
        assert!(has(Role::Implementor, "file_write") && has(Role::Implementor, "command"));
        assert!(has(Role::Verifier, "command") && !has(Role::Verifier, "file_write"));
        assert!(has(Role::Reviewer, "file_read") && !has(Role::Reviewer, "command"));
        assert!(kinds_of(Role::Publisher).is_empty());
        for kind in
            ["branch_push", "pull_request_merge", "review_submit", "repo_read", "task_raise"]
        {
            assert!(!has(Role::Implementor, kind), "{kind}");
        }
    }

    #[test]
    fn every_code_is_known() {
        let codes: BTreeSet<&str> = TOKEN_CODES.into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), TOKEN_CODES.len());
        for attempt in &TABLE.attempt {
            assert!(codes.contains(attempt.code.as_deref().unwrap()), "{}", attempt.name);
        }
    }
}
