//! What each command is, so that the one table of roles holds on the command line too.

use bailiwick_model::identity::Operation;

use super::{
    ApprovalVerb, BreakGlassVerb, ConfigVerb, FreezeVerb, GroupVerb, LedgerVerb, PolicyVerb,
    PrVerb, RepoVerb, TaskVerb, TokenVerb, UserVerb, Verb,
};

/// The operation that a command asks of the platform; nothing for a command that works on files
/// alone and asks nothing of it.
pub(crate) fn operation(verb: &Verb) -> Option<Operation> {
    Some(match verb {
        Verb::Demo(_) | Verb::Config(ConfigVerb::Check | ConfigVerb::Schema) | Verb::Doctor => {
            return None;
        }
        // It reads the configuration and the packages that it names.
        Verb::Agents => return None,
        // It works on a copy of a directory, and with nothing of the platform.
        Verb::Sandbox(_) => return None,
        // It works on a checkout alone.
        Verb::Gate(_) | Verb::Sbom(_) | Verb::Index(_) => return None,
        // Whoever can start the server on the data directory holds it.
        Verb::Serve(_) => return None,
        // The server asks for the operation, as for any request.
        Verb::SignIn => return None,
        Verb::Run(_) => Operation::TaskCreate,
        Verb::Task(TaskVerb::List { .. } | TaskVerb::Show(_) | TaskVerb::Logs { .. }) => {
            Operation::TaskRead
        }
        Verb::Task(
            TaskVerb::Cancel { .. }
            | TaskVerb::Retry(_)
            | TaskVerb::Resume(_)
            | TaskVerb::Steer { .. }
            | TaskVerb::Pause { .. },
        ) => Operation::TaskControl,
        Verb::Task(TaskVerb::Raise { .. }) => Operation::TaskRaise,
        Verb::Pr(
            PrVerb::List { .. } | PrVerb::Show(_) | PrVerb::Since(_) | PrVerb::Calibration,
        ) => Operation::ChangeRead,
        Verb::Approve(_)
        | Verb::Pr(
            PrVerb::Approve(_)
            | PrVerb::RequestChanges(_)
            | PrVerb::Reject(_)
            | PrVerb::Comment(_)
            | PrVerb::Answer { .. }
            | PrVerb::Resolve { .. }
            | PrVerb::Reopen { .. },
        ) => Operation::ChangeReview,
        Verb::Pr(PrVerb::Merge { .. }) => Operation::ChangeMerge,
        Verb::Repo(RepoVerb::List) => Operation::RepoRead,
        Verb::Repo(RepoVerb::Import { .. }) => Operation::RepoImport,
        Verb::Repo(RepoVerb::Access(access)) if access.access().is_some() => {
            Operation::IdentityWrite
        }
        Verb::Repo(RepoVerb::Access(_)) => Operation::IdentityRead,
        // These three need nothing but files.
        Verb::Ledger(LedgerVerb::Verify { .. } | LedgerVerb::Prove { .. } | LedgerVerb::Key) => {
            return None;
        }
        Verb::Ledger(LedgerVerb::Show { .. }) => Operation::LedgerRead,
        Verb::Ledger(LedgerVerb::AcceptDamage { .. }) => Operation::DamageAccept,
        // They work on policy files; a bundle counts by its signature, whoever made it.
        Verb::Policy(
            PolicyVerb::Check { .. }
            | PolicyVerb::Test { .. }
            | PolicyVerb::Prove(_)
            | PolicyVerb::Diff { .. }
            | PolicyVerb::Publish(_)
            | PolicyVerb::Key { .. },
        ) => return None,
        Verb::Policy(
            PolicyVerb::Show { .. } | PolicyVerb::Explain { .. } | PolicyVerb::Replay { .. },
        ) => Operation::PolicyRead,
        Verb::User(UserVerb::List) | Verb::Group(GroupVerb::List) => Operation::IdentityRead,
        Verb::User(
            UserVerb::Add { .. }
            | UserVerb::Roles { .. }
            | UserVerb::Disable { .. }
            | UserVerb::Enable { .. },
        )
        | Verb::Group(
            GroupVerb::Add { .. }
            | GroupVerb::Remove { .. }
            | GroupVerb::Join { .. }
            | GroupVerb::Leave { .. },
        ) => Operation::IdentityWrite,
        Verb::Token(TokenVerb::List | TokenVerb::Create(_) | TokenVerb::Revoke { .. }) => {
            Operation::OwnTokens
        }
        Verb::Whoami => Operation::WhoAmI,
        Verb::Approval(ApprovalVerb::List { .. } | ApprovalVerb::Show { .. }) => {
            Operation::ApprovalRead
        }
        Verb::Approval(ApprovalVerb::Grant { .. } | ApprovalVerb::Deny(_)) => {
            Operation::ApprovalAnswer
        }
        Verb::Approval(ApprovalVerb::Delegate { .. }) => Operation::Delegate,
        Verb::Freeze(FreezeVerb::List) => Operation::FreezeRead,
        Verb::Freeze(
            FreezeVerb::Dispatch(_)
            | FreezeVerb::Push(_)
            | FreezeVerb::Merge(_)
            | FreezeVerb::Model { .. }
            | FreezeVerb::Tool { .. }
            | FreezeVerb::Repo { .. }
            | FreezeVerb::All(_),
        ) => Operation::Freeze,
        Verb::Thaw(_) => Operation::Thaw,
        Verb::BreakGlass(BreakGlassVerb::List) => Operation::BreakGlassRead,
        Verb::BreakGlass(
            BreakGlassVerb::Declare { .. }
            | BreakGlassVerb::Confirm { .. }
            | BreakGlassVerb::End { .. },
        ) => Operation::BreakGlass,
    })
}
