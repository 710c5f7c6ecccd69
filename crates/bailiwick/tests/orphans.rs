//! Nothing of a run stays behind, also when the platform is killed in the middle of it: the real
//! program, on each tier that this machine has, and the program's next start.

#[cfg(test)]
mod orphans {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    /// How long is waited for something that has to happen. Nothing is asserted of how long it took.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn eventually(what: &str, mut so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !so() {
            assert!(begun.elapsed() < PATIENCE, "never came to be: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A directory for temporary files of its own, so that the leases in it are this test's.
    struct Ground(tempfile::TempDir);

    impl Ground {
        fn new() -> Self {
            let directory = tempfile::Builder::new().prefix("orphans-").tempdir().unwrap();
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(directory.path(), open).unwrap();
            Self(directory)
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn command(&self, tier: &str, script: &str) -> Command {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
            command
                .args(["sandbox", "run", "--tier", tier, "--", "/bin/sh", "-c", script])
                .env("TMPDIR", self.path())
                .env("USER", "ada")
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            command
        }

        /// Starts the program on commands that never end, one of them in a session of its own.
        fn start(&self, tier: &str, word: &str) -> Child {
            let script = format!("setsid sleep {word} & : > ready; exec sleep {word}");
            let child = self.command(tier, &script).spawn().unwrap();
            // In gVisor the host does not see the commands themselves.
            let running = || {
                let mut places = names(self.path()).into_iter().map(|name| self.path().join(name));
                places.any(|place| place.join("workspace/ready").exists())
                    && (tier == "gvisor" || sleepers(word) >= 2)
            };
            eventually("the commands run", running);
            child
        }

        /// Runs the program once more, which cleans up first. Gives what it says of that.
        fn once_more(&self) -> String {
            let output = self.command("process", "exit 0").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8_lossy(&output.stderr).into_owned()
        }

        /// Everything on this machine that is of a run on this ground.
        fn traces(&self) -> Traces {
            let tokens = self.tokens();
            let ours = |name: &str| tokens.iter().any(|token| name.contains(token.as_str()));
            let here = self.path().to_str().unwrap();
            Traces {
                processes: command_lines().filter(|(_, line)| ours(line)).map(|p| p.0).collect(),
                mounts: fs::read_to_string("/proc/self/mountinfo")
                    .unwrap()
                    .lines()
                    .filter(|line| line.contains(here) || ours(line))
                    .map(str::to_owned)
                    .collect(),
                cgroups: cgroups().into_iter().filter(|name| ours(name)).collect(),
                files: names(self.path()).into_iter().filter(|name| !is_home(name)).collect(),
                leases: tokens,
            }
        }

        /// The tokens of the leases that lie here.
        fn tokens(&self) -> BTreeSet<String> {
            let homes = names(self.path()).into_iter().filter(|name| is_home(name));
            let files = homes.flat_map(|home| names(&self.path().join(home)));
            files.filter_map(|name| Some(name.strip_suffix(".lease")?.to_owned())).collect()
        }
    }

    fn is_home(name: &str) -> bool {
        name.starts_with("bailiwick-leases-")
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Traces {
        processes: BTreeSet<i32>,
        mounts: BTreeSet<String>,
        cgroups: BTreeSet<String>,
        files: BTreeSet<String>,
        leases: BTreeSet<String>,
    }

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Every process with its command line, words divided by spaces.
    fn command_lines() -> impl Iterator<Item = (i32, String)> {
        names(Path::new("/proc")).into_iter().filter_map(|name| {
            let pid: i32 = name.parse().ok()?;
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some((pid, String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()))
        })
    }

    /// How many processes sleep for this number, wherever they are.
    fn sleepers(word: &str) -> usize {
        let line = format!("sleep {word}");
        command_lines().filter(|(_, seen)| *seen == line).count()
    }

    /// The cgroups of every hierarchy, some levels deep.
    fn cgroups() -> BTreeSet<String> {
        fn below(directory: PathBuf, depth: u32, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    found.insert(entry.path().to_string_lossy().into_owned());
                    if depth > 0 {
                        below(entry.path(), depth - 1, found);
                    }
                }
            }
        }
        let mut found = BTreeSet::new();
        below(PathBuf::from("/sys/fs/cgroup"), 6, &mut found);
        found
    }

    fn kill(pid: i32, signal: Signal) {
        // It may have ended by itself meanwhile.
        let _gone_already = kill_process(Pid::from_raw(pid).unwrap(), signal);
    }

    /// A process and those that it started itself: launchers, and runtimes of containers.
    fn family(root: i32) -> Vec<i32> {
        let mut found = vec![root];
        for task in names(&PathBuf::from(format!("/proc/{root}/task"))) {
            let children = fs::read_to_string(format!("/proc/{root}/task/{task}/children"));
            let children = children.unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|id| id.parse::<i32>().ok()));
        }
        found
    }

    fn word(number: u32) -> String {
        format!("{}", 300_000_000 + u64::from(std::process::id()) * 100 + u64::from(number))
    }

    /// The tiers that work here. A missing one is named, and counted by the test command.
    fn tiers() -> Vec<&'static str> {
        let ground = Ground::new();
        let works = |tier: &&str| {
            let output = ground.command(tier, "exit 0").output().unwrap();
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr).into_owned();
                let line = format!("orphans on tier `{tier}`: {}", why.trim());
                println!("skipped: {line}");
                if let Some(log) = std::env::var_os("BAILIWICK_SKIP_LOG") {
                    let mut log =
                        fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
                    std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes()).unwrap();
                }
            }
            output.status.success()
        };
        let tiers: Vec<&str> =
            ["process", "container", "gvisor"].into_iter().filter(works).collect();
        assert!(tiers.contains(&"process"), "the process tier works wherever the tests are run");
        tiers
    }

    #[test]
    fn a_run_that_ends_leaves_nothing() {
        for tier in tiers() {
            let ground = Ground::new();
            assert!(
                ground
                    .command(tier, "setsid sleep 100000 & true")
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
            assert_eq!(ground.traces(), Traces::default(), "{tier}");
        }
    }

    #[test]
    fn a_killed_platform_leaves_no_process_and_the_next_start_removes_the_rest() {
        for (number, tier) in tiers().into_iter().enumerate() {
            let ground = Ground::new();
            let word = word(u32::try_from(number).unwrap());
            let mut child = ground.start(tier, &word);
            child.kill().unwrap();
            child.wait().unwrap();
            // No janitor has been at work yet.
            eventually("its commands are dead", || sleepers(&word) == 0);
            eventually("its launchers are gone", || ground.traces().processes.is_empty());
            let left = ground.traces();
            // A container's own cgroup goes with it; the empty one around it, whose counters the
            // platform reads afterwards, is the next start's to remove.
            let around = |path: &String| tier != "process" && !path.ends_with("/container");
            assert!(left.cgroups.iter().all(around), "{tier}: {left:?}");
            assert_eq!(left.mounts, BTreeSet::new(), "{tier}");
            // What only the killed process could have removed is there: the test sees what it looks
            // for.
            assert!(!left.files.is_empty() && left.leases.len() == 1, "{tier}: {left:?}");
            let said = ground.once_more();
            assert!(said.contains("an earlier run was cut off"), "{tier}: {said}");
            assert_eq!(ground.traces(), Traces::default(), "{tier}");
            assert_eq!(ground.once_more(), "", "there is nothing more to be told");
        }
    }

    #[test]
    fn when_all_that_could_clean_up_is_killed_with_it_the_next_start_still_does() {
        for (number, tier) in tiers().into_iter().enumerate() {
            let ground = Ground::new();
            let word = word(50 + u32::try_from(number).unwrap());
            let mut child = ground.start(tier, &word);
            let platform = i32::try_from(child.id()).unwrap();
            // Halted first, so that none of them sees another die.
            let all = family(platform);
            assert!(all.len() > 1, "{tier}: something was started");
            all.iter().for_each(|pid| kill(*pid, Signal::STOP));
            all.iter().for_each(|pid| kill(*pid, Signal::KILL));
            child.wait().unwrap();
            let left = ground.traces();
            assert!(!left.files.is_empty() && left.leases.len() == 1, "{tier}: {left:?}");
            let said = ground.once_more();
            assert!(said.contains("an earlier run was cut off"), "{tier}: {said}");
            eventually("its commands are dead", || sleepers(&word) == 0);
            assert_eq!(ground.traces(), Traces::default(), "{tier}: {said}");
        }
    }

    #[test]
    fn a_run_that_lives_is_not_touched() {
        let (ground, other) = (Ground::new(), Ground::new());
        let (here, there) = (word(90), word(91));
        let mut mine = ground.start("process", &here);
        let mut theirs = other.start("process", &there);
        // A lease with the id of a process that lives, which nobody holds, is no living run's.
        let home = names(ground.path()).into_iter().find(|name| is_home(name)).unwrap();
        let stale = ground.path().join(home).join("00000000000000aa.lease");
        let orphan = ground.path().join("bailiwick-00000000000000aa-0");
        fs::create_dir(&orphan).unwrap();
        fs::set_permissions(&orphan, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let text = format!(
            r#"{{"token":"00000000000000aa","pid":{},"temporary":"{}","cgroups":[],"runtimes":[]}}"#,
            std::process::id(),
            ground.path().display(),
        );
        fs::write(&stale, text).unwrap();
        let before = (ground.traces().cgroups, other.traces());
        let said = ground.once_more();
        assert!(said.contains("1 directories of 1 earlier runs"), "{said}");
        assert!(!stale.exists() && !orphan.exists());
        assert_eq!((ground.traces().cgroups, other.traces()), before);
        assert_eq!((sleepers(&here), sleepers(&there)), (2, 2));
        assert!(mine.try_wait().unwrap().is_none() && theirs.try_wait().unwrap().is_none());
        mine.kill().unwrap();
        theirs.kill().unwrap();
        mine.wait().unwrap();
        theirs.wait().unwrap();
        eventually("both are over", || sleepers(&here) + sleepers(&there) == 0);
        ground.once_more();
        other.once_more();
    }

    #[test]
    fn a_server_has_its_lease_in_its_data_directory_and_cleans_up_there_only() {
        let ground = Ground::new();
        let data = ground.path().join("data");
        let serve = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
            command.env("TMPDIR", ground.path()).env("USER", "ada").current_dir(ground.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        };
        let leases = || -> BTreeSet<String> {
            let names = names(&data.join("leases")).into_iter();
            names.filter(|name| name.ends_with(".lease")).collect()
        };
        let plant = |token: &str, home: &Path| {
            let orphan = ground.path().join(format!("bailiwick-{token}-0"));
            fs::create_dir(&orphan).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&orphan, mode).unwrap();
            let text = format!(
                r#"{{"token":"{token}","pid":1,"temporary":"{}","cgroups":[],"runtimes":[]}}"#,
                ground.path().display(),
            );
            fs::write(home.join(format!("{token}.lease")), text).unwrap();
            orphan
        };
        let mut first = serve();
        eventually("it has a lease", || !leases().is_empty());
        eventually("it listens", || data.join("server.json").exists());
        let of_the_first = leases();
        first.kill().unwrap();
        first.wait().unwrap();
        assert_eq!(leases(), of_the_first);
        let elsewhere = ground.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let mine = plant("00000000000000aa", &data.join("leases"));
        let of_others = plant("00000000000000bb", &elsewhere);
        fs::remove_file(data.join("server.json")).unwrap();
        let mut second = serve();
        eventually("it listens again", || data.join("server.json").exists());
        assert!(!mine.exists() && of_others.exists());
        assert_eq!(leases().len(), 1);
        assert!(leases().is_disjoint(&of_the_first));
        second.kill().unwrap();
        second.wait().unwrap();
    }

    #[test]
    fn what_a_lease_says_is_believed_of_its_own_token_only() {
        let ground = Ground::new();
        ground.once_more();
        let home = names(ground.path()).into_iter().find(|name| is_home(name)).unwrap();
        let bystander = ground.path().join("bailiwick-");
        fs::create_dir(&bystander).unwrap();
        for (name, token) in [("00000000000000bb", ""), ("00000000000000cc", "00000000000000dd")] {
            let text = format!(
                r#"{{"token":"{token}","pid":1,"temporary":"{}","cgroups":[],"runtimes":[]}}"#,
                ground.path().display(),
            );
            fs::write(ground.path().join(&home).join(format!("{name}.lease")), text).unwrap();
        }
        let said = ground.once_more();
        assert!(said.contains("its token is not that of its name"), "{said}");
        assert!(bystander.exists());
        assert_eq!(ground.tokens().len(), 2, "they stay, for a person to look at");
    }
}
