//! Claims about policies, by the solver that the test command installs, and without it: what a
//! solver that is missing, hangs, dies or talks nonsense leaves open stays open.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::harness::Workbench;

/// Holds in `standard` because 25 is less than 30: only arithmetic shows it.
const ARITHMETIC: &str = r#"permit(principal is Agent, action == Action::"command", resource) when { context.denials > 30 };"#;
/// Does not hold in `standard`.
const WRONG: &str = r#"permit(principal in Role::"verifier", action == Action::"file_read", resource) when { resource.path like "src/*" };"#;

/// A Python with the solver; `cargo xtask test` installs it.
fn solver() -> Option<String> {
    let found = std::env::var("BAILIWICK_SOLVER").ok();
    if found.is_none() {
        let line = "SKIPPED: proofs by a solver: `cargo xtask test` installs it\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        if let Some(log) = std::env::var_os("BAILIWICK_SKIP_LOG") {
            let mut log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
            log.write_all(line.as_bytes()).unwrap();
        }
    }
    found
}

fn prove(bench: &Workbench, policy: &str, solver: &str, more: &[&str]) -> (Option<i32>, Value) {
    let common = ["policy", "prove", "--policy", policy, "--solver", solver, "--json"];
    let ran = bench.bailiwick(&[&common[..], more].concat());
    let code = ran.code;
    (code, serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr)))
}

fn states(report: &Value) -> Vec<(String, String)> {
    report["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let word = |key: &str| one[key].as_str().unwrap().to_owned();
            (word("state"), word("by"))
        })
        .collect()
}

#[test]
fn the_shipped_invariants_are_proved_of_every_starter_by_the_solver() {
    let Some(solver) = solver() else { return };
    let bench = Workbench::new();
    for starter in ["standard", "strict", "open-source"] {
        let (code, report) = prove(&bench, starter, &solver, &[]);
        assert_eq!((code, &report["trouble"]), (Some(0), &Value::Null), "{report}");
        let states = states(&report);
        assert!(states.len() >= 12);
        for (state, by) in states {
            assert!(state == "proved" && by.starts_with("cvc5 1."), "{starter}: {report}");
        }
    }
}

#[test]
fn without_a_solver_the_sound_fallback_proves_them_and_says_so() {
    let bench = Workbench::new();
    for starter in ["standard", "strict", "open-source"] {
        let (code, report) = prove(&bench, starter, "off", &[]);
        assert_eq!((code, &report["solver"]), (Some(0), &Value::Null), "{report}");
        for (state, by) in states(&report) {
            assert!(state == "proved" && by == "propositional reasoning", "{starter}: {report}");
        }
    }
    // what it can't see it does not claim, true or not
    for claim in [ARITHMETIC, WRONG] {
        let (code, report) = prove(&bench, "standard", "off", &["--never", claim]);
        assert_eq!((code, &report["claims"][0]["state"]), (Some(1), &"not_proved".into()));
    }
}

#[test]
fn the_solver_proves_what_reasoning_by_form_can_not_and_refutes_with_an_example() {
    let Some(solver) = solver() else { return };
    let bench = Workbench::new();
    let (code, report) = prove(&bench, "standard", &solver, &["--never", ARITHMETIC]);
    assert_eq!((code, &report["claims"][0]["state"]), (Some(0), &"proved".into()), "{report}");
    let (code, report) = prove(&bench, "standard", &solver, &["--never", WRONG]);
    assert_eq!((code, &report["claims"][0]["state"]), (Some(1), &"broken".into()), "{report}");
    let example = report["claims"][0]["detail"].as_str().unwrap();
    assert!(example.contains("`agents-read-files`") && example.contains("file_read"), "{example}");

    // each named invariant is lost with the rules that keep it, and the solver says so
    let text = include_str!("../../../bailiwick-policy/policies/standard.cedar");
    bench.write(
        "weak/weak.cedar",
        &text.replace("unless { context.gates_passed }", "unless { context.verified }"),
    );
    let (code, report) = prove(&bench, "weak", &solver, &["no merge without passed gates"]);
    assert_eq!((code, &report["claims"][0]["state"]), (Some(1), &"broken".into()), "{report}");
    let example = report["claims"][0]["detail"].as_str().unwrap();
    assert!(example.contains("\"gates_passed\":false"), "{example}");
}

#[test]
fn a_lower_layer_whose_rights_take_a_solver_is_taken_with_it_and_refused_without() {
    let Some(solver) = solver() else { return };
    let bench = Workbench::new();
    // 10 refusals are fewer than 25
    let right = |denials: u32| {
        format!(
            "@id(\"few\") @reason(\"r\")\npermit(principal in Role::\"implementor\", action == Action::\"file_write\", resource)\n\
             when {{ context.scope_ok && !context.protected_path && context.denials < {denials} }};\n"
        )
    };
    let check = |denials: u32, solver: &str| {
        bench.write("team.cedar", &right(denials));
        let config = format!(
            "[policy]\nsolver = \"{solver}\"\n[[policy.team]]\nname = \"web\"\nrepositories = [\"shop\"]\nfiles = [\"team.cedar\"]\n"
        );
        bench.write("site.toml", &config);
        let ran = bench.bailiwick(&["config", "check", "--config", "site.toml"]);
        if ran.code == Some(0) { "accepted".to_owned() } else { ran.error_code() }
    };
    assert_eq!(check(10, &solver), "accepted");
    assert_eq!(check(10, "off"), "policy.layer_refused");
    // one that widens is refused by both
    assert_eq!(check(26, &solver), "policy.layer_refused");
    // and a server that starts on it has it in force
    check(10, &solver);
    let shown =
        bench.bailiwick(&["policy", "show", "--json", "--config", "site.toml"]).expect(0).json();
    assert_eq!(shown["alerts"], serde_json::json!([]), "{shown}");
    assert!(shown["text"].as_str().unwrap().contains("context.denials < 10"), "{shown}");
}

#[test]
fn a_rule_that_only_a_solver_proves_never_to_fail_is_published_with_it() {
    let Some(solver) = solver() else { return };
    let bench = Workbench::new();
    bench.bailiwick(&["policy", "key", "policy.key"]).expect(0);
    let publish = |condition: &str, solver: &str| {
        let rule = format!(
            "@id(\"x\") @reason(\"r\") @hint(\"h\")\nforbid(principal, action == Action::\"model_call\", resource) when {{ {condition} }};\n"
        );
        bench.write("policy/acme.toml", "include = [\"standard\"]\n");
        bench.write("policy/more.cedar", &rule);
        let common = ["policy", "publish", "policy", "--key", "policy.key", "--out", "a.bundle"];
        let ran = bench.bailiwick(&[&common[..], &["--solver", solver]].concat());
        if ran.code == Some(0) { ran.stdout.clone() } else { ran.error_code() }
    };
    let bounded = "context.estimate < 1000 && context.estimate > -1000 && context.estimate + 1 > 7";
    let published = publish(bounded, &solver);
    assert!(published.contains("invariants proved (cvc5 1."), "{published}");
    assert_eq!(publish(bounded, "off"), "policy.bundle_may_fail");
    assert_eq!(publish("context.estimate + 1 > 7", &solver), "policy.bundle_may_fail");
}

/// A program that answers as cvc5 does until it has been tried out, and then as it is told.
fn impostor(bench: &Workbench, name: &str, after: &str) -> String {
    let script = format!(
        "#!/bin/sh\nread a; read b; echo '(:name \"cvc5\")'; echo '(:version \"9.9\")'\n\
         read logic; read first; echo sat; read false; read second; echo unsat\n{after}\n"
    );
    executable(bench, name, &script)
}

fn executable(bench: &Workbench, name: &str, script: &str) -> String {
    let path = bench.write(name, script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_solver_that_fails_proves_nothing() {
    let bench = Workbench::new();
    bench.write("bailiwick.toml", "[policy]\nsolver_seconds = 3\n");
    let solvers = [
        ("missing", "/nowhere/cvc5".to_owned()),
        ("no solver", "/bin/true".to_owned()),
        ("silent", executable(&bench, "silent", "#!/bin/sh\nexec sleep 100\n")),
        (
            "another",
            executable(&bench, "another", "#!/bin/sh\necho '(:name \"Z3\")'\nexec sleep 100\n"),
        ),
        (
            "says unsat to everything",
            executable(
                &bench,
                "unsat",
                "#!/bin/sh\nread a; read b; echo '(:name \"cvc5\")'; echo '(:version \"9\")'\nwhile read l; do case $l in *check-sat*) echo unsat;; esac; done\n",
            ),
        ),
        ("dies", impostor(&bench, "dies", "exit 1")),
        ("hangs", impostor(&bench, "hangs", "exec sleep 100")),
        (
            "talks nonsense",
            impostor(
                &bench,
                "nonsense",
                "while read l; do case $l in *check-sat*) echo maybe;; esac; done",
            ),
        ),
        ("floods", impostor(&bench, "floods", "yes sat | tr -d '\\n'")),
        (
            "does not know",
            impostor(
                &bench,
                "unknown",
                "while read l; do case $l in *check-sat*) echo unknown;; esac; done",
            ),
        ),
        (
            "says sat with no model",
            impostor(
                &bench,
                "sat",
                "while read l; do case $l in *check-sat*) echo sat;; *get-model*) echo '('; echo ')';; esac; done",
            ),
        ),
    ];
    for (name, solver) in solvers {
        let (code, report) = prove(&bench, "standard", &solver, &["--never", WRONG]);
        assert_eq!(
            (code, &report["claims"][0]["state"]),
            (Some(1), &"not_proved".into()),
            "{name}: {report}"
        );
        // and what needs no solver is proved all the same, by what says so; or left open
        let invariant = "no merge without passed gates";
        let (_, report) = prove(&bench, "standard", &solver, &[invariant]);
        let claim = &report["claims"][0];
        if claim["state"] == "proved" {
            assert_eq!(claim["by"], "propositional reasoning", "{name}: {report}");
        } else {
            assert_eq!((name, &claim["state"]), ("says sat with no model", &"not_proved".into()));
        }
    }
}

#[test]
fn the_doctor_says_whether_there_is_a_solver_and_how_to_get_one() {
    let bench = Workbench::new();
    let about = |config: &str| {
        bench.write("bailiwick.toml", config);
        let report: Value = bench.bailiwick(&["doctor", "--json"]).json();
        report
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["area"] == "policy" && finding["name"] == "solver")
            .unwrap()
            .clone()
    };
    let missing = about("[policy]\nsolver = \"/nowhere/cvc5\"\n");
    assert_eq!((&missing["ok"], &missing["needed"]), (&false.into(), &false.into()));
    assert!(missing["how_to_get"].as_str().unwrap().contains("cvc5==1.3.1"), "{missing}");
    let Some(solver) = solver() else { return };
    let found = about(&format!("[policy]\nsolver = \"{solver}\"\n"));
    assert_eq!(found["ok"], true, "{found}");
    assert!(found["detail"].as_str().unwrap().starts_with("cvc5 1.3.1"), "{found}");
}
