//! Watching a cage from outside until nothing of it is left.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, WaitStatus, pidfd_send_signal, waitpid};
use serde::{Deserialize, Serialize};

use crate::capture::Capture;
use crate::cgroup::{Controller, Group};
use crate::disk::{self, DiskWatch};
use crate::launcher::Started;
use crate::reply::{Answer, Applied, CageError, Ended, FileError, Limit, NotApplied, Reply};
use crate::spec::{CageSpec, Guard};

/// The most that a cage's init may report. It is ours, but it handles what an agent wrote.
const MAX_REPORT_BYTES: usize = 48 << 20;

/// How many refused forks make a bomb. A build that hits the limit fails or waits long before.
pub const FORK_BOMB: u64 = 1_000;

/// What the init reports, one JSON document a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub(crate) enum Report {
    /// The cage could not be built.
    Refused(CageError),
    /// The cage stands; the operation begins.
    Standing { applied: Vec<Applied>, not_applied: Vec<NotApplied> },
    /// The program could not be started.
    NotStarted { program: String, detail: String, errno: i32 },
    /// The payload exited.
    Exited { code: i32 },
    /// A signal ended the payload.
    Signaled { signal: i32 },
    /// A file operation is done.
    File { result: Result<Answer, FileError> },
}

/// The reply, and the bytes that go beside it.
pub(crate) struct Supervised {
    pub(crate) reply: Reply,
    pub(crate) parts: Vec<Vec<u8>>,
}

struct Watch {
    stdout: Capture,
    stderr: Capture,
    report: Vec<u8>,
    killed_for: Option<Ended>,
    disk: DiskWatch,
}

/// Waits for the end of the cage, ending it when a limit is reached or nobody wants it any more.
pub(crate) fn supervise(
    spec: &CageSpec,
    started: Started,
    group: &Group,
) -> Result<Supervised, CageError> {
    let started_at = Instant::now();
    let keep = usize::try_from(spec.cage.limits.output_bytes).unwrap_or(usize::MAX);
    let mut watch = Watch {
        stdout: Capture::new(keep),
        stderr: Capture::new(keep),
        report: Vec::new(),
        killed_for: None,
        disk: DiskWatch::new(
            std::iter::once(&spec.cage.workspace).chain(&spec.cage.scratch).cloned().collect(),
            spec.cage.limits.disk_bytes,
        ),
    };
    let watched = watch.until_the_end(spec, &started, group, started_at);
    if watched.is_err() {
        kill(&started)?;
    }
    let status = reap(&started)?;
    watched?;
    // What was written faster than anybody looked.
    if spec.cage.has(Guard::WatchedLimits)
        && watch.killed_for.is_none()
        && watch.disk.left_too_much()
    {
        watch.killed_for = Some(Ended::Limit { limit: Limit::Disk });
    }
    let duration = started_at.elapsed();
    for (file, stream) in [(&started.stdout, 0), (&started.stderr, 1), (&started.report, 2)] {
        while watch.pump(file, stream)? == Pumped::Some {}
    }
    watch.reply(spec, status, group, duration)
}

fn kill(started: &Started) -> Result<(), CageError> {
    match pidfd_send_signal(&started.pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(CageError::at("ending the cage")(error.into())),
    }
}

fn reap(started: &Started) -> Result<WaitStatus, CageError> {
    loop {
        match waitpid(Some(started.init), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(CageError::at("waiting for the cage")(error.into())),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Pumped {
    Some,
    Nothing,
    End,
}

impl Watch {
    fn until_the_end(
        &mut self,
        spec: &CageSpec,
        started: &Started,
        group: &Group,
        started_at: Instant,
    ) -> Result<(), CageError> {
        let io = |error: Errno| CageError::at("watching the cage")(error.into());
        let limits = &spec.cage.limits;
        let deadline = started_at.checked_add(Duration::from_millis(limits.wall_clock_ms));
        for file in [&started.stdout, &started.stderr, &started.report] {
            rustix::io::ioctl_fionbio(file, true).map_err(io)?;
        }
        let mut open = [true; 3];
        let watched = spec.cage.has(Guard::WatchedLimits);
        loop {
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            let mut next = left;
            if self.killed_for.is_none() && watched {
                let written = self.stdout.total_bytes().saturating_add(self.stderr.total_bytes());
                let init = started.init.as_raw_nonzero().get().unsigned_abs();
                if left.is_zero() {
                    self.end(started, Ended::Limit { limit: Limit::WallClock })?;
                } else if written > limits.output_total_bytes {
                    self.end(started, Ended::Limit { limit: Limit::Output })?;
                } else if group.limits(Controller::Pids) && group.refused_forks() > FORK_BOMB {
                    self.end(started, Ended::Limit { limit: Limit::Pids })?;
                } else if self.disk.is_over(|| disk::processes_of(init)) {
                    self.end(started, Ended::Limit { limit: Limit::Disk })?;
                } else if let Some(used) = group.cpu_ms() {
                    let rest = limits.cpu_time_ms.saturating_sub(used);
                    if rest == 0 {
                        self.end(started, Ended::Limit { limit: Limit::CpuTime })?;
                    }
                    // Every processor may be used, so the limit is not reached before this.
                    let processors =
                        std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
                    next = next.min(Duration::from_millis((rest / processors).max(5)));
                }
                next = next.min(disk::INTERVAL);
            }
            let stdin = std::io::stdin();
            let mut fds = vec![PollFd::new(&started.pidfd, PollFlags::IN)];
            if self.killed_for.is_none() {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
            let fixed = fds.len();
            let files = [&started.stdout, &started.stderr, &started.report];
            let streams: Vec<usize> =
                open.iter().enumerate().filter(|(_, open)| **open).map(|(i, _)| i).collect();
            for stream in &streams {
                let file = files.get(*stream).copied().unwrap_or(&started.report);
                fds.push(PollFd::new(file, PollFlags::IN));
            }
            let timeout = if self.killed_for.is_some() || (!watched && left.is_zero()) {
                None
            } else {
                Timespec::try_from(next).ok()
            };
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(io(error)),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready.first() == Some(&true) {
                return Ok(());
            }
            if fixed == 2 && ready.get(1) == Some(&true) {
                self.end(started, Ended::Abandoned)?;
            }
            for (stream, _) in
                streams.iter().zip(ready.iter().skip(fixed)).filter(|(_, ready)| **ready)
            {
                let file = files.get(*stream).copied().unwrap_or(&started.report);
                if self.pump(file, *stream)? == Pumped::End
                    && let Some(open) = open.get_mut(*stream)
                {
                    *open = false;
                }
            }
        }
    }

    fn end(&mut self, started: &Started, why: Ended) -> Result<(), CageError> {
        self.killed_for = Some(why);
        kill(started)
    }

    /// Takes in what a pipe has, once.
    fn pump(&mut self, file: &OwnedFd, stream: usize) -> Result<Pumped, CageError> {
        let mut buffer = [0u8; 64 << 10];
        let read = match rustix::io::read(file.as_fd(), &mut buffer) {
            Ok(0) => return Ok(Pumped::End),
            Ok(read) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Pumped::Nothing),
            Err(error) => return Err(CageError::at("reading from the cage")(error.into())),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        match stream {
            0 => self.stdout.take_in(bytes),
            1 => self.stderr.take_in(bytes),
            _ => self.report.extend_from_slice(bytes),
        }
        if self.report.len() > MAX_REPORT_BYTES {
            return Err(CageError::new("reading from the cage", "its report is too long"));
        }
        Ok(Pumped::Some)
    }

    fn reply(
        self,
        spec: &CageSpec,
        status: WaitStatus,
        group: &Group,
        duration: Duration,
    ) -> Result<Supervised, CageError> {
        let plain = |reply| Ok(Supervised { reply, parts: Vec::new() });
        let (mut applied, mut not_applied, mut exit) = (Vec::new(), Vec::new(), None);
        for line in self.report.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(report) = serde_json::from_slice(line) else { continue };
            match report {
                Report::Refused(error) => return Err(error),
                Report::Standing { applied: a, not_applied: n } => (applied, not_applied) = (a, n),
                Report::NotStarted { program, detail, errno } => {
                    return plain(Reply::NotStarted { program, detail, errno });
                }
                Report::Exited { code } => exit = Some(Ended::Exit { code }),
                Report::Signaled { signal } => exit = Some(Ended::Signal { signal }),
                Report::File { result } => {
                    return plain(Reply::File { result, applied, not_applied });
                }
            }
        }
        let reached = self.reached(spec, group, exit);
        let ended = match (self.killed_for, exit) {
            (Some(why), _) => why,
            (None, Some(exit)) => by_limit(exit, &reached),
            (None, None) if reached.contains(&Limit::Memory) => {
                Ended::Limit { limit: Limit::Memory }
            }
            (None, None) => {
                let detail = match (status.exit_status(), status.terminating_signal()) {
                    (_, Some(signal)) => format!("its init was ended by signal {signal}"),
                    (code, None) => format!("its init exited with code {}", code.unwrap_or(-1)),
                };
                return Err(CageError::new("running the cage", detail));
            }
        };
        if !matches!(spec.operation, crate::spec::Operation::Exec { .. }) {
            return plain(Reply::FileEnded { ended });
        }
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        let parts = vec![
            stdout.head.clone(),
            stdout.tail.clone(),
            stderr.head.clone(),
            stderr.tail.clone(),
        ];
        let reply = Reply::Ran {
            ended,
            reached,
            stdout,
            stderr,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            cpu_ms: group.cpu_ms(),
            peak_memory_bytes: group.peak_memory_bytes(),
            applied,
            not_applied,
        };
        Ok(Supervised { reply, parts })
    }

    fn reached(&self, spec: &CageSpec, group: &Group, exit: Option<Ended>) -> Vec<Limit> {
        let mut reached = Vec::new();
        if let Some(Ended::Limit { limit }) = self.killed_for {
            reached.push(limit);
        }
        if group.limits(Controller::Memory) && group.memory_kills() > 0 {
            reached.push(Limit::Memory);
        }
        if group.limits(Controller::Pids) && group.refused_forks() > 0 {
            reached.push(Limit::Pids);
        }
        let used_up = group.cpu_ms().is_some_and(|used| used >= spec.cage.limits.cpu_time_ms);
        let told = matches!(exit, Some(Ended::Signal { signal: libc::SIGXCPU }));
        if spec.cage.has(Guard::ProcessLimits)
            && (used_up || told)
            && !reached.contains(&Limit::CpuTime)
        {
            reached.push(Limit::CpuTime);
        }
        if matches!(exit, Some(Ended::Signal { signal: libc::SIGXFSZ })) {
            reached.push(Limit::FileSize);
        }
        reached
    }
}

/// A limit that killed the payload counts as what ended it; one that it survived does not.
fn by_limit(exit: Ended, reached: &[Limit]) -> Ended {
    let failed = !matches!(exit, Ended::Exit { code: 0 });
    let by_signal = matches!(exit, Ended::Signal { .. });
    let decisive = |limit: &&Limit| match limit {
        Limit::Memory => failed,
        Limit::CpuTime | Limit::FileSize => by_signal,
        Limit::WallClock | Limit::Pids | Limit::Output | Limit::Disk => false,
    };
    reached.iter().find(decisive).map_or(exit, |limit| Ended::Limit { limit: *limit })
}
