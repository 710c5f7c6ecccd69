//! What kind of file a path is, by name alone.

use std::collections::BTreeSet;

/// A kind of file that matters for the risk of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathClass {
    /// Source code, other than tests.
    Source,
    /// Tests and their data.
    Test,
    /// Documentation.
    Documentation,
    /// Names the dependencies: `Cargo.toml`, `package.json`, …
    DependencyManifest,
    /// Pins the dependencies: `Cargo.lock`, `package-lock.json`, …
    LockFile,
    /// Defines what continuous integration, hooks or builds run.
    CiDefinition,
    /// Instructions to agents: `AGENTS.md`, `.cursor/rules`, …
    AgentRules,
    /// The platform's own rules in this repository: `.bailiwick/`, code owners.
    Policy,
    /// How it is deployed: container files, Kubernetes, Terraform.
    Deployment,
    /// A database migration.
    Migration,
}

impl PathClass {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Test => "test",
            Self::Documentation => "documentation",
            Self::DependencyManifest => "dependency_manifest",
            Self::LockFile => "lock_file",
            Self::CiDefinition => "ci_definition",
            Self::AgentRules => "agent_rules",
            Self::Policy => "policy",
            Self::Deployment => "deployment",
            Self::Migration => "migration",
        }
    }
}

const MANIFESTS: &[&str] = &[
    "cargo.toml",
    "package.json",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "pipfile",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "libs.versions.toml",
    "gemfile",
    "composer.json",
    "mix.exs",
    "package.swift",
    "pubspec.yaml",
    "deno.json",
    "environment.yml",
    "conanfile.txt",
    "vcpkg.json",
    "directory.packages.props",
    "build.sbt",
    ".npmrc",
    "pip.conf",
    "dune-project",
];
const LOCKS: &[&str] = &[
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lockb",
    "bun.lock",
    "poetry.lock",
    "pdm.lock",
    "uv.lock",
    "pipfile.lock",
    "go.sum",
    "gemfile.lock",
    "composer.lock",
    "mix.lock",
    "package.resolved",
    "pubspec.lock",
    "flake.lock",
    "gradle.lockfile",
    "packages.lock.json",
    "deno.lock",
];
const CI_NAMES: &[&str] = &[
    ".gitlab-ci.yml",
    "jenkinsfile",
    ".travis.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    "appveyor.yml",
    "cloudbuild.yaml",
    "build.rs",
    ".pre-commit-config.yaml",
    "renovate.json",
    ".gitmodules",
    ".gitattributes",
    "lefthook.yml",
];
const CI_FOLDERS: &[&str] = &[
    ".github/workflows",
    ".github/actions",
    ".gitlab",
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".forgejo/workflows",
    ".gitea/workflows",
    ".ci",
    ".husky",
    ".githooks",
    ".teamcity",
    ".tekton",
    ".cargo",
];
const AGENT_NAMES: &[&str] = &[
    "agents.md",
    "claude.md",
    "gemini.md",
    "qwen.md",
    "opencode.json",
    "opencode.jsonc",
    "copilot-instructions.md",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    ".aider.conf.yml",
    ".mcp.json",
    "skill.md",
    "agent.md",
    ".goosehints",
];
const AGENT_FOLDERS: &[&str] = &[
    ".claude",
    ".cursor",
    ".codex",
    ".windsurf",
    ".clinerules",
    ".github/instructions",
    ".github/prompts",
    ".opencode",
    ".gemini",
    ".qwen",
];
const POLICY_NAMES: &[&str] = &["codeowners", ".gitleaks.toml", ".gitleaksignore", "deny.toml"];
const DEPLOYMENT_NAMES: &[&str] = &[
    "dockerfile",
    "containerfile",
    "compose.yml",
    "compose.yaml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "procfile",
    "chart.yaml",
    "kustomization.yaml",
];
const TEST_FOLDERS: &[&str] = &[
    "test",
    "tests",
    "spec",
    "specs",
    "__tests__",
    "testdata",
    "fixtures",
    "__snapshots__",
    "snapshots",
    "e2e",
];
const SOURCE_ENDINGS: &[&str] = &[
    "rs", "py", "js", "ts", "jsx", "tsx", "mjs", "cjs", "go", "java", "kt", "kts", "scala", "c",
    "h", "cc", "cpp", "cxx", "hpp", "cs", "fs", "rb", "php", "swift", "m", "mm", "ex", "exs",
    "erl", "hs", "ml", "mli", "clj", "sh", "bash", "ps1", "pl", "lua", "sql", "html", "css",
    "scss", "vue", "svelte", "zig", "nim", "dart", "r", "jl", "proto", "graphql", "cedar",
];

/// All kinds that a path is. Ordered; empty for what is none of them.
pub fn classify(original: &str) -> BTreeSet<PathClass> {
    // names are compared in lower case: on some systems `agents.MD` is `AGENTS.md`
    let path = original.to_lowercase();
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let in_any = |folders: &[&str]| {
        folders.iter().any(|known| {
            let slashed = format!("/{folder}/");
            slashed.contains(&format!("/{known}/"))
        })
    };
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let mut classes = BTreeSet::new();
    if MANIFESTS.contains(&name)
        || (name.contains("requirements") && name.ends_with(".txt"))
        || matches!(ending, "csproj" | "fsproj" | "gemspec" | "cabal" | "podspec")
    {
        classes.insert(PathClass::DependencyManifest);
    }
    if LOCKS.contains(&name) {
        classes.insert(PathClass::LockFile);
    }
    if CI_NAMES.contains(&name) || in_any(CI_FOLDERS) || (name == "action.yml" && folder.is_empty())
    {
        classes.insert(PathClass::CiDefinition);
    }
    if AGENT_NAMES.contains(&name) || in_any(AGENT_FOLDERS) || name.ends_with(".mdc") {
        classes.insert(PathClass::AgentRules);
    }
    if POLICY_NAMES.contains(&name) || in_any(&[".bailiwick"]) {
        classes.insert(PathClass::Policy);
    }
    if DEPLOYMENT_NAMES.contains(&name)
        || name.starts_with("dockerfile.")
        || ending == "dockerfile"
        || matches!(ending, "tf" | "tfvars" | "hcl")
        || in_any(&["helm", "k8s", "kubernetes", "terraform", "ansible", "deploy", "manifests"])
    {
        classes.insert(PathClass::Deployment);
    }
    if in_any(&["migrations", "migrate", "db/migrate"]) {
        classes.insert(PathClass::Migration);
    }
    if is_test(&path, name, ending) || is_test_class(original) {
        classes.insert(PathClass::Test);
    } else if matches!(ending, "md" | "rst" | "adoc" | "txt")
        || in_any(&["docs", "doc"])
        || matches!(name, "license" | "readme" | "changelog")
    {
        if classes.is_empty() {
            classes.insert(PathClass::Documentation);
        }
    } else if SOURCE_ENDINGS.contains(&ending) {
        classes.insert(PathClass::Source);
    }
    classes
}

fn is_test(path: &str, name: &str, ending: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let parts: Vec<&str> = path.split('/').collect();
    let folders = parts.split_last().map_or(&[][..], |(_, folders)| folders);
    folders.iter().any(|folder| TEST_FOLDERS.contains(folder))
        || name.contains(".test.")
        || name.contains(".spec.")
        || matches!(stem, "tests" | "test" | "conftest")
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem.ends_with("_spec")
        || ending == "snap"
}

/// `AppTest.java`; the capital tells it from `Contest.java`.
fn is_test_class(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(stem, ending)| {
        matches!(ending, "java" | "kt" | "cs" | "scala" | "swift" | "php")
            && (stem.ends_with("Test") || stem.ends_with("Tests"))
    })
}
