//! One turn: what a reply asks for, done call by call through the warden.

use std::collections::BTreeSet;

use bailiwick_model::action::{
    Act as _, Command, FileRead, FileWrite, ReadMode, ToolCall, WriteMode,
};
use bailiwick_model::chat::{Block, ChatReply, InvalidInput, canonical_json};
use bailiwick_model::event::ToolResult;
use bailiwick_model::id::{ActionId, ApprovalId, Oid};
use bailiwick_model::outcome::{EffectError, NoEffect};
use bailiwick_model::payload::Payload;
use bailiwick_model::remark::Message;
use bailiwick_model::subject::{Context, Subject, Taint, TaintOrigin};
use bailiwick_sandbox::Sandbox;
use bailiwick_warden::{ActError, Warden};
use serde_json::Value;

use crate::arguments::{self, Request};
use crate::effect;
use crate::port::{Interruptible, interruptible};
use crate::run::{FROZEN, RunError, TIER_MISSING};
use crate::session::Session;
use crate::telling;
use crate::tool::Tool;
use crate::transcript::ToldResult;

/// What a turn changes.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    warden: &'a Warden,
    session: &'a Session,
    subject: Subject,
    /// What the session has read so far.
    pub(crate) taint: BTreeSet<Taint>,
    /// How many of its actions were denied so far.
    pub(crate) denials: u32,
    /// Whether the workspace may be another than before.
    pub(crate) changed: bool,
    /// What the calls gave.
    pub(crate) results: Vec<ToldResult>,
    /// What people were asked to approve: the session waits for it after this turn.
    pub(crate) waits: Option<(ApprovalId, Vec<String>)>,
    /// The tree that the turn began with.
    pub(crate) tree: Option<Oid>,
    /// Where the labels came from, the first of each.
    pub(crate) origins: Vec<TaintOrigin>,
    /// What is being done, in a line.
    doing: String,
}

struct Call<'a> {
    id: &'a str,
    name: &'a str,
    input: &'a Value,
    invalid_input: Option<&'a InvalidInput>,
}

struct Told {
    text: String,
    is_error: bool,
    action: Option<ActionId>,
}

impl Told {
    fn refused(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, action: None }
    }
}

impl<'a> Turn<'a> {
    /// A turn of a session that has read and been denied so much.
    pub(crate) fn new(
        warden: &'a Warden,
        session: &'a Session,
        taint: BTreeSet<Taint>,
        denials: u32,
    ) -> Self {
        Self {
            warden,
            session,
            subject: session.subject(),
            taint,
            denials,
            changed: false,
            results: Vec::new(),
            waits: None,
            tree: None,
            origins: Vec::new(),
            doing: String::new(),
        }
    }

    /// Does what `reply` asks for, in its order. Not an error: whatever the model can be told.
    pub(crate) async fn take(&mut self, reply: &ChatReply) -> Result<(), RunError> {
        let calls = reply.blocks.iter().filter_map(|block| match block {
            Block::ToolUse { id, name, input, invalid_input } => {
                Some(Call { id, name, input, invalid_input: invalid_input.as_ref() })
            }
            Block::Text { .. } | Block::ToolResult { .. } | Block::Thinking { .. } => None,
        });
        for call in calls {
            let told = match self.not_run() {
                Some(why) => Told::refused(why),
                None => self.call(&call).await?,
            };
            self.results.push(ToldResult {
                recorded: ToolResult {
                    tool_use_id: call.id.to_owned(),
                    tool: call.name.to_owned(),
                    action: told.action,
                    content: Payload::from(told.text.as_str()),
                    is_error: told.is_error,
                },
                text: told.text,
            });
        }
        Ok(())
    }

    /// The facts that the next action is decided in.
    pub(crate) fn context(&self) -> Context {
        let mut context = self.session.context.clone();
        context.taint.clone_from(&self.taint);
        context.denials = self.denials;
        context.facts.tree.clone_from(&self.tree);
        context.facts.tree_changed = self.changed;
        context.facts.origins.clone_from(&self.origins);
        context
    }

    fn not_run(&self) -> Option<String> {
        let limits = &self.session.limits;
        let submission = &self.session.submission.tool.name;
        if self
            .results
            .iter()
            .any(|result| result.recorded.tool == *submission && !result.recorded.is_error)
        {
            return Some(format!("not run: `{submission}` ended the session before"));
        }
        if self.waits.is_some() {
            return Some("not run: the session waits for an approval first".to_owned());
        }
        if self.denials >= limits.max_denials {
            return Some("not run: too many actions of this session were denied".to_owned());
        }
        (self.results.len() >= limits.max_calls_per_step).then(|| {
            format!(
                "not run: one reply may have at most {} tool calls; ask again",
                limits.max_calls_per_step
            )
        })
    }

    async fn call(&mut self, call: &Call<'_>) -> Result<Told, RunError> {
        if self.session.cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        if let Some(invalid) = call.invalid_input {
            let raw = telling::up_to(&invalid.raw, 200);
            return Ok(Told::refused(format!(
                "the arguments are not a JSON object: {}; nothing was run. They begin with: {raw}",
                invalid.problem
            )));
        }
        if call.name == self.session.submission.tool.name {
            return self.submit(call).await;
        }
        let tool = Tool::named(call.name).filter(|tool| self.session.tools.contains(tool));
        let (Some(tool), Some(sandbox)) = (tool, self.session.sandbox.as_deref()) else {
            return Ok(Told::refused(self.no_such_tool(call.name)));
        };
        match arguments::parse(tool, call.input, &self.session.limits) {
            Err(problem) => Ok(Told::refused(format!("{problem}; nothing was run"))),
            Ok(Request::Read(read)) => self.read(sandbox, read).await,
            Ok(Request::Write(write)) => self.write(sandbox, write).await,
            Ok(Request::Run(command)) => self.run(sandbox, command).await,
        }
    }

    fn no_such_tool(&self, name: &str) -> String {
        let name = telling::up_to(name, 80);
        let offered = self.session.offered();
        let names: Vec<String> = offered.iter().map(|tool| format!("`{}`", tool.name)).collect();
        format!("there is no tool `{name}`; the tools are {}", names.join(", "))
    }

    async fn submit(&mut self, call: &Call<'_>) -> Result<Told, RunError> {
        if self.results.iter().any(|result| result.recorded.is_error) {
            return Ok(Told::refused(format!(
                "`{}` is not accepted: an earlier call of the same reply failed; look at its answer first",
                call.name
            )));
        }
        if let Err(problem) = (self.session.submission.check)(call.input) {
            return Ok(Told::refused(format!(
                "`{}` is not accepted: {problem}; mend it and call it again",
                call.name
            )));
        }
        let arguments = canonical_json(call.input).map_err(|source| RunError::Encode { source })?;
        let action = ToolCall { tool: call.name.to_owned(), arguments: arguments.into() };
        let mut id = None;
        let done = self
            .warden
            .perform(&self.subject, &self.context(), action, |permit| {
                id = Some(permit.id());
                std::future::ready(Ok::<(), Interruptible<NoEffect>>(()))
            })
            .await;
        self.told(done, id, |()| ("accepted".to_owned(), false))
    }

    async fn read(&mut self, sandbox: &dyn Sandbox, read: FileRead) -> Result<Told, RunError> {
        let first = match &read.mode {
            ReadMode::Lines { first, .. } => *first,
            ReadMode::List { .. } | ReadMode::Search { .. } => 1,
        };
        let mut id = None;
        self.doing = read.to_action().summary();
        let done = self
            .warden
            .perform(&self.subject, &self.context(), read, |permit| {
                id = Some(permit.id());
                interruptible(&self.session.cancel, sandbox.read(permit))
            })
            .await;
        if id.is_some() {
            self.label(Taint::Repository);
        }
        self.told(done, id, |answer| (effect::read_text(&answer, first), false))
    }

    async fn write(&mut self, sandbox: &dyn Sandbox, write: FileWrite) -> Result<Told, RunError> {
        let edits = matches!(write.mode, WriteMode::Edit { .. });
        let path = write.path.clone();
        let mut id = None;
        self.doing = write.to_action().summary();
        let done = self
            .warden
            .perform(&self.subject, &self.context(), write, |permit| {
                id = Some(permit.id());
                interruptible(&self.session.cancel, sandbox.write(permit))
            })
            .await;
        if id.is_some() {
            self.changed = true;
            // Why an edit does not fit says something about the file.
            if edits {
                self.label(Taint::Repository);
            }
        }
        if let (true, Err(ActError::Effect(Interruptible::Effect(error)))) = (edits, &done)
            && error.code() == "file.conflict"
        {
            let text = telling::failed(&error.code(), &error.to_string(), Some(effect::EDIT_HINT));
            return Ok(self.kept(&text, true, id));
        }
        self.told(done, id, |answer| (effect::written_text(&path, &answer), false))
    }

    async fn run(&mut self, sandbox: &dyn Sandbox, command: Command) -> Result<Told, RunError> {
        let mut id = None;
        self.doing = command.to_action().summary();
        let done = self
            .warden
            .perform(&self.subject, &self.context(), command, |permit| {
                id = Some(permit.id());
                interruptible(&self.session.cancel, sandbox.run(permit))
            })
            .await;
        if id.is_some() {
            self.changed = true;
            self.label(Taint::CommandOutput);
        }
        self.told(done, id, |answer| effect::ended_text(&answer))
    }

    /// What came of an action, in words for the model.
    fn told<T, E: EffectError>(
        &mut self,
        done: Result<T, ActError<Interruptible<E>>>,
        id: Option<ActionId>,
        say: impl FnOnce(T) -> (String, bool),
    ) -> Result<Told, RunError> {
        let (text, is_error, action) = match done {
            Ok(value) => {
                let (text, is_error) = say(value);
                (text, is_error, id)
            }
            Err(ActError::Denied { denial, .. }) if denial.code == FROZEN => {
                return Err(RunError::Frozen { reason: denial.reason });
            }
            Err(ActError::Denied { id, denial }) => {
                self.denials = self.denials.saturating_add(1);
                (telling::denied(&denial), true, Some(id))
            }
            Err(ActError::NeedsApproval { id, groups, approval: Some(approval), .. }) => {
                let text = telling::waits(&groups, approval);
                self.waits = Some((approval, groups));
                (text, true, Some(id))
            }
            Err(ActError::NeedsApproval { id, groups, rules, approval: None }) => {
                self.denials = self.denials.saturating_add(1);
                (telling::needs_approval(&groups, &rules), true, Some(id))
            }
            Err(ActError::Unrecordable(source) | ActError::OutcomeUnrecorded(source)) => {
                return Err(RunError::Ledger { source });
            }
            Err(ActError::Effect(Interruptible::Cancelled)) => return Err(RunError::Cancelled),
            // A model can't install it, and everything else of the session would be refused alike.
            Err(ActError::Effect(Interruptible::Effect(error))) if error.code() == TIER_MISSING => {
                let hint = error.hint().unwrap_or_default();
                return Err(RunError::TierMissing { reason: format!("{error} ({hint})") });
            }
            Err(ActError::Effect(error)) => (
                telling::failed(&error.code(), &error.to_string(), error.hint().as_deref()),
                true,
                id,
            ),
        };
        Ok(self.kept(&text, is_error, action))
    }

    /// Takes note of what a person said: it may quote what anybody wrote.
    pub(crate) fn heard(&mut self, message: &Message) {
        self.doing = format!("a message from {}", message.by);
        for taint in (self.session.labeller)(&message.text) {
            self.label(taint);
        }
    }

    /// Labels the session, and keeps where the first of each label came from.
    fn label(&mut self, taint: Taint) {
        if self.taint.insert(taint) {
            self.origins.push(TaintOrigin { taint, from: self.doing.clone() });
        }
    }

    /// The text as the model is told it: its taint noted, and within its cap.
    fn kept(&mut self, text: &str, is_error: bool, action: Option<ActionId>) -> Told {
        for taint in (self.session.labeller)(text) {
            self.label(taint);
        }
        let text = telling::capped(text, self.session.limits.max_tool_result_bytes);
        Told { text, is_error, action }
    }
}
