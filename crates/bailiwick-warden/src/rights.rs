//! What is done for somebody is never more than they may do themselves, on the forge that has the
//! repository.

use bailiwick_model::action::Action;
use bailiwick_model::id::{Person, RepoName};
use bailiwick_model::identity::{RepoRight, repo_of};
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::verdict::Denial;

use crate::warden::Warden;

/// Every code that a refusal for lack of a right on the forge can have, with what it means.
pub const RIGHTS_CODES: [(&str, &str); 2] = [
    ("forge.right_missing", "the person it is done for may not do this in the repository"),
    ("forge.rights_unknown", "the forge does not say what the person may do"),
];

impl Warden {
    /// Whether a person may do this much in a repository; why not, as a refusal.
    ///
    /// # Errors
    /// They may not, or the forge does not say.
    pub async fn check_right(
        &self,
        person: &Person,
        repo: &RepoName,
        needed: RepoRight,
    ) -> Result<(), Denial> {
        let Some(rights) = &self.rights else { return Ok(()) };
        match rights.right_of(person, repo).await {
            Ok(right) if right >= needed => Ok(()),
            Ok(right) => Err(Denial {
                code: "forge.right_missing".to_owned(),
                rules: vec!["rights on the forge".to_owned()],
                reason: format!(
                    "`{person}` has the right `{}` in the repository `{repo}`, and this needs `{}`",
                    right.name(),
                    needed.name()
                ),
                hint: format!(
                    "an operator says who may do what: `bailiwick repo access {repo} --{} {person}`",
                    needed.name()
                ),
            }),
            Err(error) => Err(Denial {
                code: "forge.rights_unknown".to_owned(),
                rules: vec!["rights on the forge".to_owned()],
                reason: format!(
                    "what `{person}` may do in the repository `{repo}` can't be found out: {error}"
                ),
                hint: "try again once the forge answers; until then nothing is done".to_owned(),
            }),
        }
    }

    /// Why an action is more than whoever it is done for may do, if it is.
    pub(crate) async fn beyond_rights(
        &self,
        subject: &Subject,
        context: &Context,
        action: &Action,
    ) -> Option<Denial> {
        let (person, needed) = (&subject.on_behalf_of, RepoRight::needed(action));
        if let Err(denial) = self.check_right(person, &context.repo, needed).await {
            return Some(denial);
        }
        let named = repo_of(action).filter(|named| **named != context.repo)?;
        self.check_right(person, named, needed).await.err()
    }
}
