//! The command line.

mod approval;
mod operation;
mod people;
mod supply;

use std::path::PathBuf;

use bailiwick_model::action::MergeMethod;
use bailiwick_model::id::{BranchName, CommentId, Person, RepoName, SubtaskKey};
use bailiwick_model::identity::Operation;
use bailiwick_sandbox::Tier;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use approval::{ApprovalVerb, BreakGlassVerb, FreezeVerb, ThawArguments, Word};
pub(crate) use operation::operation;
pub(crate) use people::{AccessArguments, GroupVerb, TokenVerb, UserVerb};
pub(crate) use supply::{IndexVerb, OnlineIndex, SbomArguments};

/// From a task to a merged pull request, governed.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, about, long_about = None, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Configuration file (default: bailiwick.toml here, if there is one).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Data directory.
    #[arg(long, global = true, value_name = "DIR", env = crate::data_dir::DATA_VARIABLE, default_value = "bailiwick-data")]
    pub(crate) data: PathBuf,
    /// One JSON object on standard output, and nothing else there.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The person who acts (default: `platform.person`, or the user name).
    #[arg(long = "as", global = true, value_name = "PERSON")]
    pub(crate) person: Option<Person>,
    /// A server to speak to instead of the data directory; needs a token in `BAILIWICK_TOKEN`.
    #[arg(long, global = true, value_name = "URL", env = crate::data_dir::SERVER_VARIABLE)]
    pub(crate) server: Option<String>,
    /// What the command asks of the platform.
    #[arg(skip)]
    pub(crate) operation: Option<Operation>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The whole loop on a bundled repository with a scripted model.
    Demo(DemoArguments),
    /// One task to a pull request, with live progress.
    Run(RunArguments),
    /// The server: API, git over HTTP, and workers.
    Serve(ServeArguments),
    /// A link that signs you in once in a browser, at the running server.
    SignIn,
    /// Tasks: list, show, logs, cancel, retry.
    #[command(subcommand)]
    Task(TaskVerb),
    /// Pull requests: list, show, approve, request-changes, reject, merge.
    #[command(subcommand)]
    Pr(PrVerb),
    /// Approves a pull request (the same as `pr approve`).
    Approve(ReviewArguments),
    /// Repositories on the embedded forge: list, import.
    #[command(subcommand)]
    Repo(RepoVerb),
    /// The ledger: verify, show, prove, key.
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// The policy: show, check, test, explain, replay, prove, diff, publish.
    #[command(subcommand)]
    Policy(PolicyVerb),
    /// The gates on any repository, without the rest of the platform: run, list, explain.
    #[command(subcommand)]
    Gate(GateVerb),
    /// The bill of materials of a commit, in the form of `CycloneDX` 1.6.
    Sbom(SbomArguments),
    /// Snapshots of package indexes, for the gate `slopsquat`: build, show.
    #[command(subcommand)]
    Index(IndexVerb),
    /// The configuration: check, schema.
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Requests for approval: list, show, grant, deny, delegate.
    #[command(subcommand)]
    Approval(ApprovalVerb),
    /// Stops something at once, in every process: dispatch, push, merge, a model, a tool, a
    /// repository, or all.
    #[command(subcommand)]
    Freeze(FreezeVerb),
    /// Lets something go on that was frozen; needs a second person.
    Thaw(ThawArguments),
    /// Emergencies, in which gates stand open for a time because two people said so: list, declare,
    /// confirm, end.
    #[command(subcommand)]
    BreakGlass(BreakGlassVerb),
    /// Accounts: list, add, roles, disable, enable.
    #[command(subcommand)]
    User(UserVerb),
    /// Groups of people: list, add, remove, join, leave.
    #[command(subcommand)]
    Group(GroupVerb),
    /// API tokens: create, list, revoke.
    #[command(subcommand)]
    Token(TokenVerb),
    /// Who you are here, and what you may do.
    Whoami,
    /// The kinds of agents: versions, and what the platform can do with each.
    Agents,
    /// Sandboxes: run.
    #[command(subcommand)]
    Sandbox(SandboxVerb),
    /// What works on this machine, and how to get what does not.
    Doctor,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxVerb {
    /// Runs a command of yours in a sandbox and gives its exit code.
    Run(SandboxRunArguments),
}

#[derive(Debug, Args)]
pub(crate) struct SandboxRunArguments {
    /// The tier: worktree, process, container, gvisor or microvm (default: `sandbox.tier` of the
    /// configuration). One that this machine has not is an error.
    #[arg(long)]
    pub(crate) tier: Option<Tier>,
    /// A directory whose copy becomes the workspace (default: an empty one). What the command
    /// changes there is thrown away.
    #[arg(long, value_name = "PATH")]
    pub(crate) repo: Option<PathBuf>,
    /// The workspace can't be written.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Wall-clock time, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Memory, in MiB.
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u64>,
    /// Processes and threads.
    #[arg(long, value_name = "N")]
    pub(crate) pids: Option<u64>,
    /// The command, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Let a simulated approver answer; labelled as such everywhere.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Keep the data directory of an earlier demonstration instead of starting anew.
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TaskInput {
    /// What is to be done.
    #[arg(value_name = "TASK", conflicts_with_all = ["file", "spec"])]
    pub(crate) text: Option<String>,
    /// Take the task from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "spec")]
    pub(crate) file: Option<PathBuf>,
    /// Take a specification with acceptance checks from a file.
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// The text was written by somebody else (an issue, a comment): label it as untrusted.
    #[arg(long)]
    pub(crate) untrusted: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Protocol {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI chat completions.
    Openai,
}

#[derive(Debug, Args)]
pub(crate) struct ModelChoice {
    /// Provider, by its name in the configuration.
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// A model server by its address, without configuration.
    #[arg(long, value_name = "URL", requires = "protocol", conflicts_with = "provider")]
    pub(crate) model_url: Option<String>,
    /// The protocol that `--model-url` speaks.
    #[arg(long, requires = "model_url")]
    pub(crate) protocol: Option<Protocol>,
    /// Environment variable with the key for `--model-url`.
    #[arg(long, value_name = "NAME", requires = "model_url")]
    pub(crate) api_key_env: Option<String>,
    /// Answers from a script instead of a model; labelled as such everywhere.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "model_url"])]
    pub(crate) script: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) input: TaskInput,
    /// The repository: a path to import, or the name of one on the forge.
    #[arg(long, value_name = "PATH|NAME")]
    pub(crate) repo: String,
    /// The branch the pull request is for (default: the repository's own).
    #[arg(long)]
    pub(crate) branch: Option<BranchName>,
    #[command(flatten)]
    pub(crate) model: ModelChoice,
    /// The kind of agent that implements (default: `task.agent`, the built-in loop);
    /// `bailiwick agents` lists them.
    #[arg(long, value_name = "KIND")]
    pub(crate) agent: Option<String>,
    /// The most it may cost, in US dollars.
    #[arg(long, value_name = "USD")]
    pub(crate) budget: Option<String>,
    /// Let a simulated approver answer, and merge; labelled as such everywhere.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Requester and approver may be one person; shown and recorded.
    #[arg(long)]
    pub(crate) single_user: bool,
    /// Stop when the pull request is open instead of asking for approval here.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) no_wait: bool,
    /// A file of rules of its own, `.toml` or `.cedar`, which only narrow what is done for it. Can
    /// be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) narrow: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Address and port.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskVerb {
    /// Lists the newest tasks.
    List {
        /// At most how many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Shows a task: stages, subtasks, refusals, cost.
    Show(TaskId),
    /// Shows everything recorded of a task, an entry a line.
    Logs {
        #[command(flatten)]
        task: TaskId,
        /// Go on as things happen.
        #[arg(long)]
        follow: bool,
    },
    /// Ends a task.
    Cancel {
        #[command(flatten)]
        task: TaskId,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Asks for a larger budget or another sandbox tier for a task; say the same again once it is
    /// approved.
    Raise {
        #[command(flatten)]
        task: TaskId,
        /// The new budget, in US dollars.
        #[arg(long, value_name = "USD")]
        budget: Option<String>,
        /// The tier: worktree, process, container, gvisor or microvm.
        #[arg(long)]
        tier: Option<Tier>,
        /// Why it is needed.
        #[arg(long)]
        reason: String,
    },
    /// Takes a task up again that failed, was cancelled, or waits for an answer.
    Retry(TaskId),
    /// Says something to the agent at work: it hears it before it next asks its model.
    Steer {
        #[command(flatten)]
        task: TaskId,
        /// What to say.
        #[arg(long, short)]
        message: String,
        /// The subtask, when several are at work.
        #[arg(long)]
        subtask: Option<SubtaskKey>,
    },
    /// Holds a task before its next action, across restarts too.
    Pause {
        #[command(flatten)]
        task: TaskId,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lets a paused task go on, and takes it further until it is over or waits for a person.
    Resume(TaskId),
}

#[derive(Debug, Args)]
pub(crate) struct TaskId {
    /// The task's id, or the last characters of it.
    #[arg(value_name = "TASK")]
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The pull request's number.
    pub(crate) number: u64,
    /// The repository (default: the only one there is).
    #[arg(long)]
    pub(crate) repo: Option<RepoName>,
}

#[derive(Debug, Args)]
pub(crate) struct ReviewArguments {
    #[command(flatten)]
    pub(crate) change: Change,
    /// What to say.
    #[arg(long, short, default_value = "")]
    pub(crate) message: String,
    /// The commit you looked at (default: the newest, which is then shown).
    #[arg(long, value_name = "COMMIT")]
    pub(crate) head: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CommentArguments {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The file and the line, counted from 1, such as `src/lib.rs:12`.
    #[arg(value_name = "PATH:LINE")]
    pub(crate) place: String,
    /// The line is one of before the change.
    #[arg(long)]
    pub(crate) old: bool,
    /// What to say.
    #[arg(long, short)]
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Method {
    /// A merge commit.
    Merge,
    /// One commit.
    Squash,
    /// The commits again.
    Rebase,
}

impl From<Method> for MergeMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Merge => Self::Merge,
            Method::Squash => Self::Squash,
            Method::Rebase => Self::Rebase,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum PrVerb {
    /// Lists pull requests.
    List {
        /// The repository (default: all).
        #[arg(long)]
        repo: Option<RepoName>,
    },
    /// Shows a pull request: description, and the diff with the step that made each hunk.
    Show(Change),
    /// Shows only what changed since you last reviewed it.
    Since(Change),
    /// Remarks on a line; it goes to the implementor when you ask for changes.
    Comment(CommentArguments),
    /// Answers a remark.
    Answer {
        #[command(flatten)]
        change: Change,
        /// The id of the remark that began the thread.
        comment: CommentId,
        /// What to say.
        #[arg(long, short)]
        message: String,
    },
    /// Says that a thread of remarks is done with.
    Resolve {
        #[command(flatten)]
        change: Change,
        /// The id of the remark that began it.
        comment: CommentId,
    },
    /// Says that a thread of remarks is not done with after all.
    Reopen {
        #[command(flatten)]
        change: Change,
        /// The id of the remark that began it.
        comment: CommentId,
    },
    /// Approves it.
    Approve(ReviewArguments),
    /// Whether the risk score says anything: what was merged, and what of it was taken back later.
    Calibration,
    /// Sends it back to the implementor.
    RequestChanges(ReviewArguments),
    /// Gives it up.
    Reject(ReviewArguments),
    /// Merges an approved one.
    Merge {
        #[command(flatten)]
        change: Change,
        /// How.
        #[arg(long, value_enum, default_value = "merge")]
        method: Method,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RepoVerb {
    /// Lists repositories.
    List,
    /// Imports one from a path, or brings it up to date.
    Import {
        /// Where it is.
        path: PathBuf,
        /// Its name on the forge (default: the directory's).
        #[arg(long)]
        name: Option<RepoName>,
        /// The branch (default: the one checked out there).
        #[arg(long)]
        branch: Option<BranchName>,
    },
    /// Shows or sets who may do what in one. Without a right given, it shows.
    Access(AccessArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerVerb {
    /// Verifies a ledger on its files alone; needs no server and no database.
    Verify {
        /// The ledger's directory.
        dir: PathBuf,
        /// The key you trust, from outside the directory: the text, or a file with it.
        #[arg(long, value_name = "KEY|FILE")]
        key: Option<String>,
        /// A checkpoint you kept from before, from outside the directory.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Shows entries.
    Show {
        /// The first entry.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// At most how many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Lets work go on without entries about people that are damaged, and of which nobody knows what
    /// they said.
    AcceptDamage {
        /// What you found, and what you did about it.
        #[arg(long)]
        reason: String,
    },
    /// Proves that one entry is in a ledger, for somebody who has nothing but the key.
    Prove {
        /// The ledger's directory.
        dir: PathBuf,
        /// The entry.
        index: u64,
    },
    /// Prints the public key that others should keep.
    Key,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// What is in force: layers, alerts, and the text of every policy.
    Show {
        /// A candidate instead: a starter, a bundle, a directory, a file.
        candidate: Option<String>,
        /// As Cedar, the short form compiled.
        #[arg(long)]
        cedar: bool,
    },
    /// Checks policies: schema, never failing, unreachable, shadowed and over-broad rules.
    Check {
        /// Starters, bundles, directories, files (default: what is configured).
        candidates: Vec<String>,
    },
    /// Decides the examples that are kept beside policies.
    Test {
        /// Starters, bundles, directories, files (default: what is configured).
        candidates: Vec<String>,
    },
    /// Why an action was, or would be, decided as it is, and the narrowest change that would allow it.
    Explain(ExplainArguments),
    /// Decides every recorded action anew under a candidate.
    Replay {
        /// A starter, a bundle, a directory, a file.
        candidate: String,
        /// Only what was decided in this time, such as `30d` or `12h`.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
    },
    /// Proves the named invariants, or one.
    Prove(ProveArguments),
    /// How two policies differ, rule by rule.
    Diff {
        /// A starter, a bundle, a directory, a file.
        before: String,
        /// Another.
        after: String,
    },
    /// Checks, proves, tests and signs a directory as a bundle.
    Publish(PublishArguments),
    /// Makes a key that signs bundles, and prints what others trust.
    Key {
        /// The file of the private key; made if it is not there.
        file: PathBuf,
        /// The name it signs under.
        #[arg(long, default_value = "organisation/policy")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// An entry of the ledger, an action's id, or an action: `command: curl example.com`.
    pub(crate) what: String,
    /// In which role.
    #[arg(long, default_value = "implementor")]
    pub(crate) role: String,
    /// For which repository.
    #[arg(long, default_value = "shop")]
    pub(crate) repo: String,
    /// What differs from the usual circumstances, as JSON: `{"taint": ["secret"]}`.
    #[arg(long, value_name = "JSON")]
    pub(crate) context: Option<String>,
    /// Under a candidate instead of what is configured.
    #[arg(long, value_name = "CANDIDATE")]
    pub(crate) policy: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArguments {
    /// The invariant's name (default: all).
    pub(crate) invariant: Option<String>,
    /// A candidate instead of what is configured.
    #[arg(long, value_name = "CANDIDATE")]
    pub(crate) policy: Option<String>,
    /// Requests of your own that must never be permitted, as a Cedar `permit`.
    #[arg(long, value_name = "CEDAR", conflicts_with = "invariant")]
    pub(crate) never: Option<String>,
    /// The solver in place of `policy.solver`: a `cvc5`, a Python that has it, or `off`.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) solver: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// The directory with the policies and their examples.
    pub(crate) directory: String,
    /// The private key, as `policy key` makes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Where the bundle is written; an older one is replaced in one step.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The bundle's name.
    #[arg(long, default_value = "organisation")]
    pub(crate) name: String,
    /// Its number (default: one more than the bundle that is replaced).
    #[arg(long)]
    pub(crate) serial: Option<u64>,
    /// When it stops being good, such as `2027-01-31T00:00:00Z`.
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Publish although an invariant is not proved; each that is not is named.
    #[arg(long)]
    pub(crate) unproved: bool,
    /// The solver in place of `policy.solver`: a `cvc5`, a Python that has it, or `off`.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) solver: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GateVerb {
    /// Runs the gates that read content on a change. Exit code 0: nothing new; 1: something
    /// blocks; 3: a person has to look, or a gate could not judge.
    Run(GateRunArguments),
    /// Lists all gates.
    List,
    /// Explains a rule, or all rules of a gate.
    Explain {
        /// The rule, such as `secrets/github-token`, or a gate.
        rule: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GateRunArguments {
    /// What the change is compared with: a branch, tag or commit. Rules are read from there. From
    /// a branch that moved on, its common ancestor with the change is taken. Default: the
    /// protected branch; with `--staged`, the last commit.
    #[arg(long, value_name = "REV")]
    pub(crate) base: Option<String>,
    /// The change: a branch, tag or commit, or `worktree` for the files as they are (default).
    #[arg(long, value_name = "REV|worktree", conflicts_with = "staged")]
    pub(crate) head: Option<String>,
    /// The change is what is staged: for a pre-commit hook.
    #[arg(long)]
    pub(crate) staged: bool,
    /// Where the repository is.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) repo: PathBuf,
    /// Only these gates.
    #[arg(long = "gate", value_name = "NAME")]
    pub(crate) gates: Vec<String>,
    /// A file with the message of a commit that is being made, or the text of a pull request.
    #[arg(long, value_name = "FILE")]
    pub(crate) message: Option<PathBuf>,
    /// Advisories in the OSV form, for the gate `dependencies`.
    #[arg(long, value_name = "DIR")]
    pub(crate) advisories: Option<PathBuf>,
    /// Snapshots of package indexes, for the gate `slopsquat`.
    #[arg(long, value_name = "DIR")]
    pub(crate) index: Option<PathBuf>,
    /// Ask this index over HTTP about added names, for the gate `slopsquat`; once for each ecosystem
    /// (cargo, npm, pypi, go, maven).
    #[arg(long, value_name = "ECOSYSTEM=URL")]
    pub(crate) online_index: Vec<OnlineIndex>,
    /// Write the findings as SARIF 2.1.0.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Checks the configuration.
    Check,
    /// Prints the JSON Schema of the configuration.
    Schema,
}
