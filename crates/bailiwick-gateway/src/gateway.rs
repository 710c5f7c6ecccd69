//! The one door to models: a permit goes in, a reply comes out.

use std::collections::BTreeMap;
use std::time::Instant;

use bailiwick_model::action::{ModelCall, SecretUse};
use bailiwick_model::chat::{Author, ChatReply, ChatRequest, Usage};
use bailiwick_model::outcome::{Outcome, Recorded};
use bailiwick_model::payload::{Digest, Payload};
use bailiwick_model::task::MicroUsd;
use bailiwick_warden::Permit;

use crate::check::{self, ProviderCheck};
use crate::config::{ConfigError, FlatPrice, ProviderConfig, ProviderKind};
use crate::error::ModelError;
use crate::http::HttpProvider;
use crate::inbound::Protocol;
use crate::key::KeyGrant;
use crate::price::{self, Estimate, ModelPrice, PriceTable};
use crate::relay::{Relay, RelaySink};
use crate::scripted::{Labels, Scripted};

/// All configured model providers.
#[derive(Debug)]
pub struct Gateway {
    providers: BTreeMap<String, Provider>,
    prices: PriceTable,
}

#[derive(Debug)]
struct Provider {
    config: ProviderConfig,
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Http(Box<HttpProvider>),
    Scripted(Scripted),
}

/// A model's reply with what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAnswer {
    /// The reply.
    pub reply: ChatReply,
    /// What it cost, by the price table.
    pub cost: MicroUsd,
    /// How long it took, retries included, in milliseconds.
    pub duration_ms: u64,
}

impl Recorded for ModelAnswer {
    fn outcome(&self) -> Outcome {
        Outcome::Model {
            // Plain data with text keys can always be written.
            reply: Payload::new(serde_json::to_vec(&self.reply).unwrap_or_default()),
            usage: self.reply.usage,
            cost: self.cost,
            duration_ms: self.duration_ms,
        }
    }
}

impl Gateway {
    /// Makes the gateway: checks every provider, reads every script and every key. A key that
    /// can't be had is no error here: it is one of the calls that need it, and
    /// [`Gateway::check`] reports it.
    ///
    /// # Errors
    /// Fails on the first configuration that can't be used.
    pub fn new(configs: &[ProviderConfig], prices: PriceTable) -> Result<Self, ConfigError> {
        let mut gateway = Self { providers: BTreeMap::new(), prices };
        for config in configs {
            config.validate()?;
            let backend = match config.kind {
                ProviderKind::Anthropic | ProviderKind::Openai => {
                    Backend::Http(Box::new(HttpProvider::new(config)?))
                }
                ProviderKind::Scripted => Backend::Scripted(read_script(config)?),
            };
            gateway.add(config.clone(), backend)?;
        }
        Ok(gateway)
    }

    /// Adds a scripted provider whose script is embedded in the program.
    ///
    /// # Errors
    /// Fails when the name is taken.
    pub fn with_script(
        mut self,
        name: impl Into<String>,
        script: Scripted,
    ) -> Result<Self, ConfigError> {
        let config = ProviderConfig::new(name, ProviderKind::Scripted);
        config.validate()?;
        self.add(config, Backend::Scripted(script))?;
        Ok(self)
    }

    fn add(&mut self, config: ProviderConfig, backend: Backend) -> Result<(), ConfigError> {
        let name = config.name.clone();
        if self.providers.contains_key(&name) {
            return Err(ConfigError::Duplicate { provider: name });
        }
        self.providers.insert(name, Provider { config, backend });
        Ok(())
    }

    /// Asks a model. Every operand comes from the permit, which is spent whatever happens; retries
    /// of what was certainly not billed happen under the same permit.
    ///
    /// Safe to cancel: the connection is dropped; the call may have been billed.
    ///
    /// ```
    /// # use bailiwick_gateway::{Gateway, ModelAnswer, ModelError};
    /// # use bailiwick_model::action::ModelCall;
    /// # use bailiwick_warden::Permit;
    /// async fn ask(gateway: &Gateway, permit: Permit<ModelCall>) -> Result<ModelAnswer, ModelError> {
    ///     gateway.call(permit, None).await
    /// }
    /// ```
    ///
    /// Without a permit there is no call, and with one there is one:
    ///
    /// ```compile_fail,E0308
    /// # use bailiwick_gateway::{Gateway, ModelAnswer, ModelError};
    /// # use bailiwick_model::action::ModelCall;
    /// async fn ask(gateway: &Gateway, call: ModelCall) -> Result<ModelAnswer, ModelError> {
    ///     gateway.call(call, None).await
    /// }
    /// ```
    ///
    /// ```compile_fail,E0382
    /// # use bailiwick_gateway::{Gateway, ModelAnswer, ModelError};
    /// # use bailiwick_model::action::ModelCall;
    /// # use bailiwick_warden::Permit;
    /// async fn ask(gateway: &Gateway, permit: Permit<ModelCall>) -> Result<ModelAnswer, ModelError> {
    ///     gateway.call(permit, None).await?;
    ///     gateway.call(permit, None).await
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`ModelError`]; [`ModelError::billing`] says what a failure may have cost.
    pub async fn call(
        &self,
        permit: Permit<ModelCall>,
        key: Option<KeyGrant>,
    ) -> Result<ModelAnswer, ModelError> {
        let call = permit.action();
        let provider = self.unlocked(&call.provider, key)?;
        let request = permitted_request(call)?;
        let price = self.price(&call.provider, &call.model)?;
        let started = Instant::now();
        let reply = match &provider.backend {
            Backend::Http(http) => http.call(request).await?,
            Backend::Scripted(script) => {
                script.answer(Labels::of(call), request).map_err(ModelError::ScriptMismatch)?
            }
        };
        Ok(answered(reply, &price, started))
    }

    /// Whether calls of a protocol can be passed on to a provider as they are.
    #[must_use]
    pub fn passes_on(&self, provider: &str, protocol: Protocol) -> bool {
        let Some(provider) = self.providers.get(provider) else { return false };
        let Backend::Http(http) = &provider.backend else { return false };
        protocol.family() == Some(provider.config.kind)
            && (protocol != Protocol::Responses || http.endpoint.responses)
    }

    /// Passes a call on as its client wrote it; the answer goes to `sink` while it comes in, and is
    /// given back as it was understood. Every operand comes from the permit.
    ///
    /// Safe to cancel as [`Gateway::call`] is.
    ///
    /// ```compile_fail,E0308
    /// # use bailiwick_gateway::{Gateway, ModelAnswer, ModelError, Relay, RelaySink};
    /// async fn ask(gateway: &Gateway, relay: Relay, sink: &mut RelaySink) {
    ///     gateway.relay(relay, None, sink).await;
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`ModelError`].
    pub async fn relay(
        &self,
        permit: Permit<Relay>,
        key: Option<KeyGrant>,
        sink: &mut RelaySink,
    ) -> Result<ModelAnswer, ModelError> {
        let relay = permit.action();
        let call = &relay.call;
        let provider = self.unlocked(&call.provider, key)?;
        let unsendable = |problem: &str| ModelError::Unsendable {
            provider: call.provider.clone(),
            problem: problem.to_owned(),
        };
        // INVARIANT: what is sent is what the ledger has the digest of.
        if Digest::of(&relay.body) != call.request_digest {
            return Err(unsendable("the request is not the one that was recorded"));
        }
        let Backend::Http(http) = &provider.backend else {
            return Err(unsendable("a script answers no request of another program"));
        };
        if !self.passes_on(&call.provider, relay.protocol) {
            return Err(unsendable("the provider does not speak the protocol of the request"));
        }
        let price = self.price(&call.provider, &call.model)?;
        let started = Instant::now();
        let reply = http.relay(relay, sink).await?;
        Ok(answered(reply, &price, started))
    }

    /// Estimates a call that is passed on, on the high side: from its bytes, and from the most
    /// tokens that its answer may have.
    ///
    /// # Errors
    /// As [`Gateway::price`].
    pub fn estimate_relay(
        &self,
        provider: &str,
        model: &str,
        body_bytes: usize,
        max_output_tokens: u32,
    ) -> Result<Estimate, ModelError> {
        let price = self.price(provider, model)?;
        Ok(price::estimate_bytes(body_bytes, max_output_tokens, &price))
    }

    /// The provider, when the use of its key was permitted or it has none.
    fn unlocked(&self, name: &str, key: Option<KeyGrant>) -> Result<&Provider, ModelError> {
        let provider = self.provider(name)?;
        let granted = key.is_some_and(|grant| grant.is_for(name));
        if !granted && self.credential(name).is_some() {
            return Err(ModelError::Unsendable {
                provider: name.to_owned(),
                problem: "the use of its key was not permitted".to_owned(),
            });
        }
        Ok(provider)
    }

    /// The use of a credential that a call of this provider is; none when no key goes with it.
    #[must_use]
    pub fn credential(&self, provider: &str) -> Option<SecretUse> {
        let provider = self.providers.get(provider)?;
        provider.config.api_key.as_ref()?;
        Some(SecretUse {
            name: format!("provider/{}", provider.config.name),
            purpose: "model call".to_owned(),
        })
    }

    /// Turns the permitted use of a provider's key into the right to send it with one call.
    ///
    /// # Errors
    /// Fails when the permit is for something else.
    pub fn unlock(&self, permit: Permit<SecretUse>) -> Result<KeyGrant, ModelError> {
        let used = permit.action();
        let provider = used.name.strip_prefix("provider/").unwrap_or_default();
        if self.credential(provider).as_ref() == Some(used) {
            return Ok(KeyGrant::new(provider.to_owned()));
        }
        Err(ModelError::Unsendable {
            provider: provider.to_owned(),
            problem: format!("`{}` is no key of a provider", used.name),
        })
    }

    /// Returns the names of all providers, sorted.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.providers.keys().map(String::as_str)
    }

    /// Says whether a provider answers from a script, which every screen, pull request and ledger
    /// entry then says too. An unknown provider is not scripted.
    #[must_use]
    pub fn is_scripted(&self, provider: &str) -> bool {
        let provider = self.providers.get(provider);
        provider.is_some_and(|provider| matches!(provider.backend, Backend::Scripted(_)))
    }

    /// Returns what a model costs: by the provider's own configuration, else by the table.
    ///
    /// # Errors
    /// Fails with [`ModelError::UnknownProvider`] or [`ModelError::Unpriced`].
    pub fn price(&self, provider: &str, model: &str) -> Result<ModelPrice, ModelError> {
        let found = self.provider(provider)?;
        if let Some(price) = found.config.models.get(model) {
            return Ok(*price);
        }
        if matches!(found.backend, Backend::Scripted(_))
            || found.config.price == Some(FlatPrice::Free)
        {
            return Ok(ModelPrice::FREE);
        }
        self.prices.price(found.config.kind, model).ok_or_else(|| ModelError::Unpriced {
            provider: provider.to_owned(),
            model: model.to_owned(),
        })
    }

    /// Estimates a call on the high side, for the reservation in a budget.
    ///
    /// # Errors
    /// As [`Gateway::price`].
    pub fn estimate(&self, provider: &str, request: &ChatRequest) -> Result<Estimate, ModelError> {
        Ok(price::estimate(request, &self.price(provider, &request.model)?))
    }

    /// Returns what a usage costs.
    ///
    /// # Errors
    /// As [`Gateway::price`].
    pub fn cost(&self, provider: &str, model: &str, usage: &Usage) -> Result<MicroUsd, ModelError> {
        Ok(price::cost(usage, &self.price(provider, model)?))
    }

    /// Checks one provider without asking its model anything: whether its key is there, and
    /// whether a connection comes about. No credential and no request is sent.
    ///
    /// # Errors
    /// Fails with [`ModelError::UnknownProvider`].
    pub async fn check(&self, provider: &str) -> Result<ProviderCheck, ModelError> {
        let found = self.provider(provider)?;
        Ok(match &found.backend {
            Backend::Http(http) => check::http(&found.config, http).await,
            Backend::Scripted(_) => check::scripted(&found.config),
        })
    }

    /// Checks every provider as [`Gateway::check`] does, sorted by name.
    pub async fn doctor(&self) -> Vec<ProviderCheck> {
        let mut checks = Vec::new();
        for provider in self.providers.values() {
            checks.push(match &provider.backend {
                Backend::Http(http) => check::http(&provider.config, http).await,
                Backend::Scripted(_) => check::scripted(&provider.config),
            });
        }
        checks
    }

    fn provider(&self, name: &str) -> Result<&Provider, ModelError> {
        self.providers.get(name).ok_or_else(|| {
            let known: Vec<String> =
                self.provider_names().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            ModelError::UnknownProvider { provider: name.to_owned(), known }
        })
    }
}

fn answered(reply: ChatReply, price: &ModelPrice, started: Instant) -> ModelAnswer {
    let cost = price::cost(&reply.usage, price);
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    ModelAnswer { reply, cost, duration_ms }
}

fn read_script(config: &ProviderConfig) -> Result<Scripted, ConfigError> {
    let path = config
        .script
        .as_ref()
        .ok_or_else(|| config.field_error("script", "is needed for kind `scripted`"))?;
    Scripted::from_file(path).map_err(|source| ConfigError::Script {
        provider: config.name.clone(),
        source: Box::new(source),
    })
}

/// Returns the request that was decided on and recorded; any other is refused.
fn permitted_request(call: &ModelCall) -> Result<&ChatRequest, ModelError> {
    let unsendable = |problem: &str| ModelError::Unsendable {
        provider: call.provider.clone(),
        problem: problem.to_owned(),
    };
    let request =
        call.request.as_deref().ok_or_else(|| unsendable("the permit carries no request"))?;
    // INVARIANT: what is sent is what the ledger has the digest of.
    if !request.digest().is_ok_and(|digest| digest == call.request_digest) {
        return Err(unsendable("the request is not the one that was recorded"));
    }
    if request.model != call.model {
        return Err(unsendable("the request names another model than the permit"));
    }
    if request.max_output_tokens == 0 {
        return Err(unsendable("`max_output_tokens` is 0"));
    }
    if request.messages.last().is_none_or(|message| message.author != Author::User) {
        return Err(unsendable("the last message is not the user's"));
    }
    Ok(request)
}
