//! A token whose chain of signatures was checked, and what it says of an action.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use bailiwick_model::Timestamp;
use bailiwick_model::action::Action;
use bailiwick_model::plan::compile_scope;
use bailiwick_model::subject::{Context, Subject};
use bailiwick_model::task::MicroUsd;
use biscuit_auth::builder::{self, AuthorizerBuilder, Fact, Term, int};
use biscuit_auth::error::{FailedCheck, Format, Logic, Token};
use biscuit_auth::{AuthorizerLimits, Biscuit, BlockBuilder, PublicKey, UnverifiedBiscuit};
use globset::GlobSet;

use super::bounds::{ESTIMATE, MATCHES, TIME, WRITES_NOTHING, read, text};
use super::{SessionToken, TokenError, malformed};

/// How much the evaluation of a token may take. What is reached is a refusal; the time is far more
/// than any token of ours takes, so that a busy machine refuses nothing.
const LIMITS: AuthorizerLimits =
    AuthorizerLimits { max_facts: 1_000, max_iterations: 50, max_time: Duration::from_secs(5) };

/// The most blocks of a token.
const MAX_BLOCKS: usize = 16;

/// What is to be done with a token.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// Who acts.
    pub subject: &'a Subject,
    /// In what circumstances.
    pub context: &'a Context,
    /// What is to be done.
    pub action: &'a Action,
    /// What it may cost.
    pub estimate: MicroUsd,
    /// When.
    pub now: Timestamp,
}

/// A token that this platform signed and that only narrows from block to block.
pub(super) struct Opened {
    biscuit: Biscuit,
    /// The globs that its checks speak of, as they are written and compiled; one that is no glob
    /// matches nothing.
    globs: Vec<(String, GlobSet)>,
    /// What each of its blocks is revoked by.
    pub(super) ids: Vec<Vec<u8>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("blocks", &self.ids.len()).finish_non_exhaustive()
    }
}

impl Opened {
    /// Reads a token and checks every signature of its chain, and that no block of it states
    /// anything.
    pub(super) fn new(
        token: &SessionToken,
        key: PublicKey,
        key_id: u32,
    ) -> Result<Self, TokenError> {
        let unverified =
            UnverifiedBiscuit::from(token.biscuit()?).map_err(|error| match error {
                Token::Format(Format::Signature(_) | Format::SealedSignature) => {
                    TokenError::BadSignature
                }
                other => malformed(&other),
            })?;
        if unverified.root_key_id() != Some(key_id) {
            return Err(TokenError::WrongKey);
        }
        let biscuit = unverified.verify(key).map_err(|error| match error {
            Format::Signature(_) | Format::SealedSignature => TokenError::BadSignature,
            other => malformed(&other),
        })?;
        if biscuit.block_count() > MAX_BLOCKS {
            return Err(malformed(&format!("it has more than {MAX_BLOCKS} blocks")));
        }
        let mut globs = BTreeSet::new();
        for block in 0..biscuit.block_count() {
            only_narrows(&biscuit, block, &mut globs)?;
        }
        let globs = globs
            .into_iter()
            .filter_map(|glob| {
                let set = compile_scope(std::slice::from_ref(&glob)).ok()?;
                Some((glob, set))
            })
            .collect();
        let ids = biscuit.revocation_identifiers();
        Ok(Self { biscuit, globs, ids })
    }

    /// Whether every check of every block holds for an action.
    pub(super) fn allows(&self, using: &Use<'_>) -> Result<(), TokenError> {
        let mut facts = AuthorizerBuilder::new();
        for fact in self.facts(using) {
            facts = facts.fact(fact).map_err(|error| unevaluated(&error))?;
        }
        facts = facts.policy("allow if true").map_err(|error| unevaluated(&error))?;
        let authorizer = facts.set_limits(LIMITS).build(&self.biscuit);
        let mut authorizer = authorizer.map_err(|error| unevaluated(&error))?;
        match authorizer.authorize() {
            Ok(_) => Ok(()),
            Err(Token::FailedLogic(logic)) => Err(refused(&logic)),
            Err(other) => Err(unevaluated(&other)),
        }
    }

    fn facts(&self, using: &Use<'_>) -> Vec<Fact> {
        let Use { subject, context, action, estimate, now } = *using;
        let says = |name: &str, value: &str| builder::fact(name, &[text(value)]);
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let mut facts = vec![
            says("repo", context.repo.as_str()),
            says("behalf", subject.on_behalf_of.as_str()),
            says("role", subject.role.name()),
            says("kind", action.kind()),
            builder::fact(ESTIMATE, &[int(i64::try_from(estimate.0).unwrap_or(i64::MAX))]),
            builder::fact(TIME, &[Term::Date(seconds)]),
        ];
        facts.extend(subject.task.map(|task| says("task", &task.to_string())));
        facts.extend(subject.subtask.as_ref().map(|key| says("subtask", key.as_str())));
        facts.extend(subject.session.map(|session| says("session", &session.to_string())));
        let Action::FileWrite(write) = action else {
            facts.push(says(WRITES_NOTHING, ""));
            return facts;
        };
        let path = write.path.as_str();
        let matching = self.globs.iter().filter(|(_, set)| set.is_match(path));
        facts.extend(matching.map(|(glob, _)| says(MATCHES, glob)));
        facts
    }
}

/// Refuses a block that states facts, derives them, trusts others than the platform, or is signed
/// by somebody else; collects the globs of its checks. None of it could widen the token, since a
/// check of an earlier block does not look at what a later one says; but nothing of ours makes it.
fn only_narrows(
    biscuit: &Biscuit,
    block: usize,
    globs: &mut BTreeSet<String>,
) -> Result<(), TokenError> {
    let widened = |what: &'static str| Err(TokenError::Widened { block, what });
    let signer = biscuit.block_external_key(block).map_err(|error| malformed(&error))?;
    if signer.is_some() {
        return widened("somebody else signed it");
    }
    let source = biscuit.print_block_source(block).map_err(|error| malformed(&error))?;
    let content = BlockBuilder::new().code(&source).map_err(|error| malformed(&error))?;
    if !content.facts.is_empty() {
        return widened("it states a fact");
    }
    if !content.rules.is_empty() {
        return widened("it derives facts");
    }
    let queries = || content.checks.iter().flat_map(|check| &check.queries);
    if !content.scopes.is_empty() || queries().any(|query| !query.scopes.is_empty()) {
        return widened("it says whom to trust");
    }
    for predicate in queries().flat_map(|query| &query.body) {
        if let (MATCHES, [Term::Str(glob)]) = (predicate.name.as_str(), predicate.terms.as_slice())
        {
            globs.extend(read(glob));
        }
    }
    Ok(())
}

fn unevaluated(error: &impl fmt::Display) -> TokenError {
    TokenError::Unevaluated { problem: error.to_string() }
}

fn refused(logic: &Logic) -> TokenError {
    let checks = match logic {
        Logic::Unauthorized { checks, .. } | Logic::NoMatchingPolicy { checks } => {
            checks.as_slice()
        }
        Logic::InvalidBlockRule(..) | Logic::AuthorizerNotEmpty => &[],
    };
    let rules: Vec<&str> = checks
        .iter()
        .map(|check| match check {
            FailedCheck::Block(block) => block.rule.as_str(),
            FailedCheck::Authorizer(own) => own.rule.as_str(),
        })
        .collect();
    let time = format!("check if {TIME}(");
    if !rules.is_empty() && rules.iter().all(|rule| rule.starts_with(&time)) {
        return TokenError::Expired;
    }
    TokenError::NotAllowed { check: rules.first().copied().unwrap_or("no rule").to_owned() }
}
