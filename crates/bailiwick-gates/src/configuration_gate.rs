//! Gate `configuration`: files that steer agents, editors, git, pipelines, images and installations.
//!
//! Any change to one is found by where it stands, whatever it says, and goes to its owners. What it
//! says is looked at as well: an unpinned server, a task that runs when a folder is opened.

mod ci;
mod kinds;
mod mcp;
mod package;

use crate::codeowners::CodeOwners;
use crate::content_gate::{ContentGate, FilePair, Hit, Input, Inspected};
use crate::rule::Rule;
use bailiwick_model::evidence::Severity;
use bailiwick_scan::{InstructionStrength, find_instructions};
use kinds::{Kind, kind_of};

/// Largest file whose content is looked at.
const MOST_BYTES: usize = 1 << 20;

/// Finds changes to what steers others.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConfigurationGate;

impl ContentGate for ConfigurationGate {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn purpose(&self) -> &'static str {
        "files that steer agents, editors, git, pipelines, images and installations"
    }

    fn rules(&self) -> Vec<Rule> {
        let by_place = |id, title| {
            Rule::asks(
                id,
                title,
                Severity::Medium,
                Some(829),
                [
                    "such a file decides what other people's tools do, often without being asked and \
                     before anybody has read it",
                    "let its owner look at each line; take it out of the change if the task did not ask for it",
                ],
            )
        };
        let mut rules = vec![
            by_place("configuration/agent-instructions", "instructions to agents changed"),
            by_place("configuration/mcp", "tool servers of agents changed"),
            by_place("configuration/editor", "tasks or settings of editors changed"),
            by_place("configuration/git", "git hooks, attributes or modules changed"),
            by_place("configuration/pipeline", "a pipeline's definition changed"),
            by_place("configuration/image", "the definition of an image changed"),
            by_place("configuration/build-script", "a script that builds run changed"),
            by_place("configuration/owners", "who owns what changed"),
            Rule::asks(
                "configuration/orders-agents",
                "text that orders an agent to do something unusual",
                Severity::High,
                Some(1427),
                [
                    "the text reads like an order to drop rules, hide something or send data away; an \
                     agent that reads the file may follow it",
                    "take the passage out, or say in the review why it is honest",
                ],
            ),
        ];
        rules.extend(mcp::rules());
        rules.extend(ci::rules());
        rules.extend(package::rules());
        rules
    }

    fn inspect(&self, input: &Input) -> Inspected {
        let owners = match CodeOwners::read(&*input.base) {
            Ok(owners) => owners,
            Err(error) => {
                return Inspected { doubts: vec![error], ..Inspected::default() };
            }
        };
        let mut inspected = input.new_hits(|pair| kind_of(&pair.path).is_some(), scan);
        for pair in &input.change.pairs {
            let kinds = [kind_of(&pair.path), pair.old_path.as_deref().and_then(kind_of)];
            if let Some(kind) = kinds.into_iter().flatten().next() {
                inspected.hits.extend(by_place(kind, pair, &owners));
            }
        }
        inspected
    }
}

/// The change itself, whatever it says.
fn by_place(kind: Kind, pair: &FilePair, owners: &CodeOwners) -> Option<Hit> {
    let rule = match kind {
        Kind::Instructions => "configuration/agent-instructions",
        Kind::Mcp => "configuration/mcp",
        Kind::Editor => "configuration/editor",
        Kind::Git => "configuration/git",
        Kind::Pipeline => "configuration/pipeline",
        Kind::Image => "configuration/image",
        Kind::BuildScript => "configuration/build-script",
        Kind::Owners => "configuration/owners",
        // judged by what it says alone: most changes to it are a dependency
        Kind::Package => return None,
    };
    let what = match (pair.is_new(), pair.is_gone()) {
        (true, _) => "is new",
        (_, true) => "is gone",
        _ if pair.old_mode != pair.new_mode => "changed, and its mode too",
        _ => "changed",
    };
    let owners = owners.of(&pair.path);
    let owned = if owners.is_empty() {
        "nobody is named as its owner".to_owned()
    } else {
        format!("its owners are {}", owners.join(", "))
    };
    let digest = bailiwick_model::payload::Digest::of(pair.after.as_deref().unwrap_or_default());
    let message = format!("`{}` {what}: {}; {owned}", pair.path, kind.steers());
    Some(Hit::in_file(rule, &pair.path, &digest.to_string(), message))
}

/// What a steering file says.
fn scan(path: &str, bytes: &[u8]) -> Result<Vec<Hit>, String> {
    let Some(kind) = kind_of(path) else { return Ok(Vec::new()) };
    if bytes.len() > MOST_BYTES {
        return Err(format!("{} bytes, too many for such a file", bytes.len()));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut hits = Vec::new();
    if matches!(kind, Kind::Instructions | Kind::Mcp | Kind::Editor) {
        for found in find_instructions(&text) {
            if found.strength > InstructionStrength::Weak {
                let message = format!(
                    "reads like an order to an agent ({}): `{}`",
                    found.rule, found.excerpt
                );
                hits.push(Hit::at(
                    "configuration/orders-agents",
                    path,
                    found.line,
                    &found.excerpt,
                    message,
                ));
            }
        }
    }
    match kind {
        Kind::Mcp => hits.extend(mcp::scan(path, &text)),
        Kind::Pipeline => hits.extend(ci::workflow(path, &text)),
        Kind::Image => hits.extend(ci::image(path, &text)),
        Kind::Package => hits.extend(package::scan(path, &text)),
        Kind::Editor => hits.extend(package::editor(path, &text)),
        Kind::Git => hits.extend(package::git(path, &text)),
        Kind::Instructions | Kind::BuildScript | Kind::Owners => {}
    }
    Ok(hits)
}

/// Lines with their numbers, counted from 1.
fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_taken(
            text in "\\PC{0,200}",
            name in prop::sample::select(vec![
                ".mcp.json", ".github/workflows/a.yml", "Dockerfile", "package.json",
                ".vscode/tasks.json", ".gitattributes", "CLAUDE.md",
            ]),
        ) {
            scan(name, text.as_bytes()).unwrap();
        }

        #[test]
        fn any_json_is_taken(text in "[\\[\\]{}\":,a-z\n ]{0,200}") {
            scan(".mcp.json", text.as_bytes()).unwrap();
            scan("package.json", text.as_bytes()).unwrap();
        }
    }
}
