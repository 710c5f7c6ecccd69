use std::fs;

use bailiwick_forge::{Forge as _, ForgeError};
use bailiwick_git::GitError;
use bailiwick_model::outcome::EffectError as _;

use crate::support::{Fixture, branch, import, permit, repo, stock_ok, user_repository, write};

#[tokio::test]
async fn a_repository_comes_with_its_history_and_follows_its_source_forward() {
    let fixture = Fixture::new().await;
    let source = fixture.path("source");
    let known = fixture.forge.repository(&repo()).await.unwrap();
    assert_eq!(known.default_branch, branch("main"));
    assert_eq!(known.protected_branches, [branch("main")]);
    assert_eq!(known.head.as_str(), stock_ok(&source, &["rev-parse", "HEAD"]).trim());
    assert_eq!(fixture.forge.repositories().await.unwrap(), vec![known.clone()]);

    let again = fixture.forge.import(permit(import(&source)).await).await.unwrap();
    assert_eq!(again, known);
    write(&source, "b", "more\n");
    stock_ok(&source, &["commit", "-q", "-a", "-m", "second"]);
    let moved = fixture.forge.import(permit(import(&source)).await).await.unwrap();
    assert_eq!(moved.head.as_str(), stock_ok(&source, &["rev-parse", "HEAD"]).trim());

    // what was merged here and not there stays
    let ahead = fixture.move_main(&[("a", "ahead\n")]);
    assert_eq!(fixture.forge.import(permit(import(&source)).await).await.unwrap().head, ahead);
    write(&source, "b", "other way\n");
    stock_ok(&source, &["commit", "-q", "-a", "-m", "third"]);
    let error = fixture.forge.import(permit(import(&source)).await).await.unwrap_err();
    assert!(matches!(error, ForgeError::Diverged { .. }), "{error}");
    assert_eq!(fixture.at("main"), ahead);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_by_name_and_leaves_nothing() {
    let fixture = Fixture::empty();
    let plain = fixture.path("plain");
    fs::create_dir(&plain).unwrap();
    let empty = fixture.path("empty");
    fs::create_dir(&empty).unwrap();
    stock_ok(&empty, &["init", "-q"]);
    let other = fixture.path("other");
    user_repository(&other, &[("a", "1\n")]);
    stock_ok(&other, &["branch", "-m", "trunk"]);
    let large = fixture.path("large");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
    user_repository(&large, &[(".gitattributes", "*.bin filter=lfs\n"), ("x.bin", pointer)]);
    let shallow = fixture.path("shallow");
    write(&other, "a", "2\n");
    stock_ok(&other, &["commit", "-q", "-a", "-m", "second"]);
    let url = format!("file://{}", other.display());
    stock_ok(fixture.dir.path(), &["clone", "-q", "--depth=1", &url, shallow.to_str().unwrap()]);
    stock_ok(&shallow, &["branch", "-m", "main"]);
    for (source, code, words) in [
        (fixture.path("missing"), "forge.git", "cannot open"),
        (plain, "forge.not_a_repository", "is not a git repository"),
        (empty, "forge.no_commits", "has no commit yet"),
        (other, "forge.no_branch", "has no branch `main`"),
        (large, "forge.unsupported", "`x.bin` is stored in Git LFS"),
        (shallow, "forge.unsupported", "it is a shallow clone"),
    ] {
        let error = fixture.forge.import(permit(import(&source)).await).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(fs::read_dir(fixture.path("forge")).unwrap().count(), 0);
    let error = fixture.forge.repository(&repo()).await.unwrap_err();
    assert!(matches!(error, ForgeError::NoRepository { .. }));
}

#[tokio::test]
async fn a_submodule_is_named() {
    let fixture = Fixture::empty();
    let inner = fixture.path("inner");
    user_repository(&inner, &[("i", "i\n")]);
    let source = fixture.path("source");
    user_repository(&source, &[("a", "1\n")]);
    stock_ok(&source, &["submodule", "--quiet", "add", inner.to_str().unwrap(), "sub"]);
    stock_ok(&source, &["commit", "-q", "-m", "sub"]);
    match fixture.forge.import(permit(import(&source)).await).await {
        Err(ForgeError::Git(GitError::Unsupported { what })) => {
            assert_eq!(what[0].to_string(), "`sub` is a submodule");
        }
        other => panic!("{other:?}"),
    }
}
