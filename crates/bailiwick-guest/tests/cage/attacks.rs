//! Attacks on what surrounds the cage: files, processes, network, users.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use bailiwick_guest::{Access, Guard, Mount, Reply};

use super::harness::{Scene, Starter, is_root, starters, write};

/// Runs an attack with guards off and compares its line.
fn check(starter: Starter, off: &[Guard], attack: &[&str], expected: &str) {
    let scene = Scene::new(starter).off(off);
    assert_eq!(scene.attack(attack), expected, "{attack:?} by {starter:?} without {off:?}");
}

/// The trap: with capabilities in its user namespace, a payload can make a read-only bind mount
/// writable and write to the host. Four layers stop it, each alone.
#[test]
fn a_read_only_mount_cannot_be_made_writable() {
    use Guard::{Landlock, MountLock, NoCapabilities, PayloadUser, Seccomp};
    for starter in starters() {
        for user in [&[][..], &[PayloadUser]] {
            let off = |more: &[Guard]| [user, more].concat();
            for (off, expected) in [
                (off(&[]), "EPERM"),
                (off(&[NoCapabilities, Seccomp, Landlock]), "EPERM"),
                (off(&[MountLock, Seccomp, Landlock]), "EPERM"),
                (off(&[MountLock, NoCapabilities, Landlock]), "EPERM"),
                (off(&[MountLock, NoCapabilities, Seccomp]), "EPERM"),
                (off(&[MountLock, NoCapabilities, Seccomp, Landlock]), "written"),
            ] {
                let scene = Scene::new(starter).off(&off);
                assert_eq!(
                    scene.attack(&["remount", "/bait"]),
                    expected,
                    "by {starter:?} without {off:?}"
                );
                assert_eq!(
                    scene.path("bait/planted").exists(),
                    expected == "written",
                    "by {starter:?} without {off:?}"
                );
            }
        }
    }
}

#[test]
fn a_read_only_mount_cannot_be_written() {
    for starter in starters() {
        check(starter, &[], &["write", "/bait/file"], "EROFS");
        let mut scene = Scene::new(starter);
        scene.cage.mounts[1].access = Access::ReadWrite;
        assert_eq!(scene.attack(&["write", "/bait/file"]), "written");
    }
}

#[test]
fn the_host_outside_the_workspace_can_be_neither_written_nor_read() {
    for starter in starters() {
        for (off, written, read) in
            [(&[][..], "ENOENT", "ENOENT"), (&[Guard::NewRoot], "written", "read open")]
        {
            let scene = Scene::new(starter).off(off);
            write(scene.path("beside/public"), "open");
            let (file, public) = (scene.path("beside/file"), scene.path("beside/public"));
            assert_eq!(scene.attack(&["write", file.to_str().unwrap()]), written, "{starter:?}");
            assert_eq!(scene.attack(&["read", public.to_str().unwrap()]), read, "{starter:?}");
            assert_eq!(file.exists(), written == "written");
        }
    }
}

#[test]
fn the_system_inside_cannot_be_written() {
    for starter in starters() {
        for path in [
            "/usr/planted",
            "/etc/planted",
            "/planted",
            "/dev/planted",
            "/run/planted",
            "/proc/sys/kernel/hostname",
        ] {
            check(starter, &[], &["write", path], "EROFS");
        }
        for path in [
            "/tmp/mine",
            "/home/agent/mine",
            "/dev/shm/mine",
            "/workspace/mine",
            "/var/tmp/mine",
            "/dev/null",
        ] {
            check(starter, &[], &["write", path], "written");
        }
    }
}

#[test]
fn secrets_of_the_machine_are_not_there() {
    for starter in starters() {
        for path in [
            "/etc/shadow",
            "/etc/machine-id",
            "/etc/ssl/private",
            "/etc/sudoers",
            "/sys/kernel",
            "/dev/kmsg",
            "/dev/tty",
            "/dev/sda",
            "/dev/vda",
        ] {
            check(starter, &[], &["read", path], "ENOENT");
        }
        for path in ["/root", "/home/agent", "/sys", "/run", "/opt"] {
            check(starter, &[], &["list", path], "listed");
        }
        check(starter, &[], &["list", "/home"], "listed agent");
        check(
            starter,
            &[],
            &["list", "/dev"],
            "listed fd full null random shm stderr stdin stdout urandom zero",
        );
        for path in
            ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kallsyms", "/proc/interrupts"]
        {
            if std::path::Path::new(path).exists() {
                // The null device lies over it, on a mount without devices.
                check(starter, &[], &["read", path], "EACCES");
            }
        }
    }
    if is_root() {
        let shadow = Scene::new(Starter::Root).off(&[Guard::NewRoot, Guard::PayloadUser]);
        assert!(shadow.attack(&["read", "/etc/shadow"]).starts_with("read root:"));
        let home = Scene::new(Starter::Root).off(&[Guard::NewRoot, Guard::PayloadUser]);
        assert_ne!(home.attack(&["list", "/root"]), "listed");
    }
}

#[test]
fn the_network_of_the_host_cannot_be_reached_and_loopback_works() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for starter in starters() {
        check(starter, &[], &["connect", &port], "ECONNREFUSED");
        check(starter, &[Guard::NetworkNamespace], &["connect", &port], "connected");
        check(starter, &[], &["loopback"], "connected");
    }
}

#[test]
fn abstract_sockets_of_the_host_cannot_be_reached() {
    let name = format!("bailiwick-test-{}", std::process::id());
    let _listener =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    for starter in starters() {
        check(starter, &[], &["abstract", &name], "ECONNREFUSED");
        check(starter, &[Guard::Landlock], &["abstract", &name], "ECONNREFUSED");
        // A set-up phase has the host's network; then Landlock alone stands between.
        check(starter, &[Guard::NetworkNamespace], &["abstract", &name], "EPERM");
        check(
            starter,
            &[Guard::NetworkNamespace, Guard::Landlock],
            &["abstract", &name],
            "connected",
        );
    }
}

#[test]
fn processes_of_the_host_cannot_be_signalled() {
    for starter in starters() {
        let mut command = Command::new("/bin/sleep");
        command.arg("600");
        if is_root() {
            command.uid(starter.payload());
        }
        let mut victim = command.spawn().unwrap();
        let pid = victim.id().to_string();
        check(starter, &[], &["signal", &pid], "ESRCH");
        check(starter, &[Guard::PidNamespace], &["signal", &pid], "EPERM");
        check(starter, &[Guard::PidNamespace, Guard::Landlock], &["signal", &pid], "signalled");
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
}

#[test]
fn processes_of_the_host_and_the_init_cannot_be_seen() {
    let own = std::process::id().to_string();
    let sees = |line: &str, pid: &str| line.split(' ').any(|name| name == pid);
    for starter in starters() {
        let line = Scene::new(starter).attack(&["list", "/proc"]);
        assert!(!sees(&line, "1"), "{line}");
        assert_eq!(line.split(' ').filter(|name| name.parse::<u32>().is_ok()).count(), 1, "{line}");
        check(starter, &[], &["list", "/proc/1/fd"], "ENOENT");
        let line = Scene::new(starter).off(&[Guard::HiddenInit]).attack(&["list", "/proc/1/fd"]);
        assert!(line.starts_with("listed 0 1 2"), "{line}");
    }
    if is_root() {
        use Guard::{MountLock, NoCapabilities, PayloadUser, PidNamespace};
        let scene =
            Scene::new(Starter::Root).off(&[PidNamespace, PayloadUser, NoCapabilities, MountLock]);
        assert!(sees(&scene.attack(&["list", "/proc"]), &own));
        let scene = Scene::new(Starter::Root).off(&[PayloadUser, NoCapabilities, MountLock]);
        let line = scene.attack(&["list", "/proc"]);
        assert_eq!(line.split(' ').filter(|name| name.parse::<u32>().is_ok()).count(), 2, "{line}");
    }
}

#[test]
fn a_set_user_id_program_gives_nothing() {
    use Guard::{Landlock, MountLock, NoNewPrivileges, NoSuid, Seccomp};
    if !is_root() {
        // Only root can make one.
        return;
    }
    for (off, expected) in [
        (&[][..], "user 61000"),
        (&[MountLock, NoNewPrivileges, Seccomp, Landlock], "user 61000"),
        (&[NoSuid, NoNewPrivileges, Seccomp, Landlock], "user 61000"),
        (&[NoSuid, MountLock, Landlock], "user 61000"),
        (&[NoSuid, MountLock, NoNewPrivileges, Seccomp, Landlock], "user 0"),
    ] {
        let mut scene = Scene::new(Starter::Root).off(off);
        let program = scene.path("beside/su");
        // A copy, because the bit belongs to the file and not to its name.
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
        scene.cage.mounts.push(Mount {
            source: program,
            target: "/su".into(),
            access: Access::ReadOnly,
        });
        assert_eq!(scene.attack(&["become", "/su"]), expected, "without {off:?}");
    }
}

#[test]
fn nothing_is_left_of_privileges() {
    for starter in starters() {
        let line = Scene::new(starter).attack(&["rights"]);
        let none = "0000000000000000";
        let rest = format!(
            "CapInh={none} CapPrm={none} CapEff={none} CapBnd={none} CapAmb={none} NoNewPrivs=1 Seccomp=2"
        );
        assert_eq!(line, format!("Groups= {rest}"), "{starter:?}");
        let whole = Scene::new(starter).off(&[
            Guard::NoCapabilities,
            Guard::NoNewPrivileges,
            Guard::Seccomp,
        ]);
        let line = whole.attack(&["rights"]);
        assert!(
            line.contains("NoNewPrivs=0 Seccomp=0") && !line.contains(&format!("CapEff={none}")),
            "{line}"
        );
    }
}

#[test]
fn a_read_only_workspace_cannot_be_written() {
    for starter in starters() {
        let mut scene = Scene::new(starter);
        assert_eq!(scene.attack(&["write", "/workspace/file"]), "written");
        scene.cage.workspace_access = Access::ReadOnly;
        assert_eq!(scene.attack(&["write", "/workspace/file"]), "EROFS");
        assert_eq!(scene.attack(&["read", "/workspace/file"]), "read by the payload");
    }
}

#[test]
fn no_file_of_the_starter_is_left_open() {
    for starter in starters() {
        let mut scene = Scene::new(starter);
        write(scene.path("beside/secret"), "secret");
        scene.leak = Some(fs::File::open(scene.path("beside/secret")).unwrap());
        assert_eq!(scene.attack(&["files"]), "[0, 1, 2]", "{starter:?}");
        scene.cage.off = vec![Guard::ClosedFiles];
        assert_ne!(scene.attack(&["files"]), "[0, 1, 2]", "{starter:?}");
    }
}

/// What cannot be applied is said, and what is said to be applied is.
#[test]
fn the_report_is_complete() {
    for starter in starters() {
        let scene = Scene::new(starter);
        let Reply::Ran { applied, not_applied, .. } = scene.run(&["/bin/true"]).reply else {
            panic!()
        };
        let applied: Vec<&str> = applied.iter().map(|applied| applied.name.as_str()).collect();
        for name in [
            "namespaces",
            "root",
            "inner user namespace",
            "no_new_privs",
            "Landlock",
            "capabilities",
            "seccomp",
            "rlimits",
        ] {
            assert!(applied.contains(&name), "{name} is missing in {applied:?}");
        }
        assert_eq!(applied.contains(&"user"), starter == Starter::Root);
        if scene.cage.cgroups.is_empty() {
            let names: Vec<&str> =
                not_applied.iter().map(|missing| missing.name.as_str()).collect();
            assert_eq!(
                names,
                ["memory of the whole cage", "pids cgroup", "processor time of the whole cage"]
            );
        } else {
            assert_eq!(not_applied, []);
        }
    }
}
