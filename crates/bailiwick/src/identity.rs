//! Proving who asks: tokens, and whoever holds the data directory.
//!
//! A token is `bwt_<id>_<secret>`. Only the secret's hash is recorded; it has 256 random bits, so a
//! plain SHA-256 of it tells nothing.

use anyhow::Result;
use bailiwick_engine::{Engine, EngineError};
use bailiwick_model::Timestamp;
use bailiwick_model::id::{Person, RepoName, TokenId};
use bailiwick_model::identity::{
    Caller, Directory, IdentityChange, NotAllowed, Operation, Proof, RepoAccess, Scope,
    TokenRecord, TokenRefused,
};
use bailiwick_model::payload::Digest;
use bailiwick_store::Store;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::Told;
use crate::data_dir::random;

/// The environment variable that a person proves themselves with on the command line.
pub(crate) const TOKEN_VARIABLE: &str = "BAILIWICK_TOKEN";

const PREFIX: &str = "bwt_";

/// Why a proof is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has not the form of a token.
    Malformed,
    /// The directory says no.
    Token(TokenRefused),
    /// The directory can't be read in full, so nobody is let in by a token.
    Damaged,
}

impl Refused {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "auth.token_required",
            Self::Token(refused) => refused.code(),
            Self::Damaged => "auth.directory_damaged",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Malformed => "this needs the platform's token",
            Self::Token(TokenRefused::Unknown) => "there is no such token",
            Self::Token(TokenRefused::Expired) => "the token's time is over",
            Self::Token(TokenRefused::Revoked) => "the token was revoked",
            Self::Token(TokenRefused::Disabled) => "the token's account is closed",
            Self::Damaged => {
                "an entry about accounts can't be read, so no token counts: it may have been a revocation"
            }
        }
    }

    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Malformed => {
                "send `Authorization: Bearer TOKEN`, or for git use the token as the password; `bailiwick token create` makes one, and the operator's stands in keys/api.token of the data directory"
            }
            Self::Token(_) => "make another with `bailiwick token create`, or ask an operator",
            Self::Damaged => {
                "`bailiwick ledger verify` on the data directory shows what is damaged; restore it from a backup"
            }
        }
    }
}

impl From<Refused> for Told {
    fn from(refused: Refused) -> Self {
        Self {
            code: refused.code().to_owned(),
            message: refused.message().to_owned(),
            hint: refused.hint().to_owned(),
        }
    }
}

impl From<NotAllowed> for Told {
    fn from(refused: NotAllowed) -> Self {
        Self { code: refused.code.to_owned(), message: refused.message, hint: refused.hint }
    }
}

/// Who has this token.
pub(crate) fn authenticate(store: &Store, text: &str) -> Result<Caller, Refused> {
    let (id, digest) = parse(text).ok_or(Refused::Malformed)?;
    store.people(|people| {
        if people.damaged {
            return Err(Refused::Damaged);
        }
        people.directory.authenticate(id, digest, Timestamp::now()).map_err(Refused::Token)
    })
}

fn parse(text: &str) -> Option<(TokenId, Digest)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let whole = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then_some(())?;
    Some((id.parse().ok()?, Digest::of(secret.as_bytes())))
}

/// Whoever holds the data directory: its owner's account, or where nobody has an account, everybody
/// at once under the name they go by.
pub(crate) fn holder(store: &Store, name: &Person, proof: Proof) -> Result<Caller, Refused> {
    store.people(|people| match people.directory.owner() {
        None => Ok(Caller::alone(name.clone(), proof)),
        Some(owner) => people
            .directory
            .caller(&owner.name, Proof::Owner)
            .ok_or(Refused::Token(TokenRefused::Disabled)),
    })
}

/// Who sits at a browser that was signed in by somebody with this proof. Nothing outlives the proof:
/// a token that ends ends the session, and its scopes are the session's.
pub(crate) fn seated(store: &Store, person: &Person, proof: Proof) -> Result<Caller, Refused> {
    let Proof::Token { id } = proof else { return holder(store, person, proof) };
    store.people(|people| {
        if people.damaged {
            return Err(Refused::Damaged);
        }
        let directory = &people.directory;
        let digest = directory.tokens.get(&id).map(|token| token.digest);
        let digest = digest.ok_or(Refused::Token(TokenRefused::Unknown))?;
        directory.authenticate(id, digest, Timestamp::now()).map_err(Refused::Token)
    })
}

/// Who acts on the command line, on the data directory itself.
pub(crate) fn local_caller(
    store: &Store,
    usual: &Person,
    claimed: Option<&Person>,
) -> Result<Caller, Told> {
    let token = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty());
    let caller = match token {
        Some(token) => authenticate(store, &token)?,
        None => {
            let proof = if claimed.is_some() { Proof::Claimed } else { Proof::Owner };
            holder(store, claimed.unwrap_or(usual), proof)?
        }
    };
    match claimed {
        Some(claimed) if *claimed != caller.person => Err(unproven(claimed, &caller.person)),
        _ => Ok(caller),
    }
}

/// A name that was given without proof.
pub(crate) fn unproven(claimed: &Person, proven: &Person) -> Told {
    Told {
        code: "identity.unproven".to_owned(),
        message: format!(
            "nothing proves that you are `{claimed}`: you are known here as `{proven}`"
        ),
        hint: format!("put a token of `{claimed}` into {TOKEN_VARIABLE}, or leave `--as` out"),
    }
}

/// A request for a token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTokenParams {
    /// Whose it is; whoever asks, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<Person>,
    /// What it is for.
    #[serde(default)]
    pub(crate) label: String,
    /// What it may be used for; `read` alone when empty.
    #[serde(default)]
    pub(crate) scopes: Vec<Scope>,
    /// After how many days it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) days: Option<u32>,
}

/// A new token. The secret is told this once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CreateTokenResponse {
    /// What is known of it.
    pub(crate) token: TokenRecord,
    /// The token itself.
    pub(crate) secret: String,
}

/// After how many days a token ends when nobody says.
const USUAL_DAYS: u32 = 90;

pub(crate) async fn create_token(
    engine: &Engine,
    caller: &Caller,
    params: CreateTokenParams,
) -> Result<CreateTokenResponse, Told> {
    let person = params.person.unwrap_or_else(|| caller.person.clone());
    if person != caller.person {
        caller.check(Operation::IdentityWrite)?;
    }
    let now = Timestamp::now();
    let seconds = i64::from(params.days.unwrap_or(USUAL_DAYS)).saturating_mul(86_400);
    let mut expires_at =
        Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX);
    let mut scopes: std::collections::BTreeSet<Scope> = params.scopes.into_iter().collect();
    if scopes.is_empty() {
        scopes.insert(Scope::Read);
    }
    // A token makes no token that can do more than itself, or for longer.
    if let (Some(own), Proof::Token { id }) = (&caller.scopes, caller.proof) {
        if let Some(more) = scopes.difference(own).next() {
            return Err(Told {
                code: "token.wider".to_owned(),
                message: format!(
                    "a token with the scope `{}` can't be made with one that lacks it",
                    more.name()
                ),
                hint: "leave the scope out, or use a token that has it".to_owned(),
            });
        }
        let ends = engine
            .parts()
            .store
            .people(|people| people.directory.tokens.get(&id).map(|token| token.expires_at));
        expires_at = ends.map_or(expires_at, |ends| ends.min(expires_at));
    }
    let random = random::<32>().map_err(|error| Told {
        code: "machine.failed".to_owned(),
        message: error.to_string(),
        hint: "try again".to_owned(),
    })?;
    let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = TokenId::new(Uuid::now_v7());
    let token = TokenRecord {
        id,
        person,
        label: params.label,
        digest: Digest::of(secret.as_bytes()),
        scopes,
        expires_at,
        created_at: now,
    };
    let change = IdentityChange::TokenIssued { token: token.clone() };
    engine.change_identity(&caller.person, change).await?;
    Ok(CreateTokenResponse { token, secret: format!("{PREFIX}{id}_{secret}") })
}

/// Revokes a token: one's own, or with the right to, anybody's.
pub(crate) async fn revoke_token(
    engine: &Engine,
    caller: &Caller,
    token: TokenId,
) -> Result<(), Told> {
    let of = engine
        .parts()
        .store
        .people(|people| people.directory.tokens.get(&token).map(|token| token.person.clone()));
    if of.is_some_and(|person| person != caller.person) {
        caller.check(Operation::IdentityWrite)?;
    }
    let change = IdentityChange::TokenRevoked { token };
    Ok(engine.change_identity(&caller.person, change).await?)
}

/// The tokens that a caller may see: their own, or with the right to, everybody's.
pub(crate) fn tokens(store: &Store, caller: &Caller) -> Vec<TokenRecord> {
    let all = caller.check(Operation::IdentityRead).is_ok();
    let of = if all { None } else { Some(&caller.person) };
    store.people(|people| {
        people.directory.live_tokens(of, Timestamp::now()).into_iter().cloned().collect()
    })
}

/// A change that may be asked for. Tokens have a way of their own, and so has the first account.
pub(crate) async fn change(
    engine: &Engine,
    caller: &Caller,
    change: IdentityChange,
) -> Result<(), Told> {
    match &change {
        IdentityChange::TokenIssued { .. } | IdentityChange::TokenRevoked { .. } => Err(Told {
            code: "identity.token_change".to_owned(),
            message: "tokens are made and revoked in a way of their own".to_owned(),
            hint: "`bailiwick token create`, `bailiwick token revoke`".to_owned(),
        }),
        _ => Ok(engine.change_identity(&caller.person, change).await?),
    }
}

/// Accounts and groups.
pub(crate) fn directory(store: &Store) -> DirectoryView {
    store.people(|people| DirectoryView::of(&people.directory))
}

/// Accounts and groups, as they are listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DirectoryView {
    /// Whether nobody has an account, and whoever holds the data directory is everybody.
    pub(crate) open: bool,
    /// The accounts.
    pub(crate) accounts: Vec<bailiwick_model::identity::Account>,
    /// The members of each group.
    pub(crate) groups: std::collections::BTreeMap<String, Vec<Person>>,
    /// Who may do what in the repositories for which that is said.
    #[serde(default)]
    pub(crate) access: std::collections::BTreeMap<RepoName, RepoAccess>,
}

impl DirectoryView {
    fn of(directory: &Directory) -> Self {
        Self {
            open: directory.is_open(),
            accounts: directory.accounts.values().cloned().collect(),
            groups: directory
                .groups
                .iter()
                .map(|(group, members)| (group.to_string(), members.iter().cloned().collect()))
                .collect(),
            access: directory.access.clone(),
        }
    }
}

/// Who one is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WhoAmI {
    pub(crate) person: Person,
    /// How that is known: `owner`, `claimed` or `token`.
    pub(crate) proof: Proof,
    pub(crate) roles: Vec<String>,
    /// The groups; absent where one person is everybody.
    pub(crate) groups: Option<Vec<String>>,
    /// What the token may be used for; absent when no token limits it.
    pub(crate) scopes: Option<Vec<String>>,
}

impl From<&Caller> for WhoAmI {
    fn from(caller: &Caller) -> Self {
        Self {
            person: caller.person.clone(),
            proof: caller.proof,
            roles: caller.roles.iter().map(|role| role.name().to_owned()).collect(),
            groups: caller
                .groups
                .as_ref()
                .map(|groups| groups.iter().map(ToString::to_string).collect()),
            scopes: caller
                .scopes
                .as_ref()
                .map(|scopes| scopes.iter().map(|scope| scope.name().to_owned()).collect()),
        }
    }
}

impl From<Told> for EngineError {
    fn from(told: Told) -> Self {
        Self::Action { code: told.code, message: told.message, rules: Vec::new(), hint: told.hint }
    }
}
