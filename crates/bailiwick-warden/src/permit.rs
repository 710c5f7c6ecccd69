//! The proof that an action was permitted and recorded.

use bailiwick_model::action::Act;
use bailiwick_model::id::ActionId;

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
}

impl<A: Act> Permit<A> {
    pub(crate) fn new(id: ActionId, action: A) -> Self {
        Self { id, action }
    }

    /// The action's id in the ledger.
    pub fn id(&self) -> ActionId {
        self.id
    }

    /// The operands: all that the effect may use.
    pub fn action(&self) -> &A {
        &self.action
    }
}
