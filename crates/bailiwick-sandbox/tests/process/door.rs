//! The door: one port of the cage's own loopback, served from outside.

use std::collections::BTreeMap;
use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bailiwick_model::action::{AgentProgram, AgentStart};
use bailiwick_model::outcome::{EffectError as _, Ended};
use bailiwick_model::subject::Role;
use bailiwick_sandbox::{Access, CommandOutcome, Door, Doorkeeper, Mount, Sandbox, SandboxError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::office::{Office, start};

const PORT: u16 = 4141;

/// Answers each line with the same in capitals.
#[derive(Default)]
struct Shouting {
    answered: AtomicUsize,
    /// Cancelled with the first line.
    heard: CancellationToken,
    ended: AtomicUsize,
}

#[async_trait]
impl Doorkeeper for Shouting {
    async fn serve(&self, listener: TcpListener, closed: CancellationToken) {
        loop {
            tokio::select! {
                () = closed.cancelled() => break,
                accepted = listener.accept() => {
                    let (stream, _) = accepted.unwrap();
                    let (read, mut write) = stream.into_split();
                    let mut lines = BufReader::new(read).lines();
                    let line = lines.next_line().await.unwrap().unwrap_or_default();
                    self.heard.cancel();
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    write.write_all(line.to_uppercase().as_bytes()).await.unwrap();
                }
            }
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

fn agent(script: &str) -> AgentStart {
    AgentStart {
        role: Role::Implementor,
        agent: "a-shell".to_owned(),
        provider: "p".to_owned(),
        model: "m".to_owned(),
        tier: "process".to_owned(),
        instructions: "what to do".into(),
        program: Some(AgentProgram {
            version: "1".to_owned(),
            argv: ["/bin/bash", "-c", script].map(str::to_owned).to_vec(),
            env: BTreeMap::from([("NAME".to_owned(), "value".to_owned())]),
            door: PORT,
            timeout_ms: 60_000,
        }),
    }
}

async fn run(office: &Office, keeper: &Shouting, script: &str) -> CommandOutcome {
    let door = Door { keeper, stop: CancellationToken::new() };
    start(&office.sandbox, agent(script), door).await.unwrap()
}

/// Says a line to a port and prints the answer.
fn say(port: u16) -> String {
    format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo ping >&3 && cat <&3; echo; ")
}

#[tokio::test]
async fn the_door_is_the_only_thing_that_answers() {
    let elsewhere = StdListener::bind(("127.0.0.1", 0)).unwrap();
    let host_port = elsewhere.local_addr().unwrap().port();
    let office = Office::open(|_| ()).await;
    let keeper = Shouting::default();
    let outcome = run(&office, &keeper, &format!("{}{}", say(PORT), say(PORT))).await;
    assert_eq!(outcome.stdout_text(), "PING\nPING\n", "{outcome:?}");
    assert_eq!(keeper.answered.load(Ordering::SeqCst), 2);
    assert_eq!(keeper.ended.load(Ordering::SeqCst), 1);
    assert!(outcome.applied.iter().any(|guard| guard.starts_with("door: 127.0.0.1:4141")));

    // Neither the host's ports, nor another of its own, nor another address.
    for (address, why) in [
        (format!("127.0.0.1/{host_port}"), "refused"),
        ("127.0.0.1/4142".to_owned(), "refused"),
        ("10.0.0.1/80".to_owned(), "unreachable"),
        ("169.254.169.254/80".to_owned(), "unreachable"),
        ("0.0.0.0/22".to_owned(), "refused"),
    ] {
        let outcome = run(&office, &keeper, &format!("exec 3<>/dev/tcp/{address}")).await;
        assert!(!outcome.succeeded());
        assert!(outcome.stderr_text().contains(why), "{address}: {outcome:?}");
    }
    let names = run(
        &office,
        &keeper,
        "getent hosts example.com; ls /sys/class/net /proc/net/route; cat /proc/net/dev",
    )
    .await;
    assert!(!names.stdout_text().contains("eth"), "{names:?}");

    // Without a door nobody listens, whoever runs.
    let plain = office.run(super::office::command(&format!("bash -c '{}'", say(PORT)))).await;
    assert!(plain.unwrap().stderr_text().contains("refused"));
}

#[tokio::test]
async fn an_agents_program_gets_its_instructions_and_programs_and_nothing_to_write_there() {
    let keep = tempfile::tempdir().unwrap();
    std::fs::write(keep.path().join("tool"), "#!/bin/sh\necho tool\n").unwrap();
    let source = keep.path().to_owned();
    let office = Office::open(|cage| {
        let target = "/agents/a-shell".into();
        // It is mounted read-only whatever is said here.
        cage.programs.push(Mount { source, target, access: Access::ReadWrite });
    })
    .await;
    let keeper = Shouting::default();
    let outcome = run(
        &office,
        &keeper,
        "cat; echo \" $NAME\"; sh /agents/a-shell/tool; echo x > /agents/a-shell/tool; ls /proc/self/fd | wc -l",
    )
    .await;
    let told = outcome.stdout_text();
    assert!(told.starts_with("what to do value\ntool\n"), "{outcome:?}");
    assert!(outcome.stderr_text().contains("Read-only file system"), "{outcome:?}");
    // Its three streams and the directory that is listed: no end of the door.
    assert_eq!(told.lines().last().unwrap().trim(), "4", "{outcome:?}");
}

#[tokio::test]
async fn a_stopped_agent_ends_with_everything_it_started() {
    let office = Office::open(|_| ()).await;
    let keeper = Shouting::default();
    let door = Door { keeper: &keeper, stop: CancellationToken::new() };
    let stop = door.stop.clone();
    let script = format!("(sleep 1000 & sleep 1000) & {} sleep 1000", say(PORT));
    let (outcome, ()) = tokio::join!(start(&office.sandbox, agent(&script), door), async {
        keeper.heard.cancelled().await;
        stop.cancel();
    });
    let outcome = outcome.unwrap();
    assert_eq!(outcome.ended, Ended::Limit { limit: "abandoned".to_owned() });
    assert_eq!(keeper.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_agent_without_a_program_is_not_started() {
    let office = Office::open(|_| ()).await;
    let keeper = Shouting::default();
    let door = Door { keeper: &keeper, stop: CancellationToken::new() };
    let builtin = AgentStart { program: None, ..agent("true") };
    let error = start(&office.sandbox, builtin, door).await.unwrap_err();
    assert!(matches!(error, SandboxError::NoProgram), "{error}");
    assert_eq!(error.code(), "sandbox.no_program");
}

#[tokio::test]
async fn a_tier_without_a_door_says_so() {
    #[derive(Debug)]
    struct Doorless;
    #[async_trait]
    impl Sandbox for Doorless {
        fn tier(&self) -> bailiwick_sandbox::Tier {
            bailiwick_sandbox::Tier::Gvisor
        }
        async fn run(
            &self,
            _: bailiwick_warden::Permit<bailiwick_model::action::Command>,
        ) -> Result<CommandOutcome, SandboxError> {
            Err(SandboxError::NoProgram)
        }
        async fn read(
            &self,
            _: bailiwick_warden::Permit<bailiwick_model::action::FileRead>,
        ) -> Result<bailiwick_sandbox::ReadOutcome, SandboxError> {
            Err(SandboxError::NoProgram)
        }
        async fn write(
            &self,
            _: bailiwick_warden::Permit<bailiwick_model::action::FileWrite>,
        ) -> Result<bailiwick_sandbox::WriteOutcome, SandboxError> {
            Err(SandboxError::NoProgram)
        }
    }
    let keeper = Shouting::default();
    let door = Door { keeper: &keeper, stop: CancellationToken::new() };
    let error = start(&Doorless, agent("true"), door).await.unwrap_err();
    assert_eq!(error.code(), "sandbox.no_door");
    assert_eq!(keeper.answered.load(Ordering::SeqCst), 0);
}
