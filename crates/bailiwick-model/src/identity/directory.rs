//! The fold over the changes of identity.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Account, AccountKind, Caller, IdentityChange, PersonRole, Proof, RepoAccess, RepoRight, Scope,
    TokenRecord,
};
use crate::Timestamp;
use crate::event::{Entry, Event, Fact};
use crate::id::{GroupName, Person, RepoName, TokenId};
use crate::payload::Digest;

/// The longest that a token may be worth something, in days.
pub const MAX_TOKEN_DAYS: i64 = 366;

/// A change that is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IdentityError {
    /// A stable code.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub hint: String,
}

/// Why a token is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefused {
    /// There is no such token, or its secret is another.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// Its owner's account is closed.
    Disabled,
}

impl TokenRefused {
    /// A stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "auth.token_unknown",
            Self::Expired => "auth.token_expired",
            Self::Revoked => "auth.token_revoked",
            Self::Disabled => "auth.account_disabled",
        }
    }
}

/// Accounts, groups and tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Accounts by name.
    pub accounts: BTreeMap<Person, Account>,
    /// Members of each group.
    pub groups: BTreeMap<GroupName, BTreeSet<Person>>,
    /// Tokens by id, ended ones included.
    pub tokens: BTreeMap<TokenId, TokenRecord>,
    /// Those that were revoked, or ended with their account.
    pub revoked: BTreeSet<TokenId>,
    /// Who may do what in the repositories for which that is said.
    pub access: BTreeMap<RepoName, RepoAccess>,
    /// The next entry to look at.
    pub next_seq: u64,
}

impl Directory {
    /// Takes one more entry into account. Entries that are not about identity change nothing.
    pub fn apply(&mut self, entry: &Entry) {
        if entry.seq < self.next_seq {
            return;
        }
        self.next_seq = entry.seq + 1;
        if let Event::Fact(fact) = &entry.event
            && let Fact::IdentityChanged { change, .. } = fact.as_ref()
        {
            self.apply_change(change);
        }
    }

    /// Takes one change into account.
    pub fn apply_change(&mut self, change: &IdentityChange) {
        match change {
            IdentityChange::AccountAdded { account } => {
                self.accounts.insert(account.name.clone(), account.clone());
            }
            IdentityChange::RolesSet { person, roles } => {
                if let Some(account) = self.accounts.get_mut(person) {
                    account.roles.clone_from(roles);
                }
            }
            IdentityChange::AccountDisabled { person } => {
                if let Some(account) = self.accounts.get_mut(person) {
                    account.disabled = true;
                }
                let theirs = self.tokens.values().filter(|token| token.person == *person);
                self.revoked.extend(theirs.map(|token| token.id));
            }
            IdentityChange::AccountEnabled { person } => {
                if let Some(account) = self.accounts.get_mut(person) {
                    account.disabled = false;
                }
            }
            IdentityChange::GroupAdded { group } => {
                self.groups.entry(group.clone()).or_default();
            }
            IdentityChange::GroupRemoved { group } => {
                self.groups.remove(group);
            }
            IdentityChange::MemberAdded { group, person } => {
                self.groups.entry(group.clone()).or_default().insert(person.clone());
            }
            IdentityChange::MemberRemoved { group, person } => {
                if let Some(members) = self.groups.get_mut(group) {
                    members.remove(person);
                }
            }
            IdentityChange::RepoAccessSet { repo, access } => {
                self.access.insert(repo.clone(), access.clone());
            }
            IdentityChange::TokenIssued { token } => {
                self.tokens.insert(token.id, token.clone());
            }
            IdentityChange::TokenRevoked { token } => {
                self.revoked.insert(*token);
            }
        }
    }

    /// Whether nobody has an account: whoever holds the data directory is everybody.
    pub fn is_open(&self) -> bool {
        self.accounts.is_empty()
    }

    /// The account of whoever owns the data directory.
    pub fn owner(&self) -> Option<&Account> {
        self.accounts.values().find(|account| account.owner)
    }

    /// What a person may do in a repository of the embedded forge. Where nobody has an account,
    /// whoever is here may do everything; where nothing is said of a repository, whoever has an
    /// account may.
    pub fn repo_right(&self, person: &Person, repo: &RepoName) -> RepoRight {
        // A simulated approver is nobody: it acts within a task, whose requester is looked at.
        if self.is_open() || person.as_str() == SIMULATED_APPROVER {
            return RepoRight::Write;
        }
        if self.accounts.get(person).is_none_or(|account| account.disabled) {
            return RepoRight::Nothing;
        }
        self.access.get(repo).map_or(RepoRight::Write, |access| access.of(person))
    }

    /// The groups of a person.
    pub fn groups_of(&self, person: &Person) -> BTreeSet<GroupName> {
        let of = self.groups.iter().filter(|(_, members)| members.contains(person));
        of.map(|(group, _)| group.clone()).collect()
    }

    /// An account that makes a request; nothing when it is closed or not there.
    pub fn caller(&self, person: &Person, proof: Proof) -> Option<Caller> {
        let account = self.accounts.get(person).filter(|account| !account.disabled)?;
        Some(Caller {
            person: person.clone(),
            proof,
            roles: account.roles.clone(),
            groups: Some(self.groups_of(person)),
            scopes: None,
            service: account.kind == AccountKind::Service,
        })
    }

    /// Who has a token whose secret hashes to `digest`.
    pub fn authenticate(
        &self,
        id: TokenId,
        digest: Digest,
        now: Timestamp,
    ) -> Result<Caller, TokenRefused> {
        let token = self.tokens.get(&id).ok_or(TokenRefused::Unknown)?;
        // A hash of 256 random bits: how far the comparison comes tells nothing of the secret.
        if token.digest != digest {
            return Err(TokenRefused::Unknown);
        }
        if self.revoked.contains(&id) {
            return Err(TokenRefused::Revoked);
        }
        if token.expires_at <= now || now < token.created_at {
            return Err(TokenRefused::Expired);
        }
        let caller = self.caller(&token.person, Proof::Token { id });
        let mut caller = caller.ok_or(TokenRefused::Disabled)?;
        caller.scopes = Some(token.scopes.clone());
        Ok(caller)
    }

    /// Whether a change may be made; says why not.
    pub fn check(&self, change: &IdentityChange) -> Result<(), IdentityError> {
        match change {
            IdentityChange::AccountAdded { account } => self.may_add(account),
            IdentityChange::RolesSet { person, roles } => {
                let account = self.known(person)?;
                suits(account.kind, roles)?;
                if !roles.contains(&PersonRole::Operator) {
                    self.keeps_an_operator(person)?;
                }
                Ok(())
            }
            IdentityChange::AccountDisabled { person } => {
                self.known(person)?;
                self.keeps_an_operator(person)
            }
            IdentityChange::AccountEnabled { person } => self.known(person).map(|_| ()),
            IdentityChange::GroupAdded { group } if self.groups.contains_key(group) => {
                Err(refuse("group.exists", format!("there is a group `{group}` already"), ""))
            }
            IdentityChange::GroupAdded { .. } => Ok(()),
            IdentityChange::GroupRemoved { group } => self.known_group(group),
            IdentityChange::MemberAdded { group, person } => {
                self.known_group(group)?;
                let account = self.known(person)?;
                if account.kind == AccountKind::Service {
                    return Err(refuse(
                        "identity.service",
                        format!("`{person}` is a program, and groups are asked for approval"),
                        "put people into the group",
                    ));
                }
                Ok(())
            }
            IdentityChange::MemberRemoved { group, person } => {
                self.known_group(group)?;
                self.known(person).map(|_| ())
            }
            IdentityChange::RepoAccessSet { access, .. } => {
                access.people.keys().try_for_each(|person| self.known(person).map(drop))
            }
            IdentityChange::TokenIssued { token } => self.may_issue(token),
            IdentityChange::TokenRevoked { token } if self.tokens.contains_key(token) => Ok(()),
            IdentityChange::TokenRevoked { token } => Err(refuse(
                "token.unknown",
                format!("there is no token `{token}`"),
                "`bailiwick token list` shows those there are",
            )),
        }
    }

    fn may_add(&self, account: &Account) -> Result<(), IdentityError> {
        if self.accounts.contains_key(&account.name) {
            let message = format!("`{}` has an account already", account.name);
            return Err(refuse("user.exists", message, "`bailiwick user list` shows it"));
        }
        if account.name.as_str() == SIMULATED_APPROVER {
            let message = format!("`{SIMULATED_APPROVER}` is the name under which nobody answers");
            return Err(refuse("user.reserved_name", message, "choose another name"));
        }
        if account.owner != self.is_open() {
            return Err(refuse(
                "user.owner",
                "the first account, and no other, is that of the data directory's owner".to_owned(),
                "add people with `bailiwick user add`",
            ));
        }
        if account.owner && !account.roles.contains(&PersonRole::Operator) {
            return Err(refuse(
                "user.no_operator",
                "the owner of the data directory is an operator".to_owned(),
                "give the role `operator`",
            ));
        }
        suits(account.kind, &account.roles)
    }

    fn may_issue(&self, token: &TokenRecord) -> Result<(), IdentityError> {
        let account = self.known(&token.person)?;
        if account.disabled {
            let message = format!("the account of `{}` is closed", token.person);
            return Err(refuse("user.disabled", message, "open it with `bailiwick user enable`"));
        }
        if self.tokens.contains_key(&token.id) {
            return Err(refuse("token.exists", "the token's id is taken".to_owned(), "try again"));
        }
        if token.scopes.is_empty() {
            return Err(refuse(
                "token.no_scope",
                "a token without a scope can do nothing".to_owned(),
                "give one with `--scope`",
            ));
        }
        let longest = token.created_at.as_second() + MAX_TOKEN_DAYS * 86_400;
        if token.expires_at <= token.created_at || token.expires_at.as_second() > longest {
            return Err(refuse(
                "token.bad_expiry",
                format!("a token ends after now and within {MAX_TOKEN_DAYS} days"),
                "give `--expires` as a number of days, such as 30",
            ));
        }
        Ok(())
    }

    fn known(&self, person: &Person) -> Result<&Account, IdentityError> {
        self.accounts.get(person).ok_or_else(|| {
            refuse(
                "user.unknown",
                format!("there is no account `{person}`"),
                "`bailiwick user list` shows those there are",
            )
        })
    }

    fn known_group(&self, group: &GroupName) -> Result<(), IdentityError> {
        if self.groups.contains_key(group) {
            return Ok(());
        }
        Err(refuse(
            "group.unknown",
            format!("there is no group `{group}`"),
            "`bailiwick group list` shows those there are",
        ))
    }

    /// Nobody locks everybody out.
    fn keeps_an_operator(&self, but: &Person) -> Result<(), IdentityError> {
        let left = self.accounts.values().any(|account| {
            account.name != *but
                && !account.disabled
                && account.kind == AccountKind::Human
                && account.roles.contains(&PersonRole::Operator)
        });
        if left {
            return Ok(());
        }
        Err(refuse(
            "user.last_operator",
            format!("`{but}` is the last operator there is"),
            "make somebody else an operator first",
        ))
    }
}

/// The name under which a simulated approver stands in the ledger.
pub const SIMULATED_APPROVER: &str = "simulated-approver";

fn suits(kind: AccountKind, roles: &BTreeSet<PersonRole>) -> Result<(), IdentityError> {
    if roles.is_empty() {
        let message = "an account without a role can do nothing".to_owned();
        return Err(refuse("user.no_role", message, "give one with `--role`"));
    }
    let judges = [PersonRole::Reviewer, PersonRole::Approver, PersonRole::Operator];
    let judging = judges.into_iter().find(|role| roles.contains(role));
    match (kind, judging) {
        (AccountKind::Service, Some(role)) => Err(refuse(
            "identity.service",
            format!("a program is never {}", role.name()),
            "give it `requester`, `policy_author` or `auditor`",
        )),
        _ => Ok(()),
    }
}

fn refuse(code: &'static str, message: String, hint: &str) -> IdentityError {
    IdentityError { code, message, hint: hint.to_owned() }
}

impl Directory {
    /// Every token that is worth something, of one person or of all.
    pub fn live_tokens(&self, of: Option<&Person>, now: Timestamp) -> Vec<&TokenRecord> {
        self.tokens
            .values()
            .filter(|token| of.is_none_or(|person| token.person == *person))
            .filter(|token| token.expires_at > now && !self.revoked.contains(&token.id))
            .collect()
    }

    /// The scopes that somebody with these roles can use at all.
    pub fn useful_scopes(roles: &BTreeSet<PersonRole>) -> BTreeSet<Scope> {
        let may = |operation: &&super::Operation| {
            operation.roles().iter().any(|role| roles.contains(role))
        };
        super::Operation::ALL.iter().filter(may).map(|operation| operation.scope()).collect()
    }
}
