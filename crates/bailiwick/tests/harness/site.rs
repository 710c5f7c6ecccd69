//! A site: a repository, a scripted model that does its task, and the server.

use serde_json::{Value, json};

use super::generate::{self, Generated};
use super::{Conversation, ModelServer, Protocol, Reply, Seed, Serve, Workbench, git};

/// The script that does a generated task, as a configuration names it.
fn script(generated: &Generated) -> String {
    let work = &generated.scenario.works[0];
    let edit = &work.chain[0];
    let plan = generated.scenario.plan();
    let reply = |role: &str, step: u32, tool: &str, input: &Value| json!({"role": role, "step": step, "text": "as in the script", "tool": [{"name": tool, "input": input}]});
    let replies = json!({"reply": [
        reply("coordinator", 1, "submit_plan", &without_null(plan)),
        reply("implementor", 1, "edit", &json!({"path": work.path, "old": edit.old, "new": edit.new})),
        reply("implementor", 2, "finish", &json!({"summary": "mended"})),
        reply("verifier", 1, "run", &json!({"command": work.check})),
        reply("verifier", 2, "submit_verdict", &json!({"verdict": "accepted", "summary": "right"})),
        reply("reviewer", 1, "submit_review", &json!({"summary": "fine"})),
    ]});
    toml::to_string(&replies).unwrap()
}

/// TOML has no null.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_null(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(without_null).collect(),
        other => other,
    }
}

/// A bench with a generated repository, and a configuration whose model does its task by a script.
pub(crate) struct Site {
    pub(crate) bench: Workbench,
    pub(crate) generated: Generated,
    pub(crate) config: String,
}

impl Site {
    pub(crate) fn new(single_user: bool) -> Self {
        let bench = Workbench::new();
        let generated = generate::shell(&mut Seed::new());
        git::make_repository(&bench.path(&generated.name), &generated.files);
        bench.write("script.toml", &script(&generated));
        let config = format!(
            "[platform]\nsingle_user = {single_user}\n[[provider]]\nname = \"from-file\"\nkind = \"scripted\"\nscript = \"script.toml\"\n"
        );
        let config = bench.write("site.toml", &config).to_str().unwrap().to_owned();
        Self { bench, generated, config }
    }

    /// The same with a model server that answers what `brain` says.
    pub(crate) fn with_model(
        generated: Generated,
        brain: impl Fn(&Conversation) -> Reply + Send + Sync + 'static,
    ) -> (Self, ModelServer) {
        let bench = Workbench::new();
        git::make_repository(&bench.path(&generated.name), &generated.files);
        let server = ModelServer::start(Protocol::Anthropic, brain);
        let config = format!(
            "[platform]\nsingle_user = true\n[task]\nmodel = \"made-up-model\"\n[[provider]]\nname = \"from-file\"\nkind = \"anthropic\"\nbase_url = \"{}\"\nprice = \"free\"\n",
            server.url()
        );
        let config = bench.write("site.toml", &config).to_str().unwrap().to_owned();
        (Self { bench, generated, config }, server)
    }

    pub(crate) fn serve(&self) -> Serve {
        Serve::start(&self.bench, &["--config", &self.config])
    }

    pub(crate) fn import(&self, serve: &Serve) -> Value {
        let path = self.bench.path(&self.generated.name);
        serve.api("POST", "/repositories", &json!({"path": path})).expect(201).json()
    }

    pub(crate) fn create(&self, serve: &Serve) -> String {
        let params = json!({"text": self.generated.task, "repo": self.generated.name});
        let created = serve.api("POST", "/tasks", &params);
        created.expect(201).json()["id"].as_str().unwrap().to_owned()
    }
}
