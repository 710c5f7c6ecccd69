use bailiwick_forge::{Check, Forge as _, ForgeError, PullRequestState};
use bailiwick_git::RefName;
use bailiwick_model::action::{CheckNote, MergeMethod, ReviewVerdict};
use bailiwick_model::evidence::GateState;
use bailiwick_model::id::Oid;

use crate::support::{BASE, Fixture, branch, permit, person, repo};

#[tokio::test]
async fn a_push_moves_a_branch_only_from_where_it_was_and_never_a_protected_one() {
    let fixture = Fixture::new().await;
    let main = fixture.at("main");
    let one = fixture.commit(&main, "one", &[("a", "1\n")]);
    fixture.push("topic", None, Some(&one)).await.unwrap();
    fixture.push("topic", None, Some(&one)).await.unwrap();
    let two = fixture.commit(&one, "two", &[("a", "2\n")]);
    assert!(matches!(
        fixture.push("topic", Some(&main), Some(&two)).await,
        Err(ForgeError::Moved { .. })
    ));
    assert_eq!(fixture.at("topic"), one);
    fixture.push("topic", Some(&one), Some(&two)).await.unwrap();
    let error = fixture.push("main", Some(&main), Some(&two)).await.unwrap_err();
    assert!(matches!(error, ForgeError::ProtectedBranch { .. }));
    assert_eq!(fixture.at("main"), main);
    let missing = Oid::parse(&"1".repeat(40)).unwrap();
    assert!(matches!(fixture.push("ghost", None, Some(&missing)).await, Err(ForgeError::Git(_))));
    let tree: Oid = fixture.git().tree_of(&one).unwrap().into();
    assert!(matches!(fixture.push("ghost", None, Some(&tree)).await, Err(ForgeError::Git(_))));
    fixture.push("topic", Some(&two), None).await.unwrap();
    assert_eq!(fixture.forge.branch(&repo(), &branch("topic")).await.unwrap(), None);

    // the control: once it is not protected, the same push succeeds
    fixture.forge.protect(&repo(), Vec::new()).await.unwrap();
    fixture.push("main", Some(&main), Some(&two)).await.unwrap();
}

#[tokio::test]
async fn a_pull_request_is_one_for_its_branches() {
    let fixture = Fixture::new().await;
    let head = fixture.topic("topic").await;
    let pull = fixture.open("topic").await.unwrap();
    assert_eq!((pull.number, &pull.head_commit, &pull.state), (1, &head, &PullRequestState::Open));
    assert_eq!(fixture.open("topic").await.unwrap(), pull);
    let renamed = fixture
        .forge
        .open_pull_request(permit(fixture.opening("topic", "better")).await)
        .await
        .unwrap();
    assert_eq!((renamed.number, renamed.title.as_str()), (1, "better"));
    fixture.topic("other").await;
    assert_eq!(fixture.open("other").await.unwrap().number, 2);
    assert_eq!(fixture.forge.pull_requests(&repo()).await.unwrap().len(), 2);
    assert_eq!(fixture.git().resolve(&RefName::pull_head(1)).unwrap(), Some(head));

    let mut stale = fixture.opening("topic", "stale");
    stale.head_commit = fixture.at("main");
    let error = fixture.forge.open_pull_request(permit(stale).await).await.unwrap_err();
    assert!(matches!(error, ForgeError::Moved { .. }));
    fixture.push("nothing", None, Some(&fixture.at("main"))).await.unwrap();
    assert!(matches!(fixture.open("nothing").await, Err(ForgeError::NothingToMerge { .. })));
    assert!(matches!(
        fixture.forge.pull_request(&repo(), 9).await,
        Err(ForgeError::NoPullRequest { .. })
    ));
}

#[tokio::test]
async fn an_approval_is_void_once_the_head_moves() {
    let fixture = Fixture::new().await;
    let head = fixture.topic("topic").await;
    let pull = fixture.open("topic").await.unwrap();
    let approved = fixture.review(1, "rae", &head, ReviewVerdict::Approve).await.unwrap();
    assert_eq!(approved.approvers(), [&person("rae")]);
    assert_eq!(
        fixture.review(1, "rae", &head, ReviewVerdict::Approve).await.unwrap().reviews.len(),
        1
    );

    let next = fixture.commit(&head, "more", &[("a", BASE), ("b", "b\nd\n")]);
    fixture.push("topic", Some(&head), Some(&next)).await.unwrap();
    let moved = fixture.forge.pull_request(&repo(), 1).await.unwrap();
    assert_eq!(moved.head_commit, next);
    assert!(moved.approvers().is_empty());
    assert_eq!(fixture.git().resolve(&RefName::pull_head(1)).unwrap(), Some(next.clone()));
    let late = fixture.review(1, "sam", &head, ReviewVerdict::Approve).await;
    assert!(matches!(late, Err(ForgeError::Moved { .. })));
    let stale = fixture.merge(fixture.merging(&pull, MergeMethod::Merge, &["rae"])).await;
    assert!(matches!(stale, Err(ForgeError::Moved { .. })));
    let unapproved = fixture.merge(fixture.merging(&moved, MergeMethod::Merge, &["rae"])).await;
    assert!(matches!(unapproved, Err(ForgeError::NotApproved { .. })));
    // the control: approved as it is now, it is merged
    fixture.review(1, "rae", &next, ReviewVerdict::Approve).await.unwrap();
    fixture.merge(fixture.merging(&moved, MergeMethod::Merge, &["rae"])).await.unwrap();
}

#[tokio::test]
async fn requested_changes_block_until_the_reviewer_says_otherwise() {
    let fixture = Fixture::new().await;
    let head = fixture.topic("topic").await;
    let pull = fixture.open("topic").await.unwrap();
    fixture.review(1, "rae", &head, ReviewVerdict::RequestChanges).await.unwrap();
    let blocked = fixture.merge(fixture.merging(&pull, MergeMethod::Squash, &[])).await;
    assert!(matches!(blocked, Err(ForgeError::ChangesRequested { .. })));
    fixture.review(1, "rae", &head, ReviewVerdict::Approve).await.unwrap();
    fixture.merge(fixture.merging(&pull, MergeMethod::Squash, &["rae"])).await.unwrap();
}

#[tokio::test]
async fn a_rejection_closes_and_the_same_commit_is_not_opened_again() {
    let fixture = Fixture::new().await;
    let head = fixture.topic("topic").await;
    let pull = fixture.open("topic").await.unwrap();
    let closed = fixture.review(1, "rae", &head, ReviewVerdict::Reject).await.unwrap();
    assert_eq!(closed.state.name(), "closed");
    assert_eq!(fixture.review(1, "rae", &head, ReviewVerdict::Reject).await.unwrap(), closed);
    assert!(matches!(
        fixture.review(1, "sam", &head, ReviewVerdict::Approve).await,
        Err(ForgeError::NotOpen { .. })
    ));
    let merged = fixture.merge(fixture.merging(&pull, MergeMethod::Merge, &[])).await;
    assert!(matches!(merged, Err(ForgeError::NotOpen { state: "closed", .. })));
    assert_eq!(fixture.open("topic").await.unwrap(), closed);
    let next = fixture.commit(&head, "another try", &[("a", BASE), ("b", "e\n")]);
    fixture.push("topic", Some(&head), Some(&next)).await.unwrap();
    assert_eq!(fixture.open("topic").await.unwrap().number, 2);
}

#[tokio::test]
async fn checks_stand_beside_their_commit() {
    let fixture = Fixture::new().await;
    let head = fixture.topic("topic").await;
    let note = |state| CheckNote { name: "tests".to_owned(), state, summary: "ran".to_owned() };
    for state in [GateState::Fail, GateState::Pass] {
        let mut opening = fixture.opening("topic", "with checks");
        opening.checks = vec![note(state)];
        let pull = fixture.forge.open_pull_request(permit(opening).await).await.unwrap();
        let check = Check {
            name: "tests".to_owned(),
            head: head.clone(),
            state,
            summary: "ran".to_owned(),
        };
        assert_eq!(
            pull.checks,
            [check],
            "a gate's newest word on a commit replaces the one before"
        );
    }
}
