//! Denials: stable codes, a reason in a sentence, and what to do about it.

use bailiwick_model::action::Action;
use bailiwick_model::subject::{Role, Subject};
use bailiwick_model::verdict::{Denial, FOR_PEOPLE, Verdict};

use crate::form::quote;
use crate::load::Rule;
use crate::request::Question;

/// Every code a denial can have, with what it means. Codes never change their meaning.
///
/// | code | meaning |
/// |---|---|
/// | `policy.forbidden` | a hard rule forbids it; `rules` names every one that applies |
/// | `policy.no_rule_permits` | no rule allows it; the hint has the narrowest one that would |
/// | `policy.evaluation_error` | a rule could not be evaluated; `rules` names it |
/// | `policy.request_invalid` | the facts could not be computed, or do not fit the schema |
pub const CODES: [(&str, &str); 4] = [
    (FORBIDDEN, "a hard rule forbids it; `rules` names every one that applies"),
    (NO_RULE_PERMITS, "no rule allows it; the hint has the narrowest one that would"),
    (EVALUATION_ERROR, "a rule could not be evaluated; `rules` names it"),
    (REQUEST_INVALID, "the facts could not be computed, or do not fit the schema"),
];

pub(crate) const FORBIDDEN: &str = "policy.forbidden";
pub(crate) const NO_RULE_PERMITS: &str = "policy.no_rule_permits";
pub(crate) const EVALUATION_ERROR: &str = "policy.evaluation_error";
pub(crate) const REQUEST_INVALID: &str = "policy.request_invalid";

/// The longest part of an action that stands in a reason, in characters.
const SHOWN: usize = 160;

pub(crate) fn forbidden(action: &Action, question: &Question, rules: &[&Rule]) -> Verdict {
    let reasons: Vec<&str> = rules.iter().map(|rule| rule.reason.as_str()).collect();
    let mut hints: Vec<String> = rules.iter().filter_map(|rule| rule.hint.clone()).collect();
    hints.dedup();
    let mut hint = hints.join(" ");
    if let Some(why) = question.effects.as_ref().and_then(|effects| effects.undecidable.first()) {
        hint.push_str(&format!("{FOR_PEOPLE}in this command, {why}."));
    }
    deny(
        FORBIDDEN,
        rules.iter().map(|rule| rule.id.clone()).collect(),
        format!("{} is not allowed: {}", what(action), reasons.join("; ")),
        hint,
    )
}

pub(crate) fn no_rule_permits(subject: &Subject, action: &Action, question: &Question) -> Verdict {
    deny(
        NO_RULE_PERMITS,
        vec![],
        format!(
            "{} is not allowed: no rule permits it for the role {}",
            what(action),
            subject.role.name()
        ),
        format!(
            "{}{FOR_PEOPLE}{}",
            instead(subject.role, action),
            narrowest(subject, action, question)
        ),
    )
}

pub(crate) fn no_isolation(action: &Action) -> Verdict {
    deny(
        FORBIDDEN,
        vec![],
        format!(
            "{} is not allowed: no rule names the sandbox tier `worktree`, which has no isolation, for it",
            what(action)
        ),
        format!(
            "Use the tier `process`.{FOR_PEOPLE}the organisation can name it for trusted work that mostly reads: `[[sandbox]]` with `tier = \"worktree\"`"
        ),
    )
}

pub(crate) fn evaluation_error(action: &Action, failed: &[(String, String)]) -> Denial {
    let rules: Vec<String> = failed.iter().map(|(id, _)| id.clone()).collect();
    let first = failed.first().map_or("", |(_, error)| error.as_str());
    denial(
        EVALUATION_ERROR,
        rules,
        format!("{} is not allowed: a policy could not be evaluated, so nothing is", what(action)),
        format!("Do not try again: a person has to put the policy right.{FOR_PEOPLE}{first}"),
    )
}

pub(crate) fn request_invalid(action: &Action, error: &str) -> Verdict {
    deny(
        REQUEST_INVALID,
        vec![],
        format!(
            "{} is not allowed: what policy needs to know of it could not be computed",
            what(action)
        ),
        format!("Do not try again in the same form.{FOR_PEOPLE}{}", shorten(error)),
    )
}

fn deny(code: &str, rules: Vec<String>, reason: String, hint: String) -> Verdict {
    Verdict::Deny(denial(code, rules, reason, hint))
}

fn denial(code: &str, rules: Vec<String>, reason: String, hint: String) -> Denial {
    Denial { code: code.to_owned(), rules, reason, hint }
}

fn what(action: &Action) -> String {
    format!("{} `{}`", action.kind(), shorten(&action.summary()))
}

fn shorten(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut short: String = clean.chars().take(SHOWN).collect();
    if short.len() < clean.len() {
        short.push('…');
    }
    short
}

fn instead(role: Role, action: &Action) -> &'static str {
    match (action, role) {
        (Action::Command(_), Role::Coordinator | Role::Reviewer) => {
            "This role runs no commands: read files, and say in the result what should be run."
        }
        (Action::Command(_), _) => {
            "Use a program that is allowed, or say in the result what could not be run."
        }
        (Action::FileWrite(_), Role::Coordinator | Role::Verifier | Role::Reviewer) => {
            "This role only reads: describe the change in the result instead."
        }
        (Action::ToolCall(_), _) => "Use a tool of this role, or finish.",
        (
            Action::BranchPush(_)
            | Action::PullRequestOpen(_)
            | Action::PullRequestMerge(_)
            | Action::ReviewSubmit(_),
            _,
        ) => "Leave it to the platform: finish, and the change is published and reviewed.",
        (Action::SecretUse(_), _) => "Go on without the credential.",
        (
            Action::ModelCall(_)
            | Action::FileRead(_)
            | Action::FileWrite(_)
            | Action::HostRequest(_)
            | Action::RepoRead(_)
            | Action::AgentStart(_)
            | Action::TaskRaise(_),
            _,
        ) => "Go on without it, or say in the result what is missing.",
    }
}

/// The policy that would allow exactly this, ready to be pasted.
fn narrowest(subject: &Subject, action: &Action, question: &Question) -> String {
    let condition = match action {
        Action::Command(command) => {
            format!(" when {{ context.text == {} }}", quote(&command.display()))
        }
        Action::SecretUse(secret) => {
            format!(" when {{ context.purpose == {} }}", quote(&secret.purpose))
        }
        Action::HostRequest(request) => format!(
            " when {{ context.method == {} && context.scheme == {} && context.port == {} && context.path == {} }}",
            quote(&request.method),
            quote(&request.scheme),
            request.port,
            quote(&request.path)
        ),
        Action::AgentStart(start) => {
            format!(" when {{ context.role == Role::\"{}\" }}", start.role.name())
        }
        Action::ModelCall(_)
        | Action::ToolCall(_)
        | Action::FileRead(_)
        | Action::FileWrite(_)
        | Action::RepoRead(_)
        | Action::BranchPush(_)
        | Action::PullRequestOpen(_)
        | Action::ReviewSubmit(_)
        | Action::PullRequestMerge(_)
        | Action::TaskRaise(_) => String::new(),
    };
    format!(
        "to allow exactly this, an administrator can add: @id(\"allow-{kind}-1\") @reason(\"…\") permit(principal in \
         Role::\"{role}\", action == Action::\"{kind}\", resource == {resource}){condition};",
        kind = action.kind(),
        role = subject.role.name(),
        resource = question.resource,
    )
}
