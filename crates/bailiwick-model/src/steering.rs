//! Paths that steer git, pipelines, hooks, policy or agents: what only people change.

/// Names that, as any part of a path, steer git, a pipeline, a hook or an agent.
const PROTECTED_PARTS: [&str; 42] = [
    ".git",
    "git~1",
    ".gitmodules",
    ".gitattributes",
    ".githooks",
    ".husky",
    ".pre-commit-config.yaml",
    ".pre-commit-config.yml",
    "lefthook.yml",
    "lefthook.yaml",
    ".lefthook.yml",
    ".github",
    ".gitlab",
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
    ".gitea",
    ".forgejo",
    ".ci",
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".woodpecker.yml",
    ".travis.yml",
    ".drone.yml",
    ".cirrus.yml",
    "appveyor.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "jenkinsfile",
    ".bailiwick",
    "agents.md",
    "agents.override.md",
    "claude.md",
    "claude.local.md",
    "gemini.md",
    ".claude",
    ".cursor",
    ".cursorrules",
    ".codex",
    ".gemini",
    ".mcp.json",
    ".envrc",
];
/// More of them, by their beginning.
const PROTECTED_STARTS: [&str; 4] = [".windsurf", ".aider", ".clinerules", ".roo"];

/// Whether a path is one that only people change.
///
/// Compared as the most forgiving file system would: without regard to case, to characters that
/// are not shown (`.g\u{200c}it`), to dots and spaces at the end (`.git.`) or to NTFS streams
/// (`.git::$INDEX_ALLOCATION`), because a repository is checked out on other systems too.
pub fn is_protected(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| {
        let part: String = part
            .chars()
            .filter(|c| !is_unseen(*c))
            .take_while(|c| *c != ':')
            .flat_map(char::to_lowercase)
            .collect();
        let part = part.trim_end_matches(['.', ' ']);
        PROTECTED_PARTS.contains(&part)
            || PROTECTED_STARTS.iter().any(|start| part.starts_with(start))
    })
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
}
