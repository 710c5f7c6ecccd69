use bailiwick_git::{GitError, IgnoredFiles, Overlay, SnapshotLimits, Workspace};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::{Fixture, path, write};

#[test]
fn a_checkout_has_nothing_of_git_and_gives_the_same_tree_back() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[
        ("a b", "1\r\n"),
        ("d/é.txt", "2"),
        (".gitattributes", "* text=auto eol=crlf ident\n"),
        ("id", "$Id$\n"),
    ]);
    let workspace = fixture.checkout(tree.oid(), "w");
    assert!(!workspace.path().join(".git").exists());
    assert_eq!(fs::read(workspace.path().join("a b")).unwrap(), b"1\r\n");
    assert_eq!(fs::read(workspace.path().join("id")).unwrap(), b"$Id$\n");
    assert_eq!(workspace.snapshot().unwrap(), tree);
    let again =
        Workspace::checkout(&fixture.git, tree.oid(), workspace.path(), &fixture.path("i2"));
    assert!(matches!(again, Err(GitError::NotEmpty { .. })));
    let inside =
        Workspace::checkout(&fixture.git, tree.oid(), &fixture.path("v"), &fixture.path("v/index"));
    assert!(matches!(inside, Err(GitError::Io { doing: "keep the index at", .. })));
}

#[test]
fn a_snapshot_sees_every_kind_of_change() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[
        ("a", "1\n"),
        ("b", "2\n"),
        ("d/e/f", "3\n"),
        ("x", "x\n"),
        (".gitignore", "out/\n*.log\n"),
    ]);
    let workspace = fixture.checkout(tree.oid(), "w");
    let top = workspace.path();
    write(top, "a", "changed\n");
    fs::remove_file(top.join("b")).unwrap();
    fs::remove_dir_all(top.join("d")).unwrap();
    write(top, "d", "now a file\n");
    fs::set_permissions(top.join("x"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a", top.join("link")).unwrap();
    write(top, "out/object", "ignored");
    write(top, "run.log", "ignored");
    write(top, "new/deep/file", "n");
    let after = workspace.snapshot().unwrap();
    assert_eq!(fixture.names(&after), [".gitignore", "a", "d", "link", "new/deep/file", "x"]);
    assert_eq!(fixture.git.read_file(after.oid(), &path("a")).unwrap(), b"changed\n");
    let x = fixture.git.entry(after.oid(), &path("x")).unwrap().unwrap();
    assert_eq!(x.kind, bailiwick_git::EntryKind::Executable);
    assert_eq!(workspace.snapshot().unwrap(), after);

    // a same-sized change right after a snapshot is seen too
    write(top, "a", "CHANGED\n");
    assert_ne!(workspace.snapshot().unwrap(), after);
}

#[test]
fn a_workspace_is_rewound_exactly() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n"), ("d/f", "2\n"), (".gitignore", "out/\n")]);
    for ignored in [IgnoredFiles::Keep, IgnoredFiles::Remove] {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), "f", "outside\n");
        let name = format!("{ignored:?}");
        let workspace = fixture.checkout(tree.oid(), &name);
        let top = workspace.path();
        write(top, "a", "2\n");
        write(top, "extra/file", "e");
        write(top, "out/object", "built");
        fs::remove_dir_all(top.join("d")).unwrap();
        symlink(outside.path(), top.join("d")).unwrap();
        let before = workspace.snapshot().unwrap();
        assert_ne!(before, tree);
        write(top, "unsaved", "u");
        fs::create_dir_all(top.join("nested/.git")).unwrap();
        write(top, ".git/config", "[core]\n");
        workspace.restore(&tree, ignored).unwrap();
        assert_eq!(workspace.snapshot().unwrap(), tree, "{name}");
        assert_eq!(fs::read(top.join("d/f")).unwrap(), b"2\n");
        assert_eq!(fs::read(outside.path().join("f")).unwrap(), b"outside\n");
        assert!(!top.join("extra").exists() && !top.join("unsaved").exists());
        assert!(!top.join("nested").exists());
        let kept = ignored == IgnoredFiles::Keep;
        assert_eq!(top.join("out/object").exists(), kept);
        assert_eq!(top.join(".git").exists(), kept);
        workspace.restore(&before, ignored).unwrap();
        assert_eq!(workspace.snapshot().unwrap(), before);
    }
}

#[test]
fn a_rewind_replaces_a_file_that_a_directory_took_the_place_of() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    fs::remove_file(workspace.path().join("a")).unwrap();
    write(workspace.path(), "a/b/c", "x");
    workspace.restore(&tree, IgnoredFiles::Keep).unwrap();
    assert_eq!(fs::read(workspace.path().join("a")).unwrap(), b"1\n");
}

#[test]
fn large_files_and_floods_are_refused_by_name() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    let huge = fs::File::create(workspace.path().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let error = workspace.snapshot().unwrap_err();
    assert!(error.to_string().contains("`huge` has 1099511627776 bytes"), "{error}");
    huge.set_len(10).unwrap();
    workspace.snapshot().unwrap();
    for n in 0..6 {
        write(workspace.path(), &format!("many/{n}"), "x");
    }
    let narrow =
        workspace.clone().with_limits(SnapshotLimits { files: 5, ..SnapshotLimits::STANDARD });
    assert!(matches!(narrow.snapshot(), Err(GitError::TooManyFiles { limit: 5 })));
    workspace.snapshot().unwrap();
}

#[test]
fn a_workspace_is_taken_up_again_after_a_kill() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    fs::write(fixture.path("w.index.lock"), "left by a killed process").unwrap();
    write(workspace.path(), "b", "2\n");
    let again =
        Workspace::attach(&fixture.git, workspace.path(), &fixture.path("w.index")).unwrap();
    assert_eq!(fixture.names(&again.snapshot().unwrap()), ["a", "b"]);
}

#[test]
fn an_overlay_has_other_files_at_some_paths_and_touches_nothing_else() {
    let fixture = Fixture::new();
    let base = fixture.commit(&[], "a", &[("a", "1"), ("b/c", "2"), ("d", "3"), ("e", "4")]);
    let file = |content: &str, executable| Overlay::File { content: content.into(), executable };
    let scratch = tempfile::tempdir().unwrap();
    let files = [
        (path("a"), Overlay::Gone),
        (path("a"), file("again", true)),
        (path("b"), file("a file in place of a folder", false)),
        (path("d/f"), file("a folder in place of a file", false)),
        (path("not/there"), Overlay::Gone),
        (path("é new"), file("", false)),
        (path("e"), Overlay::Gone),
    ];
    let tree = fixture.git.overlay(&base, &files, scratch.path()).unwrap();
    assert_eq!(fixture.names(&tree), ["a", "b", "d/f", "é new"]);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    let workspace = fixture.checkout(tree.oid(), "w");
    assert_eq!(fs::read(workspace.path().join("a")).unwrap(), b"again");
    let mode = fs::metadata(workspace.path().join("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    let same = fixture.git.overlay(&base, &[], scratch.path()).unwrap();
    assert_eq!(same, fixture.git.tree_of(&base).unwrap());
    // what no tree may hold is refused
    let planted = [(path(".git/config"), file("x", false))];
    assert!(fixture.git.overlay(&base, &planted, scratch.path()).is_err());
}
