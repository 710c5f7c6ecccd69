//! From the short form to Cedar text, a rule at a time.

use toml::Spanned;

use super::hosts::{self, Gives};
use super::pattern::{Place, either, models, one_of, quote};
use super::{Agents, Ask, Budgets, Commands, Form, Generated, Lists, Paths, Permit, PullRequests};
use crate::error::{PolicyError, place};
use crate::load::PolicySource;
use crate::schema::{ACTION_KINDS, ROLES, principal_type};

/// The largest amount of money that can be named, in US dollars.
const MOST_USD: f64 = 1_000_000.0;

pub(super) struct Compiler<'a> {
    pub(super) source: &'a PolicySource,
    pub(super) prefix: String,
    pub(super) rules: Vec<Generated>,
    errors: Vec<PolicyError>,
}

/// What a section says of its own rules.
struct Words<'a> {
    reason: Option<&'a str>,
    hint: Option<&'a str>,
}

/// A rule that is about to be written.
struct Rule<'a> {
    id: &'a str,
    at: usize,
    gate: Option<&'a str>,
    reason: String,
    hint: String,
    /// `principal is Agent, action == Action::"…", resource`.
    scope: &'a str,
    /// When it applies.
    when: String,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(source: &'a PolicySource, form: &Form) -> Self {
        let stem = source.name.rsplit('/').next().unwrap_or_default();
        let stem = stem.strip_suffix(".toml").unwrap_or(stem);
        let clean = |text: &str| -> String {
            let lower = text.to_lowercase();
            lower
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                .take(24)
                .collect()
        };
        let prefix = form.id.as_ref().map_or_else(|| clean(stem), |id| clean(id.get_ref()));
        Self { source, prefix, rules: vec![], errors: vec![] }
    }

    pub(super) fn run(mut self, form: &Form) -> Result<Vec<Generated>, Vec<PolicyError>> {
        if let Some(section) = &form.models {
            let scope = "principal, action == Action::\"model_call\", resource";
            self.lists("models", "model", scope, section.get_ref(), |names| {
                models(names.iter().copied())
            });
        }
        if let Some(section) = &form.tools {
            let scope = "principal is Agent, action == Action::\"tool_call\", resource";
            self.lists("tools", "tool", scope, section.get_ref(), named);
        }
        if let Some(section) = &form.credentials {
            let scope = "principal, action == Action::\"secret_use\", resource";
            self.lists("credentials", "credential", scope, section.get_ref(), named);
        }
        if let Some(section) = &form.hosts {
            self.hosts(section.get_ref());
        }
        if let Some(section) = &form.commands {
            self.commands(section.get_ref());
        }
        if let Some(section) = &form.paths {
            self.paths(section.get_ref());
        }
        if let Some(section) = &form.budgets {
            self.budgets(section.get_ref());
        }
        if let Some(section) = &form.agents {
            self.agents(section.get_ref());
        }
        if let Some(section) = &form.pull_requests {
            self.pull_requests(section.get_ref());
        }
        for (at, tier) in form.sandbox.iter().enumerate() {
            self.tier(at, tier.get_ref());
        }
        for (at, permit) in form.permit.iter().enumerate() {
            self.permit(at, permit);
        }
        if self.errors.is_empty() { Ok(self.rules) } else { Err(self.errors) }
    }

    pub(super) fn fault(&mut self, at: usize, what: String, why: &'static str, fix: String) {
        let (line, column) = place(&self.source.text, at);
        let file = self.source.name.clone();
        self.errors.push(PolicyError { file, line, column, policy: None, what, why, fix });
    }

    fn rule(&mut self, rule: Rule<'_>) {
        let (line, column) = place(&self.source.text, rule.at);
        let gate = rule.gate.map(|group| format!("@gate({})\n", quote(group))).unwrap_or_default();
        let condition = match (rule.gate, rule.when.as_str()) {
            (None, "true") => String::new(),
            (None, when) => format!("\nwhen {{ {when} }}"),
            (Some(group), when) => {
                let approved = format!("context.approvals.contains({})", quote(group));
                format!("\nwhen {{ {when} }}\nunless {{ {approved} }}")
            }
        };
        let text = format!(
            "@id({})\n{gate}@reason({})\n@hint({})\nforbid ({}){condition};\n",
            quote(&format!("{}.{}", self.prefix, rule.id)),
            quote(&rule.reason),
            quote(&rule.hint),
            rule.scope,
        );
        self.rules.push(Generated { text, line, column });
    }

    /// The names of a list. One that is empty or has characters nobody can see is a mistake.
    fn names<'l>(&mut self, list: &'l Spanned<Vec<Spanned<String>>>) -> Vec<&'l str> {
        let mut names = Vec::new();
        for one in list.get_ref() {
            let name = one.get_ref().as_str();
            if name.trim() != name || name.is_empty() || name.chars().any(char::is_control) {
                self.fault(
                    one.span().start,
                    format!("`{}` is not a name or pattern", name.escape_debug()),
                    "it would never match what was meant",
                    "write it without spaces around it; `*` stands for any characters".to_owned(),
                );
            }
            names.push(name);
        }
        names
    }

    /// The names of a list that says nothing when it is empty.
    pub(super) fn some<'l>(&mut self, list: &'l Spanned<Vec<Spanned<String>>>) -> Vec<&'l str> {
        if list.get_ref().is_empty() {
            self.empty(list.span().start);
        }
        self.names(list)
    }

    fn empty(&mut self, at: usize) {
        self.fault(
            at,
            "the list is empty".to_owned(),
            "a rule about nothing never applies",
            "name something, or leave the key out".to_owned(),
        );
    }

    fn lists(
        &mut self,
        section: &str,
        noun: &str,
        scope: &str,
        lists: &Lists,
        condition: fn(&[&str]) -> String,
    ) {
        let words = Words { reason: lists.reason.as_deref(), hint: lists.hint.as_deref() };
        if let Some(allow) = &lists.allow {
            let names = self.names(allow);
            self.rule(Rule {
                id: &format!("{section}-allow"),
                at: allow.span().start,
                gate: None,
                reason: words.reason(&format!("this {noun} is not on the list of those allowed")),
                hint: words.hint(&format!("Use one of: {}.", shown(&names))),
                scope,
                when: format!("!{}", bracketed(&condition(&names))),
            });
        }
        if let Some(deny) = &lists.deny {
            let names = self.some(deny);
            self.rule(Rule {
                id: &format!("{section}-deny"),
                at: deny.span().start,
                gate: None,
                reason: words.reason(&format!("this {noun} is not allowed here")),
                hint: words.hint(&format!("Use another {noun}, or go on without it.")),
                scope,
                when: condition(&names),
            });
        }
        self.asks(&format!("{section}-ask"), scope, &lists.ask, &words, condition);
    }

    fn asks(
        &mut self,
        id: &str,
        scope: &str,
        asks: &[Spanned<Ask>],
        words: &Words<'_>,
        condition: impl Fn(&[&str]) -> String,
    ) {
        for (at, ask) in asks.iter().enumerate() {
            let one = ask.get_ref();
            let names: Vec<&str> = one.what.iter().map(|name| name.get_ref().as_str()).collect();
            if names.is_empty() {
                self.empty(ask.span().start);
            }
            self.rule(Rule {
                id: &format!("{id}-{}", at + 1),
                at: ask.span().start,
                gate: Some(&one.group),
                reason: one
                    .reason
                    .clone()
                    .unwrap_or_else(|| words.reason(&format!("{} has to approve it", one.group))),
                hint: words.hint(&format!("Ask {} to approve it.", one.group)),
                scope,
                when: condition(&names),
            });
        }
    }

    fn hosts(&mut self, section: &Lists) {
        let lists = [&section.allow, &section.deny].into_iter().flatten().map(Spanned::get_ref);
        let asked = section.ask.iter().map(|ask| &ask.get_ref().what);
        for list in lists.chain(asked) {
            self.host_patterns(list);
        }
        let scope = "principal, action == Action::\"request\", resource";
        let words = Words { reason: section.reason.as_deref(), hint: section.hint.as_deref() };
        if let Some(allow) = &section.allow {
            let names = self.names(allow);
            self.rule(Rule {
                id: "hosts-allow",
                at: allow.span().start,
                gate: None,
                reason: words.reason("the request is not among those allowed"),
                hint: words.hint(&format!("Use one of: {}.", shown(&names))),
                scope,
                when: format!("!{}", bracketed(&hosts::condition(&names, Gives::Yes))),
            });
        }
        if let Some(deny) = &section.deny {
            let names = self.some(deny);
            self.rule(Rule {
                id: "hosts-deny",
                at: deny.span().start,
                gate: None,
                reason: words.reason("this request is not allowed here"),
                hint: words.hint("Use another host, or go on without it."),
                scope,
                when: hosts::condition(&names, Gives::No),
            });
        }
        let condition = |names: &[&str]| hosts::condition(names, Gives::No);
        self.asks("hosts-ask", scope, &section.ask, &words, condition);
    }

    fn host_patterns(&mut self, list: &[Spanned<String>]) {
        for one in list {
            if let Some(why) = hosts::fault(one.get_ref()) {
                self.fault(
                    one.span().start,
                    format!(
                        "`{}` is not a pattern of requests: {why}",
                        one.get_ref().escape_debug()
                    ),
                    "it would never match what was meant",
                    "write `GET,HEAD api.example.com/v1/*`; methods, port and path may be left out"
                        .to_owned(),
                );
            }
        }
    }

    fn commands(&mut self, section: &Commands) {
        let scope = "principal is Agent, action == Action::\"command\", resource";
        let words = Words { reason: section.reason.as_deref(), hint: section.hint.as_deref() };
        for (id, list, fact) in [
            ("commands-programs", &section.programs, "context.programs"),
            ("commands-operations", &section.operations, "context.operations"),
        ] {
            if let Some(list) = list {
                let names = self.names(list);
                for one in list.get_ref() {
                    if one.get_ref().contains('*') {
                        self.fault(
                            one.span().start,
                            format!("`{}` is a pattern", one.get_ref()),
                            "programs are compared as a set, name by name",
                            "write every name out".to_owned(),
                        );
                    }
                }
                let when = if names.is_empty() {
                    format!("!{fact}.isEmpty()")
                } else {
                    format!("!{}.containsAll({fact})", set(&names))
                };
                self.rule(Rule {
                    id,
                    at: list.span().start,
                    gate: None,
                    reason: words.reason("the command is not on the list of those allowed"),
                    hint: words.hint(&format!("Use one of: {}.", shown(&names))),
                    scope,
                    when,
                });
            }
        }
        if let Some(deny) = &section.deny {
            let names = self.some(deny);
            self.rule(Rule {
                id: "commands-deny",
                at: deny.span().start,
                gate: None,
                reason: words.reason("this command is not allowed here"),
                hint: words
                    .hint("Use another command, or say in the result what could not be run."),
                scope,
                when: commands(&names),
            });
        }
        self.asks("commands-ask", scope, &section.ask, &words, commands);
    }

    fn paths(&mut self, section: &Paths) {
        let words = Words { reason: section.reason.as_deref(), hint: section.hint.as_deref() };
        let write = "principal is Agent, action == Action::\"file_write\", resource";
        let read = "principal is Agent, action == Action::\"file_read\", resource";
        let command = "principal is Agent, action == Action::\"command\", resource";
        for (id, scope, list, allow) in [
            ("paths-write-allow", write, &section.write_allow, true),
            ("paths-write-deny", write, &section.write_deny, false),
            ("paths-read-allow", read, &section.read_allow, true),
            ("paths-read-deny", read, &section.read_deny, false),
        ] {
            let Some(list) = list else { continue };
            let at = list.span().start;
            let names = self.places(list.get_ref());
            if allow && names.contains(&"**") {
                continue;
            }
            if !allow && names.is_empty() {
                self.empty(at);
            }
            let inside = files(&names);
            let (when, reason) = if allow {
                (format!("!{}", bracketed(&inside)), "the path is not among those allowed")
            } else {
                (inside, "the path is not to be touched")
            };
            let hint = "Leave the file as it is, and say in the result what it would take.";
            let (reason, hint) = (words.reason(reason), words.hint(hint));
            if id == "paths-write-deny" {
                self.rule(Rule {
                    id: "paths-write-deny-commands",
                    at,
                    gate: None,
                    reason: reason.clone(),
                    hint: hint.clone(),
                    scope: command,
                    when: written(&names),
                });
            }
            self.rule(Rule { id, at, gate: None, reason, hint, scope, when });
        }
        for ask in &section.write_ask {
            self.places(&ask.get_ref().what);
        }
        self.asks("paths-write-ask", write, &section.write_ask, &words, files);
        self.asks("paths-write-ask-commands", command, &section.write_ask, &words, written);
    }

    fn places<'l>(&mut self, list: &'l [Spanned<String>]) -> Vec<&'l str> {
        for one in list {
            if Place::parse(one.get_ref()).is_none() {
                self.fault(
                    one.span().start,
                    format!("`{}` is not a path pattern", one.get_ref().escape_debug()),
                    "a pattern has to mean the same for a file tool and for what a command writes",
                    "write a path `a/b.txt`, a directory `a/**`, an ending `**/*.pem`, or `**`"
                        .to_owned(),
                );
            }
        }
        list.iter().map(|one| one.get_ref().as_str()).collect()
    }

    fn budgets(&mut self, section: &Budgets) {
        let words = Words { reason: section.reason.as_deref(), hint: section.hint.as_deref() };
        let call = "principal, action == Action::\"model_call\", resource";
        let start = "principal, action == Action::\"agent_start\", resource";
        for (id, amount, scope, fact, reason, hint) in [
            (
                "budgets-task",
                &section.task_usd,
                start,
                "context.budget_left >",
                "the task may spend more than a task is allowed to",
                "Start the task again with a smaller `--budget`.",
            ),
            (
                "budgets-call",
                &section.call_usd,
                call,
                "context.estimate >",
                "one call may cost more than a call is allowed to",
                "Ask for less output, or use a cheaper model.",
            ),
            (
                "budgets-reserve",
                &section.reserve_usd,
                call,
                "context.budget_left <",
                "less is left of the task's budget than has to be kept back",
                "Finish with what there is and say what is missing.",
            ),
        ] {
            let Some(amount) = amount else { continue };
            let Some(micro) = micro_usd(*amount.get_ref()) else {
                self.fault(
                    amount.span().start,
                    format!("`{}` is not an amount", amount.get_ref()),
                    "an amount is between 0 and 1000000 US dollars",
                    "write it as `0.50`".to_owned(),
                );
                continue;
            };
            self.rule(Rule {
                id,
                at: amount.span().start,
                gate: None,
                reason: words.reason(reason),
                hint: words.hint(hint),
                scope,
                when: format!("{fact} {micro}"),
            });
        }
    }

    fn agents(&mut self, section: &Agents) {
        let words = Words { reason: section.reason.as_deref(), hint: section.hint.as_deref() };
        if let Some(tiers) = &section.tiers {
            let names = self.names(tiers);
            self.rule(Rule {
                id: "agents-tiers",
                at: tiers.span().start,
                gate: None,
                reason: words.reason("agents are not started in this sandbox tier"),
                hint: words.hint(&format!("Use one of the tiers: {}.", shown(&names))),
                scope: "principal, action == Action::\"agent_start\", resource",
                when: format!("!{}", bracketed(&one_of("context.tier", names.iter().copied()))),
            });
        }
    }

    fn pull_requests(&mut self, section: &PullRequests) {
        let words = Words { reason: section.reason.as_deref(), hint: section.hint.as_deref() };
        let scope = "principal, action == Action::\"pull_request_merge\", resource";
        let mut limits: Vec<(&str, usize, String, &str, &str)> = Vec::new();
        if let Some(most) = &section.max_files {
            let when = format!("context.changed_files > {}", most.get_ref());
            limits.push((
                "pull-requests-files",
                most.span().start,
                when,
                "the change touches too many files",
                "Split it into several pull requests.",
            ));
        }
        if let Some(most) = &section.max_lines {
            let when = format!("context.changed_lines > {}", most.get_ref());
            limits.push((
                "pull-requests-lines",
                most.span().start,
                when,
                "the change is too large",
                "Split it into several pull requests.",
            ));
        }
        if let Some(one) = section.single_purpose.as_ref().filter(|one| *one.get_ref()) {
            let when = "context.changed_areas > 1".to_owned();
            limits.push((
                "pull-requests-single-purpose",
                one.span().start,
                when,
                "the change is about more than one part of the repository",
                "Make a pull request for each part.",
            ));
        }
        if let Some(tests) = section.tests.as_ref().filter(|tests| *tests.get_ref()) {
            let when = "!context.changes_tests".to_owned();
            limits.push((
                "pull-requests-tests",
                tests.span().start,
                when,
                "the change touches no test",
                "Add a test that fails without the change.",
            ));
        }
        // Only once somebody approved: before that the organisation's question is the answer.
        if let Some(count) = &section.approvals {
            let when = format!("context.approvers > 0 && context.approvers < {}", count.get_ref());
            limits.push((
                "pull-requests-approvals",
                count.span().start,
                when,
                "not enough people approved it",
                "Ask another person to review it.",
            ));
        }
        for (id, at, when, reason, hint) in limits {
            let (reason, hint) = (words.reason(reason), words.hint(hint));
            self.rule(Rule { id, at, gate: None, reason, hint, scope, when });
        }
        if let Some(reviewers) = &section.reviewers {
            let people: Vec<String> = self
                .some(reviewers)
                .into_iter()
                .map(|name| format!("Human::{}", quote(name)))
                .collect();
            self.rule(Rule {
                id: "pull-requests-reviewers",
                at: reviewers.span().start,
                gate: None,
                reason: words.reason("none of the required reviewers approved it"),
                hint: words.hint("Ask one of the required reviewers."),
                scope,
                when: format!(
                    "context.approvers > 0 && !context.approved_by.containsAny([{}])",
                    people.join(", ")
                ),
            });
        }
        if let Some(groups) = &section.groups {
            for (at, group) in groups.get_ref().iter().enumerate() {
                self.rule(Rule {
                    id: &format!("pull-requests-group-{}", at + 1),
                    at: group.span().start,
                    gate: Some(group.get_ref()),
                    reason: words.reason(&format!("{} has to approve the merge", group.get_ref())),
                    hint: words.hint(&format!("Ask {} to approve it.", group.get_ref())),
                    scope,
                    when: "true".to_owned(),
                });
            }
        }
    }

    fn permit(&mut self, at: usize, permit: &Spanned<Permit>) {
        let start = permit.span().start;
        let permit = permit.get_ref();
        let kind = permit.action.get_ref().as_str();
        if !ACTION_KINDS.contains(&kind) {
            self.fault(
                permit.action.span().start,
                format!("`{kind}` is not a kind of action"),
                "a right names what it is about",
                format!("use one of: {}", ACTION_KINDS.join(", ")),
            );
            return;
        }
        let mut roles = Vec::new();
        for role in permit.roles.get_ref() {
            match ROLES.into_iter().find(|one| one.name() == role.get_ref()) {
                Some(role) => roles.push(role),
                None => {
                    let known: Vec<&str> = ROLES.iter().map(|role| role.name()).collect();
                    self.fault(
                        role.span().start,
                        format!("`{}` is not a role", role.get_ref()),
                        "a right names who has it",
                        format!("use some of: {}", known.join(", ")),
                    );
                }
            }
        }
        if permit.roles.get_ref().is_empty() {
            let fix = "name at least one role".to_owned();
            self.fault(
                permit.roles.span().start,
                "no role is named".to_owned(),
                "a right names who has it",
                fix,
            );
        }
        let mut conditions = Vec::new();
        let principal = match roles.as_slice() {
            [one] => format!("principal in Role::{}", quote(one.name())),
            several => {
                let parts =
                    several.iter().map(|role| format!("principal in Role::{}", quote(role.name())));
                conditions.push(either(parts.collect()));
                let types: Vec<&str> = several.iter().map(|role| principal_type(*role)).collect();
                match types.first() {
                    Some(first) if types.iter().all(|name| name == first) => {
                        format!("principal is {first}")
                    }
                    _ => "principal".to_owned(),
                }
            }
        };
        self.permit_conditions(kind, permit, &mut conditions);
        if let Some(list) = &permit.repositories {
            let names: Vec<String> = self
                .some(list)
                .into_iter()
                .map(|name| format!("Repository::{}", quote(name)))
                .collect();
            conditions.push(format!("[{}].contains(context.repository)", names.join(", ")));
        }
        let when = if conditions.is_empty() {
            String::new()
        } else {
            format!("\nwhen {{ {} }}", conditions.join(" && "))
        };
        let id = permit.id.clone().unwrap_or_else(|| format!("permit-{}", at + 1));
        let (line, column) = place(&self.source.text, start);
        let text = format!(
            "@id({})\n@reason({})\npermit ({principal}, action == Action::{}, resource){when};\n",
            quote(&format!("{}.{id}", self.prefix)),
            quote(&permit.reason),
            quote(kind),
        );
        self.rules.push(Generated { text, line, column });
    }

    fn permit_conditions(&mut self, kind: &str, permit: &Permit, conditions: &mut Vec<String>) {
        if kind != "command" {
            for list in [&permit.programs, &permit.operations].into_iter().flatten() {
                self.fault(
                    list.span().start,
                    format!("`programs` and `operations` say nothing of `{kind}`"),
                    "they are about commands",
                    "use `match`".to_owned(),
                );
            }
        }
        for (list, fact) in
            [(&permit.programs, "context.programs"), (&permit.operations, "context.operations")]
        {
            if let Some(list) = list {
                let names = self.some(list);
                conditions.push(format!("{}.containsAll({fact})", set(&names)));
            }
        }
        let Some(list) = &permit.what else {
            let bounded = matches!(kind, "review_submit" | "pull_request_merge" | "repo_read")
                || (kind == "command" && permit.programs.is_some());
            if !bounded {
                let fix = "add `match = [\"…\"]`; `match = [\"*\"]` says that everything is meant"
                    .to_owned();
                self.fault(
                    permit.action.span().start,
                    format!("the right does not say which `{kind}`"),
                    "a right that names nothing gives everything",
                    fix,
                );
            }
            return;
        };
        let names = self.names(list);
        let condition = match kind {
            "command" => {
                if names.iter().any(|name| name.contains('*')) {
                    self.fault(
                        list.span().start,
                        "a command is matched by its whole text, without `*`".to_owned(),
                        "`git log*` would match `git log; curl …` as well",
                        "write the commands out, or use `programs` and `operations`".to_owned(),
                    );
                }
                one_of("context.text", names.iter().copied())
            }
            "model_call" => models(names.iter().copied()),
            "file_read" | "file_write" => {
                let names = self.places(list.get_ref());
                files(&names)
            }
            "request" => {
                self.host_patterns(list.get_ref());
                hosts::condition(&names, Gives::Yes)
            }
            "review_submit" | "pull_request_merge" | "repo_read" => {
                self.fault(
                    list.span().start,
                    format!("`match` says nothing of `{kind}`"),
                    "it has no name that could be matched",
                    "leave `match` out, and use `repositories`".to_owned(),
                );
                return;
            }
            _ => named(&names),
        };
        conditions.push(condition);
    }
}

impl Words<'_> {
    fn reason(&self, otherwise: &str) -> String {
        self.reason.unwrap_or(otherwise).to_owned()
    }

    fn hint(&self, otherwise: &str) -> String {
        self.hint.unwrap_or(otherwise).to_owned()
    }
}

fn micro_usd(usd: f64) -> Option<i64> {
    if !(0.0..=MOST_USD).contains(&usd) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is between 0 and 10^12")]
    let micro = (usd * 1_000_000.0).round() as i64;
    Some(micro)
}

fn named(names: &[&str]) -> String {
    one_of("resource.name", names.iter().copied())
}

pub(super) fn set(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quote(name)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A command is one of these: a word is a program, more words are a program and its sub-command.
pub(super) fn commands(names: &[&str]) -> String {
    let (operations, programs): (Vec<&str>, Vec<&str>) =
        names.iter().copied().partition(|name| name.contains(' '));
    let mut parts = Vec::new();
    if !programs.is_empty() {
        parts.push(format!("context.programs.containsAny({})", set(&programs)));
    }
    if !operations.is_empty() {
        parts.push(format!("context.operations.containsAny({})", set(&operations)));
    }
    either(parts)
}

fn files(names: &[&str]) -> String {
    either(
        names.iter().filter_map(|name| Place::parse(name)).map(|place| place.of_file()).collect(),
    )
}

fn written(names: &[&str]) -> String {
    format!("context.write_places.containsAny({})", set(names))
}

fn shown(names: &[&str]) -> String {
    const MOST: usize = 12;
    let mut text = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(", …");
    }
    text
}

fn bracketed(condition: &str) -> String {
    if condition.starts_with('(') { condition.to_owned() } else { format!("({condition})") }
}
