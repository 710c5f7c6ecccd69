//! The names of packages that an agent's command would install are looked up before it runs.

use serde_json::{Value, json};

use crate::harness::{Serve, Workbench, git};

/// A server whose implementor runs these commands one after another, with an index of today.
struct Site {
    bench: Workbench,
    config: String,
}

impl Site {
    fn new(commands: &[&str]) -> Self {
        let bench = Workbench::new();
        git::make_repository(&bench.path("shop"), &[("a.txt".to_owned(), "a\n".to_owned())]);
        let reply = |role: &str, step: usize, tool: &str, input: &Value| json!({"role": role, "step": step, "text": "so", "tool": [{"name": tool, "input": input}]});
        let plan = json!({"summary": "s", "subtasks": [{
            "key": "one", "title": "Add a package", "description": "d",
            "depends_on": [], "scope": {"paths": ["**"]}, "acceptance": [],
        }]});
        let mut replies = vec![reply("coordinator", 1, "submit_plan", &plan)];
        for (at, command) in commands.iter().enumerate() {
            replies.push(reply("implementor", at + 1, "run", &json!({"command": command})));
        }
        let done = json!({"summary": "nothing"});
        replies.push(reply("implementor", commands.len() + 1, "finish", &done));
        bench.write("script.toml", &toml::to_string(&json!({"reply": replies})).unwrap());
        let today = jiff::Timestamp::now().to_string();
        let today = today.split('T').next().unwrap();
        let rows = format!("known-for-long\t2016-01\t90000000\nmade-this-morning\t{today}\t2\n");
        bench.write("cargo.tsv", &rows);
        std::fs::create_dir(bench.path("index")).unwrap();
        bench
            .bailiwick(&[
                "index",
                "build",
                "--ecosystem",
                "cargo",
                "--from",
                "cargo.tsv",
                "--out",
                "index/cargo.index",
            ])
            .expect(0);
        let config = format!(
            "[dependencies]\nindex = {:?}\n[[provider]]\nname = \"from-file\"\nkind = \"scripted\"\nscript = \"script.toml\"\n",
            bench.path("index")
        );
        let config = bench.write("site.toml", &config).to_str().unwrap().to_owned();
        Self { bench, config }
    }

    /// Runs a task up to an event, and gives the decisions on its implementor's commands.
    fn decisions(&self, until: &str) -> Vec<Value> {
        let serve = Serve::start(&self.bench, &["--config", &self.config]);
        let path = self.bench.path("shop");
        serve.api("POST", "/repositories", &json!({"path": path})).expect(201);
        let task = json!({"text": "Add a package.", "repo": "shop"});
        let id = serve.api("POST", "/tasks", &task).expect(201).json()["id"].clone();
        let events = serve.events(id.as_str().unwrap()).until(until);
        events
            .into_iter()
            .map(|event| event.data["event"].clone())
            .filter(|event| {
                event["event"] == "decided"
                    && event["action"]["kind"] == "command"
                    && event["subject"]["role"] == "implementor"
            })
            .collect()
    }
}

#[test]
fn a_name_that_does_not_exist_is_refused_and_a_new_one_is_asked_about() {
    let verdict = |decided: &Value| decided["decision"]["verdict"].clone();
    let rules = |decided: &Value| decided["decision"]["rules"].to_string();
    let facts = |decided: &Value| decided["context"]["facts"]["installs"].clone();
    let site = Site::new(&[
        "cd . && cargo add --offline nothing-of-that-name",
        // the control: the same command with a name that is known, and that people only have to want
        "cd . && cargo add --offline known-for-long",
    ]);
    let decided = site.decisions("approval_asked");
    assert_eq!(decided.len(), 2, "{decided:#?}");
    let [refused, known] = [&decided[0], &decided[1]];
    assert_eq!((verdict(refused), verdict(known)), (json!("deny"), json!("needs_approval")));
    assert!(rules(refused).contains("installs-refused"), "{refused}");
    let reason = refused["decision"]["reason"].to_string();
    assert!(reason.contains("nothing-of-that-name"), "{reason}");
    assert!(facts(refused)["refused"].to_string().contains("nothing-of-that-name"), "{refused}");
    assert_eq!(facts(known), Value::Null);
    assert!(!rules(known).contains("installs-"), "{known}");

    let site = Site::new(&["cd . && cargo add --offline made-this-morning"]);
    let decided = site.decisions("approval_asked");
    let fresh = &decided[0];
    assert_eq!(verdict(fresh), "needs_approval");
    assert!(rules(fresh).contains("installs-doubtful"), "{fresh}");
    assert!(facts(fresh)["doubtful"].to_string().contains("made-this-morning"), "{fresh}");
}
