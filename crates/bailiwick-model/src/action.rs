//! Actions: everything an agent, a gate, the publisher or a person can cause.
//!
//! Each operand type below is what an effect is given, whole, by its permit. The same value is
//! what the ledger records, with long bytes as blobs; so what was decided is what is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chat::ChatRequest;
use crate::evidence::GateState;
use crate::id::{BranchName, Oid, Person, RepoName, SubtaskKey, TaskId};
use crate::path::WorkPath;
use crate::payload::{Digest, Payload};
use crate::subject::Role;
use crate::task::MicroUsd;

/// A call to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCall {
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Which role asks.
    pub role: Role,
    /// For which subtask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtask: Option<SubtaskKey>,
    /// The repair round, counted from 0.
    pub round: u32,
    /// The step in the session, counted from 1.
    pub step: u32,
    /// What is new since the step before, as JSON messages.
    pub prompt: Payload,
    /// SHA-256 of the whole request as JSON.
    pub request_digest: Digest,
    /// The upper estimate of its cost, reserved before the call.
    pub estimate: MicroUsd,
    /// The whole request. Not recorded again at each step: prompts and replies of the earlier
    /// steps already are, and the digest binds them.
    #[serde(skip)]
    pub request: Option<Arc<ChatRequest>>,
}

/// A call to a tool that has no effect outside the platform: submitting a plan, a verdict, a
/// review, or saying that the work is finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool.
    pub tool: String,
    /// Its arguments, as JSON.
    pub arguments: Payload,
}

/// Why a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// An agent's `run` tool.
    Tool,
    /// A deterministic gate or an acceptance check.
    Gate,
    /// Fetching dependencies before the agent starts.
    Setup,
}

/// A command in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments. Shell text is `["/bin/sh", "-c", text]`.
    pub argv: Vec<String>,
    /// The working directory.
    pub cwd: WorkPath,
    /// Variables added to the cage's own; never a credential.
    pub env: BTreeMap<String, String>,
    /// Why it is run.
    pub purpose: Purpose,
    /// Whether the cage has the host's network: only ever in the recorded set-up phase.
    pub network: bool,
    /// The most wall-clock time, in milliseconds.
    pub timeout_ms: u64,
}

impl Command {
    /// The shell text, when the command is `/bin/sh -c TEXT`.
    pub fn shell_text(&self) -> Option<&str> {
        match self.argv.as_slice() {
            [sh, flag, text] if flag == "-c" && matches!(sh.as_str(), "/bin/sh" | "sh") => {
                Some(text)
            }
            _ => None,
        }
    }

    /// The hosts of the addresses that it names, in lower case: `https://host/…`, `user@host:…`.
    pub fn hosts(&self) -> BTreeSet<String> {
        let text = self.display();
        let ends = |c: char| !(c.is_ascii_alphanumeric() || ".-_[]".contains(c));
        let mut hosts = BTreeSet::new();
        let mut add = |host: &str| {
            let host = host.split(ends).next().unwrap_or_default();
            if !host.is_empty() {
                hosts.insert(host.to_ascii_lowercase());
            }
        };
        for (at, sign) in text.match_indices("://") {
            let rest = text.get(at + sign.len()..).unwrap_or_default();
            let authority =
                rest.split(['/', '?', '#', ' ', '\'', '"', '\\']).next().unwrap_or_default();
            add(authority.rsplit('@').next().unwrap_or_default());
        }
        for word in text.split_whitespace().filter(|word| !word.contains("://")) {
            if let Some((_, rest)) = word.split_once('@')
                && let Some((host, _)) = rest.split_once(':')
            {
                add(host);
            }
        }
        hosts
    }

    /// The command as one line for people.
    pub fn display(&self) -> String {
        self.shell_text().map_or_else(|| self.argv.join(" "), str::to_owned)
    }
}

/// How a workspace is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum ReadMode {
    /// A range of a file's lines, counted from 1.
    Lines {
        /// The first line.
        first: u32,
        /// At most how many lines.
        count: u32,
    },
    /// The names below a directory.
    List {
        /// How many levels deep.
        depth: u32,
    },
    /// The lines below a directory that match a regular expression.
    Search {
        /// The expression.
        pattern: String,
    },
}

/// Reading a file, listing a directory or searching below one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRead {
    /// Where.
    pub path: WorkPath,
    /// How.
    pub mode: ReadMode,
}

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum WriteMode {
    /// The whole content, whether the file exists or not.
    Whole {
        /// The new content.
        content: Payload,
    },
    /// One exact piece of text, which must occur once, replaced by another.
    Edit {
        /// The text to replace.
        old: Payload,
        /// What comes in its place.
        new: Payload,
    },
}

/// Writing a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWrite {
    /// Which file.
    pub path: WorkPath,
    /// What.
    pub mode: WriteMode,
}

/// Use of a credential. The secret itself is in no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    /// The credential's name, such as `commit-signing-key` or `provider/anthropic`.
    pub name: String,
    /// What for.
    pub purpose: String,
}

/// A request to a host outside of the cage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRequest {
    /// `https` or `http`.
    pub scheme: String,
    /// The host, in lower case; never with a port, a user or a dot at its end.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The method, in capitals.
    pub method: String,
    /// The path, from its `/` on, without a query.
    pub path: String,
    /// SHA-256 of the query and the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_digest: Option<Digest>,
}

/// Reading a repository: importing it, or checking a commit out into a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoRead {
    /// The repository.
    pub repo: RepoName,
    /// The commit or tree to check out; none for an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Oid>,
    /// Where an import comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The branch to import or that the object belongs to.
    pub branch: BranchName,
}

/// Moving a branch on the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchPush {
    /// The repository.
    pub repo: RepoName,
    /// The branch.
    pub branch: BranchName,
    /// What it must be now; none when it must not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Oid>,
    /// What it becomes; none when it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Oid>,
    /// Whether the branch is protected.
    pub protected: bool,
}

/// Opening a pull request, or bringing an open one up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestOpen {
    /// The repository.
    pub repo: RepoName,
    /// The branch with the change.
    pub head: BranchName,
    /// The commit it must be at.
    pub head_commit: Oid,
    /// The branch it is for.
    pub base: BranchName,
    /// The title.
    pub title: String,
    /// The description, generated from recorded facts.
    pub body: Payload,
    /// On whose behalf.
    pub author: Person,
    /// What the gates say of the commit, shown beside the pull request.
    #[serde(default)]
    pub checks: Vec<CheckNote>,
}

/// What a gate says of a commit, in a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckNote {
    /// The gate.
    pub name: String,
    /// What it says.
    pub state: GateState,
    /// In a sentence.
    pub summary: String,
}

/// What a human says of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// It may be merged.
    Approve,
    /// It goes back to the implementor.
    RequestChanges,
    /// It is given up.
    Reject,
}

/// A human's review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewSubmit {
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub number: u64,
    /// Who.
    pub reviewer: Person,
    /// The commit that was shown.
    pub head: Oid,
    /// What they say.
    pub verdict: ReviewVerdict,
    /// In their words.
    pub body: Payload,
    /// Whether the requester is the reviewer.
    pub own_request: bool,
    /// Whether a simulated approver answers (`--yes`).
    pub simulated: bool,
}

/// How a pull request is merged.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// A merge commit with both parents.
    #[default]
    Merge,
    /// One commit on top of the base.
    Squash,
    /// The commits again on top of the base.
    Rebase,
}

/// Merging a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestMerge {
    /// The repository.
    pub repo: RepoName,
    /// The pull request.
    pub number: u64,
    /// The commit it must be at: the one that was gated and approved.
    pub head: Oid,
    /// The branch it goes into.
    pub base: BranchName,
    /// The commit that the base must be at: the one it was gated on.
    pub expected_base: Oid,
    /// How.
    pub method: MergeMethod,
    /// Whether every gate passed on `head`.
    pub gates_passed: bool,
    /// Whether the verifier accepted `head`.
    pub verified: bool,
    /// Who approved `head`.
    pub approved_by: Vec<Person>,
    /// Whether one of them is somebody other than the requester.
    pub independent_approval: bool,
    /// Trailers of the merge commit, each `Key: value`.
    pub trailers: Vec<String>,
    /// How large the change is; none when it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ChangeSize>,
    /// How many people its risk asks for.
    #[serde(default)]
    pub required_reviewers: u32,
    /// The owners of what it touches one of whom has to approve; empty when none is known here, or
    /// one of them did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners_missing: Vec<String>,
}

/// How large a change is, as policy asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSize {
    /// How many files it touches.
    pub files: u32,
    /// How many lines it adds and removes.
    pub lines: u32,
    /// How many parts of the repository it touches: directories at the top, tests and documents
    /// aside.
    pub areas: u32,
    /// Whether it touches a test.
    pub tests: bool,
}

/// Starting an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStart {
    /// The agent's role.
    pub role: Role,
    /// The kind of agent, such as `builtin`.
    pub agent: String,
    /// The provider of its model.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// The sandbox tier of its commands.
    pub tier: String,
    /// The instructions it starts with.
    pub instructions: Payload,
    /// The program that it is, which runs wholly inside the cage; none for the built-in loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<AgentProgram>,
}

/// The program of an agent, as it is started in a cage. Its instructions are its standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentProgram {
    /// Its version.
    pub version: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Variables added to the cage's own; placeholders in place of credentials.
    pub env: BTreeMap<String, String>,
    /// The port of the cage's loopback that leads to the gateway, and nowhere else.
    pub door: u16,
    /// The most wall-clock time, in milliseconds.
    pub timeout_ms: u64,
}

/// Giving a task more than it was accepted with. The decision is all there is to it: from the moment
/// in which a permit is recorded, the task has the budget and the tier that it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRaise {
    /// The task.
    pub task: TaskId,
    /// The repository that it is about.
    pub repo: RepoName,
    /// A larger budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRaise>,
    /// Another sandbox tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierChange>,
    /// Why.
    pub reason: String,
}

/// From one budget to a larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRaise {
    /// The budget so far.
    pub from: MicroUsd,
    /// The new one.
    pub to: MicroUsd,
}

/// From one sandbox tier to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierChange {
    /// The tier so far.
    pub from: String,
    /// The new one.
    pub to: String,
}

/// Any action, as it is decided and recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// See [`ModelCall`].
    ModelCall(ModelCall),
    /// See [`ToolCall`].
    ToolCall(ToolCall),
    /// See [`Command`].
    Command(Command),
    /// See [`FileRead`].
    FileRead(FileRead),
    /// See [`FileWrite`].
    FileWrite(FileWrite),
    /// See [`SecretUse`].
    SecretUse(SecretUse),
    /// See [`HostRequest`].
    #[serde(rename = "request")]
    HostRequest(HostRequest),
    /// See [`RepoRead`].
    RepoRead(RepoRead),
    /// See [`BranchPush`].
    BranchPush(BranchPush),
    /// See [`PullRequestOpen`].
    PullRequestOpen(PullRequestOpen),
    /// See [`ReviewSubmit`].
    ReviewSubmit(ReviewSubmit),
    /// See [`PullRequestMerge`].
    PullRequestMerge(PullRequestMerge),
    /// See [`AgentStart`].
    AgentStart(AgentStart),
    /// See [`TaskRaise`].
    TaskRaise(TaskRaise),
}

impl Action {
    /// The kind's name as it stands in policies, events and on screens.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ModelCall(_) => "model_call",
            Self::ToolCall(_) => "tool_call",
            Self::Command(_) => "command",
            Self::FileRead(_) => "file_read",
            Self::FileWrite(_) => "file_write",
            Self::SecretUse(_) => "secret_use",
            Self::HostRequest(_) => "request",
            Self::RepoRead(_) => "repo_read",
            Self::BranchPush(_) => "branch_push",
            Self::PullRequestOpen(_) => "pull_request_open",
            Self::ReviewSubmit(_) => "review_submit",
            Self::PullRequestMerge(_) => "pull_request_merge",
            Self::AgentStart(_) => "agent_start",
            Self::TaskRaise(_) => "task_raise",
        }
    }

    /// The action in one line, for people.
    pub fn summary(&self) -> String {
        match self {
            Self::ModelCall(call) => {
                format!("{} ({}), step {}", call.model, call.provider, call.step)
            }
            Self::ToolCall(call) => call.tool.clone(),
            Self::Command(command) => command.display(),
            Self::FileRead(read) => match &read.mode {
                ReadMode::Lines { .. } => format!("read {}", read.path),
                ReadMode::List { .. } => format!("list {}", read.path),
                ReadMode::Search { pattern } => format!("search {} for {pattern}", read.path),
            },
            Self::FileWrite(write) => match &write.mode {
                WriteMode::Whole { .. } => format!("write {}", write.path),
                WriteMode::Edit { .. } => format!("edit {}", write.path),
            },
            Self::SecretUse(secret) => format!("{} for {}", secret.name, secret.purpose),
            Self::HostRequest(request) => {
                let usual = if request.scheme == "https" { 443 } else { 80 };
                let port = Some(request.port).filter(|port| *port != usual);
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                format!(
                    "{} {}://{}{port}{}",
                    request.method, request.scheme, request.host, request.path
                )
            }
            Self::RepoRead(read) => match (&read.object, &read.source) {
                (Some(object), _) => format!("{} at {object}", read.repo),
                (None, Some(source)) => format!("{} from {source}", read.repo),
                (None, None) => read.repo.to_string(),
            },
            Self::BranchPush(push) => format!("{} {}", push.repo, push.branch),
            Self::PullRequestOpen(open) => {
                format!("{} {} into {}", open.repo, open.head, open.base)
            }
            Self::ReviewSubmit(review) => {
                format!("{} #{} {:?}", review.repo, review.number, review.verdict)
            }
            Self::PullRequestMerge(merge) => {
                format!("{} #{} into {}", merge.repo, merge.number, merge.base)
            }
            Self::AgentStart(start) => format!("{} ({})", start.role.name(), start.agent),
            Self::TaskRaise(raise) => {
                let budget =
                    raise.budget.map(|budget| format!("budget {} to {}", budget.from, budget.to));
                let tier =
                    raise.tier.as_ref().map(|tier| format!("tier {} to {}", tier.from, tier.to));
                let what: Vec<String> = budget.into_iter().chain(tier).collect();
                format!("{}: {} ({})", raise.task, what.join(", "), raise.reason)
            }
        }
    }

    /// Every payload in it, so that blobs are stored before the event that names them.
    pub fn payloads(&self) -> Vec<&Payload> {
        match self {
            Self::ModelCall(call) => vec![&call.prompt],
            Self::ToolCall(call) => vec![&call.arguments],
            Self::FileWrite(write) => match &write.mode {
                WriteMode::Whole { content } => vec![content],
                WriteMode::Edit { old, new } => vec![old, new],
            },
            Self::PullRequestOpen(open) => vec![&open.body],
            Self::ReviewSubmit(review) => vec![&review.body],
            Self::AgentStart(start) => vec![&start.instructions],
            Self::Command(_)
            | Self::FileRead(_)
            | Self::SecretUse(_)
            | Self::HostRequest(_)
            | Self::RepoRead(_)
            | Self::BranchPush(_)
            | Self::PullRequestMerge(_)
            | Self::TaskRaise(_) => Vec::new(),
        }
    }
}

/// An operand type: one kind of action.
pub trait Act: Clone + Send + Sync + 'static {
    /// The action as it is decided and recorded.
    fn to_action(&self) -> Action;

    /// What must be reserved in the task's budget before the effect.
    fn reservation(&self) -> MicroUsd {
        MicroUsd(0)
    }
}

macro_rules! act {
    ($($name:ident),*) => {
        $(impl Act for $name {
            fn to_action(&self) -> Action {
                Action::$name(self.clone())
            }
        })*
    };
}

act!(
    ToolCall,
    Command,
    FileRead,
    FileWrite,
    SecretUse,
    HostRequest,
    RepoRead,
    BranchPush,
    PullRequestOpen,
    ReviewSubmit,
    PullRequestMerge,
    AgentStart,
    TaskRaise
);

impl Act for ModelCall {
    fn to_action(&self) -> Action {
        Action::ModelCall(self.clone())
    }

    fn reservation(&self) -> MicroUsd {
        self.estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_that_a_command_names() {
        for (text, hosts) in [
            ("curl https://Files.Example/a?b=c", vec!["files.example"]),
            ("git clone git@forge.example:shop.git", vec!["forge.example"]),
            (
                "wget 'http://ada:secret@a.example:8080/x' ftp://b.example",
                vec!["a.example", "b.example"],
            ),
            ("cargo fetch --locked", vec![]),
            ("echo ://", vec![]),
            ("npm install left@1.0", vec![]),
        ] {
            let command = Command {
                argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
                cwd: WorkPath::root(),
                env: BTreeMap::new(),
                purpose: Purpose::Setup,
                network: true,
                timeout_ms: 1,
            };
            let found: Vec<String> = command.hosts().into_iter().collect();
            assert_eq!(found, hosts, "{text}");
        }
    }
}
