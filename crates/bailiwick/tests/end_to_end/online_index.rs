//! Names that a change adds, looked up over HTTP by the gate of a real run.

#[path = "../gate/index_server.rs"]
mod index_server;

use serde_json::{Value, json};

use self::index_server::{IndexServer, reply};
use crate::harness::{Ledger, Workbench, git};

const RULES: &str =
    "[tests]\ncommand = 'true'\n[settings.dependencies.advisories]\ncheck = 'off'\n";

/// What the gate says of a change that adds this requirement, and what the ledger has.
fn judged(name: &str, url: &str) -> (Value, Ledger) {
    let bench = Workbench::new();
    let files = [("requirements.txt", "requests==2.31.0\n"), (".bailiwick/gates.toml", RULES)];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    git::make_repository(&bench.path("shop"), &files);
    let reply = |role: &str, step: u32, name: &str, input: Value| json!({"role": role, "step": step, "round": 0, "text": "as written", "tool": [{"name": name, "input": input}]});
    let plan = json!({"summary": "Add it.", "subtasks": [{
        "key": "add", "title": "Add it", "description": "It is needed.",
        "depends_on": [], "scope": {"paths": ["**"]}, "acceptance": [],
    }]});
    let content = format!("requests==2.31.0\n{name}==1.0.0\n");
    let verdict = json!({"verdict": "accepted", "summary": "right"});
    let replies = json!({"reply": [
        reply("coordinator", 1, "submit_plan", plan),
        reply("implementor", 1, "write", json!({"path": "requirements.txt", "content": content})),
        reply("implementor", 2, "finish", json!({"summary": "added"})),
        reply("verifier", 1, "run", json!({"command": "true"})),
        reply("verifier", 2, "submit_verdict", verdict),
        reply("reviewer", 1, "submit_review", json!({"summary": "fine"})),
    ]});
    bench.write("script.toml", &toml::to_string(&replies).unwrap());
    let config = bench.write(
        "site.toml",
        &format!(
            "[[provider]]\nname = 'from-file'\nkind = 'scripted'\nscript = 'script.toml'\n[setup]\nfetch_dependencies = false\n[dependencies.online.pypi]\nurl = '{url}'\n"
        ),
    );
    let source = bench.path("shop");
    let ran = bench.bailiwick(&[
        "run",
        "add a requirement",
        "--repo",
        source.to_str().unwrap(),
        "--yes",
        "--json",
        "--config",
        config.to_str().unwrap(),
    ]);
    let ledger: Ledger = bench.ledger();
    let report = ledger
        .facts("gate_reported")
        .iter()
        .map(|fact| fact["report"].clone())
        .find(|report| report["gate"] == "slopsquat");
    (report.unwrap_or_else(|| panic!("{ran:?}")), ledger)
}

#[test]
fn the_gate_asks_an_index_and_the_ledger_has_the_question() {
    let server = IndexServer::start(|path, stream| match path {
        "/simple/quietly-there/" => reply(
            stream,
            200,
            "{\"name\":\"quietly-there\",\"files\":[{\"upload-time\":\"2016-01-01T00:00:00Z\"}]}",
        ),
        _ => reply(stream, 404, ""),
    });
    for (name, state) in [("quietly-there", "pass"), ("nowhere-at-all", "fail")] {
        let (report, ledger) = judged(name, &server.url("/simple/"));
        assert_eq!(report["state"], state, "{name}: {report}");
        let asked = ledger.permitted("request");
        assert!(!asked.is_empty(), "{name}: nothing was decided");
        for decided in asked {
            assert_eq!(decided["subject"]["role"], "gate", "{decided}");
            assert!(decided["subject"]["task"].is_string(), "{decided}");
            assert_eq!(decided["action"]["path"], format!("/simple/{name}/"), "{decided}");
        }
        ledger.assert_every_action_is_closed();
    }
    assert!(server.asked().contains(&"/simple/quietly-there/".to_owned()), "{:?}", server.asked());
    // nobody answers: the change stays out
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (report, _) = judged("quietly-there", &format!("http://{closed}/simple/"));
    assert_eq!(report["state"], "inconclusive", "{report}");
}
