//! Work trees that an agent has prepared against us.

use bailiwick_git::{GitError, IgnoredFiles, RepoPath};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::support::{Fixture, path, stock, stock_ok, user_repository, write};

/// A program that leaves a mark when it is run.
fn trap(dir: &Path) -> (String, std::path::PathBuf) {
    let mark = dir.join("mark");
    let program = dir.join("trap");
    fs::write(&program, format!("#!/bin/sh\ntouch '{}'\ncat\n", mark.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program.to_str().unwrap().to_owned(), mark)
}

fn arm(config: &Path, program: &str) {
    let text = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = {program}\n\thooksPath = {hooks}\n[filter \"evil\"]\n\tclean = {program}\n\tsmudge = {program}\n\trequired = true\n[diff \"evil\"]\n\tcommand = {program}\n\ttextconv = {program}\n",
        hooks = config.parent().unwrap().join("hooks").display(),
    );
    fs::write(config, text).unwrap();
}

#[test]
fn nothing_that_a_planted_repository_names_is_run() {
    let fixture = Fixture::new();
    let (program, mark) = trap(fixture.dir.path());
    let tree = fixture.tree(&[("a", "1\n"), (".gitattributes", "* filter=evil diff=evil\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    let top = workspace.path();
    for place in [top.to_owned(), top.join("nested")] {
        user_repository(&place, &[("inside", "i\n")]);
        arm(&place.join(".git/config"), &program);
        for hook in ["pre-commit", "post-checkout", "post-index-change", "reference-transaction"] {
            fs::create_dir_all(place.join(".git/hooks")).unwrap();
            fs::copy(&program, place.join(".git/hooks").join(hook)).unwrap();
        }
    }
    write(top, "a", "2\n");
    let after = workspace.snapshot().unwrap();
    fixture.git.diff(tree.oid(), after.oid(), bailiwick_git::DiffOptions::STANDARD).unwrap();
    workspace.restore(&tree, IgnoredFiles::Keep).unwrap();
    assert!(!mark.exists());
    // the control: stock git in that workspace runs it
    let (_, text) = stock(top, &["status"]);
    assert!(mark.exists(), "{text}");
}

#[test]
fn a_nested_repository_hides_nothing() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n"), ("tracked/file", "t\n"), (".gitignore", "*.log\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    let top = workspace.path();
    user_repository(
        &top.join("vendor/evil"),
        &[("payload", "p\n"), ("x.log", "l\n"), ("deeper/q", "q\n")],
    );
    user_repository(&top.join("vendor/evil/inner"), &[("r", "r\n")]);
    stock_ok(top, &["init", "-q", "empty"]);
    write(top, "empty/hidden", "h\n");
    user_repository(&top.join("tracked"), &[("more", "m\n")]);
    write(top, "tracked/file", "changed\n");
    // no repository, but a directory of that name
    write(top, "half/.git/stash", "s\n");
    write(top, "half/beside", "b\n");
    let after = workspace.snapshot().unwrap();
    assert_eq!(
        fixture.names(&after),
        [
            ".gitignore",
            "a",
            "empty/hidden",
            "half/beside",
            "tracked/file",
            "tracked/more",
            "vendor/evil/deeper/q",
            "vendor/evil/inner/r",
            "vendor/evil/payload",
        ]
    );
    assert_eq!(fixture.git.read_file(after.oid(), &path("tracked/file")).unwrap(), b"changed\n");
    write(top, "vendor/evil/payload", "later\n");
    write(top, "vendor/evil/second", "later\n");
    let later = workspace.snapshot().unwrap();
    assert_eq!(
        fixture.git.changed_paths(after.oid(), later.oid()).unwrap(),
        [path("vendor/evil/payload"), path("vendor/evil/second")]
    );
    // the control: stock git records only a commit id
    stock_ok(top, &["init", "-q"]);
    stock_ok(top, &["add", "-A", "vendor"]);
    assert!(stock_ok(top, &["ls-files", "-s", "vendor"]).starts_with("160000"));
}

#[test]
fn links_are_content_and_never_followed() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("src/passwd", "mine\n"), ("keep", "k\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    let top = workspace.path();
    fs::remove_dir_all(top.join("src")).unwrap();
    symlink("/etc", top.join("src")).unwrap();
    symlink("/etc/passwd", top.join("passwd")).unwrap();
    symlink("loop", top.join("loop")).unwrap();
    let after = workspace.snapshot().unwrap();
    assert_eq!(fixture.names(&after), ["keep", "loop", "passwd", "src"]);
    let entry = fixture.git.entry(after.oid(), &path("passwd")).unwrap().unwrap();
    assert_eq!(fixture.git.read_blob(&entry.oid).unwrap(), b"/etc/passwd");
    let other = fixture.checkout(after.oid(), "other");
    assert_eq!(fs::read_link(other.path().join("src")).unwrap(), Path::new("/etc"));
    assert_eq!(other.snapshot().unwrap(), after);
}

#[test]
fn strange_names_survive() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("keep", "k\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    let names: &[&[u8]] = &[
        b"-x",
        b"--help",
        b"new\nline",
        b"not\xffutf8",
        b"Case",
        b"case",
        b":(top)magic",
        b"*.rs",
        b"a b\t\"q\"",
        b"back\\slash",
        b"@{-1}",
        b"$(touch x)",
    ];
    for name in names {
        fs::write(workspace.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let after = workspace.snapshot().unwrap();
    assert_eq!(fixture.names(&after).len(), names.len() + 1);
    for name in names {
        let name = RepoPath::parse(*name).unwrap();
        assert_eq!(fixture.git.read_file(after.oid(), &name).unwrap(), name.as_bytes());
    }
    let diff =
        fixture.git.diff(tree.oid(), after.oid(), bailiwick_git::DiffOptions::STANDARD).unwrap();
    assert_eq!(diff.files.len(), names.len());
    assert_eq!(diff.line_counts().0, names.len() as u64 + 1);
    let other = fixture.checkout(after.oid(), "other");
    assert_eq!(other.snapshot().unwrap(), after);
    other.restore(&tree, IgnoredFiles::Remove).unwrap();
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}

#[test]
fn names_that_git_keeps_for_itself_are_refused_by_name() {
    for name in [".GIT", "git~1", ".g\u{200c}it"] {
        let fixture = Fixture::new();
        let tree = fixture.tree(&[("keep", "k\n")]);
        let workspace = fixture.checkout(tree.oid(), "w");
        write(workspace.path(), &format!("{name}/config"), "[core]\n");
        match workspace.snapshot() {
            Err(GitError::ForbiddenName { stderr }) => {
                assert!(stderr.contains("config"), "{name}: {stderr}");
            }
            other => panic!("{name}: {other:?}"),
        }
        fs::remove_dir_all(workspace.path().join(name)).unwrap();
        assert_eq!(workspace.snapshot().unwrap(), tree);
    }
}

#[test]
fn sockets_and_pipes_count_as_absent() {
    let fixture = Fixture::new();
    let tree = fixture.tree(&[("a", "1\n"), ("b", "2\n")]);
    let workspace = fixture.checkout(tree.oid(), "w");
    fs::remove_file(workspace.path().join("a")).unwrap();
    let _listener = UnixListener::bind(workspace.path().join("a")).unwrap();
    assert_eq!(fixture.names(&workspace.snapshot().unwrap()), ["b"]);
}

#[test]
fn a_tree_with_a_git_directory_in_it_is_not_checked_out() {
    let fixture = Fixture::new();
    let blob = fixture.tree(&[("x", "evil\n")]);
    // stock git makes such a tree only on demand
    let dir = fixture.git.git_dir().to_owned();
    let entry = fixture.git.entry(blob.oid(), &path("x")).unwrap().unwrap();
    for (name, allowed) in [(".git", false), ("..", false), ("plain", true)] {
        let script = format!("printf '100644 blob {}\\t{name}\\n' | git mktree", entry.oid);
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(script)
            .current_dir(&dir)
            .output()
            .unwrap();
        let oid = String::from_utf8(output.stdout).unwrap();
        let oid = bailiwick_model::id::Oid::parse(oid.trim()).unwrap();
        let target = fixture.path(&format!("w-{allowed}-{}", name.len()));
        let result =
            bailiwick_git::Workspace::checkout(&fixture.git, &oid, &target, &fixture.path("i"));
        assert_eq!(result.is_ok(), allowed, "{name}: {result:?}");
    }
}
