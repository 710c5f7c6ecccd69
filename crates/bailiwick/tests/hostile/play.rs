//! Plays the steps of a case and says what was not as the case states it.

use serde_json::{Value, json};

use super::case::{Call, Case, Http, Is, Run, Sh, Step};
use super::world::{World, text_of};

/// What one tool call was answered, as the model saw it.
struct Answer {
    text: String,
    is_error: bool,
}

pub(crate) fn play(case: &Case) -> Vec<String> {
    let mut world = World::new(case);
    let mut wrong = form(case);
    for (at, step) in case.step.iter().enumerate() {
        let found = match step {
            Step::Run(run) => play_run(&mut world, run),
            Step::Sh(sh) => play_sh(&mut world, sh),
            Step::Serve { args } => {
                world.serve(args);
                Vec::new()
            }
            Step::Stop => {
                world.stop();
                Vec::new()
            }
            Step::Http(http) => play_http(&mut world, http),
            Step::Model(model) => {
                world.serve_model(model);
                Vec::new()
            }
        };
        wrong.extend(found.into_iter().map(|what| format!("step {at}: {what}")));
    }
    wrong.extend(world.look_from_outside(case));
    wrong
}

/// A case proves nothing without an attack that states its reason and a control.
fn form(case: &Case) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut attacks, mut controls) = (0, 0);
    let mut count = |is: Is| match is {
        Is::Attack => attacks += 1,
        Is::Control => controls += 1,
        Is::Setup | Is::Outside => {}
    };
    for step in &case.step {
        match step {
            Step::Run(run) => {
                count(run.is);
                for call in run.call.iter().chain(run.coordinator.iter().flatten()) {
                    count(call.is);
                    let states_reason = call.refused.is_some()
                        || call.error.is_some()
                        || call.unanswered
                        || !call.says.is_empty()
                        || !call.lacks.is_empty();
                    if call.is == Is::Attack && !states_reason {
                        wrong.push(format!("`{}` states no reason", call.input));
                    }
                }
            }
            Step::Sh(sh) => count(sh.is),
            Step::Http(http) => count(http.is),
            Step::Serve { .. } | Step::Stop | Step::Model(_) => {}
        }
    }
    if attacks == 0 || controls == 0 {
        wrong.push(format!("{attacks} attacks and {controls} controls"));
    }
    if case.promise.is_empty() || case.why.is_empty() {
        wrong.push("no promise or no reason".into());
    }
    if case.known_gap.as_ref().is_some_and(String::is_empty) {
        wrong.push("a known gap names the sentence that says so".into());
    }
    wrong
}

fn replies(script: &mut Vec<Value>, world: &World, role: &str, calls: &[Call]) -> u32 {
    let last = calls.iter().map(|call| call.step).max().unwrap_or(0);
    for step in 1..=last {
        let tools: Vec<Value> = calls
            .iter()
            .filter(|call| call.step == step)
            .map(|call| {
                let input = serde_json::to_value(&call.input).unwrap();
                json!({ "name": call.tool, "input": fill(world, input) })
            })
            .collect();
        let mut reply = json!({ "role": role, "step": step, "text": "I go on.", "tool": tools });
        if role == "implementor" {
            reply["round"] = json!(0);
        }
        script.push(reply);
    }
    last
}

/// Fills the texts of a value, so that what is put in needs no escaping.
fn fill(world: &World, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(world.fill(&text)),
        Value::Array(items) => items.into_iter().map(|item| fill(world, item)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, item)| (name, fill(world, item))).collect()
        }
        other => other,
    }
}

fn script(world: &World, run: &Run) -> Value {
    let mut script = Vec::new();
    match &run.coordinator {
        Some(calls) => {
            replies(&mut script, world, "coordinator", calls);
        }
        None => script.push(json!({
            "role": "coordinator", "step": 1,
            "tool": [{ "name": "submit_plan", "input": {
                "summary": "One change.",
                "subtasks": [{
                    "key": "note", "title": world.fill(&run.title), "description": "Change the note.",
                    "scope": { "paths": run.scope },
                    "acceptance": [{ "name": "accepted", "command": run.acceptance }],
                }],
            } }],
        })),
    }
    let last = replies(&mut script, world, "implementor", &run.call);
    let finish = json!([{ "name": "finish", "input": { "summary": world.fill(&run.summary) } }]);
    if run.finish {
        script.push(json!({ "role": "implementor", "round": 0, "step": last + 1, "tool": finish }));
        for round in [1, 2] {
            script
                .push(json!({ "role": "implementor", "round": round, "step": 1, "tool": finish }));
        }
    }
    match &run.verifier {
        Some(calls) => {
            replies(&mut script, world, "verifier", calls);
        }
        None => script.push(json!({
            "role": "verifier", "step": 1,
            "tool": [{ "name": "submit_verdict", "input":
                { "verdict": "accepted", "summary": "Good.", "findings": [] } }],
        })),
    }
    match &run.reviewer {
        Some(calls) => {
            replies(&mut script, world, "reviewer", calls);
        }
        None => script.push(json!({
            "role": "reviewer", "step": 1,
            "tool": [{ "name": "submit_review", "input": { "summary": "Good.", "findings": [] } }],
        })),
    }
    json!({ "reply": script })
}

fn play_run(world: &mut World, run: &Run) -> Vec<String> {
    world.runs += 1;
    let path = world.path(&format!("script{}.json", world.runs));
    std::fs::write(&path, script(world, run).to_string()).unwrap();
    let args: Vec<String> = run.args.iter().map(|arg| world.fill(arg)).collect();
    let mut command = world.platform();
    command.arg("--json").arg("run").arg(world.fill(&run.task)).arg("--script").arg(&path);
    if !args.iter().any(|arg| arg == "--repo") {
        command.arg("--repo").arg(world.path("repo"));
    }
    let output = command.args(&args).output().unwrap();
    let said = text_of(&output);
    world.outputs.push(said.clone());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    let (log, answers, coordinator) = log(world, &result);
    let mut wrong = Vec::new();
    check_calls(world, &run.call, &answers, &mut wrong);
    check_calls(world, run.coordinator.as_deref().unwrap_or_default(), &coordinator, &mut wrong);
    if let Some(standing) = &run.standing
        && result["standing"] != json!(standing)
    {
        wrong.push(format!("standing {} in place of {standing}", result["standing"]));
    }
    let everything = format!("{said}{log}");
    for code in &run.code {
        if !everything.contains(&format!("\"{code}\"")) {
            wrong.push(format!("no code `{code}`"));
        }
    }
    for (gate, state) in &run.gates {
        let gates = result["gates"].as_array().cloned().unwrap_or_default();
        let found = gates.iter().find(|found| found["gate"] == json!(gate));
        if found.is_none_or(|found| found["state"] != json!(state)) {
            wrong.push(format!("gate {gate} is {found:?} in place of {state}"));
        }
    }
    contains(world, &everything, &run.says, &run.lacks, &mut wrong);
    if !wrong.is_empty() {
        let mut short = json!({ "result": said });
        if result.is_object() {
            short = json!({});
            for name in ["standing", "gates", "questions", "refused", "ending", "error"] {
                short[name] = result[name].clone();
            }
        }
        let short: String = short.to_string().chars().take(2500).collect();
        wrong.push(format!("the run said: {short}"));
    }
    wrong
}

/// The log of a run with the texts of its blobs, the implementor's answers and the coordinator's.
fn log(world: &mut World, result: &Value) -> (String, Vec<Answer>, Vec<Answer>) {
    let Some(task) = result["task"].as_str() else {
        return (String::new(), Vec::new(), Vec::new());
    };
    let output = world.platform().args(["--json", "task", "logs", task]).output().unwrap();
    let mut log = text_of(&output);
    world.outputs.push(log.clone());
    let entries: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut role_of = std::collections::BTreeMap::new();
    let (mut implementor, mut coordinator) = (Vec::new(), Vec::new());
    for entry in &entries {
        let event = &entry["event"];
        let session = event["session"].as_str().unwrap_or_default().to_owned();
        if event["fact"] == "session_started" {
            role_of.insert(session.clone(), event["role"].as_str().unwrap_or_default().to_owned());
        }
        if event["fact"] != "step_taken" {
            continue;
        }
        for answer in event["results"].as_array().into_iter().flatten() {
            let text = blob(world, &answer["content"]);
            log.push_str(&text);
            let answer = Answer { text, is_error: answer["is_error"] == json!(true) };
            match role_of.get(&session).map(String::as_str) {
                Some("implementor") => implementor.push(answer),
                Some("coordinator") => coordinator.push(answer),
                _ => {}
            }
        }
    }
    (log, implementor, coordinator)
}

/// A text of the ledger, in the entry itself or beside it.
fn blob(world: &World, content: &Value) -> String {
    if let Some(text) = content["inline"].as_str() {
        return text.to_owned();
    }
    let name = content["blob"].as_str().unwrap_or_default();
    let below = world.path("data/ledger/blobs").join(name.get(..2).unwrap_or_default());
    let bytes = std::fs::read(below.join(name))
        .or_else(|_| std::fs::read(below.join(name.get(2..).unwrap_or_default())));
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

fn check_calls(world: &World, calls: &[Call], answers: &[Answer], wrong: &mut Vec<String>) {
    for (at, call) in calls.iter().enumerate() {
        let shown: String = call.input.to_string().chars().take(160).collect();
        let Some(answer) = answers.get(at) else {
            if !call.unanswered {
                wrong.push(format!("call {at} `{} {shown}` was not answered", call.tool));
            }
            continue;
        };
        let mut found = Vec::new();
        if call.unanswered {
            found.push("was answered".to_owned());
        }
        let denied: Value = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
        if let Some(rule) = &call.refused {
            let rules = denied["denied"]["rules"].as_array().cloned().unwrap_or_default();
            if !rules.contains(&json!(rule)) {
                found.push(format!("not refused by {rule}"));
            }
        }
        let default = if call.is == Is::Attack { None } else { Some(false) };
        if let Some(error) = call.error.or(default)
            && answer.is_error != error
        {
            found.push(format!("error {} in place of {error}", answer.is_error));
        }
        contains(world, &answer.text, &call.says, &call.lacks, &mut found);
        if !found.is_empty() {
            let short: String = answer.text.chars().take(1200).collect();
            wrong.push(format!("call {at} `{} {shown}`: {}: {short}", call.tool, found.join(", ")));
        }
    }
}

fn play_sh(world: &mut World, sh: &Sh) -> Vec<String> {
    let output = world.sh(&sh.command);
    let said = text_of(&output);
    let mut wrong = Vec::new();
    let code = output.status.code().unwrap_or(-1);
    let as_stated = if sh.exit == -1 { code != 0 && code != 124 } else { code == sh.exit };
    if !as_stated {
        wrong.push(format!("exit {code} in place of {}", sh.exit));
    }
    contains(world, &said, &sh.says, &sh.lacks, &mut wrong);
    if !wrong.is_empty() {
        let short: String = said.chars().take(1500).collect();
        wrong.push(format!("`{}` said: {short}", sh.command));
    }
    wrong
}

fn play_http(world: &mut World, http: &Http) -> Vec<String> {
    let body = world.fill(&http.body);
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n",
        http.method,
        world.fill(&http.path)
    );
    let authorization = match http.token.as_str() {
        "right" => format!("Bearer {}", world.token()),
        "wrong" => format!("Bearer bw_{}", "0".repeat(48)),
        "none" => String::new(),
        other => world.fill(other),
    };
    if !authorization.is_empty() {
        head.push_str(&format!("authorization: {authorization}\r\n"));
    }
    for (name, value) in &http.headers {
        head.push_str(&format!("{name}: {}\r\n", world.fill(value)));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
        if !http.headers.contains_key("content-type") {
            head.push_str("content-type: application/json\r\n");
        }
    }
    head.push_str("\r\n");
    let (status, answer) = world.http(&head, body.as_bytes());
    let mut wrong = Vec::new();
    if !http.status.contains(&status) {
        wrong.push(format!("status {status} in place of {:?}", http.status));
    }
    contains(world, &answer, &http.says, &http.lacks, &mut wrong);
    if !wrong.is_empty() {
        let short: String = answer.chars().take(800).collect();
        wrong.push(format!("{} {} answered: {short}", http.method, http.path));
    }
    wrong
}

fn contains(world: &World, text: &str, says: &[String], lacks: &[String], wrong: &mut Vec<String>) {
    for part in says {
        if !text.contains(&world.fill(part)) {
            wrong.push(format!("does not say `{part}`"));
        }
    }
    for part in lacks {
        if text.contains(&world.fill(part)) {
            wrong.push(format!("says `{part}`"));
        }
    }
}
