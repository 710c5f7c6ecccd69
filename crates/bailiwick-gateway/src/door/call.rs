//! One model call of an agent's program: decided, recorded, made, and answered in its protocol.

use std::sync::Arc;

use bailiwick_model::action::ModelCall;
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_model::subject::{Context, Taint};
use bailiwick_warden::ActError;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderMap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, note};
use super::record::is_tool_answer;
use super::serve::Floor;
use super::{Door, Shut};
use crate::error::ModelError;
use crate::gateway::ModelAnswer;
use crate::inbound::{Asked, Carried, ClientError, Protocol, read};
use crate::key::KeyGrant;
use crate::relay::{Relay, RelayHead, RelaySink};
use crate::rewrite::rewrite;

/// Headers with which a client of Anthropic asks for features.
const FEATURES: [&str; 2] = ["anthropic-version", "anthropic-beta"];
/// The longest of them that is passed on.
const MAX_FEATURE_BYTES: usize = 2_000;
/// The code of a denial because of a freeze.
const FROZEN: &str = "freeze.in_force";

/// A call that was read and numbered.
struct Numbered {
    asked: Asked,
    /// What is sent when it is passed on: the session's model, and no secret.
    body: Arc<[u8]>,
    call: ModelCall,
    context: Context,
}

impl Door {
    pub(super) async fn ask(
        self: &Arc<Self>,
        asked: Asked,
        headers: &HeaderMap,
        body: &[u8],
        floor: &Floor,
    ) -> Answer {
        let protocol = asked.protocol;
        let numbered = match self.number(&asked, body) {
            Ok(numbered) => numbered,
            Err(error) => return self.refuse(protocol, &error),
        };
        if self.session.gateway.passes_on(&self.session.provider, protocol) {
            self.pass_on(numbered, headers, floor).await
        } else {
            self.translate(numbered, floor).await
        }
    }

    /// Cleans a request, and finds out what is new in it and what it may cost.
    fn number(&self, asked: &Asked, body: &[u8]) -> Result<Numbered, ClientError> {
        let session = &self.session;
        if self.halt.is_cancelled() {
            return Err(ClientError::new(403, "session.over", "the session may not go on"));
        }
        let clean = rewrite(body, &session.model, |text| {
            let clean = bailiwick_scan::redact(text);
            (!clean.matches.is_empty()).then(|| clean.text.into_owned())
        });
        // What was asked is looked at again as it will be sent.
        let asked = Asked { wish: asked.wish.clone(), ..read(asked.protocol, &clean.bytes)? };
        let estimate = session
            .gateway
            .estimate_relay(
                &session.provider,
                &session.model,
                clean.bytes.len(),
                asked.max_output_tokens,
            )
            .map_err(|error| ClientError::from(&error))?;
        let mut course = self.course();
        if course.calls >= session.max_calls {
            drop(course);
            let reason = format!("the agent's program made all of its {} calls", session.max_calls);
            let error = ClientError::new(403, "session.too_many_calls", reason.as_str());
            self.close(Shut::Limit {
                code: "session.too_many_steps",
                reason,
                hint: "split the task into smaller ones, or raise the limit",
            });
            return Err(error);
        }
        course.calls = course.calls.saturating_add(1);
        let step = session.calls_before.saturating_add(course.calls);
        let (new, text) = course.said.new_in(&asked);
        course.taint.extend((session.labeller)(&text));
        if clean.redacted > 0 {
            course.taint.insert(Taint::Secret);
        }
        if asked.pieces().into_iter().any(is_tool_answer) {
            course.taint.extend([Taint::Repository, Taint::CommandOutput]);
        }
        let context = Context {
            taint: course.taint.clone(),
            denials: course.denials,
            budget_left: session.context.budget_left.minus(course.spent),
            ..session.context.clone()
        };
        let call = ModelCall {
            provider: session.provider.clone(),
            model: session.model.clone(),
            role: session.role,
            subtask: session.subtask.clone(),
            round: session.round,
            step,
            prompt: Payload::from(new.to_string()),
            request_digest: Digest::of(&clean.bytes),
            estimate: estimate.cost,
            request: None,
        };
        Ok(Numbered { asked, body: clean.bytes.into(), call, context })
    }

    /// The same family: the client's own bytes go out, and the server's own come back.
    async fn pass_on(
        self: &Arc<Self>,
        numbered: Numbered,
        headers: &HeaderMap,
        floor: &Floor,
    ) -> Answer {
        let Numbered { asked, body, call, context } = numbered;
        let protocol = asked.protocol;
        let stream = asked.stream;
        let mut features = Vec::new();
        if protocol == Protocol::Anthropic {
            for name in FEATURES {
                let value = headers.get(name).and_then(|value| value.to_str().ok());
                if let Some(value) = value.filter(|value| value.len() <= MAX_FEATURE_BYTES) {
                    features.push((name, value.to_owned()));
                }
            }
        }
        let relay = Relay { call, protocol, body, stream, features };
        let (sink, head, pieces) = RelaySink::new();
        let (failed, failure) = oneshot::channel();
        let (door, over) = (Arc::clone(self), floor.over.clone());
        floor.tasks.spawn(async move {
            let errors = sink.pieces.clone();
            let mut sink = sink;
            let Err(error) = door.relayed(relay, &context, &mut sink, &over).await else { return };
            // Before the head the answer is an error; after it the stream ends with one.
            if let Err(error) = failed.send(error)
                && stream
                && !sink.whole
            {
                let _gone = errors.send(Bytes::from(error.event(protocol))).await;
            }
        });
        self.relayed_answer(protocol, head, pieces, failure).await
    }

    async fn relayed_answer(
        self: &Arc<Self>,
        protocol: Protocol,
        head: oneshot::Receiver<RelayHead>,
        pieces: mpsc::Receiver<Bytes>,
        failure: oneshot::Receiver<ClientError>,
    ) -> Answer {
        match head.await {
            Ok(RelayHead { stream, request_id }) => {
                // From here on nobody waits for an error: it goes into the stream.
                drop(failure);
                let kind = if stream { "text/event-stream" } else { "application/json" };
                let mut answer = self.pieces(kind, pieces);
                if let Some(id) = request_id {
                    note(&mut answer, "request-id", &id);
                }
                answer
            }
            Err(_) => {
                let error = failure.await.unwrap_or_else(|_| given_up());
                self.refuse(protocol, &error)
            }
        }
    }

    async fn relayed(
        &self,
        relay: Relay,
        context: &Context,
        sink: &mut RelaySink,
        over: &CancellationToken,
    ) -> Result<(), ClientError> {
        let gateway = &self.session.gateway;
        let provider = relay.call.provider.clone();
        let key = self.key(context).await;
        let done = match key {
            Ok(key) => {
                self.session
                    .warden
                    .perform(&self.session.subject, context, relay, |permit| async {
                        tokio::select! {
                            biased;
                            () = over.cancelled() => Err(ModelError::ClientGone { provider }),
                            answer = gateway.relay(permit, key, sink) => answer,
                        }
                    })
                    .await
            }
            Err(error) => Err(error),
        };
        self.settled(done).map(drop)
    }

    /// Another family, or a script: the request is put into the neutral form and back.
    async fn translate(self: &Arc<Self>, numbered: Numbered, floor: &Floor) -> Answer {
        let Numbered { asked, mut call, context, .. } = numbered;
        let (protocol, stream, step) = (asked.protocol, asked.stream, call.step);
        let (request, carried) = match asked.neutral(&self.session.model) {
            Ok(neutral) => neutral,
            Err(error) => return self.refuse(protocol, &error),
        };
        let digest = request.digest();
        let Ok(digest) = digest else {
            return self.refuse(protocol, &ClientError::bad("it can't be written as JSON"));
        };
        call.request_digest = digest;
        call.request = Some(Arc::new(request));
        let (told, answer) = oneshot::channel();
        let (door, over) = (Arc::clone(self), floor.over.clone());
        floor.tasks.spawn(async move {
            // A client that went away does not end the call: it may be billed either way.
            let _gone = told.send(door.translated(call, &context, &over).await);
        });
        let answered = answer.await.unwrap_or_else(|_| Err(given_up()));
        match answered {
            Ok(answered) => self.in_protocol(protocol, stream, &answered, &carried, step),
            Err(error) => self.refuse(protocol, &error),
        }
    }

    async fn translated(
        &self,
        call: ModelCall,
        context: &Context,
        over: &CancellationToken,
    ) -> Result<ModelAnswer, ClientError> {
        let gateway = &self.session.gateway;
        let provider = call.provider.clone();
        let done = match self.key(context).await {
            Ok(key) => {
                self.session
                    .warden
                    .perform(&self.session.subject, context, call, |permit| async {
                        tokio::select! {
                            biased;
                            () = over.cancelled() => Err(ModelError::ClientGone { provider }),
                            answer = gateway.call(permit, key) => answer,
                        }
                    })
                    .await
            }
            Err(error) => Err(error),
        };
        self.settled(done)
    }

    fn in_protocol(
        &self,
        protocol: Protocol,
        stream: bool,
        answered: &ModelAnswer,
        carried: &Carried,
        step: u32,
    ) -> Answer {
        let mut answer = if stream {
            let text = protocol.stream(&answered.reply, carried, step);
            self.bytes(StatusCode::OK, "text/event-stream", Bytes::from(text))
        } else {
            self.json(StatusCode::OK, &protocol.whole(&answered.reply, carried, step))
        };
        if !carried.left_out.is_empty() {
            let left_out: Vec<&str> = carried.left_out.iter().map(String::as_str).collect();
            note(&mut answer, "x-bailiwick-left-out", &left_out.join(", "));
        }
        answer
    }

    /// The right to use the provider's key, decided and recorded like everything else.
    async fn key(&self, context: &Context) -> Result<Option<KeyGrant>, ActError<ModelError>> {
        let gateway = &self.session.gateway;
        match gateway.credential(&self.session.provider) {
            None => Ok(None),
            Some(used) => {
                let subject = &self.session.subject;
                let unlocked =
                    self.session
                        .warden
                        .perform(subject, context, used, |permit| async { gateway.unlock(permit) });
                unlocked.await.map(Some)
            }
        }
    }

    /// Draws the consequences of how a call went, and gives what the client is told.
    fn settled(
        &self,
        done: Result<ModelAnswer, ActError<ModelError>>,
    ) -> Result<ModelAnswer, ClientError> {
        let error = match done {
            Ok(answer) => {
                let mut course = self.course();
                course.answered = course.answered.saturating_add(1);
                course.spent = course.spent.plus(answer.cost);
                return Ok(answer);
            }
            Err(error) => error,
        };
        match error {
            ActError::Effect(error) => Err(ClientError::from(&error)),
            ActError::Unrecordable(source) | ActError::OutcomeUnrecorded(source) => {
                self.close(Shut::Ledger(source));
                Err(ClientError::new(500, "ledger.unwritable", "the ledger can't be written"))
            }
            ActError::NeedsApproval { groups, approval: Some(approval), .. } => {
                let error = ClientError::new(
                    403,
                    "policy.needs_approval",
                    format!("this waits for the approval of {}", groups.join(" and ")),
                );
                self.close(Shut::WaitsForApproval { approval, groups });
                Err(error)
            }
            denied => {
                let code = denied.code();
                let message = format!("{denied}; {}", denied.hint());
                if code == FROZEN {
                    self.close(Shut::Frozen { reason: denied.to_string() });
                } else {
                    self.denied(&code, &message);
                }
                Err(ClientError::new(403, code, message))
            }
        }
    }

    fn denied(&self, code: &str, message: &str) {
        let (denials, most) = {
            let mut course = self.course();
            course.denials = course.denials.saturating_add(1);
            (course.denials, self.session.max_denials)
        };
        if code == "budget.exhausted" {
            self.close(Shut::Limit {
                code: "budget.exhausted",
                reason: message.to_owned(),
                hint: "start the task again with a larger `--budget`",
            });
        } else if denials >= most {
            self.close(Shut::Limit {
                code: "session.too_many_denials",
                reason: format!("{denials} calls of the session were denied"),
                hint: "look at what was denied in the session's trace; widen the policy, or word the task so that it does not need them",
            });
        }
    }
}

fn given_up() -> ClientError {
    ClientError::new(503, "session.over", "the session is over")
}
