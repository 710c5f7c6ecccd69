//! The fold and what comes next, on whole histories.

#[cfg(test)]
mod histories {
    use std::collections::BTreeSet;

    use bailiwick_model::Timestamp;
    use bailiwick_model::action::{MergeMethod, ReviewVerdict};
    use bailiwick_model::event::{Candidate, Entry, Event, Fact, Stage, StageEnd, Verification};
    use bailiwick_model::evidence::{Autonomy, GateReport, GateState, RiskBand, RiskReport};
    use bailiwick_model::id::{BranchName, Oid, Person, RepoName, SubtaskKey, TaskId};
    use bailiwick_model::payload::Payload;
    use bailiwick_model::plan::{Plan, PlanError, Scope, Subtask};
    use bailiwick_model::subject::Role;
    use bailiwick_model::task::{ApproverMode, Form, MicroUsd, Source, Task};
    use bailiwick_model::workflow::{MAX_REPAIRS, Next, StageState, TaskState};
    use proptest::prelude::*;

    const ID: &str = "01980000-0000-7000-8000-000000000001";

    fn key(text: &str) -> SubtaskKey {
        SubtaskKey::parse(text).unwrap()
    }

    fn oid(digit: char) -> Oid {
        Oid::parse(&digit.to_string().repeat(40)).unwrap()
    }

    fn id() -> TaskId {
        ID.parse().unwrap()
    }

    fn branch(text: &str) -> BranchName {
        BranchName::parse(text).unwrap()
    }

    fn bob() -> Person {
        Person::parse("bob").unwrap()
    }

    fn subtask(name: &str, depends_on: &[&str]) -> Subtask {
        Subtask {
            key: key(name),
            title: name.to_owned(),
            description: "do it".to_owned(),
            depends_on: depends_on.iter().map(|name| key(name)).collect(),
            scope: Scope { paths: vec!["**".to_owned()] },
            budget: None,
            acceptance: Vec::new(),
        }
    }

    /// A history that grows, and is folded from the start each time it is asked.
    struct History {
        entries: Vec<Entry>,
    }

    impl History {
        fn planned(subtasks: Vec<Subtask>) -> Self {
            let task = Task {
                id: id(),
                title: "t".to_owned(),
                text: "t".to_owned(),
                form: Form::Text,
                source: Source::Cli,
                taint: BTreeSet::new(),
                repo: RepoName::parse("r").unwrap(),
                base_branch: branch("main"),
                requester: Person::parse("ada").unwrap(),
                budget: MicroUsd(1),
                provider: "p".to_owned(),
                model: "m".to_owned(),
                agent: "builtin".to_owned(),
                scripted: false,
                single_user: false,
                approver: ApproverMode::Human,
                created_at: Timestamp::UNIX_EPOCH,
            };
            let mut history = Self { entries: Vec::new() };
            history.add(Fact::TaskSubmitted { task });
            let plan = Plan { summary: "s".to_owned(), subtasks };
            history.add(Fact::PlanAccepted { task: id(), session: ID.parse().unwrap(), plan });
            history
        }

        fn add(&mut self, fact: Fact) {
            let seq = self.entries.len() as u64;
            let at = Timestamp::from_millisecond(i64::try_from(seq).unwrap() * 10).unwrap();
            self.entries.push(Entry { seq, at, event: Event::fact(fact) });
        }

        fn state(&self) -> TaskState {
            let whole = TaskState::fold(&self.entries).unwrap();
            // Folding what is known already changes nothing.
            let mut twice = whole.clone();
            self.entries.iter().for_each(|entry| twice.apply(entry));
            assert_eq!(twice, whole);
            whole
        }

        fn next(&self, name: &str) -> Next {
            self.state().next(&key(name)).unwrap()
        }

        fn prepared(&mut self, name: &str, base: char, base_branch: &str) {
            self.add(Fact::SubtaskPrepared {
                task: id(),
                subtask: key(name),
                base: oid(base),
                base_branch: branch(base_branch),
                setup: String::new(),
            });
        }

        fn candidate(&mut self, name: &str, commit: char, base: char, round: u32) {
            let prepared = self.state().subtasks[&key(name)].prepared.clone().unwrap();
            let candidate = Candidate {
                commit: oid(commit),
                tree: oid('f'),
                base: oid(base),
                base_branch: prepared.base_branch,
                round,
            };
            self.add(Fact::CandidateCommitted { task: id(), subtask: key(name), candidate });
        }

        fn gates(&mut self, name: &str, commit: char, state: GateState) {
            let report = GateReport {
                gate: "tests".to_owned(),
                state,
                summary: "s".to_owned(),
                findings: Vec::new(),
                evidence: Vec::new(),
            };
            let (task, subtask, commit) = (id(), key(name), oid(commit));
            self.add(Fact::GateReported { task, subtask, commit, report });
        }

        fn judged_well(&mut self, name: &str, commit: char) {
            self.gates(name, commit, GateState::Pass);
            self.add(Fact::Verified {
                task: id(),
                subtask: key(name),
                commit: oid(commit),
                verification: Verification::Accepted,
                summary: String::new(),
                findings: Vec::new(),
            });
            self.add(Fact::Advised {
                task: id(),
                subtask: key(name),
                commit: oid(commit),
                summary: String::new(),
                findings: Vec::new(),
            });
            let risk = RiskReport {
                score: 0,
                band: RiskBand::Low,
                signals: Vec::new(),
                autonomy: Autonomy::Unattended,
                owners: Vec::new(),
            };
            self.add(Fact::RiskScored {
                task: id(),
                subtask: key(name),
                commit: oid(commit),
                risk,
            });
        }

        fn published(&mut self, name: &str, commit: char, base_branch: &str) {
            self.add(Fact::ChangePublished {
                task: id(),
                subtask: key(name),
                repo: RepoName::parse("r").unwrap(),
                number: 1,
                branch: branch(&format!("bailiwick/x/{name}")),
                head: oid(commit),
                base_branch: branch(base_branch),
            });
        }

        fn reviewed(&mut self, name: &str, head: char, verdict: ReviewVerdict) {
            self.add(Fact::Reviewed {
                task: id(),
                subtask: key(name),
                number: 1,
                reviewer: bob(),
                head: oid(head),
                verdict,
                body: Payload::from(""),
                simulated: false,
            });
        }

        fn merge_asked(&mut self, name: &str) {
            let (task, subtask, method) = (id(), key(name), MergeMethod::Merge);
            self.add(Fact::MergeAsked { task, subtask, number: 1, by: bob(), method });
        }

        fn merged(&mut self, name: &str, commit: char) {
            let (task, subtask, method) = (id(), key(name), MergeMethod::Merge);
            self.add(Fact::Merged { task, subtask, number: 1, commit: oid(commit), method });
        }
    }

    #[test]
    fn a_subtask_goes_through_every_step_in_order() {
        let mut history = History::planned(vec![subtask("a", &[])]);
        assert_eq!(history.next("a"), Next::Prepare);
        history.prepared("a", '1', "main");
        assert_eq!(history.next("a"), Next::Implement);
        history.candidate("a", '2', '1', 0);
        assert_eq!(history.next("a"), Next::RunGates);
        history.gates("a", '2', GateState::Pass);
        assert_eq!(history.next("a"), Next::Verify);
        history.judged_well("a", '2');
        assert_eq!(history.next("a"), Next::Publish);
        history.published("a", '2', "main");
        assert_eq!(history.next("a"), Next::WaitForReview);
        history.reviewed("a", '2', ReviewVerdict::Approve);
        assert_eq!(history.next("a"), Next::WaitForReview, "nobody asked for the merge");
        history.merge_asked("a");
        assert_eq!(history.next("a"), Next::Merge);
        history.merged("a", '9');
        assert_eq!(history.next("a"), Next::Done);
    }

    #[test]
    fn an_approval_counts_for_the_commit_that_was_shown_and_no_other() {
        let mut history = History::planned(vec![subtask("a", &[])]);
        history.prepared("a", '1', "main");
        history.candidate("a", '2', '1', 0);
        history.judged_well("a", '2');
        history.published("a", '2', "main");
        history.reviewed("a", '3', ReviewVerdict::Approve);
        history.merge_asked("a");
        assert_eq!(history.next("a"), Next::WaitForReview);
        history.reviewed("a", '2', ReviewVerdict::Approve);
        assert_eq!(history.next("a"), Next::Merge);
        history.add(Fact::BaseMoved {
            task: id(),
            subtask: key("a"),
            from: oid('1'),
            to: oid('4'),
            base_branch: branch("main"),
            void_approvals: 1,
        });
        assert_eq!(history.next("a"), Next::Rebase);
        history.candidate("a", '5', '4', 0);
        assert_eq!(history.next("a"), Next::RunGates, "gated again");
        history.judged_well("a", '5');
        history.published("a", '5', "main");
        assert_eq!(history.next("a"), Next::WaitForReview, "the approval is void");
    }

    #[test]
    fn two_repairs_and_then_a_person() {
        for bad in [GateState::Fail, GateState::Inconclusive] {
            let mut history = History::planned(vec![subtask("a", &[])]);
            history.prepared("a", '1', "main");
            for round in 0..MAX_REPAIRS {
                history.candidate("a", '2', '1', round);
                history.gates("a", '2', bad);
                let Next::AskRepair(findings) = history.next("a") else { panic!("no repair") };
                assert!(!findings.is_empty());
                history.add(Fact::RepairAsked {
                    task: id(),
                    subtask: key("a"),
                    round: round + 1,
                    by: Role::Gate,
                    findings,
                });
                assert_eq!(history.next("a"), Next::Implement);
            }
            history.candidate("a", '2', '1', MAX_REPAIRS);
            history.gates("a", '2', bad);
            assert_eq!(history.next("a"), Next::AskHuman);
            history.add(Fact::HumanAsked {
                task: id(),
                subtask: key("a"),
                code: "c".to_owned(),
                reason: "r".to_owned(),
                hint: "h".to_owned(),
            });
            assert_eq!(history.next("a"), Next::WaitForAnswer);
            history.add(Fact::TaskRetried { task: id(), by: bob() });
            assert_eq!(history.next("a"), Next::Implement, "with two more repairs");
        }
    }

    #[test]
    fn a_report_on_another_commit_says_nothing_of_this_one() {
        let mut history = History::planned(vec![subtask("a", &[])]);
        history.prepared("a", '1', "main");
        history.candidate("a", '2', '1', 0);
        history.gates("a", '3', GateState::Pass);
        assert_eq!(history.next("a"), Next::RunGates);
    }

    #[test]
    fn a_dependent_subtask_stacks_and_waits_for_its_parent_to_merge() {
        let plan = vec![subtask("a", &[]), subtask("b", &["a"]), subtask("c", &["a", "b"])];
        let mut history = History::planned(plan);
        assert_eq!(history.next("b"), Next::WaitForDependencies);
        history.prepared("a", '1', "main");
        history.candidate("a", '2', '1', 0);
        history.judged_well("a", '2');
        history.published("a", '2', "main");
        assert_eq!(history.next("b"), Next::Prepare);
        assert_eq!(history.next("c"), Next::WaitForDependencies);
        history.prepared("b", '2', "bailiwick/x/a");
        history.candidate("b", '3', '2', 0);
        history.judged_well("b", '3');
        history.published("b", '3', "bailiwick/x/a");
        history.reviewed("b", '3', ReviewVerdict::Approve);
        history.merge_asked("b");
        assert_eq!(history.next("b"), Next::WaitForDependencies);
        history.merged("a", '4');
        assert_eq!(history.next("b"), Next::Merge);
        assert_eq!(history.next("c"), Next::WaitForDependencies);
        history.merged("b", '5');
        assert_eq!(history.next("c"), Next::Prepare);
    }

    #[test]
    fn what_depends_on_a_rejected_subtask_is_given_up() {
        let mut history = History::planned(vec![subtask("a", &[]), subtask("b", &["a"])]);
        history.prepared("a", '1', "main");
        history.reviewed("a", '1', ReviewVerdict::Reject);
        assert_eq!(history.next("a"), Next::Done);
        assert_eq!(history.next("b"), Next::GiveUp);
    }

    #[test]
    fn a_stage_lasts_while_any_subtask_is_in_it() {
        let mut history = History::planned(vec![subtask("a", &[]), subtask("b", &[])]);
        let stage = Stage::Execution;
        let start = |name: &str| {
            let (task, subtask) = (id(), Some(key(name)));
            Fact::StageStarted { task, subtask, stage }
        };
        let end = |name: &str| {
            let (task, subtask, ok) = (id(), Some(key(name)), StageEnd::Done);
            Fact::StageEnded { task, subtask, stage, ok }
        };
        history.add(start("a"));
        history.add(start("b"));
        history.add(start("b"));
        history.add(end("a"));
        assert_eq!(history.state().stages[&stage].state, StageState::Running);
        history.add(end("b"));
        let progress = history.state().stages[&stage].clone();
        assert_eq!((progress.state, progress.ms), (StageState::Done, 40));
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        let plan = |subtasks: Vec<Subtask>| Plan { summary: "s".to_owned(), subtasks };
        let check = |subtasks: Vec<Subtask>| plan(subtasks).validate(MicroUsd(10)).unwrap_err();
        assert_eq!(check(vec![]), PlanError::Empty);
        let twice = vec![subtask("a", &[]), subtask("a", &[])];
        assert_eq!(check(twice), PlanError::DuplicateKey { key: key("a") });
        let unknown = PlanError::UnknownDependency { key: key("a"), missing: key("x") };
        assert_eq!(check(vec![subtask("a", &["x"])]), unknown);
        let circle = vec![subtask("a", &["b"]), subtask("b", &["a"])];
        assert!(matches!(check(circle), PlanError::Cycle { .. }));
        assert!(matches!(check(vec![subtask("a", &["a"])]), PlanError::Cycle { .. }));
        for path in ["", "/etc/**", "../x", "a/../../b", "a\nb", "["] {
            let mut outside = subtask("a", &[]);
            outside.scope.paths = vec![path.to_owned()];
            assert!(matches!(check(vec![outside]), PlanError::Scope { .. }), "{path:?}");
        }
        let mut dear = subtask("a", &[]);
        dear.budget = Some(MicroUsd(11));
        assert!(matches!(check(vec![dear]), PlanError::OverBudget { .. }));
        let many = (0..21).map(|n| subtask(&format!("s{n}"), &[])).collect();
        assert_eq!(check(many), PlanError::TooMany { count: 21 });
        assert_eq!(plan(vec![subtask("a", &[])]).validate(MicroUsd(10)), Ok(()));
    }

    proptest! {
        /// Every order has each subtask after what it depends on, or there is a circle.
        #[test]
        fn an_order_respects_every_dependency(
            edges in proptest::collection::vec((0usize..8, 0usize..8), 0..12),
        ) {
            let mut subtasks: Vec<Subtask> =
                (0..8).map(|n| subtask(&format!("s{n}"), &[])).collect();
            for (from, to) in edges {
                let to = subtasks[to].key.clone();
                subtasks[from].depends_on.push(to);
            }
            let plan = Plan { summary: "s".to_owned(), subtasks };
            if let Ok(order) = plan.order() {
                prop_assert_eq!(order.len(), 8);
                let at = |key: &SubtaskKey| order.iter().position(|other| other == key).unwrap();
                for subtask in &plan.subtasks {
                    for parent in &subtask.depends_on {
                        prop_assert!(at(parent) < at(&subtask.key));
                    }
                }
            }
        }

        /// Names never let through what another program would take for something else.
        #[test]
        fn names_hold_nothing_surprising(text in "\\PC{0,50}") {
            if let Ok(name) = BranchName::parse(&text) {
                prop_assert!(!name.as_str().starts_with('-') && !name.as_str().contains(".."));
            }
            if let Ok(name) = RepoName::parse(&text) {
                prop_assert!(!name.as_str().contains(['/', '\\', ' ']));
                prop_assert!(!name.as_str().starts_with(['.', '-']));
            }
        }
    }
}
