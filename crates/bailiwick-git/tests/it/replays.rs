use bailiwick_git::{Ed25519Signer, MergeInput, ReplayError, SignatureState, Trailer};
use bailiwick_model::id::Oid;

use crate::support::{Fixture, path, stock_ok, who};

const BASE: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";

struct Scene {
    fixture: Fixture,
    root: Oid,
    base: Oid,
    clean: Oid,
    conflict: Oid,
}

fn scene() -> Scene {
    let fixture = Fixture::new();
    let root = fixture.commit(&[], "root", &[("a", BASE), ("b", "b\n")]);
    let base =
        fixture.commit(&[&root], "base moved", &[("a", &BASE.replace('2', "two")), ("b", "b\n")]);
    let first =
        fixture.commit(&[&root], "first", &[("a", &BASE.replace('8', "eight")), ("b", "b\n")]);
    let clean =
        fixture.commit(&[&first], "second", &[("a", &BASE.replace('8', "eight")), ("b", "b\nc\n")]);
    let conflict =
        fixture.commit(&[&root], "conflict", &[("a", &BASE.replace('2', "zwei")), ("b", "b\n")]);
    Scene { fixture, root, base, clean, conflict }
}

#[test]
fn merge_squash_and_rebase_give_the_same_tree() {
    let Scene { fixture, base, clean, .. } = scene();
    let git = &fixture.git;
    let signer = Ed25519Signer::new(&[5; 32]);
    let committer = who("merger", 9);
    let input =
        MergeInput { base: &base, head: &clean, committer: &committer, signer: Some(&signer) };
    let trailers = [Trailer::new("Task", "1").unwrap()];
    let merged = git.merge_commit(&input, "Merge #1", &trailers).unwrap();
    let squashed = git.squash(&input, "Squash #1", &trailers).unwrap();
    let rebased = git.rebase(&input).unwrap();
    let expected = BASE.replace('2', "two").replace('8', "eight");
    for oid in [&merged, &squashed, &rebased] {
        assert_eq!(git.read_file(oid, &path("a")).unwrap(), expected.as_bytes());
        assert_eq!(git.read_file(oid, &path("b")).unwrap(), b"b\nc\n");
        assert_eq!(
            git.signature_state(oid, &[signer.public_key()]).unwrap(),
            SignatureState::Trusted
        );
    }
    assert_eq!(git.commit(&merged).unwrap().parents, [base.clone(), clean]);
    assert_eq!(git.commit(&merged).unwrap().trailers("Task"), ["1"]);
    assert_eq!(git.commit(&squashed).unwrap().parents, vec![base.clone()]);
    assert_eq!(git.commit(&squashed).unwrap().author, "ada <ada@example.org>");
    let log = git.log(Some(&base), &rebased, 10).unwrap();
    let subjects: Vec<_> =
        log.iter().map(|oid| git.commit(oid).unwrap().subject().to_owned()).collect();
    assert_eq!(subjects, ["second", "first"]);
    assert_eq!(git.commit(&rebased).unwrap().author, "ada <ada@example.org>");
    assert_eq!(git.commit(&rebased).unwrap().committer, "merger <merger@example.org>");
}

#[test]
fn conflicts_name_their_paths_whatever_the_method() {
    let Scene { fixture, base, conflict, .. } = scene();
    let committer = who("merger", 9);
    let input = MergeInput { base: &base, head: &conflict, committer: &committer, signer: None };
    let results = [
        fixture.git.merge_commit(&input, "m", &[]),
        fixture.git.squash(&input, "m", &[]),
        fixture.git.rebase(&input),
    ];
    for result in results {
        match result {
            Err(ReplayError::Conflict { paths }) => assert_eq!(paths, [path("a")]),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_rebase_leaves_what_is_already_there() {
    let Scene { fixture, root, base, clean, .. } = scene();
    let git = &fixture.git;
    let committer = who("merger", 9);
    // on top already: nothing is rewritten
    let input = MergeInput { base: &root, head: &clean, committer: &committer, signer: None };
    assert_eq!(git.rebase(&input).unwrap(), clean);
    // everything is there already: the base itself
    let same =
        fixture.commit(&[&root], "same change", &[("a", &BASE.replace('2', "two")), ("b", "b\n")]);
    let input = MergeInput { base: &base, head: &same, committer: &committer, signer: None };
    assert_eq!(git.rebase(&input).unwrap(), base);
    // a stacked change whose lower commit was squashed into the base
    let lower = git.commit(&clean).unwrap().parents[0].clone();
    let input = MergeInput { base: &base, head: &lower, committer: &committer, signer: None };
    let squashed = git.squash(&input, "lower", &[]).unwrap();
    let input = MergeInput { base: &squashed, head: &clean, committer: &committer, signer: None };
    let restacked = git.rebase_range(&lower, &input).unwrap();
    assert_eq!(git.commit(&restacked).unwrap().parents, [squashed]);
}

#[test]
fn unrelated_histories_and_merge_drivers_of_a_tree_are_refused() {
    let Scene { fixture, base, .. } = scene();
    let committer = who("merger", 9);
    let stranger = fixture.commit(&[], "stranger", &[("z", "z\n")]);
    let input = MergeInput { base: &base, head: &stranger, committer: &committer, signer: None };
    assert!(matches!(
        fixture.git.merge_commit(&input, "m", &[]),
        Err(ReplayError::Unrelated { .. })
    ));

    // `merge=union` in a tree would turn a conflict into nonsense
    let attributes = (".gitattributes", "* merge=union\n");
    let root = fixture.commit(&[], "r", &[attributes, ("a", "1\n")]);
    let ours = fixture.commit(&[&root], "o", &[attributes, ("a", "2\n")]);
    let theirs = fixture.commit(&[&root], "t", &[attributes, ("a", "3\n")]);
    fixture.set("main", &root);
    stock_ok(fixture.git.git_dir(), &["config", "attr.tree", "main"]);
    let input = MergeInput { base: &ours, head: &theirs, committer: &committer, signer: None };
    assert!(matches!(
        fixture.git.merge_commit(&input, "m", &[]),
        Err(ReplayError::Conflict { .. })
    ));
}
