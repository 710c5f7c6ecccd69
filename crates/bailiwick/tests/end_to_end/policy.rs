//! Policy from outside: the document's examples, the demonstration's ledger, bundles that come and
//! bundles that are refused, repositories that narrow and that try to widen.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Serve, Workbench, git};

/// The document's files and commands, in its order.
fn document(bench: &Workbench) -> usize {
    let text = include_str!("../../../../docs/policy.md");
    let mut ran = 0;
    let mut file: Option<&str> = None;
    let mut blocks = text.split("```");
    while let (Some(before), Some(block)) = (blocks.next(), blocks.next()) {
        if let Some((_, name)) = before.rsplit_once("<!-- file: ") {
            file =
                name.split_once(" -->").filter(|(_, rest)| rest.trim().is_empty()).map(|one| one.0);
        }
        let (language, body) = block.split_once('\n').unwrap();
        match (language, file.take()) {
            ("toml", Some(name)) => drop(bench.write(name, body)),
            ("console", _) => {
                for example in body.split("$ bailiwick ").skip(1) {
                    let (command, expected) = example.split_once('\n').unwrap();
                    let (command, code) = match command.split_once(" # exits ") {
                        Some((command, code)) => (command, code.trim().parse().unwrap()),
                        None => (command, 0),
                    };
                    let words = words(command);
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    let output = bench.bailiwick(&words);
                    let shown = format!("{}{}", output.expect(code).stdout, output.stderr);
                    for line in expected.lines().map(str::trim).filter(|line| !line.is_empty()) {
                        let part = line.trim_end_matches('…');
                        assert!(
                            shown.contains(part),
                            "`{command}` does not print `{part}`:\n{shown}"
                        );
                    }
                    ran += 1;
                }
            }
            _ => {}
        }
    }
    ran
}

/// A command line's words; single quotes keep words together.
fn words(line: &str) -> Vec<String> {
    line.split('\'')
        .enumerate()
        .flat_map(|(at, part)| {
            if at % 2 == 1 {
                vec![part.to_owned()]
            } else {
                part.split_whitespace().map(str::to_owned).collect()
            }
        })
        .collect()
}

#[test]
fn the_document_s_examples_do_what_it_says() {
    assert!(document(&Workbench::new()) >= 12);
}

#[test]
fn the_demonstration_s_ledger_is_replayed_and_explained() {
    let bench = Workbench::new();
    let outcome = bench.bailiwick(&["demo", "--yes", "--json"]).expect(0).json();
    let decided = bench.ledger().events().filter(|event| event["event"] == "decided").count();

    let same = bench
        .bailiwick(&["policy", "replay", "standard", "--since", "30d", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        (&same["total"], &same["same"], &same["changes"]),
        (&json!(decided), &json!(decided), &json!([]))
    );
    let none = bench
        .bailiwick(&["policy", "replay", "standard", "--since", "0m", "--json"])
        .expect(0)
        .json();
    assert_eq!(none["total"], 0);
    let strict = bench.bailiwick(&["policy", "replay", "strict", "--json"]).expect(0).json();
    let changes = strict["changes"].as_array().unwrap();
    let counted: u64 = changes.iter().map(|change| change["count"].as_u64().unwrap()).sum();
    assert_eq!(counted + strict["same"].as_u64().unwrap(), decided as u64);
    let merge = changes.iter().find(|change| change["kind"] == "pull_request_merge").unwrap();
    assert_eq!((&merge["before"], &merge["after"]), (&json!("allowed"), &json!("denied")));
    assert!(merge["rules"].as_array().unwrap().contains(&json!("strict.pull-requests-approvals")));

    let entry = outcome["refused"][0]["entry"].as_u64().unwrap().to_string();
    let told = bench.bailiwick(&["policy", "explain", &entry, "--json"]).expect(0).json();
    assert_eq!(told["recorded"]["decision"], told["decision"]);
    let rule = &told["rules"][0];
    assert_eq!(told["decision"]["verdict"], "deny");
    assert!(rule["line"].as_u64().unwrap() > 1 && rule["file"] == "standard.cedar", "{rule}");
    assert!(!told["changes"].as_array().unwrap().is_empty());
    let missing = bench.bailiwick(&["policy", "explain", "999999"]);
    assert_eq!(missing.expect(1).error_code(), "policy.no_decision");
}

struct Bundles {
    bench: Workbench,
    config: String,
    key: String,
}

impl Bundles {
    fn new() -> Self {
        let bench = Workbench::new();
        let key =
            bench.bailiwick(&["policy", "key", "policy.key"]).expect(0).stdout.trim().to_owned();
        let config = format!("[policy]\nbundle = \"acme.bundle\"\ntrusted_keys = [\"{key}\"]\n");
        let config = bench.write("site.toml", &config).to_str().unwrap().to_owned();
        Self { bench, config, key }
    }

    fn publish(&self, program: &str, more: &[&str]) {
        let text = format!("include = [\"standard\"]\n[commands]\ndeny = [\"{program}\"]\n");
        self.bench.write("policy/acme.toml", &text);
        let common = ["policy", "publish", "policy", "--key", "policy.key", "--out", "acme.bundle"];
        self.bench.bailiwick(&[&common[..], more].concat()).expect(0);
    }

    /// What a server that starts on this bundle says.
    fn code(&self) -> String {
        let ran = self.bench.bailiwick(&["policy", "show", "--config", &self.config]);
        if ran.code == Some(0) { "accepted".to_owned() } else { ran.error_code() }
    }

    fn bundle(&self) -> std::path::PathBuf {
        self.bench.path("acme.bundle")
    }
}

/// Waits for a server's policy to be what it should be.
fn policy(serve: &Serve, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let found = serve.get("/policy").expect(200).json();
        if wanted(&found) || Instant::now() > end {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_bundle_is_taken_while_serving_and_a_bad_one_changes_nothing() {
    let site = Bundles::new();
    site.publish("one-tool", &[]);
    let serve = Serve::start(&site.bench, &["--config", &site.config]);
    let has =
        |word: &'static str| move |found: &Value| found["text"].as_str().unwrap().contains(word);
    let first = policy(&serve, has("one-tool"));
    assert_eq!(first["alerts"], json!([]), "{first}");

    site.publish("two-tool", &[]);
    let second = policy(&serve, has("two-tool"));
    assert!(second["text"].as_str().unwrap().contains("two-tool"), "{second}");
    assert_ne!(first["digest"], second["digest"]);

    let good = std::fs::read(site.bundle()).unwrap();
    let altered = String::from_utf8(good.clone()).unwrap().replace("two-tool", "any-tool");
    std::fs::write(site.bundle(), altered).unwrap();
    let third = policy(&serve, |found| found["alerts"] != json!([]));
    assert_eq!(third["digest"], second["digest"]);
    assert_eq!(third["alerts"][0]["code"], "policy.bundle_altered", "{third}");
    assert!(
        third["alerts"][0]["faults"][0].as_str().unwrap().starts_with("acme.toml:1:1"),
        "{third}"
    );
    serve.stop();

    // across a restart too, and it stands in the ledger
    let serve = Serve::start(&site.bench, &["--config", &site.config]);
    let fourth = policy(&serve, |_| true);
    assert_eq!(
        (&fourth["digest"], &fourth["alerts"][0]["code"]),
        (&second["digest"], &json!("policy.bundle_altered"))
    );
    std::fs::write(site.bundle(), good).unwrap();
    let fifth = policy(&serve, |found| found["alerts"] == json!([]));
    assert_eq!((&fifth["digest"], &fifth["alerts"]), (&second["digest"], &json!([])));
    serve.stop();
    let ledger = site.bench.ledger();
    let refused = ledger.facts("policy_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(
        (&refused[0]["code"], &refused[0]["in_force"]),
        (&json!("policy.bundle_altered"), &second["digest"])
    );
    assert_eq!(std::fs::read_dir(site.bench.data().join("policy/quarantine")).unwrap().count(), 1);
}

#[test]
fn each_bad_bundle_is_refused_with_its_own_code_and_nothing_is_started() {
    let site = Bundles::new();
    assert_eq!(site.code(), "policy.bundle_unreadable");
    site.publish("one-tool", &[]);
    let good = std::fs::read_to_string(site.bundle()).unwrap();
    let with = |text: &str| {
        std::fs::write(site.bundle(), text).unwrap();
        site.code()
    };
    assert_eq!(with("{}"), "policy.bundle_malformed");
    assert_eq!(with(good.split_at(good.len() / 2).0), "policy.bundle_truncated");
    assert_eq!(with(&good.replace("\\n\\n", "\\n")), "policy.bundle_unsigned");
    assert_eq!(with(&good.replace("one-tool", "any-tool")), "policy.bundle_altered");
    assert_eq!(with(&good.replace("serial 1", "serial 9")), "policy.bundle_untrusted");
    assert_eq!(with(&" ".repeat(9 << 20)), "policy.bundle_too_large");
    // signed by somebody else, under the same name
    site.bench.bailiwick(&["policy", "key", "other.key"]).expect(0);
    let other = ["policy", "publish", "policy", "--key", "other.key", "--out", "acme.bundle"];
    site.bench.bailiwick(&other).expect(0);
    assert_eq!(site.code(), "policy.bundle_untrusted");
    site.publish("one-tool", &["--expires", "2020-01-01T00:00:00Z"]);
    assert_eq!(site.code(), "policy.bundle_expired");
    // nothing was in force so far; now the control, and then one that is older than it
    site.publish("one-tool", &["--serial", "8"]);
    assert_eq!(site.code(), "accepted");
    site.publish("one-tool", &["--serial", "7"]);
    let shown = site
        .bench
        .bailiwick(&["policy", "show", "--json", "--config", &site.config])
        .expect(0)
        .json();
    assert_eq!(shown["alerts"][0]["code"], "policy.bundle_rolled_back", "{shown}");
    assert!(shown["organisation"].as_str().unwrap().contains("serial 8"), "{shown}");
    // a clock that went back since then is noticed, and makes no bundle good again
    let memory = site.bench.data().join("policy/memory.json");
    std::fs::write(
        &memory,
        r#"{"name": "organisation", "serial": 8, "seen": "2099-01-01T00:00:00Z"}"#,
    )
    .unwrap();
    site.publish("one-tool", &["--serial", "9", "--expires", "2098-01-01T00:00:00Z"]);
    let shown = site
        .bench
        .bailiwick(&["policy", "show", "--json", "--config", &site.config])
        .expect(0)
        .json();
    assert_eq!(shown["alerts"][0]["code"], "policy.bundle_expired", "{shown}");
    site.publish("one-tool", &["--serial", "10"]);
    let shown = site
        .bench
        .bailiwick(&["policy", "show", "--json", "--config", &site.config])
        .expect(0)
        .json();
    assert_eq!(shown["alerts"][0]["code"], "policy.clock_went_back", "{shown}");
    assert!(!site.key.is_empty());
}

#[test]
fn what_must_not_be_published_is_not() {
    let site = Bundles::new();
    let publish = |text: &str| {
        site.bench.write("policy/acme.toml", "include = [\"standard\"]\n");
        site.bench.write("policy/more.cedar", text);
        let ran = site.bench.bailiwick(&[
            "policy",
            "publish",
            "policy",
            "--key",
            "policy.key",
            "--out",
            "acme.bundle",
        ]);
        if ran.code == Some(0) { "published".to_owned() } else { ran.error_code() }
    };
    let rule = |text: &str| format!("@id(\"x\") @reason(\"r\") @hint(\"h\")\n{text}\n");
    assert_eq!(
        publish(&rule(
            "forbid(principal, action == Action::\"model_call\", resource) when { context.estimate > 7 };"
        )),
        "published"
    );
    assert_eq!(
        publish(&rule(
            "forbid(principal, action == Action::\"model_call\", resource) when { context.estimate + 1 > 7 };"
        )),
        "policy.bundle_may_fail"
    );
    assert_eq!(publish("forbid(principal, action, resource);"), "policy.invalid");
    let nested = format!("{}true{}", "(".repeat(80), ")".repeat(80));
    assert_eq!(
        publish(&rule(&format!("forbid(principal, action, resource) when {{ {nested} }};"))),
        "policy.invalid"
    );
    site.bench.write(
        "policy/standard.cedar",
        &bailiwick_standard()
            .replace("unless { context.gates_passed }", "unless { context.verified }"),
    );
    site.bench.write("policy/acme.toml", "");
    site.bench.write("policy/more.cedar", "");
    let ran = site.bench.bailiwick(&[
        "policy",
        "publish",
        "policy",
        "--key",
        "policy.key",
        "--out",
        "b.bundle",
    ]);
    assert_eq!(ran.expect(1).error_code(), "policy.bundle_breaks_invariant");
    assert!(
        ran.stderr.contains("no merge without passed gates")
            && !site.bench.path("b.bundle").exists()
    );
}

fn bailiwick_standard() -> &'static str {
    include_str!("../../../bailiwick-policy/policies/standard.cedar")
}

fn repository(bench: &Workbench, name: &str, policy: &str) -> std::path::PathBuf {
    let at = bench.path(name);
    let files = [
        ("README.md".to_owned(), "a shop\n".to_owned()),
        (".bailiwick/policy/shop.toml".to_owned(), policy.to_owned()),
    ];
    git::make_repository(&at, &files);
    at
}

fn import(bench: &Workbench, at: &Path) {
    bench.bailiwick(&["repo", "import", at.to_str().unwrap()]).expect(0);
}

#[test]
fn a_repository_narrows_from_its_protected_branch_and_can_not_widen() {
    let bench = Workbench::new();
    let at = repository(&bench, "shop", "[commands]\ndeny = [\"make\"]\n");
    import(&bench, &at);
    let show = || bench.bailiwick(&["policy", "show", "--json"]).expect(0).json();
    let first = show();
    assert!(
        first["text"].as_str().unwrap().contains("// repository shop: .bailiwick/policy/shop.toml"),
        "{first}"
    );
    assert_eq!(first["alerts"], json!([]));

    // the next version tries to widen: the last good one stays in force
    let widen = "[[permit]]\naction = \"command\"\nroles = [\"implementor\"]\nmatch = [\"terraform apply\"]\nreason = \"r\"\n";
    git::commit(&at, &[(".bailiwick/policy/shop.toml".to_owned(), widen.to_owned())], "Widen");
    import(&bench, &at);
    let second = show();
    assert_eq!(second["digest"], first["digest"], "{second}");
    assert_eq!(second["alerts"][0]["code"], "policy.layer_refused");
    let fault = second["alerts"][0]["faults"][0].as_str().unwrap();
    assert!(fault.starts_with(".bailiwick/policy/shop.toml:1:1"), "{fault}");
    // the next process brings the ledger's files up to date, and says it no second time
    assert_eq!(show()["digest"], first["digest"]);
    assert_eq!(bench.ledger().facts("policy_refused").len(), 1);

    // one that never had a good one is closed to agents
    let at = repository(&bench, "other", "[comands]\n");
    import(&bench, &at);
    let third = show();
    assert!(
        third["text"].as_str().unwrap().contains("// repository other: unusable.cedar"),
        "{third}"
    );
    // and put right by a person, the alert is gone
    git::commit(
        &at,
        &[(".bailiwick/policy/shop.toml".to_owned(), "[commands]\ndeny = [\"make\"]\n".to_owned())],
        "Mend",
    );
    import(&bench, &at);
    let fourth = show();
    assert_eq!(fourth["alerts"].as_array().unwrap().len(), 1, "{fourth}");
    assert!(!fourth["text"].as_str().unwrap().contains("unusable.cedar"));
}
