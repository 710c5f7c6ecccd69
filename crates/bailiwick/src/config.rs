//! The configuration: one TOML file, every key known, secrets only by reference.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bailiwick_deps::Ecosystem;
use bailiwick_gates::Analyser;
use bailiwick_gateway::{KeyRef, ProviderConfig, ProviderKind};
use bailiwick_model::id::{GroupName, Person, RepoName};
use bailiwick_model::task::MicroUsd;
use bailiwick_sandbox::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::notify::{MailConfig, WebhookConfig};
use crate::online_index::OnlineIndexConfig;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Who runs it, and for whom.
    pub(crate) platform: PlatformConfig,
    /// The HTTP server.
    pub(crate) server: ServerConfig,
    /// What a task may use.
    pub(crate) task: TaskConfig,
    /// Model providers.
    #[serde(rename = "provider")]
    pub(crate) providers: Vec<ProviderConfig>,
    /// Agents that are programs of others.
    #[serde(rename = "agent", skip_serializing_if = "Vec::is_empty")]
    pub(crate) agents: Vec<AgentConfig>,
    /// The organisation's policy.
    pub(crate) policy: PolicyConfig,
    /// The set-up phase.
    pub(crate) setup: SetupConfig,
    /// What the gates on dependencies go by.
    pub(crate) dependencies: DependenciesConfig,
    /// What the organisation asks of every change.
    pub(crate) gates: GatesConfig,
    /// The cages.
    pub(crate) sandbox: SandboxConfig,
    /// Requests for approval.
    pub(crate) approval: ApprovalConfig,
    /// Addresses that are told what people should know.
    pub(crate) webhook: Vec<WebhookConfig>,
    /// People who are told it by mail.
    pub(crate) mail: Vec<MailConfig>,
}

/// `[approval]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApprovalConfig {
    /// After how many minutes a request lapses that nobody answered.
    pub(crate) wait_minutes: u32,
    /// The group that is asked as well when nobody answers; nobody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) escalate_to: Option<GroupName>,
    /// After how many minutes it is asked.
    pub(crate) escalate_minutes: u32,
    /// How many minutes before a request lapses people are told.
    pub(crate) remind_minutes: u32,
}

impl Default for ApprovalConfig {
    fn default() -> Self {
        Self {
            wait_minutes: 24 * 60,
            escalate_to: None,
            escalate_minutes: 4 * 60,
            remind_minutes: 60,
        }
    }
}

/// `[[agent]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentConfig {
    /// The kind, such as `claude-code`; `bailiwick agents` lists them.
    pub(crate) kind: String,
    /// The directory that its package was installed into.
    pub(crate) path: PathBuf,
    /// The version that it must be; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
}

/// `[platform]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PlatformConfig {
    /// The person who acts on the command line; the operating system's user name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<Person>,
    /// Whether requester and approver may be one person. Recorded with every task and shown in
    /// every pull request.
    pub(crate) single_user: bool,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// Address and port to listen on.
    pub(crate) listen: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:7070".to_owned() }
    }
}

/// `[task]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TaskConfig {
    /// The provider of the models, by name; the only one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// The kind of agent that implements.
    pub(crate) agent: String,
    /// The most a task may cost, in millionths of a US dollar.
    pub(crate) budget_micro_usd: MicroUsd,
    /// How many tasks are worked on at once; the others wait their turn.
    pub(crate) running_tasks: usize,
    /// The most steps of one agent run.
    pub(crate) max_steps: u32,
    /// The most tokens of one request.
    pub(crate) context_tokens: u64,
    /// The most tokens of one reply.
    pub(crate) max_output_tokens: u32,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self {
            provider: None,
            model: None,
            agent: bailiwick_model::task::BUILTIN_AGENT.to_owned(),
            budget_micro_usd: MicroUsd(5_000_000),
            running_tasks: 4,
            max_steps: 60,
            context_tokens: 100_000,
            max_output_tokens: 8_192,
        }
    }
}

/// `[policy]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyConfig {
    /// The organisation's signed bundle, as `bailiwick policy publish` writes it. It is read again
    /// whenever it changes; one that is refused changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bundle: Option<PathBuf>,
    /// The public keys that a bundle may be signed by, as `bailiwick policy key` prints them.
    pub(crate) trusted_keys: Vec<String>,
    /// Files of the organisation's layer, Cedar or the short form, in place of a bundle.
    pub(crate) files: Vec<PathBuf>,
    /// The built-in bundle that is in force when neither is given: `standard`, `strict` or
    /// `open-source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) starter: Option<String>,
    /// The layers of teams, which can only narrow.
    pub(crate) team: Vec<TeamConfig>,
    /// The solver that proves claims about policies: a `cvc5` program, a Python that has the
    /// package `cvc5`, or `off`. A `cvc5` in the usual places is found without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) solver: Option<String>,
    /// How many seconds one question to the solver may take (default: 30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) solver_seconds: Option<u32>,
}

/// `[[policy.team]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TeamConfig {
    /// The team.
    pub(crate) name: String,
    /// Its repositories.
    pub(crate) repositories: Vec<RepoName>,
    /// Its policy files.
    pub(crate) files: Vec<PathBuf>,
}

impl PolicyConfig {
    /// Every file whose change is a change of the policy.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let teams = self.team.iter().flat_map(|team| &team.files);
        self.bundle.iter().chain(&self.files).chain(teams).cloned().collect()
    }

    /// Why it is not usable, if it is not.
    fn fault(&self) -> Option<String> {
        let given = [self.bundle.is_some(), !self.files.is_empty(), self.starter.is_some()];
        if given.into_iter().filter(|one| *one).count() > 1 {
            return Some(
                "`policy` has more than one of `bundle`, `files` and `starter`".to_owned(),
            );
        }
        if self.bundle.is_some() && self.trusted_keys.is_empty() {
            return Some(
                "`policy.bundle` needs `policy.trusted_keys`, or nobody's signature counts"
                    .to_owned(),
            );
        }
        None
    }
}

/// `[setup]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SetupConfig {
    /// Whether the recorded set-up phase may fetch a repository's dependencies over the network.
    pub(crate) fetch_dependencies: bool,
}

impl Default for SetupConfig {
    fn default() -> Self {
        Self { fetch_dependencies: true }
    }
}

/// `[dependencies]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DependenciesConfig {
    /// A directory with advisories in the OSV form, one to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advisories: Option<PathBuf>,
    /// A directory with snapshots of package indexes, as `bailiwick index build` makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<PathBuf>,
    /// Indexes that are asked over HTTP about names that the snapshots do not have; none unless named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, OnlineIndexConfig>")]
    pub(crate) online: BTreeMap<Ecosystem, OnlineIndexConfig>,
}

/// `[gates]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GatesConfig {
    /// External tools that speak SARIF, which run on every change of every repository.
    pub(crate) analyser: Vec<Analyser>,
}

/// `[sandbox]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SandboxConfig {
    /// The tier of agents, gates and set-up. One that this machine has not is an error; no other
    /// is taken instead.
    #[schemars(with = "String")]
    pub(crate) tier: Tier,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { tier: Tier::Process }
    }
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It can't be read.
    #[error("the configuration `{}` can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
    /// It is not valid.
    #[error("the configuration `{}` is not valid: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// No provider is configured, and the environment has no key of one.
    #[error("no model is configured")]
    NoProvider,
    /// The provider that was asked for is not there.
    #[error("there is no provider `{name}`; there are: {known}")]
    UnknownProvider {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// There is a provider, but no model.
    #[error("no model is named for provider `{provider}`")]
    NoModel {
        /// The provider.
        provider: String,
    },
}

impl ConfigError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config.unreadable",
            Self::Invalid { .. } => "config.invalid",
            Self::NoProvider => "config.no_provider",
            Self::UnknownProvider { .. } => "config.unknown_provider",
            Self::NoModel { .. } => "config.no_model",
        }
    }

    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the path given with `--config`",
            Self::Invalid { .. } => {
                "correct it; `bailiwick config schema` prints every key there is"
            }
            Self::NoProvider => {
                "set ANTHROPIC_API_KEY or OPENAI_API_KEY, or name a server: `--model-url http://127.0.0.1:8080 --protocol openai --model NAME`, or write a `[[provider]]` into bailiwick.toml; `bailiwick demo` needs none"
            }
            Self::UnknownProvider { .. } => "correct `--provider` or `task.provider`",
            Self::NoModel { .. } => {
                "name one with `--model`, or as `task.model` in the configuration"
            }
        }
    }
}

impl Config {
    /// Reads a file, or gives the defaults when none is named and `bailiwick.toml` is not there.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new("bailiwick.toml");
        let path = match named {
            Some(path) => path,
            None if default.exists() => default,
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let invalid = |message: String| ConfigError::Invalid { path: path.to_owned(), message };
        let mut config: Self = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let mut names: Vec<&str> = config.providers.iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some((*one).to_owned()),
            _ => None,
        }) {
            return Err(invalid(format!("two providers have the name `{twice}`")));
        }
        // Paths in the file are relative to it, not to wherever the program was started.
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        if let Some(what) = config.policy.fault() {
            return Err(invalid(what));
        }
        if let Some(what) = crate::notify::fault(&config.webhook, &config.mail) {
            return Err(invalid(what));
        }
        let secrets = config.webhook.iter_mut().map(|hook| &mut hook.secret);
        let passwords = config.mail.iter_mut().filter_map(|mail| mail.password.as_mut());
        for reference in secrets.chain(passwords) {
            if let KeyRef::File(file) = reference {
                *file = base.join(&*file);
            }
        }
        let teams = config.policy.team.iter_mut().flat_map(|team| &mut team.files);
        for file in config.policy.files.iter_mut().chain(&mut config.policy.bundle).chain(teams) {
            *file = base.join(&*file);
        }
        let mut kinds = std::collections::BTreeSet::new();
        for agent in &mut config.agents {
            agent.path = base.join(&agent.path);
            if !kinds.insert(agent.kind.as_str()) {
                return Err(invalid(format!("two agents have the kind `{}`", agent.kind)));
            }
        }
        for file in config.gates.analyser.iter_mut().flat_map(|tool| tool.files.values_mut()) {
            *file = base.join(&*file);
        }
        for provider in &mut config.providers {
            if let Some(script) = &mut provider.script {
                *script = base.join(&*script);
            }
        }
        Ok(config)
    }

    /// Adds the providers whose usual key variables the environment has, unless some are
    /// configured.
    pub(crate) fn with_environment(mut self) -> Self {
        if !self.providers.is_empty() {
            return self;
        }
        let usual = [
            ("anthropic", ProviderKind::Anthropic, "ANTHROPIC_API_KEY"),
            ("openai", ProviderKind::Openai, "OPENAI_API_KEY"),
        ];
        for (name, kind, variable) in usual {
            if std::env::var_os(variable).is_some_and(|value| !value.is_empty()) {
                let mut provider = ProviderConfig::new(name, kind);
                provider.api_key = Some(KeyRef::Env(variable.to_owned()));
                self.providers.push(provider);
            }
        }
        self
    }

    /// The provider and model of a task.
    pub(crate) fn route(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
    ) -> Result<(ProviderConfig, String), ConfigError> {
        let wanted = provider.or(self.task.provider.as_deref());
        let chosen = match wanted {
            Some(name) => self.providers.iter().find(|p| p.name == name).ok_or_else(|| {
                let known: Vec<&str> = self.providers.iter().map(|p| p.name.as_str()).collect();
                ConfigError::UnknownProvider { name: name.to_owned(), known: known.join(", ") }
            })?,
            None => self.providers.first().ok_or(ConfigError::NoProvider)?,
        };
        if chosen.kind == ProviderKind::Scripted {
            return Ok((chosen.clone(), bailiwick_gateway::SCRIPTED_MODEL.to_owned()));
        }
        let usual = match (chosen.kind, &chosen.base_url) {
            (ProviderKind::Anthropic, None) => Some("claude-sonnet-4-5"),
            (ProviderKind::Openai, None) => Some("gpt-5"),
            _ => None,
        };
        let model = model.or(self.task.model.as_deref()).or(usual);
        let model = model.ok_or_else(|| ConfigError::NoModel { provider: chosen.name.clone() })?;
        Ok((chosen.clone(), model.to_owned()))
    }

    /// The JSON Schema of the file.
    pub(crate) fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_double_names_are_refused_with_a_place() {
        for (text, expected) in [
            ("[platfrom]\n", "unknown field `platfrom`"),
            ("[server]\nlisten = 7\n", "line 2"),
            ("[[provider]]\nname = \"a\"\nkind = \"openai\"\napi_key = \"sk-1\"\n", "api_key"),
            (
                "[[provider]]\nname=\"a\"\nkind=\"openai\"\n[[provider]]\nname=\"a\"\nkind=\"openai\"\n",
                "two providers",
            ),
        ] {
            let error = Config::parse(text, Path::new("x/bailiwick.toml")).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        let good = "[platform]\nsingle_user = true\n[policy]\nfiles = [\"org.cedar\"]\n";
        let config = Config::parse(good, Path::new("x/bailiwick.toml")).unwrap();
        assert_eq!(config.policy.files, [PathBuf::from("x/org.cedar")]);
        assert!(matches!(config.route(None, None), Err(ConfigError::NoProvider)));
    }
}
