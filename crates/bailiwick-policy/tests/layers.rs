//! Lower layers: every attempt to widen is refused, what narrows is accepted and narrows.

#[cfg(test)]
mod layers {
    use std::collections::BTreeSet;

    use bailiwick_model::id::{RepoName, SessionId};
    use bailiwick_model::subject::Subject;
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{
        Answer, Layer, LayerSource, PolicySet, PolicySource, Proved, parse_action, usual_context,
    };
    use serde_json::json;

    fn repo(name: &str) -> RepoName {
        RepoName::parse(name).unwrap()
    }

    fn lower(layer: Layer, name: &str, text: &str) -> LayerSource {
        LayerSource { layer, sources: vec![PolicySource::new(name, text)] }
    }

    fn decide(set: &PolicySet, repo: &str, role: &str, action: &str) -> Verdict {
        let subject: Subject =
            serde_json::from_value(json!({"role": role, "on_behalf_of": "ana"})).unwrap();
        let context = usual_context(repo, json!({"scope": ["**"]}).as_object().unwrap()).unwrap();
        set.decide(&subject, &parse_action(action, repo, "ana").unwrap(), &context)
    }

    #[test]
    fn every_attempt_to_widen_is_refused_and_named() {
        let standard = PolicySet::standard().unwrap();
        let table: toml::Table = include_str!("widening.toml").parse().unwrap();
        let attempts = table["attempt"].as_array().unwrap();
        assert!(attempts.len() >= 30);
        for attempt in attempts {
            let text = |key: &str| attempt[key].as_str().unwrap();
            let source = lower(Layer::Repository(repo("shop")), text("file"), text("text"));
            let errors = match standard.narrowed(&source, &Proved::nothing()) {
                Ok(_) => panic!("accepted: {}", text("name")),
                Err(errors) => errors.errors,
            };
            let line = u32::try_from(attempt["line"].as_integer().unwrap()).unwrap();
            assert!(
                errors.iter().any(|error| error.file == text("file")
                    && error.line == line
                    && error.what.contains(text("what"))),
                "{}: {errors:#?}",
                text("name")
            );
        }
    }

    /// And even if one of them were believed to be proved, it would be no reason to allow anything.
    #[test]
    fn a_right_in_a_lower_layer_is_never_a_reason_to_allow() {
        let standard = PolicySet::standard().unwrap();
        let text = "@id(\"x\") @reason(\"r\") permit(principal, action, resource);";
        let source = lower(Layer::Repository(repo("shop")), "x.cedar", text);
        let mut proved = Proved::nothing();
        proved.add(source.digest(&standard.digest()));
        let set = standard.narrowed(&source, &proved).unwrap();
        for (role, action) in [
            ("implementor", "branch_push: main"),
            ("implementor", "command: terraform apply"),
            ("coordinator", "command: ls"),
            ("reviewer", "review_submit: approve"),
            ("publisher", "pull_request_merge: #1"),
            ("implementor", "file_write: src/lib.rs"),
            ("implementor", "command: cargo test"),
        ] {
            let (before, after) =
                (decide(&standard, "shop", role, action), decide(&set, "shop", role, action));
            assert_eq!(Answer::of(&before), Answer::of(&after), "{role} {action}");
        }
        // a proof holds for the layer and the organisation it was made for, and for no other text
        let other = lower(Layer::Repository(repo("shop")), "x.cedar", &format!("{text}\n"));
        assert!(standard.narrowed(&other, &proved).is_err());
        let strict = PolicySet::load(&bailiwick_policy::STARTERS[1].sources()).unwrap();
        assert!(strict.narrowed(&source, &proved).is_err());
    }

    #[test]
    fn what_narrows_is_accepted_and_holds_where_the_layer_applies() {
        let standard = PolicySet::standard().unwrap();
        let no_docs = "@id(\"no-docs\") @reason(\"r\") @hint(\"h\")\nforbid(principal is Agent, action == Action::\"file_write\", resource) when { resource.path like \"docs/*\" };";
        let set = standard
            .narrowed(
                &lower(Layer::Repository(repo("shop")), "a.cedar", no_docs),
                &Proved::nothing(),
            )
            .unwrap();
        let team = Layer::Team {
            name: "web".to_owned(),
            repositories: BTreeSet::from([repo("site"), repo("shop")]),
        };
        let set = set
            .narrowed(
                &lower(
                    team,
                    "web.toml",
                    "[commands]\nask = [{ group = \"ops\", match = [\"cargo bench\"] }]\n",
                ),
                &Proved::nothing(),
            )
            .unwrap();
        let denied = |repo: &str, action: &str| match decide(&set, repo, "implementor", action) {
            Verdict::Deny(denial) => denial.rules,
            Verdict::NeedsApproval { rules, .. } => rules,
            Verdict::Permit { .. } => vec![],
        };
        assert_eq!(denied("shop", "file_write: docs/a.md"), ["repository:shop/no-docs"]);
        assert!(denied("site", "file_write: docs/a.md").is_empty());
        assert_eq!(denied("shop", "command: cargo bench"), ["team:web/web.commands-ask-1"]);
        assert_eq!(denied("site", "command: cargo bench"), ["team:web/web.commands-ask-1"]);
        assert!(denied("other", "command: cargo bench").is_empty());
        assert!(denied("shop", "file_write: src/lib.rs").is_empty());
    }

    #[test]
    fn a_session_s_layer_holds_for_that_session_alone() {
        let session: SessionId =
            serde_json::from_value(json!("01890000-0000-7000-8000-000000000001")).unwrap();
        let set = PolicySet::standard()
            .unwrap()
            .narrowed(
                &lower(
                    Layer::Session(session),
                    "s.toml",
                    "[paths]\nwrite_allow = [\"src/a/**\"]\n",
                ),
                &Proved::nothing(),
            )
            .unwrap();
        let judge = |session: serde_json::Value| {
            let subject: Subject = serde_json::from_value(
                json!({"role": "implementor", "on_behalf_of": "ana", "session": session}),
            )
            .unwrap();
            let context = usual_context("shop", &serde_json::Map::new()).unwrap();
            let action = parse_action("file_write: src/b.rs", "shop", "ana").unwrap();
            Answer::of(&set.decide(&subject, &action, &context))
        };
        assert_eq!(judge(json!(session)), Answer::Denied);
        assert_eq!(judge(json!("01890000-0000-7000-8000-000000000002")), Answer::Allowed);
        assert_eq!(judge(json!(null)), Answer::Allowed);
    }

    /// A right that the organisation is proved to give makes the layer an allow-list for that kind.
    #[test]
    fn a_right_within_the_organisation_s_is_an_allow_list() {
        let organisation = PolicySet::load(&[PolicySource::new(
            "org.cedar",
            "@id(\"w\") @reason(\"r\") permit(principal in Role::\"implementor\", action == Action::\"file_write\", resource) when { context.scope_ok };\n@id(\"r\") @reason(\"r\") permit(principal is Agent, action == Action::\"file_read\", resource);",
        )])
        .unwrap();
        let layer = "@id(\"only\") @reason(\"r\") permit(principal in Role::\"implementor\", action == Action::\"file_write\", resource) when { context.scope_ok && resource.path like \"src/*\" };";
        let set = organisation
            .narrowed(&lower(Layer::Repository(repo("shop")), "x.cedar", layer), &Proved::nothing())
            .unwrap();
        let answer = |action: &str| Answer::of(&decide(&set, "shop", "implementor", action));
        assert_eq!(answer("file_write: src/a"), Answer::Allowed);
        assert_eq!(answer("file_write: docs/a"), Answer::Denied);
        assert_eq!(answer("file_read: docs/a"), Answer::Allowed);
        // without the condition it is more than the organisation gives
        let wider = layer.replace("context.scope_ok && ", "");
        assert!(
            organisation
                .narrowed(
                    &lower(Layer::Repository(repo("shop")), "x.cedar", &wider),
                    &Proved::nothing()
                )
                .is_err()
        );
    }

    #[test]
    fn no_policy_denies_everything() {
        for (role, action) in
            [("human", "repo_read: check-out"), ("implementor", "tool_call: finish")]
        {
            let verdict = decide(&PolicySet::nothing(), "shop", role, action);
            assert!(
                matches!(verdict, Verdict::Deny(denial) if denial.code == "policy.no_rule_permits")
            );
        }
    }
}
