//! The gates that run something, all of them, in the sandbox of a real run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Ledger, Workbench, git};

const RULES: &str = r#"
[settings.coverage]
command = "sh measure.sh"
report = "lcov.info"

[settings.mutants]
sample = 2

[[settings.analysers.tool]]
name = "lint"
command = "sh lint.sh"

[settings.abuse]
interface = ["server.cjs"]
start = "node server.cjs"
port = 18080
ready_seconds = 120
answer_seconds = 20
[[settings.abuse.endpoint]]
method = "POST"
path = "/half"
body = '{"n": 6}'
"#;

/// Finds `BAD` in scripts, as SARIF.
const LINT: &str = r#"printf '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint"}},"results":['
grep -l BAD *.cjs | while read -r file; do
  printf '{"ruleId":"bad","level":"error","message":{"text":"BAD"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"%s"}}}]},' "$file"
done
printf '{"ruleId":"done","kind":"pass","message":{"text":"done"}}]}]}'
"#;

/// Says that no line with `rare` runs.
const MEASURE: &str = r#"echo measuring
for file in *.cjs; do
  echo "SF:/workspace/$file"
  number=0
  while IFS= read -r line; do
    number=$((number + 1))
    case "$line" in *rare*) echo "DA:$number,0" ;; *) echo "DA:$number,1" ;; esac
  done <"$file"
  echo end_of_record
done >lcov.info
"#;

fn server(on_error: &str) -> String {
    format!(
        r#"const http = require('node:http');
const {{ half }} = require('./half.cjs');
http.createServer((request, response) => {{
  let body = '';
  request.on('data', (part) => {{ body += part; }});
  request.on('end', () => {{
    let code = 200;
    let answer = '';
    try {{
      const n = JSON.parse(body).n;
      if (typeof n !== 'number') throw new TypeError('n');
      answer = String(half(n));
    }} catch (error) {{ {on_error} code = 400; }}
    response.writeHead(code, {{ connection: 'close' }});
    response.end(answer);
  }});
}}).listen(18080, '127.0.0.1');
"#
    )
}

fn test(name: &str, asserts: &str) -> String {
    format!(
        "const test = require('node:test');\nconst assert = require('node:assert');\nconst {{ half }} = require('../half.cjs');\ntest('{name}', () => {{ {asserts} }});\n"
    )
}

/// Runs a task whose implementor writes these files, and gives the gates' reports by name.
fn judged(writes: &[(&str, &str)]) -> (Option<i32>, BTreeMap<String, Value>) {
    let bench = Workbench::new();
    let old = test("of 4", "assert.equal(half(4), 2);");
    let files = [
        ("package.json", "{\"name\": \"half\", \"scripts\": {\"test\": \"node --test tests/\"}}\n"),
        ("half.cjs", "exports.half = () => 2;\n"),
        ("server.cjs", &server("")),
        ("tests/old.test.cjs", &old),
        ("lint.sh", LINT),
        ("measure.sh", MEASURE),
        (".bailiwick/gates.toml", RULES),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    git::make_repository(&bench.path("half"), &files);
    let reply = |role: &str, step: u32, tools: &[Value]| json!({"role": role, "step": step, "round": 0, "text": "as written", "tool": tools});
    let call = |name: &str, input: Value| json!({"name": name, "input": input});
    let plan = json!({"summary": "Mend half.", "subtasks": [{
        "key": "half", "title": "Mend half", "description": "It gives 2 for everything.",
        "depends_on": [], "scope": {"paths": ["**"]}, "acceptance": [],
    }]});
    let written: Vec<Value> = writes
        .iter()
        .map(|(path, content)| call("write", json!({"path": path, "content": content})))
        .collect();
    let replies = json!({"reply": [
        reply("coordinator", 1, &[call("submit_plan", plan)]),
        reply("implementor", 1, &written),
        reply("implementor", 2, &[call("finish", json!({"summary": "mended"}))]),
        reply("verifier", 1, &[call("run", json!({"command": "npm test"}))]),
        reply("verifier", 2, &[call("submit_verdict", json!({"verdict": "accepted", "summary": "right"}))]),
        reply("reviewer", 1, &[call("submit_review", json!({"summary": "fine"}))]),
    ]});
    bench.write("script.toml", &toml::to_string(&replies).unwrap());
    let config = bench.write(
        "site.toml",
        "[[provider]]\nname = \"from-file\"\nkind = \"scripted\"\nscript = \"script.toml\"\n",
    );
    let source = bench.path("half");
    let ran = bench.bailiwick(&[
        "run",
        "half gives 2 for everything",
        "--repo",
        source.to_str().unwrap(),
        "--yes",
        "--json",
        "--config",
        config.to_str().unwrap(),
    ]);
    let ledger: Ledger = bench.ledger();
    let reports: BTreeMap<String, Value> = ledger
        .facts("gate_reported")
        .iter()
        .map(|fact| (fact["report"]["gate"].as_str().unwrap().to_owned(), fact["report"].clone()))
        .collect();
    assert!(!reports.is_empty(), "{ran:?}");
    (ran.code, reports)
}

fn states(reports: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    ["tests", "new-tests", "coverage", "mutants", "abuse", "analysers"]
        .into_iter()
        .map(|gate| (gate, reports[gate]["state"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_good_change_passes_them_all_and_is_merged() {
    let new = test("of 7", "assert.equal(half(7), 3.5); assert.equal(half(8), 4);");
    let (code, reports) = judged(&[
        ("half.cjs", "exports.half = (n) => n / 2;\n"),
        ("server.cjs", &format!("{}// mended\n", server(""))),
        ("tests/new.test.cjs", &new),
    ]);
    assert!(states(&reports).iter().all(|(_, state)| *state == "pass"), "{reports:#?}");
    assert_eq!(code, Some(0), "{reports:#?}");
    let ran = |gate: &str| reports[gate]["evidence"].as_array().unwrap().len();
    assert_eq!((ran("new-tests"), ran("coverage"), ran("analysers"), ran("abuse")), (1, 1, 2, 2));
    assert!(ran("mutants") >= 2, "{:#?}", reports["mutants"]);
    let abuse = reports["abuse"]["summary"].as_str().unwrap();
    assert!(!abuse.contains("looked at 0 misuses"), "{abuse}");
}

#[test]
fn each_of_them_stops_what_it_should() {
    let (code, reports) = judged(&[
        // a new test that passes before, a line that does not run, one that could be anything
        (
            "half.cjs",
            "const BAD = 1;\nexports.half = (n) => {\n  if (n === 4) return 2;\n  const rare = n / 2;\n  return rare > 1;\n};\n",
        ),
        ("server.cjs", &server("process.exit(1);")),
        ("tests/new.test.cjs", &test("of 4 again", "assert.ok(half(4));")),
    ]);
    let expected = [
        ("tests", "pass"),
        ("new-tests", "fail"),
        ("coverage", "fail"),
        ("mutants", "needs_approval"),
        ("abuse", "fail"),
        ("analysers", "fail"),
    ];
    assert_eq!(states(&reports), expected, "{reports:#?}");
    assert_ne!(code, Some(0));
}
