//! The form of a case file. What is not named here is refused.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One case: something hostile, beside the same thing in a permitted form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The promises of docs/threat-model.md that it holds the platform to.
    pub(crate) promise: Vec<String>,
    /// What is tried, in a sentence.
    pub(crate) why: String,
    /// Set when the documents say that this is not covered. The case then asserts the documented
    /// limit, so that it is noticed when the limit moves.
    pub(crate) known_gap: Option<String>,
    /// Files on the base, beside those of the fixture.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// Shell, run in the repository before its one commit.
    pub(crate) prepare: Option<String>,
    /// Whether the case itself damages the ledger, so that it can't verify at the end.
    #[serde(default)]
    pub(crate) damages_ledger: bool,
    pub(crate) step: Vec<Step>,
}

/// What a step or a call is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Is {
    /// Hostile: has to be stopped, for the reason that the case states.
    Attack,
    /// The same in a permitted form: has to succeed.
    Control,
    Setup,
    /// A look from outside at whether it had an effect.
    Outside,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Step {
    /// `bailiwick run` with a scripted model.
    Run(Run),
    /// A shell on the host, outside of any cage.
    Sh(Sh),
    /// `bailiwick serve`, until the case ends.
    Serve {
        #[serde(default)]
        args: Vec<String>,
    },
    /// Ends the server.
    Stop,
    /// One HTTP request, written as it stands here.
    Http(Http),
    /// A model server that answers every request with this.
    Model(Model),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) is: Is,
    #[serde(default = "default_task")]
    pub(crate) task: String,
    #[serde(default = "default_scope")]
    pub(crate) scope: Vec<String>,
    #[serde(default = "default_args")]
    pub(crate) args: Vec<String>,
    #[serde(default = "default_acceptance")]
    pub(crate) acceptance: String,
    #[serde(default = "default_summary")]
    pub(crate) summary: String,
    #[serde(default = "default_title")]
    pub(crate) title: String,
    /// The implementor's calls, in order.
    #[serde(default)]
    pub(crate) call: Vec<Call>,
    /// In place of the ordinary plan.
    pub(crate) coordinator: Option<Vec<Call>>,
    pub(crate) verifier: Option<Vec<Call>>,
    pub(crate) reviewer: Option<Vec<Call>>,
    /// Whether the implementor's last step is `finish`.
    #[serde(default = "default_true")]
    pub(crate) finish: bool,
    pub(crate) standing: Option<String>,
    /// Codes that must stand in the result or the log.
    #[serde(default)]
    pub(crate) code: Vec<String>,
    #[serde(default)]
    pub(crate) gates: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) says: Vec<String>,
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    pub(crate) is: Is,
    #[serde(default = "default_step")]
    pub(crate) step: u32,
    pub(crate) tool: String,
    #[serde(default = "default_input")]
    pub(crate) input: toml::Value,
    /// The rule that refuses it.
    pub(crate) refused: Option<String>,
    pub(crate) error: Option<bool>,
    #[serde(default)]
    pub(crate) says: Vec<String>,
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
    /// It must not be answered at all: the run was over before.
    #[serde(default)]
    pub(crate) unanswered: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sh {
    pub(crate) is: Is,
    pub(crate) command: String,
    /// Default 0. `-1` stands for any failure.
    #[serde(default)]
    pub(crate) exit: i32,
    #[serde(default)]
    pub(crate) says: Vec<String>,
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) is: Is,
    #[serde(default = "default_method")]
    pub(crate) method: String,
    pub(crate) path: String,
    /// `right`, `wrong`, `none`, or the whole header's value.
    #[serde(default = "default_token")]
    pub(crate) token: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: String,
    pub(crate) status: Vec<u16>,
    #[serde(default)]
    pub(crate) says: Vec<String>,
    #[serde(default)]
    pub(crate) lacks: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    #[serde(default = "default_status")]
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// Send the body again and again until the client hangs up.
    #[serde(default)]
    pub(crate) endless: bool,
}

fn default_task() -> String {
    "Change the note.".into()
}
fn default_scope() -> Vec<String> {
    vec!["src/**".into()]
}
fn default_args() -> Vec<String> {
    vec!["--yes".into(), "--single-user".into()]
}
fn default_acceptance() -> String {
    "true".into()
}
fn default_summary() -> String {
    "Done.".into()
}
fn default_title() -> String {
    "Change the note".into()
}
fn default_true() -> bool {
    true
}
fn default_step() -> u32 {
    1
}
fn default_input() -> toml::Value {
    toml::Value::Table(toml::Table::new())
}
fn default_method() -> String {
    "GET".into()
}
fn default_token() -> String {
    "right".into()
}
fn default_status() -> String {
    "200 OK".into()
}
