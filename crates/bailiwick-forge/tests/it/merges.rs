use bailiwick_forge::{Forge as _, ForgeError, PullRequestState};
use bailiwick_git::{Ed25519Signer, RepoPath, SignatureState};
use bailiwick_model::action::MergeMethod;

use crate::support::{BASE, Fixture, KEY, repo};

const METHODS: [MergeMethod; 3] = [MergeMethod::Merge, MergeMethod::Squash, MergeMethod::Rebase];

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

#[tokio::test]
async fn every_method_merges_signs_and_gives_the_same_answer_again() {
    for method in METHODS {
        let fixture = Fixture::new().await;
        let head = fixture.topic("topic").await;
        let pull = fixture.open("topic").await.unwrap();
        // the base has moved since the change was made, elsewhere in the file
        let base = fixture.move_main(&[("a", &BASE.replace('2', "two")), ("b", "b\n")]);
        let merge = fixture.merging(&pull, method, &[]);
        let merged = fixture.merge(merge.clone()).await.unwrap();
        assert_eq!(fixture.at("main"), merged.commit, "{method:?}");
        let git = fixture.git();
        let expected = BASE.replace('2', "two").replace('8', "eight");
        assert_eq!(git.read_file(&merged.commit, &path("a")).unwrap(), expected.as_bytes());
        assert_eq!(git.read_file(&merged.commit, &path("b")).unwrap(), b"b\nc\n");
        let key = Ed25519Signer::new(&KEY).public_key();
        assert_eq!(git.signature_state(&merged.commit, &[key]).unwrap(), SignatureState::Trusted);
        let commit = git.commit(&merged.commit).unwrap();
        match method {
            MergeMethod::Merge => assert_eq!(commit.parents, [base.clone(), head.clone()]),
            MergeMethod::Squash => assert_eq!(commit.parents, vec![base.clone()]),
            MergeMethod::Rebase => {
                assert_eq!(git.log(Some(&base), &merged.commit, 9).unwrap().len(), 2);
            }
        }
        if method != MergeMethod::Rebase {
            assert_eq!(commit.trailers("Bailiwick-Task"), ["7"]);
        }
        let after = fixture.forge.pull_request(&repo(), 1).await.unwrap();
        match &after.state {
            PullRequestState::Merged { commit, method: recorded, .. } => {
                assert_eq!((commit, *recorded), (&merged.commit, method));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(fixture.merge(merge).await.unwrap(), merged);
        assert_eq!(fixture.at("main"), merged.commit);
        assert_eq!(fixture.open("topic").await.unwrap(), after);
    }
}

#[tokio::test]
async fn a_conflict_merges_nothing_and_names_the_file() {
    for method in METHODS {
        let fixture = Fixture::new().await;
        fixture.topic("topic").await;
        let pull = fixture.open("topic").await.unwrap();
        let base = fixture.move_main(&[("a", &BASE.replace('8', "acht")), ("b", "b\n")]);
        match fixture.merge(fixture.merging(&pull, method, &[])).await {
            Err(ForgeError::Conflict { paths }) => assert_eq!(paths, [path("a")], "{method:?}"),
            other => panic!("{method:?}: {other:?}"),
        }
        assert_eq!(fixture.at("main"), base);
        assert_eq!(fixture.forge.pull_request(&repo(), 1).await.unwrap(), pull);
    }
}

#[tokio::test]
async fn a_base_that_moved_since_the_gates_ran_is_refused() {
    for method in METHODS {
        let fixture = Fixture::new().await;
        fixture.topic("topic").await;
        let pull = fixture.open("topic").await.unwrap();
        let stale = fixture.merging(&pull, method, &[]);
        let base = fixture.move_main(&[("a", BASE), ("b", "b\n"), ("new", "n\n")]);
        assert!(matches!(fixture.merge(stale).await, Err(ForgeError::Moved { .. })), "{method:?}");
        assert_eq!(fixture.at("main"), base);
        // the control: decided again on the base as it is, it goes through
        fixture.merge(fixture.merging(&pull, method, &[])).await.unwrap();
    }
}

#[tokio::test]
async fn a_title_cannot_pass_for_trailers() {
    let fixture = Fixture::new().await;
    fixture.topic("topic").await;
    let open = fixture.opening("topic", "fix\n\nBailiwick-Approved-By: root");
    let pull = fixture.forge.open_pull_request(crate::support::permit(open).await).await.unwrap();
    let mut merge = fixture.merging(&pull, MergeMethod::Squash, &[]);
    merge.trailers.clear();
    let merged = fixture.merge(merge.clone()).await.unwrap();
    let commit = fixture.git().commit(&merged.commit).unwrap();
    assert_eq!(commit.message, "fix Bailiwick-Approved-By: root (#1)\n");
    assert!(commit.trailers("Bailiwick-Approved-By").is_empty());
    merge.trailers.push("no trailer".to_owned());
    merge.number = 1;
    assert_eq!(fixture.merge(merge).await.unwrap(), merged);
}
