//! What is refused when policies are read, and how it is said.

#[cfg(test)]
mod refused {
    use bailiwick_policy::{PolicyErrors, PolicySet, PolicySource};

    fn load(text: &str) -> Result<PolicySet, PolicyErrors> {
        PolicySet::load(&[PolicySource { name: "team.cedar".to_owned(), text: text.to_owned() }])
    }

    const HEAD: &str = "// a comment\n@id(\"a\")\n@reason(\"r\")\n";

    /// The line, the column and a part of what is wrong.
    #[track_caller]
    fn check(text: &str, line: u32, what: &str) {
        let errors = load(text).err().unwrap_or_else(|| panic!("{text} was accepted")).errors;
        let found = errors
            .iter()
            .find(|error| error.what.contains(what))
            .unwrap_or_else(|| panic!("{errors:?}"));
        assert_eq!((found.file.as_str(), found.line), ("team.cedar", line), "{found:?}");
        assert!(found.column > 0 && !found.why.is_empty() && !found.fix.is_empty(), "{found:?}");
        assert!(found.to_string().starts_with(&format!("team.cedar:{line}:")), "{found}");
    }

    #[test]
    fn the_control_is_accepted() {
        let set = load(&format!("{HEAD}permit(principal, action == Action::\"file_read\", resource) when {{ context.scope_ok }};")).unwrap();
        assert_eq!(
            set.rules().map(|rule| (rule.id.as_str(), rule.line)).collect::<Vec<_>>(),
            [("a", 2)]
        );
        assert!(set.source_text("team.cedar").unwrap().starts_with("// a comment"));
    }

    #[test]
    fn text_that_is_not_cedar() {
        check(&format!("{HEAD}permit(principal, action, resource"), 4, "unexpected end");
        check(
            &format!("{HEAD}permit(principal, action, resource)\nwhen {{ context.denials => 3 }};"),
            5,
            "unexpected token",
        );
    }

    #[test]
    fn names_and_types_that_the_schema_does_not_have() {
        let rule = |condition: &str| {
            format!(
                "{HEAD}permit(principal, action == Action::\"file_read\", resource)\nwhen {{ {condition} }};"
            )
        };
        check(&rule("context.scope_okay"), 5, "scope_okay");
        check(&rule("context.denials == \"3\""), 5, "type");
        check(&rule("context.taint.contains(Taint::\"secert\")"), 5, "secert");
        check(&rule("principal in Role::\"implementer\""), 5, "implementer");
        check(
            &format!("{HEAD}permit(principal, action == Action::\"file_reed\", resource);"),
            4,
            "file_reed",
        );
        check(&format!("{HEAD}permit(principal is Robot, action, resource);"), 4, "Robot");
        check(
            &format!(
                "{HEAD}permit(principal, action == Action::\"file_read\", resource is Branch);"
            ),
            2,
            "policy is impossible",
        );
        check(&rule("context.denials > 3 && false"), 2, "policy is impossible");
        // one mistake is told once, and not what follows from it
        let errors =
            load(&format!("{HEAD}permit(principal, action == Action::\"file_reed\", resource);"))
                .err()
                .unwrap()
                .errors;
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].fix.contains("file_read"), "{errors:?}");
    }

    #[test]
    fn annotations_that_are_missing_or_not_known() {
        check("@reason(\"r\")\npermit(principal, action, resource);", 1, "no `@id`");
        check("@id(\"a\")\npermit(principal, action, resource);", 1, "no `@reason`");
        check(
            "@id(\"a b\") @reason(\"r\")\npermit(principal, action, resource);",
            1,
            "not a policy id",
        );
        check(&format!("{HEAD}forbid(principal, action, resource);"), 2, "no `@hint`");
        check(
            &format!("{HEAD}@gates(\"x\") @hint(\"h\") forbid(principal, action, resource);"),
            2,
            "`@gates`",
        );
        check(
            &format!("{HEAD}@gate(\"x\") permit(principal, action, resource);"),
            2,
            "`@gate` stands on a `permit`",
        );
        check(
            "@id(\"a\") @reason(\" \")\npermit(principal, action, resource);",
            1,
            "`@reason` is empty",
        );
    }

    #[test]
    fn a_gate_that_nothing_lifts() {
        let gate = |group: &str| {
            format!(
                "{HEAD}@gate(\"ops\") @hint(\"h\") forbid(principal, action, resource)\nunless {{ context.approvals.contains(\"{group}\") }};"
            )
        };
        check(&gate("legal"), 2, "nothing lifts this gate");
        assert!(load(&gate("ops")).is_ok());
    }

    #[test]
    fn an_id_that_stands_twice_also_in_another_source() {
        let rule = format!("{HEAD}permit(principal, action, resource);\n");
        check(&format!("{rule}{rule}"), 6, "stands already at team.cedar:2");
        let source = |name: &str| PolicySource { name: name.to_owned(), text: rule.clone() };
        let errors =
            PolicySet::load(&[source("org.cedar"), source("team.cedar")]).unwrap_err().errors;
        assert_eq!((errors[0].file.as_str(), errors.len()), ("team.cedar", 1));
        assert!(errors[0].what.contains("org.cedar:2"));
    }

    #[test]
    fn templates_and_sources_that_are_too_large() {
        let errors = load(&format!("{HEAD}permit(principal == ?principal, action, resource);"))
            .unwrap_err()
            .errors;
        assert!(errors[0].what.contains("slot"), "{errors:?}");
        let errors = load(&" ".repeat(bailiwick_policy::MAX_SOURCE_BYTES + 1)).unwrap_err().errors;
        assert!(errors[0].what.contains("bytes"), "{errors:?}");
    }

    #[test]
    fn one_fault_and_nothing_is_in_force() {
        let rule = format!("{HEAD}permit(principal, action, resource);\n");
        assert!(load(&rule).is_ok());
        assert!(load(&format!("{rule}@id(\"b\") @reason(\"r\") permit(principal, action, resource) when {{ context.x }};")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            drop(load(&text));
        }
    }
}

/// What was read before is not checked again; nothing else may be different for it.
#[cfg(test)]
mod again {
    use bailiwick_policy::{PolicySet, PolicySource, Rule};

    const GOOD: &str = "@id(\"again\")\n@reason(\"r\")\npermit(principal, action == Action::\"file_read\", resource) when { context.scope_ok };\n";

    fn load(files: &[(&str, &str)]) -> Result<Vec<Rule>, Vec<String>> {
        let sources: Vec<_> =
            files.iter().map(|(name, text)| PolicySource::new(*name, *text)).collect();
        PolicySet::load(&sources)
            .map(|set| set.rules().cloned().collect())
            .map_err(|errors| errors.errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_says_the_same_each_time() {
        let first = load(&[("one.cedar", GOOD)]).unwrap();
        assert_eq!(load(&[("one.cedar", GOOD)]).unwrap(), first);
    }

    #[test]
    fn a_fault_is_refused_each_time() {
        let fault = GOOD.replace("scope_ok", "scope_okay");
        let first = load(&[("two.cedar", &fault)]).unwrap_err();
        assert!(first.iter().any(|error| error.contains("scope_okay")), "{first:?}");
        assert_eq!(load(&[("two.cedar", &fault)]).unwrap_err(), first);
        // A good one beside it makes it no better.
        let both = format!("{}{fault}", GOOD.replace("again", "beside"));
        load(&[("three.cedar", GOOD)]).unwrap();
        let found = load(&[("three.cedar", &both)]).unwrap_err();
        assert!(found.iter().all(|error| error.contains("scope_okay")), "{found:?}");
    }

    #[test]
    fn a_gate_that_nothing_lifts_is_refused_beside_one_that_was_read() {
        let lifted = "@id(\"gate\") @reason(\"r\") @hint(\"h\") @gate(\"reviewers\")\nforbid(principal, action == Action::\"file_write\", resource) unless { context.approvals.contains(\"reviewers\") };\n";
        load(&[("gate.cedar", lifted)]).unwrap();
        let shut = lifted.replace("contains(\"reviewers\")", "contains(\"others\")");
        let found = load(&[("gate.cedar", &shut)]).unwrap_err();
        assert!(found.iter().any(|error| error.contains("nothing lifts this gate")), "{found:?}");
    }

    #[test]
    fn a_policy_is_told_where_it_stands_now() {
        load(&[("four.cedar", GOOD)]).unwrap();
        let moved = load(&[("five.cedar", &format!("\n\n{GOOD}"))]).unwrap();
        let places: Vec<_> = moved.iter().map(|rule| (rule.source.as_str(), rule.line)).collect();
        assert_eq!(places, [("five.cedar", 3)]);
    }

    #[test]
    fn two_files_that_were_read_may_not_share_an_id() {
        load(&[("six.cedar", GOOD)]).unwrap();
        load(&[("seven.cedar", GOOD)]).unwrap();
        let found = load(&[("six.cedar", GOOD), ("seven.cedar", GOOD)]).unwrap_err();
        assert!(found.iter().any(|error| error.contains("stands already")), "{found:?}");
    }
}
