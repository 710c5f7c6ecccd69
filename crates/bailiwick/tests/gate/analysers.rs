//! External tools in cages of their own, without the rest of the platform.

use super::repository::Repository;

/// A tool that finds every line with `BAD` in Python files.
pub(crate) const LINT: &str = r#"#!/bin/sh
printf '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"lint","rules":[{"id":"bad","fullDescription":{"text":"bad words hurt"},"properties":{"tags":["external/cwe/cwe-89"]}}]}},"results":['
for file in *.py; do
  grep -n BAD "$file" | while IFS=: read -r line text; do
    printf '{"ruleId":"bad","level":"error","message":{"text":"BAD here"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"%s"},"region":{"startLine":%s}}}]},' "$file" "$line"
  done
done
printf '{"ruleId":"done","kind":"pass","message":{"text":"done"}}]}]}'
touch left-behind
"#;

fn repository(tool: &str) -> Repository {
    let repository = Repository::new();
    repository.write("lint.sh", LINT);
    repository.write("a.py", "x = 'BAD'\n");
    let rules = format!("[[settings.analysers.tool]]\nname = 'lint'\n{tool}\n");
    repository.write(".bailiwick/gates.toml", rules);
    repository.commit("a tool");
    repository
}

#[test]
fn what_a_tool_finds_in_the_change_alone_is_found_and_stands_in_sarif() {
    let repository = repository("command = 'sh lint.sh'");
    repository.write("a.py", "# moved\nx = 'BAD'\n");
    let (code, text) = repository.gate(&["run"]);
    assert_eq!(code, 0, "{text}");

    repository.write("a.py", "y = 'BAD'\nx = 'BAD'\n");
    let before = repository.git(&["status", "--porcelain"]);
    let place = tempfile::tempdir().unwrap();
    let sarif = place.path().join("out.sarif");
    let (code, text) = repository.gate(&["run", "--sarif", sarif.to_str().unwrap()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("stop a.py:1: lint: BAD here [analysers/lint/bad]"), "{text}");
    assert_eq!(repository.git(&["status", "--porcelain"]), before);
    assert!(!repository.top().join("left-behind").exists());
    let log: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sarif).unwrap()).unwrap();
    let runs = log["runs"].as_array().unwrap();
    let is_ours = |run: &&serde_json::Value| run["tool"]["driver"]["name"] == "bailiwick/analysers";
    let run = runs.iter().find(is_ours).unwrap();
    assert_eq!(run["results"][0]["ruleId"], "analysers/lint/bad");
    let rule = &run["tool"]["driver"]["rules"][0];
    assert_eq!(rule["fullDescription"]["text"], "bad words hurt");
    assert_eq!(rule["properties"]["tags"][0], "external/cwe/cwe-089");

    // only this gate, and without it
    assert_eq!(repository.gate(&["run", "--gate", "analysers"]).0, 1);
    assert_eq!(repository.gate(&["run", "--gate", "secrets"]).0, 0);
}

#[test]
fn a_tool_has_no_network_and_nothing_of_the_change_says_how_it_runs() {
    // it fails where there is more than the loopback
    let alone = "command = 'test \"$(ls /sys/class/net)\" = lo || test -z \"$(ls /sys/class/net)\" || exit 9; sh lint.sh'";
    let repository = repository(alone);
    repository.git(&["checkout", "-q", "-b", "work"]);
    repository.write("a.py", "y = 'BAD'\nx = 'BAD'\n");
    // the change turns the gate off, and brings a configuration with a tier that is not there
    repository.write(".bailiwick/gates.toml", "[gates]\noff = ['analysers']\n");
    repository.write("bailiwick.toml", "[sandbox]\ntier = 'no-such-tier'\n");
    repository.commit("turns it off");
    let (code, text) = repository.gate(&["run", "--head", "HEAD", "--gate", "analysers"]);
    assert_eq!(code, 1, "{text}");
}

/// A tool that hangs, prints garbage, too much or nothing, or is not there.
#[test]
fn a_tool_that_shows_nothing_is_inconclusive() {
    for (tool, wanted) in [
        ("command = 'sh lint.sh; sleep 1000'\ntimeout_seconds = 1", "limit `wall_clock`"),
        ("command = 'while :; do :; done'\ntimeout_seconds = 1", "limit `wall_clock`"),
        ("command = 'head -c 1000000 /dev/urandom'", "no SARIF log"),
        ("command = 'head -c 20000000 /dev/zero'", "more than the"),
        ("command = 'no-such-program'", "was not found"),
        ("command = \"sh -c 'kill -9 $$'\"", "killed"),
        ("command = 'exit 7'", "exit code 7"),
        ("command = ''", "`command` is empty"),
    ] {
        let repository = repository(tool);
        repository.write("a.py", "x = 1\n");
        let (code, text) = repository.gate(&["run", "--gate", "analysers"]);
        assert_eq!(code, 3, "{tool}: {text}");
        assert!(text.contains("INCONCLUSIVE") && text.contains(wanted), "{tool}: {text}");
    }
}

/// What policy refuses is not run, and nothing is run in another way instead.
#[test]
fn a_tool_that_policy_refuses_is_not_run() {
    let place = tempfile::tempdir().unwrap();
    let [config, rules, mark] =
        ["bailiwick.toml", "rules.cedar", "mark"].map(|name| place.path().join(name));
    let repository = repository(&format!("command = 'touch {}'", mark.display()));
    repository.write("a.py", "x = 1\n");
    let nothing = "@id(\"nothing\")\n@reason(\"nothing runs here\")\n@hint(\"run it elsewhere\")\nforbid (principal, action == Action::\"command\", resource);\n";
    std::fs::write(&rules, nothing).unwrap();
    std::fs::write(&config, format!("[policy]\nfiles = ['{}']\n", rules.display())).unwrap();
    let run = ["run", "--gate", "analysers", "--config", config.to_str().unwrap()];
    let (code, text) = repository.gate(&run);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("INCONCLUSIVE") && text.contains("nothing runs here"), "{text}");
    assert!(!mark.exists());
}

#[test]
fn the_tools_of_the_organisation_run_with_its_configuration() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("bailiwick.toml");
    let lint = place.path().join("lint.sh");
    std::fs::write(&lint, LINT).unwrap();
    let tool = format!(
        "[[gates.analyser]]\nname = 'org'\ncommand = 'sh .bailiwick-analysers/org/lint.sh'\nfiles = {{ 'lint.sh' = '{}' }}\n",
        lint.display()
    );
    std::fs::write(&config, tool).unwrap();
    let repository = Repository::new();
    repository.write("a.py", "x = 'BAD'\n");
    let (code, text) = repository.gate(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("[organisation-analysers/org/bad]"), "{text}");
    // control
    assert_eq!(repository.gate(&["run"]).0, 0);
}

/// The other gates that run something do so when they are named.
#[test]
fn tests_run_in_a_sandbox_when_they_are_named() {
    let repository = Repository::new();
    repository.write(".bailiwick/gates.toml", "[tests]\ncommand = 'test -e needed'\n");
    repository.write("needed", "1");
    repository.commit("tests");
    repository.write("other", "1");
    let (code, text) = repository.gate(&["run", "--gate", "tests"]);
    assert_eq!(code, 0, "{text}");
    std::fs::remove_file(repository.top().join("needed")).unwrap();
    let (code, text) = repository.gate(&["run", "--gate", "tests"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("[tests/failed]"), "{text}");
    // control: unasked they do not run
    assert_eq!(repository.gate(&["run"]).0, 0);
    let (code, text) = repository.gate(&["run", "--gate", "acceptance"]);
    assert!(code == 1 && text.contains("[gate.unknown]"), "{text}");
}
