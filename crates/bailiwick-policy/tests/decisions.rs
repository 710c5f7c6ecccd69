//! What the standard policy decides, case by case (`decisions/*.toml`: adding a case adds a test),
//! and that every rule of it matters.

#[cfg(test)]
mod harness {
    use std::fs;
    use std::path::Path;

    use bailiwick_model::action::Action;
    use bailiwick_model::subject::{Context, Subject};
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{PolicySet, PolicySource, STANDARD_TEXT};
    use serde_json::{Value, json};

    pub(crate) struct Case {
        pub(crate) name: String,
        pub(crate) kind: String,
        pub(crate) subject: Subject,
        pub(crate) action: Action,
        pub(crate) context: Context,
        pub(crate) expected: Expected,
    }

    #[derive(Debug, PartialEq, Eq)]
    pub(crate) enum Expected {
        Permit(Vec<String>),
        Deny(String, Vec<String>),
        Ask(Vec<String>, Vec<String>),
    }

    pub(crate) fn summary(verdict: Verdict) -> Expected {
        match verdict {
            Verdict::Permit { rules } => Expected::Permit(rules),
            Verdict::Deny(denial) => Expected::Deny(denial.code, denial.rules),
            Verdict::NeedsApproval { groups, rules } => Expected::Ask(groups, rules),
        }
    }

    fn strings(value: &Value) -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| item.as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions");
        let mut files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let kind = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let table: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
            for case in table["case"].as_array().unwrap() {
                let case = serde_json::to_value(case).unwrap();
                let mut context = json!({
                    "repo": "shop", "protected_branch": "main", "taint": [], "scope": ["src/**"], "budget_left": 1_000_000,
                    "denials": 0, "single_user": false, "approvals": [], "facts": {},
                });
                for (key, value) in
                    case.get("context").and_then(Value::as_object).into_iter().flatten()
                {
                    assert!(context.get(key).is_some(), "unknown key {key}");
                    context[key] = value.clone();
                }
                let expected = match (case.get("permit"), case.get("deny"), case.get("ask")) {
                    (Some(rules), None, None) => Expected::Permit(strings(rules)),
                    (None, Some(code), None) => {
                        Expected::Deny(code.as_str().unwrap().to_owned(), strings(&case["rules"]))
                    }
                    (None, None, Some(groups)) => {
                        Expected::Ask(strings(groups), strings(&case["rules"]))
                    }
                    _ => panic!("{}: one of permit, deny, ask", case["name"]),
                };
                let action: Action = serde_json::from_value(case["action"].clone()).unwrap();
                assert_eq!(action.kind(), kind);
                cases.push(Case {
                    name: format!("{kind}: {}", case["name"].as_str().unwrap()),
                    kind: kind.clone(),
                    subject: serde_json::from_value(
                        json!({ "role": case["role"], "on_behalf_of": "ana" }),
                    )
                    .unwrap(),
                    action,
                    context: serde_json::from_value(context).unwrap(),
                    expected,
                });
            }
        }
        cases
    }

    impl Case {
        pub(crate) fn judge(&self, set: &PolicySet) -> Verdict {
            set.decide(&self.subject, &self.action, &self.context)
        }
    }

    pub(crate) fn load(text: &str) -> PolicySet {
        PolicySet::load(&[PolicySource { name: "test.cedar".to_owned(), text: text.to_owned() }])
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The standard policy without these rules.
    pub(crate) fn without(ids: &[String]) -> PolicySet {
        let all: cedar_policy::PolicySet = STANDARD_TEXT.parse().unwrap();
        let kept: Vec<String> = all
            .policies()
            .filter(|policy| !ids.iter().any(|id| policy.annotation("id") == Some(id)))
            .map(ToString::to_string)
            .collect();
        assert_eq!(kept.len() + ids.len(), all.policies().count());
        load(&kept.join("\n"))
    }
}

#[cfg(test)]
mod standard {
    use std::collections::{BTreeMap, BTreeSet};

    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{ACTION_KINDS, CODES, PolicySet, PolicySource};

    use crate::harness::{Expected, cases, summary, without};

    #[test]
    fn every_case_is_decided_as_written() {
        let set = PolicySet::standard().unwrap();
        let wrong: Vec<String> = cases()
            .iter()
            .filter_map(|case| {
                let verdict = case.judge(&set);
                (summary(verdict.clone()) != case.expected)
                    .then(|| format!("{}: {verdict:?}, expected {:?}", case.name, case.expected))
            })
            .collect();
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn every_kind_has_a_denied_case_and_a_permitted_one() {
        for kind in ACTION_KINDS {
            let cases = cases();
            let of_kind = || cases.iter().filter(|case| case.kind == kind);
            assert!(of_kind().any(|case| matches!(case.expected, Expected::Deny(..))), "{kind}");
            assert!(of_kind().any(|case| matches!(case.expected, Expected::Permit(_))), "{kind}");
        }
    }

    /// The control: what is permitted is permitted by its rules, and by nothing else.
    #[test]
    fn without_its_rule_nothing_is_permitted() {
        let mut sets: BTreeMap<Vec<String>, PolicySet> = BTreeMap::new();
        for case in cases() {
            if let Expected::Permit(rules) = &case.expected {
                let set = sets.entry(rules.clone()).or_insert_with(|| without(rules));
                let verdict = case.judge(set);
                let Verdict::Deny(denial) = verdict else { panic!("{}: {verdict:?}", case.name) };
                assert_eq!(denial.code, "policy.no_rule_permits", "{}", case.name);
            }
        }
    }

    /// The other control: what no rule permits is permitted once the rule that the hint has is there.
    #[test]
    fn the_rule_in_the_hint_permits_exactly_that() {
        let set = PolicySet::standard().unwrap();
        let mut seen = BTreeSet::new();
        for case in cases() {
            let Verdict::Deny(denial) = case.judge(&set) else { continue };
            if denial.code != "policy.no_rule_permits" {
                continue;
            }
            let at = denial.hint.find("@id(").unwrap();
            let source = PolicySource {
                name: "added.cedar".to_owned(),
                text: denial.hint.split_at(at).1.to_owned(),
            };
            let with = PolicySet::load(&[PolicySet::standard_source(), source])
                .unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let verdict = case.judge(&with);
            assert!(
                matches!(&verdict, Verdict::Permit { rules } if rules.len() == 1)
                    || matches!(verdict, Verdict::NeedsApproval { .. }),
                "{}: {verdict:?}",
                case.name
            );
            seen.insert(case.kind.clone());
        }
        assert!(seen.len() >= 11, "{seen:?}");
    }

    /// Mutation: a rule whose loss no case notices is dead, or not tested.
    #[test]
    fn every_rule_matters() {
        let set = PolicySet::standard().unwrap();
        let cases = cases();
        let idle: Vec<&str> = set
            .rules()
            .filter(|rule| {
                let fewer = without(std::slice::from_ref(&rule.id));
                cases.iter().all(|case| {
                    let now = case.judge(&fewer);
                    std::mem::discriminant(&now) == std::mem::discriminant(&case.judge(&set))
                })
            })
            .map(|rule| rule.id.as_str())
            .collect();
        assert!(idle.is_empty(), "{idle:?}");
    }

    #[test]
    fn a_denial_has_a_known_code_a_reason_and_a_hint() {
        let set = PolicySet::standard().unwrap();
        for case in cases() {
            if let Verdict::Deny(denial) = case.judge(&set) {
                assert!(CODES.iter().any(|(code, _)| *code == denial.code), "{}", denial.code);
                assert!(
                    denial.reason.contains(case.action.kind()) && !denial.hint.is_empty(),
                    "{denial:?}"
                );
            }
        }
    }

    #[test]
    fn the_digest_changes_with_any_text_and_with_names() {
        let source =
            |name: &str, text: &str| PolicySource { name: name.to_owned(), text: text.to_owned() };
        let rule = "@id(\"a\") @reason(\"r\") permit(principal, action, resource);";
        let digest = |sources: &[PolicySource]| PolicySet::load(sources).unwrap().digest();
        let one = digest(&[source("a", rule)]);
        assert_eq!(one, digest(&[source("a", rule)]));
        for other in [
            vec![source("b", rule)],
            vec![source("a", &format!("{rule} "))],
            vec![source("a", rule), source("b", "")],
            vec![source("a", ""), source("b", rule)],
        ] {
            assert_ne!(one, digest(&other), "{other:?}");
        }
    }
}

#[cfg(test)]
mod fail_closed {
    use std::sync::LazyLock;

    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;
    use cedar_policy::{Authorizer, Context, Decision, Entities, Request};
    use proptest::prelude::*;

    use crate::harness::{cases, load};

    static SET: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::standard().unwrap());

    /// Strict validation cannot rule out overflow: this `forbid` fails when it is evaluated.
    const ERRING: &str = r#"
        @id("all") @reason("everything") permit(principal, action, resource);
        @id("sum") @reason("limit") @hint("less") forbid(principal, action == Action::"model_call", resource)
        when { context.estimate + 9223372036854775807 > context.budget_left };
    "#;

    #[test]
    fn cedar_alone_skips_a_forbid_that_fails() {
        let policies: cedar_policy::PolicySet = ERRING.parse().unwrap();
        let context =
            Context::from_json_value(serde_json::json!({ "estimate": 10, "budget_left": 0 }), None)
                .unwrap();
        let request = Request::new(
            r#"Agent::"a""#.parse().unwrap(),
            r#"Action::"model_call""#.parse().unwrap(),
            r#"Model::"m""#.parse().unwrap(),
            context,
            None,
        )
        .unwrap();
        let response = Authorizer::new().is_authorized(&request, &policies, &Entities::empty());
        assert_eq!(response.decision(), Decision::Allow);
        assert_eq!(response.diagnostics().errors().count(), 1);
    }

    #[test]
    fn an_evaluation_error_is_a_denial() {
        let set = load(ERRING);
        let case = cases().into_iter().find(|case| case.kind == "model_call").unwrap();
        let Verdict::Deny(denial) = case.judge(&set) else { panic!() };
        assert_eq!(
            (denial.code.as_str(), denial.rules),
            ("policy.evaluation_error", vec!["sum".to_owned()])
        );
        // the control: the same rule without the failing part lets it pass
        let sound = load(&ERRING.replace("+ 9223372036854775807 ", ""));
        assert!(matches!(case.judge(&sound), Verdict::Permit { .. }));
        // and it is confined to the kind it is about
        let other = cases().into_iter().find(|case| case.kind == "file_read").unwrap();
        assert!(matches!(other.judge(&set), Verdict::Permit { .. }));
    }

    #[test]
    fn a_hard_rule_beside_a_gate_leaves_no_question_and_two_gates_ask_both() {
        let case = cases().into_iter().find(|case| case.kind == "file_read").unwrap();
        let permit = r#"@id("p") @reason("r") permit(principal, action, resource);"#;
        let gate = |id: &str, group: &str| {
            format!(
                r#"@id("{id}") @gate("{group}") @reason("r") @hint("h") forbid(principal, action, resource) unless {{ context.approvals.contains("{group}") }};"#
            )
        };
        let hard = r#"@id("h") @reason("r") @hint("h") forbid(principal, action, resource);"#;
        let judge = |parts: &[&str]| case.judge(&load(&parts.join("\n")));
        let (a, b) = (gate("a", "ops"), gate("b", "legal"));
        assert_eq!(
            judge(&[permit, &a, &b]),
            Verdict::NeedsApproval {
                groups: vec!["legal".to_owned(), "ops".to_owned()],
                rules: vec!["a".to_owned(), "b".to_owned()]
            }
        );
        assert!(
            matches!(judge(&[permit, &a, hard]), Verdict::Deny(denial) if denial.code == "policy.forbidden")
        );
        assert!(
            matches!(judge(&[&a]), Verdict::Deny(denial) if denial.code == "policy.no_rule_permits")
        );
        assert!(matches!(judge(&[permit]), Verdict::Permit { .. }));
        assert!(
            matches!(judge(&[]), Verdict::Deny(denial) if denial.code == "policy.no_rule_permits")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn every_action_gets_an_answer(text in ".{0,80}", glob in ".{0,20}", number in any::<u64>(), at in 0..200usize) {
            let mut cases = cases();
            let mut case = cases.swap_remove(at % cases.len());
            case.context.scope = vec![glob];
            case.context.budget_left = bailiwick_model::task::MicroUsd(number);
            let mut json = serde_json::to_value(&case.action).unwrap();
            for key in ["tool", "name", "purpose", "provider", "model", "source", "title", "tier", "agent", "path"] {
                if json.get(key).is_some() && json["kind"] != "command" {
                    json[key] = text.clone().into();
                }
            }
            if json.get("argv").is_some() {
                json["argv"] = serde_json::json!(["/bin/sh", "-c", text]);
            }
            if let Ok(action) = serde_json::from_value(json) {
                case.action = action;
                prop_assert_eq!(case.judge(&SET), case.judge(&SET));
            }
        }
    }
}
