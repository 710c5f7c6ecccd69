//! Which sandbox tier rules ask for: cases as data, each rule needed by one, and the refusal of
//! whoever does not take the tier.

#[cfg(test)]
mod tiers {
    use bailiwick_model::action::Action;
    use bailiwick_model::subject::{Context, Subject};
    use bailiwick_model::tier::{Tier, TierChoice};
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{PolicySet, PolicySource, parse_action, usual_context};
    use serde::Deserialize;
    use serde_json::{Map, Value, json};

    const RULES: &str = include_str!("tiers/rules.toml");

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        role: Option<String>,
        action: Value,
        #[serde(default)]
        context: Map<String, Value>,
        from: Option<Tier>,
        tier: Option<Tier>,
        #[serde(default)]
        rules: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Cases {
        case: Vec<Case>,
    }

    fn cases() -> Vec<Case> {
        toml::from_str::<Cases>(include_str!("tiers/cases.toml")).unwrap().case
    }

    impl Case {
        fn asked(&self) -> (Subject, Action, Context) {
            let role = self.role.as_deref().unwrap_or("implementor");
            let subject =
                serde_json::from_value(json!({"role": role, "on_behalf_of": "ana"})).unwrap();
            let mut context = usual_context("shop", &self.context).unwrap();
            context.facts.tier = self.from.map(|tier| TierChoice::usual(tier, "as configured"));
            let action = match &self.action {
                Value::String(text) => parse_action(text, "shop", "ana").unwrap(),
                other => serde_json::from_value(other.clone()).unwrap(),
            };
            (subject, action, context)
        }

        /// What is wrong, if something is.
        fn check(&self, set: &PolicySet) -> Option<String> {
            let (subject, action, context) = self.asked();
            let choice = set.tier(&subject, &action, &context);
            let mut rules = choice.clone().map(|choice| choice.rules).unwrap_or_default();
            rules.sort();
            if choice.as_ref().map(|choice| choice.tier) != self.tier || rules != self.rules {
                return Some(format!("{}: {choice:?}", self.name));
            }
            let named = choice.as_ref().is_none_or(|choice| {
                choice.rules.iter().all(|id| choice.reason.contains(&set.rule(id).unwrap().reason))
            });
            (!named).then(|| format!("{}: the reason is not said: {choice:?}", self.name))
        }
    }

    fn set(rules: &str) -> PolicySet {
        let sources = [PolicySet::standard_source(), PolicySource::new("tiers.toml", rules)];
        PolicySet::load(&sources).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn every_case_gets_its_tier() {
        let set = set(RULES);
        let wrong: Vec<String> = cases().iter().filter_map(|case| case.check(&set)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn without_any_one_rule_some_case_is_wrong() {
        let parts: Vec<&str> = RULES.split("[[sandbox]]").skip(1).collect();
        for left_out in 0..parts.len() {
            let rest = parts.iter().enumerate().filter(|(at, _)| *at != left_out);
            let text: String = rest.map(|(_, part)| format!("[[sandbox]]{part}")).collect();
            let set = set(&text);
            let wrong = cases().iter().any(|case| case.check(&set).is_some());
            assert!(wrong, "nothing notices that this is missing:\n{}", parts[left_out]);
        }
    }

    #[test]
    fn whoever_does_not_take_the_tier_is_refused_by_the_same_rule() {
        let set = set(RULES);
        let mut refused = 0;
        for case in cases().iter().filter(|case| !case.rules.is_empty() && case.tier != case.from) {
            let (subject, action, context) = case.asked();
            // As it stands, in the tier that it came with.
            let Verdict::Deny(denial) = set.decide(&subject, &action, &context) else {
                panic!("{}: not refused", case.name);
            };
            assert!(denial.rules.iter().any(|rule| case.rules.contains(rule)), "{denial:?}");
            refused += 1;
            // The control: in the tier that was chosen no rule about tiers stands against it.
            let (verdict, choice) = set.decide_in_tier(&subject, &action, &context);
            if let Action::Command(_) = action {
                assert_eq!(choice.map(|choice| choice.tier), case.tier, "{}", case.name);
                assert!(matches!(verdict, Verdict::Permit { .. }), "{}: {verdict:?}", case.name);
            }
        }
        assert!(refused >= 12);
    }

    #[test]
    fn the_rule_that_names_no_isolation_gives_no_right_and_is_the_organisations_alone() {
        let named = "[[sandbox]]\ntier = \"worktree\"\nroles = [\"implementor\"]\n";
        let set = set(named);
        let subject: Subject =
            serde_json::from_value(json!({"role": "implementor", "on_behalf_of": "ana"})).unwrap();
        let mut context = usual_context("shop", &Map::new()).unwrap();
        context.facts.tier = Some(TierChoice::usual(Tier::Worktree, "as configured"));
        let decide = |text: &str| {
            let action = parse_action(text, "shop", "ana").unwrap();
            let (verdict, choice) = set.decide_in_tier(&subject, &action, &context);
            assert_eq!(choice.map(|choice| choice.tier), Some(Tier::Worktree));
            verdict
        };
        // What is permitted is permitted by the rules that did so before, and by no other.
        let Verdict::Permit { rules } = decide("command: cargo test") else { panic!() };
        assert_eq!(rules, ["agents-run-developer-tools"]);
        for text in ["command: vim notes", "command: curl example.com"] {
            assert!(matches!(decide(text), Verdict::Deny(_)), "{text}");
        }
        let layer = bailiwick_policy::LayerSource {
            layer: bailiwick_policy::Layer::Repository("shop".parse().unwrap()),
            sources: vec![PolicySource::new("own.toml", named)],
        };
        let standard = PolicySet::standard().unwrap();
        let refused = standard.narrowed(&layer, &bailiwick_policy::Proved::nothing());
        let errors = refused.unwrap_err().errors;
        assert!(errors[0].what.contains("says nothing here"), "{errors:?}");
    }

    #[test]
    fn what_a_rule_about_tiers_cannot_mean_is_refused_with_its_place() {
        for (text, place, what) in [
            ("tier = \"prison\"", 2, "`prison` is no tier"),
            ("tier = \"gvisor\"\nroles = [\"agent\"]", 3, "`agent` is not known"),
            ("tier = \"gvisor\"\ntaint = [\"secert\"]", 3, "`secert` is not known"),
            ("tier = \"gvisor\"\ntaint = []", 3, "the list is empty"),
            ("tier = \"gvisor\"\ncommands = [\"npm *\"]", 3, "`npm *` is a pattern"),
            ("tier = \"gvisor\"\nrepositories = [\"pay*\"]", 3, "`pay*` is a pattern"),
            ("tier = \"gvisor\"\nrepository = \"x\"", 3, "unknown field `repository`"),
        ] {
            let text = format!("[[sandbox]]\n{text}\n");
            let sources =
                [PolicySet::standard_source(), PolicySource::new("tiers.toml", text.as_str())];
            let errors = PolicySet::load(&sources).unwrap_err().errors;
            let found = errors.iter().any(|error| error.line == place && error.what.contains(what));
            assert!(found, "{text}: {errors:?}");
        }
        for annotation in
            ["@tier(\"prison\")", "@tier(\"worktree\")", "@tier(\"gvisor\") @gate(\"g\")"]
        {
            let text = format!(
                "@id(\"x\") {annotation} @reason(\"r\") @hint(\"h\") forbid(principal, action == Action::\"command\", resource) when {{ context.tier == \"process\" }} unless {{ context.approvals.contains(\"g\") }};"
            );
            let sources = [PolicySet::standard_source(), PolicySource::new("x.cedar", text)];
            let errors = PolicySet::load(&sources).unwrap_err().errors;
            assert!(errors[0].what.contains("says nothing here"), "{annotation}: {errors:?}");
        }
    }
}
