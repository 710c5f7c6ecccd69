//! The command line of accounts, groups and tokens.
//!
//! No argument here is called `person`: that is the one of `--as`, and clap would take them for one.

use bailiwick_model::id::{GroupName, Person, RepoName, TokenId};
use bailiwick_model::identity::{PersonRole, RepoAccess, RepoRight, Scope};
use clap::{Args, Subcommand};

fn role(text: &str) -> Result<PersonRole, String> {
    PersonRole::parse(text).ok_or_else(|| {
        let names: Vec<&str> = PersonRole::ALL.iter().map(|role| role.name()).collect();
        format!("the roles are {}", names.join(", "))
    })
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("the scopes are {}", names.join(", "))
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserVerb {
    /// Lists accounts with their roles.
    List,
    /// Adds an account. The first one also makes yours, as the owner of the data directory.
    Add {
        /// The name: the person in tasks, reviews and the ledger.
        name: Person,
        /// What they may do; may be given several times.
        #[arg(long = "role", value_name = "ROLE", value_parser = role, required = true)]
        roles: Vec<PersonRole>,
        /// A program stands behind it. It never reviews and never approves.
        #[arg(long)]
        service: bool,
    },
    /// Sets what an account may do.
    Roles {
        /// Whose.
        name: Person,
        /// What they may do from now on, and nothing else.
        #[arg(long = "role", value_name = "ROLE", value_parser = role, required = true)]
        roles: Vec<PersonRole>,
    },
    /// Closes an account; its tokens end at once.
    Disable {
        /// Whose.
        name: Person,
    },
    /// Opens a closed account again; its old tokens stay ended.
    Enable {
        /// Whose.
        name: Person,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupVerb {
    /// Lists groups with their members.
    List,
    /// Adds a group, as gates of a policy name it.
    Add {
        /// The group.
        group: GroupName,
    },
    /// Removes a group.
    Remove {
        /// The group.
        group: GroupName,
    },
    /// Puts somebody into a group.
    Join {
        /// The group.
        group: GroupName,
        /// Who.
        name: Person,
    },
    /// Takes somebody out of a group.
    Leave {
        /// The group.
        group: GroupName,
        /// Who.
        name: Person,
    },
}

fn right(text: &str) -> Result<RepoRight, String> {
    RepoRight::parse(text).ok_or_else(|| {
        let names: Vec<&str> = RepoRight::ALL.iter().map(|right| right.name()).collect();
        format!("the rights are {}", names.join(", "))
    })
}

#[derive(Debug, Args)]
pub(crate) struct AccessArguments {
    /// The repository.
    pub(crate) repo: RepoName,
    /// What whoever has an account may do: nothing, read or write.
    #[arg(long, value_name = "RIGHT", value_parser = right)]
    pub(crate) everybody: Option<RepoRight>,
    /// Who may have it changed; may be given several times.
    #[arg(long, value_name = "PERSON")]
    pub(crate) write: Vec<Person>,
    /// Who may look at it and no more.
    #[arg(long, value_name = "PERSON")]
    pub(crate) read: Vec<Person>,
    /// Who may not even look at it.
    #[arg(long, value_name = "PERSON")]
    pub(crate) nothing: Vec<Person>,
}

impl AccessArguments {
    /// What is to be set; nothing when it is to be shown.
    pub(crate) fn access(&self) -> Option<RepoAccess> {
        let named = [
            (&self.write, RepoRight::Write),
            (&self.read, RepoRight::Read),
            (&self.nothing, RepoRight::Nothing),
        ];
        let people =
            named.iter().flat_map(|(who, right)| who.iter().map(|who| (who.clone(), *right)));
        let people: std::collections::BTreeMap<Person, RepoRight> = people.collect();
        (self.everybody.is_some() || !people.is_empty())
            .then(|| RepoAccess { everybody: self.everybody.unwrap_or_default(), people })
    }
}

#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// Whose it is (default: yours).
    #[arg(long = "for", value_name = "PERSON")]
    pub(crate) owner: Option<Person>,
    /// What it may be used for; may be given several times (default: read).
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub(crate) scopes: Vec<Scope>,
    /// After how many days it ends.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    pub(crate) expires: u32,
    /// What it is for.
    #[arg(long, default_value = "")]
    pub(crate) label: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Makes a token and prints it, this once.
    Create(NewToken),
    /// Lists tokens that are worth something.
    List,
    /// Ends a token at once.
    Revoke {
        /// Its id.
        token: TokenId,
    },
}
