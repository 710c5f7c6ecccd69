//! The seams of the loop: the way to models, small enough to be scripted in a test, and effects
//! that a cancelled run does not wait for.

use std::future::Future;

use async_trait::async_trait;
use bailiwick_gateway::{Estimate, Gateway, KeyGrant, ModelAnswer, ModelError};
use bailiwick_model::action::{ModelCall, SecretUse};
use bailiwick_model::chat::ChatRequest;
use bailiwick_model::outcome::EffectError;
use bailiwick_warden::Permit;
use tokio_util::sync::CancellationToken;

/// A way to models: the gateway, and a script in tests of the loop.
#[async_trait]
pub trait ModelPort: Send + Sync {
    /// Estimates a call on the high side, for the reservation in the budget.
    fn estimate(&self, provider: &str, request: &ChatRequest) -> Result<Estimate, ModelError>;

    /// The use of a credential that a call of this provider is; none when no key goes with it.
    fn credential(&self, provider: &str) -> Option<SecretUse>;

    /// Turns the permitted use of a key into the right to send it with one call.
    fn unlock(&self, permit: Permit<SecretUse>) -> Result<KeyGrant, ModelError>;

    /// Makes the permitted call. What can be tried again was tried again when it fails.
    async fn call(
        &self,
        permit: Permit<ModelCall>,
        key: Option<KeyGrant>,
    ) -> Result<ModelAnswer, ModelError>;
}

#[async_trait]
impl ModelPort for Gateway {
    fn estimate(&self, provider: &str, request: &ChatRequest) -> Result<Estimate, ModelError> {
        Self::estimate(self, provider, request)
    }

    fn credential(&self, provider: &str) -> Option<SecretUse> {
        Self::credential(self, provider)
    }

    fn unlock(&self, permit: Permit<SecretUse>) -> Result<KeyGrant, ModelError> {
        Self::unlock(self, permit)
    }

    async fn call(
        &self,
        permit: Permit<ModelCall>,
        key: Option<KeyGrant>,
    ) -> Result<ModelAnswer, ModelError> {
        Self::call(self, permit, key).await
    }
}

/// The error of an effect that a cancelled run gives up in the middle.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Interruptible<E: EffectError> {
    /// It failed by itself.
    #[error(transparent)]
    Effect(E),
    /// The run was cancelled while it was under way.
    #[error("the run was cancelled while this was under way")]
    Cancelled,
}

impl<E: EffectError> EffectError for Interruptible<E> {
    fn code(&self) -> String {
        match self {
            Self::Effect(error) => error.code(),
            Self::Cancelled => "session.cancelled".to_owned(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Effect(error) => error.hint(),
            Self::Cancelled => Some("`task retry` takes it up again".to_owned()),
        }
    }

    fn possibly_done(&self) -> bool {
        match self {
            Self::Effect(error) => error.possibly_done(),
            Self::Cancelled => true,
        }
    }
}

/// Waits for an effect, or for the run's cancellation: then the effect is dropped, and its
/// outcome is recorded as unknown.
pub(crate) async fn interruptible<T, E: EffectError>(
    cancel: &CancellationToken,
    effect: impl Future<Output = Result<T, E>>,
) -> Result<T, Interruptible<E>> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Interruptible::Cancelled),
        result = effect => result.map_err(Interruptible::Effect),
    }
}
