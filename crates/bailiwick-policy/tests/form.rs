//! The short form: what it compiles to, what it refuses, and that it only narrows.

#[cfg(test)]
mod form {
    use std::sync::LazyLock;

    use bailiwick_model::subject::Subject;
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::{
        Answer, Layer, LayerSource, PolicySet, PolicySource, Proved, RuleEffect, advise, may_fail,
        parse_action, usual_context,
    };
    use proptest::prelude::*;
    use serde_json::json;

    static STANDARD: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::standard().unwrap());

    fn load(text: &str) -> Result<PolicySet, bailiwick_policy::PolicyErrors> {
        PolicySet::load(&[PolicySet::standard_source(), PolicySource::new("limits.toml", text)])
    }

    fn decide(set: &PolicySet, role: &str, action: &str, context: serde_json::Value) -> Verdict {
        let subject: Subject =
            serde_json::from_value(json!({"role": role, "on_behalf_of": "ana"})).unwrap();
        let context = usual_context("shop", context.as_object().unwrap()).unwrap();
        set.decide(&subject, &parse_action(action, "shop", "ana").unwrap(), &context)
    }

    #[track_caller]
    fn check(text: &str, role: &str, action: &str, answer: Answer, rule: &str) {
        let set = load(text).unwrap_or_else(|errors| panic!("{errors}"));
        let verdict = decide(&set, role, action, json!({"scope": ["**"]}));
        assert_eq!(Answer::of(&verdict), answer, "{text}\n{action}: {verdict:?}");
        let rules = match verdict {
            Verdict::Permit { rules } | Verdict::NeedsApproval { rules, .. } => rules,
            Verdict::Deny(denial) => denial.rules,
        };
        assert!(rule.is_empty() || rules.contains(&rule.to_owned()), "{rules:?}");
    }

    #[test]
    fn every_section_decides() {
        use Answer::{Allowed, Asked, Denied};
        let models = "[models]\nallow = [\"anthropic/claude-*\", \"local/*\"]\ndeny = [\"*-preview\"]\nask = [{ group = \"finance\", match = [\"anthropic/claude-opus*\"] }]\n";
        check(
            models,
            "implementor",
            "model_call: anthropic/claude-haiku",
            Allowed,
            "agents-call-models",
        );
        check(models, "implementor", "model_call: openai/gpt", Denied, "limits.models-allow");
        check(models, "implementor", "model_call: local/x-preview", Denied, "limits.models-deny");
        check(
            models,
            "implementor",
            "model_call: anthropic/claude-opus-4",
            Asked,
            "limits.models-ask-1",
        );
        let tools = "[tools]\nallow = [\"finish\"]\n";
        check(tools, "coordinator", "tool_call: submit_plan", Denied, "limits.tools-allow");
        check(tools, "coordinator", "tool_call: finish", Allowed, "");
        let keys = "[credentials]\ndeny = [\"commit-*\"]\n";
        check(
            keys,
            "publisher",
            "secret_use: commit-signing-key for signing",
            Denied,
            "limits.credentials-deny",
        );
        let commands = "[commands]\ndeny = [\"npm\", \"cargo doc\"]\nask = [{ group = \"ops\", match = [\"cargo bench\"] }]\n";
        check(commands, "implementor", "command: npm test", Denied, "limits.commands-deny");
        check(commands, "implementor", "command: cargo doc", Denied, "limits.commands-deny");
        check(commands, "implementor", "command: cargo bench", Asked, "limits.commands-ask-1");
        check(commands, "implementor", "command: cargo test", Allowed, "");
        let only =
            "[commands]\nprograms = [\"sh\", \"cargo\", \"ls\"]\noperations = [\"cargo test\"]\n";
        check(only, "implementor", "command: cargo test && ls", Allowed, "");
        check(only, "implementor", "command: cat x", Denied, "limits.commands-programs");
        check(only, "implementor", "command: cargo build", Denied, "limits.commands-operations");
        check(
            "[commands]\nprograms = []\n",
            "implementor",
            "command: ls",
            Denied,
            "limits.commands-programs",
        );
        let paths = "[paths]\nwrite_deny = [\"infra/**\", \"**/*.pem\", \"a/b.txt\"]\nwrite_allow = [\"src/**\", \"infra/**\", \"a/**\"]\nread_deny = [\"secret/**\"]\nwrite_ask = [{ group = \"dba\", match = [\"src/migrations/**\"] }]\n";
        check(paths, "implementor", "file_write: src/a/b.rs", Allowed, "");
        check(paths, "implementor", "file_write: infra/x", Denied, "limits.paths-write-deny");
        check(paths, "implementor", "file_write: src/key.pem", Denied, "limits.paths-write-deny");
        check(paths, "implementor", "file_write: a/b.txt", Denied, "limits.paths-write-deny");
        check(paths, "implementor", "file_write: a/b.txt2", Allowed, "");
        check(paths, "implementor", "file_write: other/x", Denied, "limits.paths-write-allow");
        check(
            paths,
            "implementor",
            "file_write: src/migrations/1.sql",
            Asked,
            "limits.paths-write-ask-1",
        );
        check(
            paths,
            "implementor",
            "command: touch src/migrations/1.sql",
            Asked,
            "limits.paths-write-ask-commands-1",
        );
        for command in ["echo x > infra/x", "echo x > src/deep/er/key.pem", "touch a/b.txt"] {
            check(
                paths,
                "implementor",
                &format!("command: {command}"),
                Denied,
                "limits.paths-write-deny-commands",
            );
        }
        check(paths, "implementor", "file_read: secret/a", Denied, "limits.paths-read-deny");
        let tiers = "[agents]\ntiers = [\"gvisor\"]\n";
        check(
            tiers,
            "publisher",
            "agent_start: implementor in process",
            Denied,
            "limits.agents-tiers",
        );
        check(tiers, "publisher", "agent_start: implementor in gvisor", Allowed, "");
        let permit = "[[permit]]\naction = \"command\"\nroles = [\"implementor\"]\nmatch = [\"just plan\"]\nreason = \"plans are harmless\"\n";
        check(permit, "implementor", "command: just plan", Allowed, "limits.permit-1");
        check(permit, "implementor", "command: just apply", Denied, "");
        check(permit, "verifier", "command: just plan", Denied, "");
    }

    /// The narrowest change is one: once it is written, the answer is another.
    #[test]
    fn what_is_advised_allows_it() {
        let merge = r#"{"kind":"pull_request_merge","repo":"shop","number":7,"head":"0000000000000000000000000000000000000000","base":"main","expected_base":"0000000000000000000000000000000000000000","method":"merge","gates_passed":true,"verified":true,"approved_by":["bo"],"independent_approval":true,"trailers":[],"size":{"files":41,"lines":900,"areas":1,"tests":true}}"#;
        for (limits, role, action, advised) in [
            ("", "implementor", "command: just plan", "match = [\"just plan\"]"),
            (
                "",
                "implementor",
                "request: PUT https://api.test/v1",
                "match = [\"PUT api.test/v1\"]",
            ),
            (
                "",
                "implementor",
                "request: GET http://api.test:81/",
                "match = [\"GET api.test:81/\"]",
            ),
            ("", "verifier", "file_write: src/a", "match = [\"src/a\"]"),
            ("[pull_requests]\nmax_files = 40\n", "publisher", merge, "max_files = 41"),
            ("[pull_requests]\nmax_lines = 40\n", "publisher", merge, "max_lines = 900"),
            (
                "[budgets]\ncall_usd = 0.001\n",
                "implementor",
                "model_call: a/b",
                "call_usd = 0.010000",
            ),
        ] {
            let set = load(limits).unwrap_or_else(|errors| panic!("{errors}"));
            let context = json!({"scope": ["**"], "approvals": ["reviewers"]});
            let subject: Subject =
                serde_json::from_value(json!({"role": role, "on_behalf_of": "ana"})).unwrap();
            let parsed = parse_action(action, "shop", "ana").unwrap();
            let verdict = decide(&set, role, action, context.clone());
            assert_eq!(Answer::of(&verdict), Answer::Denied, "{action}");
            let advice = advise(&set, &subject, &parsed, &verdict);
            let [advice] = advice.as_slice() else { panic!("{action}: {advice:?}") };
            let toml = advice.toml.as_ref().unwrap_or_else(|| panic!("{action}: {advice:?}"));
            assert!(toml.contains(advised), "{action}: {toml}");
            let set = load(toml).unwrap_or_else(|errors| panic!("{toml}\n{errors}"));
            let after = decide(&set, role, action, context);
            assert_eq!(Answer::of(&after), Answer::Allowed, "{action}: {toml}\n{after:?}");
        }
    }

    #[test]
    fn hosts_with_methods_and_paths() {
        use Answer::{Allowed, Asked, Denied};
        let hosts = "[hosts]\nallow = [\"GET,HEAD *.example\", \"api.test/v1/*\", \"*:8443/up\"]\ndeny = [\"bad.example\"]\nask = [{ group = \"ops\", match = [\"HEAD *\"] }]\n";
        let set = load(hosts).unwrap_or_else(|errors| panic!("{errors}"));
        // set-up may read anything; what the list says is the limit
        for (request, answer, rule) in [
            ("GET https://files.example/a", Allowed, "setup-requests"),
            ("GET https://api.test/v1/a/b", Allowed, ""),
            ("GET https://api.test/v1", Denied, "limits.hosts-allow"),
            ("GET https://api.test/v2/a", Denied, "limits.hosts-allow"),
            ("GET https://example/a", Denied, "limits.hosts-allow"),
            ("GET https://files.example.evil.test/a", Denied, "limits.hosts-allow"),
            // another port is another place to whoever lists what is allowed
            ("GET https://files.example:8443/a", Denied, "limits.hosts-allow"),
            ("GET https://files.example:8443/up", Allowed, ""),
            // and the same to whoever lists what is not
            ("GET https://bad.example/a", Denied, "limits.hosts-deny"),
            ("GET https://bad.example:8443/up", Denied, "limits.hosts-deny"),
            ("HEAD https://files.example/a", Asked, "limits.hosts-ask-1"),
            ("HEAD https://files.example:8443/up", Asked, "limits.hosts-ask-1"),
        ] {
            let verdict = decide(&set, "setup", &format!("request: {request}"), json!({}));
            assert_eq!(Answer::of(&verdict), answer, "{request}: {verdict:?}");
            let rules = match verdict {
                Verdict::Permit { rules } | Verdict::NeedsApproval { rules, .. } => rules,
                Verdict::Deny(denial) => denial.rules,
            };
            assert!(rule.is_empty() || rules.contains(&rule.to_owned()), "{request}: {rules:?}");
        }
        let permit = "[[permit]]\naction = \"request\"\nroles = [\"implementor\"]\nmatch = [\"POST api.test/v1/search\"]\nreason = \"searching\"\n";
        check(
            permit,
            "implementor",
            "request: POST https://api.test/v1/search",
            Allowed,
            "limits.permit-1",
        );
        for other in [
            "GET https://api.test/v1/search",
            "POST https://api.test/v1/search/x",
            "POST https://api.test:444/v1/search",
            "POST http://api.test/v1/search",
            "POST http://api.test:443/v1/search",
        ] {
            check(permit, "implementor", &format!("request: {other}"), Denied, "");
        }
        check(permit, "verifier", "request: POST https://api.test/v1/search", Denied, "");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_place() {
        for (text, line, what) in [
            ("[modles]\nallow = []\n", 1, "unknown field `modles`"),
            ("[models]\nalow = []\n", 2, "unknown field `alow`"),
            ("[models]\nallow = 7\n", 2, "invalid type"),
            ("[models\n", 1, ""),
            ("[tools]\ndeny = []\n", 2, "empty"),
            ("[tools]\ndeny = [\" x\"]\n", 2, "not a name"),
            ("[commands]\n\nprograms = [\"ca*\"]\n", 3, "pattern"),
            ("[paths]\nwrite_deny = [\"src/*.rs\"]\n", 2, "not a path pattern"),
            ("[paths]\nwrite_deny = [\"/etc/**\"]\n", 2, "not a path pattern"),
            ("[paths]\nwrite_deny = [\"../x\"]\n", 2, "not a path pattern"),
            ("[budgets]\ncall_usd = -1.0\n", 2, "not an amount"),
            ("[budgets]\ncall_usd = nan\n", 2, "not an amount"),
            (
                "[[permit]]\naction = \"fly\"\nroles = [\"human\"]\nreason = \"r\"\n",
                2,
                "not a kind",
            ),
            (
                "[[permit]]\naction = \"command\"\nroles = [\"root\"]\nmatch = [\"ls\"]\nreason = \"r\"\n",
                3,
                "not a role",
            ),
            (
                "[[permit]]\naction = \"command\"\nroles = [\"human\"]\nreason = \"r\"\n",
                2,
                "does not say which",
            ),
            (
                "[[permit]]\naction = \"command\"\nroles = [\"human\"]\nmatch = [\"git *\"]\nreason = \"r\"\n",
                4,
                "whole text",
            ),
            ("[hosts]\nallow = [\"https://api.test\"]\n", 2, "it has a scheme"),
            ("[hosts]\nallow = [\"get api.test\"]\n", 2, "methods are in capitals"),
            ("[hosts]\nallow = [\"GET, HEAD api.test\"]\n", 2, "methods are in capitals"),
            ("[hosts]\ndeny = [\"Api.test\"]\n", 2, "not a name in lower case"),
            ("[hosts]\ndeny = [\"api.*.test\"]\n", 2, "not a name in lower case"),
            ("[hosts]\ndeny = [\"api.test:https\"]\n", 2, "not a port"),
            ("[hosts]\ndeny = [\"api.test/../x\"]\n", 2, "not one that a request can have"),
            ("[hosts]\ndeny = []\n", 2, "empty"),
            (
                "[hosts]\nask = [\n  { group = \"ops\", match = [\"/v1\"] },\n]\n",
                3,
                "not a name in lower case",
            ),
            (
                "[[permit]]\naction = \"request\"\nroles = [\"setup\"]\nreason = \"r\"\n",
                2,
                "does not say which",
            ),
            ("[tools]\nask = [{ group = \"A B\", match = [\"x\"] }]\n", 2, "not a group"),
        ] {
            let errors = load(text).err().unwrap_or_else(|| panic!("{text} was accepted")).errors;
            let found = errors
                .iter()
                .find(|error| error.what.contains(what))
                .unwrap_or_else(|| panic!("{text}: {errors:?}"));
            assert_eq!(
                (found.file.as_str(), found.line),
                ("limits.toml", line),
                "{text}: {found:?}"
            );
            assert!(!found.why.is_empty() && !found.fix.is_empty() && found.column > 0);
        }
    }

    fn names() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-z\"\\\\*./é-]{1,8}", 1..4)
    }

    fn patterns() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(
            prop_oneof!["[a-c]{1,2}/\\*\\*", "\\*\\*/\\*\\.[a-c]{1,2}", "[a-c]{1,2}/[a-c]{1,2}"],
            1..4,
        )
    }

    /// A file in the short form without `[[permit]]`, as random as it gets.
    fn forms() -> impl Strategy<Value = String> {
        let list = |key: &'static str| {
            names().prop_map(move |names| format!("{key} = {}\n", json!(names)))
        };
        let places = |key: &'static str| {
            patterns().prop_map(move |names| format!("{key} = {}\n", json!(names)))
        };
        let section = |name: &'static str, keys: Vec<BoxedStrategy<String>>| {
            prop::option::of(
                prop::sample::subsequence((0..keys.len()).collect::<Vec<_>>(), 1..=keys.len())
                    .prop_flat_map(move |at| {
                        at.into_iter().map(|at| keys[at].clone()).collect::<Vec<_>>()
                    }),
            )
            .prop_map(move |keys| {
                keys.map_or_else(String::new, |keys| format!("[{name}]\n{}", keys.concat()))
            })
        };
        (
            section("models", vec![list("allow").boxed(), list("deny").boxed()]),
            section("tools", vec![list("allow").boxed(), list("deny").boxed()]),
            section("credentials", vec![list("allow").boxed(), list("deny").boxed()]),
            section(
                "hosts",
                vec![
                    Just("allow = [\"GET *.example\", \"a.test/b/*\"]\n".to_owned()).boxed(),
                    Just("deny = [\"HEAD,POST *\", \"b.test:80\"]\n".to_owned()).boxed(),
                ],
            ),
            section(
                "paths",
                vec![
                    places("write_allow").boxed(),
                    places("write_deny").boxed(),
                    places("read_deny").boxed(),
                ],
            ),
            section(
                "commands",
                vec![
                    prop::collection::vec("[a-z]{1,4}( [a-z]{1,4})?", 1..4)
                        .prop_map(|names| format!("deny = {}\n", json!(names)))
                        .boxed(),
                    prop::collection::vec("[a-z]{1,4}", 0..4)
                        .prop_map(|names| format!("programs = {}\n", json!(names)))
                        .boxed(),
                ],
            ),
            section(
                "budgets",
                vec![
                    (0u32..9_000_000)
                        .prop_map(|n| {
                            format!("call_usd = {}.{:06}\n", n / 1_000_000, n % 1_000_000)
                        })
                        .boxed(),
                    (0u32..9_000_000)
                        .prop_map(|n| {
                            format!("task_usd = {}.{:06}\n", n / 1_000_000, n % 1_000_000)
                        })
                        .boxed(),
                ],
            ),
            section(
                "pull_requests",
                vec![
                    (0u32..50).prop_map(|n| format!("max_files = {n}\n")).boxed(),
                    (1u32..5).prop_map(|n| format!("approvals = {n}\n")).boxed(),
                    Just("tests = true\nsingle_purpose = true\n".to_owned()).boxed(),
                ],
            ),
        )
            .prop_map(|(a, b, c, d, e, f, g, h)| [a, b, c, d, e, f, g, h].concat())
    }

    const ASKED: [(&str, &str); 16] = [
        ("setup", "request: GET https://a.test/b/c"),
        ("setup", "request: HEAD https://x.example/"),
        ("implementor", "model_call: anthropic/abc"),
        ("coordinator", "tool_call: submit_plan"),
        ("implementor", "tool_call: finish"),
        ("implementor", "command: cargo test"),
        ("implementor", "command: ls > a/b"),
        ("implementor", "file_write: a/b.c"),
        ("implementor", "file_write: b/a.ca"),
        ("implementor", "file_read: a/b"),
        ("publisher", "secret_use: commit-signing-key for signing"),
        ("publisher", "pull_request_merge: #1"),
        ("publisher", "agent_start: implementor"),
        ("publisher", "branch_push: bailiwick/x"),
        ("human", "review_submit: approve"),
        ("gate", "command: make check"),
    ];

    fn rank(verdict: &Verdict) -> u8 {
        match Answer::of(verdict) {
            Answer::Denied => 0,
            Answer::Asked => 1,
            Answer::Allowed => 2,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever the form says, it compiles to valid Cedar that never fails and never allows more,
        /// in every layer, and more of it never allows more than less of it.
        #[test]
        fn the_form_only_narrows(first in forms(), second in forms()) {
            let source = |name: &str, text: &str| PolicySource::new(name, text);
            let lower = |sources: Vec<PolicySource>| LayerSource {
                layer: Layer::Repository(bailiwick_model::id::RepoName::parse("shop").unwrap()), sources,
            };
            let one = match STANDARD.narrowed(&lower(vec![source("one.toml", &first)]), &Proved::nothing()) {
                Ok(one) => one,
                // a limit that nothing could keep, such as `deny` of what can't be: named with its place
                Err(errors) => {
                    prop_assert!(errors.errors.iter().all(|error| error.line > 0), "{first}\n{errors:#?}");
                    return Ok(());
                }
            };
            prop_assert!(may_fail(&one).is_empty());
            prop_assert!(one.rules().filter(|rule| rule.layer != Layer::Organisation).all(|rule| rule.effect != RuleEffect::Permit));
            let both = STANDARD.narrowed(&lower(vec![source("one.toml", &first), source("two.toml", &second)]), &Proved::nothing());
            for (role, action) in ASKED {
                for context in [json!({"scope": ["**"]}), json!({"scope": ["**"], "approvals": ["reviewers"]})] {
                    let before = decide(&STANDARD, role, action, context.clone());
                    let after = decide(&one, role, action, context.clone());
                    prop_assert!(rank(&after) <= rank(&before), "{first}\n{action}: {before:?} → {after:?}");
                    if let Ok(both) = &both {
                        prop_assert!(rank(&decide(both, role, action, context)) <= rank(&after));
                    }
                }
            }
        }
    }
}
