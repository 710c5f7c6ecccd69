//! `bailiwick gate` on repositories of its own, without a data directory.

#[cfg(test)]
mod analysers;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod index_server;
#[cfg(test)]
mod online;
#[cfg(test)]
mod repository;

#[cfg(test)]
mod tests {
    use super::repository::{Repository, token};
    use std::process::Command;

    #[test]
    fn a_secret_is_found_in_the_working_tree_the_index_and_the_history() {
        let repository = Repository::new();
        assert_eq!(repository.gate(&["run"]).0, 0, "{}", repository.gate(&["run"]).1);

        repository.git(&["checkout", "-q", "-b", "work"]);
        repository.write("new.txt", token(1));
        let before = repository.git(&["status", "--porcelain"]);
        let (code, text) = repository.gate(&["run"]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("stop new.txt:1: github-token"), "{text}");
        assert!(!text.contains(&token(1)), "{text}");
        // control: nothing is staged, and nothing is committed
        assert_eq!(repository.gate(&["run", "--staged"]).0, 0);
        assert_eq!(repository.gate(&["run", "--head", "HEAD"]).0, 0);
        assert_eq!(repository.git(&["status", "--porcelain"]), before);

        repository.git(&["add", "new.txt"]);
        assert_eq!(repository.gate(&["run", "--staged"]).0, 1);
        repository.commit("adds it");
        std::fs::remove_file(repository.top().join("new.txt")).unwrap();
        repository.commit("takes it out");
        let (code, text) = repository.gate(&["run", "--head", "HEAD", "--base", "main"]);
        assert_eq!(code, 1, "{text}");
        assert!(!repository.top().join("bailiwick-data").exists());
    }

    #[test]
    fn rules_are_read_from_the_base_and_never_from_the_change() {
        let off = "[gates]\noff = ['secrets']\n";
        let repository = Repository::new();
        repository.git(&["checkout", "-q", "-b", "work"]);
        repository.write("new.txt", token(1));
        repository.write(".bailiwick/gates.toml", off);
        repository.commit("turns its gate off");
        let run = ["run", "--gate", "secrets", "--head", "HEAD"];
        assert_eq!(repository.gate(&run).0, 1);
        // control: on the protected branch the same file counts
        repository.git(&["checkout", "-q", "main"]);
        repository.write(".bailiwick/gates.toml", off);
        repository.commit("off");
        repository.git(&["checkout", "-q", "work"]);
        assert_eq!(repository.gate(&run).0, 0);
    }

    #[test]
    fn a_change_can_not_bring_the_suppression_of_its_own_finding() {
        let repository = Repository::new();
        repository.git(&["checkout", "-q", "-b", "work"]);
        repository.write("new.txt", token(1));
        repository.commit("a secret");
        let run = ["run", "--gate", "secrets", "--head", "HEAD"];
        let (code, text) = repository.gate(&[&run[..], &["--json"]].concat());
        assert_eq!(code, 1, "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fingerprint = json["reports"][0]["findings"][0]["fingerprint"].as_str().unwrap();
        let suppression =
            |lines: &str| format!("[[suppress]]\nfingerprint = '{fingerprint}'\n{lines}");
        let whole = "person = 'ada'\nreason = 'a key of the tests'\nexpires = '2999-01-01'\n";
        repository.write(".bailiwick/gates.toml", suppression(whole));
        repository.commit("suppresses it");
        assert_eq!(repository.gate(&run).0, 1);

        // control: on the protected branch the same words count, and only whole and in time
        repository.git(&["checkout", "-q", "main"]);
        for (lines, code) in [
            (whole.to_owned(), 0),
            (whole.replace("2999", "2001"), 1),
            (whole.replace("person = 'ada'\n", ""), 1),
            (whole.replace("a key of the tests", " "), 1),
            (whole.replace("expires = '2999-01-01'\n", ""), 1),
        ] {
            repository.write(".bailiwick/gates.toml", suppression(&lines));
            repository.commit("suppressions");
            repository.git(&["checkout", "-q", "work"]);
            let base = ["--base", "main"];
            let (found, text) = repository.gate(&[&run[..], &base].concat());
            assert_eq!(found, code, "{lines}: {text}");
            repository.git(&["checkout", "-q", "main"]);
        }
    }

    #[test]
    fn rules_that_are_no_rules_are_an_error() {
        for (rules, wanted) in [
            ("[gates]\noff = ['secret']\n", "`secret`"),
            ("[settings.nothing]\n", "settings.nothing"),
            ("[gates]\ntimeout_seconds = 0\n", "timeout_seconds"),
            ("[gates\n", "line 1"),
        ] {
            let repository = Repository::new();
            repository.write(".bailiwick/gates.toml", rules);
            repository.commit("rules");
            let (code, text) = repository.gate(&["run"]);
            assert_eq!(code, 1, "{text}");
            assert!(text.contains(wanted) && text.contains("[gate.rules]"), "{text}");
        }
    }

    #[test]
    fn sarif_and_json_say_the_same() {
        let repository = Repository::new();
        repository.write("new.txt", token(1));
        let (code, text) = repository.gate(&["run", "--json", "--sarif", "../out.sarif"]);
        let other = repository.top().parent().unwrap().join("out.sarif");
        let sarif = std::fs::read_to_string(&other).unwrap();
        std::fs::remove_file(other).unwrap();
        assert_eq!(code, 1, "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
        assert_eq!(json["state"], "fail");
        let reported = &json["reports"][0]["findings"][0];
        let result = &sarif["runs"][0]["results"][0];
        assert_eq!(result["ruleId"], reported["rule"]);
        assert_eq!(result["partialFingerprints"]["bailiwick/v1"], reported["fingerprint"]);
        assert_eq!(
            sarif["runs"][0]["tool"]["driver"]["rules"][0]["properties"]["tags"][0],
            "external/cwe/cwe-798"
        );
    }

    /// Says aloud that a test did not run, where the test command counts.
    fn skipped(reason: &str) {
        eprintln!("SKIPPED: {reason}");
        if let Some(log) = std::env::var_os("BAILIWICK_SKIP_LOG") {
            use std::io::Write as _;
            let mut log = std::fs::OpenOptions::new().append(true).create(true).open(log).unwrap();
            writeln!(log, "SKIPPED: {reason}").unwrap();
        }
    }

    /// By the standard's own schema and a public reader, which the test command installs.
    #[test]
    fn sarif_is_valid_by_its_schema_and_opened_by_a_public_reader() {
        let tools = ["BAILIWICK_SARIF_PYTHON", "BAILIWICK_SARIF_SCHEMA"].map(std::env::var_os);
        let [Some(python), Some(schema)] = tools else {
            skipped("no schema and no reader of SARIF; `cargo xtask test` installs them");
            return;
        };
        let repository = Repository::new();
        // an external tool, whose log is read and told in ours
        repository.write("lint.sh", super::analysers::LINT);
        repository.write(
            ".bailiwick/gates.toml",
            "[[settings.analysers.tool]]\nname = 'lint'\ncommand = 'sh lint.sh'\n",
        );
        repository.commit("a tool");
        // findings of several gates with odd names, and a gate that can't judge
        repository.write("a b#ü%/new.txt", token(1));
        repository.write(
            "s.py",
            "import os\n\ndef f(request):\n    os.system(request.args['a'])\n    # BAD\n",
        );
        repository.write("package.json", "{\"dependencies\": {\"lodash\": \"4.17.21\"}");
        repository.write(
            "tests/test_a.py",
            "import pytest\n\n@pytest.mark.skip\ndef test_a():\n    assert True\n",
        );
        let place = tempfile::tempdir().unwrap();
        let sarif = place.path().join("out.sarif");
        let (code, text) = repository.gate(&["run", "--sarif", sarif.to_str().unwrap()]);
        assert_eq!(code, 1, "{text}");
        let script = r#"
import json, sys
import jsonschema
from sarif import loader
schema = json.load(open(sys.argv[1]))
log = json.load(open(sys.argv[2]))
jsonschema.validators.validator_for(schema).check_schema(schema)
errors = list(jsonschema.validators.validator_for(schema)(schema).iter_errors(log))
for error in errors: print(list(error.absolute_path), error.message[:300])
if errors: sys.exit(1)
files = loader.load_sarif_files(sys.argv[2])
files.init_path_prefix_stripping()
records = files.get_records()
print(json.dumps([[r["Severity"], r["Code"], r["Location"], r["Line"]] for r in records]))
"#;
        let check = |log: &str| {
            std::fs::write(&sarif, log).unwrap();
            let output = Command::new(&python)
                .args(["-c", script])
                .arg(&schema)
                .arg(&sarif)
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        };
        let log = std::fs::read_to_string(&sarif).unwrap();
        let (valid, said) = check(&log);
        assert!(valid, "{said}");
        let records: Vec<(String, String, String, serde_json::Value)> =
            serde_json::from_str(said.lines().last().unwrap()).unwrap();
        for (severity, rule, line) in [
            ("error", "secrets/github-token", 1),
            ("error", "sast/command-injection", 4),
            ("error", "test-integrity/skipped", 3),
            ("error", "analysers/lint/bad", 5),
        ] {
            let found = records.iter().find(|record| record.1 == rule);
            let Some(found) = found else { panic!("no `{rule}` in {said}") };
            assert_eq!((found.0.as_str(), found.3.as_u64()), (severity, Some(line)), "{rule}");
        }
        let log_json: serde_json::Value = serde_json::from_str(&log).unwrap();
        let runs = log_json["runs"].as_array().unwrap();
        let failed =
            runs.iter().filter(|run| run["invocations"][0]["executionSuccessful"] == false);
        assert!(failed.count() > 0, "no gate was inconclusive: {log}");
        // the schema does refuse what is no log
        let (valid, said) = check(&log.replace("\"startLine\": ", "\"startLine\": -"));
        assert!(!valid && said.contains("startLine"), "{said}");
    }

    #[test]
    fn bad_input_is_told_and_nothing_is_run() {
        let repository = Repository::new();
        for (arguments, code, wanted) in [
            (vec!["run", "--base", "nowhere"], 1, "nowhere"),
            (vec!["run", "--head", "nowhere"], 1, "nowhere"),
            (vec!["run", "--gate", "nothing"], 1, "[gate.unknown]"),
            (vec!["run", "--repo", "/nonexistent"], 1, "nonexistent"),
            (vec!["run", "--staged", "--head", "HEAD"], 2, "cannot be used"),
            (vec!["run", "--message", "nothing.txt"], 1, "nothing.txt"),
            (vec!["explain", "nothing"], 1, "[gate.unknown]"),
            (vec!["explain", "secrets/nothing"], 1, "[gate.unknown]"),
        ] {
            let (found, text) = repository.gate(&arguments);
            assert_eq!(found, code, "{arguments:?}: {text}");
            assert!(text.contains(wanted), "{arguments:?}: {text}");
        }
    }

    #[test]
    fn every_rule_is_listed_and_explained() {
        let repository = Repository::new();
        let (code, text) = repository.gate(&["list", "--json"]);
        assert_eq!(code, 0);
        let gates: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = gates.iter().map(|gate| gate["name"].as_str().unwrap()).collect();
        for name in ["secrets", "analysers", "organisation-analysers", "tests", "scope"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        let (code, text) = repository.gate(&["explain", "analysers/lint/anything"]);
        assert!(code == 0 && text.contains("each finding carries"), "{text}");
        for gate in &gates {
            let name = gate["name"].as_str().unwrap();
            let (code, text) = repository.gate(&["explain", name]);
            assert_eq!(code, 0);
            for rule in gate["rules"].as_array().unwrap() {
                let id = rule["id"].as_str().unwrap();
                assert!(id.starts_with(&format!("{name}/")), "{id}");
                assert!(text.contains(id), "{id}");
                for field in ["title", "why", "fix"] {
                    assert!(
                        rule[field].as_str().is_some_and(|text| text.len() > 3),
                        "{id} {field}"
                    );
                }
            }
        }
    }
}
