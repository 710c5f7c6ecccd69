//! Asking the gateway the only way there is: with a permit from a warden.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bailiwick_gateway::{
    FlatPrice, Gateway, ModelAnswer, ModelError, PriceTable, ProviderConfig, ProviderKind,
};
use bailiwick_model::action::ModelCall;
use bailiwick_model::chat::{
    Block, ChatReply, ChatRequest, InvalidInput, Message, StopReason, SystemBlock, ToolSpec,
};
use bailiwick_model::event::Event;
use bailiwick_model::id::{BranchName, Person, RepoName, SessionId, SubtaskKey, TaskId};
use bailiwick_model::payload::Payload;
use bailiwick_model::subject::{Context, Role, Subject};
use bailiwick_model::task::MicroUsd;
use bailiwick_policy::{PolicySet, PolicySource};
use bailiwick_warden::{
    ActError, Bounds, BudgetBook, BudgetExceeded, Journal, JournalError, Reservation, Warden,
};
use serde_json::json;

use crate::server::{Answer, Server};

struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn append(&self, _: Vec<Event>) -> Result<u64, JournalError> {
        Ok(0)
    }
}

struct NoBudget;

impl BudgetBook for NoBudget {
    fn left(&self, _: TaskId) -> MicroUsd {
        MicroUsd(0)
    }

    fn reserve(&self, task: TaskId, amount: MicroUsd) -> Result<Reservation, BudgetExceeded> {
        Ok(Reservation { task, amount })
    }

    fn settle(&self, _: Reservation, _: MicroUsd) {}
}

const ALLOW: &str = r#"
@id("tests-ask") @reason("tests call models")
permit (principal, action == Action::"model_call", resource);
@id("tests-use-keys") @reason("tests send keys")
permit (principal, action == Action::"secret_use", resource);
"#;
const DENY: &str = r#"
@id("tests-do-not-ask") @reason("this test calls none") @hint("use the other policy")
forbid (principal, action == Action::"model_call", resource);
"#;

fn policy(text: &str) -> PolicySet {
    PolicySet::load(&[PolicySource { name: "test.cedar".into(), text: text.into() }]).unwrap()
}

/// A request without anything special.
pub(crate) fn request() -> ChatRequest {
    ChatRequest {
        model: "test-model".into(),
        system: vec![],
        messages: vec![Message::user("hello")],
        tools: vec![],
        max_output_tokens: 100,
        temperature: None,
    }
}

/// A request with everything that there is.
pub(crate) fn full_request() -> ChatRequest {
    let result = |id: &str, content: &str, is_error| Block::ToolResult {
        tool_use_id: id.into(),
        content: content.into(),
        is_error,
    };
    let call = |id: &str, name: &str, input, invalid_input| Block::ToolUse {
        id: id.into(),
        name: name.into(),
        input,
        invalid_input,
    };
    let thinking = |family: &str, payload| Block::Thinking { family: family.into(), payload };
    ChatRequest {
        model: "test-model".into(),
        system: vec![
            SystemBlock::stable("You are an implementor."),
            SystemBlock::plain("The task is below."),
            SystemBlock::plain(""),
        ],
        messages: vec![
            Message::user("Mend “it”."),
            Message::assistant(vec![
                thinking(
                    "anthropic",
                    json!({ "type": "thinking", "thinking": "hm", "signature": "s1" }),
                ),
                thinking("openai", json!({ "reasoning_content": "hm" })),
                Block::Text { text: "I look.".into() },
                call("c1", "read", json!({ "path": "a.rs", "first": 1 }), None),
                call(
                    "c2",
                    "run",
                    json!({}),
                    Some(InvalidInput { raw: "{\"argv\": [".into(), problem: "cut".into() }),
                ),
            ]),
            Message {
                author: bailiwick_model::chat::Author::User,
                blocks: vec![
                    Block::Text { text: "Go on.".into() },
                    result("c1", "fn main() {}", false),
                    result("c2", "the arguments are not JSON", true),
                ],
            },
        ],
        tools: vec![
            ToolSpec {
                name: "read".into(),
                description: "Reads a file.".into(),
                input_schema: json!({
                    "type": "object",
                    "properties": { "path": { "type": "string" } },
                    "required": ["path"],
                }),
            },
            ToolSpec {
                name: "run".into(),
                description: "Runs a command.".into(),
                input_schema: json!({ "type": "object" }),
            },
        ],
        max_output_tokens: 4096,
        temperature: Some(0.5),
    }
}

pub(crate) fn call(provider: &str, request: ChatRequest) -> ModelCall {
    ModelCall {
        provider: provider.into(),
        model: request.model.clone(),
        role: Role::Implementor,
        subtask: Some(SubtaskKey::parse("fix").unwrap()),
        round: 0,
        step: 1,
        prompt: Payload::from("[]"),
        request_digest: request.digest().unwrap(),
        estimate: MicroUsd(0),
        request: Some(Arc::new(request)),
    }
}

/// A provider at the server's address, free, with limits that a test can wait for.
pub(crate) fn config(kind: ProviderKind, server: &Server) -> ProviderConfig {
    let mut config = ProviderConfig::new("p", kind);
    config.base_url = Some(server.url());
    config.price = Some(FlatPrice::Free);
    config.retry_pause_ms = 1;
    config.max_retries = 2;
    config
}

pub(crate) fn gateway(configs: &[ProviderConfig]) -> Gateway {
    Gateway::new(configs, PriceTable::built_in().unwrap()).unwrap()
}

pub(crate) fn on_runtime<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub(crate) async fn perform(gateway: &Gateway, call: ModelCall) -> Result<ModelAnswer, ModelError> {
    match perform_under(ALLOW, gateway, call).await {
        Ok(answer) => Ok(answer),
        Err(ActError::Effect(error)) => Err(error),
        Err(other) => panic!("the warden refused: {other}"),
    }
}

/// As `perform`, under a policy that permits the call but not the use of a key; gives the code.
pub(crate) async fn perform_without_key(gateway: &Gateway, call: ModelCall) -> String {
    let no_keys = r#"
@id("no-keys") @reason("this test sends no key") @hint("use the other policy")
forbid (principal, action == Action::"secret_use", resource);
"#;
    match perform_under(&format!("{ALLOW}{no_keys}"), gateway, call).await {
        Err(ActError::Denied { denial, .. }) => denial.rules.join(","),
        other => panic!("not denied: {other:?}"),
    }
}

/// As `perform`, under a policy that denies it; gives the rules that did.
pub(crate) async fn perform_denied(gateway: &Gateway, call: ModelCall) -> Vec<String> {
    match perform_under(&format!("{ALLOW}{DENY}"), gateway, call).await {
        Err(ActError::Denied { denial, .. }) => denial.rules,
        other => panic!("not denied: {other:?}"),
    }
}

async fn perform_under(
    policy_text: &str,
    gateway: &Gateway,
    call: ModelCall,
) -> Result<ModelAnswer, ActError<ModelError>> {
    let policy = Arc::new(policy(policy_text));
    let warden = Warden::new(policy, Arc::new(NoJournal), Arc::new(NoBudget));
    hold(&warden);
    let subject = Subject {
        role: call.role,
        on_behalf_of: Person::parse("ada").unwrap(),
        task: None,
        subtask: None,
        session: Some(session()),
    };
    let context = Context {
        repo: RepoName::parse("demo").unwrap(),
        protected_branch: BranchName::parse("main").unwrap(),
        taint: BTreeSet::new(),
        scope: vec![],
        budget_left: MicroUsd(0),
        denials: 0,
        single_user: false,
        approvals: BTreeSet::new(),
        facts: bailiwick_model::subject::SessionFacts::default(),
    };
    let key = match gateway.credential(&call.provider) {
        Some(used) => Some(
            warden
                .perform(&subject, &context, used, |permit| async { gateway.unlock(permit) })
                .await?,
        ),
        None => None,
    };
    warden.perform(&subject, &context, call, |permit| gateway.call(permit, key)).await
}

/// An agent does nothing without a token: here one that allows everything.
pub(crate) fn hold(warden: &Warden) {
    let now = bailiwick_model::Timestamp::now();
    let bounds = Bounds::lasting(86_400, now);
    let token = warden.tokens().grant(&bounds, now).unwrap();
    warden.tokens().hold(session(), token);
}

pub(crate) fn session() -> SessionId {
    "01980000-0000-7000-8000-0000000000aa".parse().unwrap()
}

/// Asks one provider once.
pub(crate) fn ask_with(
    config: &ProviderConfig,
    request: ChatRequest,
) -> Result<ModelAnswer, ModelError> {
    let gateway = gateway(std::slice::from_ref(config));
    on_runtime(perform(&gateway, call(&config.name, request)))
}

/// Asks a server with these answers; gives the result and how many requests arrived.
pub(crate) fn ask(
    kind: ProviderKind,
    answers: Vec<Answer>,
    adjust: impl FnOnce(&mut ProviderConfig),
) -> (Result<ModelAnswer, ModelError>, usize) {
    let server = Server::start(answers);
    let mut config = config(kind, &server);
    adjust(&mut config);
    let result = ask_with(&config, request());
    (result, server.requests().len())
}

pub(crate) fn anthropic_events() -> String {
    [
        r#"{"type":"message_start","message":{"model":"m1","usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüß 🦀"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}"#,
        r#"{"type":"message_stop"}"#,
    ]
    .map(|data| format!("event: x\ndata: {data}\n\n"))
    .concat()
}

pub(crate) fn openai_events() -> String {
    [
        r#"{"model":"m1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"{"model":"m1","choices":[{"index":0,"delta":{"content":"Grüß 🦀"}}]}"#,
        r#"{"model":"m1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"model":"m1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}"#,
        "[DONE]",
    ]
    .map(|data| format!("data: {data}\n\n"))
    .concat()
}

pub(crate) fn events(kind: ProviderKind) -> String {
    match kind {
        ProviderKind::Anthropic => anthropic_events(),
        ProviderKind::Openai | ProviderKind::Scripted => openai_events(),
    }
}

/// A stream that works: the control of every fault.
pub(crate) fn good(kind: ProviderKind) -> Answer {
    Answer::Stream(vec![events(kind).into_bytes()])
}

pub(crate) fn good_reply() -> ChatReply {
    ChatReply {
        blocks: vec![Block::Text { text: "Grüß 🦀".into() }],
        stop: StopReason::EndTurn,
        usage: bailiwick_model::chat::Usage {
            input_tokens: 9,
            output_tokens: 4,
            ..Default::default()
        },
        model: "m1".into(),
    }
}

pub(crate) const BOTH: [ProviderKind; 2] = [ProviderKind::Anthropic, ProviderKind::Openai];
