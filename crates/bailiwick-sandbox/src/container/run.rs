//! Running one container to its end.

use std::process::Stdio;
use std::time::{Duration, Instant};

use bailiwick_guest::{DiskWatch, FORK_BOMB, Limits, Network, WORKSPACE, seccomp_filters};
use bailiwick_model::outcome::Ended;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::bundle::Bundle;
use super::figures::{Figures, Nest};
use super::{Engine, Runtime};
use crate::error::SandboxError;
use crate::inside::{self, Frame, Keeper};
use crate::outcome::CommandOutcome;
use crate::process::{CageConfig, Errand};

/// How long a container may take until its payload starts.
const START: Duration = Duration::from_secs(60);
/// How long a container may take to end when it is told to.
const END: Duration = Duration::from_secs(15);
/// How often the counters are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The signals of limits on single processes (`signal(7)`).
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;
const MAX_COMPLAINT_BYTES: u64 = 8 << 10;

/// What became of the payload, and what was seen on the way.
struct Course {
    standing: Option<Instant>,
    end: Option<End>,
    stdout: Keeper,
    stderr: Keeper,
    figures: Figures,
    /// How many bytes of output there were.
    output: u64,
    /// None while somebody looks.
    disk: Option<DiskWatch>,
}

enum End {
    Status(i32),
    NotStarted(i32),
    Limit(&'static str),
}

impl Engine {
    /// Runs a command in a container of its own.
    ///
    /// Safe to cancel: with the future the container's standard input goes away, upon which its
    /// first process ends it.
    pub(super) async fn run(
        &self,
        config: &CageConfig,
        errand: Errand,
    ) -> Result<CommandOutcome, SandboxError> {
        let name = self.state.lease.name();
        let launch = |source| SandboxError::Launch { source };
        let bundle = Bundle::make(self, &name, config, &errand).map_err(launch)?;
        let filters = seccomp_filters().map_err(SandboxError::Cage)?;
        let cwd = format!("{WORKSPACE}/{}", errand.cwd);
        let order = inside::order(&errand.argv, &errand.env, &cwd, &filters);
        let nest = Nest::make(&self.cgroups.homes, &name).map_err(launch)?;
        let mut child = self.start(&name, &bundle, errand.network).map_err(launch)?;
        let missing = || launch(std::io::Error::other("a pipe is missing"));
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        let mut stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let mut complaints = tokio::task::JoinSet::new();
        complaints.spawn(async move {
            let mut text = Vec::new();
            let read = stderr.take(MAX_COMPLAINT_BYTES).read_to_end(&mut text).await;
            drop(read);
            String::from_utf8_lossy(&text).trim().to_owned()
        });
        // A runtime that fails reads nothing; its complaint tells more then.
        let sent = stdin.write_all(&order).await;
        let mut course = Course {
            standing: None,
            end: None,
            stdout: Keeper::new(errand.limits.output_bytes),
            stderr: Keeper::new(errand.limits.output_bytes),
            figures: Figures::default(),
            output: 0,
            disk: Some(DiskWatch::new(
                std::iter::once(&config.workspace).chain(&config.scratch).cloned().collect(),
                errand.limits.disk_bytes,
            )),
        };
        let refused = match sent {
            Ok(()) => Self::follow(&nest, &errand.limits, &mut stdout, &mut course).await,
            Err(error) => Some(error.to_string()),
        };
        // What was written faster than anybody looked.
        if !matches!(course.end, Some(End::Limit(_) | End::NotStarted(_)))
            && course.standing.is_some()
            && watch(&mut course.disk, DiskWatch::left_too_much).await
        {
            course.end = Some(End::Limit("disk"));
        }
        let duration = course.standing.map(|since| since.elapsed()).unwrap_or_default();
        // This ends the container.
        drop(stdin);
        drop(stdout);
        self.finish(&name, &mut child).await;
        course.figures.at_least(nest.outer());
        drop(nest);
        drop(bundle);
        let complaint = tokio::time::timeout(END, complaints.join_next()).await;
        let complaint = complaint.ok().flatten().and_then(Result::ok).unwrap_or_default();
        self.outcome(errand, course, duration, refused, complaint)
    }

    fn start(&self, name: &str, bundle: &Bundle, network: Network) -> std::io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.state.runtime());
        if self.runtime == Runtime::Runsc {
            let network = match network {
                Network::None => "--network=none",
                Network::Host => "--network=host",
            };
            // What the agent writes must be seen on the host at once, and the other way round.
            command.args([network, "--platform=ptrace", "--file-access-mounts=shared"]);
            if self.cgroups.homes.is_empty() {
                command.arg("--ignore-cgroups");
            }
        }
        command
            .args(["run", "--bundle"])
            .arg(&bundle.directory)
            .arg(name)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Takes in what the first process says until it is over. Gives why it did not do its part.
    async fn follow(
        nest: &Nest<'_>,
        limits: &Limits,
        stdout: &mut (impl tokio::io::AsyncRead + Unpin + Send),
        course: &mut Course,
    ) -> Option<String> {
        let begun = Instant::now();
        // Not begun anew with each frame: who writes all the time is looked at like anybody.
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let left = match course.standing {
                None => START.saturating_sub(begun.elapsed()),
                Some(since) => {
                    Duration::from_millis(limits.wall_clock_ms).saturating_sub(since.elapsed())
                }
            };
            if left.is_zero() {
                if course.standing.is_none() {
                    return Some("the container did not start in time".to_owned());
                }
                course.end = Some(End::Limit("wall_clock"));
                return None;
            }
            // A frame that is only half read must not be given up: the look at the counters waits
            // for the beginning of one only.
            let frame = inside::next_frame(stdout);
            tokio::pin!(frame);
            let read = loop {
                tokio::select! {
                    read = &mut frame => break Some(read),
                    _ = looks.tick() => {
                        course.figures.at_least(nest.inner());
                        let processes = nest.processes();
                        if watch(&mut course.disk, |disk| disk.is_over(|| processes)).await {
                            course.end = Some(End::Limit("disk"));
                            return None;
                        }
                        let used = course.figures.cpu_ms.unwrap_or(0);
                        if used >= limits.cpu_time_ms {
                            course.end = Some(End::Limit("cpu_time"));
                            return None;
                        }
                        if course.figures.refused_forks > FORK_BOMB {
                            course.end = Some(End::Limit("pids"));
                            return None;
                        }
                        let over = course.standing.map_or_else(
                            || begun.elapsed() >= START,
                            |since| since.elapsed() >= Duration::from_millis(limits.wall_clock_ms),
                        );
                        if over {
                            break None;
                        }
                    }
                }
            };
            match read {
                None => {}
                Some(Err(error)) => return Some(error.to_string()),
                Some(Ok(None)) => return Some("it ended without a word".to_owned()),
                Some(Ok(Some(frame))) => {
                    if let Frame::Stdout(bytes) | Frame::Stderr(bytes) = &frame {
                        course.output = course.output.saturating_add(bytes.len() as u64);
                        if course.output > limits.output_total_bytes {
                            course.end = Some(End::Limit("output"));
                            return None;
                        }
                    }
                    match frame {
                        Frame::Standing => course.standing = Some(Instant::now()),
                        Frame::Stdout(bytes) => course.stdout.take_in(&bytes),
                        Frame::Stderr(bytes) => course.stderr.take_in(&bytes),
                        Frame::Ended(status) => {
                            course.figures.at_least(nest.inner());
                            course.end = Some(End::Status(status));
                            return None;
                        }
                        Frame::NotStarted(errno) => {
                            course.end = Some(End::NotStarted(errno));
                            return None;
                        }
                        Frame::Refused(why) => return Some(why),
                    }
                }
            }
        }
    }

    /// Waits for the end of the container, and makes it happen if need be.
    async fn finish(&self, name: &str, child: &mut Child) {
        if tokio::time::timeout(END, child.wait()).await.is_ok() {
            return;
        }
        let removed = Command::new(&self.program)
            .arg("--root")
            .arg(self.state.runtime())
            .args(["delete", "--force", name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status();
        drop(tokio::time::timeout(END, removed).await);
        drop(child.start_kill());
        drop(tokio::time::timeout(END, child.wait()).await);
    }

    fn outcome(
        &self,
        errand: Errand,
        course: Course,
        duration: Duration,
        refused: Option<String>,
        complaint: String,
    ) -> Result<CommandOutcome, SandboxError> {
        let figures = course.figures;
        let peak = figures.peak_memory_bytes.unwrap_or(0);
        let full = peak >= errand.limits.memory_bytes / 100 * 95;
        // Refusals are counted in a cgroup that is gone by then; how many there were is not.
        let crowded = figures.peak_pids.is_some_and(|pids| pids >= errand.limits.pids);
        let ended = match (course.end, refused) {
            (Some(End::Limit(limit)), _) => Ended::Limit { limit: limit.to_owned() },
            (Some(End::NotStarted(errno)), _) => {
                return Err(SandboxError::NotStarted {
                    program: errand.argv.first().cloned().unwrap_or_default(),
                    detail: std::io::Error::from_raw_os_error(errno).to_string(),
                    errno,
                });
            }
            (Some(End::Status(status)), _) => ended(status, figures.memory_kills > 0),
            // gVisor's kernel is what the host ends when the memory is used up, and with it goes
            // whoever could report.
            (None, _) if course.standing.is_some() && (figures.memory_kills > 0 || full) => {
                Ended::Limit { limit: "memory".to_owned() }
            }
            // Its threads are the payload's processes, too: one too many, and it ends as a whole.
            (None, _) if course.standing.is_some() && (figures.refused_forks > 0 || crowded) => {
                Ended::Limit { limit: "pids".to_owned() }
            }
            (None, why) => {
                let why = why.unwrap_or_default();
                let detail = if complaint.is_empty() { why } else { format!("{why}: {complaint}") };
                return Err(SandboxError::Runtime {
                    runtime: self.runtime.program().to_owned(),
                    detail,
                    started: course.standing.is_some(),
                });
            }
        };
        let mut limits_reached = Vec::new();
        if figures.memory_kills > 0 || matches!(&ended, Ended::Limit { limit } if limit == "memory")
        {
            limits_reached.push("memory".to_owned());
        }
        if figures.refused_forks > 0 {
            limits_reached.push("pids".to_owned());
        }
        if let Ended::Limit { limit } = &ended
            && !limits_reached.contains(limit)
        {
            limits_reached.push(limit.clone());
        }
        let (applied, not_applied) = self.guards(errand.network);
        Ok(CommandOutcome {
            ended,
            limits_reached,
            stdout: course.stdout.finish(),
            stderr: course.stderr.finish(),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            cpu_ms: figures.cpu_ms,
            peak_memory_bytes: figures.peak_memory_bytes,
            applied,
            not_applied,
        })
    }

    fn guards(&self, network: Network) -> (Vec<String>, Vec<String>) {
        let user = match self.runtime {
            Runtime::Runc => ", user",
            Runtime::Runsc => "",
        };
        let own_network = if network == Network::None { ", network" } else { "" };
        let mut applied = vec![
            format!("runtime: {}", self.runtime.program()),
            format!("namespaces: mount, pid, ipc, uts, cgroup{user}{own_network}"),
            "root: its own, system directories read-only".to_owned(),
            format!("user: {0}:{0}, not root", self.payload_id),
            "rlimits: cpu, files, file size, processes, no core dump".to_owned(),
            "no_new_privs: set".to_owned(),
            "capabilities: none, and no way back".to_owned(),
            "seccomp: system call filter".to_owned(),
            "disk: what the command adds is watched".to_owned(),
        ];
        let mut not_applied = vec![
            "Landlock: the container's own mounts stand in for it".to_owned(),
            "protected paths: what a command does to them is left to the gates in this tier"
                .to_owned(),
        ];
        if self.cgroups.homes.is_empty() {
            not_applied.push("cgroup: there is none to be had here".to_owned());
        } else {
            applied.push(format!("cgroup: {}", self.cgroups.summary()));
        }
        if network == Network::Host {
            not_applied.push("network namespace: this run was given the host's network".to_owned());
        }
        (applied, not_applied)
    }
}

/// Looks at the disk where nobody is kept waiting. A look that fails says nothing, and is the last.
async fn watch(
    disk: &mut Option<DiskWatch>,
    look: impl FnOnce(&mut DiskWatch) -> bool + Send + 'static,
) -> bool {
    let Some(mut watch) = disk.take() else { return false };
    let looked = tokio::task::spawn_blocking(move || {
        let over = look(&mut watch);
        (watch, over)
    });
    let Ok((watch, over)) = looked.await else { return false };
    *disk = Some(watch);
    over
}

/// An end as `waitpid` tells it.
fn ended(status: i32, memory_kills: bool) -> Ended {
    let signal = status & 0x7f;
    let by_limit = match signal {
        SIGXCPU => Some("cpu_time"),
        SIGXFSZ => Some("file_size"),
        _ => None,
    };
    if let Some(limit) = by_limit {
        return Ended::Limit { limit: limit.to_owned() };
    }
    // As in the process tier: what failed after somebody was killed for memory failed for that.
    if status != 0 && memory_kills {
        return Ended::Limit { limit: "memory".to_owned() };
    }
    if signal == 0 { Ended::Exit { code: (status >> 8) & 0xff } } else { Ended::Signal { signal } }
}
