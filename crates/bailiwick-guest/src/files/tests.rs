use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::reply::{Entry, Match};
use crate::spec::WriteMode;

struct Place {
    directory: tempfile::TempDir,
    root: OwnedFd,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let root =
        openat(CWD, directory.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    Place { directory, root }
}

impl Place {
    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn get(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join(path)).unwrap()
    }

    fn read(
        &self,
        path: &str,
        first_line: u64,
        max_lines: u64,
        max_bytes: u64,
    ) -> Result<(String, bool), FileError> {
        let operation = Operation::Read { path: path.to_owned(), first_line, max_lines, max_bytes };
        perform_in(&self.root, &operation, &[]).map(|answer| match answer {
            Answer::Text { text, cut, .. } => (text, cut),
            other => panic!("{other:?}"),
        })
    }

    fn write(&self, path: &str, mode: WriteMode, parts: &[&str]) -> Result<(), FileError> {
        let operation = Operation::Write { path: path.to_owned(), mode, expected_sha256: None };
        let parts: Vec<Vec<u8>> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
        perform_in(&self.root, &operation, &parts).map(drop)
    }
}

#[test]
fn lines_are_read_by_number_and_cut_at_a_character() {
    let place = place();
    place.put("file", "one\ntwo\nthrée\nfour");
    for (first, lines, bytes, expected) in [
        (1, 9, 99, ("one\ntwo\nthrée\nfour", false)),
        (2, 2, 99, ("two\nthrée\n", false)),
        (0, 1, 99, ("one\n", false)),
        (9, 1, 99, ("", false)),
        (3, 2, 4, ("thr", true)),
        (1, 2, 5, ("one\nt", true)),
    ] {
        let (text, cut) = place.read("file", first, lines, bytes).unwrap();
        assert_eq!((text.as_str(), cut), expected);
    }
}

#[test]
fn what_is_no_text_file_is_refused_by_name() {
    let place = place();
    place.put("binary", [0xff, 0xfe]);
    place.put("directory/file", "");
    fs::File::create(place.directory.path().join("huge"))
        .unwrap()
        .set_len(MAX_FILE_BYTES + 1)
        .unwrap();
    rustix::fs::mknodat(
        CWD,
        place.directory.path().join("pipe"),
        FileType::Fifo,
        Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let _listener =
        std::os::unix::net::UnixListener::bind(place.directory.path().join("socket")).unwrap();
    let of = |path: &str| place.read(path, 1, 1, 1).unwrap_err();
    assert!(matches!(of("binary"), FileError::NotUtf8 { .. }));
    assert!(matches!(of("directory"), FileError::IsDirectory { .. }));
    assert!(matches!(of("directory/file/x"), FileError::NotDirectory { .. }));
    assert!(matches!(of("missing"), FileError::NotFound { .. }));
    assert!(matches!(of("huge"), FileError::TooLarge { .. }));
    assert!(matches!(of("pipe"), FileError::NotRegular { .. }));
    assert!(matches!(of("socket"), FileError::NotRegular { .. }));
    assert!(matches!(of("../x"), FileError::OutsideWorkspace { .. }));
    assert!(matches!(
        place.write("pipe", WriteMode::Replace, &["x"]),
        Err(FileError::NotRegular { .. })
    ));
}

#[test]
fn an_edit_needs_exactly_one_place() {
    let place = place();
    place.put("file", "aaa b c");
    for (old, expected) in [
        ("b", Ok("aaa B c")),
        ("x", Err("does not occur")),
        ("a", Err("more than once")),
        ("aa", Err("more than once")),
        ("", Err("empty")),
    ] {
        let result = place.write("file", WriteMode::Edit, &[old, "B"]);
        match expected {
            Ok(text) => assert_eq!(place.get("file"), text),
            Err(word) => assert!(result.unwrap_err().to_string().contains(word), "{old}"),
        }
        place.put("file", "aaa b c");
    }
}

#[test]
fn writing_makes_directories_keeps_modes_and_leaves_nothing_half_done() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = place();
    place.write("a/b/c", WriteMode::Create, &["new"]).unwrap();
    assert_eq!(place.get("a/b/c"), "new");
    assert!(matches!(
        place.write("a/b/c", WriteMode::Create, &["x"]),
        Err(FileError::Conflict { .. })
    ));
    let path = place.directory.path().join("a/b/c");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    place.write("a/b/c", WriteMode::Replace, &["newer"]).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(matches!(
        place.write("a", WriteMode::Replace, &["x"]),
        Err(FileError::IsDirectory { .. })
    ));
    // A link that leads nowhere, in or out, is not written through.
    symlink("/nowhere/else", place.directory.path().join("away")).unwrap();
    symlink("later", place.directory.path().join("dangling")).unwrap();
    assert!(place.write("away", WriteMode::Replace, &["x"]).is_err());
    assert!(place.write("dangling", WriteMode::Replace, &["x"]).is_err());
    assert!(place.write("away/x", WriteMode::Replace, &["x"]).is_err());
    assert!(!place.directory.path().join("later").exists());
    assert_eq!(fs::read_dir(place.directory.path().join("a/b")).unwrap().count(), 1);
    let names: Vec<_> = fs::read_dir(place.directory.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("bailiwick")), "{names:?}");
}

#[test]
fn an_expected_digest_guards_against_changes() {
    let place = place();
    place.put("file", "before");
    for (digest, good) in
        [(crate::capture::sha256(b"other"), false), (crate::capture::sha256(b"before"), true)]
    {
        let operation = Operation::Write {
            path: "file".to_owned(),
            mode: WriteMode::Replace,
            expected_sha256: Some(digest),
        };
        assert_eq!(perform_in(&place.root, &operation, &[b"after".to_vec()]).is_ok(), good);
    }
    assert_eq!(place.get("file"), "after");
}

#[test]
fn listing_and_searching_follow_no_link_and_skip_git() {
    let place = place();
    place.put("b/inner/deep", "needle 1\nhay\nneedle 2");
    place.put(".git/config", "needle");
    place.put("a", "hay");
    place.put("binary", [0xff, b'n']);
    symlink("/", place.directory.path().join("root")).unwrap();
    symlink("..", place.directory.path().join("b/up")).unwrap();
    let list = |depth, max| {
        let operation = Operation::List { path: ".".to_owned(), depth, max };
        match perform_in(&place.root, &operation, &[]).unwrap() {
            Answer::Entries { entries, cut } => (
                entries
                    .into_iter()
                    .map(|Entry { path, kind, .. }| format!("{path} {kind}"))
                    .collect::<Vec<_>>(),
                cut,
            ),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        list(1, 99),
        (
            [".git directory", "a file", "b directory", "binary file", "root symlink"]
                .map(str::to_owned)
                .to_vec(),
            false
        )
    );
    assert_eq!(list(9, 99).0.len(), 8);
    assert_eq!(list(9, 2), ([".git directory", "a file"].map(str::to_owned).to_vec(), true));
    let search = |path: &str, pattern: &str, max| {
        perform_in(
            &place.root,
            &Operation::Search { path: path.to_owned(), pattern: pattern.to_owned(), max },
            &[],
        )
    };
    let found =
        |line, text: &str| Match { path: "b/inner/deep".to_owned(), line, text: text.to_owned() };
    let all = vec![found(1, "needle 1"), found(3, "needle 2")];
    assert_eq!(
        search(".", "ne+dle", 9),
        Ok(Answer::Matches { matches: all.clone(), cut: false, files: 3, skipped: 1 })
    );
    assert_eq!(
        search("b/inner/deep", "2$", 9),
        Ok(Answer::Matches { matches: all[1..].to_vec(), cut: false, files: 1, skipped: 0 })
    );
    assert!(
        matches!(search(".", "needle", 1), Ok(Answer::Matches { matches, cut: true, .. }) if matches.len() == 1)
    );
    assert!(matches!(search(".", "(", 1), Err(FileError::Pattern { .. })));
    assert!(matches!(search("root/etc", "x", 1), Err(FileError::OutsideWorkspace { .. })));
}
