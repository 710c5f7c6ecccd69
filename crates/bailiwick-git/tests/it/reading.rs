use bailiwick_git::{
    DiffOptions, EntryKind, FileChange, FileContent, Git, GitError, Limits, LineKind, RefName,
    RefWriter, Unsupported,
};
use std::fs;
use std::time::Duration;

use crate::support::{Fixture, branch, path, stock_ok, user_repository, write};

#[test]
fn a_repository_is_found_from_below_and_anything_else_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let repo = top.path().join("repo");
    user_repository(&repo, &[("a.txt", "a\n"), ("services/web/b.txt", "b\n")]);
    let found = Git::discover(&repo.join("services/web")).unwrap();
    assert_eq!(found.subdirectory, Some(path("services/web")));
    let head = found.git.commit_named("HEAD").unwrap();
    assert_eq!(found.git.branch(&branch("main")).unwrap().as_ref(), Some(&head));
    let web = found.git.subtree(&head, &path("services/web")).unwrap();
    assert_eq!(found.git.read_file(web.oid(), &path("b.txt")).unwrap(), b"b\n");

    let linked = top.path().join("linked");
    stock_ok(&repo, &["worktree", "add", "-q", "-b", "other", linked.to_str().unwrap()]);
    assert_eq!(Git::discover(&linked).unwrap().git.head_branch().unwrap(), Some(branch("other")));

    let plain = top.path().join("plain");
    fs::create_dir(&plain).unwrap();
    assert!(matches!(Git::discover(&plain), Err(GitError::NotARepository { .. })));
    fs::create_dir(plain.join(".git")).unwrap();
    assert!(matches!(Git::discover(&plain), Err(GitError::NotARepository { .. })));
}

#[test]
fn revisions_of_a_person_never_become_options() {
    let fixture = Fixture::new();
    let one = fixture.commit(&[], "one", &[("a", "1\n")]);
    fixture.set("main", &one);
    assert_eq!(fixture.git.commit_named("main").unwrap(), one);
    assert_eq!(fixture.git.commit_named(one.as_str().get(..9).unwrap()).unwrap(), one);
    for text in ["--all", "-h", "", "main\0", "nowhere", "main:a", "--output=/tmp/x"] {
        assert!(
            matches!(fixture.git.commit_named(text), Err(GitError::UnknownRevision { .. })),
            "{text}"
        );
    }
}

#[test]
fn commits_and_history() {
    let fixture = Fixture::new();
    let one = fixture.commit(&[], "one", &[("a", "1\n")]);
    let two = fixture.commit(&[&one], "two\n\nbody\n\nTask: 7\nRun: x", &[("a", "2\n")]);
    let side = fixture.commit(&[&one], "side", &[("b", "2\n")]);
    let commit = fixture.git.commit(&two).unwrap();
    assert_eq!(commit.subject(), "two");
    assert_eq!(commit.author, "ada <ada@example.org>");
    assert_eq!(commit.authored_at, Some(crate::support::at(0)));
    assert_eq!(commit.committer, "bot <bot@example.org>");
    assert_eq!(commit.parents, vec![one.clone()]);
    assert_eq!(commit.trailers("task"), vec!["7"]);
    assert_eq!(fixture.git.merge_base(&two, &side).unwrap(), Some(one.clone()));
    assert!(fixture.git.is_ancestor(&one, &two).unwrap());
    assert!(!fixture.git.is_ancestor(&side, &two).unwrap());
    assert_eq!(fixture.git.log(Some(&one), &two, 10).unwrap(), vec![two.clone()]);
    assert_eq!(fixture.git.log(None, &two, 10).unwrap(), vec![two, one]);
}

#[test]
fn a_reference_is_found_however_it_is_kept() {
    let fixture = Fixture::new();
    let one = fixture.commit(&[], "one", &[("a", "1\n")]);
    let two = fixture.commit(&[&one], "two", &[("a", "2\n")]);
    fixture.set("main", &one);
    let dir = fixture.git.git_dir().to_owned();
    let file = dir.join("refs/heads/main");
    assert!(file.is_file());
    assert_eq!(fixture.git.branch(&branch("main")).unwrap(), Some(one.clone()));
    stock_ok(&dir, &["pack-refs", "--all"]);
    assert!(!file.exists());
    assert_eq!(fixture.git.branch(&branch("main")).unwrap(), Some(one.clone()));
    // a file of its own is newer than the packed one
    fixture.set("main", &two);
    assert!(file.is_file());
    assert_eq!(fixture.git.branch(&branch("main")).unwrap(), Some(two.clone()));
    stock_ok(&dir, &["symbolic-ref", "refs/heads/other", "refs/heads/main"]);
    assert_eq!(fixture.git.branch(&branch("other")).unwrap(), Some(two));
    assert_eq!(fixture.git.branch(&branch("none")).unwrap(), None);
    for damaged in ["", "\n", "0123\n", "ref: \n"] {
        fs::write(&file, damaged).unwrap();
        assert_ne!(fixture.git.branch(&branch("main")).ok().flatten(), Some(one.clone()));
    }
}

#[test]
fn a_reference_moves_only_from_where_it_is_expected() {
    let fixture = Fixture::new();
    let one = fixture.commit(&[], "one", &[("a", "1\n")]);
    let two = fixture.commit(&[&one], "two", &[("a", "2\n")]);
    let name = RefName::branch(&branch("topic/x"));
    let git = &fixture.git;
    RefWriter::new(git).update_ref(&name, None, Some(&one)).unwrap();
    assert!(matches!(
        RefWriter::new(git).update_ref(&name, None, Some(&two)),
        Err(GitError::Moved { found: Some(_), .. })
    ));
    RefWriter::new(git).update_ref(&name, Some(&one), Some(&two)).unwrap();
    RefWriter::new(git).update_ref(&name, Some(&one), Some(&two)).unwrap();
    assert!(matches!(
        RefWriter::new(git).update_ref(&name, Some(&one), None),
        Err(GitError::Moved { .. })
    ));
    RefWriter::new(git).update_ref(&name, Some(&two), None).unwrap();
    assert_eq!(git.resolve(&name).unwrap(), None);
}

#[test]
fn entries_tell_what_they_are_and_links_are_not_read() {
    let fixture = Fixture::new();
    let top = fixture.path("user");
    user_repository(&top, &[("a.txt", "a\n"), ("d/b.txt", "bb\n")]);
    std::os::unix::fs::symlink("/etc/passwd", top.join("link")).unwrap();
    stock_ok(&top, &["add", "-A"]);
    stock_ok(&top, &["commit", "-q", "-m", "link"]);
    let git = Git::discover(&top).unwrap().git;
    let head = git.commit_named("HEAD").unwrap();
    let listed: Vec<_> = git
        .list(&head, None)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.path.to_string(), entry.kind, entry.bytes))
        .collect();
    let expected = [
        ("a.txt".to_owned(), EntryKind::File, Some(2)),
        ("d".to_owned(), EntryKind::Directory, None),
        ("link".to_owned(), EntryKind::Symlink, Some(11)),
    ];
    assert_eq!(listed, expected);
    assert_eq!(git.list(&head, Some(&path("d"))).unwrap().len(), 1);
    assert!(matches!(
        git.read_file(&head, &path("link")),
        Err(GitError::NotFound { kind: "file", .. })
    ));
    assert!(matches!(git.read_file(&head, &path("missing")), Err(GitError::NotFound { .. })));
    assert!(matches!(git.subtree(&head, &path("a.txt")), Err(GitError::NotFound { .. })));
}

#[test]
fn differences_as_data() {
    let fixture = Fixture::new();
    let long: String = (1..=30).map(|n| format!("line {n}\n")).collect();
    let moved = long.replace("line 3\n", "line three\n");
    let one = fixture.tree(&[
        ("a", "1\n2\n3\n"),
        ("bin", "a\0b"),
        ("gone", "x\n"),
        ("old name", &long),
        ("same", "s\n"),
    ]);
    let two = fixture.tree(&[
        ("a", "1\n2b\n3\n4"),
        ("bin", "a\0c"),
        ("new\nname", &moved),
        ("plus", "p\n"),
        ("same", "s\n"),
    ]);
    let diff = fixture.git.diff(one.oid(), two.oid(), DiffOptions::STANDARD).unwrap();
    let summary: Vec<_> = diff
        .files
        .iter()
        .map(|file| (file.path().unwrap().to_string(), file.change, file.added, file.removed))
        .collect();
    assert_eq!(
        summary,
        [
            ("a".to_owned(), FileChange::Modified, 2, 1),
            ("bin".to_owned(), FileChange::Modified, 0, 0),
            ("gone".to_owned(), FileChange::Deleted, 0, 1),
            ("new\\x0aname".to_owned(), FileChange::Renamed { similarity: 95 }, 1, 1),
            ("plus".to_owned(), FileChange::Added, 1, 0),
        ]
    );
    assert_eq!(diff.files[1].content, FileContent::Binary);
    assert_eq!(diff.line_counts(), (4, 3));
    let hunk = &diff.files[0].hunks()[0];
    let lines: Vec<_> = hunk
        .lines
        .iter()
        .map(|line| (line.kind, line.old_line, line.new_line, line.text.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (LineKind::Context, Some(1), Some(1), "1"),
            (LineKind::Removed, Some(2), None, "2"),
            (LineKind::Added, None, Some(2), "2b"),
            (LineKind::Context, Some(3), Some(3), "3"),
            (LineKind::Added, None, Some(4), "4"),
        ]
    );
    assert!(hunk.lines[4].last_without_newline);
    assert!(diff.text.contains("rename to \"new\\nname\""));
    assert_eq!(fixture.git.changed_paths(one.oid(), two.oid()).unwrap().len(), 6);
}

#[test]
fn a_change_of_type_and_lines_that_look_like_headers() {
    let fixture = Fixture::new();
    let tricky = "-- a/x\n++ b/x\ndiff --git a/x b/x\n@@ -1 +1 @@\n\\ No newline\n";
    let one = fixture.tree(&[("t", tricky), ("z", "z\n")]);
    let workspace = fixture.checkout(one.oid(), "w");
    fs::remove_file(workspace.path().join("t")).unwrap();
    std::os::unix::fs::symlink("z", workspace.path().join("t")).unwrap();
    write(workspace.path(), "z", format!("{tricky}z\n"));
    let two = workspace.snapshot().unwrap();
    let diff = fixture.git.diff(one.oid(), two.oid(), DiffOptions::STANDARD).unwrap();
    let summary: Vec<_> =
        diff.files.iter().map(|file| (file.change, file.added, file.removed)).collect();
    assert_eq!(summary, [(FileChange::TypeChanged, 1, 5), (FileChange::Modified, 5, 0)]);
}

#[test]
fn a_tree_cannot_hide_its_changes_behind_attributes() {
    let fixture = Fixture::new();
    let attributes = (".gitattributes", "* -diff binary\n");
    let one = fixture.tree(&[attributes, ("a", "1\n")]);
    let two = fixture.tree(&[attributes, ("a", "2\n")]);
    // some versions of git take a bare repository's attributes from its `HEAD`, others when told to
    fixture.set("main", &fixture.commit(&[], "attributes", &[attributes]));
    stock_ok(fixture.git.git_dir(), &["config", "attr.tree", "main"]);
    let diff = fixture.git.diff(one.oid(), two.oid(), DiffOptions::STANDARD).unwrap();
    assert_eq!(diff.line_counts(), (1, 1));
    // the control: stock git does hide them
    let top = fixture.path("user");
    user_repository(&top, &[attributes, ("a", "1\n")]);
    write(&top, "a", "2\n");
    assert!(stock_ok(&top, &["diff"]).contains("Binary files"));
}

#[test]
fn a_survey_names_submodules_and_large_files() {
    let fixture = Fixture::new();
    let inner = fixture.path("inner");
    user_repository(&inner, &[("i", "i\n")]);
    let top = fixture.path("user");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n";
    let attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n*.key filter=git-crypt\n";
    user_repository(
        &top,
        &[
            (".gitattributes", attributes),
            ("x.bin", pointer),
            ("plain.bin", "no pointer"),
            ("s.key", "k"),
        ],
    );
    stock_ok(&top, &["submodule", "--quiet", "add", inner.to_str().unwrap(), "sub/inner"]);
    stock_ok(&top, &["commit", "-q", "-m", "sub"]);
    let git = Git::discover(&top).unwrap().git;
    let survey = git.survey(&git.commit_named("HEAD").unwrap()).unwrap();
    assert_eq!(
        survey.unsupported,
        [
            Unsupported::Submodule { path: path("sub/inner") },
            Unsupported::LargeFile { path: path("x.bin") }
        ]
    );
    assert_eq!(survey.filtered, [(path("s.key"), "git-crypt".to_owned())]);
    // the control: without them nothing stands in the way
    let plain = fixture.tree(&[("a", "1\n"), (".gitattributes", "*.txt text\n")]);
    assert_eq!(fixture.git.survey(plain.oid()).unwrap().unsupported, []);
}

#[test]
fn a_branch_is_taken_over_with_its_history_and_nothing_else() {
    let fixture = Fixture::new();
    let top = fixture.path("user");
    user_repository(&top, &[("a", "1\n")]);
    write(&top, "a", "2\n");
    stock_ok(&top, &["commit", "-q", "-a", "-m", "second"]);
    stock_ok(&top, &["branch", "secret"]);
    let source = Git::discover(&top).unwrap().git;
    let name = RefName::branch(&branch("main"));
    let head = RefWriter::new(&fixture.git).fetch_local(&source, &branch("main"), &name).unwrap();
    assert_eq!(fixture.git.log(None, &head, 10).unwrap().len(), 2);
    assert_eq!(fixture.git.branches().unwrap(), [(branch("main"), head)]);
    assert!(RefWriter::new(&fixture.git).fetch_local(&source, &branch("missing"), &name).is_err());
}

#[test]
fn files_are_listed_alike_with_and_without_their_sizes() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n"), ("b/c d", "22\n"), ("b/e/f", "")]);
    let all = fixture.git.list_all(tree.oid()).unwrap();
    assert_eq!(all.len(), 3);
    let without: Vec<_> =
        all.into_iter().map(|entry| (entry.path, entry.kind, entry.oid)).collect();
    assert_eq!(fixture.git.list_blobs(tree.oid()).unwrap(), without);
}

#[test]
fn output_and_time_are_bounded() {
    let fixture = Fixture::new();
    let big = "x".repeat(5000);
    let tree = fixture.tree(&[("a", &big)]);
    let narrow = fixture.git.clone().with_limits(Limits { output_bytes: 4999, ..Limits::STANDARD });
    assert!(matches!(
        narrow.read_file(tree.oid(), &path("a")),
        Err(GitError::OutputTooLarge { limit_bytes: 4999, .. })
    ));
    let exact = fixture.git.clone().with_limits(Limits { output_bytes: 5000, ..Limits::STANDARD });
    assert_eq!(exact.read_file(tree.oid(), &path("a")).unwrap().len(), 5000);
    let hasty =
        fixture.git.clone().with_limits(Limits { timeout: Duration::ZERO, ..Limits::STANDARD });
    assert!(matches!(hasty.list_all(tree.oid()), Err(GitError::TimedOut { .. })));
}
