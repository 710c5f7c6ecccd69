//! Every place where a process can end between two writes, as it looks on disk afterwards.

use std::fs;

use bailiwick_forge::{Forge as _, ForgeError, PullRequestState};
use bailiwick_git::RefName;
use bailiwick_model::action::MergeMethod;

use crate::support::{Fixture, branch, import, permit, repo};

#[tokio::test]
async fn between_moving_the_base_and_writing_the_file_the_merge_counts() {
    let mut fixture = Fixture::new().await;
    fixture.topic("topic").await;
    let pull = fixture.open("topic").await.unwrap();
    let merge = fixture.merging(&pull, MergeMethod::Squash, &[]);
    let before = fs::read_to_string(fixture.pull_file(1)).unwrap();
    let merged = fixture.merge(merge.clone()).await.unwrap();
    // the file as it was written just before the base moved
    let mut stored: serde_json::Value = serde_json::from_str(&before).unwrap();
    stored["merging"] = serde_json::json!({
        "commit": merged.commit, "head": pull.head_commit, "method": "squash", "merged_at": "2026-01-01T00:00:00Z",
    });
    fs::write(fixture.pull_file(1), stored.to_string()).unwrap();
    fixture.reopen();
    match fixture.forge.pull_request(&repo(), 1).await.unwrap().state {
        PullRequestState::Merged { commit, .. } => assert_eq!(commit, merged.commit),
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.merge(merge).await.unwrap(), merged);
    assert_eq!(fixture.at("main"), merged.commit);
}

#[tokio::test]
async fn before_the_base_moved_the_merge_never_was_and_can_be_done_again() {
    let mut fixture = Fixture::new().await;
    fixture.topic("topic").await;
    let pull = fixture.open("topic").await.unwrap();
    let base = fixture.at("main");
    let merge = fixture.merging(&pull, MergeMethod::Merge, &[]);
    let merged = fixture.merge(merge.clone()).await.unwrap();
    let mut stored: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(fixture.pull_file(1)).unwrap()).unwrap();
    stored["merging"] = serde_json::json!({
        "commit": merged.commit, "head": pull.head_commit, "method": "merge", "merged_at": "2026-01-01T00:00:00Z",
    });
    stored["pull_request"]["state"] = "open".into();
    fs::write(fixture.pull_file(1), stored.to_string()).unwrap();
    let name = RefName::branch(&branch("main"));
    bailiwick_git::RefWriter::new(&fixture.git())
        .update_ref(&name, Some(&merged.commit), Some(&base))
        .unwrap();
    fixture.reopen();
    let open = fixture.forge.pull_request(&repo(), 1).await.unwrap();
    assert_eq!(open.state, PullRequestState::Open);
    assert!(!fs::read_to_string(fixture.pull_file(1)).unwrap().contains("merging"));
    let again = fixture.merge(merge).await.unwrap();
    assert_eq!(fixture.at("main"), again.commit);
}

#[tokio::test]
async fn references_and_files_that_lag_behind_their_branch_catch_up() {
    let mut fixture = Fixture::new().await;
    let head = fixture.topic("topic").await;
    fixture.open("topic").await.unwrap();
    let git = fixture.git();
    // the process ended after the branch moved, before the pull request followed
    let next = fixture.commit(&head, "more", &[("a", "x\n")]);
    bailiwick_git::RefWriter::new(&git)
        .update_ref(&RefName::branch(&branch("topic")), Some(&head), Some(&next))
        .unwrap();
    bailiwick_git::RefWriter::new(&git)
        .update_ref(&RefName::pull_head(1), Some(&head), None)
        .unwrap();
    fixture.reopen();
    assert_eq!(git.resolve(&RefName::pull_head(1)).unwrap(), Some(next.clone()));
    assert!(fs::read_to_string(fixture.pull_file(1)).unwrap().contains(next.as_str()));
    assert_eq!(fixture.open("topic").await.unwrap().number, 1);
}

#[tokio::test]
async fn unfinished_files_and_imports_are_swept_away() {
    let mut fixture = Fixture::new().await;
    let forge = fixture.path("forge");
    fs::create_dir_all(forge.join("shop.pulls")).unwrap();
    fs::write(forge.join("shop.pulls/.unfinished-000001.json"), "{\"pull_req").unwrap();
    fs::create_dir(forge.join(".unfinished-other.git")).unwrap();
    fs::write(forge.join(".unfinished-other.git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fixture.reopen();
    assert_eq!(fixture.forge.repositories().await.unwrap().len(), 1);
    assert_eq!(fs::read_dir(forge.join("shop.pulls")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&forge).unwrap().count(), 3);
    fixture.forge.import(permit(import(&fixture.path("source"))).await).await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_named_keeps_its_number_and_stops_nothing() {
    let mut fixture = Fixture::new().await;
    fixture.topic("topic").await;
    fixture.open("topic").await.unwrap();
    fixture.topic("other").await;
    fs::write(fixture.pull_file(1), "{\"pull_request\": 7").unwrap();
    fixture.reopen();
    assert_eq!(fixture.forge.damaged().unwrap(), [fs::canonicalize(fixture.pull_file(1)).unwrap()]);
    assert!(matches!(
        fixture.forge.pull_request(&repo(), 1).await,
        Err(ForgeError::Damaged { .. })
    ));
    assert_eq!(fixture.open("other").await.unwrap().number, 2);
    assert_eq!(fixture.forge.pull_requests(&repo()).await.unwrap().len(), 1);
}
