//! One session of an agent's program.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;
use bailiwick_gateway::door::{Door as GatewayDoor, DoorSession, Shut};
use bailiwick_model::action::{Action, AgentStart};
use bailiwick_model::chat::Block;
use bailiwick_model::event::{Entry, Event, Fact, SessionEnd, Step, ToolResult};
use bailiwick_model::id::Oid;
use bailiwick_model::outcome::{Ended, Outcome, Recorded, Traffic};
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::{Context, TaintOrigin};
use bailiwick_sandbox::{CommandOutcome, Door, Doorkeeper, Sandbox};
use bailiwick_warden::ActError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Assignment, Program, Report, ReportedStep};
use crate::ending::stopped;
use crate::replay::{self, Start, number_after};
use crate::run::{Deps, Run, RunError, in_tier, payload, stop_or_fail, told_at_the_start};
use crate::session::Session;
use crate::telling::up_to;

/// The port of the door inside the cage, which has a loopback of its own.
const DOOR: u16 = 4100;
/// The most wall-clock time of a program: an hour.
const TIMEOUT_MS: u64 = 3_600_000;
/// How many calls a program may make for each turn: it has smaller ones of its own.
const CALLS_PER_TURN: u32 = 4;
/// The most steps that are recorded of a program.
const MAX_STEPS: usize = 400;
/// The most bytes of a program's last words that become the commit's message.
const MAX_SUMMARY_BYTES: usize = 3_500;
/// How much of its complaints is shown when it did nothing.
const MAX_COMPLAINT_BYTES: usize = 1_000;

/// How a program went, with what went through its door.
struct Ran {
    outcome: CommandOutcome,
    traffic: Traffic,
}

impl Recorded for Ran {
    fn outcome(&self) -> Outcome {
        Outcome::Agent {
            ended: self.outcome.ended.clone(),
            output: Payload::from(self.outcome.output_text()),
            dropped_bytes: self.outcome.dropped_bytes(),
            duration_ms: self.outcome.duration_ms,
            not_applied: self.outcome.not_applied.clone(),
            traffic: self.traffic,
        }
    }
}

struct Keeper(Arc<GatewayDoor>);

#[async_trait]
impl Doorkeeper for Keeper {
    async fn serve(&self, listener: TcpListener, closed: CancellationToken) {
        self.0.serve(listener, closed).await;
    }
}

pub(super) async fn run(
    program: &Program,
    deps: &Deps,
    session: &Session,
    history: &[Entry],
) -> Result<SessionEnd, RunError> {
    let progress = replay::progress(session.id, history)?;
    if let Some(end) = progress.end {
        return Ok(end);
    }
    let run = Run { deps, session, spent: AtomicU64::new(0) };
    // What the program had in its memory is gone: it begins anew, with a clean workspace.
    let start = run.begin(progress.start, &[]).await?;
    let Some(sandbox) = &session.sandbox else {
        let hint = "give the role a workspace, or use the built-in agent";
        let end = stopped("agent.no_sandbox", "an agent's program needs a sandbox", hint);
        return run.end(Vec::new(), end).await;
    };
    let door = door(program, deps, session, &start, calls_before(session, history));
    let ran = match started(program, deps, session, &start, sandbox.as_ref(), &door).await {
        Ok(ran) => ran,
        Err(ActError::Effect(error)) => {
            let end = stop_or_fail(ActError::Effect(error))?;
            return run.end(Vec::new(), end).await;
        }
        Err(error) => {
            let end = stop_or_fail(error)?;
            return run.end(Vec::new(), end).await;
        }
    };
    if session.cancel.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    let limit = match door.shut() {
        Some(Shut::Ledger(source)) => return Err(RunError::Ledger { source }),
        Some(Shut::WaitsForApproval { approval, groups }) => {
            return Err(RunError::WaitsForApproval { approval, groups });
        }
        Some(Shut::Frozen { reason }) => return Err(RunError::Frozen { reason }),
        Some(Shut::Limit { code, reason, hint }) => Some(stopped(code, &reason, hint)),
        None => None,
    };
    let tree = match &session.snapshots {
        Some(snapshots) => Some(snapshots.snapshot().await?),
        None => None,
    };
    let report = program.adapter.read(&ran.outcome.stdout_bytes());
    let facts = steps(session, &start, &report, &door, tree.as_ref())?;
    let end = limit.unwrap_or_else(|| judged(&ran, &report, &door, &start, tree.as_ref()));
    run.end(facts, end).await
}

/// How many model calls of the session were decided before: their numbers are taken.
fn calls_before(session: &Session, history: &[Entry]) -> u32 {
    let steps = history.iter().filter_map(|entry| match &entry.event {
        Event::Decided(decided) if decided.subject.session == Some(session.id) => {
            match &decided.action {
                Action::ModelCall(call) => Some(call.step),
                _ => None,
            }
        }
        _ => None,
    });
    steps.max().unwrap_or(0)
}

fn door(
    program: &Program,
    deps: &Deps,
    session: &Session,
    start: &Start,
    calls_before: u32,
) -> Arc<GatewayDoor> {
    GatewayDoor::new(DoorSession {
        warden: Arc::clone(&deps.warden),
        gateway: Arc::clone(&program.gateway),
        subject: session.subject(),
        context: Context { taint: start.taint.clone(), ..session.context.clone() },
        role: session.role,
        subtask: session.subtask.clone(),
        round: session.round,
        provider: session.provider.clone(),
        model: session.model.clone(),
        token: token(session),
        calls_before,
        max_calls: session.limits.max_steps.saturating_mul(CALLS_PER_TURN),
        max_denials: session.limits.max_denials,
        labeller: Arc::clone(&session.labeller),
    })
}

/// A placeholder: it opens nothing but this session's door, which nobody else can reach.
fn token(session: &Session) -> String {
    format!("bailiwick-session-{}", session.id)
}

async fn started(
    program: &Program,
    deps: &Deps,
    session: &Session,
    start: &Start,
    sandbox: &dyn Sandbox,
    door: &Arc<GatewayDoor>,
) -> Result<Ran, ActError<bailiwick_sandbox::SandboxError>> {
    let assignment = Assignment {
        program: format!("{}/{}", program.target(), program.located.file),
        home: program.target(),
        version: program.located.version.clone(),
        model: session.model.clone(),
        token: token(session),
        door: DOOR,
        max_turns: session.limits.max_steps,
        max_output_tokens: session.limits.max_output_tokens,
        timeout_ms: TIMEOUT_MS,
    };
    let system: Vec<&str> = start.opening.system.iter().map(|block| block.text.as_str()).collect();
    let instructions = format!("{}\n\n{}", system.join("\n\n"), start.opening.user);
    let action = AgentStart {
        role: session.role,
        agent: program.adapter.about().kind.to_owned(),
        provider: session.provider.clone(),
        model: session.model.clone(),
        tier: session.tier().to_owned(),
        instructions: instructions.into(),
        program: Some(program.adapter.start(&assignment)),
    };
    let context = Context { taint: start.taint.clone(), denials: 0, ..session.context.clone() };
    let (context, action) = in_tier(deps, session, context, action);
    let (stop, halt) = (CancellationToken::new(), door.halt());
    let over = CancellationToken::new();
    let perform = async {
        let keeper = Keeper(Arc::clone(door));
        let done = deps
            .warden
            .perform(&session.subject(), &context, action, |permit| async {
                let way = Door { keeper: &keeper, stop: stop.clone() };
                let outcome = sandbox.start(permit, way).await?;
                Ok(Ran { outcome, traffic: door.traffic() })
            })
            .await;
        over.cancel();
        done
    };
    // A cancelled session is not dropped: its cage ends, and what came of it is recorded.
    let watch = async {
        tokio::select! {
            () = over.cancelled() => {}
            () = session.cancel.cancelled() => stop.cancel(),
            () = halt.cancelled() => stop.cancel(),
        }
    };
    tokio::join!(perform, watch).0
}

/// The steps as the program told them; the workspace stands with the last.
fn steps(
    session: &Session,
    start: &Start,
    report: &Report,
    door: &GatewayDoor,
    tree: Option<&Oid>,
) -> Result<Vec<Fact>, RunError> {
    let said = [ReportedStep {
        reply: vec![Block::Text { text: report.summary.clone() }],
        results: Vec::new(),
    }];
    let told = if report.steps.is_empty() { &said[..] } else { report.steps.as_slice() };
    // The last steps are the ones that say how it ended.
    let told = told.iter().skip(told.len().saturating_sub(MAX_STEPS));
    let count = told.len();
    let taint = door.taint();
    let origins: Vec<TaintOrigin> = taint
        .iter()
        .map(|label| match start.taint.contains(label) {
            true => told_at_the_start(*label),
            false => TaintOrigin { taint: *label, from: "what the agent read".to_owned() },
        })
        .collect();
    let mut facts = Vec::new();
    for (before, step) in told.enumerate() {
        let number = number_after(before);
        let is_last = before.saturating_add(1) == count;
        let results = step.results.iter().map(|(id, tool, text, is_error)| ToolResult {
            tool_use_id: id.clone(),
            tool: tool.clone(),
            action: None,
            content: Payload::from(text.as_str()),
            is_error: *is_error,
        });
        facts.push(Fact::StepTaken(Step {
            task: session.task,
            subtask: session.subtask.clone(),
            session: session.id,
            step: number,
            reply: payload::<[Block]>(&step.reply)?,
            results: results.collect(),
            tree: tree.filter(|_| is_last).cloned(),
            taint: taint.clone(),
            denials: if is_last { door.denials() } else { 0 },
            origins: origins.clone(),
        }));
    }
    Ok(facts)
}

/// Whether there is work to be judged: what is in the workspace says so, not the exit code.
fn judged(
    ran: &Ran,
    report: &Report,
    door: &GatewayDoor,
    start: &Start,
    tree: Option<&Oid>,
) -> SessionEnd {
    if let Ended::Limit { limit } = &ran.outcome.ended {
        return stopped(
            "agent.limit",
            &format!("the agent's program was ended because it passed its limit of {limit}"),
            "split the task into smaller ones",
        );
    }
    if tree.is_some() && tree == start.tree.as_ref() {
        let (code, hint) = if door.answered() == 0 {
            let hint = "`bailiwick task logs TASK` has what it printed; check the provider and the program's version with `bailiwick agents`";
            ("agent.no_answer", hint)
        } else {
            ("session.nothing_changed", "say more exactly what is wanted")
        };
        let complaint = ran.outcome.stderr_text();
        let last = if report.summary.trim().is_empty() { &complaint } else { &report.summary };
        let reason = format!(
            "the agent's program ended ({}) without changing anything: {}",
            how(&ran.outcome.ended),
            up_to(last.trim(), MAX_COMPLAINT_BYTES)
        );
        return stopped(code, &reason, hint);
    }
    let summary = up_to(report.summary.trim(), MAX_SUMMARY_BYTES);
    let summary = if summary.is_empty() {
        "The agent's program changed the workspace and said nothing of it."
    } else {
        summary
    };
    let result = serde_json::json!({ "summary": summary }).to_string();
    SessionEnd::Finished { result: result.into() }
}

fn how(ended: &Ended) -> String {
    match ended {
        Ended::Exit { code } => format!("exit code {code}"),
        Ended::Signal { signal } => format!("signal {signal}"),
        Ended::Limit { limit } => format!("limit {limit}"),
    }
}
