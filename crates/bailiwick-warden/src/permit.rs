//! The proof that an action was permitted and recorded.

use bailiwick_model::action::Act;
use bailiwick_model::id::ActionId;
use bailiwick_model::tier::Tier;

/// The right to do exactly one action, once.
///
/// It can't be made, cloned or altered outside this crate:
///
/// ```compile_fail
/// # use bailiwick_warden::Permit;
/// # use bailiwick_model::action::ToolCall;
/// fn twice(permit: Permit<ToolCall>) -> (Permit<ToolCall>, Permit<ToolCall>) {
///     (permit.clone(), permit)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit is spent by handing it to the effect"]
pub struct Permit<A: Act> {
    id: ActionId,
    action: A,
    tier: Option<Tier>,
}

impl<A: Act> Permit<A> {
    pub(crate) fn new(id: ActionId, action: A, tier: Option<Tier>) -> Self {
        Self { id, action, tier }
    }

    /// The action's id in the ledger.
    pub fn id(&self) -> ActionId {
        self.id
    }

    /// The weakest sandbox tier that a command may run in, as it was decided and recorded.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// The operands: all that the effect may use.
    pub fn action(&self) -> &A {
        &self.action
    }
}
