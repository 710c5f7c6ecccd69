//! `bailiwick demo`, and what a verifier says of its ledger once a byte of it is another.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Seed, Workbench, git, walk};

const STAGES: [&str; 7] =
    ["intake", "orchestration", "execution", "review", "pull_request", "human_review", "merge"];

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_demonstration_merges_a_real_mend_and_says_all_it_promises() {
    let bench = Workbench::new();
    let ran = bench.bailiwick(&["demo", "--yes", "--json"]);
    let outcome = ran.expect(0).json();

    let stages = outcome["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, STAGES);
    for stage in stages {
        assert_eq!(stage["state"], "done", "{stage}");
        assert!(stage["ms"].is_u64(), "{stage}");
    }
    let pull = &outcome["pull_request"];
    assert_eq!((&pull["number"], &pull["state"]), (&json!(1), &json!("merged")), "{pull}");
    assert!(pull["risk"].is_u64(), "{pull}");
    let gates = outcome["gates"].as_array().unwrap();
    let named: BTreeSet<&str> = gates.iter().map(|gate| gate["gate"].as_str().unwrap()).collect();
    assert!(named.contains("tests") && named.contains("secrets"), "{gates:?}");
    assert!(gates.iter().all(|gate| gate["state"] == "pass"), "{gates:?}");
    assert_eq!(outcome["model"], "scripted");
    assert_eq!(
        (&outcome["simulated_approver"], &outcome["single_user"]),
        (&json!(true), &json!(false))
    );

    let refused = outcome["refused"].as_array().unwrap();
    let planted = refused
        .iter()
        .find(|refusal| refusal["summary"].as_str().unwrap().contains("deploy/release.key"));
    let planted =
        planted.unwrap_or_else(|| panic!("the planted command was not refused: {refused:?}"));
    assert_eq!(planted["code"], "policy.forbidden");
    assert_eq!(planted["rules"], json!(["agents-no-network"]));
    assert!(!planted["hint"].as_str().unwrap().is_empty());

    assert!(keys(&outcome["ledger"]).is_superset(&["entries", "root", "verified", "dir"].into()));
    assert_eq!(outcome["ledger"]["verified"], true);
    assert_eq!(outcome["ledger"]["dir"], bench.data().join("ledger").to_str().unwrap());

    // From here on nothing is believed that was printed.
    let ledger = bench.verified_ledger();
    ledger.assert_every_action_is_closed();
    assert_eq!(outcome["ledger"]["entries"], ledger.entries.len());
    let entry = usize::try_from(planted["entry"].as_u64().unwrap()).unwrap();
    let denied = &ledger.entries[entry]["event"];
    assert_eq!(
        (&denied["event"], &denied["decision"]["verdict"]),
        (&json!("decided"), &json!("deny")),
        "{denied}"
    );
    assert!(
        !ledger.events().any(|event| event["event"] == "finished" && event["id"] == denied["id"])
    );

    let bare = bench.bare("stopwatch");
    let commit = pull["commit"].as_str().unwrap();
    assert_eq!(git::git(&bare, &["rev-parse", "main"]), commit);
    assert_eq!(ledger.facts("merged")[0]["commit"], commit);
    let parents = git::parents(&bare, commit);
    assert_eq!(git::signer(&bare, commit), git::signer(&bare, &parents[1]));

    let (before, after) = (bench.path("before"), bench.path("after"));
    git::check_out(&bare, &parents[0], &before);
    git::check_out(&bare, commit, &after);
    let (passed, text) = git::cargo_test(&before, &[]);
    assert!(!passed && text.contains("several_units_add_up"), "it did not fail before: {text}");
    let (passed, text) = git::cargo_test(&after, &[]);
    assert!(passed, "{text}");
    // The mend is in the code: the tests are the ones that failed.
    assert_eq!(git::git(&bare, &["diff", "--name-only", &parents[0], commit]), "src/lib.rs");
}

#[test]
fn a_ledger_with_one_byte_changed_does_not_verify_and_the_file_is_named() {
    let bench = Workbench::new();
    bench.bailiwick(&["demo", "--yes", "--json"]).expect(0);
    let key = bench.key();
    let dir = bench.data().join("ledger");
    let verify =
        || bench.bailiwick(&["ledger", "verify", dir.to_str().unwrap(), "--key", &key, "--json"]);
    assert_eq!(verify().expect(0).json()["trusted"], "key");
    // Without a key from outside it says how little that shows; with another key it fails.
    let alone = bench.bailiwick(&["ledger", "verify", dir.to_str().unwrap()]);
    assert!(alone.expect(0).stdout.contains("self-consistent only"), "{}", alone.stdout);
    let other = Workbench::new();
    other.bailiwick(&["repo", "list"]).expect(0);
    let foreign = other.key();
    let ran = bench.bailiwick(&["ledger", "verify", dir.to_str().unwrap(), "--key", &foreign]);
    ran.expect(1);

    let mut seed = Seed::new();
    let files = walk(&dir);
    assert!(files.len() >= 6, "{files:?}");
    for file in &files {
        let name = file.strip_prefix(&dir).unwrap().to_str().unwrap();
        let good = std::fs::read(file).unwrap();
        let mut offsets = vec![0, good.len() - 1];
        offsets.extend((0..4).map(|_| seed.below(good.len())));
        for offset in offsets {
            let mask = u8::try_from(seed.number(1, 256)).unwrap();
            let mut bad = good.clone();
            bad[offset] ^= mask;
            std::fs::write(file, &bad).unwrap();
            let ran = verify();
            let place = format!("{name}, offset {offset}, mask {mask:#04x}");
            assert_eq!(ran.code, Some(1), "{place}: {ran:?}");
            let report = ran.json();
            assert_eq!(report["verified"], false, "{place}");
            let problems = report["problems"].as_array().unwrap();
            let named: Vec<&Value> =
                problems.iter().filter(|problem| problem["file"] == name).collect();
            assert!(!named.is_empty(), "{place} is not named: {report}");
            if name.starts_with("events/")
                || name.starts_with("blobs/")
                || name.starts_with("tile/")
            {
                assert!(
                    named.iter().any(|problem| problem["entry"].is_u64()),
                    "{place}: no entry: {report}"
                );
            }
        }
        std::fs::write(file, &good).unwrap();
    }
    // The control: it was the bytes.
    verify().expect(0);
}

#[test]
fn the_entry_that_is_named_is_the_one_that_was_changed() {
    let bench = Workbench::new();
    // A run that stops at the open pull request has a ledger as well.
    bench.bailiwick(&["demo", "--json"]).expect(3);
    let key = bench.key();
    let dir = bench.data().join("ledger");
    let file = dir.join("events/000.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    let mut seed = Seed::new();
    for _ in 0..5 {
        let lines: Vec<&str> = good.split_inclusive('\n').collect();
        let index = seed.below(lines.len());
        let offset = seed.below(lines[index].len() - 1);
        let start: usize = lines[..index].iter().map(|line| line.len()).sum();
        let mut bad = good.clone().into_bytes();
        // Another printable byte, so that the line stays a line.
        bad[start + offset] = if bad[start + offset] == b'7' { b'8' } else { b'7' };
        std::fs::write(&file, bad).unwrap();
        let ran = bench.bailiwick(&["ledger", "verify", dir.to_str().unwrap(), "--key", &key]);
        assert_eq!(ran.code, Some(1), "entry {index}: {ran:?}");
        assert!(
            ran.stdout.contains("events/000.jsonl")
                && ran.stdout.contains(&format!("entry {index}")),
            "entry {index} is not named:\n{}",
            ran.stdout
        );
    }
}
