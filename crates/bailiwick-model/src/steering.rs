//! Paths that steer git, pipelines, hooks, policy or agents: what no agent changes by itself.

use std::collections::BTreeSet;

/// What a path steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Steers {
    /// What git does in everybody's checkout.
    Git,
    /// What runs on other people's machines at a commit, or when a directory is entered.
    Hooks,
    /// The platform's own rules and gates, and who owns what.
    Policy,
    /// Pipelines: what runs with the rights of the organisation.
    Pipeline,
    /// What agents are told, and which tools they have.
    Agents,
}

impl Steers {
    /// Its name as it stands in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Hooks => "hooks",
            Self::Policy => "policy",
            Self::Pipeline => "pipeline",
            Self::Agents => "agents",
        }
    }

    /// Whether people can be asked about a change to it; nobody lets an agent change the others.
    pub fn is_a_question(self) -> bool {
        match self {
            Self::Pipeline | Self::Agents => true,
            Self::Git | Self::Hooks | Self::Policy => false,
        }
    }
}

/// Names that, as any part of a path, steer something.
const PARTS: [(&str, Steers); 47] = [
    (".git", Steers::Git),
    ("git~1", Steers::Git),
    (".gitmodules", Steers::Git),
    (".gitattributes", Steers::Git),
    (".githooks", Steers::Hooks),
    (".husky", Steers::Hooks),
    (".pre-commit-config.yaml", Steers::Hooks),
    (".pre-commit-config.yml", Steers::Hooks),
    ("lefthook.yml", Steers::Hooks),
    ("lefthook.yaml", Steers::Hooks),
    (".lefthook.yml", Steers::Hooks),
    (".github", Steers::Pipeline),
    (".gitlab", Steers::Pipeline),
    (".gitlab-ci.yml", Steers::Pipeline),
    (".gitlab-ci.yaml", Steers::Pipeline),
    (".gitea", Steers::Pipeline),
    (".forgejo", Steers::Pipeline),
    (".ci", Steers::Pipeline),
    (".circleci", Steers::Pipeline),
    (".buildkite", Steers::Pipeline),
    (".woodpecker", Steers::Pipeline),
    (".woodpecker.yml", Steers::Pipeline),
    (".travis.yml", Steers::Pipeline),
    (".drone.yml", Steers::Pipeline),
    (".cirrus.yml", Steers::Pipeline),
    ("appveyor.yml", Steers::Pipeline),
    ("azure-pipelines.yml", Steers::Pipeline),
    ("bitbucket-pipelines.yml", Steers::Pipeline),
    ("jenkinsfile", Steers::Pipeline),
    (".bailiwick", Steers::Policy),
    ("agents.md", Steers::Agents),
    ("agents.override.md", Steers::Agents),
    ("claude.md", Steers::Agents),
    ("claude.local.md", Steers::Agents),
    ("gemini.md", Steers::Agents),
    ("qwen.md", Steers::Agents),
    ("opencode.json", Steers::Agents),
    ("opencode.jsonc", Steers::Agents),
    (".claude", Steers::Agents),
    (".cursor", Steers::Agents),
    (".cursorrules", Steers::Agents),
    (".codex", Steers::Agents),
    (".gemini", Steers::Agents),
    (".opencode", Steers::Agents),
    (".qwen", Steers::Agents),
    (".mcp.json", Steers::Agents),
    (".envrc", Steers::Hooks),
];
/// More of them, by their beginning: all of them are rules of agents.
const STARTS: [&str; 4] = [".windsurf", ".aider", ".clinerules", ".roo"];

/// The names among them that a pattern without a leading dot can match, in lower case.
pub fn plain_names() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|(name, _)| *name).filter(|name| !name.starts_with('.'))
}

/// Whether a path is one that no agent changes by itself.
pub fn is_protected(path: &str) -> bool {
    !steers(path).is_empty()
}

/// Whether people can be asked about a change to a path: it steers something, and nothing that
/// nobody lets an agent change.
pub fn is_a_question(path: &str) -> bool {
    let steers = steers(path);
    !steers.is_empty() && steers.into_iter().all(Steers::is_a_question)
}

/// What a path steers.
///
/// Compared as the most forgiving file system would: without regard to case, to characters that
/// are not shown (`.g\u{200c}it`), to dots and spaces at the end (`.git.`) or to NTFS streams
/// (`.git::$INDEX_ALLOCATION`), because a repository is checked out on other systems too.
pub fn steers(path: &str) -> BTreeSet<Steers> {
    let mut found = BTreeSet::new();
    let mut last = String::new();
    for part in path.split(['/', '\\']) {
        let part: String = part
            .chars()
            .filter(|c| !is_unseen(*c))
            .take_while(|c| *c != ':')
            .flat_map(char::to_lowercase)
            .collect();
        let part = part.trim_end_matches(['.', ' ']);
        found.extend(PARTS.iter().filter(|(name, _)| *name == part).map(|(_, steers)| *steers));
        if STARTS.iter().any(|start| part.starts_with(start)) {
            found.insert(Steers::Agents);
        }
        part.clone_into(&mut last);
    }
    // Who is asked about a pipeline is no part of the pipeline.
    if last == "codeowners" && !found.is_empty() {
        found.insert(Steers::Policy);
    }
    found
}

/// Characters that HFS+ ignores in names, and other marks that leave no trace on a screen.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_paths_in_every_disguise() {
        for path in [
            ".git/config",
            ".GIT/hooks/pre-commit",
            "sub/.git",
            ".g\u{200c}it/config",
            ".git./config",
            ".git ",
            "GIT~1/config",
            ".git::$INDEX_ALLOCATION/config",
            ".github/workflows/ci.yml",
            "AGENTS.md",
            "crates/x/agents.md",
            "Claude.md",
            ".cursor/rules/a.mdc",
            ".ci/run",
            ".gitlab-ci.yml",
            "a\\.git\\config",
            ".bailiwick/policy/a.cedar",
            ".windsurfrules",
            "QWEN.md",
            ".qwen/settings.json",
            "web/opencode.json",
            ".opencode/agent/a.md",
            ".husky/pre-commit",
            ".gitattributes",
            "Jenkinsfile",
        ] {
            assert!(is_protected(path), "{path:?}");
        }
        for path in [
            "src/git.rs",
            ".gitignore",
            "docs/agents.mdx",
            "git/config",
            "github/a",
            "src/ci/run",
            ".",
        ] {
            assert!(!is_protected(path), "{path:?}");
        }
    }

    #[test]
    fn people_are_asked_about_pipelines_and_rules_of_agents_and_about_nothing_else() {
        for path in [
            ".github/workflows/ci.yml",
            ".ci/run",
            "Jenkinsfile",
            "AGENTS.md",
            "sub/.claude/settings.json",
            ".github/AGENTS.md",
            ".windsurfrules",
        ] {
            assert!(is_a_question(path), "{path:?}");
        }
        for path in [
            ".git/hooks/AGENTS.md",
            ".github/.git/config",
            ".github/CODEOWNERS",
            ".bailiwick/policy/a.cedar",
            ".bailiwick/AGENTS.md",
            ".husky/pre-commit",
            ".gitattributes",
            "src/.gitmodules",
            ".envrc",
            "src/lib.rs",
        ] {
            assert!(!is_a_question(path), "{path:?}");
        }
    }
}
