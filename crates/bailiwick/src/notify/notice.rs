//! What is told of an entry: enough to come and look, and no more.

use std::collections::BTreeSet;

use bailiwick_engine::Engine;
use bailiwick_model::Timestamp;
use bailiwick_model::approval::{ApprovalState, ApprovalVerdict, LAPSED};
use bailiwick_model::event::{Entry, Event, Fact};
use bailiwick_model::id::{ApprovalId, Person, RepoName, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text that is told, in characters.
const MAX_TEXT: usize = 400;

/// What can be told.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// People are asked for approval.
    ApprovalAsked,
    /// Somebody answered.
    ApprovalAnswered,
    /// A request lapses soon.
    ApprovalExpiring,
    /// A request lapsed, or is void.
    ApprovalEnded,
    /// A further group is asked, since nobody answered.
    ApprovalEscalated,
    /// Something was stopped.
    Frozen,
    /// It goes on.
    Thawed,
    /// An emergency was declared, confirmed, used or ended.
    BreakGlass,
    /// Many actions were refused in a short time.
    DenialStorm,
    /// Anything else that somebody should look at, a refused policy among it.
    Alert,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ApprovalAsked => "approval_asked",
            Self::ApprovalAnswered => "approval_answered",
            Self::ApprovalExpiring => "approval_expiring",
            Self::ApprovalEnded => "approval_ended",
            Self::ApprovalEscalated => "approval_escalated",
            Self::Frozen => "frozen",
            Self::Thawed => "thawed",
            Self::BreakGlass => "break_glass",
            Self::DenialStorm => "denial_storm",
            Self::Alert => "alert",
        }
    }
}

/// The facts that something is told of.
pub(super) const FACTS: [&str; 13] = [
    "approval_asked",
    "approval_answered",
    "approval_reminded",
    "approval_voided",
    "approval_escalated",
    "frozen",
    "thawed",
    "emergency_declared",
    "emergency_confirmed",
    "emergency_used",
    "emergency_ended",
    "alert_raised",
    "policy_refused",
];

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Notice {
    /// The same however often it is told: the ledger's name and the entry's index.
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) at: Timestamp,
    /// In a line.
    pub(super) title: String,
    /// In a few.
    pub(super) text: String,
    /// Where on the platform's own pages it is looked at.
    pub(super) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repo: Option<RepoName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) approval: Option<ApprovalId>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) groups: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
}

impl Notice {
    /// What is told of an entry; nothing for one that nobody is told of.
    pub(super) fn of(engine: &Engine, origin: &str, entry: &Entry) -> Option<Self> {
        let Event::Fact(fact) = &entry.event else { return None };
        let asked = |id: ApprovalId| engine.approval(id).ok().map(|(state, _)| state);
        let mut notice = match fact.as_ref() {
            Fact::ApprovalAsked(request) => about(Kind::ApprovalAsked, &asked(request.id)?),
            Fact::ApprovalAnswered(answer) => {
                let mut told = about(Kind::ApprovalAnswered, &asked(answer.approval)?);
                let word = match answer.verdict {
                    ApprovalVerdict::Grant => "granted",
                    ApprovalVerdict::Deny => "denied",
                };
                told.title = format!("{} {word} an approval", answer.by);
                told.by = Some(answer.by.clone());
                told
            }
            Fact::ApprovalReminded(reminded) => {
                about(Kind::ApprovalExpiring, &asked(reminded.approval)?)
            }
            Fact::ApprovalVoided(voided) => {
                let mut told = about(Kind::ApprovalEnded, &asked(voided.approval)?);
                let lapsed = voided.reason == LAPSED;
                let word = if lapsed { "lapsed" } else { "is void" };
                told.title = format!("A request for approval {word}: {}", voided.reason);
                told
            }
            Fact::ApprovalEscalated(escalated) => {
                let mut told = about(Kind::ApprovalEscalated, &asked(escalated.approval)?);
                told.title = format!("Nobody answered, so `{}` is asked", escalated.group);
                told.groups.insert(escalated.group.clone());
                told
            }
            Fact::Frozen(freeze) => Self {
                by: Some(freeze.by.clone()),
                ..plain(Kind::Frozen, format!("Frozen: {}", freeze.frozen), &freeze.reason)
            },
            Fact::Thawed(thaw) => Self {
                by: Some(thaw.by.clone()),
                ..plain(Kind::Thawed, format!("Thawed by {}", thaw.by), &thaw.freeze.to_string())
            },
            Fact::EmergencyDeclared(emergency) => Self {
                by: Some(emergency.by.clone()),
                repo: Some(emergency.repo.clone()),
                ..plain(
                    Kind::BreakGlass,
                    format!("Emergency `{}` declared; a second person is needed", emergency.name),
                    &emergency.reason,
                )
            },
            Fact::EmergencyConfirmed(word) => Self {
                by: Some(word.by.clone()),
                ..plain(Kind::BreakGlass, "An emergency is in force".to_owned(), "")
            },
            Fact::EmergencyUsed(used) => Self {
                task: used.task,
                ..plain(
                    Kind::BreakGlass,
                    "Done under an emergency, without the usual approval".to_owned(),
                    &format!("gates lifted: {}", used.rules.join(", ")),
                )
            },
            Fact::EmergencyEnded(word) => Self {
                by: Some(word.by.clone()),
                ..plain(Kind::BreakGlass, "An emergency was ended".to_owned(), "")
            },
            Fact::AlertRaised(alert) => {
                let storm = alert.code == "alert.denial_storm";
                let kind = if storm { Kind::DenialStorm } else { Kind::Alert };
                Self {
                    code: Some(alert.code.clone()),
                    task: alert.task,
                    ..plain(kind, format!("Alert [{}]", alert.code), &alert.message)
                }
            }
            Fact::PolicyRefused { layer, code, faults, .. } => Self {
                code: Some(code.clone()),
                path: "/policy".to_owned(),
                ..plain(
                    Kind::Alert,
                    format!("The policy of the {layer} is refused [{code}]"),
                    &format!("the last good one stays in force; {}", faults.join("; ")),
                )
            },
            _ => return None,
        };
        notice.id = format!("{origin}/{}", entry.seq);
        notice.at = entry.at;
        if let (Some(task), "/") = (notice.task, notice.path.as_str()) {
            notice.path = format!("/tasks/{task}");
        }
        notice.title = told(&notice.title);
        notice.text = told(&notice.text);
        Some(notice)
    }

    /// As text for people.
    pub(super) fn lines(&self) -> String {
        let mut lines = vec![self.title.clone(), String::new()];
        if !self.text.is_empty() {
            lines.extend([self.text.clone(), String::new()]);
        }
        let mut field = |name: &str, value: Option<String>| {
            lines.extend(value.map(|value| format!("{name}: {value}")));
        };
        field("Repository", self.repo.as_ref().map(ToString::to_string));
        field("Task", self.task.map(|task| task.to_string()));
        field("Approval", self.approval.map(|approval| approval.to_string()));
        let groups: Vec<&str> = self.groups.iter().map(String::as_str).collect();
        field("Asked of", (!groups.is_empty()).then(|| groups.join(", ")));
        field("Lapses at", self.expires_at.map(|at| at.to_string()));
        field("By", self.by.as_ref().map(ToString::to_string));
        field("Recorded at", Some(self.at.to_string()));
        field("Look at it on the platform", Some(self.path.clone()));
        field("Id", Some(self.id.clone()));
        lines.join("\n")
    }
}

fn plain(kind: Kind, title: String, text: &str) -> Notice {
    Notice {
        id: String::new(),
        kind,
        at: Timestamp::UNIX_EPOCH,
        title,
        text: text.to_owned(),
        path: "/".to_owned(),
        code: None,
        by: None,
        repo: None,
        task: None,
        approval: None,
        groups: BTreeSet::new(),
        expires_at: None,
    }
}

/// A notice about a request: what is to be done in a line, who is asked, until when.
fn about(kind: Kind, state: &ApprovalState) -> Notice {
    let request = &state.request;
    let title = match kind {
        Kind::ApprovalExpiring => {
            format!("A request for approval lapses at {}", request.expires_at)
        }
        _ => format!("{} needs approval in {}", request.action.kind(), request.repo),
    };
    let what = request.action.summary();
    let text = format!("{what}\n\n{}; for {}", request.reason, request.subject.on_behalf_of);
    let groups = request.needs.iter().map(|need| need.group.clone());
    Notice {
        path: format!("/approvals/{}", request.id),
        repo: Some(request.repo.clone()),
        task: request.subject.task,
        approval: Some(request.id),
        groups: groups.chain(state.escalated_to.iter().cloned()).collect(),
        expires_at: Some(request.expires_at),
        ..plain(kind, title, &text)
    }
}

/// Text of agents and people as it is told: without secrets, without what moves a cursor, cut.
fn told(text: &str) -> String {
    let redacted = bailiwick_scan::redact(text).text;
    let (shown, _) = bailiwick_scan::reveal(&redacted);
    let mut clean: String = shown
        .chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .take(MAX_TEXT)
        .collect();
    if shown.chars().nth(MAX_TEXT).is_some() {
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_and_nothing_that_moves_a_cursor_is_told() {
        let key = ["AKIA", "Z7VRSQ5TJN2XMPLQ"].concat();
        let text = told(&format!("aws configure set key {key}\u{1b}[2J\u{202e}x"));
        assert!(!text.contains(&key) && !text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(text.starts_with("aws configure set key "), "{text}");
        assert_eq!(told(&"x".repeat(1_000)).chars().count(), MAX_TEXT + 1);
    }

    #[test]
    fn each_kind_has_the_name_that_it_is_configured_by() {
        for kind in [
            Kind::ApprovalAsked,
            Kind::ApprovalAnswered,
            Kind::ApprovalExpiring,
            Kind::ApprovalEnded,
            Kind::ApprovalEscalated,
            Kind::Frozen,
            Kind::Thawed,
            Kind::BreakGlass,
            Kind::DenialStorm,
            Kind::Alert,
        ] {
            assert_eq!(serde_json::json!(kind), kind.name());
        }
    }
}
