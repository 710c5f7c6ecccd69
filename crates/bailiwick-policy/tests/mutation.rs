//! Mutation of the shipped bundles: each rule dropped and weakened in turn, in every way that its
//! form allows, and some example has to notice.
//!
//! What counts as noticing: an example of the bundle, a case of `decisions/`, or an example in
//! `mutation/` is decided otherwise than it is written; each of them is a test, so it would be red.
//! Ways to weaken: a `permit` loses a condition or a part of its scope; a `forbid` loses an
//! alternative, an entry of a list, an action; its exception is widened; it becomes a gate; a gate
//! asks another group; a number is one larger or one smaller.

#[cfg(test)]
mod mutation {
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::Mutex;

    use bailiwick_model::action::Action;
    use bailiwick_model::subject::{Context, Subject};
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{
        EXAMPLES, PolicySet, PolicySource, STARTERS, Starter, examples, usual_context,
    };
    use cedar_policy::{Effect, Policy};
    use serde_json::{Value, json};

    /// What is asked of a set, and what it has to say.
    struct Question {
        subject: Subject,
        action: Action,
        context: Context,
    }

    /// A rule that was made weaker.
    struct Mutant {
        rule: String,
        how: String,
        /// None when the rule is dropped.
        policy: Option<Policy>,
    }

    /// As examples compare it.
    fn answer(verdict: Verdict) -> (String, Vec<String>, Vec<String>) {
        match verdict {
            Verdict::Permit { rules } => ("permit".to_owned(), vec![], rules),
            Verdict::Deny(denial) => (denial.code, vec![], denial.rules),
            Verdict::NeedsApproval { groups, rules } => ("ask".to_owned(), groups, rules),
        }
    }

    fn questions(starter: &Starter) -> Vec<Question> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let mut sources =
            vec![PolicySource::new(format!("{}{EXAMPLES}", starter.name), starter.examples)];
        let more = folder.join(format!("mutation/{}{EXAMPLES}", starter.name));
        if more.exists() {
            sources.push(PolicySource::new(more.to_str().unwrap(), read(&more)));
        }
        let set = PolicySet::load(&starter.sources()).unwrap();
        let mut found = Vec::new();
        for source in sources {
            for example in examples(&source).unwrap_or_else(|errors| panic!("{errors}")) {
                // an example that is red already notices nothing
                assert_eq!(example.check(&set), None);
                found.push(Question {
                    subject: example.subject,
                    action: example.action,
                    context: example.context,
                });
            }
        }
        if starter.name == "standard" {
            found.extend(cases(&folder.join("decisions")));
        }
        found
    }

    /// The cases of `decisions/`; that they are decided as written is a test of its own.
    fn cases(folder: &Path) -> Vec<Question> {
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let table: toml::Table = text.parse().unwrap();
            for case in table["case"].as_array().unwrap() {
                let case = serde_json::to_value(case).unwrap();
                let changes = case["context"].as_object().cloned().unwrap_or_default();
                let subject = json!({ "role": case["role"], "on_behalf_of": "ana" });
                found.push(Question {
                    subject: serde_json::from_value(subject).unwrap(),
                    action: serde_json::from_value(case["action"].clone()).unwrap(),
                    context: usual_context("shop", &changes).unwrap(),
                });
            }
        }
        found
    }

    /// Every sub-expression, with whether it being more often true makes the whole more often true.
    fn places(json: &Value, at: &str, rising: bool, found: &mut Vec<(String, bool)>) {
        let Some((name, inner)) = json.as_object().and_then(|fields| fields.iter().next()) else {
            return;
        };
        found.push((at.to_owned(), rising));
        match name.as_str() {
            "&&" | "||" => {
                places(
                    &inner["left"],
                    &format!("{at}/{}/left", name.replace('/', "~1")),
                    rising,
                    found,
                );
                places(
                    &inner["right"],
                    &format!("{at}/{}/right", name.replace('/', "~1")),
                    rising,
                    found,
                );
            }
            "!" => places(&inner["arg"], &format!("{at}/!/arg"), !rising, found),
            _ => {}
        }
    }

    /// Every list of constants that something is compared with, below an expression.
    fn lists(json: &Value, at: &str, found: &mut Vec<String>) {
        match json {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let at = format!("{at}/{name}");
                    if name == "Set" && inner.as_array().is_some_and(|items| !items.is_empty()) {
                        found.push(at);
                    } else {
                        lists(inner, &at, found);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    lists(item, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    fn numbers(json: &Value, at: &str, found: &mut Vec<(String, i64)>) {
        match json {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let at = format!("{at}/{name}");
                    match inner.as_i64() {
                        Some(number) if name == "Value" => found.push((at, number)),
                        _ => numbers(inner, &at, found),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    numbers(item, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }

    /// Every way to weaken a rule that its form allows.
    fn mutants(id: &str, policy: &Policy) -> Vec<Mutant> {
        let json = policy.to_json().unwrap();
        let permit = policy.effect() == Effect::Permit;
        let mut found =
            vec![Mutant { rule: id.to_owned(), how: "dropped".to_owned(), policy: None }];
        let mut add = |how: String, changed: Value| {
            if changed != json
                && let Ok(policy) = Policy::from_json(None, changed)
            {
                found.push(Mutant { rule: id.to_owned(), how, policy: Some(policy) });
            }
        };
        let with = |pointer: &str, value: Value| {
            let mut changed = json.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            changed
        };
        // the scope
        if permit {
            for part in ["principal", "resource"] {
                if json[part]["op"] != "All" {
                    add(
                        format!("`{part}` of any kind"),
                        with(&format!("/{part}"), json!({"op": "All"})),
                    );
                }
            }
        } else if let Some(actions) = json["action"]["entities"].as_array() {
            for at in 0..actions.len() {
                let mut fewer = actions.clone();
                let gone = fewer.remove(at);
                add(format!("not for {}", gone["id"]), with("/action/entities", fewer.into()));
            }
        }
        // the conditions
        for (index, condition) in json["conditions"].as_array().into_iter().flatten().enumerate() {
            let when = condition["kind"] == "when";
            let body = format!("/conditions/{index}/body");
            let mut parts = Vec::new();
            places(&condition["body"], &body, when, &mut parts);
            for (at, rising) in parts {
                // a permit is weakened by applying more often, a forbid by applying less often
                let value = permit == rising;
                let part = json.pointer(&at).unwrap().to_string();
                let short: String = part.chars().take(120).collect();
                add(format!("{value} in place of {short}"), with(&at, json!({"Value": value})));
            }
            let mut sets = Vec::new();
            lists(&condition["body"], &body, &mut sets);
            for at in sets {
                if permit {
                    // fewer rights are no weakening
                    continue;
                }
                let items = json.pointer(&at).unwrap().as_array().unwrap();
                for gone in 0..items.len() {
                    let mut fewer = items.clone();
                    let item = fewer.remove(gone);
                    if !fewer.is_empty() {
                        add(format!("without {item}"), with(&at, fewer.into()));
                    }
                }
            }
            let mut constants = Vec::new();
            numbers(&condition["body"], &body, &mut constants);
            for (at, number) in constants {
                for changed in [number - 1, number + 1] {
                    add(format!("{changed} in place of {number}"), with(&at, changed.into()));
                }
            }
        }
        // what it asks
        let gate = json["annotations"]["gate"].as_str().map(str::to_owned);
        if let Some(group) = &gate {
            let text = json.to_string().replace(&format!("\"{group}\""), "\"somebody-else\"");
            add("another group".to_owned(), serde_json::from_str(&text).unwrap());
        } else if !permit {
            let mut asks = json.clone();
            asks["annotations"]["gate"] = "somebody".into();
            let approved: Policy =
                "forbid(principal, action, resource) unless { context.approvals.contains(\"somebody\") };"
                    .parse()
                    .unwrap();
            let unless = approved.to_json().unwrap()["conditions"][0].clone();
            asks["conditions"].as_array_mut().unwrap().push(unless);
            add("a gate".to_owned(), asks);
        }
        found
    }

    /// The set with one rule changed, of the rules that have a say in these kinds of action.
    fn changed(set: &PolicySet, mutant: &Mutant, kinds: &BTreeSet<&str>) -> Option<PolicySet> {
        let mut texts = Vec::new();
        for (rule, policy) in set.policies() {
            if !about(policy, kinds) {
                continue;
            }
            let policy = if rule.id == mutant.rule { mutant.policy.as_ref() } else { Some(policy) };
            texts.extend(policy.and_then(Policy::to_cedar));
        }
        PolicySet::load(&[PolicySource::new("mutant.cedar", texts.join("\n"))]).ok()
    }

    fn about(policy: &Policy, kinds: &BTreeSet<&str>) -> bool {
        let json = policy.to_json().unwrap();
        let action = &json["action"];
        let named = |entity: &Value| kinds.contains(entity["id"].as_str().unwrap());
        match action["op"].as_str() {
            Some("==") => named(&action["entity"]),
            Some("in") => action["entities"]
                .as_array()
                .map_or_else(|| named(&action["entity"]), |list| list.iter().any(named)),
            _ => true,
        }
    }

    fn kinds(policy: &Policy) -> BTreeSet<&'static str> {
        bailiwick_policy::ACTION_KINDS
            .into_iter()
            .filter(|kind| about(policy, &BTreeSet::from([*kind])))
            .collect()
    }

    /// Mutants that change no decision at all, each with why.
    fn harmless() -> Vec<(String, String)> {
        let text = include_str!("mutation/harmless.toml");
        let table: toml::Table = text.parse().unwrap();
        table["harmless"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let word = |key: &str| one[key].as_str().unwrap().to_owned();
                assert!(!word("why").is_empty());
                (word("rule"), word("how"))
            })
            .collect()
    }

    #[test]
    fn every_weakening_of_every_shipped_rule_is_noticed() {
        let harmless = harmless();
        let mut used = BTreeSet::new();
        let mut survivors = Vec::new();
        for starter in STARTERS {
            let set = PolicySet::load(&starter.sources()).unwrap();
            let questions = questions(&starter);
            let verdicts: Vec<_> = questions
                .iter()
                .map(|one| answer(set.decide(&one.subject, &one.action, &one.context)))
                .collect();
            // what `strict` and `open-source` include is mutated once, in `standard`
            let own: Vec<(String, Policy)> = set
                .policies()
                .filter(|(rule, _)| {
                    starter.name == "standard" || rule.id.starts_with(&format!("{}.", starter.name))
                })
                .map(|(rule, policy)| (rule.id.clone(), policy.clone()))
                .collect();
            assert!(own.len() >= 5, "{}", starter.name);
            let todo: Mutex<Vec<Mutant>> =
                Mutex::new(own.iter().flat_map(|(id, policy)| mutants(id, policy)).collect());
            let total = todo.lock().unwrap().len();
            let left: Mutex<Vec<(String, String)>> = Mutex::default();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        loop {
                            let Some(mutant) = todo.lock().unwrap().pop() else { return };
                            let original =
                                &own.iter().find(|(id, _)| *id == mutant.rule).unwrap().1;
                            let kinds = kinds(original);
                            // one that is no valid policy is refused when it is read
                            let Some(weak) = changed(&set, &mutant, &kinds) else { continue };
                            let noticed = questions.iter().zip(&verdicts).any(|(one, verdict)| {
                                kinds.contains(one.action.kind())
                                    && answer(weak.decide(&one.subject, &one.action, &one.context))
                                        != *verdict
                            });
                            if !noticed {
                                left.lock().unwrap().push((mutant.rule, mutant.how));
                            }
                        }
                    });
                }
            });
            let left = left.into_inner().unwrap();
            let noticed = total - left.len();
            let line = format!("{}: {noticed} of {total} weakenings noticed\n", starter.name);
            // past the capture of test output: the figures are shown in every run
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            for one in left {
                if harmless.contains(&one) {
                    used.insert(one);
                } else {
                    survivors.push(format!("{}: {}", one.0, one.1));
                }
            }
        }
        survivors.sort();
        assert!(survivors.is_empty(), "not noticed:\n{}", survivors.join("\n"));
        let stale: Vec<_> = harmless.iter().filter(|one| !used.contains(*one)).collect();
        assert!(stale.is_empty(), "listed as harmless, and noticed: {stale:?}");
    }

    /// The control: without what a bundle includes, its examples notice.
    #[test]
    fn a_bundle_without_what_it_includes_is_noticed() {
        for starter in STARTERS.into_iter().filter(|one| one.name != "standard") {
            let own: Vec<PolicySource> = starter
                .sources()
                .into_iter()
                .filter(|source| source.name != "standard.cedar")
                .collect();
            let set = PolicySet::load(&own).unwrap();
            let source = PolicySource::new(format!("{}{EXAMPLES}", starter.name), starter.examples);
            let red = examples(&source).unwrap().iter().filter_map(|one| one.check(&set)).count();
            assert!(red > 0, "{}", starter.name);
        }
    }
}
