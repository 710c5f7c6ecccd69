//! The policy in force: every rule with what it is for.

use axum::extract::State;
use axum::response::Html;
use maud::html;

use super::failure::Failure;
use super::layout::{self, Page};
use super::text::shown;
use super::visitor::Visitor;
use crate::api::Shared;
use bailiwick_policy::{PolicySet, Rule, RuleEffect};

/// `GET /policy`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
) -> Result<Html<String>, Failure> {
    let policy = shared.engine.parts().warden.policy();
    let mut refused: Vec<(String, usize)> = Vec::new();
    let found = crate::operations::search_tasks(&shared.engine, None, 50, |_| true).await?;
    for line in &found.tasks {
        for rule in shared.engine.state(line.id).await?.refusals.iter().flat_map(|r| &r.rules) {
            match refused.iter_mut().find(|(known, _)| known == rule) {
                Some((_, count)) => *count += 1,
                None => refused.push((rule.clone(), 1)),
            }
        }
    }
    let count = |id: &str| refused.iter().find(|(known, _)| known == id).map_or(0, |(_, n)| *n);
    let body = html! {
        h1 { "Policy" }
        p { "What no rule permits is refused. A rule that forbids overrides every rule that permits. Digest " code { (policy.digest()) } "." }
        div.scroll { table {
            thead { tr { th scope="col" { "Rule" } th scope="col" { "Kind" } th scope="col" { "For" } th.num scope="col" { "Refusals" } } }
            tbody {
                @for rule in policy.rules() {
                    tr {
                        td { details { summary { code { (rule.id) } } pre.log tabindex="0" { (shown(&rule_text(&policy, rule))) } } }
                        td {
                            @match rule.effect {
                                RuleEffect::Permit => { span.tag.good { "permits" } }
                                RuleEffect::Forbid => { span.tag.bad { "forbids" } }
                                RuleEffect::Gate { ref group } => { span.tag.warn { "asks " (group) } }
                            }
                        }
                        td { (shown(&rule.reason)) }
                        td.num { @let n = count(&rule.id); @if n > 0 { (n) } }
                    }
                }
            }
        } }
        p.quiet.small { "Refusals are counted over the fifty newest tasks. " code { "bailiwick policy explain ENTRY" } " says why a decision fell as it did." }
    };
    Ok(Html(layout::page(&Page::new("/policy", "Policy"), &visitor, &body).into_string()))
}

/// The text of a rule in its source.
pub(super) fn rule_text(policy: &PolicySet, rule: &Rule) -> String {
    let source = policy.source_text(&rule.source).unwrap_or_default();
    let mut lines = Vec::new();
    for line in source.lines().skip(rule.line.saturating_sub(1) as usize) {
        lines.push(line);
        if line.trim_end().ends_with(';') {
            break;
        }
    }
    lines.join("\n")
}
