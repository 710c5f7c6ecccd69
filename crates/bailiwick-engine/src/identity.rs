//! Changes of who may use the platform.

use bailiwick_model::event::Fact;
use bailiwick_model::id::Person;
use bailiwick_model::identity::{Account, AccountKind, IdentityChange, IdentityError, PersonRole};

use crate::engine::Engine;
use crate::error::EngineError;

impl From<IdentityError> for EngineError {
    fn from(error: IdentityError) -> Self {
        Self::State { code: error.code, message: error.message, hint: error.hint }
    }
}

impl Engine {
    /// Records a change of accounts, groups or tokens, if it may be made.
    ///
    /// The first one also makes the account of whoever makes it: they hold the data directory.
    pub async fn change_identity(
        &self,
        by: &Person,
        change: IdentityChange,
    ) -> Result<(), EngineError> {
        let _alone = self.one_at_a_time().await;
        let mut directory = self.parts().store.people(|people| people.directory.clone());
        let mut changes = Vec::new();
        if directory.is_open() {
            changes.push(IdentityChange::AccountAdded {
                account: Account {
                    name: by.clone(),
                    kind: AccountKind::Human,
                    roles: PersonRole::ALL.into(),
                    owner: true,
                    disabled: false,
                },
            });
        }
        changes.push(change);
        for change in &changes {
            directory.check(change)?;
            directory.apply_change(change);
        }
        let facts = changes
            .into_iter()
            .map(|change| Fact::IdentityChanged { by: by.clone(), change })
            .collect();
        self.record(facts).await
    }
}
