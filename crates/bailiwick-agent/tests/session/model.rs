//! A model that answers from a script, by the step it is asked in.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bailiwick_agent::ModelPort;
use bailiwick_gateway::{Estimate, Gateway, KeyGrant, ModelAnswer, ModelError};
use bailiwick_model::action::{ModelCall, SecretUse};
use bailiwick_model::chat::{Block, ChatReply, ChatRequest, InvalidInput, StopReason, Usage};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::Permit;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) const ESTIMATE: MicroUsd = MicroUsd(100);
pub(crate) const COST: MicroUsd = MicroUsd(7);

/// What the model does in one step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// Tool and arguments.
    #[serde(default)]
    pub(crate) calls: Vec<(String, Value)>,
    /// Arguments that are not a JSON object, for tool `read`.
    #[serde(default)]
    pub(crate) broken: Option<String>,
    /// Fails instead.
    #[serde(default)]
    pub(crate) fails: bool,
}

impl Reply {
    fn blocks(&self, step: u32) -> Vec<Block> {
        let text = self.text.iter().map(|text| Block::Text { text: text.clone() });
        let calls = self.calls.iter().enumerate().map(|(at, (name, input))| Block::ToolUse {
            id: format!("call-{step}-{at}"),
            name: name.clone(),
            input: input.clone(),
            invalid_input: None,
        });
        let broken = self.broken.iter().map(|raw| Block::ToolUse {
            id: format!("broken-{step}"),
            name: "read".into(),
            input: serde_json::json!({}),
            invalid_input: Some(InvalidInput {
                raw: raw.clone(),
                problem: "it ends too early".into(),
            }),
        });
        text.chain(calls).chain(broken).collect()
    }
}

#[derive(Debug, Default)]
pub(crate) struct ScriptedModel {
    pub(crate) replies: Vec<Reply>,
    /// Every request that was sent, with its step.
    pub(crate) asked: Mutex<Vec<(u32, ChatRequest)>>,
    /// The real gateway, asked for nothing but the use of its keys.
    pub(crate) keys: Option<Gateway>,
    /// Cancelled when this step is asked for.
    pub(crate) cancels: BTreeMap<u32, CancellationToken>,
}

impl ScriptedModel {
    pub(crate) fn new(replies: &[Reply]) -> Self {
        Self { replies: replies.to_vec(), ..Self::default() }
    }

    pub(crate) fn steps_asked(&self) -> Vec<u32> {
        self.asked.lock().unwrap().iter().map(|(step, _)| *step).collect()
    }
}

#[async_trait]
impl ModelPort for ScriptedModel {
    fn estimate(&self, provider: &str, request: &ChatRequest) -> Result<Estimate, ModelError> {
        if request.model == "unpriced" {
            return Err(ModelError::Unpriced {
                provider: provider.into(),
                model: request.model.clone(),
            });
        }
        Ok(Estimate { input_tokens: 10, output_tokens: 10, cost: ESTIMATE })
    }

    fn credential(&self, provider: &str) -> Option<SecretUse> {
        self.keys.as_ref().and_then(|keys| keys.credential(provider))
    }

    fn unlock(&self, permit: Permit<SecretUse>) -> Result<KeyGrant, ModelError> {
        self.keys.as_ref().unwrap().unlock(permit)
    }

    async fn call(
        &self,
        permit: Permit<ModelCall>,
        key: Option<KeyGrant>,
    ) -> Result<ModelAnswer, ModelError> {
        assert_eq!(key.is_some(), self.keys.is_some());
        let call = permit.action();
        let request = call.request.as_deref().unwrap();
        assert_eq!(request.digest().unwrap(), call.request_digest);
        self.asked.lock().unwrap().push((call.step, request.clone()));
        if let Some(token) = self.cancels.get(&call.step) {
            token.cancel();
            std::future::pending::<()>().await;
        }
        let reply = self.replies.get(call.step as usize - 1);
        let reply = reply.unwrap_or_else(|| panic!("the script has no step {}", call.step));
        if reply.fails {
            return Err(ModelError::Malformed {
                provider: call.provider.clone(),
                problem: "no end".into(),
            });
        }
        let blocks = reply.blocks(call.step);
        let stop = StopReason::ToolUse;
        let usage = Usage { input_tokens: 5, output_tokens: 5, ..Usage::default() };
        let reply = ChatReply { blocks, stop, usage, model: call.model.clone() };
        Ok(ModelAnswer { reply, cost: COST, duration_ms: 1 })
    }
}
