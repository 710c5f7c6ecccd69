//! What commands do, and what the standard policy says of them: shapes that must never be
//! permitted, look-alikes that must be, and properties over generated ones.

#[cfg(test)]
mod harness {
    use std::collections::{BTreeMap, BTreeSet};

    use bailiwick_model::action::{Action, Command, Purpose};
    use bailiwick_model::id::{BranchName, Person, RepoName};
    use bailiwick_model::path::WorkPath;
    use bailiwick_model::subject::{Context, Role, Subject};
    use bailiwick_model::task::MicroUsd;
    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;

    pub(crate) fn command(argv: &[&str]) -> Command {
        Command {
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: WorkPath::root(),
            env: BTreeMap::new(),
            purpose: Purpose::Tool,
            network: false,
            timeout_ms: 1000,
        }
    }

    pub(crate) fn judge_argv(set: &PolicySet, argv: &[&str]) -> Verdict {
        let subject = Subject {
            role: Role::Implementor,
            on_behalf_of: Person::parse("ana").unwrap(),
            task: None,
            subtask: None,
            session: None,
        };
        let context = Context {
            repo: RepoName::parse("shop").unwrap(),
            protected_branch: BranchName::parse("main").unwrap(),
            taint: BTreeSet::new(),
            scope: vec!["src/**".to_owned()],
            budget_left: MicroUsd(1),
            denials: 0,
            single_user: false,
            approvals: BTreeSet::new(),
            facts: bailiwick_model::subject::SessionFacts::default(),
        };
        set.decide(&subject, &Action::Command(command(argv)), &context)
    }

    pub(crate) fn judge(set: &PolicySet, text: &str) -> Verdict {
        judge_argv(set, &["/bin/sh", "-c", text])
    }
}

#[cfg(test)]
mod corpus {
    use std::fs;
    use std::path::Path;

    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;
    use bailiwick_policy::command::{Effects, analyse_shell};

    use crate::harness::judge;

    fn read(name: &str) -> toml::Table {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands").join(name);
        fs::read_to_string(path).unwrap().parse().unwrap()
    }

    fn holds(effects: &Effects, wanted: &str) -> bool {
        let (field, value) = wanted.split_once(':').unwrap();
        match field {
            "programs" => effects.programs.contains(value),
            "writes" => effects.writes.contains(value),
            other => panic!("unknown field {other}"),
        }
    }

    #[test]
    fn no_bypass_is_permitted() {
        let set = PolicySet::standard().unwrap();
        let table = read("bypass.toml");
        let cases = table["case"].as_array().unwrap();
        assert!(cases.len() >= 100, "{}", cases.len());
        let mut wrong = Vec::new();
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let effects = analyse_shell(text);
            match judge(&set, text) {
                Verdict::Deny(denial) => {
                    let rule = case.get("rule").map(|rule| rule.as_str().unwrap().to_owned());
                    if rule.as_ref().is_some_and(|rule| !denial.rules.contains(rule)) {
                        wrong.push(format!(
                            "{}: {text:?} denied by {:?}, {effects:?}",
                            case["shape"], denial.rules
                        ));
                    }
                }
                other => {
                    wrong.push(format!("{}: {text:?} is {other:?}, {effects:?}", case["shape"]));
                }
            }
            for wanted in case.get("has").and_then(|has| has.as_array()).into_iter().flatten() {
                if !holds(&effects, wanted.as_str().unwrap()) {
                    wrong.push(format!("{}: no {wanted} in {effects:?}", case["shape"]));
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    }

    #[test]
    fn no_innocent_is_refused() {
        let set = PolicySet::standard().unwrap();
        let table = read("innocent.toml");
        let texts = table["texts"].as_array().unwrap();
        assert!(texts.len() >= 150, "{}", texts.len());
        let wrong: Vec<String> = texts
            .iter()
            .map(|text| text.as_str().unwrap())
            .filter(|text| !matches!(judge(&set, text), Verdict::Permit { .. }))
            .map(|text| format!("{text:?} is {:?}, {:?}", judge(&set, text), analyse_shell(text)))
            .collect();
        assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
    }

    #[test]
    fn a_hash_within_a_word_starts_no_comment() {
        let effects = analyse_shell("nix eval .#foo; curl a.example");
        assert!(effects.undecidable.is_empty() && effects.programs.contains("nix"));
        assert!(effects.connects.contains("curl"), "{effects:?}");
    }

    #[test]
    fn what_is_too_complex_is_undecidable() {
        let many = "ls; ".repeat(10_000);
        let long = format!("echo {}", "x".repeat(1024 * 1024));
        for (open, close) in
            [("( ", ")"), ("{ ", ";}"), ("$(", ")"), ("`", "`"), ("if true; then ", ";fi")]
        {
            let deep = format!("echo {}ls{}", open.repeat(200), close.repeat(200));
            assert!(!analyse_shell(&deep).undecidable.is_empty(), "{open}");
        }
        let nested = (0..10)
            .fold("ls".to_owned(), |text, _| format!("sh -c '{}'", text.replace('\'', "'\\''")));
        for text in [
            many,
            long,
            nested,
            "\"$(".repeat(200),
            "case x in ".repeat(40),
            "${x:-".repeat(300),
            "((".repeat(300),
        ] {
            assert!(!analyse_shell(&text).undecidable.is_empty(), "{text:.20}");
        }
    }

    // Each of these is plain to the parser whose tree is judged.
    #[test]
    fn what_two_parsers_read_differently_is_undecidable() {
        for text in ["coproc ls", "cat <<A <<B\n1\nA\n2\nB"] {
            let effects = analyse_shell(text);
            let why: Vec<&String> = effects.undecidable.iter().collect();
            assert!(matches!(why.as_slice(), [one] if one.contains("parser")), "{text}: {why:?}");
        }
    }

    #[test]
    fn what_makes_the_parser_panic_is_undecidable() {
        for text in [
            "ls 99999999999999999999>x",
            "ls 2147483648>x",
            "echo ~99999999999999999999999999",
            "echo ~+99999999999999999999999999",
            "echo {1..99999999999999999999999}",
            "echo $99999999999999999999999999",
            "echo ${99999999999999999999999999}",
        ] {
            let effects = analyse_shell(text);
            assert!(!effects.undecidable.is_empty() || effects.programs.contains("echo"), "{text}");
        }
    }
}

#[cfg(test)]
mod properties {
    use std::sync::LazyLock;

    use bailiwick_model::verdict::Verdict;
    use bailiwick_policy::PolicySet;
    use bailiwick_policy::command::{analyse, analyse_shell};
    use proptest::prelude::*;

    use crate::harness::{command, judge, judge_argv};

    static SET: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::standard().unwrap());

    /// Ways to write one word so that a shell reads the same one.
    fn disguised(word: &'static str) -> impl Strategy<Value = String> {
        prop::collection::vec(0..5u8, word.len()).prop_map(move |styles| {
            word.chars()
                .zip(styles)
                .map(|(c, style)| match style {
                    0 => format!("'{c}'"),
                    1 => format!("\"{c}\""),
                    2 => format!("\\{c}"),
                    3 => format!("''{c}"),
                    _ => c.to_string(),
                })
                .collect()
        })
    }

    fn wrapped(inner: String, wraps: &[u8]) -> String {
        wraps.iter().fold(inner, |text, wrap| match wrap {
            0 => format!("ls && {text}"),
            1 => format!("( {text} )"),
            2 => format!("{{ {text}; }}"),
            3 => format!("if true; then {text}; fi"),
            4 => format!("echo $({text})"),
            5 => format!("bash -c '{}'", text.replace('\'', "'\\''")),
            6 => format!("ls | {text}"),
            7 => format!("for i in 1; do {text}; done"),
            8 => format!("true & {text}"),
            9 => format!("f() {{ {text}; }}; f"),
            10 => format!("! {text}"),
            11 => format!("ls\n{text}"),
            12 => format!("cat <({text})"),
            13 => format!("while true; do {text}; done"),
            14 => format!("cat <<E\n$({text})\nE"),
            15 => format!("echo \"${{x:-$({text})}}\""),
            16 => format!("case a in a) {text};; esac"),
            17 => format!("coproc {{ {text}; }}"),
            _ => format!("A=1 {text}"),
        })
    }

    fn forbidden() -> impl Strategy<Value = String> {
        prop_oneof![
            (disguised("curl"), disguised("a.example")).prop_map(|(a, b)| format!("{a} {b}")),
            (disguised("git"), disguised("push")).prop_map(|(a, b)| format!("{a} {b}")),
            (disguised("tee"), disguised(".git/config")).prop_map(|(a, b)| format!("{a} {b}")),
            disguised(".github/x").prop_map(|a| format!("echo x > {a}")),
            (disguised("sudo"), disguised("ls")).prop_map(|(a, b)| format!("{a} {b}")),
            (disguised("eval"), disguised("ls")).prop_map(|(a, b)| format!("{a} {b}")),
            (disguised("env"), disguised("wget")).prop_map(|(a, b)| format!("{a} {b} x")),
            (disguised("find"), disguised("nc"))
                .prop_map(|(a, b)| format!("{a} . -exec {b} x \\;")),
            (disguised("timeout"), disguised("ssh")).prop_map(|(a, b)| format!("{a} 5 {b} x")),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn no_quoting_or_wrapping_moves_a_verdict_towards_allow(inner in forbidden(), wraps in prop::collection::vec(0..19u8, 0..4)) {
            let text = wrapped(inner, &wraps);
            let verdict = judge(&SET, &text);
            prop_assert!(matches!(verdict, Verdict::Deny(_)), "{text:?} is {verdict:?}: {:?}", analyse_shell(&text));
        }

        #[test]
        fn any_text_gets_an_answer(text in ".{0,200}", argv in prop::collection::vec(".{0,20}", 0..5)) {
            drop(analyse_shell(&text));
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            drop(analyse(&command(&argv)));
        }

        #[test]
        fn any_shell_like_text_gets_an_answer(parts in prop::collection::vec(prop::sample::select(vec![
            "(", ")", "{", "}", "$(", "`", "'", "\"", "\\", "if ", "then ", "fi;", "for ", "do ", "done;", "case ", "in ", "esac;", "[[ ", " ]]",
            "((", "))", "${", "<<E\n", "\nE\n", ">", "<", "|", "&", ";", "\n", "ls ", "x=", "$x", "~", "1", "9999999999", "!", "*", " ", "$'", "#",
            "function f ", "f() ", "coproc ", "time ", "-eq ", "@(", "..", ",",
        ]), 0..40)) {
            drop(analyse_shell(&parts.concat()));
        }

        #[test]
        fn arguments_without_a_shell_are_judged_alike(program in prop::sample::select(vec!["curl", "wget", "ssh", "sudo", "eval"]), arg in "[a-z./-]{0,20}") {
            let verdict = judge_argv(&SET, &[program, &arg]);
            prop_assert!(matches!(verdict, Verdict::Deny(_)), "{program} {arg}: {verdict:?}");
        }
    }
}
