//! Which files steer others, by where they stand.

use crate::path_class::{PathClass, classify};

/// What a file steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Instructions,
    Mcp,
    Editor,
    Git,
    Pipeline,
    Image,
    Package,
    BuildScript,
    Owners,
}

impl Kind {
    pub(super) fn steers(self) -> &'static str {
        match self {
            Self::Instructions => "agents follow it",
            Self::Mcp => "agents start what it names",
            Self::Editor => "editors run what it names",
            Self::Git => "git acts by it",
            Self::Pipeline => "pipelines run it, with their secrets",
            Self::Image => "images are built by it",
            Self::Package => "installations run what it names",
            Self::BuildScript => "builds run it",
            Self::Owners => "reviews are asked for by it",
        }
    }
}

/// What a path steers, if anything. Compared in lower case: on some systems `agents.MD` is
/// `AGENTS.md`.
pub(super) fn kind_of(path: &str) -> Option<Kind> {
    let lower = path.to_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let name = parts.last().copied().unwrap_or_default();
    let within = |folder: &str| parts.iter().rev().skip(1).any(|part| *part == folder);
    let classes = classify(path);
    let kind = match name {
        ".mcp.json"
        | "mcp.json"
        | "claude_desktop_config.json"
        | "mcp_settings.json"
        | "cline_mcp_settings.json"
        | "mcp_config.json" => Kind::Mcp,
        "codeowners" => Kind::Owners,
        ".gitattributes"
        | ".gitmodules"
        | ".gitconfig"
        | ".mailmap"
        | ".git-blame-ignore-revs"
        | ".pre-commit-config.yaml"
        | ".pre-commit-config.yml"
        | "lefthook.yml"
        | "lefthook.yaml"
        | ".lefthook.yml"
        | ".envrc" => Kind::Git,
        "package.json" => Kind::Package,
        "build.rs" | "setup.py" | "conftest.py" | "binding.gyp" | ".npmrc" | ".yarnrc.yml" => {
            Kind::BuildScript
        }
        "devcontainer.json" => Kind::Editor,
        _ if within(".husky") || within(".githooks") || within("hooks") && within(".git") => {
            Kind::Git
        }
        _ if within(".vscode")
            || within(".idea")
            || within(".zed")
            || within(".devcontainer")
            || within(".fleet") =>
        {
            Kind::Editor
        }
        _ if within(".cargo") && name.starts_with("config") => Kind::BuildScript,
        _ if name.starts_with("dockerfile")
            || name.ends_with(".dockerfile")
            || name.starts_with("containerfile")
            || matches!(
                name,
                "compose.yml" | "compose.yaml" | "docker-compose.yml" | "docker-compose.yaml"
            ) =>
        {
            Kind::Image
        }
        _ if classes.contains(&PathClass::AgentRules)
            || within("skills") && name.ends_with(".md")
            || within(".roo")
            || within(".aider")
            || within(".continue")
            || within(".amazonq")
            || name.starts_with(".aider")
            || name == "agents.override.md"
            || name == "claude.local.md"
            || name == ".roorules"
            || name == "llms.txt" =>
        {
            Kind::Instructions
        }
        _ if classes.contains(&PathClass::CiDefinition) => Kind::Pipeline,
        _ => return None,
    };
    Some(kind)
}
