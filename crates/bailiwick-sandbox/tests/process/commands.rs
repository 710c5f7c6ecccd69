//! Running commands.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, symlink};

use bailiwick_model::action::{Command, Purpose};
use bailiwick_model::outcome::{EffectError as _, Ended, Outcome, Recorded as _};
use bailiwick_sandbox::{
    Access, CageConfig, NetworkRule, PAYLOAD_ID, ProcessConfig, ProcessTier, SandboxError,
    SetupError, TierDriver as _,
};

use super::office::{Office, command, place, tier};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn a_command_runs_and_its_outcome_is_recorded_whole() {
    let office = Office::open(|_| ()).await;
    let outcome = office.shell("echo out; echo err >&2; echo $HOME $USER; pwd; exit 7").await;
    assert_eq!(outcome.ended, Ended::Exit { code: 7 });
    assert_eq!(outcome.stdout_text(), "out\n/home/agent agent\n/workspace\n");
    assert_eq!(outcome.stderr_text(), "err\n");
    let Outcome::Command { ended, output, dropped_bytes, .. } = outcome.outcome() else { panic!() };
    assert_eq!((ended, dropped_bytes), (outcome.ended.clone(), 0));
    assert_eq!(output.text().unwrap(), "out\n/home/agent agent\n/workspace\nerr\n");
    let missing = office
        .run(Command { argv: vec!["no-such-tool".to_owned()], ..command("") })
        .await
        .unwrap_err();
    assert_eq!(missing.code(), "sandbox.not_started");
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended() {
    let office = Office::open(|_| ()).await;
    let outcome = office
        .run(Command { timeout_ms: 300, ..command("sleep 1000 & sleep 1000") })
        .await
        .unwrap();
    assert_eq!(outcome.ended, Ended::Limit { limit: "wall_clock".to_owned() });
}

#[tokio::test]
async fn a_flood_is_cut_with_a_word_about_it() {
    let office = Office::open(|cage| cage.limits.output_bytes = 4).await;
    let outcome = office.shell("printf abcdefghijkl").await;
    assert_eq!(outcome.stdout_text(), "abcd\n[… 4 bytes left out …]\nijkl");
    assert_eq!(outcome.dropped_bytes(), 4);
}

#[tokio::test]
async fn commands_run_side_by_side() {
    let office = Office::open(|_| ()).await;
    let runs: Vec<_> =
        (0..8).map(|number| format!("echo {number} > file{number}; cat file{number}")).collect();
    let outcomes = tokio::join!(
        office.shell(&runs[0]),
        office.shell(&runs[1]),
        office.shell(&runs[2]),
        office.shell(&runs[3]),
        office.shell(&runs[4]),
        office.shell(&runs[5]),
        office.shell(&runs[6]),
        office.shell(&runs[7]),
    );
    assert_eq!(
        [&outcomes.0, &outcomes.3, &outcomes.7].map(|outcome| outcome.stdout_text()),
        ["0\n", "3\n", "7\n"]
    );
}

#[tokio::test]
async fn the_host_network_is_for_a_set_up_that_may_have_it() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // The shell's own: nothing has to be installed for it.
    let connect = command(&format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"));
    let connect = Command {
        argv: vec!["/bin/bash".to_owned(), "-c".to_owned(), connect.argv[2].clone()],
        ..connect
    };
    let with = |network, purpose| Command { network, purpose, ..connect.clone() };
    let never = Office::open(|_| ()).await;
    let setup = Office::open(|cage| cage.network = NetworkRule::Setup).await;
    assert!(setup.run(with(true, Purpose::Setup)).await.unwrap().succeeded());
    for (office, network, purpose) in
        [(&setup, false, Purpose::Setup), (&never, false, Purpose::Tool)]
    {
        let outcome = office.run(with(network, purpose)).await.unwrap();
        assert!(!outcome.succeeded() && outcome.stderr_text().contains("refused"), "{outcome:?}");
    }
    for (office, purpose) in
        [(&setup, Purpose::Tool), (&setup, Purpose::Gate), (&never, Purpose::Setup)]
    {
        let error = office.run(with(true, purpose)).await.unwrap_err();
        assert!(matches!(error, SandboxError::NetworkNotAllowed), "{error}");
    }
}

#[tokio::test]
async fn fetched_dependencies_are_written_in_set_up_only() {
    let (keep, _) = place();
    let dependencies = keep.path().join("dependencies");
    let office = Office::open(|cage| {
        cage.network = NetworkRule::Setup;
        cage.dependencies = Some(dependencies.clone());
    })
    .await;
    let fetch = Command {
        network: true,
        purpose: Purpose::Setup,
        ..command("echo package > ~/.npm/package")
    };
    assert!(office.run(fetch).await.unwrap().succeeded());
    let outcome = office.shell("cat ~/.npm/package; echo changed > ~/.npm/package").await;
    assert_eq!(outcome.stdout_text(), "package\n");
    assert!(outcome.stderr_text().contains("Read-only file system"), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(dependencies.join("npm/package")).unwrap(), "package\n");
}

#[tokio::test]
async fn scratch_lasts_and_a_verifier_writes_nothing_else() {
    let (keep, _) = place();
    let scratch = keep.path().join("scratch");
    let office = Office::open(|cage| {
        cage.scratch = Some(scratch.clone());
        cage.access = Access::ReadOnly;
    })
    .await;
    let outcome =
        office.shell("echo kept > $CARGO_TARGET_DIR; touch file || touch /tmp/file ~/file").await;
    assert!(
        outcome.succeeded() && outcome.stderr_text().contains("Read-only file system"),
        "{outcome:?}"
    );
    assert_eq!(
        office.shell("cat /scratch/target; ls /tmp ~").await.stdout_text(),
        "kept\n/home/agent:\n\n/tmp:\n"
    );
}

#[tokio::test]
async fn giving_a_run_up_ends_it() {
    let office = Office::open(|_| ()).await;
    let begun = office.path("workspace/begun");
    let number = 200_000_000 + u64::from(std::process::id());
    let script = format!("touch begun; sleep {number}");
    let run = office.shell(&script);
    let seen = async {
        while !begun.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = run => panic!("{outcome:?}"),
        () = seen => {}
    }
    let runs = || {
        let mut lines = std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        // Whole command lines: the shell's has the number as well, so that a shell which has not
        // come to its `sleep` yet does not count as gone.
        lines.any(|line| String::from_utf8_lossy(&line).contains(&number.to_string()))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while runs() && std::time::Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert!(!runs());
}

/// What is given to the payload is what lies in the workspace, nothing that it points to.
#[tokio::test]
async fn handing_over_follows_nothing() {
    let (directory, workspace) = place();
    let beside = directory.path().join("beside");
    std::fs::write(&beside, "not ours").unwrap();
    std::fs::create_dir(workspace.join("inner")).unwrap();
    std::fs::write(workspace.join("inner/file"), "").unwrap();
    symlink(&beside, workspace.join("link")).unwrap();
    tier().open_cage(CageConfig::new(&workspace)).await.unwrap();
    let owner = |path: &std::path::Path| std::fs::symlink_metadata(path).unwrap().uid();
    let expected = if is_root() { PAYLOAD_ID } else { rustix::process::geteuid().as_raw() };
    for name in ["", "inner", "inner/file", "link"] {
        assert_eq!(owner(&workspace.join(name)), expected, "{name}");
    }
    assert_eq!(owner(&beside), rustix::process::geteuid().as_raw());
    if is_root() {
        std::fs::hard_link(&beside, workspace.join("shared")).unwrap();
        let error = tier().open_cage(CageConfig::new(&workspace)).await.unwrap_err();
        assert!(matches!(error, SetupError::SharedFile { .. }), "{error}");
        assert_eq!(owner(&beside), 0);
    }
    let error =
        tier().open_cage(CageConfig::new(directory.path().join("missing"))).await.unwrap_err();
    assert!(matches!(error, SetupError::NotADirectory { .. }), "{error}");
}

#[tokio::test]
async fn a_program_that_is_no_launcher_is_an_error() {
    let (_directory, workspace) = place();
    let config = ProcessConfig { launcher: "/bin/true".into(), ..ProcessConfig::discover() };
    let tier = ProcessTier::with(config).unwrap();
    let probes = tier.probe().await;
    let cage = probes.iter().find(|probe| probe.name == "cage").unwrap();
    assert!(!cage.ok && cage.how_to_get.as_ref().unwrap().contains("dispatch"), "{cage:?}");
    drop(workspace);
}

#[tokio::test]
async fn probing_tells_what_holds_inside() {
    let probes = tier().probe().await;
    let ok = |name: &str| {
        probes
            .iter()
            .find(|probe| probe.name == name)
            .unwrap_or_else(|| panic!("{name}: {probes:#?}"))
            .ok
    };
    for name in [
        "namespaces",
        "seccomp",
        "no capability inside",
        "no capability to be had inside",
        "no new privileges inside",
        "system call filter inside",
        "not root inside",
    ] {
        assert!(ok(name), "{name}: {probes:#?}");
    }
    assert!(probes.iter().all(|probe| probe.ok || probe.how_to_get.is_some()), "{probes:#?}");
}
