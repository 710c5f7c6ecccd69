//! What honest work needs: streams, environment, directories.

use std::collections::BTreeMap;

use bailiwick_guest::{Access, Answer, Ended, FileError, Operation, Reply, WriteMode};

use super::harness::{Scene, starters, write};

#[test]
fn a_command_gets_its_input_environment_and_directory_and_nothing_else() {
    for starter in starters() {
        let scene = Scene::new(starter);
        std::fs::create_dir(scene.path("workspace/inner")).unwrap();
        let operation = Operation::Exec {
            argv: ["/bin/sh", "-c", "pwd; env | grep -v '^_=\\|^PWD=\\|^SHLVL='; cat; kill -9 $$"]
                .map(str::to_owned)
                .to_vec(),
            env: BTreeMap::from([
                ("ONLY".to_owned(), "this=that".to_owned()),
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ]),
            cwd: "inner".to_owned(),
        };
        let (reply, parts) = scene.ask(operation.clone(), &[b"the input"]);
        let mut out: Vec<&str> = std::str::from_utf8(&parts[0]).unwrap().lines().collect();
        out[1..3].sort_unstable();
        assert_eq!(out, ["/workspace/inner", "ONLY=this=that", "PATH=/usr/bin:/bin", "the input"]);
        assert!(
            matches!(reply, Reply::Ran { ended: Ended::Signal { signal: 9 }, .. }),
            "{reply:?}"
        );
        // Without input there is none, rather than the launcher's own.
        let (_, parts) = scene.ask(operation, &[]);
        assert_eq!(std::str::from_utf8(&parts[0]).unwrap().lines().count(), 3);
    }
}

/// What builds and tests commonly do, and a cage that is too tight would break.
#[test]
fn ordinary_work_works() {
    for starter in starters() {
        let scene = Scene::new(starter);
        for (script, expected) in [
            ("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin", "out\n"),
            ("echo piped | cat /dev/stdin", "piped\n"),
            ("cat <(echo substituted)", "substituted\n"),
            (
                "mkdir -p a/b && echo x > a/b/f && mv a/b/f a/g && ln a/g h && ln -s h i && cat i",
                "x\n",
            ),
            ("mkfifo p && (echo through > p & cat p)", "through\n"),
            ("touch t && chmod 700 t && touch -d 2001-01-01 t && rm t && echo done", "done\n"),
            (
                "printf '#!/bin/sh\\necho ran' > s && chmod +x s && ./s && cp s /tmp/s && /tmp/s",
                "ran\nran\n",
            ),
            ("id -un; hostname; test -w ~ && echo home", "agent\nbailiwick\nhome\n"),
            ("nproc > /dev/null && head -c 4 /dev/urandom | wc -c", "4\n"),
            ("ulimit -c; kill -SEGV $BASHPID", "0\n"),
            ("sleep 60 & kill $! && wait; echo $?", "0\n"),
        ] {
            let ran = scene.run(&["/bin/bash", "-c", script]);
            assert_eq!(ran.out, expected, "{script}: {ran:?}");
        }
    }
}

#[test]
fn file_operations_stay_in_the_workspace() {
    for starter in starters() {
        let scene = Scene::new(starter);
        write(scene.path("beside/secret"), "secret");
        write(scene.path("workspace/plain"), "one\ntwo\n");
        for (link, target) in [
            ("absolute", scene.path("beside/secret").to_str().unwrap().to_owned()),
            ("relative", "../beside/secret".to_owned()),
            ("system", "/etc/passwd".to_owned()),
            ("process", "/proc/self/environ".to_owned()),
            ("directory", "../beside".to_owned()),
            ("inside", "plain".to_owned()),
        ] {
            std::os::unix::fs::symlink(target, scene.path("workspace").join(link)).unwrap();
        }
        for path in [
            "absolute",
            "relative",
            "system",
            "process",
            "../beside/secret",
            "/etc/passwd",
            "directory/secret",
            "x/../../beside/secret",
        ] {
            let read = Operation::Read {
                path: path.to_owned(),
                first_line: 1,
                max_lines: 9,
                max_bytes: 999,
            };
            let file_write = Operation::Write {
                path: path.to_owned(),
                mode: WriteMode::Replace,
                expected_sha256: None,
            };
            for (operation, parts) in [(read, &[][..]), (file_write, &[&b"planted"[..]])] {
                let (reply, _) = scene.ask(operation, parts);
                let Reply::File { result: Err(error), .. } = reply else {
                    panic!("{path}: {reply:?}")
                };
                assert!(matches!(error, FileError::OutsideWorkspace { .. }), "{path}: {error:?}");
            }
        }
        assert_eq!(std::fs::read_to_string(scene.path("beside/secret")).unwrap(), "secret");
        assert_eq!(std::fs::read_dir(scene.path("beside")).unwrap().count(), 1);

        // Control: the same operations work on what is inside, through a link as well.
        let edit = Operation::Write {
            path: "inside".to_owned(),
            mode: WriteMode::Edit,
            expected_sha256: None,
        };
        let (reply, _) = scene.ask(edit, &[b"two", b"three"]);
        assert!(
            matches!(reply, Reply::File { result: Ok(Answer::Written { bytes: 10, .. }), .. }),
            "{reply:?}"
        );
        assert_eq!(std::fs::read_to_string(scene.path("workspace/plain")).unwrap(), "one\nthree\n");
        assert!(scene.path("workspace/inside").is_symlink());
    }
}

#[test]
fn a_read_only_workspace_is_not_written_by_operations_either() {
    for starter in starters() {
        let mut scene = Scene::new(starter);
        for access in [Access::ReadWrite, Access::ReadOnly] {
            scene.cage.workspace_access = access;
            let file_write = Operation::Write {
                path: format!("{access:?}"),
                mode: WriteMode::Create,
                expected_sha256: None,
            };
            let (reply, _) = scene.ask(file_write, &[b"text"]);
            let Reply::File { result, .. } = reply else { panic!("{reply:?}") };
            match access {
                Access::ReadWrite => assert!(result.is_ok(), "{result:?}"),
                Access::ReadOnly => {
                    assert!(matches!(result, Err(FileError::Denied { .. })), "{result:?}");
                }
            }
        }
    }
}
