//! Limits, and the end of everything in a cage.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use bailiwick_guest::{Ended, Guard, Limit, Reply, cgroup};

use super::harness::{Scene, Starter, eventually, is_root, processes_with, starters};

/// A number that nobody else sleeps for, to find processes by.
fn word(number: u32) -> String {
    format!("{}", 100_000_000 + u64::from(std::process::id()) * 100 + u64::from(number))
}

fn kill(pids: &[i32]) {
    for pid in pids {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(*pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
}

#[test]
fn wall_clock_ends_everything() {
    for (number, starter) in starters().into_iter().enumerate() {
        let mut scene = Scene::new(starter);
        scene.cage.limits.wall_clock_ms = 400;
        let word = word(u32::try_from(number).unwrap());
        let script = format!("setsid sleep {word} & setsid sleep {word} & sleep {word}");
        let ran = scene.run(&["/bin/sh", "-c", &script]);
        assert_eq!(ran.ended, Ended::Limit { limit: Limit::WallClock });
        assert_eq!(processes_with(&word), [0; 0]);
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    for (number, starter) in starters().into_iter().enumerate() {
        let word = word(10 + u32::try_from(number).unwrap());
        let script = format!("(setsid sleep {word} >/dev/null 2>&1 &); exec true");
        let scene = Scene::new(starter);
        assert_eq!(scene.run(&["/bin/sh", "-c", &script]).ended, Ended::Exit { code: 0 });
        assert_eq!(processes_with(&word), [0; 0]);
        // The cgroup alone would do it as well; without both it stays.
        if starter == Starter::Root {
            Scene::new(starter).off(&[Guard::PidNamespace]).run(&["/bin/sh", "-c", &script]);
            assert_eq!(processes_with(&word), [0; 0]);
        }
        Scene::new(starter)
            .off(&[Guard::PidNamespace, Guard::Cgroup])
            .run(&["/bin/sh", "-c", &script]);
        assert!(eventually(|| processes_with(&word).len() == 1));
        kill(&processes_with(&word));
    }
}

/// The host process of the next test: starts a cage and waits to be killed.
pub(crate) fn hold(word: &str) -> io::Result<String> {
    let starter = if word.ends_with('1') { Starter::User } else { starters()[0] };
    let scene = Scene::new(starter);
    let mut child = scene
        .start(scene.exec(&["/bin/sh", "-c", &format!("setsid sleep {word} & sleep {word}")]), &[]);
    println!("{} {} {}", child.id(), scene.cage.name, scene.directory.path().display());
    let _kept_open = child.stdin.take();
    child.wait()?;
    Ok("ended".to_owned())
}

#[test]
fn killing_the_platform_or_the_launcher_ends_everything() {
    for number in [20, 21, 30, 31] {
        let word = word(number);
        let program = std::env::current_exe().unwrap();
        let mut holder = Command::new(program)
            .args([super::attack::MARKER, "hold", &word])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(holder.stdout.as_mut().unwrap()), &mut line)
            .unwrap();
        let mut words = line.split_whitespace();
        let (launcher, cage) = (words.next().unwrap(), words.next().unwrap());
        let launcher: i32 = launcher.parse().unwrap();
        // Both sleepers, and the launcher, which is not known by the word but by its id.
        assert!(eventually(|| processes_with(&word).len() >= 3), "{:?}", processes_with(&word));
        if number < 30 {
            holder.kill().unwrap();
        } else {
            kill(&[launcher]);
        }
        holder.wait().unwrap();
        assert!(
            eventually(|| processes_with(&word).is_empty()),
            "{number}: {:?}",
            processes_with(&word)
        );
        assert!(eventually(|| !fs::exists(format!("/proc/{launcher}")).unwrap()), "{number}");
        let homes = cgroup::detect().homes;
        let left = || homes.iter().any(|home| home.directory.join(cage).exists());
        if number >= 30 {
            // A launcher that was killed cannot remove its cgroup; whoever started it does.
            cgroup::remove(&homes, cage);
        }
        assert!(eventually(|| !left()), "{number}");
        // A holder that was not killed has removed its own.
        drop(fs::remove_dir_all(words.next().unwrap()));
    }
}

#[test]
fn no_cgroup_stays_behind() {
    let scene = Scene::new(starters()[0]);
    assert_eq!(scene.run(&["/bin/true"]).ended, Ended::Exit { code: 0 });
    for home in &scene.cage.cgroups {
        assert!(!home.directory.join(&scene.cage.name).exists());
        // What has the name that is swept is swept, also with something in it; nothing else is.
        let (stale, own) = (
            home.directory.join(format!("bailiwick-stale{}-0", std::process::id())),
            home.directory.join(format!("bailiwick-other{}-0", std::process::id())),
        );
        fs::create_dir(&stale).unwrap();
        fs::create_dir(&own).unwrap();
        let mut sleeper = std::process::Command::new("sleep").arg("100000").spawn().unwrap();
        fs::write(stale.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
        let prefix = format!("bailiwick-stale{}-", std::process::id());
        let swept = cgroup::sweep(std::slice::from_ref(&home.directory), &prefix);
        assert_eq!(swept, cgroup::Swept { removed: 1, left: 0 });
        assert!(!stale.exists());
        assert_eq!(sleeper.wait().unwrap().code(), None, "it was killed");
        fs::remove_dir(&own).unwrap();
    }
}

#[test]
fn processes_are_limited_by_cgroup_and_by_user() {
    for starter in starters() {
        for (off, expected) in [
            (&[][..], "some, then EAGAIN"),
            (&[Guard::Cgroup], "some, then EAGAIN"),
            (&[Guard::ProcessLimits], "some, then EAGAIN"),
            (&[Guard::Cgroup, Guard::ProcessLimits], "all forked"),
        ] {
            let mut scene = Scene::new(starter).off(off);
            if scene.cage.cgroups.is_empty()
                && off.contains(&Guard::ProcessLimits)
                && !off.contains(&Guard::Cgroup)
            {
                continue;
            }
            scene.cage.limits.pids = 20;
            assert_eq!(scene.attack(&["fork", "60"]), expected, "{starter:?} without {off:?}");
        }
    }
    let mut scene = Scene::new(starters()[0]);
    scene.cage.limits.pids = 20;
    if !scene.cage.cgroups.is_empty() {
        // The cgroup says so; the limit by user is put out of the way to let it speak.
        scene.cage.off = vec![Guard::ProcessLimits];
        let ran = scene.run(&["/attacker", super::attack::MARKER, "fork", "60"]);
        let Reply::Ran { reached, .. } = ran.reply else { panic!() };
        assert_eq!((ran.ended, reached), (Ended::Exit { code: 0 }, vec![Limit::Pids]));
    }
}

#[test]
fn memory_is_limited() {
    for starter in starters() {
        let mut scene = Scene::new(starter);
        scene.cage.limits.memory_bytes = 64 << 20;
        let with_cgroup = !scene.cage.cgroups.is_empty();
        let ran = scene.run(&["/attacker", super::attack::MARKER, "allocate", "200"]);
        if with_cgroup {
            assert_eq!(ran.ended, Ended::Limit { limit: Limit::Memory });
            scene.cage.off = vec![Guard::Cgroup];
        } else {
            assert_eq!(ran.out.trim(), "ENOMEM");
            scene.cage.off = vec![Guard::ProcessLimits];
        }
        assert_eq!(scene.attack(&["allocate", "200"]), "allocated", "{starter:?}");
    }
    if is_root() {
        // Files in memory count as well.
        let mut scene = Scene::new(Starter::Root);
        scene.cage.limits.memory_bytes = 32 << 20;
        let ran = scene.run(&["/bin/sh", "-c", "head -c 60M /dev/zero > /tmp/file"]);
        assert_eq!(ran.ended, Ended::Limit { limit: Limit::Memory }, "{ran:?}");
    }
}

#[test]
fn processor_time_and_file_sizes_are_limited() {
    for starter in starters() {
        let mut scene = Scene::new(starter);
        scene.cage.limits.cpu_time_ms = 300;
        // Every process of the cage counts where there is a cgroup.
        let ran = scene.run(&["/attacker", super::attack::MARKER, "spin"]);
        assert_eq!(ran.ended, Ended::Limit { limit: Limit::CpuTime }, "{starter:?}");

        let mut scene = Scene::new(starter);
        scene.cage.limits.file_size_bytes = 3 << 20;
        let ran = scene.run(&["/attacker", super::attack::MARKER, "grow", "/workspace/file"]);
        assert_eq!(ran.ended, Ended::Limit { limit: Limit::FileSize }, "{starter:?}");
        assert_eq!(fs::metadata(scene.path("workspace/file")).unwrap().len(), 3 << 20);

        let mut scene = Scene::new(starter);
        scene.cage.limits.tmpfs_bytes = 1 << 20;
        let line = scene.attack(&["grow", "/tmp/file"]);
        assert_eq!(line, "ENOSPC", "{starter:?}");
    }
}

#[test]
fn a_flood_of_output_is_counted_and_cut() {
    for starter in starters() {
        let scene = Scene::new(starter);
        let script = "echo first; head -c 20000000 /dev/zero; echo last; echo problem >&2; exit 3";
        let ran = scene.run(&["/bin/sh", "-c", script]);
        let Reply::Ran { stdout, .. } = &ran.reply else { panic!() };
        assert_eq!(ran.ended, Ended::Exit { code: 3 });
        assert_eq!(stdout.total_bytes, 20_000_011);
        assert_eq!(ran.out.len(), 2 * (48 << 10));
        assert!(ran.out.starts_with("first\n") && ran.out.ends_with("last\n"));
        assert_eq!(ran.err, "problem\n");
    }
}
