//! The strengths of a sandbox, and why a command runs in one of them.

/// The strength of a sandbox, from the weakest to the strongest. A tier that is missing is an
/// error, never a weaker one instead.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// No isolation: a checkout of its own and nothing more, for trusted work that mostly reads.
    Worktree,
    /// Namespaces, Landlock, seccomp and cgroups or rlimits of the kernel it runs on.
    Process,
    /// An OCI runtime's container on the kernel it runs on.
    Container,
    /// A container whose system calls are answered by gVisor's kernel, not by the host's.
    Gvisor,
    /// A virtual machine with a kernel of its own.
    Microvm,
}

impl Tier {
    /// Every tier, the weakest first.
    pub const ALL: [Self; 5] =
        [Self::Worktree, Self::Process, Self::Container, Self::Gvisor, Self::Microvm];

    /// The name in policies, records and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worktree => "worktree",
            Self::Process => "process",
            Self::Container => "container",
            Self::Gvisor => "gvisor",
            Self::Microvm => "microvm",
        }
    }

    /// What keeps a command in, in a few words.
    pub fn isolation(self) -> &'static str {
        match self {
            Self::Worktree => "no isolation",
            Self::Process => "namespaces, Landlock and seccomp on the host's kernel",
            Self::Container => "an OCI container on the host's kernel",
            Self::Gvisor => "a container on gVisor's user-space kernel",
            Self::Microvm => "a virtual machine with its own kernel",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no tier's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tier `{name}`; there are: {}", Tier::ALL.map(Tier::name).join(", "))]
pub struct UnknownTier {
    /// The name.
    pub name: String,
}

impl std::str::FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|tier| tier.name() == name);
        found.ok_or_else(|| UnknownTier { name: name.to_owned() })
    }
}

/// The tier that a command runs in, as it was decided: no weaker one will do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TierChoice {
    /// The tier.
    pub tier: Tier,
    /// The rules that ask for at least this tier; none where nothing raised it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Why it is this one, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl TierChoice {
    /// What a session begins with, before any rule has a say.
    pub fn usual(tier: Tier, reason: impl Into<String>) -> Self {
        Self { tier, rules: Vec::new(), reason: reason.into() }
    }
}

impl std::fmt::Display for TierChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.tier)?;
        if !self.rules.is_empty() {
            write!(f, " by {}", self.rules.join(", "))?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

/// What ran in one tier.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TierUse {
    /// How many commands and agents' programs.
    pub count: u64,
    /// The rules that asked for the tier; none where nothing raised it.
    pub rules: std::collections::BTreeSet<String>,
    /// Why it was this one, of the first.
    pub reason: String,
}

impl TierUse {
    /// Takes note of one more.
    pub fn count(&mut self, choice: &TierChoice) {
        self.count = self.count.saturating_add(1);
        self.rules.extend(choice.rules.iter().cloned());
        if self.reason.is_empty() {
            self.reason.clone_from(&choice.reason);
        }
    }

    /// In a line, without the tier's name.
    pub fn describe(&self) -> String {
        let runs =
            if self.count == 1 { "1 run".to_owned() } else { format!("{} runs", self.count) };
        let rules: Vec<&str> = self.rules.iter().map(String::as_str).collect();
        let by =
            if rules.is_empty() { String::new() } else { format!(", by {}", rules.join(", ")) };
        format!("{runs}{by}: {}", self.reason)
    }
}
