//! The index leaves out only what could not apply: its decision is Cedar's.

#[cfg(test)]
mod index {
    use bailiwick_model::subject::Subject;
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{ACTION_KINDS, PolicySet, PolicySource, parse_action, usual_context};
    use cedar_policy::{
        Authorizer, Context, Decision, Entities, Entity, Request, RestrictedExpression,
    };
    use proptest::prelude::*;
    use serde_json::json;

    fn scope() -> impl Strategy<Value = String> {
        let principal = prop_oneof![
            Just("principal".to_owned()),
            Just("principal is Agent".to_owned()),
            Just("principal is Human".to_owned()),
            Just("principal in Role::\"implementor\"".to_owned()),
            Just("principal in Role::\"human\"".to_owned()),
            Just("principal == Agent::\"implementor\"".to_owned()),
            Just("principal is Agent in Role::\"verifier\"".to_owned()),
        ];
        let action = prop_oneof![
            Just("action".to_owned()),
            prop::sample::select(ACTION_KINDS.to_vec())
                .prop_map(|kind| format!("action == Action::\"{kind}\"")),
            prop::sample::subsequence(ACTION_KINDS.to_vec(), 1..4).prop_map(|kinds| {
                let list: Vec<String> =
                    kinds.iter().map(|kind| format!("Action::\"{kind}\"")).collect();
                format!("action in [{}]", list.join(", "))
            }),
        ];
        let resource = prop_oneof![
            3 => Just("resource".to_owned()),
            1 => Just("resource is File".to_owned()),
            1 => Just("resource == File::\"src/a\"".to_owned()),
            1 => Just("resource == File::\"src/b\"".to_owned()),
            1 => Just("resource in File::\"src/a\"".to_owned()),
            1 => Just("resource in Repository::\"shop\"".to_owned()),
            1 => Just("resource in Repository::\"other\"".to_owned()),
            1 => Just("resource is File in Repository::\"shop\"".to_owned()),
            1 => Just("resource == Tool::\"finish\"".to_owned()),
        ];
        (principal, action, resource).prop_map(|(p, a, r)| format!("({p}, {a}, {r})"))
    }

    fn policy() -> impl Strategy<Value = String> {
        let condition = prop_oneof![
            3 => Just(""),
            1 => Just(" when { context.denials > 3 }"),
            1 => Just(" unless { context.denials > 3 }"),
            // sets that are long enough to be taken out of the policy
            1 => Just(" when { [0, 2, 4, 6].contains(context.denials) }"),
            1 => Just(" unless { [1, 2, 3, 5, 7].contains(context.denials) || [8, 9, 10, 11].contains(context.denials + 1) }"),
            // fails for a large number: an error is a decision too
            1 => Just(" when { context.denials + 9223372036854775800 > 3 }"),
        ];
        (any::<bool>(), scope(), condition).prop_map(|(permit, scope, condition)| {
            format!("{}{scope}{condition};", if permit { "permit" } else { "forbid" })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn the_decision_is_cedar_s(texts in prop::collection::vec(policy(), 1..12), denials in prop_oneof![Just(0u32), Just(9)], path in prop_oneof![Just("src/a"), Just("src/b"), Just("c")]) {
            // a policy that fits no kind of action is refused when it is read; the others are kept
            let kept: Vec<String> = texts
                .iter()
                .enumerate()
                .map(|(at, text)| format!("@id(\"p{at}\") @reason(\"r\") @hint(\"h\") {text}"))
                .filter(|text| PolicySet::load(&[PolicySource::new("one.cedar", text.as_str())]).is_ok())
                .collect();
            let text = kept.join("\n");
            let set = PolicySet::load(&[PolicySource::new("all.cedar", text.as_str())]).unwrap();
            let subject: Subject = serde_json::from_value(json!({"role": "implementor", "on_behalf_of": "ana"})).unwrap();
            let context = usual_context("shop", json!({"denials": denials}).as_object().unwrap()).unwrap();
            let action = parse_action(&format!("file_write: {path}"), "shop", "ana").unwrap();
            let found = set.decide(&subject, &action, &context);

            let uid = |text: &str| text.parse::<cedar_policy::EntityUid>().unwrap();
            let file = uid(&format!("File::\"{path}\""));
            let facts = [("denials".to_owned(), RestrictedExpression::new_long(i64::from(denials)))];
            let request = Request::new(uid("Agent::\"implementor\""), uid("Action::\"file_write\""), file.clone(), Context::from_pairs(facts).unwrap(), None).unwrap();
            let entities = Entities::from_entities([
                Entity::new(uid("Agent::\"implementor\""), [].into(), [uid("Role::\"implementor\"")].into()).unwrap(),
                Entity::new(file, [].into(), [uid("Repository::\"shop\"")].into()).unwrap(),
            ], None).unwrap();
            let cedar: cedar_policy::PolicySet = text.parse().unwrap();
            let response = Authorizer::new().is_authorized(&request, &cedar, &entities);
            let failed = response.diagnostics().errors().count() > 0;
            let expected = match (failed, response.decision()) {
                (true, _) => "policy.evaluation_error",
                (false, Decision::Allow) => "permit",
                (false, Decision::Deny) if response.diagnostics().reason().count() > 0 => "policy.forbidden",
                (false, Decision::Deny) => "policy.no_rule_permits",
            };
            let found = match found {
                Verdict::Permit { .. } => "permit".to_owned(),
                Verdict::Deny(denial) => denial.code,
                Verdict::NeedsApproval { .. } => "ask".to_owned(),
            };
            prop_assert_eq!(found, expected, "{}", text);
        }
    }
}
