//! The starter bundles, their examples, and bundles that are refused.

#[cfg(test)]
mod starters {
    use bailiwick_policy::{
        INVARIANTS, LintKind, PolicySet, PolicySource, Proof, STARTERS, examples, lint_set, prove,
    };

    fn set(sources: &[PolicySource]) -> PolicySet {
        PolicySet::load(sources).unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    #[test]
    fn every_example_is_decided_as_written() {
        for starter in STARTERS {
            let set = set(&starter.sources());
            let file = PolicySource::new(starter.name, starter.examples);
            let all = examples(&file).unwrap_or_else(|errors| panic!("{errors:#?}"));
            assert!(all.len() >= 7, "{}", starter.name);
            let missed: Vec<_> = all.iter().filter_map(|one| one.check(&set)).collect();
            assert!(missed.is_empty(), "{missed:#?}");
        }
    }

    #[test]
    fn every_invariant_is_proved_of_every_starter_without_a_solver() {
        for starter in STARTERS {
            let set = set(&starter.sources());
            for invariant in INVARIANTS {
                let proof = prove(&set, invariant.never).unwrap();
                assert_eq!(proof, Proof::Proved, "{}: {}", starter.name, invariant.name);
            }
        }
    }

    #[test]
    fn no_starter_has_a_rule_that_may_fail_or_is_idle_or_gives_everything() {
        for starter in STARTERS {
            let found = lint_set(&set(&starter.sources()));
            assert!(found.is_empty(), "{}: {found:#?}", starter.name);
        }
    }

    /// The control of the two above.
    #[test]
    fn a_rule_that_is_lost_breaks_its_invariant_and_bad_rules_are_found() {
        let text = bailiwick_policy::STANDARD_TEXT
            .replace("unless { context.gates_passed }", "when { !context.verified }");
        let broken = set(&[PolicySource::new("standard.cedar", text)]);
        let states: Vec<_> = INVARIANTS
            .into_iter()
            .filter(|one| prove(&broken, one.never).unwrap() != Proof::Proved)
            .map(|one| one.name)
            .collect();
        assert_eq!(states, ["no merge without passed gates"]);
        let bad = r#"
            @id("all") @reason("r") permit(principal, action, resource);
            @id("never") @reason("r") @hint("h") forbid(principal is Agent, action == Action::"file_write", resource)
              when { context.scope_ok && !context.scope_ok };
            @id("narrow") @reason("r") permit(principal is Agent, action == Action::"file_write", resource) when { context.scope_ok };
            @id("sum") @reason("r") @hint("h") forbid(principal, action == Action::"model_call", resource)
              when { context.estimate + 1 > context.budget_left };
            @id("far") @reason("r") @hint("h") forbid(principal, action == Action::"repo_read", resource)
              when { Repository::"other".name == "x" };
        "#;
        let found = lint_set(&set(&[PolicySource::new("bad.cedar", bad)]));
        let kinds: Vec<_> = found.iter().map(|lint| (lint.rule.as_str(), lint.kind)).collect();
        assert_eq!(
            kinds,
            [
                ("all", LintKind::TooBroad),
                ("never", LintKind::Unreachable),
                ("narrow", LintKind::Shadowed),
                ("sum", LintKind::MayFail),
                ("far", LintKind::MayFail),
            ]
        );
        assert_eq!(found[1].line, 3);
    }
}

#[cfg(test)]
mod bundles {
    use bailiwick_policy::{BUNDLE_CODES, Bundle, Heading, PolicySource, manifest, resolve, write};

    const RULE: &str = "@id(\"a\") @reason(\"r\") permit(principal is Human, action == Action::\"repo_read\", resource);\n";

    fn files() -> Vec<PolicySource> {
        vec![
            PolicySource::new("a.cedar", RULE),
            PolicySource::new("team/b.toml", "[tools]\ndeny = [\"x\"]\n"),
        ]
    }

    fn good() -> String {
        let heading = Heading {
            name: "acme".to_owned(),
            serial: 7,
            created: "2026-01-01T00:00:00Z".to_owned(),
            expires: Some("2027-01-01T00:00:00Z".to_owned()),
        };
        let text = manifest(&heading, &files()).unwrap();
        write(&format!("{text}\n— acme AAAA\n"), &files()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bundle = Bundle::parse("x", good().as_bytes()).unwrap();
        assert_eq!((bundle.name.as_str(), bundle.serial, bundle.files), ("acme", 7, files()));
        assert_eq!(bundle.expires.as_deref(), Some("2027-01-01T00:00:00Z"));
    }

    #[track_caller]
    fn refused(bytes: &[u8], code: &str) -> String {
        let error = Bundle::parse("org.bundle", bytes).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(BUNDLE_CODES.iter().any(|(known, _)| *known == code));
        error.to_string()
    }

    #[test]
    fn each_kind_of_damage_has_its_own_code_and_names_its_place() {
        let good = good();
        assert!(refused(b"[]", "policy.bundle_malformed").starts_with("org.bundle:1:"));
        refused(b"", "policy.bundle_truncated");
        refused(&good.as_bytes()[..good.len() / 2], "policy.bundle_truncated");
        refused(b"{\"manifest\": \xff", "policy.bundle_malformed");
        refused(&vec![b' '; bailiwick_policy::MAX_BUNDLE_BYTES + 1], "policy.bundle_too_large");
        refused(good.replace("\\n\\n", "\\n").as_bytes(), "policy.bundle_unsigned");
        let altered =
            refused(good.replace("is Human", "is Agent").as_bytes(), "policy.bundle_altered");
        assert!(altered.starts_with("a.cedar:1:1"), "{altered}");
        refused(
            good.replace("\"team/b.toml\"", "\"team/c.toml\"").as_bytes(),
            "policy.bundle_altered",
        );
        for (from, to) in [
            ("bailiwick-policy-bundle/v1", "bailiwick-policy-bundle/v2"),
            ("serial 7", "serial 07"),
            ("name acme", "name ../acme"),
            ("file a.cedar ", "file ../a.cedar "),
            ("file a.cedar ", "file a.cedar  "),
            ("created ", "made "),
        ] {
            refused(good.replace(from, to).as_bytes(), "policy.bundle_malformed");
        }
        refused(good.replacen('{', "{\"more\": 1,", 1).as_bytes(), "policy.bundle_malformed");
    }

    /// Every prefix of a bundle, and every bundle with one byte exchanged, is refused or the same.
    #[test]
    fn no_damage_to_the_files_gets_through() {
        let good = good();
        let whole = Bundle::parse("x", good.as_bytes()).unwrap();
        for end in (0..good.trim_end().len()).step_by(7) {
            assert!(Bundle::parse("x", &good.as_bytes()[..end]).is_err());
        }
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(read) = Bundle::parse("x", &bytes) {
                assert_eq!(read.files, whole.files, "byte {at}");
            }
        }
    }

    #[test]
    fn includes_are_followed_once_and_never_in_a_circle() {
        let file = |name: &str, text: &str| PolicySource::new(name, text);
        let names = |files: &[PolicySource]| {
            resolve(files).unwrap().into_iter().map(|one| one.name).collect::<Vec<_>>()
        };
        let a = file("a.toml", "include = [\"standard\", \"b.toml\"]\n[tools]\ndeny = [\"x\"]\n");
        let b = file("b.toml", "[tools]\ndeny = [\"y\"]\n");
        let notes = file("b.examples.toml", "");
        assert_eq!(names(&[a.clone(), b.clone(), notes]), ["standard.cedar", "b.toml", "a.toml"]);
        let circle = [
            file("a.toml", "include = [\"b.toml\"]"),
            file("b.toml", "# note\ninclude = [\"c.toml\"]"),
            file("c.toml", "include = [\n  \"a.toml\"]"),
        ];
        let errors = resolve(&circle).unwrap_err().errors;
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].file.as_str(), errors[0].line), ("c.toml", 2));
        assert!(errors[0].what.contains("a.toml → b.toml → c.toml → a.toml"), "{}", errors[0]);
        let itself = resolve(&[file("a.toml", "include = [\"a.toml\"]")]).unwrap_err();
        assert!(itself.to_string().contains("include each other"), "{itself}");
        let lost = resolve(&[file("a.toml", "include = [\"z.toml\"]")]).unwrap_err();
        assert!(lost.to_string().starts_with("a.toml:1:12: `z.toml` is not there"), "{lost}");
    }
}
