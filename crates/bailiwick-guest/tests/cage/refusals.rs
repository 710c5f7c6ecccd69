//! System calls that are refused, and cages that are refused.

use std::path::PathBuf;

use bailiwick_guest::{
    Access, CageSpec, Ended, Guard, MARKER, Mount, Network, Reply, read_message, write_message,
};

use super::harness::{Scene, starters};

/// (attack, its line in the cage, its line without the filter)
fn calls() -> Vec<(Vec<String>, &'static str, &'static str)> {
    let number = |number: libc::c_long| number.to_string();
    let mut calls: Vec<(Vec<String>, &str, &str)> = Vec::new();
    let mut add = |words: &[&str], inside, without| {
        calls.push((words.iter().map(|word| (*word).to_owned()).collect(), inside, without));
    };
    add(&["ptrace"], "EPERM", "attached");
    add(&["clone3"], "ENOSYS", "cloned");
    add(&["clone", "0"], "cloned", "cloned");
    // The limit on nested user namespaces answers when the filter does not.
    add(&["clone", "10000000"], "EPERM", "ENOSPC");
    add(&["unshare", "10000000"], "EPERM", "ENOSPC");
    add(&["terminal"], "EPERM", "ENOTTY");
    add(&["terminal high"], "EPERM", "ENOTTY");
    // netlink: the kernel's events, and (allowed) the list of interfaces
    add(&["socket", "16", "3", "15"], "EAFNOSUPPORT", "made");
    add(&["socket", "16", "3", "0"], "made", "made");
    add(&["socket", "1", "1", "0"], "made", "made");
    add(&["socket", "2", "1", "0"], "made", "made");
    add(&["socket", "10", "2", "0"], "made", "made");
    add(&["call", &number(libc::SYS_io_uring_setup), "1"], "ENOSYS", "errno 14");
    add(&["call", &number(libc::SYS_kcmp), "0"], "EPERM", "ESRCH");
    add(&["call", &number(libc::SYS_memfd_secret), "77"], "EPERM", "ENOSYS|errno 22");
    add(&["call", &number(libc::SYS_userfaultfd), "1"], "EPERM", "done|errno 22");
    add(&["call", &number(libc::SYS_keyctl), "0", "-3", "1"], "EPERM", "done|errno 126");
    add(&["call", &number(libc::SYS_name_to_handle_at), "99"], "EPERM", "errno 14");
    add(&["call", &number(libc::SYS_process_vm_readv), "1"], "EPERM", "done");
    add(&["call", &number(libc::SYS_personality), "262144"], "EPERM", "done");
    add(&["call", &number(libc::SYS_personality), "4294967295"], "done", "done");
    add(&["call", &number(libc::SYS_personality), "0"], "done", "done");
    add(&["call", "467"], "ENOSYS", "errno 9|errno 14|errno 22|EPERM|ENOSYS"); // open_tree_attr
    calls
}

#[test]
fn calls_are_refused_by_the_filter() {
    for starter in starters() {
        for (attack, inside, without) in calls() {
            let words: Vec<&str> = attack.iter().map(String::as_str).collect();
            assert_eq!(Scene::new(starter).attack(&words), inside, "{words:?} by {starter:?}");
            let line = Scene::new(starter).off(&[Guard::Seccomp]).attack(&words);
            assert!(
                without.split('|').any(|one| one == line),
                "{words:?} by {starter:?} without the filter: {line}"
            );
        }
    }
}

#[test]
fn mounts_and_user_namespaces_need_more_than_one_guard_off() {
    use Guard::{Landlock, NoCapabilities, NoNestedNamespaces, Seccomp};
    for starter in starters() {
        for (off, attack, expected) in [
            (&[][..], &["mount"][..], "EPERM"),
            (&[Seccomp], &["mount"], "EPERM"),
            (&[Seccomp, Landlock], &["mount"], "EPERM"),
            (&[Seccomp, Landlock, NoCapabilities], &["mount"], "mounted"),
            (&[Seccomp], &["unshare", "10000000"], "ENOSPC"),
            (&[NoNestedNamespaces], &["unshare", "10000000"], "EPERM"),
            (&[Seccomp, NoNestedNamespaces], &["unshare", "10000000"], "unshared"),
        ] {
            assert_eq!(
                Scene::new(starter).off(off).attack(attack),
                expected,
                "{attack:?} by {starter:?} without {off:?}"
            );
        }
    }
}

#[test]
fn other_interfaces_of_the_kernel_kill() {
    let killed = format!("{:?}", Ended::Signal { signal: libc::SIGSYS });
    let x32_getpid = (0x4000_0000 + libc::SYS_getpid).to_string();
    for starter in starters() {
        for attack in [&["int80"][..], &["call", &x32_getpid]] {
            assert_eq!(Scene::new(starter).attack(attack), killed, "{attack:?}");
            let line = Scene::new(starter).off(&[Guard::Seccomp]).attack(attack);
            assert!(["called", "done", "ENOSYS"].contains(&line.as_str()), "{attack:?}: {line}");
        }
    }
}

/// What does not make sense, or would undo the cage, is refused before anything is run.
#[test]
fn bad_cages_are_refused() {
    type Change = fn(&mut Scene);
    let mount = |source: &str, target: &str| Mount {
        source: source.into(),
        target: target.into(),
        access: Access::ReadOnly,
    };
    let cases: Vec<(&str, Change)> = vec![
        ("opening", |scene| scene.cage.workspace = PathBuf::from("/nonexistent/workspace")),
        ("absolute", |scene| scene.cage.workspace = PathBuf::from("workspace")),
        ("root", |scene| scene.cage.uid = 0),
        ("root", |scene| scene.cage.gid = 0),
        ("name", |scene| scene.cage.name = "../../x".to_owned()),
        ("name", |scene| scene.cage.name = String::new()),
        // A door is a port of a network that is the cage's alone, and goes out over a socket.
        ("network of its own", |scene| {
            scene.cage.door = Some(4100);
            scene.cage.network = Network::Host;
        }),
        ("network of its own", |scene| {
            scene.cage.door = Some(4100);
            scene.cage.off.push(Guard::NetworkNamespace);
        }),
        ("no port", |scene| scene.cage.door = Some(0)),
        ("opening the door", |scene| scene.cage.door = Some(4100)),
    ];
    for starter in starters() {
        let refused = |scene: &Scene, word: &str| match scene.ask(scene.exec(&["/bin/true"]), &[]).0
        {
            Reply::Refused(error) => assert!(error.to_string().contains(word), "{error}"),
            other => panic!("{word}: {other:?}"),
        };
        for (word, change) in &cases {
            let mut scene = Scene::new(starter);
            change(&mut scene);
            refused(&scene, word);
        }
        for (word, mount) in [
            ("place of the cage", mount("/usr", "/proc/sys")),
            ("place of the cage", mount("/usr", "/home/agent")),
            ("another mount", mount("/usr", "/workspace/usr")),
            ("another mount", mount("/usr", "/bait/../bait").clone()),
            ("taken", mount("/usr", "/bin/x")),
        ] {
            let mut scene = Scene::new(starter);
            let word =
                if mount.target.to_str().unwrap().contains("..") { "shortest form" } else { word };
            scene.cage.mounts.push(mount);
            match scene.ask(scene.exec(&["/bin/true"]), &[]).0 {
                Reply::Refused(error) => {
                    assert!(word == "taken" || error.to_string().contains(word), "{error}");
                }
                other => panic!("{word}: {other:?}"),
            }
        }
        let scene = Scene::new(starter);
        let (reply, _) = scene.ask(scene.exec(&["no-such-program"]), &[]);
        assert!(matches!(reply, Reply::NotStarted { errno: libc::ENOENT, .. }), "{reply:?}");
    }
}

/// A launcher that is not given what the containment rests on runs nothing. To have one, a launcher
/// is started in a cage, where there are no further namespaces.
#[test]
fn without_namespaces_nothing_is_run() {
    for starter in starters() {
        let inner = Scene::new(starter);
        let spec = CageSpec { cage: inner.cage.clone(), operation: inner.exec(&["/bin/true"]) };
        let mut message = Vec::new();
        write_message(&mut message, &spec, &[]).unwrap();
        let outer = Scene::new(starter);
        let launcher = outer.exec(&["/attacker", MARKER]);
        let (reply, parts) = outer.ask(launcher, &[&message]);
        assert!(matches!(reply, Reply::Ran { .. }), "{reply:?}");
        let (reply, _): (Reply, _) = read_message(&mut parts[0].as_slice()).unwrap();
        let Reply::Refused(error) = reply else { panic!("{reply:?}") };
        assert_eq!(
            (error.step.as_str(), error.errno),
            ("making the namespaces", Some(libc::EPERM))
        );
    }
}

/// A symbolic link in place of a mount's source is not followed.
#[test]
fn a_link_is_no_source() {
    for starter in starters() {
        let mut scene = Scene::new(starter);
        std::os::unix::fs::symlink("/etc", scene.path("beside/link")).unwrap();
        scene.cage.mounts.push(Mount {
            source: scene.path("beside/link"),
            target: "/link".into(),
            access: Access::ReadOnly,
        });
        let (reply, _) = scene.ask(scene.exec(&["/bin/true"]), &[]);
        assert!(
            matches!(&reply, Reply::Refused(error) if error.errno == Some(libc::ELOOP)),
            "{reply:?}"
        );
    }
}
